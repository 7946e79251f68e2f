// "Zoom to here": a film of the way to a place, ordered in two clicks once the form is open or changed at leisure.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { LookFields } from "../explore/look_panel.js";
import { inWords, post, Refused } from "../service/api.js";
import { isStarting } from "../service/events.js";
import { keep, kept } from "../service/kept.js";
import { useStore } from "../service/store.js";
import { Sheet } from "../shell/dialog.js";
import { tell } from "../shell/notices.js";
import { bytes, count, duration, playtime, shortDecimal } from "../shell/words.js";
import { filmTo, frames, framesPerSecond, octaves, payloadOf, SIZES, USUAL, warnings } from "./film.js";
import { KeyFrames } from "./key_frames.js";

const DRAFT = "mandel.order"; // what was chosen last, but for the place
const REMEMBERED = ["width", "height", "fps", "start", "sampling", "supersampling", "easing", "keep"];
const CHECK_MS = 350;
const ESTIMATE_MS = 1000; // workers measure for it: only what somebody has stopped changing

function draft() {
  try {
    const before = JSON.parse(kept(DRAFT) ?? "{}");
    return Object.fromEntries(REMEMBERED.filter((name) => typeof before[name] === typeof USUAL[name]).map((name) => [name, before[name]]));
  } catch {
    return {};
  }
}

export function OrderForm({ explorer, live, place, former, close }) {
  const known = new Set(explorer.facts.fields.map((field) => field.name));
  const look = useStore(explorer.look);
  const [film, setFilm] = useState(() => filmTo(place.text(), look, { ...draft(), ...former }));
  const [name, setName] = useState("");
  const [sending, setSending] = useState(false);
  const sample = useSample(explorer, place);
  const payload = payloadOf(film, known);
  // What did not come is asked for again when the service, or its renderer, is back.
  const again = `${useStore(live.returns)} ${isStarting(useStore(live.service))}`;
  const [checked, refused, setRefused] = useCheck(payload, again);
  const estimated = useEstimate(payload, checked, again);
  const set = (fields) => setFilm({ ...film, ...fields });
  const depth = octaves(film);

  const order = async () => {
    setSending(true);
    try {
      const job = await post("/api/jobs", name.trim() ? { ...payload, name: name.trim() } : payload);
      keep(DRAFT, film, REMEMBERED);
      live.learn(job);
      live.own.add(job.job);
      tell(checked?.state === "done" ? "This very film is there already." : "The film is ordered.");
      location.hash = checked?.state === "done" ? `#films/${job.job}` : `#jobs/${job.job}`;
    } catch (error) {
      setRefused(error);
      setSending(false);
    }
  };
  const wrong = refused instanceof Refused ? refused.field : null;
  const field = (name) => ({ "aria-invalid": wrong === name, "aria-describedby": wrong === name ? "refusal" : null });
  const foot = html`
    ${refused && html`<p id="refusal" class="notice bad" role="alert">${inWords(refused)}</p>`}
    <button class="primary grow" disabled=${sending} autofocus>${checked?.state === "done" ? "Show this film" : "Order the film"}</button>
    <button type="button" onClick=${close}>Not now</button>
  `;
  return html`<${Sheet} title=${film.path ? `Film of ${film.path.length} stops` : "Zoom to here"} close=${close} submit=${order} foot=${foot}>
    <${KeyFrames} explorer=${explorer} film=${film} again=${again} />
    <${Price} film=${film} checked=${checked} estimated=${estimated} unknown=${refused ? "–" : "…"} />
    <${Warnings} list=${warnings(film, sample)} />
    <${Size} film=${film} set=${set} field=${field} />
    ${!film.path && html`<${Length} film=${film} set=${set} depth=${depth} field=${field} />`}
    <${Sampling} film=${film} set=${set} field=${field} />
    <label>Name, if it is to have one
      <input value=${name} maxlength="64" ...${field("name")} onInput=${(event) => setName(event.target.value)} />
    </label>
    <details>
      <summary>Look</summary>
      <div class="choices">
        <${LookFields} facts=${explorer.facts} look=${film.look} set=${(fields) => set({ look: { ...film.look, ...fields } })} group="film" />
      </div>
    </details>
    ${!film.path && html`<details>
      <summary>Camera and extents</summary>
      <div class="pairs choices">
        <label>First extent<input value=${film.start} ...${field("start_delta")} onInput=${(event) => set({ start: event.target.value.trim() })} /></label>
        <label>Last extent<input value=${film.end} ...${field("end_delta")} onInput=${(event) => set({ end: event.target.value.trim() })} /></label>
        <label>Turn, degrees<input type="number" step="15" value=${film.rotation} ...${field("rotation")} onInput=${(event) => set({ rotation: event.target.value || 0 })} /></label>
        <label>Ease in and out <span><input type="range" min="0" max="1" step="0.05" value=${film.easing} aria-valuetext=${`${Math.round(100 * film.easing)} % of the time`} onInput=${(event) => set({ easing: Number(event.target.value) })} /></span></label>
      </div>
      <p class="mono soft" title="The place, all digits are used">${shortDecimal(film.re, 30)}<br />${shortDecimal(film.im, 30)}</p>
    </details>`}
  <//>`;
}

