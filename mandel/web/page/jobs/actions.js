// What can be done with a job in each state, and what it costs. The costs are said before, where something is lost.

import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { inWords, post, remove } from "../service/api.js";
import { Confirm } from "../shell/dialog.js";
import { announce, tell } from "../shell/notices.js";
import { bytes, count } from "../shell/words.js";

const frames = (n) => `${count(n)} ${n === 1 ? "frame" : "frames"}`;

const ACTIONS = {
  pause: {
    verb: "Pause",
    states: ["queued", "running"],
    price: () => "What is stored stays. Frames of unfinished segments, under a second of film for each, are rendered again later.",
  },
  resume: { verb: "Resume", states: ["paused"], price: () => "The job waits for its turn, then goes on where it was." },
  retry: {
    verb: "Try again",
    states: ["failed", "cancelled"],
    price: (job) => (job.done ? `${frames(job.done)} are stored and need not be rendered again.` : "It begins anew."),
  },
  cancel: {
    verb: "Cancel",
    states: ["queued", "running", "paused"],
    asks: true,
    price: (job) =>
      `${frames(job.done)} of ${count(job.frames)} are stored. They stay until they are deleted, and “Try again” goes on from them. No film is made now.`,
  },
  pin: {
    verb: "Keep",
    states: ["done"],
    only: (job) => !job.pinned,
    price: (job) => `Its ${bytes(job.bytes ?? 0)} are never removed to make room for others.`,
  },
  unpin: {
    verb: "Keep no longer",
    states: ["done"],
    only: (job) => job.pinned,
    price: () => "It may be removed when room is needed, the oldest first.",
  },
  delete: {
    verb: "Delete",
    states: ["done", "failed", "cancelled"],
    asks: true,
    price: (job) =>
      job.state === "done"
        ? `The film is gone for good, and ${bytes(job.bytes ?? 0)} are free. To have it again, all of its ${frames(job.frames)} must be rendered.`
        : `Its ${frames(job.done)} are gone, and ${bytes(job.bytes ?? 0)} are free.`,
  },
};

async function carryOut(name, job, live, after) {
  try {
    if (name === "delete") {
      const { bytes: freed } = await remove(`/api/jobs/${job.job}`);
      live.forget(job.job);
      tell(`Deleted; ${bytes(freed)} are free.`);
    } else {
      live.learn(await post(`/api/jobs/${job.job}/${name}`));
      announce(`${ACTIONS[name].verb}: done.`);
    }
    after?.(name);
  } catch (error) {
    tell(inWords(error));
  }
}

/** The buttons of a job. `after(name)` is called when one was carried out. */
export function Actions({ job, live, after }) {
  const [asking, setAsking] = useState(null);
  const offered = Object.entries(ACTIONS).filter(([, { states, only }]) => states.includes(job.state) && (only?.(job) ?? true));
  const act = (name) => carryOut(name, job, live, after);
  return html`
    ${offered.map(
      ([name, { verb, price, asks }]) => html`<button
        key=${name}
        type="button"
        title=${price(job)}
        onClick=${() => (asks ? setAsking(name) : act(name))}
      >
        ${verb}${asks ? " …" : ""}
      </button>`,
    )}
    ${asking &&
    html`<${Confirm}
      title=${`${ACTIONS[asking].verb} this ${job.state === "done" ? "film" : "job"}?`}
      price=${ACTIONS[asking].price(job)}
      verb=${ACTIONS[asking].verb === "Cancel" ? "Cancel the job" : ACTIONS[asking].verb}
      doIt=${() => act(asking)}
      close=${() => setAsking(null)}
    />`}
  `;
}
