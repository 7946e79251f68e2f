// What the head tells by server-sent events: the jobs and the state of the service, right after sleep and restarts.

import { get } from "./api.js";
import { Store } from "./store.js";

const RETRY_MS = 2000;
const SILENCE_MS = 40_000; // the head says something every 15 s

/** Whether the renderer is not ready yet: no tile and no frame comes before. */
export const isStarting = (service) => Boolean(service?.driver?.state) && service.driver.state !== "ready";

export class Live {
  jobs = new Store(new Map()); // id -> job
  service = new Store(null);
  connected = new Store(true);
  returns = new Store(0); // how often the service was reached again
  own = new Set(); // ids of the jobs that were ordered on this page
  #source = null;
  #last = "";
  #watchdog = 0;

  constructor() {
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()));
    window.addEventListener("online", () => this.#again());
    window.addEventListener("pageshow", () => this.#open());
    window.addEventListener("pagehide", () => this.#close());
    this.#open();
  }

  #open() {
    if (this.#source || document.hidden) return;
    const source = new EventSource(this.#last ? `/api/events?last=${encodeURIComponent(this.#last)}` : "/api/events");
    this.#source = source;
    const on = (name, act) =>
      source.addEventListener(name, (event) => {
        if (this.#source !== source) return;
        this.#last = event.lastEventId || this.#last;
        this.#heard();
        act(JSON.parse(event.data));
      });
    source.addEventListener("open", () => this.#heard());
    source.addEventListener("error", () => {
      if (this.#source !== source) return;
      this.connected.set(false);
      // The browser gives up where the answer was no stream: a head that starts, or a session that is over.
      if (source.readyState === EventSource.CLOSED) setTimeout(() => this.#retry(source), RETRY_MS);
    });
    on("snapshot", ({ jobs, service }) => {
      this.jobs.set(new Map(jobs.map((job) => [job.job, job])));
      this.service.set(service);
    });
    on("job", (job) => this.learn(job));
    on("gone", ({ job }) => this.forget(job));
    on("service", (service) => this.service.set(service));
    source.addEventListener("alive", () => this.#source === source && this.#heard());
    this.#heard(false);
  }

  #heard(connected = true) {
    if (connected && !this.connected.value) {
      this.connected.set(true);
      this.returns.set(this.returns.value + 1);
    }
    clearTimeout(this.#watchdog);
    // A machine that slept keeps a dead connection that never says so.
    this.#watchdog = setTimeout(() => this.#again(), SILENCE_MS);
  }

  #close() {
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = null;
  }

  async #retry(source) {
    try {
      const { session } = await get("/api/state");
      if (!session.open) location.reload();
    } catch {
      // Not there yet.
    }
    if (this.#source === source) this.#again();
  }

  #again() {
    this.#close();
    this.#open();
  }

  /** A job as an answer or an event tells it. */
  learn(job) {
    const jobs = new Map(this.jobs.value);
    jobs.set(job.job, { ...jobs.get(job.job), ...job });
    this.jobs.set(jobs);
  }

  forget(id) {
    const jobs = new Map(this.jobs.value);
    if (jobs.delete(id)) this.jobs.set(jobs);
  }
}
