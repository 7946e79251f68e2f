// The gallery of finished films.

import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { useStore } from "../service/store.js";
import { bytes, count } from "../shell/words.js";
import { FilmCard } from "./film_card.js";
import { Player } from "./player.js";

const SHOWN = 48;

export function FilmsPage({ live, explorer, id, leave }) {
  const films = [...useStore(live.jobs).values()].filter((job) => job.state === "done").sort((a, b) => b.asked - a.asked);
  const service = useStore(live.service);
  const [shown, setShown] = useState(SHOWN);
  const playing = id && films.find((film) => film.job.startsWith(id));
  return html`<div class="page" tabindex="-1">
    <header>
      <h1>Films</h1>
      <p class="soft">${count(films.length)}</p>
      <${Room} storage=${service?.storage} />
    </header>
    ${films.length === 0 &&
    html`<div class="nothing">
      <p>Finished films appear here.</p>
      <a class="button" href="#">Explore, and zoom to what you find</a>
    </div>`}
    <ul class="films">
      ${films.slice(0, shown).map((film) => html`<${FilmCard} key=${film.job} film=${film} />`)}
    </ul>
    ${films.length > shown && html`<p><button type="button" onClick=${() => setShown(shown + SHOWN)}>Show more (${count(films.length - shown)})</button></p>`}
    ${playing && html`<${Player} key=${playing.job} film=${playing} live=${live} explorer=${explorer} close=${leave} />`}
  </div>`;
}

function Room({ storage }) {
  if (!storage) return null;
  const { total, limit, free } = storage;
  const most = limit ?? total + free;
  return html`<p class="store">
    <meter min="0" max=${most} high=${0.9 * most} value=${total} aria-label="Disk use"></meter>
    ${bytes(total)} of ${bytes(most)}
  </p>`;
}
