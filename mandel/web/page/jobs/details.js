// What only a job's own answer says: its payload, its machines, its error. Asked for when somebody looks.

import { useEffect, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { get } from "../service/api.js";
import { log2Of, parseDecimal, powerText } from "../numbers/decimal.js";
import { playtime } from "../shell/words.js";
import { framesPerSecond } from "../order/film.js";

const known = new Map(); // id -> {state, details}

/** A job's details, or null while they are not known; asked anew when its state changes, or on `refresh`. */
export function useDetails(job, wanted = true, refresh = 0) {
  const [details, setDetails] = useState(known.get(job.job)?.details ?? null);
  useEffect(() => {
    if (!wanted) return;
    const kept = known.get(job.job);
    if (kept?.state === job.state && kept.refresh === refresh) {
      setDetails(kept.details);
      return;
    }
    let current = true;
    get(`/api/jobs/${job.job}`).then(
      (answer) => {
        known.set(job.job, { state: job.state, refresh, details: answer });
        if (current) setDetails(answer);
      },
      () => {}, // the list has what is most needed; the events tell if the job is gone
    );
    return () => (current = false);
  }, [job.job, job.state, wanted, refresh]);
  return details;
}

/** A job by its name, or by its zoom: "2.5 → 1e-30". */
export function titleOf(payload, name) {
  if (name) return name;
  if (!payload) return "…";
  const extents = [payload.start_delta, payload.end_delta].map((delta) => powerText(log2Of(parseDecimal(String(delta))), 3));
  return `${extents[0]} → ${extents[1]}`;
}

/** A film's form, from its details: "1920 × 1080 · 0:20 · evening"; of a film with a name its zoom as well. */
export function formOf(details, name) {
  if (!details?.payload) return "";
  const { payload, look } = details;
  const rate = framesPerSecond(String(payload.fps));
  const parts = [name && titleOf(payload), `${payload.frame_width} × ${payload.frame_height}`, rate && playtime(payload.num_frames / rate), look];
  if (payload.supersampling > 1) parts.push(`${payload.supersampling}×${payload.supersampling} samples`);
  if (payload.sampling === "shared") parts.push("shared");
  return parts.filter(Boolean).join(" · ");
}

/** Octaves of a payload's zoom. */
export function depthOf(payload) {
  const [start, end] = [payload.start_delta, payload.end_delta].map((text) => log2Of(parseDecimal(String(text))));
  return Math.abs(start - end);
}
