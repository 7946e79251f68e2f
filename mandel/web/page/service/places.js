// Places that the service reads: files of other programs, and text as people paste it.

import { lookOf } from "../explore/look.js";
import { fragmentIn, readLink } from "../numbers/place_text.js";
import { View } from "../numbers/view.js";
import { formerFilm } from "../order/film.js";
import { post, Refused } from "./api.js";

const HOME_EXTENT = "2.5";
const MOST_BYTES = 4 << 20; // that the service takes, and that are searched at either end of a larger file
const MARK = "mandel payload: {"; // so begins what films and pictures carry (payload/in_file.py)
const LONGEST = 1 << 17; // of that

/** {view or null, look, said: sentences about it, film: as a form has it, or null} of a file or a text; may raise Refused. */
export async function placeIn(source, { facts, usual, viewport: { width, height } }) {
  const fragment = typeof source === "string" ? fragmentIn(source) : null;
  if (fragment !== null) {
    const { view, look, wrong, instead } = readLink(fragment, facts, usual);
    if (!view) throw new Refused(0, { code: "BAD_LINK", message: wrong });
    return { view, look, said: wrong ? [wrong, instead] : [] };
  }
  const shape = { width: Math.round(width), height: Math.round(height) };
  const what = typeof source === "string" ? { text: source } : { name: source.name, data: await read(source) };
  const { place, look, said, film } = await post("/api/place", { ...what, ...shape });
  const view = place && View.of(place.re, place.im, place.extent ?? HOME_EXTENT);
  return { view, look: { ...lookOf(look), ...(film && { maxiter: film.maxiter }) }, said, film: film && formerFilm(film) };
}

async function read(file) {
  try {
    return await base64(await telling(file));
  } catch (error) {
    if (error instanceof Refused) throw error;
    throw new Refused(0, { code: "BAD_FILE", message: `${file.name} cannot be read: it is a folder, it is gone, or you may not read it.` });
  }
}

/** A file, or of a large one the part that has its payload: films are not sent. */
async function telling(file) {
  if (file.size <= MOST_BYTES) return file;
  for (const from of [0, file.size - MOST_BYTES]) {
    const letters = new TextDecoder("latin1").decode(await file.slice(from, from + MOST_BYTES).arrayBuffer());
    const at = letters.indexOf(MARK);
    if (at >= 0) return file.slice(from + at, from + at + LONGEST);
  }
  const message = `${file.name} carries no payload: only films, posters and stills of this program do. Files of other programs have ${MOST_BYTES >> 20} MiB here at most.`;
  throw new Refused(0, { code: "BAD_FILE", message });
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
