// A view: the rectangle of the plane that the screen shows, at any depth. Views never change; gestures make new ones.

import { bitsFor, fixedProduct, fromFixed, log2Of, parseDecimal, powerText, quotient, toFixed } from "./decimal.js";

const GUARD_BITS = 64; // beyond a pixel, so that a thousand gestures do not drift
const SPARE_PLACES = 3; // decimal places beyond a pixel: what is printed lies within a thousandth of it
const WIDEST = 4; // log2 of the greatest extent
const LOG10_2 = Math.log10(2);

export class View {
  /** centre re, im / 2^bits; log2 of the shorter side's extent; written: the centre's own digits while it is unmoved. */
  constructor(re, im, bits, log2Extent, written = null) {
    Object.assign(this, { re, im, bits, log2Extent, written });
    Object.freeze(this);
  }

  static home() {
    return View.of("-0.75", "0", "2.5");
  }

  /** A view from decimal text; null if one is no number, or the extent is not positive. */
  static of(re, im, extent) {
    const [x, y, size] = [re, im, extent].map((text) => parseDecimal(String(text)));
    const log2 = size && log2Of(size);
    if (!x || !y || log2 === null || !size) return null;
    const places = Math.max(-x.exponent, -y.exponent, 0);
    const bits = Math.max(precisionOf(log2), bitsFor(places));
    return new View(toFixed(x, bits), toFixed(y, bits), bits, Math.min(log2, WIDEST), {
      re: String(re).trim(),
      im: String(im).trim(),
    });
  }

  /** The same view with more bits, if deeper ones need them. */
  #precise(log2Extent) {
    const bits = Math.max(this.bits, precisionOf(log2Extent));
    const more = BigInt(bits - this.bits);
    return { re: this.re << more, im: this.im << more, bits };
  }

  /** Moved by pixels: the plane's point that lay at (0, 0) then lies at (x, y); y goes down. */
  moved(x, y, shorterSide) {
    if (x === 0 && y === 0) return this;
    const { re, im, bits } = this.#precise(this.log2Extent);
    const { exponent, mantissa } = this.spacing(shorterSide);
    return new View(
      re - fixedProduct(x * mantissa, exponent, bits),
      im + fixedProduct(y * mantissa, exponent, bits),
      bits,
      this.log2Extent,
    );
  }

  /** Deeper by `octaves`, about the point (x, y) in pixels from the centre, which stays where it is. */
  zoomed(octaves, shorterSide, x = 0, y = 0, deepest = Infinity) {
    const log2Extent = Math.max(Math.min(this.log2Extent - octaves, WIDEST), -deepest);
    const { re, im, bits } = this.#precise(log2Extent);
    const sharper = new View(re, im, bits, log2Extent, this.written);
    if (x === 0 && y === 0) return sharper;
    const grown = 2 ** (this.log2Extent - log2Extent);
    return sharper.moved(x * (1 - grown), y * (1 - grown), shorterSide);
  }

  /** Extent of a pixel: mantissa * 2^exponent, 1 <= mantissa < 2. */
  spacing(shorterSide) {
    const log2 = this.log2Extent - Math.log2(shorterSide);
    const exponent = Math.floor(log2);
    return { exponent, mantissa: 2 ** (log2 - exponent) };
  }

  /** Where a point of the plane (fixed point with `bits`) lies: pixels from the centre, y down. */
  toScreen(re, im, bits, shorterSide) {
    const { exponent, mantissa } = this.spacing(shorterSide);
    const common = Math.max(bits, this.bits);
    const [own, theirs] = [BigInt(common - this.bits), BigInt(common - bits)];
    return {
      x: quotient((re << theirs) - (this.re << own), common, exponent) / mantissa,
      y: quotient((this.im << own) - (im << theirs), common, exponent) / mantissa,
    };
  }

  /** Decimal text of the centre and the extent: all digits that the view's pixels need. */
  text() {
    const places = Math.max(0, Math.ceil(-this.log2Extent * LOG10_2)) + 4 + SPARE_PLACES;
    const written = this.written;
    return {
      re: written ? written.re : fromFixed(this.re, this.bits, places),
      im: written ? written.im : fromFixed(this.im, this.bits, places),
      extent: powerText(this.log2Extent),
    };
  }

  /** Whether the other shows the same place, to the last bit that both have. */
  same(other) {
    return this.log2Extent === other.log2Extent && this.bits === other.bits && this.re === other.re && this.im === other.im;
  }
}

function precisionOf(log2Extent) {
  return Math.max(128, Math.ceil((GUARD_BITS + 16 - log2Extent) / 64) * 64);
}
