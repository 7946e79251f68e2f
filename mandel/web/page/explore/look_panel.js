import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { useStore } from "../service/store.js";
import { count } from "../shell/words.js";
import { lookOf, ringOf } from "./look.js";
import { gradient } from "./palette.js";

const MAPPINGS = {
  even: "even: as many colours everywhere",
  root: "root of the count",
  linear: "the count itself",
  log: "logarithm of the count",
};

/** The look of the view. Tiles keep what it needs: only shading and a higher limit are asked of the cluster. */
export function LookPanel({ explorer }) {
  const look = useStore(explorer.look);
  const { limit } = useStore(explorer.status);
  const [open, setOpen] = useState(innerWidth > 900 && innerHeight > 640);
  const { usual } = explorer;
  const changed = Object.keys(usual).some((name) => look[name] !== usual[name]);
  return html`<details class="floating look" open=${open} onToggle=${(event) => setOpen(event.target.open)}>
    <summary><span>Look</span><i style=${{ backgroundImage: gradient(ringOf(look.palette, explorer.facts.palettes)) }}></i></summary>
    <div class="inside">
      <${LookFields} facts=${explorer.facts} look=${look} set=${(fields) => explorer.setLook(fields)} group="view" />
      <${Limit} chosen=${look.maxiter} found=${limit} set=${(maxiter) => explorer.setLook({ maxiter })} />
      ${changed && html`<button type="button" onClick=${() => explorer.setLook(usual)}>As usual again</button>`}
    </div>
  </details>`;
}

/** All fields of a look, by the payload's names. */
export function LookFields({ facts, look, set, group }) {
  const slider = (name, label, { least, most, step = 0.01, to = (x) => x, from = (x) => x, unit = "" }) => html`<label>
    <span>${label} <output class="soft">${look[name]}${unit}</output></span>
    <input type="range" min=${to(least)} max=${to(most)} step=${step} value=${to(look[name])} aria-valuetext=${`${look[name]}${unit}`}
      onInput=${(event) => set({ [name]: Number(from(Number(event.target.value)).toPrecision(3)) })} />
  </label>`;
  return html`
    <${Swatches} palettes=${facts.palettes} chosen=${look.palette} choose=${(palette) => set({ palette })} group=${group} />
    <${OwnPalette} palettes=${facts.palettes} chosen=${look.palette} set=${set} />
    <label>Look
      <select onChange=${(event) => event.target.value && set(lookOf(facts.named_looks[event.target.value]))}>
        ${[["", "own"], ...Object.keys(facts.named_looks).map((name) => [name, name])].map(
          ([value, label]) => html`<option value=${value} selected=${value === nameOf(look, facts.named_looks)}>${label}</option>`,
        )}
      </select>
    </label>
    <label>Mapping
      <select onChange=${(event) => set({ mapping: event.target.value })}>
        ${Object.keys(facts.mappings).map((name) => html`<option value=${name} selected=${name === look.mapping}>${MAPPINGS[name] ?? name}</option>`)}
      </select>
    </label>
    ${slider("density", "Density", { least: 0.05, most: 20, to: Math.log10, from: (x) => 10 ** x })}
    ${slider("offset", "Offset", { least: 0, most: 1, step: 0.005 })}
    ${slider("relief", "Relief", { least: 0, most: 1 })}
    ${look.relief > 0 && slider("relief_angle", "Relief angle", { least: -180, most: 180, step: 5, unit: "°" })}
    ${slider("edge", "Edge", { least: 0, most: 10, step: 0.1 })}
    <label class="inline"><input type="color" value=${`#${look.interior}`} onInput=${(event) => set({ interior: event.target.value.slice(1) })} /> <span>Interior</span></label>
  `;
}

/** The named look that this is; "" if it is none. */
function nameOf(look, named) {
  const same = ([, fields]) => Object.entries(lookOf(fields)).every(([name, value]) => look[name] === value);
  return Object.entries(named).find(same)?.[0] ?? "";
}

function OwnPalette({ palettes, chosen, set }) {
  const own = chosen in palettes ? "" : chosen;
  const [wrong, setWrong] = useState(false);
  const commit = (event) => {
    const text = event.target.value.trim();
    const right = text === "" || ringOf(text, palettes) !== null;
    setWrong(!right);
    if (right && text) set({ palette: text });
  };
  return html`<label>Own palette
    <input spellcheck="false" value=${own} placeholder="070b2b,4fa3dc,ffd27a" aria-invalid=${wrong} onChange=${commit} />
    ${wrong && html`<small class="bad" role="alert">2 to 64 colours such as 070b2b,4fa3dc,ffd27a, or each with its place: 0:070b2b,0.3:4fa3dc</small>`}
  </label>`;
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
