// Modal dialogs and side sheets. The browser's own <dialog> keeps the focus inside and closes by Escape.

import { html, useEffect, useRef } from "../vendor/htm-preact-3.1.1.mjs";
import { IconButton } from "./icons.js";
import { offerFocus } from "./page.js";

/** Gives the focus back to what had it; where that is gone, or nothing had it, to the page. */
function giveBack(before) {
  before?.focus?.({ preventScroll: true });
  const page = document.querySelector(".page");
  if (page) offerFocus(page);
}

/** A modal dialog, open as long as it is rendered. */
export function Dialog({ title, close, wide, children, name }) {
  const dialog = useRef(null);
  useEffect(() => {
    const [element, before] = [dialog.current, document.activeElement];
    element.showModal();
    return () => (element.close(), giveBack(before));
  }, []);
  const outside = (event) => event.target === dialog.current && close();
  return html`<dialog
    ref=${dialog}
    class=${`${wide ? "wide" : ""} ${name ?? ""}`}
    aria-label=${title}
    onCancel=${(event) => (event.preventDefault(), close())}
    onClick=${outside}
  >
    <div class="titled">
      <h2 class="cut">${title}</h2>
      <${IconButton} glyph="close" name="Close" onClick=${close} />
    </div>
    ${children}
  </dialog>`;
}

/** A sheet at the side that leaves the picture in view. Escape closes it. */
export function Sheet({ title, close, children, foot, submit }) {
  const sheet = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    (sheet.current.querySelector("[autofocus]") ?? sheet.current).focus({ preventScroll: true });
    return () => giveBack(before);
  }, []);
  const escape = (event) => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    close();
  };
  const tag = submit ? "form" : "section";
  return html`<${tag}
    ref=${sheet}
    class="floating sheet"
    aria-label=${title}
    tabindex="-1"
    novalidate
    onKeyDown=${escape}
    onSubmit=${(event) => (event.preventDefault(), submit?.())}
  >
    <div class="titled">
      <h2>${title}</h2>
      <${IconButton} glyph="close" name="Close" onClick=${close} />
    </div>
    <div class="inside">${children}</div>
    ${foot && html`<div class="sticky">${foot}</div>`}
  <//>`;
}

/** Asks before something is done that costs something; says what. */
export function Confirm({ title, price, doIt, close, verb }) {
  return html`<${Dialog} title=${title} close=${close}>
    <div class="inside">
      <p>${price}</p>
      <div class="row">
        <button type="button" class="primary" autofocus onClick=${() => (close(), doIt())}>${verb}</button>
        <button type="button" onClick=${close}>Leave it</button>
      </div>
    </div>
  <//>`;
}
