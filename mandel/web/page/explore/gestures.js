// Pointer, wheel and touch on the picture, told as moves and zooms. Positions are pixels from the element's middle.

const DOUBLE_TAP_MS = 300;
const REST_MS = 60; // a pointer that rested so long before its release throws nothing
const GLIDE_MS = 300;
const WHEEL_MS = 90; // a notch of the wheel is spread over so long
const OCTAVES_PER_NOTCH = 0.5;
const SLOP = 4; // pixels that a tap may move

/** Calls `on` = {move(x, y), zoom(octaves, x, y), box(rectangle or null, whether it is final), still()}. */
export class Gestures {
  #element;
  #on;
  #calm;
  #pointers = new Map();
  #box = null;
  #moves = [];
  #tap = { time: 0, x: 0, y: 0 };
  #glide = null;
  #wheel = { octaves: 0, x: 0, y: 0, frame: 0 };
  boxing = false; // the next drag draws a box, as with shift

  constructor(element, on, calm) {
    this.#element = element;
    this.#on = on;
    this.#calm = calm; // whether motion is to be reduced
    const listen = (name, method) => element.addEventListener(name, method, { passive: false });
    listen("pointerdown", (event) => this.#down(event));
    listen("pointermove", (event) => this.#moved(event));
    listen("pointerup", (event) => this.#up(event));
    listen("pointercancel", (event) => this.#up(event));
    listen("wheel", (event) => this.#turned(event));
    listen("contextmenu", (event) => event.preventDefault());
  }

  #at(event) {
    const { left, top, width, height } = this.#element.getBoundingClientRect();
    return { x: event.clientX - left - width / 2, y: event.clientY - top - height / 2, time: event.timeStamp };
  }

  stop() {
    cancelAnimationFrame(this.#glide);
    this.#glide = null;
  }

  #down(event) {
    if (event.button > 1) return;
    this.stop();
    this.#element.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.#pointers.set(event.pointerId, at);
    this.#moves = [at];
    if (this.#pointers.size === 1 && (event.shiftKey || this.boxing)) this.#box = { from: at, to: at };
    if (this.#pointers.size > 1) this.#endBox(false);
  }

  #moved(event) {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const at = this.#at(event);
    if (this.#box) {
      this.#box.to = at;
      this.#on.box(rectangle(this.#box), false);
      return;
    }
    if (this.#pointers.size === 1) {
      this.#on.move(at.x - before.x, at.y - before.y);
      this.#moves = [...this.#moves.slice(-5), at];
    } else if (this.#pointers.size === 2) {
      const [, other] = [...this.#pointers].find(([id]) => id !== event.pointerId);
      const [was, is] = [before, at].map((one) => Math.hypot(one.x - other.x, one.y - other.y));
      this.#on.move((at.x - before.x) / 2, (at.y - before.y) / 2);
      if (was > 0 && is > 0) this.#on.zoom(Math.log2(is / was), (at.x + other.x) / 2, (at.y + other.y) / 2);
    }
    this.#pointers.set(event.pointerId, at);
  }

  #up(event) {
    if (!this.#pointers.delete(event.pointerId)) return;
    const at = this.#at(event);
    if (this.#box) {
      this.#endBox(event.type === "pointerup");
    } else if (this.#pointers.size === 0) {
      const [first] = this.#moves;
      const tapped = first && this.#moves.length <= 2 && Math.hypot(at.x - first.x, at.y - first.y) < SLOP;
      if (tapped) this.#tapped(at, event.shiftKey);
      else if (!this.#throw(at)) this.#on.still();
    } else {
      this.#moves = [];
    }
  }

  #endBox(chosen) {
    if (!this.#box) return;
    const box = rectangle(this.#box);
    this.#box = null;
    this.boxing = false;
    this.#on.box(chosen && box.width > SLOP && box.height > SLOP ? box : null, true);
  }

  #tapped(at, outwards) {
    const { time, x, y } = this.#tap;
    const twice = at.time - time < DOUBLE_TAP_MS && Math.hypot(at.x - x, at.y - y) < 30;
    this.#tap = twice ? { time: 0, x: 0, y: 0 } : at;
    if (twice) this.zoomSoftly(outwards ? -1 : 1, at.x, at.y, 200);
    else this.#on.still();
  }

  /** Goes on after a quick release, slower and slower; whether it does. */
  #throw(at) {
    const [first] = this.#moves;
    const seconds = at.time - (first?.time ?? at.time);
    const rested = at.time - (this.#moves.at(-1)?.time ?? 0) > REST_MS;
    if (this.#calm() || this.#moves.length < 3 || rested || seconds <= 0) return false;
    let [vx, vy] = [(at.x - first.x) / seconds, (at.y - first.y) / seconds];
    if (Math.hypot(vx, vy) < 0.1) return false;
    let before = performance.now();
    const step = (now) => {
      const passed = Math.min(now - before, 50);
      before = now;
      this.#on.move(vx * passed, vy * passed);
      const left = Math.exp(-passed / GLIDE_MS);
      [vx, vy] = [vx * left, vy * left];
      if (Math.hypot(vx, vy) > 0.02) this.#glide = requestAnimationFrame(step);
      else this.#on.still();
    };
    this.#glide = requestAnimationFrame(step);
    return true;
  }

  #turned(event) {
    event.preventDefault();
    this.#element.focus({ preventScroll: true }); // as a click does: keys work now
    this.stop();
    const unit = [1, 33, 400][event.deltaMode];
    // A trackpad's pinch comes as a wheel with ctrl, in small steps that need no easing.
    const octaves = event.ctrlKey ? -event.deltaY * unit * 0.014 : (-event.deltaY * unit * OCTAVES_PER_NOTCH) / 100;
    const { x, y } = this.#at(event);
    const bounded = Math.max(-2, Math.min(2, octaves));
    if (event.ctrlKey || this.#calm()) {
      this.#on.zoom(bounded, x, y);
      this.#on.still();
    } else {
      this.zoomSoftly(bounded, x, y, WHEEL_MS);
    }
  }

  /** Zooms over some milliseconds; what comes meanwhile is added. */
  zoomSoftly(octaves, x, y, duration) {
    const wheel = this.#wheel;
    Object.assign(wheel, { octaves: wheel.octaves + octaves, x, y });
    if (wheel.frame) return;
    let before = performance.now();
    const step = (now) => {
      const share = this.#calm() ? 1 : 1 - Math.exp((-3 * Math.max(now - before, 4)) / duration);
      before = now;
      const part = Math.abs(wheel.octaves) < 0.005 ? wheel.octaves : wheel.octaves * share;
      wheel.octaves -= part;
      this.#on.zoom(part, wheel.x, wheel.y);
      wheel.frame = wheel.octaves ? requestAnimationFrame(step) : 0;
      if (!wheel.frame) this.#on.still();
    };
    wheel.frame = requestAnimationFrame(step);
  }
}

function rectangle({ from, to }) {
  return {
    x: Math.min(from.x, to.x),
    y: Math.min(from.y, to.y),
    width: Math.abs(to.x - from.x),
    height: Math.abs(to.y - from.y),
  };
}
