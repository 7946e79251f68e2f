import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { FIELDS, lookOf } from "../explore/look.js";
import { LookFields } from "../explore/look_panel.js";
import { Actions } from "../jobs/actions.js";
import { formOf, titleOf, useDetails } from "../jobs/details.js";
import { noteSentences } from "../jobs/notes.js";
import { View } from "../numbers/view.js";
import { formerFilm } from "../order/film.js";
import { KeyFrames } from "../order/key_frames.js";
import { inWords, post } from "../service/api.js";
import { useStore } from "../service/store.js";
import { Dialog } from "../shell/dialog.js";
import { Glyph } from "../shell/icons.js";
import { tell } from "../shell/notices.js";
import { room } from "../shell/words.js";

/** A film at full size, and what can be made of it. */
export function Player({ film, live, explorer, close }) {
  const details = useDetails(film);
  const [recolouring, setRecolouring] = useState(false);
  const [unplayable, setUnplayable] = useState(false);
  const video = useRef(null);
  useEffect(() => {
    const element = video.current;
    return () => {
      element.pause();
      element.removeAttribute("src");
      element.load();
    };
  }, []);
  const payload = details?.payload;
  const look = () => ({ ...lookOf(payload), maxiter: payload.maxiter });
  const view = () => View.of(...payload.point.split(","), String(payload.end_delta));
  const place = () => (location.hash = explorer.fragmentOf(view(), look()));
  const again = () => explorer.orderAgain(view(), formerFilm(payload), look());
  return html`<${Dialog} title=${titleOf(payload, film.name)} name="player" wide close=${close}>
    <div class=${recolouring ? "stage small" : "stage"}>
      <video ref=${video} src=${`/media/${film.job}/video.mp4`} poster=${`/media/${film.job}/poster.png`} controls playsinline autoplay=${!matchMedia("(prefers-reduced-motion: reduce)").matches} preload="metadata" autofocus onError=${(event) => setUnplayable(event.target.error?.code === MediaError.MEDIA_ERR_SRC_NOT_SUPPORTED)} aria-label=${`Film ${titleOf(payload, film.name)}`}></video>
    </div>
    <div class="inside">
      <p class="soft">${[formOf(details, film.name), room(film)].join(" · ")}</p>
      ${unplayable && html`<p class="notice">The film cannot be played here: this browser does not know ${payload?.codec ?? "its codec"}, or the service is not reached. Download it for another program.</p>`}
      ${noteSentences(film.notes).map((text) => html`<p class="notice">${text}</p>`)}
      <div class="row">
        <a class="button" href=${`/media/${film.job}/video.mp4?download`} download><${Glyph} name="down" /> Download</a>
        <button type="button" disabled=${!payload} onClick=${place}>Open the place</button>
        <button type="button" disabled=${!payload} onClick=${again}>Same again with …</button>
        ${details?.kept && html`<button type="button" aria-expanded=${recolouring} onClick=${() => setRecolouring(!recolouring)}>Recolour</button>`}
        <${Actions} job=${film} live=${live} after=${(name) => name === "delete" && close()} />
      </div>
      ${details && !details.kept && html`<p class="soft"><small>Other colours: “Same again with …” renders it anew. A film of shared sampling that keeps what recolouring needs has them in seconds.</small></p>`}
      ${recolouring && html`<${Recolour} film=${film} payload=${payload} live=${live} explorer=${explorer} />`}
    </div>
  <//>`;
}

/** Another look for the same strips, with a preview made in the page. */
function Recolour({ film, payload, live, explorer }) {
  const before = lookOf(payload);
  const [look, setLook] = useState(before);
  const changed = Object.fromEntries(FIELDS.filter((name) => look[name] !== before[name]).map((name) => [name, String(look[name])]));
  const [re, im] = payload.point.split(",");
  const preview = { ...formerFilm(payload), re, im, end: String(payload.end_delta), look };
  const order = async () => {
    try {
      const job = await post(`/api/jobs/${film.job}/recolour`, changed);
      live.learn(job);
      live.own.add(job.job);
      tell("The recoloured film is ordered. It takes seconds: nothing is iterated again.");
      location.hash = `#jobs/${job.job}`;
    } catch (error) {
      tell(inWords(error));
    }
  };
  return html`<section aria-label="Recolour" class="recolour">
    <${KeyFrames} explorer=${explorer} film=${preview} again=${useStore(live.returns)} />
    <div class="choices">
      <${LookFields} facts=${explorer.facts} look=${look} set=${(fields) => setLook({ ...look, ...fields })} group="recolour" />
      <div class="sticky">
        <button type="button" class="primary grow" disabled=${!Object.keys(changed).length} onClick=${order}>${Object.keys(changed).length ? "Order it in this look" : "Choose other colours first"}</button>
      </div>
    </div>
  </section>`;
}