function Size({ film, set, field }) {
  const chosen = SIZES.findIndex(([width, height]) => width === film.width && height === film.height);
  const [own, setOwn] = useState(chosen < 0);
  const choose = (event) => {
    const at = Number(event.target.value);
    setOwn(at < 0);
    if (at >= 0) set({ width: SIZES[at][0], height: SIZES[at][1] });
  };
  const number = (name, label, key) => html`<label>${label}
    <input type="number" min="2" step="2" value=${film[name]} ...${field(key)} onInput=${(event) => set({ [name]: Number(event.target.value) })} />
  </label>`;
  return html`<div class="pairs">
    <label>Size
      <select onChange=${choose}>
        ${SIZES.map(([width, height, name], i) => html`<option value=${i} selected=${!own && i === chosen}>${name} · ${width}×${height}</option>`)}
        <option value="-1" selected=${own}>another</option>
      </select>
    </label>
    <label>Frames a second
      <input list="rates" value=${film.fps} ...${field("fps")} onInput=${(event) => set({ fps: event.target.value.trim() })} />
      <datalist id="rates">${["24", "25", "30", "50", "60"].map((rate) => html`<option value=${rate} />`)}</datalist>
    </label>
    ${own && html`${number("width", "Width", "frame_width")}${number("height", "Height", "frame_height")}`}
  </div>`;
}

function Length({ film, set, depth, field }) {
  const rate = depth ? Number((depth / film.seconds).toPrecision(3)) : 0;
  return html`<div class="pairs">
    <label>Length, seconds
      <input type="number" min="0.1" step="any" value=${film.seconds} ...${field("num_frames")} onInput=${(event) => event.target.value > 0 && set({ seconds: Number(event.target.value) })} />
    </label>
    <label>or doublings a second
      <input type="number" min="0.01" step="any" value=${rate} onInput=${(event) => event.target.value > 0 && set({ seconds: Number((depth / event.target.value).toPrecision(4)) })} />
    </label>
  </div>`;
}

