import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { formOf, isPicture, titleOf, useDetails } from "../jobs/details.js";
import { framesPerSecond } from "../order/film.js";
import { ago, playtime, room } from "../shell/words.js";

const HOVER_MS = 300;

/** A poster that plays while the pointer rests on it. */
export function FilmCard({ film }) {
  const details = useDetails(film);
  const [playing, setPlaying] = useState(false);
  const timer = useRef(0);
  const payload = details?.payload;
  const rate = payload && framesPerSecond(String(payload.fps));
  const length = isPicture(film) ? (film.frames === 1 ? "picture" : "preview") : rate ? playtime(payload.num_frames / rate) : "";
  const enter = (event) => {
    if (event.pointerType === "touch") return;
    timer.current = setTimeout(() => setPlaying(true), HOVER_MS);
  };
  const leave = () => {
    clearTimeout(timer.current);
    setPlaying(false);
  };
  useEffect(() => leave, []);
  return html`<li class="film">
    <a class="open button" href=${`#films/${film.job}`} aria-label=${`${isPicture(film) ? "Show" : "Play"} ${titleOf(payload, film.name)} ${length}`} onPointerEnter=${enter} onPointerLeave=${leave} onClick=${leave}>
      <img src=${`/media/${film.job}/poster.png`} alt="" loading="lazy" />
      ${playing && html`<${HoverVideo} id=${film.job} />`}
      ${length && html`<span class="length" aria-hidden="true">${length}</span>`}
    </a>
    <div class="under">
      <strong class="cut">${titleOf(payload, film.name)}</strong>
      <span class="soft"><small>${formOf(details, film.name)}</small></span>
      <span class="soft"><small>${[room(film), film.pinned && "kept", ago(film.asked)].filter(Boolean).join(" · ")}</small></span>
    </div>
  </li>`;
}

function HoverVideo({ id }) {
  const video = useRef(null);
  useEffect(() => {
    const element = video.current;
    element.muted = true;
    element.play().catch(() => {}); // the poster stays where a browser does not start films by itself
    return () => {
      // Only an element without a source lets go of its download.
      element.pause();
      element.removeAttribute("src");
      element.load();
    };
  }, []);
  return html`<video ref=${video} src=${`/media/${id}/video.mp4`} muted loop playsinline aria-hidden="true" tabindex="-1"></video>`;
}
