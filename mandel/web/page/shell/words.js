// Numbers as people read them.

const number = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value) => whole.format(value);

export function bytes(value) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 ? number.format(value) : whole.format(value)} ${units[unit]}`;
}

/** What a job takes on the disk: its film, and what it keeps to be recoloured. */
export function room(job) {
  const kept = job.kept ?? 0;
  return bytes(Math.max(0, (job.bytes ?? 0) - kept)) + (kept ? ` and ${bytes(kept)} for recolouring` : "");
}

export function duration(seconds) {
  if (seconds < 10) return `${number.format(seconds)} s`;
  if (seconds < 90) return `${whole.format(seconds)} s`;
  if (seconds < 90 * 60) return `${whole.format(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${number.format(seconds / 3600)} h`;
  return `${whole.format(seconds / 86400)} days`;
}

/** "0:12", "1:02:05" */
export function playtime(seconds) {
  const rounded = Math.round(seconds);
  const parts = [Math.floor(rounded / 3600), Math.floor(rounded / 60) % 60, rounded % 60];
  const [hours, minutes, rest] = parts;
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${String(rest).padStart(2, "0")}` : `${minutes}:${String(rest).padStart(2, "0")}`;
}

export function ago(unixSeconds) {
  const passed = Date.now() / 1000 - unixSeconds;
  return passed < 45 ? "just now" : `${duration(passed)} ago`;
}

/** A decimal text cut to a few digits for reading: "-1.33823863…", "1.2e-300". */
export function shortDecimal(text, digits = 12) {
  const [, mantissa, power = ""] = /^([^e]*)(e.*)?$/i.exec(text);
  return mantissa.length > digits + 3 ? `${mantissa.slice(0, digits + 3)}…${power}` : text;
}

/** How much larger the whole set would be if this view filled the screen, in words. */
export function magnification(log2Extent) {
  const octaves = Math.log2(2.5) - log2Extent;
  const tens = octaves * Math.log10(2);
  if (tens < 6) return `${whole.format(Math.max(1, 10 ** tens))}×`;
  return `10^${whole.format(tens)}×`;
}
