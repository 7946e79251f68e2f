// Requests to the head (docs/web.md).

/** What the head refused, in its words; `field` names the field at fault. */
export class Refused extends Error {
  constructor(status, { code, message, field, limit }) {
    super(message);
    Object.assign(this, { status, code, field, limit });
  }
}

export const LOGIN = "/api/login";

async function refusal(answer) {
  try {
    const { error } = await answer.json();
    if (error?.code) return new Refused(answer.status, error);
  } catch {
    // Not JSON: a proxy's page, or an answer that broke off.
  }
  return new Refused(answer.status, { code: "NO_ANSWER", message: `The service answered ${answer.status}.` });
}

/** An answer whose status is good. Raises Refused, or TypeError where the head is not reached. */
export async function request(method, path, body, signal) {
  const options = { method, signal, headers: {}, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  const answer = await fetch(path, options);
  if (answer.status === 401 && path !== LOGIN) location.reload(); // the session is over: the page asks for the token
  if (!answer.ok) throw await refusal(answer);
  return answer;
}

export const get = async (path, signal) => (await request("GET", path, undefined, signal)).json();
export const post = async (path, body = {}, signal) => (await request("POST", path, body, signal)).json();
export const remove = async (path) => (await request("DELETE", path)).json();

/** What went wrong, as a sentence. */
export function inWords(error) {
  return error instanceof Refused ? error.message : "The service is not reached. It may be starting again.";
}

/** The lines of a JSON stream, as they come. */
export async function* lines(answer) {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks(answer)) {
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split("\n");
    text = parts.pop();
    for (const part of parts) if (part.trim()) yield JSON.parse(part);
  }
  if (text.trim()) yield JSON.parse(text);
}

/** The bytes of an answer, as they come. Leaving the loop closes it. */
export async function* chunks(answer) {
  const reader = answer.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
