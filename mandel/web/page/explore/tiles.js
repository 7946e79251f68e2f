// The tiles on the screen: which are wanted, in which order; what is cached; how they are drawn over each other.

import { Anchor, Level, levelOf, TILE } from "./grid.js";
import { colourTile } from "./palette.js";

const ANCESTORS = 14; // levels above that may stand in
const STAND_IN = 3; // an ancestor so near is as good as a coarse tile
const KEPT = 400; // tiles, of 0.5 MB with their colours, 0.75 MB with shading
const FADE_MS = 140;
const LOOK_MS = 400; // a new curve of colours comes so calmly

/** Draws views from tiles; `source.want(...)` fetches them (tile_source.js), `changed()` is told of each that came. */
export class TileLayer {
  #source;
  #changed;
  #calm;
  #anchor = null;
  #tiles = new Map(); // level -> Map of "dx,dy" -> tile
  #count = 0;
  #look = 0; // counts them
  #shader = null;
  #former = null; // the shader before, while its colours fade
  #turning = -Infinity; // when that began
  #wanted = { level: 0, visible: [], limit: 0 }; // by the latest view
  shownLimit = Infinity; // counts beyond it are shown as inside
  shaded = false; // whether tiles must have distances and slopes

  constructor(source, changed, calm) {
    this.#source = source;
    this.#changed = changed;
    this.#calm = calm;
  }

