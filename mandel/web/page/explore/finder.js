import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { log2Of, parseDecimal, powerText } from "../numbers/decimal.js";
import { View } from "../numbers/view.js";
import { inWords, lines, Refused, request } from "../service/api.js";
import { Sheet } from "../shell/dialog.js";
import { count } from "../shell/words.js";

/** Finds the minibrot in view: its period and size, and buttons that go there. */
export function Finder({ explorer, order, close }) {
  const [state, setState] = useState({ done: 0, total: 0 });
  const [asked, setAsked] = useState({ view: explorer.view.value }); // the same view may be searched again
  useEffect(() => {
    const abort = new AbortController();
    setState({ done: 0, total: 0 });
    locate(asked.view, abort.signal, setState).catch((error) => abort.signal.aborted || setState({ error }));
    return () => abort.abort();
  }, [asked]);
  const { found, error, done, total } = state;
  const place = (delta) => View.of(found.re, found.im, delta);
  return html`<${Sheet} title="The minibrot in view" close=${close}>
    ${found
      ? html`
          <div role="status"><dl class="facts">
            <div><dt>Period</dt><dd>${count(found.period)}</dd></div>
            <div><dt>Size</dt><dd>${shortNumber(found.size)}</dd></div>
            <div><dt>Turned by</dt><dd>${found.turn_degrees}°</dd></div>
          </dl></div>
          <div class="row">
            <button type="button" class="primary" autofocus onClick=${() => explorer.go(place(found.minibrot_delta))}>Show the minibrot</button>
            <button type="button" onClick=${() => explorer.go(place(found.julia_delta))}>Show the Julia set around it</button>
          </div>
          <div class="row">
            <button type="button" onClick=${() => order(place(found.minibrot_delta))}>Film to the minibrot</button>
            <button type="button" onClick=${() => order(place(found.julia_delta))}>Film to the Julia set</button>
          </div>
        `
      : error
        ? html`<p class="notice bad" role="alert">${error.code === "NO_NUCLEUS" ? "No minibrot was found in this view. Zoom out a little, or move to where colours meet black, and search again." : inWords(error)}</p>`
        : html`<p role="status">
            Looking for the minibrot that shapes this view …
            ${total > 0 && html`<span class="soft"> Step ${count(done)} of at most ${count(total)}.</span>`}
          </p>`}
    <p class="soft">
      Every view near the boundary holds small copies of the set. The one with the lowest period shapes what is around it;
      a film that ends there never runs out of detail on the way.
    </p>
    <div class="row">
      <button type="button" onClick=${() => setAsked({ view: explorer.view.value })}>Search what is shown now</button>
    </div>
  <//>`;
}

/** A positive number for reading. */
const shortNumber = (text) => powerText(log2Of(parseDecimal(text)), 4);

async function locate(view, signal, tell) {
  const { re, im, extent } = view.text();
  const answer = await request("POST", "/api/locate", { re, im, delta: extent }, signal);
  for await (const line of lines(answer)) {
    if (line.error) throw new Refused(200, line.error);
    tell(line);
  }
}
