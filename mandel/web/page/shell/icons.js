// Glyphs, drawn on a field of 24 x 24.

import { html } from "../vendor/htm-preact-3.1.1.mjs";

const PATHS = {
  home: "M4 11.5 12 5l8 6.5M6.5 10v9h11v-9",
  plus: "M12 5v14M5 12h14",
  minus: "M5 12h14",
  box: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M9.5 9.5h5v5h-5z",
  jump: "M4 12h13M12 6.5 17.5 12 12 17.5M20.5 5v14",
  find: "M11 4a7 7 0 1 1 0 14 7 7 0 0 1 0-14zM16 16l4.5 4.5",
  mark: "M7 4h10v16l-5-4-5 4z",
  help: "M9 9.2A3 3 0 1 1 12.6 12c-.6.3-.6.9-.6 1.6M12 17.2v.1M12 3a9 9 0 1 1 0 18 9 9 0 0 1 0-18z",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.6-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.6 5.7L12 17",
  film: "M4 5h16v14H4zM8 5v14M16 5v14M4 9.6h4M4 14.4h4M16 9.6h4M16 14.4h4",
  down: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  up: "M12 20V5M6.5 10.500 12 5l5.500 5.500",
  fall: "M12 4v15M6.500 13.500 12 19l5.500-5.500",
  stops: "M5 18a2 2 0 1 1 .1 0M19 10a2 2 0 1 1 .1 0M7 16.500c6 0 4-6 10-8",
  pin: "M9 4h6l-1 6 3.5 3.5h-11L10 10zM12 13.5V21",
};

/** A glyph that says nothing to screen readers: the button around it has the label. */
export function Glyph({ name }) {
  return html`<svg class="glyph" viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}

/** The whole set as a sign: cardioid and disc. */
export function Sign() {
  return html`<svg viewBox="0 0 32 32" aria-hidden="true">
    <path d="M29 16c-2-7-8-10.500-13-9.500C12.500 7.200 10.600 10 10.300 13.200 7.500 12.600 4.200 13 4.200 16s3.300 3.400 6.100 2.800C10.600 22 12.500 24.800 16 25.500 21 26.500 27 23 29 16z" />
  </svg>`;
}

/** A button with a glyph; its name is its tooltip. */
export function IconButton({ glyph, name, keys, ...others }) {
  const title = keys ? `${name} (${keys})` : name;
  return html`<button type="button" class="icon plain" aria-label=${name} title=${title} ...${others}>
    <${Glyph} name=${glyph} />
  </button>`;
}
