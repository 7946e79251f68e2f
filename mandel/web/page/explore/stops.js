// Stops of the camera: places that this browser keeps in their order, and the film that goes from one to the next.

import { html } from "../vendor/htm-preact-3.1.1.mjs";
import { fromFragment } from "../numbers/place_text.js";
import { keep, kept, listIn } from "../service/kept.js";
import { Store, useStore } from "../service/store.js";
import { Sheet } from "../shell/dialog.js";
import { IconButton } from "../shell/icons.js";
import { tell } from "../shell/notices.js";
import { playtime } from "../shell/words.js";
import { isBookmark, Lost, PlacePicture } from "./bookmarks.js";

const KEY = "mandel.stops";
const USUAL = { time: 8, hold: 0 }; // seconds
const { good, lost } = listIn(kept(KEY), (one) => isBookmark(one) && one.time > 0 && one.hold >= 0);
const stops = new Store(good);

function write(all) {
  stops.set(all);
  if (!keep(KEY, all)) tell("This browser has no room for more stops; remove some.");
}

/** Keeps what the explorer shows, {name, place, picture}, as the last of `most` stops. */
export function keepStop(bookmark, most) {
  if (stops.value.length >= most) return tell(`A path has ${most} stops at most; remove one of them first (T).`);
  write([...stops.value, { ...bookmark, ...USUAL, id: crypto.getRandomValues(new Uint32Array(1))[0] }]);
  const count = stops.value.length;
  tell(count === 1 ? "The first stop is kept. Go on, and press S at the next one." : `Stop ${count} is kept. Press T for the film of all stops.`);
}

/** As the order form has them: {re, im, extent, time, hold}, the first without time. */
const pathOf = (all) => all.map(({ place, time, hold }, i) => ({ ...fromFragment(place).view.text(), ...(i ? { time } : {}), hold }));

export function Stops({ explorer, order, close }) {
  const all = useStore(stops);
  const change = (at, fields) => write(all.map((one, i) => (i === at ? { ...one, ...fields } : one)));
  const move = (from, to) => {
    const moved = [...all];
    moved.splice(to, 0, ...moved.splice(from, 1));
    write(moved);
  };
  const seconds = all.reduce((sum, { time, hold }, i) => sum + (i ? time : 0) + hold, 0);
  const film = () => order(fromFragment(all.at(-1).place).view, { path: pathOf(all) });
  return html`<${Sheet} title="Camera stops" close=${close}>
    <div class="row">
      <button type="button" onClick=${() => keepStop(explorer.bookmark(), explorer.facts.limits.max_stops)} autofocus>Keep this place as a stop</button>
      <button type="button" class="primary" disabled=${all.length < 2} onClick=${film}>Film of these stops</button>
    </div>
    <${Lost} lost=${lost} what="stops" />
    <p class="soft">
      ${all.length < 2
        ? "Go to a place and press S: it becomes a stop. A film of two stops or more goes from one to the next."
        : `${all.length} stops, ${playtime(seconds)}`}
    </p>
    <ol class="stops">
      ${all.map((one, i) => html`<${Stop} key=${one.id} one=${one} at=${i} last=${i === all.length - 1} explorer=${explorer}
        change=${(fields) => change(i, fields)} move=${(to) => move(i, to)} remove=${() => write(all.filter((other) => other !== one))} />`)}
    </ol>
  <//>`;
}

function Stop({ one, at, last, explorer, change, move, remove }) {
  const name = `stop ${at + 1}`;
  const seconds = (field, label, least) => html`<label>${label}
    <input type="number" min=${least} step="any" value=${one[field]} onChange=${(event) => Number(event.target.value) >= least && change({ [field]: Number(event.target.value) })} />
  </label>`;
  const go = () => explorer.goLink(one.place);
  return html`<li>
    <button type="button" class="open" title=${`Go to ${name}`} onClick=${go}>
      <${PlacePicture} data=${one.picture} />
      <span class="cut">${at + 1}: ${one.name}</span>
    </button>
    <div class="pairs">
      ${at > 0 ? seconds("time", "Seconds to here", 0.1) : html`<span class="soft">The film begins here</span>`}
      ${seconds("hold", "Seconds of rest", 0)}
    </div>
    <div class="row">
      <${IconButton} glyph="up" name=${`Move ${name} up`} disabled=${at === 0} onClick=${() => move(at - 1)} />
      <${IconButton} glyph="fall" name=${`Move ${name} down`} disabled=${last} onClick=${() => move(at + 1)} />
      <${IconButton} glyph="close" name=${`Remove ${name}`} onClick=${remove} />
    </div>
  </li>`;
}
