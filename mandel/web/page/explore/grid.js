// The absolute grid of tiles. Level L has samples 2^-L apart; a tile has 256 x 256 of them. Tile (X, Y) begins at
// re = X * edge, im = Y * edge, and its rows go down from im = (Y + 1) * edge. Indices of deep levels have thousands of
// digits, so tiles are named by small offsets from an anchor, which is one tile of the grid.

export const TILE = 256;
const TILE_BITS = 8;
const FARTHEST = 2 ** 20; // tiles from the anchor
const DEEPEST = 12; // levels below the anchor
const HIGHEST = 40; // and above it: the service names no others

/** The level whose samples lie nearest to a view's device pixels. */
export function levelOf(view, shorterSide, density) {
  return Math.round(-(view.log2Extent - Math.log2(shorterSide * density)));
}

/** Index along an axis of the tile that holds a fixed-point coordinate. */
export function indexOf(coordinate, bits, level) {
  const shift = BigInt(bits - level + TILE_BITS);
  return shift >= 0n ? coordinate >> shift : coordinate << -shift;
}

export class Anchor {
  constructor(level, x, y) {
    Object.assign(this, { level, x, y });
    Object.freeze(this);
  }

  static at(view, level) {
    return new Anchor(level, indexOf(view.re, view.bits, level), indexOf(view.im, view.bits, level));
  }

  /** The anchor's tile, or its ancestor or first descendant, of a level. */
  origin(level) {
    const shift = BigInt(level - this.level);
    return shift >= 0n ? { x: this.x << shift, y: this.y << shift } : { x: this.x >> -shift, y: this.y >> -shift };
  }

  /** Whether tiles of a view at a level are named from here without large offsets. */
  serves(view, level) {
    const below = level - this.level;
    if (below > DEEPEST || below < -HIGHEST) return false;
    const { x, y } = this.offset(view, level);
    return Math.abs(x) < FARTHEST && Math.abs(y) < FARTHEST;
  }

  /** Offset from the anchor of the tile under a view's centre. */
  offset(view, level) {
    const origin = this.origin(level);
    return {
      x: Number(indexOf(view.re, view.bits, level) - origin.x),
      y: Number(indexOf(view.im, view.bits, level) - origin.y),
    };
  }
}

/** The tiles of one level that a view shows, in pixels: where tile (dx, dy) lies, and which ones there are. */
export class Level {
  constructor(anchor, view, { width, height }, level) {
    const shorter = Math.min(width, height);
    const centre = anchor.offset(view, level);
    const { x, y } = anchor.origin(level);
    const [re, im] = [x + BigInt(centre.x), y + BigInt(centre.y) + 1n];
    const bits = Math.max(level - TILE_BITS, 0);
    const shift = BigInt(bits - level + TILE_BITS);
    const corner = view.toScreen(re << shift, im << shift, bits, shorter);
    const { exponent, mantissa } = view.spacing(shorter);
    Object.assign(this, { level, centre, left: corner.x + width / 2, top: corner.y + height / 2 });
    this.edge = 2 ** (TILE_BITS - level - exponent) / mantissa;
    Object.assign(this, { width, height });
  }

  /** Left and top of tile (dx, dy); its right and bottom are those of its neighbours. */
  place(dx, dy) {
    return { x: this.left + (dx - this.centre.x) * this.edge, y: this.top - (dy - this.centre.y) * this.edge };
  }

  /** Offsets of all tiles on the screen, nearest to its middle first. */
  visible() {
    const { edge, left, top, centre } = this;
    const found = [];
    for (let i = Math.floor(-left / edge); i * edge + left < this.width; i++) {
      for (let j = Math.floor(-top / edge); j * edge + top < this.height; j++) {
        const far = Math.hypot(left + (i + 0.5) * edge - this.width / 2, top + (j + 0.5) * edge - this.height / 2);
        found.push({ dx: centre.x + i, dy: centre.y - j, far });
      }
    }
    return found.sort((a, b) => a.far - b.far);
  }
}
