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

/** @typedef {{value: string, text: string, unit?: string, code?: string, shows?: string[]}} Choice */
/** @typedef {{name: string, label: string, kind?: "number" | "time" | "password" | "lines" | "choice", choices?: Choice[], unit?: string, unit_of?: string,
 *  hint?: string, value?: string, optional?: boolean, max?: number}} Field */
/** @typedef {{verb: string, fields: Field[]}} Form */

/** @type {Answer | undefined} */ let forms;

/** A form as the monitor describes it. Throws with a sentence where it cannot be had. @param {string} name @returns {Promise<Form>} */
export async function formOf(name) {
  const answer = (forms ??= await get("/api/v1/forms"));
  if (answer.ok) return answer.body[name];
  forms = undefined;
  throw new Error(answer.body.detail);
}
