// The frame: which page is shown, whether the service is reached, and the pages themselves.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { isPlace } from "../explore/explorer.js";
import { ExplorePage } from "../explore/explore_page.js";
import { isStarting } from "../service/events.js";
import { useStore } from "../service/store.js";
import { Sign } from "./icons.js";
import { lazy } from "./lazy.js";
import { announce, Notices, tell } from "./notices.js";

const FilmsPage = lazy(() => import("../films/films_page.js"), "FilmsPage");
const JobsPage = lazy(() => import("../jobs/jobs_page.js"), "JobsPage");
const TITLES = { explore: "Explore", jobs: "Jobs", films: "Films" };

function routeOf(fragment) {
  const [, page, id] = /^#(jobs|films)(?:\/(.*))?$/.exec(fragment) ?? [];
  return { page: page ?? "explore", id: id || null };
}

export function App({ explorer, live }) {
  const [route, setRoute] = useState(routeOf(location.hash));
  useEffect(() => {
    const changed = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", changed);
    addEventListener("popstate", changed);
    return () => (removeEventListener("hashchange", changed), removeEventListener("popstate", changed));
  }, []);
  const { page, id } = route;
  useEffect(() => {
    document.title = `${TITLES[page]} · Mandel`;
  }, [page]);
  useEndings(live);
  const connected = useStore(live.connected);
  const leave = () => (location.hash = "#films");
  return html`
    <${Bar} page=${page} explorer=${explorer} live=${live} />
    ${!connected && page !== "explore" && html`<p class="banner">The service is not reached. What is shown may be old; the page tries again by itself.</p>`}
    <main>
      <${ExplorePage} explorer=${explorer} live=${live} shown=${page === "explore"} />
      ${page === "jobs" && html`<${JobsPage} live=${live} id=${id} />`}
      ${page === "films" && html`<${FilmsPage} live=${live} explorer=${explorer} id=${id} leave=${leave} />`}
    </main>
    <${Notices} />
  `;
}

function Bar({ page, explorer, live }) {
  const jobs = [...useStore(live.jobs).values()];
  const running = jobs.filter((job) => job.state === "running" || job.state === "queued").length;
  useStore(explorer.view); // the link back leads to where one was
  const links = { explore: isPlace(location.hash) ? location.hash || "#" : explorer.fragment, jobs: "#jobs", films: "#films" };
  return html`<header class="bar">
    <div class="brand"><${Sign} /><span>Mandel</span></div>
    <nav aria-label="Pages">
      ${Object.entries(TITLES).map(
        ([name, title]) => html`<a key=${name} href=${links[name]} aria-current=${name === page ? "page" : null}>
          ${title}${name === "jobs" && running > 0 && html`<span class="count" aria-label=${`${running} unfinished`}>${running}</span>`}
        </a>`,
      )}
    </nav>
    <${Health} live=${live} />
  </header>`;
}

const HEALTH = {
  ready: ["", "Ready"],
  starting: ["waiting", "The renderer starts"],
  lost: ["broken", "The service is not reached; trying again"],
};

function Health({ live }) {
  const connected = useStore(live.connected);
  const service = useStore(live.service);
  const state = !connected ? "lost" : isStarting(service) ? "starting" : "ready";
  const [kind, words] = HEALTH[state];
  const reason = service?.driver?.error?.message ?? words;
  return html`<div class=${`health ${kind}`} role="status" title=${reason}><span>${words}</span></div>`;
}

/** Tells screen readers when a job has ended; everybody, of a film that was ordered here. */
function useEndings(live) {
  useEffect(() => {
    let before = live.jobs.value;
    return live.jobs.subscribe((jobs) => {
      for (const [id, job] of jobs) {
        const was = before.get(id)?.state;
        if (was && was !== job.state && ["done", "failed"].includes(job.state)) {
          const sentence = job.state === "done" ? "A film is finished." : "A job has failed.";
          if (!live.own.has(id)) announce(sentence);
          else if (job.state === "done") tell("Your film is finished.", { link: { href: `#films/${id}`, label: "Play it" } });
          else tell("Your film has failed.", { link: { href: `#jobs/${id}`, label: "See why" } });
        }
      }
      before = jobs;
    });
  }, []);
}
