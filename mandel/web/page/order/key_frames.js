// A strip of pictures along the zoom, and a larger one of the chosen moment, before anything is paid for.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { log2Of, parseDecimal, powerText } from "../numbers/decimal.js";
import { View } from "../numbers/view.js";
import { needsShading } from "../explore/look.js";
import { curveOf, limitOf, TileSource } from "../explore/tile_source.js";
import { TileLayer } from "../explore/tiles.js";
import { shortDecimal } from "../shell/words.js";

const FRAMES = 7;
const SHORTER = 135; // pixels of a key frame's shorter side
const WAIT_MS = 400; // the form may still be changing

/** `again`: another one asks anew for what did not come. */
export function KeyFrames({ explorer, film, again }) {
  const places = placesOf(film);
  const [chosen, setChosen] = useState((places?.length ?? 1) - 1);
  const canvases = useRef([]);
  const large = useRef(null);
  const size = sizeOf(film);
  const { look } = film;
  const [curve, setCurve] = useState(null); // of the mapping "even", for these frames
  const [shaded, even] = [needsShading(look), look.mapping === "even"];
  const key = JSON.stringify([places, size, shaded, even, again]);
  const shader = explorer.shader(look, curve ?? undefined);
  const state = useRef({ layers: [] });
  Object.assign(state.current, { shader, shaded, even, chosen, setCurve, maxiter: look.maxiter ?? "auto", isPath: Boolean(film.path) });

  const draw = (i) => {
    const layer = state.current.layers[i];
    const canvas = canvases.current[i];
    if (!layer || !canvas) return;
    layer.tiles.setLook(state.current.shader);
    layer.tiles.draw(canvas.getContext("2d"), layer.view, layer.viewport, Infinity);
    if (i === state.current.chosen) enlarge();
  };
  const enlarge = () => {
    const from = canvases.current[state.current.chosen];
    const context = large.current?.getContext("2d");
    if (from && context) context.drawImage(from, 0, 0, large.current.width, large.current.height);
  };
  useEffect(() => {
    if (!places) return;
    const abort = new AbortController();
    const timer = setTimeout(() => load(places, size, state.current, draw, abort.signal), WAIT_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [key]);
  useEffect(() => places?.forEach((_, i) => draw(i)), [JSON.stringify(look), curve]);
  useEffect(enlarge, [chosen]);

  const extent = places ? shortDecimal(places[chosen]?.extent ?? "", 4) : "";
  return html`<figure class="key-frames" aria-label="Pictures along the zoom">
    <canvas ref=${large} class="strip-large" width=${size.width} height=${size.height} role="img" aria-label=${`The picture at extent ${extent}`}></canvas>
    <div class="strip" aria-hidden="true">
      ${Array.from({ length: places?.length ?? FRAMES }, (_, i) => html`<canvas
          key=${i}
          ref=${(canvas) => (canvases.current[i] = canvas)}
          class=${i === chosen ? "chosen" : ""}
          width=${size.width}
          height=${size.height}
          onClick=${() => setChosen(i)}
        ></canvas>`)}
    </div>
    <input type="range" min="0" max=${(places?.length ?? FRAMES) - 1} value=${chosen} aria-label="Moment of the zoom" aria-valuetext=${`extent ${extent}`}
      onInput=${(event) => setChosen(Number(event.target.value))} />
  </figure>`;
}

function sizeOf({ width, height }) {
  const scale = SHORTER / Math.max(Math.min(width, height), 1);
  return { width: Math.min(Math.round(width * scale) || 1, 480), height: Math.min(Math.round(height * scale) || 1, 480) };
}

/** The places of the strip, [{re, im, extent}, ...]: evenly along the zoom, or stops of the path; null if one is none. */
function placesOf({ re, im, start, end, path }) {
  if (path) {
    const count = Math.min(FRAMES, path.length);
    return Array.from({ length: count }, (_, i) => path[Math.round((i * (path.length - 1)) / (count - 1))]);
  }
  const [from, to] = [start, end].map((text) => parseDecimal(String(text))).map((number) => number && log2Of(number));
  if (from === null || to === null || from === undefined || to === undefined) return null;
  return Array.from({ length: FRAMES }, (_, i) => ({ re, im, extent: powerText(from + ((to - from) * i) / (FRAMES - 1)) }));
}

/** Draws the last frame first, as it is what the film is for; then the others in their order. */
async function load(places, size, state, draw, signal) {
  const viewport = { ...size, density: 1 };
  const order = [places.length - 1, ...Array(places.length - 1).keys()];
  state.layers = [];
  for (const i of order) {
    const view = View.of(places[i].re, places[i].im, places[i].extent);
    if (!view) return;
    const layer = { view, viewport };
    const source = new TileSource({ stage() {}, trouble: (error) => error && layer.failed?.(error) });
    signal.addEventListener("abort", () => (source.stop(), layer.done?.()));
    layer.tiles = new TileLayer(source, () => (draw(i), layer.tiles.isComplete && layer.done()), () => true);
    layer.tiles.shaded = state.shaded;
    const frame = layer.tiles.frame(view, viewport);
    layer.limit = () => (layer.asked ??= limitOf(frame.anchor, frame.extent, signal));
    layer.frame = frame;
    state.layers[i] = layer;
  }
  if (state.even) await learnCurve(state, signal);
  for (const i of order) {
    if (signal.aborted) return;
    const layer = state.layers[i];
    try {
      const { maxiter } = await layer.limit();
      await new Promise((done, failed) => {
        Object.assign(layer, { done, failed });
        layer.tiles.want(layer.view, viewport, maxiter);
      });
    } catch {
      // A strip with a gap: the form's other parts say if the service is not reached.
    }
  }
}

/** The curve of the film: of a zoom that to its deepest view, of a path that to its stops. */
async function learnCurve(state, signal) {
  const layers = state.isPath ? state.layers : [state.layers.reduce((one, other) => (other.view.log2Extent < one.view.log2Extent ? other : one))];
  try {
    state.setCurve(await curveOf(layers.map(({ frame }) => frame), state.maxiter, signal));
  } catch {
    // They have the explorer's curve then, until the form changes.
  }
}
