// Colours of the service, made in the page: the same tables as mandel/colour/palette_table.py, the same phase as
// mandel/kernels/runs.h, the same light as mandel/kernels/colour.cl. Tiles keep what is coloured, so that a new look
// needs no new iteration.

const SIZE = 8192;
const LEVELS = 4096; // of linear light

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

/** The phase of each count, in turns of the palette: from `counts` into `turns`, both Float32Array. */
function phases(counts, turns, { mapping, density, offset, curve }) {
  const n = counts.length;
  if (mapping === "even") {
    let k = 0;
    for (let i = 0; i < n; i++) {
      const mu = counts[i];
      while (k + 1 < curve.length && curve[k + 1][0] <= mu) k++;
      while (k > 0 && curve[k][0] > mu) k--;
      const [base, value, slope] = curve[k];
      turns[i] = density * (value + slope * Math.max(mu - base, 0)) + offset;
    }
    return;
  }
  const map = { root: Math.sqrt, linear: (mu) => mu, log: (mu) => Math.log2(mu + 1) }[mapping];
  for (let i = 0; i < n; i++) turns[i] = density * map(Math.max(counts[i], 0)) + offset;
}

/** Canvas memory of a colour "rrggbb". */
const packed = (hex) => (0xff000000 | (parseInt(hex.slice(4, 6) + hex.slice(2, 4) + hex.slice(0, 2), 16) & 0xffffff)) >>> 0;

/**
 * Colours a tile, {counts (0: inside), shading or null}, into `pixels`, a Uint32Array of canvas memory.
 * Counts beyond `limit` are shown as inside. `shader` is that of look.js.
 */
export function colourTile({ counts, shading, size }, pixels, shader, limit = Infinity) {
  const turns = new Float32Array(counts.length);
  phases(counts, turns, shader);
  const inside = packed(shader.interior);
  const { table } = shader;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i];
    pixels[i] = count === 0 || count > limit ? inside : table[((turns[i] - Math.floor(turns[i])) * SIZE) & (SIZE - 1)];
  }
  if (shading && (shader.relief > 0 || shader.edge > 0)) shade(counts, shading, pixels, shader, limit, TILE / size);
}

const TILE = 256;
let linear = null; // light of a byte
let bytes = null; // the byte of a light
let halves = null; // numbers of half precision

function makeTables() {
  linear = Float32Array.from({ length: 256 }, (_, i) => decode(i / 255));
  bytes = Uint8Array.from({ length: LEVELS + 1 }, (_, i) => Math.round(255 * encode(i / LEVELS)));
  halves = Float32Array.from({ length: 0x8000 }, (_, bits) => {
    const [exponent, fraction] = [bits >> 10, bits & 1023];
    return exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -24 * fraction;
  });
}

/** Light from a side on the slopes, and dark edges, in linear light. `step`: sharp samples between those of the tile. */
function shade(counts, { distance, slope }, pixels, { relief, light, edge }, limit, step) {
  if (!linear) makeTables();
  const scale = edge > 0 ? step / edge : 0;
  const [x, y] = light;
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0 || counts[i] > limit) continue;
    const lit = (slope[2 * i] * x + slope[2 * i + 1] * y) / 127;
    let shine = LEVELS * (1 + 0.5 * relief * (lit - 1));
    if (edge > 0) {
      const d = Math.min(halves[distance[i]] * scale, 1);
      shine *= d * (2 - d);
    }
    const colour = pixels[i];
    const channel = (shift) => bytes[(linear[(colour >> shift) & 255] * shine + 0.5) | 0] << shift;
    pixels[i] = (0xff000000 | channel(0) | channel(8) | channel(16)) >>> 0;
  }
}

/** A CSS gradient of the ring, for a swatch. */
export function gradient(stops) {
  const all = [...stops, [1, stops[0][1]]];
  return `linear-gradient(90deg, ${all.map(([position, hex]) => `#${hex} ${100 * position}%`).join(", ")})`;
}
