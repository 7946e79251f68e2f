import { html, useEffect, useRef } from "../vendor/htm-preact-3.1.1.mjs";

/** Gives an element the focus where nothing that is in view has it. */
export function offerFocus(element) {
  const focused = document.activeElement;
  if (focused.matches("body, .page") || focused.closest("[hidden], dialog:not([open])")) element.focus({ preventScroll: true });
}

/** A page beside the explorer. With the focus, keys scroll it. */
export function Page({ children }) {
  const page = useRef(null);
  useEffect(() => offerFocus(page.current), []);
  return html`<div ref=${page} class="page" tabindex="-1">${children}</div>`;
}
