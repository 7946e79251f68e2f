// A look: the payload's fields of the colours, palette to interior, as the explorer, links and forms have them. No screen.

import { colourTable } from "./palette.js";

/** Numbers of a look, and what is allowed. */
export const RANGES = {
  density: [0.01, 100],
  offset: [-1000, 1000],
  relief: [0, 1],
  relief_angle: [-360, 360],
  edge: [0, 100],
};
export const FIELDS = ["palette", "mapping", ...Object.keys(RANGES), "interior"];

const MOST = 64; // colours of an own palette
const LEAST_STEP = 0.002;
const tables = new Map(); // palette -> its colours
const MOST_TABLES = 24;

/** A named look of the service with numbers as numbers. */
export function lookOf(fields) {
  const found = Object.fromEntries(FIELDS.filter((name) => name in fields).map((name) => [name, fields[name]]));
  for (const name of Object.keys(RANGES)) if (name in found) found[name] = Number(found[name]);
  return found;
}

/** The stops of a palette, [[position, "rrggbb"], ...], by its name or its own colours; null if it is none. */
export function ringOf(palette, palettes) {
  if (Object.hasOwn(palettes, palette)) return palettes[palette];
  const stops = String(palette)
    .split(",")
    .map((stop) => /^\s*(?:([01]?(?:\.\d{1,6})?)\s*:)?\s*#?([0-9a-f]{6})\s*$/i.exec(stop));
  if (stops.length < 2 || stops.length > MOST || stops.includes(null)) return null;
  const placed = stops.filter((stop) => stop[1]).length;
  if (placed && placed < stops.length) return null;
  const ring = stops.map(([, place, colour], i) => [placed ? Number(place) : i / stops.length, colour.toLowerCase()]);
  const rises = ring.every(([place], i) => (ring[i + 1]?.[0] ?? 1) - place >= LEAST_STEP - 1e-9);
  return ring[0][0] === 0 && rises ? ring : null;
}

/** Those fields of a look that are allowed here. */
export function allowed(fields, { palettes, mappings, limits }) {
  const right = {
    palette: (value) => ringOf(value, palettes) !== null,
    mapping: (value) => Object.hasOwn(mappings, value),
    interior: (value) => /^[0-9a-f]{6}$/i.test(value),
    maxiter: (value) => value === "auto" || (Number.isInteger(value) && value >= 1 && value <= limits.max_maxiter),
  };
  const fits = ([name, value]) => {
    if (!RANGES[name]) return right[name]?.(value) ?? true;
    return Number.isFinite(value) && value >= RANGES[name][0] && value <= RANGES[name][1];
  };
  return Object.fromEntries(Object.entries(fields).filter(fits));
}

/** Whether tiles must have distances and slopes. */
export const needsShading = (look) => look.relief > 0 || look.edge > 0;

/**
 * How a look colours counts, for palette.js. `curve`: the knots of the mapping "even"; null while it is not known. Then
 * there is no such shader yet.
 */
export function shaderOf(look, { palettes, mappings }, curve = null) {
  if (look.mapping === "even" && !curve) return null;
  const ring = ringOf(look.palette, palettes) ?? Object.values(palettes)[0];
  const key = JSON.stringify(ring);
  if (!tables.has(key)) tables.set(key, colourTable(ring));
  if (tables.size > MOST_TABLES) tables.delete(tables.keys().next().value);
  const usual = mappings[look.mapping];
  const angle = (look.relief_angle * Math.PI) / 180;
  return {
    table: tables.get(key),
    mapping: look.mapping,
    curve,
    density: usual.density * look.density,
    offset: usual.offset + look.offset,
    interior: look.interior,
    relief: look.relief,
    light: [Math.cos(angle), Math.sin(angle)],
    edge: look.edge,
  };
}
