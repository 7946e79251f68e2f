import { LOGIN, post } from "../service/api.js";

/** The token of a link that the head printed: posted, and taken out of the address. Whether there was one. */
export async function tokenFromLink() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname);
  try {
    await post(LOGIN, { token: decodeURIComponent(found[1]) });
  } catch {
    // The form asks again, and says what is wrong.
  }
}
