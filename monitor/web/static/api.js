// The API of this host. What cannot be reached is an answer too, with a sentence like any other.

/** @typedef {{ok: boolean, status: number, body: any}} Answer */

const TIMEOUT_MS = 15_000;
const SILENT = "The monitor does not answer. Look again when this page is live; check the pumps directly.";

/** @param {string} path @param {RequestInit} options @returns {Promise<Answer>} */
async function ask(path, options) {
  try {
    const response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
    const text = await response.text();
    if (response.status === 401) location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    const body = text && response.headers.get("content-type")?.includes("json") ? JSON.parse(text) : {};
    if (!response.ok && !body.detail) body.detail = body.title ?? `The monitor answered ${response.status}.`;
    return { ok: response.ok, status: response.status, body };
  } catch {
    return { ok: false, status: 0, body: { detail: SILENT } };
  }
}

/** @param {string} path */
export const get = (path) => ask(path, {});

/** @param {string} path @param {unknown} [body] @param {string} [method] */
export const post = (path, body = {}, method = "POST") =>
  ask(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
