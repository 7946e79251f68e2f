// Colours of the service, made in the page: the same tables as mandel/colour/palette_table.py, the same phase as
// mandel/kernels/runs.h. Counts are coloured here, so a new palette, density or offset needs no new iteration.

const SIZE = 8192;
const BLACK = 0xff000000;

const TO_LMS = [
  [0.4122214708, 0.5363325363, 0.0514459929],
  [0.2119034982, 0.6806995451, 0.1073969566],
  [0.0883024619, 0.2817188376, 0.6299787005],
];
const TO_LAB = [
  [0.2104542553, 0.793617785, -0.0040720468],
  [1.9779984951, -2.428592205, 0.4505937099],
  [0.0259040371, 0.7827717662, -0.8086757660],
];

const apply = (matrix, vector) => matrix.map((row) => row.reduce((sum, value, i) => sum + value * vector[i], 0));

function inverse(m) {
  const cofactor = (i, j) => {
    const [a, b] = [0, 1, 2].filter((k) => k !== i);
    const [c, d] = [0, 1, 2].filter((k) => k !== j);
    return ((i + j) % 2 ? -1 : 1) * (m[a][c] * m[b][d] - m[a][d] * m[b][c]);
  };
  const determinant = [0, 1, 2].reduce((sum, j) => sum + m[0][j] * cofactor(0, j), 0);
  return [0, 1, 2].map((i) => [0, 1, 2].map((j) => cofactor(j, i) / determinant));
}

const FROM_LMS = inverse(TO_LMS);
const FROM_LAB = inverse(TO_LAB);

const decode = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
const encode = (v) => (v <= 0.0031308 ? 12.92 * v : 1.055 * v ** (1 / 2.4) - 0.055);

function oklab(hex) {
  const linear = [0, 2, 4].map((i) => decode(parseInt(hex.slice(i, i + 2), 16) / 255));
  return apply(TO_LAB, apply(TO_LMS, linear).map(Math.cbrt));
}

/** Periodic monotone cubic (Fritsch and Butland, 1984) through `values` at `at`, period 1. */
function ring(at, values) {
  const k = at.length;
  const width = at.map((x, i) => (i + 1 < k ? at[i + 1] : 1) - x);
  const rise = values.map((value, i) => (values[(i + 1) % k] - value) / width[i]);
  const slope = values.map((_, i) => {
    const [before, after] = [rise[(i + k - 1) % k], rise[i]];
    if (before * after <= 0) return 0;
    const [w1, w2] = [2 * width[i] + width[(i + k - 1) % k], width[i] + 2 * width[(i + k - 1) % k]];
    return ((w1 + w2) * before * after) / (w1 * after + w2 * before);
  });
  return (x) => {
    let i = k - 1;
    while (at[i] > x) i--;
    const [j, h] = [(i + 1) % k, width[i]];
    const t = (x - at[i]) / h;
    return (
      (1 + 2 * t) * (1 - t) ** 2 * values[i] +
      t * (1 - t) ** 2 * h * slope[i] +
      t * t * (3 - 2 * t) * values[j] -
      t * t * (1 - t) * h * slope[j]
    );
  };
}

/** The ring [[position, "rrggbb"], ...] as 8,192 pixels of canvas memory (bytes R, G, B, A). */
export function colourTable(stops) {
  const at = stops.map(([position]) => position);
  const lab = stops.map(([, hex]) => oklab(hex));
  const channels = [0, 1, 2].map((c) => ring(at, lab.map((colour) => colour[c])));
  const table = new Uint32Array(SIZE);
  const bytes = new Uint8ClampedArray(table.buffer);
  for (let i = 0; i < SIZE; i++) {
    const colour = channels.map((channel) => channel((i + 0.5) / SIZE));
    const lms = apply(FROM_LAB, colour).map((value) => value ** 3);
    apply(FROM_LMS, lms).forEach((value, c) => {
      bytes[4 * i + c] = Math.round(255 * encode(Math.min(Math.max(value, 0), 1)));
    });
    bytes[4 * i + 3] = 255;
  }
  return table;
}

/** Colours smooth counts (0: inside) into `pixels`, a Uint32Array of canvas memory; counts beyond `limit` as inside. */
export function colourCounts(counts, pixels, { table, density, offset, limit = Infinity }) {
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i];
    if (count === 0 || count > limit) {
      pixels[i] = BLACK;
      continue;
    }
    const turns = density * Math.sqrt(count > 0 ? count : 0) + offset;
    pixels[i] = table[((turns - Math.floor(turns)) * SIZE) & (SIZE - 1)];
  }
}

/** A CSS gradient of the ring, for a swatch. */
export function gradient(stops) {
  const all = [...stops, [1, stops[0][1]]];
  return `linear-gradient(90deg, ${all.map(([position, hex]) => `#${hex} ${100 * position}%`).join(", ")})`;
}