function Sampling({ film, set, field }) {
  const shared = film.sampling === "shared";
  return html`<div class="pairs">
      <label>Sampling
        <select ...${field("sampling")} onChange=${(event) => set({ sampling: event.target.value, supersampling: USUAL.supersampling })}>
          <option value="shared" selected=${shared}>shared: cheaper</option>
          <option value="exact" selected=${!shared}>exact: frame by frame</option>
        </select>
      </label>
      <label>Samples a pixel
        <select disabled=${shared} aria-describedby=${shared ? "own-samples" : null} ...${shared ? {} : field("supersampling")} onChange=${(event) => set({ supersampling: Number(event.target.value) })}>
          ${shared
            ? html`<option>chosen by itself</option>`
            : [1, 2, 3, 4].map((n) => html`<option value=${n} selected=${n === film.supersampling}>${n === 1 ? "1" : `${n} × ${n}: ${n * n} times the work`}</option>`)}
        </select>
      </label>
    </div>
    ${shared &&
    html`<p id="own-samples" class="soft"><small>Shared sampling chooses its samples along the whole way; the film is as smooth as with 3 × 3.</small></p>
      <label class="inline"><input type="checkbox" checked=${film.keep} onChange=${(event) => set({ keep: event.target.checked })} /> <span>Keep what recolouring needs</span></label>`}`;
}

function Price({ film, checked, estimated, unknown }) {
  const rate = framesPerSecond(film.fps);
  return html`<dl class="facts" aria-label="What it takes">
    <div><dt>Frames</dt><dd>${count(checked?.frames ?? frames(film))}</dd></div>
    <div><dt>Plays</dt><dd>${rate ? playtime(frames(film) / rate) : "?"}</dd></div>
    <div><dt>Samples</dt><dd>${checked ? readable(checked.samples) : unknown}</dd></div>
    <div><dt>File</dt><dd>${span(estimated.bytes, bytes) ?? (estimated.seconds ? "not known" : unknown)}</dd></div>
    <div><dt>Renders</dt><dd>${span(estimated.seconds, duration) ?? estimated.why ?? (unknown === "…" ? "being measured…" : unknown)}</dd></div>
    ${checked?.state && html`<div><dt>Known</dt><dd>this film is ${checked.state}</dd></div>`}
  </dl>`;
}

/** [least, most] in words; null if it is not known. */
function span(range, words) {
  if (!range) return null;
  const [least, most] = range.map(words);
  return least === most ? `about ${most}` : `${least} to ${most}`;
}

const readable = (n) => (n >= 1e9 ? `${(n / 1e9).toPrecision(3)} thousand million` : n >= 1e6 ? `${(n / 1e6).toPrecision(3)} million` : count(n));

function Warnings({ list }) {
  return list.length > 0 && html`<ul class="warnings" aria-label="Warnings">${list.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`;
}

/** What the head says of a payload: [answer, refusal, set the refusal]. */
function useCheck(payload, again) {
  const [answer, setAnswer] = useState(null);
  const [refused, setRefused] = useState(null);
  const text = JSON.stringify(payload);
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setAnswer(await post("/api/check", payload, abort.signal));
        setRefused(null);
      } catch (error) {
        if (abort.signal.aborted) return;
        setAnswer(null);
        setRefused(error);
      }
    }, CHECK_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [text, again]);
  return [answer, refused, setRefused];
}

/** What the head estimates of a payload that it found right; {} while that is not known, {why} where there is none. */
function useEstimate(payload, checked, again) {
  const [estimated, setEstimated] = useState({});
  const text = checked && JSON.stringify(payload);
  useEffect(() => {
    setEstimated({});
    if (!text) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      try {
        setEstimated(await post("/api/estimate", payload, abort.signal));
      } catch (error) {
        if (!abort.signal.aborted) setEstimated({ why: `not known: ${inWords(error)}` });
      }
    }, ESTIMATE_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [text, again]);
  return estimated;
}

/** What the explorer's tiles say of the place that it shows: the share inside, the least and the greatest count. */
function useSample(explorer, place) {
  const [sample, setSample] = useState(null);
  const measured = useRef(false);
  const { wanted, done, waiting } = useStore(explorer.status);
  useEffect(() => {
    if (measured.current || waiting || done < wanted || !place.same(explorer.view.value)) return;
    measured.current = true;
    setSample(explorer.sample());
  }, [wanted, done, waiting]);
  return sample;
}
