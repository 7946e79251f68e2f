import { LOGIN, post } from "../service/api.js";

const LINK = /^#token=(.+)$/;

export const hasToken = () => LINK.test(location.hash);

/** The token of a link that the head printed: posted, and taken out of the address. */
export async function tokenFromLink() {
  const found = LINK.exec(location.hash);
  if (!found) return;
  history.replaceState(null, "", location.pathname);
  try {
    await post(LOGIN, { token: decodeURIComponent(found[1]) });
  } catch {
    // The form asks again, and says what is wrong.
  }
}
