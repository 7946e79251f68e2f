import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { inWords } from "../service/api.js";
import { copyText } from "../service/clipboard.js";
import { placeIn } from "../service/places.js";
import { Dialog } from "../shell/dialog.js";
import { tell } from "../shell/notices.js";

/** Shows the place with all digits, and goes to another that is typed, pasted or read from a file. */
export function Jump({ explorer, close }) {
  const { re, im, extent } = explorer.view.value.text();
  const [text, setText] = useState(`${re},\n${im},\n${extent}`);
  const [wrong, setWrong] = useState("");
  const go = async (source) => {
    try {
      explorer.goTo(await placeIn(source, explorer));
      close();
    } catch (error) {
      setWrong(inWords(error));
    }
  };
  const submit = (event) => (event.preventDefault(), go(text));
  const copy = async () => tell((await copyText(text.replace(/\n/g, ""))) ? "The place is copied." : "Select the text and copy it.");
  return html`<${Dialog} title="Go to a place" close=${close}>
    <form class="inside" onSubmit=${submit}>
      <label>
        Real part, imaginary part, extent of the shorter side
        <textarea
          rows="8"
          spellcheck="false"
          autofocus
          aria-invalid=${wrong !== ""}
          aria-describedby="place-forms"
          value=${text}
          onInput=${(event) => (setText(event.target.value), setWrong(""))}
          onFocus=${(event) => event.target.select()}
        ></textarea>
      </label>
      <p id="place-forms" class=${wrong ? "bad" : "soft"} role=${wrong ? "alert" : null}>
        ${wrong || "Numbers of any length. A link to this page, a payload, films and pictures made here, and files of other programs will do as well."}
      </p>
      <div class="row">
        <button class="primary">Go there</button>
        <button type="button" onClick=${copy}>Copy</button>
        <label class="button">
          <span>Open a file</span>
          <input type="file" class="off-screen" onChange=${(event) => event.target.files[0] && go(event.target.files[0])} />
        </label>
      </div>
    </form>
  <//>`;
}
