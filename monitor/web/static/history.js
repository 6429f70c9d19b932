// The log of all that was said and done, newest first.

import { get } from "./api.js";
import { clock, el } from "./dom.js";
import { badge, begun, button, facts, failure, line, table, timed, when } from "./parts.js";
import { state } from "./state.js";

export const title = "History";
const PAGE = 100;
const HEADS = ["When", "Pump", "What", "Alert, or who", "More"];
const HOUR = 3_600_000;
const FACTS = { taken: "taken", offered: "offered", declined: "declined", acknowledged: "acknowledged", audio_paused: "sound paused", snoozed: "snoozed" };

/** What people had done about an alert, as pairs. @param {any} facts_ @param {(ms: number) => number} at */
function standing(facts_, at) {
  if (!facts_) return el("p", { class: "quiet", text: "there was no such alert" });
  const deed = (/** @type {any} */ { by, role, at_ms, until_ms, to, text }) => `${by}${role ? ` (${role})` : ""} at ${clock(at(at_ms))}${until_ms ? `, until ${clock(at(until_ms))}` : ""}${to ? `, to ${to}` : ""}${text ? `: “${text}”` : ""}`;
  const pairs = Object.entries(FACTS).filter(([name]) => facts_[name]).map(([name, word]) => /** @type {[string, string]} */ ([word, deed(facts_[name])]));
  const notes = (facts_.notes ?? []).map((/** @type {any} */ note) => /** @type {[string, string]} */ (["note", deed(note)]));
  return pairs.length + notes.length ? facts([...pairs, ...notes]) : el("p", { class: "quiet", text: "nothing" });
}

/** What somebody did to a proposed order. @param {any} step */
export function stepCells({ what, therapy, pump, by, role, at_ms, text, changes = [], version }) {
  const now = state.now();
  return [when(at_ms, now), pump, `order ${what}`, by ? `${by}${role ? ` (${role})` : ""}` : "time",
    el("div", {}, el("p", { text: `${therapy}, version ${version}.${text ? ` “${text}”` : ""}` }), ...changes.map((/** @type {string} */ each) => el("p", { text: timed(each, now) })))];
}

/** @param {any} item */
function row({ number, change, audit, order }) {
  if (order) return line(stepCells(order));
  const { site, pump } = change ? change.alert : audit;
  const at = (/** @type {number} */ ms) => state.onMonitor({ site, pump }, ms);
  const time = el("time", { text: `${when(at(change ? change.alert.changed_ms : audit.at_ms), state.now())}`, title: `row ${number}` });
  const link = el("a", { href: `/pump/${encodeURIComponent(site)}/${encodeURIComponent(pump)}`, text: pump });
  if (change) {
    const { alert } = change;
    return line([time, link, el("span", { text: change.change }), el("span", {}, badge(alert.priority), el("span", { class: "title", text: alert.title })), alert.called && change.change === "called" ? `${alert.called.name}` : alert.what ?? ""], "change");
  }
  const { act, outcome, sentence, before, after } = audit;
  const more = el("details", {}, el("summary", { text: "Before and after" }), el("div", { class: "both" }, el("div", {}, el("h3", { text: "Before" }), standing(before, at)), el("div", {}, el("h3", { text: "After" }), standing(after, at))));
  return line([time, link, el("span", { class: outcome === "done" ? "" : "bad", text: `${act.what}${outcome === "done" ? "" : `: ${outcome}`}` }), `${act.by}${act.role ? ` (${act.role})` : ""}`,
    el("div", {}, el("p", { text: `${sentence}${act.text ? ` “${act.text}”` : ""}` }), more)], "audit");
}

/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const query = new URLSearchParams(location.search);
  const want = (/** @type {string} */ name) => query.get(name) ?? "";
  const control = (/** @type {string} */ name, /** @type {string} */ label, /** @type {Record<string, string>} */ options) => {
    const node = el("select", { "aria-label": label, name }, ...Object.entries(options).map(([value, text]) => el("option", { value, text })));
    node.value = want(name);
    return node;
  };
  const pump = el("input", { name: "pump", type: "search", "aria-label": "Pump, as site/pump", placeholder: "Pump: site/pump", list: "pumps-known", autocomplete: "off", value: want("pump") });
  const kind = control("kind", "What", { "": "changes and acts", change: "changes of alerts", audit: "what people did about alerts", order: "orders: proposed and decided" });
  const since = control("since", "Since when", { "": "all that is kept", 1: "last hour", 8: "last 8 hours", 24: "last 24 hours" });
  const filters = el("form", { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => (event.preventDefault(), again()), change: again } }, pump, kind, since,
    el("datalist", { id: "pumps-known" }, ...[...state.pumps.keys()].map((value) => el("option", { value }))), button("Look again", again));
  const found = el("div");
  root.append(el("h1", { text: title }), filters, found);
  let visit = 0;

  function again() {
    const wanted = new URLSearchParams(Object.entries({ pump: pump.value.trim(), kind: kind.value, since: since.value }).filter(([, value]) => value));
    history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
    load();
  }
  async function load(/** @type {number | undefined} */ before = undefined) {
    const mine = ++visit;
    const asked = new URLSearchParams({ limit: String(PAGE), ...(pump.value.trim() && { pump: pump.value.trim() }), ...(kind.value && { kind: kind.value }), ...(before && { before: String(before) }), ...(since.value && { since_ms: String(Math.round(state.now() - Number(since.value) * HOUR)) }) });
    const answer = await get(`/api/v1/history?${asked}`);
    if (mine !== visit) return;
    if (!answer.ok) return found.replaceChildren(failure(answer));
    const rows = answer.body.items.map(row);
    const made = table("What was said and done, newest first", HEADS, rows, "Nothing of that kind.");
    const body = before && found.querySelector("tbody");
    if (body) body.append(...rows);
    else found.replaceChildren(made);
    found.querySelector(".more")?.remove();
    if (answer.body.next) found.append(button("More", () => load(answer.body.next), "more"));
    if (body) /** @type {HTMLElement | null} */ (rows[0]?.querySelector("a"))?.focus();
  }
  const leave = begun(load);
  return () => (visit++, leave());
}
