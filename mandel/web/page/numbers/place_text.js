// Places as the page's own text: the fragments of its links, and "re, im, extent".

import { allowed, FIELDS, RANGES } from "../explore/look.js";
import { View } from "./view.js";

const SAID = ["palette", "mapping"]; // in every link
// Of links that say a palette and no mapping: they were made when "root" was usual.
const MAPPING_BEFORE = "root";
const HOME_EXTENT = "2.5"; // of a point without an extent
const LONGEST = 32; // letters of what was not understood, as it is quoted

/** The fragment of a link that shows a view with a look again; of a look what is `usual` is not said, but for `SAID`. */
export function toFragment(view, look, usual) {
  const { re, im, extent } = view.text();
  const said = [...FIELDS, "maxiter"].filter((name) => SAID.includes(name) || look[name] !== usual[name]);
  return `#${[`at=${re},${im},${extent}`, ...said.map((name) => `${name}=${look[name]}`)].join("&")}`;
}

/** {view, look} of a fragment, with what it does not say left out; null if it names no place. */
export function fromFragment(fragment) {
  const fields = fieldsOf(fragment);
  const at = (fields.get("at") ?? "").split(",");
  const view = at.length === 3 ? View.of(...at) : null;
  return view && { view, look: lookIn(fields) };
}

/**
 * What is good of a link that may be damaged, cut, or of another version: {view, look, wrong, instead}. `view` is null
 * where it has no point. `wrong`: a sentence of what was not understood, "" for a whole link; `instead`: one of what
 * stands in for that, `usual` in a look.
 */
export function readLink(fragment, facts, usual) {
  const fields = fieldsOf(fragment);
  const look = allowed(lookIn(fields), facts);
  const strange = [...fields].filter(([name]) => name !== "at" && !(name in look));
  const [re, im, extent, ...more] = fields.get("at")?.split(",") ?? [];
  const inReach = (view) => (view?.log2Extent >= -facts.limits.max_depth * Math.log2(10) ? view : null);
  const whole = inReach(View.of(re, im, extent));
  const view = whole ?? View.of(re, im, HOME_EXTENT);
  const numbers = [
    ["real part", re, View.of(re, 0, 1)],
    ["imaginary part", im, View.of(0, im, 1)],
    ["extent", extent, inReach(View.of(0, 0, extent))],
  ];
  const wrong = [
    ...numbers.filter(([, , right]) => fields.has("at") && !right).map(([name, text]) => (text ? `${name} ${quoted(text)}` : `no ${name}`)),
    more.length && quoted(more.join(",")),
    ...strange.map(([name, text]) => quoted(name === text ? name : `${name}=${text}`)),
    fields.size && !fields.has("at") && "it names no place",
  ].filter(Boolean);
  const instead = [
    !whole && (view ? `the point at extent ${HOME_EXTENT}` : "the whole set"),
    ...strange.filter(([name]) => Object.hasOwn(usual, name)).map(([name]) => `${name} ${usual[name]}`),
  ].filter(Boolean);
  return {
    view,
    look,
    wrong: wrong.length ? `Not understood in this link: ${wrong.join(", ")}.` : "",
    instead: instead.length ? `Shown instead: ${instead.join(", ")}.` : "The rest of it is shown.",
  };
}

const quoted = (text) => `“${text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text}”`;

function fieldsOf(fragment) {
  // Mail programs and pages write "&" as "&amp;".
  const parts = fragment.replace(/^#/, "").split(/&(?:amp;)?/).filter(Boolean);
  return new Map(parts.map((part) => [part.split("=", 1)[0], decoded(part.slice(part.indexOf("=") + 1))]));
}

function lookIn(fields) {
  const look = {};
  for (const name of FIELDS) {
    if (fields.has(name)) look[name] = name in RANGES ? numberOf(fields.get(name)) : fields.get(name);
  }
  if ("palette" in look) look.mapping ??= MAPPING_BEFORE;
  const maxiter = fields.get("maxiter");
  if (maxiter !== undefined) look.maxiter = /^\d+$/.test(maxiter) ? Number(maxiter) : maxiter;
  return look;
}

/** As `Number`, but for no text, which is no number. */
const numberOf = (text) => (text.trim() ? Number(text) : NaN);

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The fragment of a link to this page, or of "re, im, extent"; null of other text, which the service reads. */
export function fragmentIn(text) {
  const link = /#(at=\S+)/.exec(text)?.[1];
  const numbers = `at=${text.replace(/\s/g, "")}`;
  return link ?? (fromFragment(numbers) ? numbers : null);
}
