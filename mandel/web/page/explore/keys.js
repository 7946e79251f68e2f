// What keys do on the picture. help.js lists the same.

const STEP = 1 / 8; // of the shorter side
const FINE = 1 / 64;

export const KEYS = [
  ["← → ↑ ↓", "move; with shift a little"],
  ["+ −", "zoom by two"],
  ["Page up, down", "zoom by sixteen"],
  ["0", "the whole set"],
  ["[ ]", "offset: shift the colours"],
  [", .", "density: slower, faster colours"],
  ["P", "the next palette"],
  ["G", "go to a place"],
  ["M", "find the minibrot in view"],
  ["B", "bookmarks"],
  ["K", "keep this place as a bookmark"],
  ["S", "keep this place as a stop of the camera"],
  ["T", "the camera's stops, and the film of them"],
  ["C", "copy the place, all digits"],
  ["L", "copy a link"],
  ["Z", "zoom to here: order a film"],
  ["?", "this list"],
];

// What takes characters itself.
const TYPED = "dialog, dialog *, textarea, select, input:not([type=radio], [type=checkbox], [type=range], [type=color])";

/** Carries out what a key means: on the picture, and where nothing has the focus; characters also on all around it. */
export function actKey(event, explorer, actions) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const { target, key } = event;
  if (!target.matches(".picture, body") && (key.length > 1 || target.matches(TYPED))) return;
  const step = explorer.shorter * (event.shiftKey ? FINE : STEP);
  const zoom = (amount) => explorer.gestures.zoomSoftly(amount, 0, 0, 200);
  const { density, offset, palette } = explorer.look.value;
  const names = Object.keys(explorer.facts.palettes);
  const act = {
    ArrowLeft: () => explorer.move(step, 0),
    ArrowRight: () => explorer.move(-step, 0),
    ArrowUp: () => explorer.move(0, step),
    ArrowDown: () => explorer.move(0, -step),
    "+": () => zoom(1),
    "=": () => zoom(1),
    "*": () => zoom(1),
    "-": () => zoom(-1),
    _: () => zoom(-1),
    PageUp: () => zoom(4),
    PageDown: () => zoom(-4),
    0: () => explorer.home(),
    Home: () => explorer.home(),
    "[": () => explorer.setLook({ offset: rounded((((offset - 0.02) % 1) + 1) % 1) }),
    "]": () => explorer.setLook({ offset: rounded((offset + 0.02) % 1) }),
    ",": () => explorer.setLook({ density: rounded(Math.max(density / 1.1, 0.01)) }),
    ".": () => explorer.setLook({ density: rounded(Math.min(density * 1.1, 100)) }),
    p: () => explorer.setLook({ palette: names[(names.indexOf(palette) + 1) % names.length] }),
    g: () => actions.panel("jump"),
    m: () => actions.panel("find"),
    b: () => actions.panel("marks"),
    k: () => actions.keep(),
    s: () => actions.keepStop(),
    t: () => actions.panel("stops"),
    c: () => actions.copyPlace(),
    l: () => actions.copyLink(),
    z: () => actions.order(),
    "?": () => actions.panel("help"),
    Escape: () => actions.close(),
  }[key.length === 1 ? key.toLowerCase() : key];
  if (!act) return;
  event.preventDefault();
  act();
}

const rounded = (value) => Number(value.toPrecision(4));
