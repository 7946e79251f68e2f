// What only a job's own answer says: its payload, its machines, its error. Asked for when somebody looks.

import { useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { get, inWords, Refused } from "../service/api.js";
import { useStore } from "../service/store.js";
import { log2Of, parseDecimal, powerText } from "../numbers/decimal.js";
import { playtime } from "../shell/words.js";
import { framesPerSecond } from "../order/film.js";

const AGAIN_MS = 2000; // where the service is not reached
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
    const ask = async () => {
      try {
        const answer = await get(`/api/jobs/${job.job}`);
        known.set(job.job, { state: job.state, refresh, details: answer });
        if (current) setDetails(answer);
      } catch (error) {
        // The events tell if the job is gone.
        if (current && !(error instanceof Refused)) setTimeout(ask, AGAIN_MS);
      }
    };
    ask();
    return () => (current = false);
  }, [job.job, job.state, wanted, refresh]);
  return details;
}

const GONE = "What this link names is not here: it was deleted, made room for others, or the link is damaged.";

/** [the job that an id of the address names, why there is none]; one that is not in the list is asked for. */
export function useNamed(live, id) {
  const [why, setWhy] = useState("");
  const seen = useRef(null); // who deletes it need not be told that it is gone
  const jobs = useStore(live.jobs);
  const named = id ? [...jobs.values()].find((job) => job.job.startsWith(id)) : null;
  const isListed = useStore(live.service) !== null;
  if (named) seen.current = id;
  const missing = Boolean(id) && isListed && seen.current !== id;
  useEffect(() => {
    setWhy("");
    if (!missing) return undefined;
    const abort = new AbortController();
    get(`/api/jobs/${encodeURIComponent(id)}`, abort.signal).then(
      (job) => live.learn(job),
      (error) => abort.signal.aborted || setWhy(error.status === 404 ? GONE : inWords(error)),
    );
    return () => abort.abort();
  }, [id, missing]);
  return [named, why];
}

/** A job by its name, or by its zoom: "2.5 → 1e-30". */
export function titleOf(payload, name) {
  if (name) return name;
  if (!payload) return "…";
  const extents = [payload.start_delta, payload.end_delta].map((delta) => powerText(log2Of(parseDecimal(String(delta))), 3));
  return `${extents[0]} → ${extents[1]}`;
}

const PLAYED = ["h264", "av1", undefined]; // by most browsers

/** Whether a job makes no film to be watched: a single picture, or the small ones that the client puts on a sheet. */
export const isPicture = (job) => job.frames === 1 || job.name === "preview";

/** A film's form, from its details: "1920 × 1080 · 0:20 · evening"; of a film with a name its zoom as well. */
export function formOf(details, name) {
  if (!details?.payload) return "";
  const { payload, look } = details;
  const rate = framesPerSecond(String(payload.fps));
  const parts = [name && titleOf(payload), `${payload.frame_width} × ${payload.frame_height}`, payload.num_frames === 1 ? "one picture" : rate && playtime(payload.num_frames / rate), look];
  if (payload.sampling === "shared") parts.push("shared");
  else if (payload.supersampling > 1) parts.push(`${payload.supersampling}×${payload.supersampling} samples`);
  if (!PLAYED.includes(payload.codec)) parts.push(payload.codec);
  return parts.filter(Boolean).join(" · ");
}

/** Octaves of a payload's zoom. */
export function depthOf(payload) {
  const [start, end] = [payload.start_delta, payload.end_delta].map((text) => log2Of(parseDecimal(String(text))));
  return Math.abs(start - end);
}
