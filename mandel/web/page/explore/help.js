import { html } from "../vendor/htm-preact-3.1.1.mjs";
import { Dialog } from "../shell/dialog.js";
import { KEYS } from "./keys.js";

const GESTURES = [
  ["Drag", "moves the picture"],
  ["Wheel, pinch", "zooms about the pointer"],
  ["Double click", "zooms in; with shift out"],
  ["Shift + drag", "draws a box to zoom into"],
  ["Drop, paste", "opens a place: numbers, a link, a payload, a film or picture of this page, .kfr, .toml, …"],
];

export function Help({ close }) {
  const list = (rows, tag) => html`<dl class="keys">
    ${rows.map(([what, does]) => html`<dt>${tag ? html`<kbd>${what}</kbd>` : what}</dt><dd class="soft">${does}</dd>`)}
  </dl>`;
  return html`<${Dialog} title="Help" close=${close}>
    <div class="inside">
      <p>
        Go to where a film shall end and press <strong>Zoom to here</strong>. Watch it under <a href="#jobs">Jobs</a>, and play it
        under <a href="#films">Films</a>. The guide is <code>docs/page.md</code>, which came with the program.
      </p>
      ${list(GESTURES, false)}
      <p class="soft">Keys work on the picture, and as long as nothing else has the focus; letters also on the buttons around it. A click on the picture, or Tab until its edge lights up, gives it the focus.</p>
      ${list(KEYS, true)}
    </div>
  <//>`;
}
