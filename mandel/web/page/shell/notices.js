// What the page says to everybody: a line at the foot for a moment, and a live region for screen readers.

import { html } from "../vendor/htm-preact-3.1.1.mjs";
import { Store, useStore } from "../service/store.js";

const SHOWN_MS = 5000;
const shown = new Store("");
const spoken = new Store("");
let timer = 0;

/** Shows a sentence at the foot of the page; screen readers hear it too. */
export function tell(sentence) {
  shown.set(sentence);
  clearTimeout(timer);
  timer = setTimeout(() => shown.set(""), SHOWN_MS);
}

/** Says a sentence to screen readers alone. */
export function announce(sentence) {
  spoken.set(sentence);
}

export function Notices() {
  return html`
    <div class="toast" role="status">${useStore(shown)}</div>
    <div class="off-screen" role="status">${useStore(spoken)}</div>
  `;
}
