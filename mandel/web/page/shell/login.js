import { html, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { inWords, LOGIN, post } from "../service/api.js";

/** Asks for the service's token; `entered` is called when it was right. */
export function Login({ entered }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      await post(LOGIN, { token: token.trim().replace(/^.*#token=/, "") }); // the whole link will do
      entered();
    } catch (refused) {
      setError(refused);
    }
  };
  return html`<main>
    <form class="login" onSubmit=${submit}>
      <div class="inside">
        <h1>Mandel</h1>
        <p class="soft">This service is open to those who have its token. The head prints the name of the file that holds it when it starts.</p>
        <label>Token
          <input type="password" autocomplete="current-password" required autofocus value=${token} aria-invalid=${error !== null} aria-describedby="login-error" onInput=${(event) => setToken(event.target.value)} />
        </label>
        <p id="login-error" class="bad" role="alert">${error ? inWords(error) : ""}</p>
        <button class="primary">Enter</button>
      </div>
    </form>
  </main>`;
}
