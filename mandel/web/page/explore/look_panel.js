import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { useStore } from "../service/store.js";
import { count } from "../shell/words.js";
import { gradient } from "./palette.js";

const DENSITY = { least: Math.log10(0.01), most: Math.log10(20) };

/** Palette, density, offset and limit. The counts are here: nothing of it waits for the cluster, but a higher limit. */
export function LookPanel({ explorer }) {
  const look = useStore(explorer.look);
  const { limit } = useStore(explorer.status);
  const [open, setOpen] = useState(innerWidth > 900 && innerHeight > 640);
  const set = (fields) => explorer.setLook(fields);
  const changed = look.density !== look.usual.density || look.offset !== look.usual.offset || look.maxiter !== "auto";
  return html`<details class="floating look" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary><span>Colours</span><i style=${{ backgroundImage: gradient(explorer.facts.palettes[look.palette]) }}></i></summary>
    <div class="inside">
      <${Swatches} palettes=${explorer.facts.palettes} chosen=${look.palette} choose=${(palette) => set({ palette })} group="view" />
      <label><span>Bands <output class="soft">${look.density}</output></span>
        <input type="range" min=${DENSITY.least} max=${DENSITY.most} step="0.01" value=${Math.log10(look.density)}
          aria-valuetext=${`${look.density} turns`}
          onInput=${(event) => set({ density: Number((10 ** Number(event.target.value)).toPrecision(3)) })} />
      </label>
      <label><span>Turn <output class="soft">${look.offset}</output></span>
        <input type="range" min="0" max="1" step="0.005" value=${look.offset}
          onInput=${(event) => set({ offset: Number(event.target.value) })} />
      </label>
      <${Limit} chosen=${look.maxiter} found=${limit} set=${(maxiter) => set({ maxiter })} />
      ${changed &&
      html`<button type="button" onClick=${() => set({ ...look.usual, maxiter: "auto" })}>As usual again</button>`}
    </div>
  </details>`;
}

function Limit({ chosen, found, set }) {
  const commit = (event) => {
    const value = Math.round(Number(event.target.value));
    set(event.target.value === "" || !(value > 0) ? "auto" : Math.min(value, 2e9));
  };
  return html`<label>Iterations at most
    <input inputmode="numeric" value=${chosen === "auto" ? "" : chosen} placeholder=${found ? `found by itself: ${count(found)}` : "found by itself"} onChange=${commit} />
  </label>`;
}

/** A choice of palettes by their pictures. */
export function Swatches({ palettes, chosen, choose, group }) {
  return html`<fieldset class="swatches">
    <legend class="off-screen">Palette</legend>
    ${Object.entries(palettes).map(
      ([name, stops]) => html`<label key=${name} title=${name}>
        <input type="radio" name=${`palette-${group}`} checked=${name === chosen} onChange=${() => choose(name)} />
        <i style=${{ backgroundImage: gradient(stops) }}></i>
        <span>${name}</span>
      </label>`,
    )}
  </fieldset>`;
}
