// The explorer without its panels: the view, what moves it, what draws it, where it has been.

import { powerText } from "../numbers/decimal.js";
import { readLink, toFragment } from "../numbers/place_text.js";
import { View } from "../numbers/view.js";
import { Store } from "../service/store.js";
import { announce, tell, untell } from "../shell/notices.js";
import { magnification } from "../shell/words.js";
import { Gestures } from "./gestures.js";
import { LimitFinder } from "./limit_finder.js";
import { allowed, lookOf, needsShading, shaderOf } from "./look.js";
import { TileLayer } from "./tiles.js";
import { curveOf, TileSource } from "./tile_source.js";

const ASK_MS = 90; // while the view moves, tiles are asked for so often
const STILL_MS = 350; // after a gesture; then the address is written
const AGAIN_MS = 3000; // after a curve that did not come
const MOST_DENSITY = 2; // device pixels for each pixel; finer ones nobody sees
const LOG2_10 = Math.log2(10);

const reduced = matchMedia("(prefers-reduced-motion: reduce)");

export class Explorer {
  #element = null; // where the picture is shown
  #canvas = null;
  #curve = null; // {view, maxiter, knots} of the mapping "even": for a film to that view
  #curving = null; // {view, maxiter, abort}: the next one is asked for
  #frame = 0; // the next one, if it is asked for
  #asking = 0; // timers
  #stillness = 0;
  #pushed; // {view, fragment} of the step that the browser's Back goes to
  #wrong = ""; // what was last said of a link
  #announced = null; // the view that was last said to be complete

  /** `facts` is the answer of /api/state. */
  constructor(facts) {
    this.facts = facts;
    this.deepest = facts.limits.max_depth * LOG2_10;
    // What is usual: a payload has the same that says nothing of colours.
    this.usual = { ...lookOf(Object.values(facts.named_looks)[0]), maxiter: "auto" };
    const place = this.#linked(isPlace(location.hash) ? location.hash : "");
    this.view = new Store(place.view);
    this.look = new Store({ ...this.usual, ...place.look });
    this.status = new Store({ wanted: 1, done: 0, stage: null, trouble: null, limit: null, waiting: false, black: null });
    this.box = new Store(null);
    this.boxing = new Store(false);
    this.asked = new Store(null); // an order form that another page asked for
    this.viewport = { width: 2, height: 2, density: 1 };
    this.calm = () => reduced.matches;
    const source = new TileSource({
      stage: (stage) => this.status.merge({ stage }),
      trouble: (trouble) => this.status.merge({ trouble }),
    });
    this.layer = new TileLayer(source, () => this.#arrived(), this.calm);
    this.limits = new LimitFinder((limit) => this.#limitFound(limit));
    this.#applyLook();
    this.#pushed = { view: this.view.value, fragment: this.fragment };
    if (isPlace(location.hash)) history.replaceState(null, "", this.fragment);
    window.addEventListener("popstate", () => this.#returned());
    window.addEventListener("hashchange", () => this.#returned());
  }

  get shorter() {
    return Math.min(this.viewport.width, this.viewport.height);
  }

  get fragment() {
    return this.fragmentOf(this.view.value, this.look.value);
  }

  fragmentOf(view, look) {
    return toFragment(view, { ...this.usual, ...look }, this.usual);
  }

  /** What is good of a link's fragment, {view, look}. What is not is said. */
  #linked(fragment) {
    const { view, look, wrong, instead } = readLink(fragment, this.facts, this.usual);
    untell(this.#wrong); // of a link before
    this.#wrong = `${wrong} ${instead}`;
    if (wrong) tell(this.#wrong, { stays: true });
    return { view: view ?? View.home(), look };
  }

  /** Shows the picture in an element from now on; returns what ends it. */
  attach(element, canvas) {
    this.#element = element;
    this.#canvas = canvas;
    this.gestures = new Gestures(
      element,
      {
        move: (x, y) => this.move(x, y),
        zoom: (octaves, x, y) => this.zoom(octaves, x, y),
        box: (rectangle, final) => this.#boxed(rectangle, final),
        still: () => this.#still(),
      },
      this.calm,
    );
    const resized = new ResizeObserver(() => this.#resize(element));
    resized.observe(element);
    this.#resize(element);
    return () => resized.disconnect();
  }

  #resize(element) {
    const { clientWidth: width, clientHeight: height } = element;
    if (width < 2 || height < 2) return;
    const density = Math.min(devicePixelRatio || 1, MOST_DENSITY);
    this.viewport = { width, height, density };
    Object.assign(this.#canvas, { width: Math.round(width * density), height: Math.round(height * density) });
    this.#drawNow(performance.now());
    this.#ask();
  }

  // Moving

  move(x, y) {
    this.#show(this.view.value.moved(x, y, this.shorter));
  }

  zoom(octaves, x = 0, y = 0) {
    this.#show(this.view.value.zoomed(octaves, this.shorter, x, y, this.deepest));
  }

  #boxed(rectangle, final) {
    this.box.set(final ? null : rectangle);
    if (!final) return;
    this.boxing.set(false);
    if (!rectangle) return;
    const { width, height } = this.viewport;
    const octaves = Math.log2(Math.min(width / rectangle.width, height / rectangle.height));
    const [x, y] = [rectangle.x + rectangle.width / 2, rectangle.y + rectangle.height / 2];
    this.go(this.view.value.moved(-x, -y, this.shorter).zoomed(octaves, this.shorter, 0, 0, this.deepest));
  }

  drawBox() {
    this.gestures.boxing = !this.gestures.boxing;
    this.boxing.set(this.gestures.boxing);
  }

  /** To another place, as a step that the browser's Back takes back. A look says all that is not usual. */
  go(view, look = {}) {
    this.gestures?.stop();
    if (Object.keys(look).length) this.setLook({ ...this.usual, ...look });
    this.#show(view);
    this.#still();
  }

  /** To what `placeIn` found; a film opens its form. */
  goTo({ view, look, said, film }) {
    if (film) this.orderAgain(view, film, look);
    else if (view) this.go(view, look);
    else this.setLook(look);
    if (said.length) tell(said.join(" "), { stays: true });
  }

  /** To the place of a link's fragment. */
  goLink(fragment) {
    const { view, look } = this.#linked(fragment);
    this.go(view, look);
  }

  home() {
    this.go(View.home());
  }

  /** Opens the order form for a film like one that is there. */
  orderAgain(view, film, look) {
    location.hash = this.fragmentOf(view, look);
    this.asked.set({ place: view, film });
  }

  #show(view) {
    this.view.set(view);
    this.invalidate();
    this.#asking ||= setTimeout(() => {
      this.#asking = 0;
      this.#ask();
    }, ASK_MS);
    this.#writeSoon();
  }

  #still() {
    clearTimeout(this.#asking);
    this.#asking = 0;
    this.#writeSoon();
    this.#ask();
  }

  // Where the view has been

  #writeSoon() {
    clearTimeout(this.#stillness);
    this.#stillness = setTimeout(() => {
      this.#stillness = 0;
      this.#write();
      this.#settle();
    }, STILL_MS);
  }

