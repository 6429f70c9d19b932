// Who may come in, for administrators; and everybody's own password and tokens.

import { formOf, get, post } from "./api.js";
import { el } from "./dom.js";
import { begun, button, failure, form, section, table, when } from "./parts.js";
import { state } from "./state.js";

export const title = "People";
/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const [users, tokens, secret, link] = [el("div"), el("div"), el("div", { "aria-live": "polite" }), el("div", { "aria-live": "polite" })];
  const day = (/** @type {number | undefined} */ ms) => (ms ? when(ms, Date.now()) : "never");
  let gone = false;
  /** Does it after a question, and says what went wrong. @param {string} question @param {() => Promise<import("./api.js").Answer>} run @param {() => void} after @param {(body: any) => void} [done] */
  const sure = async (question, run, after, done) => {
    if (!(await app.confirm(question))) return;
    const { ok, body } = await run();
    if (!ok) app.tell(body.detail, false);
    else done?.(body);
    after();
  };
  async function showUsers() {
    const answer = await get("/api/v1/people");
    if (gone) return;
    users.replaceChildren(answer.ok ? table("Users", ["Name", "Roles", "Since", "Last signed in", "State", "Do"], answer.body.items.map((/** @type {any} */ { name, roles, created_ms, signed_in_ms, disabled_ms, origin }) => {
      const turn = disabled_ms ? "enable" : "disable";
      const act = button(turn === "enable" ? "Enable" : "Disable", () => sure(`${turn === "enable" ? "Enable" : "Disable"} ${name}?`, () => post(`/api/v1/people/${encodeURIComponent(name)}/${turn}`), showUsers));
      act.setAttribute("aria-label", `${act.textContent} ${name}`);
      const reset = button("New password", () => sure(`Give ${name} a link to set a new password? The old one is over at once.`, () => post(`/api/v1/people/${encodeURIComponent(name)}/reset`), showUsers, ({ path, expires_ms }) =>
        link.replaceChildren(el("p", { class: "secret" }, `For ${name}, good once, until ${day(expires_ms)}: `, el("code", { text: location.origin + path })))));
      reset.setAttribute("aria-label", `New password for ${name}`);
      act.hidden = name === state.me.name;
      reset.hidden = act.hidden || !!origin || !!disabled_ms;
      return [name, roles.join(", "), day(created_ms), day(signed_in_ms), `${disabled_ms ? `disabled ${day(disabled_ms)}` : "may sign in"}${origin ? `, by ${origin}` : ""}`, el("span", { class: "acts" }, act, reset)];
    })) : failure(answer));
  }
  async function showTokens() {
    const answer = await get("/api/v1/tokens");
    if (gone) return;
    tokens.replaceChildren(answer.ok ? table("Your tokens", ["Note", "May", "Expires", "Last used", "Do"], answer.body.items.map((/** @type {any} */ { id, scopes, expires_ms, used_ms, note }) => {
      const act = button("Revoke", () => sure(`Revoke the token “${note || id}”? Programs that use it stop working.`, () => post(`/api/v1/tokens/${encodeURIComponent(id)}`, {}, "DELETE"), showTokens));
      act.setAttribute("aria-label", `Revoke ${note || id}`);
      return [note || id, scopes.join(", "), day(expires_ms), day(used_ms), act];
    }), "You have none.") : failure(answer));
  }
  const add = async () => form(await formOf("person"), ({ roles, ...more }) => post("/api/v1/people", { ...more, roles: [roles] }), (body) => (showUsers(), `${body.name} may sign in now.`));
  const make = async () => form(await formOf("token"), ({ scopes, days, note }) => post("/api/v1/tokens", { scopes: scopes.split(","), days: Number(days), note }), ({ text }) => {
    secret.replaceChildren(el("p", { class: "secret" }, "Copy it now; it is shown this once: ", el("code", { text })));
    showTokens();
    return "The token is made.";
  });
  const change = async () => form(await formOf("password"), (values) => post("/api/v1/me/password", values), () => "The password is changed.");
  const entry = el("div");
  const leave = begun(async () => {
    const isAdmin = state.me.rights.includes("people");
    root.append(el("h1", { text: isAdmin ? "People" : "Your password and tokens" }), entry);
    try {
      const [adding, making, changing] = await Promise.all([add(), make(), change()]);
      entry.append(...(isAdmin ? [section("Users", users, link), section("Add somebody", adding.node)] : []),
        section("Your tokens", el("p", { class: "quiet", text: "A token lets a program do in your name what it may." }), tokens, secret, making.node), section("Your password", changing.node));
    } catch (error) {
      return entry.append(el("p", { class: "empty bad", role: "alert", text: /** @type {Error} */ (error).message }));
    }
    if (isAdmin) showUsers();
    showTokens();
  });
  return () => (leave(), void (gone = true));
}
