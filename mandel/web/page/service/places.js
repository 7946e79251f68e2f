// Places that the service reads: files of other programs, and text as people paste it.

import { lookOf } from "../explore/look.js";
import { readPlace } from "../numbers/place_text.js";
import { View } from "../numbers/view.js";
import { post } from "./api.js";

const HOME_EXTENT = "2.5";
const MOST_BYTES = (4 << 20) + 1; // one more than the service takes: it says so

/** {view or null, look, said: sentences about it} of a file or a text; raises Refused if it has none. */
export async function placeIn(source, { width, height }) {
  const own = typeof source === "string" && readPlace(source);
  if (own) return { ...own, said: [] };
  const shape = { width: Math.round(width), height: Math.round(height) };
  const what = typeof source === "string" ? { text: source } : { name: source.name, data: await base64(source.slice(0, MOST_BYTES)) };
  const { place, look, said } = await post("/api/place", { ...what, ...shape });
  return { view: place && View.of(place.re, place.im, place.extent ?? HOME_EXTENT), look: lookOf(look), said };
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error("The file cannot be read."));
    reader.readAsDataURL(file);
  });
}
