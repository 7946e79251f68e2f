import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { readPlace } from "../numbers/place_text.js";
import { copyText } from "../service/clipboard.js";
import { Dialog } from "../shell/dialog.js";
import { tell } from "../shell/notices.js";

/** Shows the place with all digits, and goes to another that is typed, pasted or read from a file. */
export function Jump({ explorer, close }) {
  const { re, im, extent } = explorer.view.value.text();
  const [text, setText] = useState(`${re},\n${im},\n${extent}`);
  const [wrong, setWrong] = useState(false);
  const submit = (event) => {
    event.preventDefault();
    const place = readPlace(text);
    setWrong(!place);
    if (!place) return;
    explorer.go(place.view, place.look);
    close();
  };
  const file = async (event) => setText(await event.target.files[0].text());
  const copy = async () => tell((await copyText(text.replace(/\n/g, ""))) ? "The place is copied." : "Select the text and copy it.");
  return html`<${Dialog} title="Go to a place" close=${close}>
    <form class="inside" onSubmit=${submit}>
      <label>
        Real part, imaginary part, extent of the shorter side
        <textarea
          rows="8"
          spellcheck="false"
          autofocus
          aria-invalid=${wrong}
          aria-describedby="place-forms"
          value=${text}
          onInput=${(event) => (setText(event.target.value), setWrong(false))}
          onFocus=${(event) => event.target.select()}
        ></textarea>
      </label>
      <p id="place-forms" class=${wrong ? "bad" : "soft"} role=${wrong ? "alert" : null}>
        ${wrong
          ? "No place was found in that. Write three decimal numbers with commas between them, such as -0.75, 0.1, 1e-5."
          : "Numbers of any length. A link to this page, a payload, and the text of .kfr and .toml files will do as well."}
      </p>
      <div class="row">
        <button class="primary">Go there</button>
        <button type="button" onClick=${copy}>Copy</button>
        <label class="button">
          <span>Open a file</span>
          <input type="file" class="off-screen" accept=".kfr,.toml,.json,.txt" onChange=${file} />
        </label>
      </div>
    </form>
  <//>`;
}
