// What people should know of a job's pictures (`notes` in docs/protocol.md), as sentences.

import { count } from "../shell/words.js";

const percent = (share) => `${share < 0.01 ? "under 1" : Math.round(100 * share)} %`;
const range = ({ first, last }) => (first === last ? `frame ${count(first)}` : `frames ${count(first)} to ${count(last)}`);

export function noteSentences(notes) {
  if (!notes) return [];
  const { reached, short, flat, gave_up: gaveUp } = notes;
  // Black frames say all that the share of black and a limit that was not found would say besides.
  const isBlack = flat?.inside > 0 && flat.inside === flat.frames;
  return [
    isBlack && `All is black in ${range(flat)}: the place lies inside of the set${flat.auto ? ", as far as can be told" : `, or needs more than ${count(flat.maxiter)} iterations`}.`,
    !isBlack && reached?.share > 0.5 && `${percent(reached.share)} of frame ${count(reached.frame)} is black: it is inside, or needs more than ${count(reached.maxiter)} iterations.`,
    short && `The iteration limit seems too low in ${range(short)}: of frame ${count(short.frame)}, ${percent(short.missing)} more would get a colour.`,
    flat && !isBlack && `There is one colour only in ${range(flat)}. The place may have too few digits (${count(flat.decimals)}), or nothing lies there.`,
    gaveUp && !isBlack && `No iteration limit was found for ${count(gaveUp.views)} of the views along the way: ${gaveUp.reason}`,
  ].filter(Boolean);
}
