// From the order form's choices to a payload, and what can be said of it before it is sent. No screen here.

import { FIELDS, lookOf } from "../explore/look.js";
import { log2Of, parseDecimal } from "../numbers/decimal.js";

export const SIZES = [
  [1280, 720, "720p"],
  [1920, 1080, "1080p"],
  [2560, 1440, "1440p"],
  [3840, 2160, "4K"],
  [1080, 1080, "square"],
  [1080, 1920, "upright"],
];

export const USUAL = {
  width: 1920,
  height: 1080,
  fps: "30",
  start: "2.5",
  seconds: 20,
  sampling: "shared",
  supersampling: 1,
  easing: 0.1,
  rotation: 0,
  keep: false,
};

const PACE = 1; // doublings a second of a new form
const LONGEST = 300; // seconds that a new form proposes at most
const SHORTEST = 5;

/** The fields of a payload that the form does not show: a film like another one keeps them. */
const SHOWN = new Set(["point", "start_delta", "end_delta", "num_frames", "frame_width", "frame_height", "fps",
  "maxiter", "supersampling", "sampling", "path", "easing", "rotation", "keep_strips", "look", ...FIELDS]);

const unseen = (payload) => Object.fromEntries(Object.entries(payload).filter(([name]) => !SHOWN.has(name)));

export const octaves = (film) => {
  const [start, end] = [film.start, film.end].map((text) => {
    const number = parseDecimal(String(text));
    return number ? log2Of(number) : null;
  });
  return start === null || end === null ? null : Math.abs(start - end);
};

export function framesPerSecond(text) {
  const [over, under = "1"] = String(text).split("/");
  const value = Number(over) / Number(under);
  return Number.isFinite(value) && value > 0 ? value : null;
}

export const frames = (film) => {
  const rate = framesPerSecond(film.fps) ?? 30;
  return film.path ? 1 + Math.round(pathSeconds(film.path) * rate) : Math.max(1, Math.round(film.seconds * rate));
};

/** Seconds of a path, [{re, im, extent, time, hold}, ...]; the first stop has no time. */
const pathSeconds = (path) => path.reduce((sum, { time, hold }, i) => sum + (i ? Number(time) : 0) + Number(hold), 0);

/** A form for a place, {re, im, extent}, with its look; `before` has choices of an earlier form. */
export function filmTo(place, look, before) {
  const film = { ...USUAL, look, ...before, re: place.re, im: place.im, end: place.extent };
  if (before?.seconds) return film;
  const depth = octaves(film) ?? 0;
  film.seconds = Math.round(Math.min(Math.max(depth / PACE, SHORTEST), LONGEST));
  return film;
}

/** The payload; fields that the service does not know are left out. */
export function payloadOf(film, known) {
  const all = {
    ...film.kept,
    ...(film.path ? { path: stopsOf(film.path) } : wayOf(film)),
    frame_width: Number(film.width),
    frame_height: Number(film.height),
    fps: film.fps,
    ...Object.fromEntries(FIELDS.map((name) => [name, String(film.look[name])])),
    maxiter: film.look.maxiter,
    supersampling: Number(film.supersampling),
    sampling: film.sampling,
    ...(film.sampling === "shared" && film.keep ? { keep_strips: true } : {}),
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => known.has(name)));
}

/** The fields of a zoom to one point. */
function wayOf(film) {
  return {
    point: `${film.re},${film.im}`,
    start_delta: film.start,
    end_delta: film.end,
    num_frames: frames(film),
    easing: String(film.easing),
    rotation: String(film.rotation),
  };
}

function stopsOf(path) {
  return path.map(({ re, im, extent, time, hold, ...others }, i) => ({
    ...others,
    point: `${re},${im}`,
    delta: extent,
    hold: String(hold),
    ...(i ? { time: String(time) } : {}),
  }));
}

/** The stops of a payload as a form has them; null if it has none. */
function pathOf({ path }) {
  if (!path?.length) return null;
  return path.map(({ point, delta, ...others }) => ({ ...others, re: point.split(",")[0], im: point.split(",")[1], extent: delta }));
}

/** A payload, with all its fields, as the order form has it. */
export function formerFilm(payload) {
  return {
    width: payload.frame_width,
    height: payload.frame_height,
    fps: String(payload.fps),
    start: String(payload.start_delta),
    seconds: payload.num_frames / (framesPerSecond(String(payload.fps)) ?? 30),
    sampling: payload.sampling,
    supersampling: payload.supersampling,
    easing: Number(payload.easing),
    rotation: payload.rotation,
    keep: payload.keep_strips,
    look: { ...lookOf(payload), maxiter: payload.maxiter },
    kept: unseen(payload),
    path: pathOf(payload),
  };
}

/** What a person should know before paying, as sentences. `sample` is {inside, least, most} of the last view, or null. */
export function warnings(film, sample) {
  const found = [];
  const depth = film.path ? null : octaves(film);
  if (depth !== null && depth < 0.5) found.push("The film hardly zooms: its first and last pictures show nearly the same.");
  const places = Math.min(...[film.re, film.im].map(decimals));
  const end = parseDecimal(String(film.end));
  const needed = end ? Math.ceil(-log2Of(end) / Math.log2(10)) + 1 : 0;
  if (places < needed && film.re !== "0" && film.im !== "0") {
    found.push(
      `The place has ${places} ${places === 1 ? "digit" : "digits"} after the point, and its last picture needs ${needed}: what lies there is decided by the missing ones.`,
    );
  }
  if (sample) {
    if (sample.inside === 1) found.push("The last picture is black: all of it lies inside the set, or needs more iterations.");
    else if (sample.inside > 0.6) found.push(`${Math.round(100 * sample.inside)} % of the last picture is black.`);
    else if (sample.most - sample.least < 0.01) found.push("The last picture has one colour: nothing happens there.");
  }
  if (depth !== null && depth / film.seconds > 3) found.push("More than three doublings a second is faster than most eyes follow.");
  return found;
}

function decimals(text) {
  const number = parseDecimal(String(text));
  return number ? Math.max(0, -number.exponent) : 0;
}
