// The explorer's panels around the picture.

import { html, useEffect, useRef, useState } from "../vendor/htm-preact-3.1.1.mjs";
import { powerText } from "../numbers/decimal.js";
import { View } from "../numbers/view.js";
import { copyText } from "../service/clipboard.js";
import { inWords } from "../service/api.js";
import { isStarting } from "../service/events.js";
import { keep, kept } from "../service/kept.js";
import { useStore } from "../service/store.js";
import { Glyph, IconButton } from "../shell/icons.js";
import { lazy } from "../shell/lazy.js";
import { tell } from "../shell/notices.js";
import { count, magnification, shortDecimal } from "../shell/words.js";
import { actKey } from "./keys.js";
import { LookPanel } from "./look_panel.js";

const KNOWN = "mandel.known"; // kept when somebody has moved the picture

const Bookmarks = lazy(() => import("./bookmarks.js"), "Bookmarks");
const Finder = lazy(() => import("./finder.js"), "Finder");
const Help = lazy(() => import("./help.js"), "Help");
const Jump = lazy(() => import("./jump.js"), "Jump");
const Stops = lazy(() => import("./stops.js"), "Stops");
const OrderForm = lazy(() => import("../order/order_form.js"), "OrderForm");

/** Everything of the explorer; `shown` is false while another page covers it. */
export function ExplorePage({ explorer, live, shown }) {
  const [panel, setPanel] = useState(null);
  const close = () => setPanel(null);
  const asked = useStore(explorer.asked);
  useEffect(() => {
    if (!shown) close();
    else if (asked) {
      setPanel({ name: "order", ...asked });
      explorer.asked.set(null);
    }
  }, [shown, asked]);
  const actions = {
    close,
    panel: (name) => setPanel({ name }),
    order: (place, film) => setPanel({ name: "order", place, film }),
    copyPlace: () => copyPlace(explorer),
    copyLink: () => copyLink(explorer),
    keep: async () => {
      const bookmark = explorer.bookmark(); // of now, not of when the module is here
      const { keepBookmark } = await import("./bookmarks.js");
      keepBookmark(bookmark);
      tell(`Kept as “${bookmark.name}”. Press B to see all bookmarks.`);
    },
  };
  actions.keepStop = async () => {
    const stop = explorer.bookmark();
    const { keepStop } = await import("./stops.js");
    keepStop(stop, explorer.facts.limits.max_stops);
  };
  const isShown = useRef(shown);
  isShown.current = shown;
  useEffect(() => {
    const hear = (event) => isShown.current && actKey(event, explorer, actions);
    addEventListener("keydown", hear);
    return () => removeEventListener("keydown", hear);
  }, []);
  const dropping = useDrop((source) => {
    if (!shown) location.hash = explorer.fragment;
    open(explorer, source);
  });
  const { name, place, film } = panel ?? {};
  const orderPlace = place ?? explorer.view.value;
  return html`<div class="explore" hidden=${!shown}>
    <h1 class="off-screen">Explore</h1>
    <${Picture} explorer=${explorer} />
    <${PlaceCard} explorer=${explorer} live=${live} actions=${actions} />
    <${Hint} explorer=${explorer} />
    <${Tools} explorer=${explorer} actions=${actions} />
    <${LookPanel} explorer=${explorer} />
    <button type="button" class="primary go" title="Zoom to here (Z)" onClick=${() => actions.order()}>
      <${Glyph} name="film" /> Zoom to here
    </button>
    ${name === "order" && html`<${OrderForm} explorer=${explorer} live=${live} place=${orderPlace} former=${film} close=${close} />`}
    ${name === "find" && html`<${Finder} explorer=${explorer} order=${actions.order} close=${close} />`}
    ${name === "marks" && html`<${Bookmarks} explorer=${explorer} close=${close} />`}
    ${name === "stops" && html`<${Stops} explorer=${explorer} order=${actions.order} close=${close} />`}
    ${name === "jump" && html`<${Jump} explorer=${explorer} close=${close} />`}
    ${name === "help" && html`<${Help} close=${close} />`}
  </div>
  ${dropping && html`<p class="dropping">Drop it here: its place is shown, and the form of a film</p>`}`;
}

/** Whether something that may be dropped is dragged over the page; `take` gets the file or the text. */
function useDrop(take) {
  const [over, setOver] = useState(false);
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    const drag = (event) => {
      if (!event.dataTransfer.types.includes("Files") && !event.target.closest(".picture")) return;
      event.preventDefault();
      setOver(event.type === "dragover");
      if (event.type === "drop") latest.current(event.dataTransfer.files[0] ?? event.dataTransfer.getData("text"));
    };
    const leave = (event) => event.relatedTarget || setOver(false); // out of the window
    const heard = { dragover: drag, drop: drag, dragleave: leave };
    for (const [name, hear] of Object.entries(heard)) addEventListener(name, hear);
    return () => {
      for (const [name, hear] of Object.entries(heard)) removeEventListener(name, hear);
    };
  }, []);
  return over;
}

async function copyPlace(explorer) {
  const { re, im, extent } = explorer.view.value.text();
  const copied = await copyText(`${re},${im},${extent}`);
  tell(copied ? "The place is copied, with all its digits." : "This browser does not let the page copy; press G and copy from there.");
}

async function copyLink(explorer) {
  const copied = await copyText(location.href.split("#")[0] + explorer.fragment);
  tell(copied ? "The link is copied. It shows exactly this place." : "This browser does not let the page copy; the address bar has the link.");
}

/** Goes to the place in a file or a text, and says what else is to be said of it. */
async function open(explorer, source) {
  try {
    const { placeIn } = await import("../service/places.js");
    explorer.goTo(await placeIn(source, explorer));
  } catch (error) {
    tell(inWords(error));
  }
}

