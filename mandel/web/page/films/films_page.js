// The gallery of finished films.

import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { useStore } from "../service/store.js";
import { Page } from "../shell/page.js";
import { bytes, count } from "../shell/words.js";
import { isPicture, useNamed } from "../jobs/details.js";
import { FilmCard } from "./film_card.js";
import { Player } from "./player.js";

const SHOWN = 48;

export function FilmsPage({ live, explorer, id, leave }) {
  const done = [...useStore(live.jobs).values()].filter((job) => job.state === "done").sort((a, b) => b.asked - a.asked);
  const [films, pictures] = [done.filter((job) => !isPicture(job)), done.filter(isPicture)];
  const service = useStore(live.service);
  const [shown, setShown] = useState(SHOWN);
  const [named, why] = useNamed(live, id);
  const playing = named?.state === "done" ? named : null;
  return html`<${Page}>
    <header>
      <h1>Films</h1>
      <p class="soft">${count(films.length)}</p>
      <${Room} storage=${service?.storage} />
    </header>
    ${why && html`<p class="notice" role="status">${why}</p>`}
    ${named && !playing && html`<p class="notice" role="status">This film is ${named.state}. <a href=${`#jobs/${named.job}`}>See it under Jobs</a></p>`}
    ${films.length === 0 &&
    service &&
    html`<div class="nothing">
      <p>Finished films appear here.</p>
      <a class="button" href="#">Explore, and zoom to what you find</a>
    </div>`}
    <${Cards} films=${films.slice(0, shown)} />
    ${films.length > shown && html`<p><button type="button" onClick=${() => setShown(shown + SHOWN)}>Show more (${count(films.length - shown)})</button></p>`}
    ${pictures.length > 0 &&
    html`<details class="pictures">
      <summary>Previews and single pictures <span class="soft">${count(pictures.length)}</span></summary>
      <${Cards} films=${pictures.slice(0, shown)} />
    </details>`}
    ${playing && html`<${Player} key=${playing.job} film=${playing} live=${live} explorer=${explorer} close=${leave} />`}
  <//>`;
}

function Cards({ films }) {
  return html`<ul class="films">
    ${films.map((film) => html`<${FilmCard} key=${film.job} film=${film} />`)}
  </ul>`;
}

function Room({ storage }) {
  if (!storage) return null;
  const { total, limit, free } = storage;
  const most = limit ?? total + free;
  return html`<p class="store">
    <meter min="0" max=${most} high=${0.9 * most} value=${total} aria-label="Disk use"></meter>
    ${bytes(total)} of ${bytes(most)} used
  </p>`;
}
