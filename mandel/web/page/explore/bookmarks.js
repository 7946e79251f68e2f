// Places that this browser keeps, with small pictures.

import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { powerText } from "../numbers/decimal.js";
import { fromFragment } from "../numbers/place_text.js";
import { keep, kept, listIn } from "../service/kept.js";
import { Store, useStore } from "../service/store.js";
import { Sheet } from "../shell/dialog.js";
import { IconButton } from "../shell/icons.js";
import { tell } from "../shell/notices.js";

const KEY = "mandel.bookmarks";
const { good, lost } = listIn(kept(KEY), isBookmark);
const bookmarks = new Store(good);

// Places to begin with: [name, its place].
const STARTS = [
  ["Seahorse valley", "-0.7463,0.1102,0.005"],
  ["Elephant valley", "0.2755,0.006,0.012"],
  ["Triple spirals", "-0.0880,0.6545,0.012"],
  ["A small copy on the needle", "-1.7548776662466927,0,0.05"],
  ["Lightning", "-0.170337,1.065060,0.04"],
];

/** Whether this is a place with a name. */
export function isBookmark(one) {
  return typeof one?.name === "string" && typeof one.place === "string" && fromFragment(one.place) !== null;
}

function write(all) {
  bookmarks.set(all);
  if (!keep(KEY, all)) tell("This browser has no room for more bookmarks; save them to a file and remove some.");
}

/** Keeps bookmarks, in front of those of other places. */
function add(found) {
  write([...found, ...bookmarks.value.filter((old) => !found.some((one) => one.place === old.place))]);
}

/** Keeps a bookmark of the explorer's. */
export const keepBookmark = (bookmark) => add([bookmark]);

/** That some of what was kept is damaged; nothing where none is. */
export function Lost({ lost, what }) {
  return lost > 0 && html`<p class="notice">Some of the ${what} that this browser kept are damaged, and left out. The next one that you keep takes their room.</p>`;
}

export function Bookmarks({ explorer, close }) {
  const all = useStore(bookmarks);
  const [name, setName] = useState("");
  const keep = () => {
    const bookmark = explorer.bookmark();
    keepBookmark({ ...bookmark, name: name.trim().slice(0, 80) || bookmark.name });
    setName("");
  };
  const open = ({ place }) => explorer.goLink(place);
  const load = async ({ target }) => {
    const text = await target.files[0]?.text().catch(() => "");
    target.value = ""; // the same file may be chosen again
    if (text === undefined) return;
    const found = listIn(text, isBookmark);
    if (found.good.length) add(found.good);
    const damaged = found.lost ? ` ${found.lost} of its entries are damaged, and left out.` : "";
    tell(found.good.length ? `${found.good.length} bookmarks were read.${damaged}` : "That file has no bookmarks of this page.");
  };
  return html`<${Sheet} title="Bookmarks" close=${close}>
    <form class="row" onSubmit=${(event) => (event.preventDefault(), keep())}>
      <label class="grow">Name of this place
        <input value=${name} maxlength="80" autofocus placeholder=${powerText(explorer.view.value.log2Extent, 3)} onInput=${(event) => setName(event.target.value)} />
      </label>
      <button class="primary">Keep it</button>
    </form>
    <${Lost} lost=${lost} what="bookmarks" />
    ${all.length === 0 && html`<p class="soft">Nothing is kept yet. Bookmarks live in this browser; a file takes them elsewhere.</p>`}
    <ul class="marks">
      ${all.map(
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
      <button type="button" disabled=${!all.length} onClick=${() => save(all)}>Save to a file</button>
      <label class="button"><span>Read a file</span><input type="file" class="off-screen" accept=".json" onChange=${load} /></label>
    </div>
  <//>`;
}

function save(all) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(all, null, 1)], { type: "application/json" }));
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
  try {
    return body ? URL.createObjectURL(new Blob([Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))], { type })) : null;
  } catch {
    return null; // damaged
  }
}
