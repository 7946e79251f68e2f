// Places that this browser keeps, with small pictures.

import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { powerText } from "../numbers/decimal.js";
import { fromFragment } from "../numbers/place_text.js";
import { Store, useStore } from "../service/store.js";
import { Sheet } from "../shell/dialog.js";
import { IconButton } from "../shell/icons.js";
import { tell } from "../shell/notices.js";

const KEY = "mandel.bookmarks";
const bookmarks = new Store(read());

// Places to begin with: [name, its place].
const STARTS = [
  ["Seahorse valley", "-0.7463,0.1102,0.005"],
  ["Elephant valley", "0.2755,0.006,0.012"],
  ["Triple spirals", "-0.0880,0.6545,0.012"],
  ["A small copy on the needle", "-1.7548776662466927,0,0.05"],
  ["Lightning", "-0.170337,1.065060,0.04"],
];

function read() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isBookmark) : [];
  } catch {
    return [];
  }
}

function isBookmark(one) {
  return typeof one?.name === "string" && typeof one.place === "string" && fromFragment(one.place) !== null;
}

function write(kept) {
  bookmarks.set(kept);
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    tell("This browser has no room for more bookmarks; save them to a file and remove some.");
  }
}

/** Keeps a bookmark of the explorer's. */
export function keepBookmark(bookmark) {
  write([bookmark, ...bookmarks.value]);
}

export function Bookmarks({ explorer, close }) {
  const kept = useStore(bookmarks);
  const [name, setName] = useState("");
  const keep = () => {
    const bookmark = explorer.bookmark();
    keepBookmark({ ...bookmark, name: name.trim().slice(0, 80) || bookmark.name });
    setName("");
  };
  const open = ({ place }) => {
    const { view, look } = fromFragment(place);
    explorer.go(view, look);
  };
  const load = async (event) => {
    const found = parse(await event.target.files[0].text());
    if (found.length) write([...found, ...bookmarks.value.filter((old) => !found.some((one) => one.place === old.place))]);
    tell(found.length ? `${found.length} bookmarks were read.` : "That file has no bookmarks of this page.");
  };
  return html`<${Sheet} title="Bookmarks" close=${close}>
    <form class="row" onSubmit=${(event) => (event.preventDefault(), keep())}>
      <label class="grow">Name of this place
        <input value=${name} maxlength="80" autofocus placeholder=${powerText(explorer.view.value.log2Extent, 3)} onInput=${(event) => setName(event.target.value)} />
      </label>
      <button class="primary">Keep it</button>
    </form>
    ${kept.length === 0 && html`<p class="soft">Nothing is kept yet. Bookmarks live in this browser; a file takes them elsewhere.</p>`}
    <ul class="marks">
      ${kept.map(
        (one) => html`<li key=${one.place}>
          <button type="button" class="open" onClick=${() => open(one)}>
            <${PlacePicture} data=${one.picture} />
            <span class="cut">${one.name}</span>
          </button>
          <${IconButton} glyph="close" name=${`Remove ${one.name}`} class="drop" onClick=${() => write(bookmarks.value.filter((other) => other !== one))} />
        </li>`,
      )}
    </ul>
    <h3>Places to begin with</h3>
    <div class="row">
      ${STARTS.map(([name, place]) => html`<button type="button" key=${name} onClick=${() => open({ place: `#at=${place}` })}>${name}</button>`)}
    </div>
    <div class="row">
      <button type="button" disabled=${!kept.length} onClick=${() => save(kept)}>Save to a file</button>
      <label class="button"><span>Read a file</span><input type="file" class="off-screen" accept=".json" onChange=${load} /></label>
    </div>
  <//>`;
}

function parse(text) {
  try {
    const found = JSON.parse(text);
    return Array.isArray(found) ? found.filter(isBookmark) : [];
  } catch {
    return [];
  }
}

function save(kept) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(kept, null, 1)], { type: "application/json" }));
  link.download = "mandel-bookmarks.json";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A data URL as a blob's: the page's policy lets no other in. */
export function PlacePicture({ data }) {
  const [url] = useState(() => blobUrl(data));
  return html`<img src=${url} alt="" width="240" height="180" />`;
}

function blobUrl(data) {
  const [, type, body] = /^data:(image\/(?:webp|png|jpeg));base64,([A-Za-z0-9+/=]+)$/.exec(data ?? "") ?? [];
  if (!body) return null;
  return URL.createObjectURL(new Blob([Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))], { type }));
}
