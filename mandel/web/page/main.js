// Where the page begins: who may enter, what the service can do, then the app.

import { html, render } from "./vendor/htm-preact-3.1.1.mjs";
import { Explorer } from "./explore/explorer.js";
import { get } from "./service/api.js";
import { Live } from "./service/events.js";
import { App } from "./shell/app.js";
import { hasToken, tokenFromLink } from "./shell/token_link.js";

const AGAIN_MS = 2000;
const root = document.querySelector("#app");

async function start() {
  await tokenFromLink();
  let facts;
  try {
    facts = await get("/api/state");
  } catch {
    root.textContent = "The service is not reached; trying again …";
    setTimeout(start, AGAIN_MS);
    return;
  }
  root.textContent = "";
  if (!facts.session.open) {
    const { Login } = await import("./shell/login.js");
    render(html`<${Login} entered=${start} />`, root);
    return;
  }
  render(null, root);
  const explorer = new Explorer(facts);
  const live = new Live();
  render(html`<${App} explorer=${explorer} live=${live} />`, root);
}

// A link with a token that is opened where the page is open already changes the fragment alone.
for (const event of ["popstate", "hashchange"]) {
  addEventListener(event, (one) => {
    if (!hasToken()) return;
    one.stopImmediatePropagation();
    location.reload();
  });
}
start();
