// Which iteration limit a view needs: asked of the head, remembered by depth, steady while one moves about.

import { limitOf } from "./tile_source.js";

const FIRST = 1024; // of views near the whole set, so that the first picture waits for nothing
const SHALLOW = -8; // log2 of their extent
const BAND = 2; // octaves that share a limit
const ASK_MS = 200;
const FAILED_MS = 3000;

/** Rounds up to 1, 1.5, 2, 3, 4, 6, 8 ... so that neighbouring views ask for the same tiles. */
function rounded(limit) {
  const power = 2 ** Math.floor(Math.log2(limit));
  return power === limit ? limit : limit <= 1.5 * power ? Math.ceil(1.5 * power) : 2 * power;
}

const bandOf = (view) => Math.floor(-view.log2Extent / BAND);

export class LimitFinder {
  #found;
  #known = new Map(); // band -> {limit, view}
  #asked = null;
  #abort = null;
  #timer = 0;
  current = FIRST;

  /** `found({limit, error})` is called when a limit is known that was not. */
  constructor(found) {
    this.#found = found;
  }

  /** Whether an answer is to come. */
  get asking() {
    return this.#asked !== null;
  }

  /** The limit for a view's tiles; null if it must be waited for. */
  limitFor(view, frame, viewport) {
    const band = bandOf(view);
    const known = this.#known.get(band);
    if (!known || !near(known.view, view, viewport)) this.#ask(band, view, frame);
    if (known) this.current = known.limit;
    else if (view.log2Extent >= SHALLOW) this.current = FIRST;
    else {
      // A neighbouring depth of the same place serves until the answer comes; after a jump nothing does.
      const shallower = [1, 2, 3, -1, -2, -3].map((step) => this.#known.get(band - step)).find((one) => one && near(one.view, view, viewport, 8));
      if (!shallower) return null;
      this.current = shallower.limit;
    }
    return this.current;
  }

  #ask(band, view, frame) {
    if (this.#asked && this.#asked.band === band && this.#asked.view.same(view)) return;
    this.#abort?.abort();
    clearTimeout(this.#timer);
    this.#asked = { band, view };
    this.#timer = setTimeout(() => this.#fetch(band, view, frame), this.#known.size ? ASK_MS : 0);
  }

  async #fetch(band, view, frame) {
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const { maxiter } = await limitOf(frame.anchor, frame.extent, abort.signal);
      if (abort.signal.aborted) return;
      const before = this.#known.get(band)?.limit;
      let limit = rounded(maxiter);
      // A little less than before is no reason to draw the same place otherwise.
      if (before > limit && before <= 4 * limit) limit = before;
      this.#known.set(band, { limit, view });
      this.#asked = null;
      this.#found({ limit, error: null });
    } catch (error) {
      if (abort.signal.aborted) return;
      this.#found({ limit: this.current, error });
      this.#timer = setTimeout(() => {
        this.#asked = null;
        this.#found({ limit: this.current, error: null });
      }, FAILED_MS);
    }
  }
}

/** Whether a view's centre lies on the screen of another, which may be `wider` times as large. */
function near(one, other, viewport, wider = 1) {
  const shorter = Math.min(viewport.width, viewport.height);
  const { x, y } = one.toScreen(other.re, other.im, other.bits, shorter);
  return Math.hypot(x, y) < (shorter * wider) / 2;
}