function Picture({ explorer }) {
  const [element, canvas] = [useRef(null), useRef(null)];
  const [box, boxing] = [useStore(explorer.box), useStore(explorer.boxing)];
  const { wanted, done, waiting } = useStore(explorer.status);
  useEffect(() => explorer.attach(element.current, canvas.current), []);
  const { width, height } = explorer.viewport;
  const corner = (value) => `${value}px`;
  return html`
    <div
      ref=${element}
      class=${boxing ? "picture boxing" : "picture"}
      tabindex="0"
      role="application"
      aria-label="Picture of the Mandelbrot set. Arrow keys move, plus and minus zoom, question mark tells all keys."
      onPaste=${(event) => open(explorer, event.clipboardData.getData("text"))}
    >
      <canvas ref=${canvas} aria-hidden="true"></canvas>
      ${box &&
      html`<div
        class="box"
        style=${{
          left: corner(box.x + width / 2),
          top: corner(box.y + height / 2),
          width: corner(box.width),
          height: corner(box.height),
        }}
      ></div>`}
    </div>
    <div class="drawing" hidden=${done >= wanted && !waiting} aria-hidden="true">
      <i style=${{ transform: `scaleX(${waiting ? 0.03 : Math.max(done / Math.max(wanted, 1), 0.03)})` }}></i>
    </div>
  `;
}

/** What a newcomer does first; gone for good once it is done. */
function Hint({ explorer }) {
  const view = useStore(explorer.view);
  const [known, setKnown] = useState(() => kept(KNOWN) !== null);
  useEffect(() => {
    if (known || view.same(View.home())) return;
    keep(KNOWN, "moved");
    setKnown(true);
  }, [view]);
  return !known && html`<p class="floating hint">Drag to move, scroll or pinch to zoom in</p>`;
}

function PlaceCard({ explorer, live, actions }) {
  const view = useStore(explorer.view);
  const { trouble } = useStore(explorer.status);
  const { re, im } = usePlaceText(view);
  const state = standing(useStore(explorer.status), isStarting(useStore(live.service)), view);
  return html`<section class="floating place" aria-label="Where this is">
    <dl>
      <dt>Extent</dt>
      <dd class="cut">${powerText(view.log2Extent, 4)} <span class="soft">${magnification(view.log2Extent)}</span></dd>
      <dt>Re</dt>
      <dd class="cut">${shortDecimal(re, 24)}</dd>
      <dt>Im</dt>
      <dd class="cut">${shortDecimal(im, 24)}</dd>
    </dl>
    <p class=${trouble ? "bad" : "soft"}><small>${state}</small></p>
    <div class="row">
      <button type="button" class="plain" title="Copy the place with all digits (C)" onClick=${actions.copyPlace}>
        <${Glyph} name="copy" /> Copy place
      </button>
      <button type="button" class="plain" title="Copy a link to exactly this (L)" onClick=${actions.copyLink}>
        <${Glyph} name="link" /> Copy link
      </button>
    </div>
  </section>`;
}

/** What the picture waits for, in words. */
function standing({ wanted, done, stage, trouble, limit, waiting, black }, starting, view) {
  if (trouble) return inWords(trouble);
  if (starting && done < wanted) return "The renderer starts; the picture follows in some seconds";
  if (stage) return `${stage.stage === "reference" ? "Reference orbit" : stage.stage}: ${count(stage.done)} of at most ${count(stage.total)}`;
  if (waiting) return "Finding how many iterations this place needs …";
  if (done < wanted) return `Drawing ${done} of ${wanted} tiles`;
  if (black?.same(view)) return "All black: inside of the set, or in need of more iterations. Zoom out to where colours meet black";
  return limit ? `Up to ${count(limit)} iterations` : "Complete";
}

/** The view's digits; while it moves, those of a deep view are printed a few times a second only. */
function usePlaceText(view) {
  const latest = useRef(view);
  const timer = useRef(0);
  const [text, setText] = useState(() => view.text());
  latest.current = view;
  useEffect(() => {
    timer.current ||= setTimeout(
      () => {
        timer.current = 0;
        setText(latest.current.text());
      },
      view.bits > 4096 ? 300 : 30,
    );
  }, [view]);
  return text;
}

function Tools({ explorer, actions }) {
  const boxing = useStore(explorer.boxing);
  const zoom = (octaves) => () => explorer.gestures.zoomSoftly(octaves, 0, 0, 200);
  return html`<div class="floating tools" role="toolbar" aria-label="Explore" aria-orientation="vertical">
    <${IconButton} glyph="plus" name="Zoom in" keys="+" onClick=${zoom(1)} />
    <${IconButton} glyph="minus" name="Zoom out" keys="−" onClick=${zoom(-1)} />
    <${IconButton} glyph="box" name="Draw a box to zoom into" keys="shift + drag" aria-pressed=${boxing} onClick=${() => explorer.drawBox()} />
    <${IconButton} glyph="home" name="The whole set" keys="0" onClick=${() => explorer.home()} />
    <hr />
    <${IconButton} glyph="jump" name="Go to a place" keys="G" onClick=${() => actions.panel("jump")} />
    <${IconButton} glyph="find" name="Find the minibrot" keys="M" onClick=${() => actions.panel("find")} />
    <${IconButton} glyph="mark" name="Bookmarks" keys="B" onClick=${() => actions.panel("marks")} />
    <${IconButton} glyph="stops" name="Camera stops" keys="T; S keeps one" onClick=${() => actions.panel("stops")} />
    <${IconButton} glyph="help" name="Help" keys="?" onClick=${() => actions.panel("help")} />
  </div>`;
}
