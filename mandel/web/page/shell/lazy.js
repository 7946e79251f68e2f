// Parts of the page that are fetched when they are first shown, so that the picture comes before them.

import { html, useEffect, useState } from "../vendor/htm-preact-3.1.1.mjs";

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
      if (!Part) fetched().then(() => shown && setReady(true));
      return () => (shown = false);
    }, []);
    return Part && html`<${Part} ...${props} />`;
  };
}
