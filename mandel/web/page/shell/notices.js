// What the page says to everybody: a line at the foot for a moment, and a live region for screen readers.

import { html, useEffect, useRef } from "../vendor/htm-preact-3.1.1.mjs";
import { Store, useStore } from "../service/store.js";
import { IconButton } from "./icons.js";

const SHOWN_MS = 5000; // at least
const LETTER_MS = 70; // for who reads slowly
const shown = new Store(null); // {sentence, link, stays}
const spoken = new Store("");
let timer = 0;

/**
 * Shows a sentence at the foot of the page; one with a link, {href, label}, or of which somebody will want to know more,
 * `stays` until it is closed. Screen readers hear it too.
 */
export function tell(sentence, { link = null, stays = link !== null } = {}) {
  shown.set({ sentence, link, stays });
  clearTimeout(timer);
  if (!stays) timer = setTimeout(close, Math.max(SHOWN_MS, LETTER_MS * sentence.length));
}

const close = () => shown.set(null);

/** Takes a sentence away that no longer holds, if it is shown. */
export const untell = (sentence) => shown.value?.sentence === sentence && close();

/** Says a sentence to screen readers alone. */
export function announce(sentence) {
  spoken.set(sentence);
}

export function Notices() {
  const toast = useRef(null);
  const notice = useStore(shown);
  useEffect(() => {
    // Dialogs lie above everything else; so does what is shown after them.
    toast.current.hidePopover?.();
    if (notice) toast.current.showPopover?.();
  }, [notice]);
  const { sentence, link, stays } = notice ?? {};
  return html`
    <div ref=${toast} class="toast" role="status" popover="manual">
      ${notice && html`<span>${sentence} ${link && html`<a href=${link.href} onClick=${close}>${link.label}</a>`}</span>`}
      ${stays && html`<${IconButton} glyph="close" name="Close" onClick=${close} />`}
    </div>
    <div class="off-screen" role="status">${useStore(spoken)}</div>
  `;
}
