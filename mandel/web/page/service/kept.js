// What this browser keeps for the page. Others may have damaged it, and it may be full.

/** {good, lost} of a JSON list: what is right of it, and how many entries are not. No text is an empty list. */
export function listIn(text, isRight) {
  try {
    const all = JSON.parse(text ?? "[]");
    if (!Array.isArray(all)) return { good: [], lost: 1 };
    const good = all.filter(isRight);
    return { good, lost: all.length - good.length };
  } catch {
    return { good: [], lost: 1 };
  }
}

/** What is kept under a name, or null. */
export function kept(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null; // a browser that keeps nothing
  }
}

/** Keeps a value as JSON. Returns whether there was room. */
export function keep(name, value, fields = undefined) {
  try {
    localStorage.setItem(name, JSON.stringify(value, fields));
    return true;
  } catch {
    return false;
  }
}
