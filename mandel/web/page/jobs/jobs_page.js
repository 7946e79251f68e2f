// All jobs, live: progress, rate, time left, the last picture, and what can be done with them.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { useStore } from "../service/store.js";
import { Page } from "../shell/page.js";
import { count } from "../shell/words.js";
import { useNamed } from "./details.js";
import { JobRow } from "./job_row.js";

const ROWS = 60; // at first, and with each "show more"
const FILTERS = {
  all: () => true,
  unfinished: (job) => ["queued", "running", "paused"].includes(job.state),
  done: (job) => job.state === "done",
  failed: (job) => ["failed", "cancelled"].includes(job.state),
};
const LABELS = { all: "All", unfinished: "Unfinished", done: "Done", failed: "Failed or cancelled" };

export function JobsPage({ live, id }) {
  const jobs = [...useStore(live.jobs).values()].sort((a, b) => rank(a) - rank(b) || b.asked - a.asked);
  const service = useStore(live.service);
  const [filter, setFilter] = useState("all");
  const [rows, setRows] = useState(ROWS);
  const chosen = jobs.filter(FILTERS[filter]);
  const [named, why] = useNamed(live, id);
  const shown = chosen.slice(0, rows);
  if (named && !shown.includes(named)) shown.unshift(named);
  return html`<${Page}>
    <header>
      <h1>Jobs</h1>
      <div class="chips" role="group" aria-label="Which jobs">
        ${Object.entries(FILTERS).map(
          ([name, keep]) => html`<button key=${name} type="button" aria-pressed=${name === filter} onClick=${() => setFilter(name)}>
            ${LABELS[name]} <span class="soft">${count(jobs.filter(keep).length)}</span>
          </button>`,
        )}
      </div>
      <${Cluster} service=${service} />
    </header>
    ${why && html`<p class="notice" role="status">${why}</p>`}
    ${shown.length === 0 &&
    service &&
    html`<div class="nothing">
      <p>${jobs.length ? "No job is in this state." : "No film has been ordered yet."}</p>
      <a class="button" href="#">Explore, and zoom to what you find</a>
    </div>`}
    <ul class="jobs">
      ${shown.map((job) => html`<${JobRow} key=${job.job} job=${job} live=${live} named=${job === named} />`)}
    </ul>
    ${chosen.length > rows && html`<${More} more=${() => setRows(rows + ROWS)} left=${chosen.length - rows} />`}
  <//>`;
}

/** Running jobs first, then those that wait, then what has ended by its age. */
function rank(job) {
  return { running: 0, queued: 1, paused: 1 }[job.state] ?? 2;
}

/** Shows more rows when one scrolls to it. */
function More({ more, left }) {
  const button = useRef(null);
  useEffect(() => {
    const seen = new IntersectionObserver(([entry]) => entry.isIntersecting && more());
    seen.observe(button.current);
    return () => seen.disconnect();
  });
  return html`<button ref=${button} type="button" onClick=${more}>Show more (${count(left)})</button>`;
}

function Cluster({ service }) {
  const cluster = service?.cluster;
  if (!cluster?.nodes) return null;
  const { nodes, slots = {}, tasks = 0 } = cluster;
  const machines = nodes.filter((node) => node.alive).length;
  const parts = [
    machines > 0 && `${machines} ${machines === 1 ? "machine" : "machines"}`,
    ...Object.entries(slots ?? {}).map(([kind, number]) => `${number} ${kind.toUpperCase()} ${number === 1 ? "slot" : "slots"}`),
    tasks > 0 && `${tasks} ${tasks === 1 ? "task" : "tasks"} running`,
  ];
  return html`<p class="soft">${parts.filter(Boolean).join(" · ")}</p>`;
}
