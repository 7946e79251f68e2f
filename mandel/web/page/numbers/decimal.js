// Decimal text, and fixed-point numbers as native BigInt: n stands for n / 2^bits.
// No digit is lost at any depth; only differences on the screen become doubles.

const LONGEST = 60_000; // digits and exponents beyond what the service takes
const FORM = /^([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d{1,6}))?$/i;
const LOG2_10 = Math.log2(10);

/** The number that `text` writes, as {digits, exponent} with value digits * 10^exponent; null if it is none. */
export function parseDecimal(text) {
  const parts = FORM.exec(text.trim().replace(/\u2212/g, "-"));
  if (!parts) return null;
  const [, sign, whole, fraction = "", power = "0"] = parts;
  if (whole + fraction === "" || whole.length + fraction.length > LONGEST) return null;
  const exponent = Number(power) - fraction.length;
  if (Math.abs(exponent) > LONGEST) return null;
  const digits = BigInt(whole + fraction);
  return { digits: sign === "-" ? -digits : digits, exponent };
}

function divideRounded(dividend, divisor) {
  const half = divisor >> 1n;
  return dividend < 0n ? -((half - dividend) / divisor) : (dividend + half) / divisor;
}

/** Bits after the point that keep `places` decimal places apart. */
export const bitsFor = (places) => Math.ceil(places * LOG2_10) + 4;

/** A parsed decimal in fixed point, rounded to the nearest. */
export function toFixed({ digits, exponent }, bits) {
  const shifted = digits << BigInt(bits);
  return exponent >= 0 ? shifted * 10n ** BigInt(exponent) : divideRounded(shifted, 10n ** BigInt(-exponent));
}

/** Fixed point as decimal text with at most `places` digits after the point, without zeros at the end. */
export function fromFixed(fixed, bits, places) {
  const scaled = divideRounded(fixed * 10n ** BigInt(places), 1n << BigInt(bits));
  const digits = (scaled < 0n ? -scaled : scaled).toString().padStart(places + 1, "0");
  const whole = digits.slice(0, digits.length - places);
  const fraction = digits.slice(digits.length - places).replace(/0+$/, "");
  return (scaled < 0n ? "-" : "") + whole + (fraction && `.${fraction}`);
}

/** x * 2^exponent in fixed point; x is a double below 2^20 in magnitude, kept to 2^-32. */
export function fixedProduct(x, exponent, bits) {
  const shift = BigInt(bits + exponent - 32);
  const mantissa = BigInt(Math.round(x * 2 ** 32));
  return shift >= 0n ? mantissa << shift : mantissa >> -shift;
}

/** fixed / 2^exponent as a double; for quotients below 2^22 in magnitude, to 2^-30. */
export function quotient(fixed, bits, exponent) {
  const shift = BigInt(bits + exponent - 30);
  return Number(shift >= 0n ? fixed >> shift : fixed << -shift) / 2 ** 30;
}

/** log2 of a positive parsed decimal; null for zero and less. */
export function log2Of({ digits, exponent }) {
  if (digits <= 0n) return null;
  const text = digits.toString();
  return Math.log2(Number(`0.${text.slice(0, 20)}`)) + (text.length + exponent) * LOG2_10;
}

/** 2^log2 as decimal text with `precision` digits at most: "2.5", "0.0001", "1.25e-300". */
export function powerText(log2, precision = 9) {
  const log10 = log2 / LOG2_10;
  let exponent = Math.floor(log10);
  let mantissa = (10 ** (log10 - exponent)).toPrecision(precision);
  if (Number(mantissa) >= 10) {
    mantissa = (1).toPrecision(precision);
    exponent += 1;
  }
  if (exponent >= -4 && exponent < 5) {
    return String(Number(Number(`${mantissa}e${exponent}`).toPrecision(precision)));
  }
  return `${Number(mantissa)}e${exponent}`;
}
