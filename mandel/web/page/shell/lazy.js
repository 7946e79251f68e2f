// Parts of the page that are fetched when they are first shown, so that the picture comes before them.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { get, Refused } from "../service/api.js";
import { tell } from "./notices.js";

const AGAIN_MS = 2000; // after a part that did not come
const LOADED = "mandel.loaded-anew"; // when the page was, for that
const SELDOM_MS = 60_000; // if that did not help, it would not soon
const WARM_MS = 4000; // after the start, when the first picture is usually there

/** The component `name` of a module that `load` imports. */
export function lazy(load, name) {
  let Part = null;
  const fetched = async () => {
    Part ??= (await load())[name];
  };
  setTimeout(() => fetched().catch(() => {}), WARM_MS);
  return function Lazy(props) {
    const [, setReady] = useState(Part !== null);
    useEffect(() => {
      let shown = true;
      if (!Part) fetched().then(() => shown && setReady(true), () => loadAnew(() => shown));
      return () => (shown = false);
    }, []);
    return Part && html`<${Part} ...${props} />`;
  };
}

/** Loads the page again once the service is reached: browsers do not fetch a module twice that did not come. */
async function loadAnew(isWanted) {
  tell("The service is not reached. The page is loaded anew when it is.");
  const isReached = () => get("/api/state").then(() => true, (error) => error instanceof Refused);
  while (isWanted()) {
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    if (!isWanted() || !(await isReached())) continue;
    if (Date.now() - Number(sessionStorage.getItem(LOADED)) < SELDOM_MS) return tell("A part of the page does not come. Reload the page.");
    sessionStorage.setItem(LOADED, String(Date.now()));
    return location.reload();
  }
}
