// Places as the page's own text: the fragments of its links, and "re, im, extent".

import { FIELDS, RANGES } from "../explore/look.js";
import { View } from "./view.js";

const SAID = ["palette", "mapping"]; // in every link
// Of links that say a palette and no mapping: they were made when "root" was usual.
const MAPPING_BEFORE = "root";

/** The fragment of a link that shows a view with a look again; of a look what is `usual` is not said, but for `SAID`. */
export function toFragment(view, look, usual) {
  const { re, im, extent } = view.text();
  const said = [...FIELDS, "maxiter"].filter((name) => SAID.includes(name) || look[name] !== usual[name]);
  return `#${[`at=${re},${im},${extent}`, ...said.map((name) => `${name}=${look[name]}`)].join("&")}`;
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
  for (const name of FIELDS) {
    if (fields.has(name)) look[name] = name in RANGES ? Number(fields.get(name)) : fields.get(name);
  }
  if ("palette" in look) look.mapping ??= MAPPING_BEFORE;
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

/** {view, look} of a link to this page or of "re, im, extent"; null of other text, which the service reads. */
export function readPlace(text) {
  const fragment = /#(at=\S+)/.exec(text)?.[1] ?? `at=${text.replace(/\s/g, "")}`;
  return fromFragment(fragment);
}