  #get(level, dx, dy) {
    return this.#tiles.get(level)?.get(`${dx},${dy}`);
  }

  #keep({ level, dx, dy, counts, size, maxiter, shading }, shaded) {
    const had = this.#get(level, dx, dy);
    if (had && had.size > size) return;
    const canvas = had?.size === size ? had.canvas : newCanvas(size);
    // A tile without a sample at the limit is right for every limit.
    const final = counts.indexOf(0) < 0;
    if (!this.#tiles.has(level)) this.#tiles.set(level, new Map());
    const born = had ? had.born : performance.now();
    this.#tiles.get(level).set(`${dx},${dy}`, {
      counts,
      shading,
      shaded,
      size,
      maxiter: final ? Infinity : maxiter,
      canvas,
      former: null, // the colours before, while they fade
      look: 0,
      born,
      used: born,
    });
    if (!had) this.#count += 1;
  }

  #satisfied(level, dx, dy, limit) {
    const tile = this.#get(level, dx, dy);
    return tile !== undefined && tile.size === TILE && tile.maxiter >= limit && tile.shaded >= this.shaded;
  }

  #standsIn(level, dx, dy) {
    if (this.#get(level, dx, dy)) return true;
    for (let up = 1; up <= STAND_IN; up++) {
      // Offsets of ancestors follow from absolute indices, as the anchor's own are not divisible.
      const { x, y } = this.#ancestor(level, dx, dy, up);
      if (this.#get(level - up, x, y)?.size === TILE) return true;
    }
    return false;
  }

  #ancestor(level, dx, dy, up) {
    const [origin, above] = [this.#anchor.origin(level), this.#anchor.origin(level - up)];
    return {
      x: Number(((origin.x + BigInt(dx)) >> BigInt(up)) - above.x),
      y: Number(((origin.y + BigInt(dy)) >> BigInt(up)) - above.y),
    };
  }

  /** The anchor for a view and where the view lies, in tiles of its level. */
  frame(view, viewport) {
    const level = levelOf(view, Math.min(viewport.width, viewport.height), viewport.density);
    if (!this.#anchor?.serves(view, level)) this.#moveAnchor(Anchor.at(view, level));
    const grid = new Level(this.#anchor, view, viewport, level);
    const [left, bottom] = [grid.centre.x - grid.left / grid.edge, grid.centre.y + 1 - (viewport.height - grid.top) / grid.edge];
    return {
      anchor: this.#anchor,
      level,
      grid,
      extent: {
        dlevel: level - this.#anchor.level,
        x: [left, left + viewport.width / grid.edge],
        y: [bottom, bottom + viewport.height / grid.edge],
      },
    };
  }

  /** Asks for what a view lacks with this limit, and no longer for anything else. */
  want(view, viewport, limit) {
    const { anchor, level, grid } = this.frame(view, viewport);
    const visible = grid.visible();
    const sharp = visible.filter(({ dx, dy }) => !this.#satisfied(level, dx, dy, limit)).map(({ dx, dy }) => ({ level, dx, dy }));
    const coarse = sharp.length > 1 ? sharp.filter(({ dx, dy }) => !this.#standsIn(level, dx, dy)) : [];
    this.#wanted = { level, visible, limit };
    const { shaded } = this;
    this.#source.want({ anchor, maxiter: limit, shaded, coarse, sharp }, (tile) => {
      if (anchor !== this.#anchor) return;
      this.#keep(tile, shaded);
      this.#forget();
      this.#changed();
    });
  }

  /** How many tiles the latest view has, and how many of them are here. */
  get progress() {
    const { level, visible, limit } = this.#wanted;
    return { wanted: visible.length, done: visible.filter(({ dx, dy }) => this.#satisfied(level, dx, dy, limit)).length };
  }

  get isComplete() {
    const { wanted, done } = this.progress;
    return done === wanted;
  }

  /** Names the tiles anew from another anchor, and drops those that are too far from it. */
  #moveAnchor(anchor) {
    const old = this.#anchor;
    this.#anchor = anchor;
    if (!old) return;
    const before = this.#tiles;
    this.#tiles = new Map();
    this.#count = 0;
    for (const [level, tiles] of before) {
      const [from, to] = [old.origin(level), anchor.origin(level)];
      const [x, y] = [from.x - to.x, from.y - to.y];
      if (![x, y].every((shift) => shift < 2n ** 30n && shift > -(2n ** 30n))) continue;
      const moved = new Map();
      for (const [key, tile] of tiles) {
        const [dx, dy] = key.split(",").map(Number);
        moved.set(`${dx + Number(x)},${dy + Number(y)}`, tile);
      }
      this.#tiles.set(level, moved);
      this.#count += moved.size;
    }
  }

  /** Drops the tiles that were drawn longest ago. */
  #forget() {
    if (this.#count <= KEPT) return;
    const all = [...this.#tiles].flatMap(([level, tiles]) => [...tiles].map(([key, tile]) => ({ used: tile.used, level, key })));
    all.sort((a, b) => a.used - b.used);
    for (const { level, key } of all.slice(0, this.#count - Math.floor(0.9 * KEPT))) {
      this.#tiles.get(level).delete(key);
      this.#count -= 1;
    }
  }

  /**
   * From now on tiles are coloured in this way (look.js); null: as before. Nothing is drawn before there is a first one.
   * `now`: when the colours before begin to fade into these; without it these are there at once.
   */
  setLook(shader, now = -Infinity) {
    if (!shader) return;
    this.#former = this.#shader;
    this.#turning = this.#former ? now : -Infinity;
    this.#look += 1;
    this.#shader = shader;
  }

  /** Whether there are colours to draw with. */
  get hasLook() {
    return this.#shader !== null;
  }

  /** Milliseconds until the colours before have faded. */
  get fadesFor() {
    return this.#calm() ? 0 : Math.max(this.#turning + LOOK_MS - performance.now(), 0);
  }

  /** How far the colours before have faded into the latest ones, from 0 to 1: the same for all tiles of a frame. */
  #turned(now) {
    return this.#calm() ? 1 : Math.min(Math.max((now - this.#turning) / LOOK_MS, 0), 1);
  }

  #paint(tile, shader, canvas = newCanvas(tile.size)) {
    const image = new ImageData(tile.size, tile.size);
    colourTile(tile, new Uint32Array(image.data.buffer), shader, this.shownLimit);
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /** Colours a tile for a frame in which the colours before have faded so far. */
  #colour(tile, now, turned) {
    if (tile.look !== this.#look) {
      if (turned < 1) {
        const painted = tile.look === this.#look - 1;
        tile.former = painted ? tile.canvas : this.#paint(tile, this.#former);
        if (painted) tile.canvas = newCanvas(tile.size);
      }
      this.#paint(tile, this.#shader, tile.canvas);
      tile.look = this.#look;
    }
    if (turned === 1) tile.former = null;
    tile.used = now;
  }

  /**
   * Draws a view into a context whose units are the viewport's pixels times its density.
   * Returns whether it should be drawn again soon, because a tile is still fading in, or a look.
   */
  draw(context, view, viewport, now) {
    const { density } = viewport;
    const shorter = Math.min(viewport.width, viewport.height);
    context.clearRect(0, 0, viewport.width * density, viewport.height * density);
    if (!this.#anchor || !this.#shader) return false;
    const sharp = levelOf(view, shorter, density);
    if (!this.#anchor.serves(view, sharp)) this.#moveAnchor(Anchor.at(view, sharp));
    // Coarse levels first, each only where nothing sharper hides it.
    const layers = [];
    let holes = null;
    for (let level = sharp; level >= sharp - ANCESTORS; level--) {
      if (level !== sharp && !this.#tiles.get(level)?.size) continue;
      const grid = new Level(this.#anchor, view, viewport, level);
      const shown = grid.visible().filter((at) => holes === null || covers(grid, at, holes));
      const found = shown.flatMap((at) => {
        const tile = this.#get(level, at.dx, at.dy);
        return tile ? [{ tile, at }] : [];
      });
      layers.push({ grid, found });
      const whole = found.length === shown.length && found.every(({ tile }) => now - tile.born >= FADE_MS);
      if (whole) {
        holes = [];
        break;
      }
      if (level === sharp) {
        holes = shown
          .filter((at) => !(now - (this.#get(level, at.dx, at.dy)?.born ?? now) >= FADE_MS))
          .map((at) => ({ ...grid.place(at.dx, at.dy), edge: grid.edge }));
      }
    }
    let fading = this.#turned(now) < 1;
    for (const { grid, found } of layers.reverse()) {
      for (const { tile, at } of found) {
        const age = this.#calm() ? 1 : Math.min((now - tile.born) / FADE_MS, 1);
        fading ||= age < 1;
        context.globalAlpha = Math.max(age, 0.01);
        this.#drawTile(context, grid, at, tile, density, now);
      }
    }
    context.globalAlpha = 1;
    // What a zoom outwards left: sharper tiles over holes.
    if (holes?.length) {
      for (const level of [sharp + 1, sharp + 2, sharp + 3]) {
        if (!this.#tiles.get(level)?.size) continue;
        this.#drawCached(context, new Level(this.#anchor, view, viewport, level), holes, density, now);
      }
    }
    return fading;
  }

  #drawCached(context, grid, holes, density, now) {
    for (const [key, tile] of this.#tiles.get(grid.level)) {
      const [dx, dy] = key.split(",").map(Number);
      if (covers(grid, { dx, dy }, holes)) this.#drawTile(context, grid, { dx, dy }, tile, density, now);
    }
  }

  #drawTile(context, grid, { dx, dy }, tile, density, now) {
    const from = grid.place(dx, dy);
    const to = grid.place(dx + 1, dy - 1);
    // Whole device pixels, so that neighbours leave no seam.
    const [x, y, right, bottom] = [from.x, from.y, to.x, to.y].map((side) => Math.round(side * density));
    const [alpha, turned] = [context.globalAlpha, this.#turned(now)];
    this.#colour(tile, now, turned);
    if (tile.former) {
      context.drawImage(tile.former, x, y, right - x, bottom - y);
      context.globalAlpha = alpha * turned;
    }
    context.drawImage(tile.canvas, x, y, right - x, bottom - y);
    context.globalAlpha = alpha;
  }

  /** The smooth count at a point of the viewport (0: inside), from the sharpest tile that is here; null if none is. */
  countAt(view, viewport, x, y) {
    if (!this.#anchor) return null;
    const sharp = levelOf(view, Math.min(viewport.width, viewport.height), viewport.density);
    for (let level = sharp; level >= sharp - ANCESTORS; level--) {
      const grid = new Level(this.#anchor, view, viewport, level);
      const [column, row] = [(x - grid.left) / grid.edge, (y - grid.top) / grid.edge];
      const tile = this.#get(level, grid.centre.x + Math.floor(column), grid.centre.y - Math.floor(row));
      if (!tile) continue;
      const { size } = tile;
      const [i, j] = [column, row].map((place) => Math.floor((place - Math.floor(place)) * size));
      return tile.counts[j * size + i];
    }
    return null;
  }
}

const newCanvas = (size) => Object.assign(document.createElement("canvas"), { width: size, height: size });

/** Whether a tile touches one of some squares. */
function covers(grid, { dx, dy }, squares) {
  const { x, y } = grid.place(dx, dy);
  return squares.some(
    (one) => x < one.x + one.edge && one.x < x + grid.edge && y < one.y + one.edge && one.y < y + grid.edge,
  );
}
