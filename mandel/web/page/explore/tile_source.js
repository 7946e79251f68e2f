// Tiles from the head: one request brings many; a new request ends the one before, and with it the work nobody wants.

import { chunks, post, Refused, request } from "../service/api.js";

const COARSE_STEP = 8;
const STAGE = 0xffffffff;
const MOST_TILES = 512;
const AGAIN_MS = 2000;

/** Anchors have a name at the head; the service forgets it when it is started anew. */
const names = new WeakMap();

function hex(n) {
  return n < 0n ? `-${(-n).toString(16)}` : n.toString(16);
}

/** No asker's signal ends it: others may wait for the same. Who has left is stopped by what he asks for next. */
function anchorName(anchor) {
  if (!names.has(anchor)) {
    const named = post("/api/anchors", { level: anchor.level, x: hex(anchor.x), y: hex(anchor.y) });
    named.catch(() => names.delete(anchor));
    names.set(anchor, named);
  }
  return names.get(anchor).then((answer) => answer.anchor);
}

/** Does something with the names of anchors, once more if the head does not know one any longer. */
async function withNames(anchors, act) {
  const named = () => Promise.all(anchors.map(anchorName));
  try {
    return await act(await named());
  } catch (error) {
    if (error.code !== "NO_ANCHOR") throw error;
    for (const anchor of anchors) names.delete(anchor);
    return act(await named());
  }
}

/** The iteration limit that a view needs: {maxiter, resolved, reason}. */
export function limitOf(anchor, { dlevel, x, y }, signal) {
  return withNames([anchor], ([name]) => post("/api/limit", { anchor: name, dlevel, x, y }, signal));
}

/** The knots of the mapping "even" for a film to views, [{anchor, extent}, ...], the same however one came there. */
export async function curveOf(views, maxiter, signal) {
  const given = maxiter === "auto" ? {} : { maxiter };
  const anchors = views.map(({ anchor }) => anchor);
  const answer = await withNames(anchors, (found) => {
    const asked = views.map(({ extent: { dlevel, x, y } }, i) => ({ anchor: found[i], dlevel, x, y }));
    return post("/api/curve", { views: asked, ...given }, signal);
  });
  return answer.knots;
}

/** A tile's body: {size, maxiter, counts (float32, size x size), shading: {distance (halves), slope} or null}; null if it is no tile. */
function readTile(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < 20 || view.getUint32(0, false) !== 0x4d544c31) return null;
  const [columns, rows, maxiter, flags] = [
    view.getUint16(4, true),
    view.getUint16(6, true),
    view.getUint32(8, true),
    view.getUint32(12, true),
  ];
  const samples = columns * rows;
  const counts =
    flags & 1
      ? new Float32Array(samples).fill(view.getFloat32(16, true))
      : new Float32Array(bytes.slice(16, 16 + 4 * samples).buffer); // browsers' machines are little endian, as tiles are
  const rest = bytes.slice(16 + 4 * samples).buffer;
  const shading = flags & 2 ? { distance: new Uint16Array(rest, 0, samples), slope: new Int8Array(rest, 2 * samples) } : null;
  return { size: columns, maxiter, counts, shading };
}

/** The parts of a tile stream: [index, bytes] as they come. */
async function* parts(answer) {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks(answer)) {
    const joined = new Uint8Array(rest.length + chunk.length);
    joined.set(rest);
    joined.set(chunk, rest.length);
    rest = joined;
    for (;;) {
      if (rest.length < 8) break;
      const view = new DataView(rest.buffer, rest.byteOffset);
      const length = view.getUint32(4, true);
      if (rest.length < 8 + length) break;
      yield [view.getUint32(0, true), rest.subarray(8, 8 + length)];
      rest = rest.subarray(8 + length);
    }
  }
}

export class TileSource {
  #on;
  #running = null; // {key, abort}
  #again = 0;

  /** `on` = {stage({stage, done, total} or null), trouble(error or null)}. */
  constructor(on) {
    this.#on = on;
  }

  /** Fetches these tiles and no others from now on: {anchor, maxiter, shaded, coarse, sharp: lists of {level, dx, dy}}. */
  want(wanted, onTile) {
    const key = `${wanted.maxiter}|${wanted.shaded}|${wanted.sharp.map(({ level, dx, dy }) => `${level},${dx},${dy}`).sort().join(";")}`;
    if (this.#running?.key === key && this.#running.anchor === wanted.anchor) return;
    this.stop();
    if (!wanted.sharp.length) {
      this.#on.trouble(null);
      return;
    }
    const abort = new AbortController();
    const running = { key, anchor: wanted.anchor, abort };
    this.#running = running;
    this.#fetchAll(wanted, onTile, abort.signal)
      .then(() => this.#on.trouble(null))
      .catch((error) => {
        if (abort.signal.aborted) return;
        this.#on.trouble(error);
        const passes = !(error instanceof Refused) || error.status >= 429;
        if (passes) this.#again = setTimeout(() => this.#running === running && this.#restart(wanted, onTile), AGAIN_MS);
      })
      .finally(() => {
        if (!abort.signal.aborted) this.#on.stage(null);
      });
  }

  #restart(wanted, onTile) {
    this.#running = null;
    this.want(wanted, onTile);
  }

  stop() {
    clearTimeout(this.#again);
    if (!this.#running) return;
    this.#running.abort.abort();
    this.#running = null;
    this.#on.stage(null);
  }

  async #fetchAll({ anchor, maxiter, shaded, coarse, sharp }, onTile, signal) {
    for (const [tiles, step] of [
      [coarse, COARSE_STEP],
      [sharp, 1],
    ]) {
      for (let first = 0; first < tiles.length; first += MOST_TILES) {
        await this.#fetch({ anchor, maxiter, shaded, step }, tiles.slice(first, first + MOST_TILES), onTile, signal);
      }
    }
  }

  async #fetch({ anchor, ...how }, tiles, onTile, signal) {
    const answer = await withNames([anchor], ([name]) =>
      request(
        "POST",
        "/api/tiles",
        { anchor: name, ...how, tiles: tiles.map(({ level, dx, dy }) => [level - anchor.level, dx, dy]) },
        signal,
      ),
    );
    let failed = null;
    const missing = new Set(tiles.keys());
    for await (const [index, bytes] of parts(answer)) {
      if (signal.aborted) return;
      if (index === STAGE) {
        this.#on.stage(JSON.parse(new TextDecoder().decode(bytes)));
        continue;
      }
      missing.delete(index);
      const tile = readTile(bytes);
      if (tile) onTile({ ...tiles[index], ...tile });
      else failed = new Refused(500, JSON.parse(new TextDecoder().decode(bytes)).error ?? {});
    }
    if (failed?.code === "NO_ANCHOR") names.delete(anchor);
    if (failed) throw failed;
    if (missing.size) throw new Refused(503, { code: "TILES_MISSING", message: "The service did not send all tiles." });
  }
}
