// Places as text: the page's own links, and what people paste (numbers, payloads, Kalles Fraktaler, Fraktaler 3).

import { powerText, log2Of, parseDecimal } from "./decimal.js";
import { View } from "./view.js";

const NUMBER = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?`;
const HOME_EXTENT = "2.5";
// Files of other programs say how often the picture of this extent is magnified.
const MAGNIFIED_LOG2 = 2;

/** The fragment of a link that shows a view with a look again. */
export function toFragment(view, look) {
  const { re, im, extent } = view.text();
  const parts = [`at=${re},${im},${extent}`, `palette=${look.palette}`];
  if (look.density !== look.usual.density) parts.push(`density=${look.density}`);
  if (look.offset !== look.usual.offset) parts.push(`offset=${look.offset}`);
  if (look.maxiter !== "auto") parts.push(`maxiter=${look.maxiter}`);
  return `#${parts.join("&")}`;
}

/** {view, look} of a fragment, with what it does not say left out; null if it names no place. */
export function fromFragment(fragment) {
  const fields = new Map(
    fragment
      .replace(/^#/, "")
      .split("&")
      .map((part) => [part.split("=", 1)[0], decoded(part.slice(part.indexOf("=") + 1))]),
  );
  const at = (fields.get("at") ?? "").split(",");
  const view = at.length === 3 ? View.of(...at) : null;
  if (!view) return null;
  const look = {};
  if (fields.has("palette")) look.palette = fields.get("palette");
  for (const name of ["density", "offset"]) {
    const value = Number(fields.get(name));
    if (fields.has(name) && Number.isFinite(value)) look[name] = value;
  }
  if (/^\d{1,10}$/.test(fields.get("maxiter") ?? "")) look.maxiter = Number(fields.get("maxiter"));
  return { view, look };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function payload(text) {
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof found?.point !== "string") return null;
  // The numbers' own text: JSON.parse would round what was not written as a string.
  const delta = new RegExp(`"(?:end_delta|minibrot_delta)"\\s*:\\s*"?(${NUMBER})`).exec(text);
  return [...found.point.split(","), delta ? delta[1] : HOME_EXTENT];
}

function named(text, re, im, zoom) {
  const [x, y, z] = [re, im, zoom].map((name) =>
    new RegExp(`^\\s*${name}\\s*[:=]\\s*["']?(${NUMBER})`, "im").exec(text)?.[1],
  );
  if (x === undefined || y === undefined) return null;
  const magnified = z && log2Of(parseDecimal(z));
  return [x, y, magnified ? powerText(MAGNIFIED_LOG2 - magnified) : HOME_EXTENT];
}

function numbers(text) {
  const found = text.match(new RegExp(NUMBER, "g")) ?? [];
  const rest = text.replace(new RegExp(NUMBER, "g"), "").replace(/delta|extent|point|re|im|[\s,;:=()[\]+*i"'-]/gi, "");
  return rest === "" && (found.length === 2 || found.length === 3) ? [found[0], found[1], found[2] ?? HOME_EXTENT] : null;
}

/** {view, look} of any text that names a place; null if none does. */
export function readPlace(text) {
  const fragment = /#(at=\S+)/.exec(text);
  if (fragment) return fromFragment(fragment[1]);
  const fields =
    payload(text) ??
    named(text, "re", "im", "zoom") ??
    named(text, "location\\.real|real", "location\\.imag|imag", "location\\.zoom|zoom") ??
    numbers(text.replace(/\u2212/g, "-"));
  const view = fields && View.of(...fields);
  return view && { view, look: {} };
}
