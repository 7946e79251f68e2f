import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { inWords, post } from "../service/api.js";
import { tell } from "../shell/notices.js";
import { offerFocus } from "../shell/page.js";
import { ago, count, duration, room, shortDecimal } from "../shell/words.js";
import { Actions } from "./actions.js";
import { depthOf, formOf, titleOf, useDetails } from "./details.js";
import { noteSentences } from "./notes.js";

const SEGMENT = 24; // frames
const LIVE = ["queued", "running", "paused"];

export function JobRow({ job, live, named }) {
  const row = useRef(null);
  const [seen, setSeen] = useState(false);
  const [open, setOpen] = useState(named);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && setSeen(true), { rootMargin: "200px" });
    observer.observe(row.current);
    if (named) {
      row.current.scrollIntoView({ block: "nearest" });
      offerFocus(row.current);
    }
    return () => observer.disconnect();
  }, []);
  const details = useDetails(job, seen || named, open && LIVE.includes(job.state) ? job.segments : 0);
  return html`<li ref=${row} class="job" tabindex="-1" aria-label=${`${titleOf(details?.payload, job.name)}, ${job.state}`}>
    <${LastPicture} job=${job} />
    <div class="middle">
      <div class="row">
        <span class=${`state ${job.state}`}>${job.state}</span>
        <strong class="cut">${titleOf(details?.payload, job.name)}</strong>
        <span class="soft">${formOf(details, job.name)}</span>
      </div>
      ${job.state !== "done" && html`<${Progress} job=${job} />`}
      <${Standing} job=${job} />
      ${details?.error && job.state === "failed" && html`<${Failure} error=${details.error} />`}
    </div>
    <div class="actions">
      ${job.state === "done" && html`<a class="button" href=${`#films/${job.job}`}>Play</a>`}
      <${Actions} job=${job} live=${live} />
    </div>
    <details class="more" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
      <summary>Details</summary>
      ${open && (details ? html`<${Details} job=${job} details=${details} live=${live} />` : html`<p class="soft">They are asked for …</p>`)}
    </details>
  </li>`;
}

function LastPicture({ job }) {
  const [failed, setFailed] = useState(null);
  const source = job.state === "done" ? `/media/${job.job}/poster.png` : `/api/jobs/${job.job}/last.png?segments=${job.segments ?? 0}`;
  const has = job.state === "done" || job.segments > 0;
  return html`<div class="still">
    ${has && failed !== source ? html`<img src=${source} alt="" loading="lazy" onError=${() => setFailed(source)} />` : html`<span>${LIVE.includes(job.state) ? "no picture yet" : "no picture"}</span>`}
  </div>`;
}

function Progress({ job }) {
  const share = (frames) => `${(100 * frames) / Math.max(job.frames, 1)}%`;
  const stored = job.state === "done" ? job.frames : Math.min((job.segments ?? 0) * SEGMENT, job.done);
  const text = `${count(job.done)} of ${count(job.frames)} frames`;
  return html`<div class="progress" role="progressbar" aria-label="Frames" aria-valuemin="0" aria-valuemax=${job.frames} aria-valuenow=${job.done} aria-valuetext=${text} title=${`${count(stored)} stored, ${count(job.done - stored)} rendered`}>
    <i class="kept" style=${{ width: share(stored) }}></i>
    <i style=${{ width: share(Math.max(job.done - stored, 0)) }}></i>
    ${job.again > 0 && html`<i class="again" style=${{ width: share(job.again) }}></i>`}
  </div>`;
}

function Standing({ job }) {
  const parts = [];
  if (LIVE.includes(job.state)) {
    parts.push(`${count(job.done)} of ${count(job.frames)} frames`);
    if (job.rate) parts.push(`${job.rate < 10 ? job.rate.toPrecision(2) : Math.round(job.rate)} frames a second`);
    if (job.seconds_left) parts.push(left(job.seconds_left));
    if (job.stage) parts.push(`${job.stage.stage}: ${count(job.stage.done)} of ${count(job.stage.total)}`);
    else if (job.state === "running" && !job.rate && job.waited > 3) parts.push(`at its first frames for ${duration(job.waited)}`);
    if (job.again) parts.push(`${count(job.again)} to be rendered again`);
    if (job.renderer) parts.push(job.renderer.error?.message ?? `the renderer is ${job.renderer.state}`);
  } else {
    parts.push(`${job.state === "done" ? "" : `${count(job.done)} of `}${count(job.frames)} ${job.frames === 1 ? "frame" : "frames"}`);
    if (job.bytes) parts.push(room(job));
    if (job.pinned) parts.push("kept");
  }
  parts.push(`asked for ${ago(job.asked)}`);
  return html`<p class="soft"><small>${parts.join(" · ")}</small></p>`;
}

function left([least, most]) {
  const [from, to] = [duration(least), duration(most)];
  return from === to ? `${from} left` : `${from} to ${to} left`;
}

function Failure({ error }) {
  return html`<p class="notice bad">
    <strong>${error.code}</strong> ${error.message}
    <br /><span class="soft">“Try again” goes on from what is stored. If it fails again, what the head printed says more.</span>
  </p>`;
}

function Details({ job, details, live }) {
  const { payload, nodes, hosts } = details;
  const [re, im] = payload.point.split(",");
  const most = Math.max(1, ...Object.values(nodes ?? {}));
  const facts = [
    ["Place", html`<span class="mono">${shortDecimal(re, 40)}, ${shortDecimal(im, 40)}</span>`],
    ["Depth", `${count(depthOf(payload))} doublings`],
    ["Iterations", payload.maxiter === "auto" ? "found by itself" : count(payload.maxiter)],
    ["Rendered for", details.seconds ? duration(details.seconds) : "–"],
    ["Tried again", `${count(details.retried ?? 0)} frames`],
    ["Asked by", details.client],
    ["On disk", room(details)],
    ["Job", html`<span class="mono">${job.job}</span>`],
  ];
  return html`<div>
    ${noteSentences(job.notes ?? details.notes).map((text) => html`<p class="notice">${text}</p>`)}
    <table>
      <tbody>${facts.map(([name, value]) => html`<tr><th scope="row">${name}</th><td>${value}</td></tr>`)}</tbody>
    </table>
    ${nodes &&
    Object.keys(nodes).length > 0 &&
    html`<div>
      <h2 class="minor">Machines</h2>
      <div class="machines">
        ${Object.entries(nodes).map(
          ([node, frames]) => html`
            <span class="cut">${hosts?.[node] ?? node.slice(0, 12)}</span>
            <meter min="0" max=${most} value=${frames} aria-label=${`Frames of ${hosts?.[node] ?? node}`}></meter>
            <span>${count(frames)} frames</span>
          `,
        )}
      </div>
    </div>`}
    ${LIVE.includes(job.state) && html`<${Priority} details=${details} live=${live} />`}
  </div>`;
}

/** Asking for the same job with another priority changes it at once. */
function Priority({ details, live }) {
  const [value, setValue] = useState(details.priority ?? 0);
  const change = async (event) => {
    const priority = Number(event.target.value);
    setValue(priority);
    try {
      live.learn(await post("/api/jobs", { ...details.payload, priority }));
      tell(`The job has priority ${priority}.`);
    } catch (error) {
      tell(inWords(error));
    }
  };
  return html`<label>Priority: each step doubles its share of the machines
    <span class="row"><input type="range" min="-9" max="9" value=${value} onChange=${change} /><output>${value}</output></span>
  </label>`;
}