  #write() {
    if (!isPlace(location.hash)) return; // another page is shown
    const view = this.view.value;
    const before = this.#pushed;
    const fragment = this.fragment;
    if (fragment === before.fragment) return;
    const far = !isNear(view, before.view, this.shorter);
    if (far) history.pushState(null, "", fragment);
    else history.replaceState(null, "", fragment);
    if (far) this.#pushed = { view, fragment };
    else this.#pushed.fragment = fragment;
  }

  #returned() {
    const fragment = location.hash;
    if (fragment === this.#pushed.fragment || !fragment || !isPlace(fragment)) return;
    const { view, look } = this.#linked(fragment);
    this.gestures?.stop();
    this.setLook({ ...this.usual, ...look });
    this.#pushed = { view, fragment };
    this.#show(view);
    this.#still();
  }

  // The look

  setLook(fields) {
    this.look.merge(allowed(fields, this.facts));
    this.#applyLook();
    this.#ask();
    this.invalidate();
    this.#writeSoon();
  }

  /** How a look colours tiles here; null while the curve that it needs is not known. */
  shader(look, curve = this.#curve?.knots) {
    return shaderOf(look, this.facts, curve);
  }

  /** `now`: when the colours before begin to fade. */
  #applyLook(now) {
    const look = this.look.value;
    this.layer.shownLimit = look.maxiter === "auto" ? Infinity : look.maxiter;
    this.layer.shaded = needsShading(look);
    this.layer.setLook(this.shader(look), now);
  }

  /** Learns the curve of the mapping "even" for a film to the view. While it moves, one after the other. */
  async #learnCurve({ anchor, extent }) {
    const view = this.view.value;
    const { mapping, maxiter } = this.look.value;
    const serves = (one) => one?.view.same(view) && one.maxiter === maxiter;
    if (mapping !== "even" || serves(this.#curve)) {
      this.#curving?.abort.abort(); // it is of another view
      this.#curving = null;
      return;
    }
    if (serves(this.#curving)) return;
    if (this.#curving && isNear(view, this.#curving.view, this.shorter)) return; // then it is asked for again
    this.#curving?.abort.abort();
    const abort = new AbortController();
    this.#curving = { view, maxiter, abort };
    try {
      const knots = await curveOf([{ anchor, extent }], maxiter, abort.signal);
      const changed = JSON.stringify(knots) !== JSON.stringify(this.#curve?.knots);
      if (changed) await pause(this.layer.fadesFor); // one change of the colours after the other
      if (abort.signal.aborted) return;
      this.#curve = { view, maxiter, knots };
      this.#curving = null;
      if (changed) {
        this.#applyLook(performance.now());
        this.invalidate();
      }
      this.#ask(); // the view may have moved on
    } catch (error) {
      if (abort.signal.aborted) return;
      this.status.merge({ trouble: error });
      await pause(AGAIN_MS);
      if (this.status.value.trouble === error) this.status.merge({ trouble: null });
      if (abort.signal.aborted) return;
      this.#curving = null;
      this.#ask();
    }
  }

  // Tiles

  #ask() {
    if (!this.#canvas) return;
    const view = this.view.value;
    const { maxiter } = this.look.value;
    const frame = this.layer.frame(view, this.viewport);
    let limit = maxiter;
    const given = maxiter !== "auto" && maxiter > this.limits.current;
    if (!given) limit = this.limits.limitFor(view, frame, this.viewport);
    this.#learnCurve(frame);
    if (this.status.value.waiting !== (limit === null)) this.status.merge({ waiting: limit === null });
    if (limit !== null) this.layer.want(view, this.viewport, limit);
    this.#tellProgress();
    this.#settle();
  }

  #limitFound({ limit, error }) {
    if (error) this.status.merge({ trouble: error });
    this.status.merge({ limit });
    this.#ask();
  }

  #arrived() {
    this.#tellProgress();
    this.invalidate();
  }

  #tellProgress() {
    const { wanted, done } = this.layer.progress;
    const now = this.status.value;
    if (now.wanted !== wanted || now.done !== done) this.status.merge({ wanted, done });
  }

  /** Says whether anything is still to come: tiles, a limit, a frame that shows them, the address. */
  #settle() {
    if (!this.#element) return;
    const { waiting } = this.status.value;
    const busy =
      Boolean(this.#frame || this.#asking || this.#stillness) || waiting || this.limits.asking || this.#curving !== null || !this.layer.isComplete || !this.layer.hasLook;
    if (this.#element.ariaBusy !== String(busy)) this.#element.ariaBusy = String(busy);
    const view = this.view.value;
    if (busy) return;
    const black = this.sample()?.inside === 1; // another limit may change that
    if (black !== Boolean(this.status.value.black?.same(view))) this.status.merge({ black: black ? view : null });
    if (this.#announced?.same(view)) return;
    this.#announced = view;
    announce(`The picture is complete${black ? ", and black" : ""}. Extent ${view.text().extent}, magnified ${magnification(view.log2Extent)}`);
  }

  // Drawing

  invalidate() {
    this.#frame ||= requestAnimationFrame((now) => {
      this.#frame = 0;
      this.#drawNow(now);
    });
    this.#settle();
  }

  #drawNow(now) {
    if (!this.#canvas) return;
    const context = this.#canvas.getContext("2d");
    if (this.layer.draw(context, this.view.value, this.viewport, now)) this.invalidate();
    else this.#settle();
  }

  /** What the tiles say of the picture: {inside: share, least, most: smooth counts}; null where one is not here. */
  sample(columns = 32, rows = 18) {
    const { width, height } = this.viewport;
    let [inside, least, most] = [0, Infinity, -Infinity];
    for (let i = 0; i < columns * rows; i++) {
      const [x, y] = [(((i % columns) + 0.5) * width) / columns, ((Math.floor(i / columns) + 0.5) * height) / rows];
      const value = this.layer.countAt(this.view.value, this.viewport, x, y);
      if (value === null) return null;
      if (value === 0) inside += 1 / (columns * rows);
      else [least, most] = [Math.min(least, value), Math.max(most, value)];
    }
    return { inside: Math.min(inside > 0.9999 ? 1 : inside, 1), least, most };
  }

  /** What is shown, as a bookmark: {name, place, picture}. */
  bookmark() {
    return { name: powerText(this.view.value.log2Extent, 3), place: this.fragment, picture: this.thumbnail() };
  }

  /** A small picture of what is shown, as a data URL. */
  thumbnail(width = 240, height = 180) {
    const small = Object.assign(document.createElement("canvas"), { width, height });
    const { width: w, height: h } = this.#canvas;
    const scale = Math.min(w / width, h / height);
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.#canvas, (w - width * scale) / 2, (h - height * scale) / 2, width * scale, height * scale, 0, 0, width, height);
    return small.toDataURL("image/webp", 0.8);
  }
}

/** Whether two views show about the same. `shorter`: pixels of their shorter side. */
function isNear(one, other, shorter) {
  const { x, y } = other.toScreen(one.re, one.im, one.bits, shorter);
  return Math.abs(one.log2Extent - other.log2Extent) <= 1 && Math.hypot(x, y) <= shorter / 2;
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Whether a fragment belongs to the explorer: all do that name no other page. */
export const isPlace = (fragment) => !/^#(jobs|films)(\/|$)/.test(fragment);
