// The report of one shift to the next: on the screen, and on paper.

import { get } from "./api.js";
import { amount, el } from "./dom.js";
import { proposalCard } from "./forms.js";
import { stepCells } from "./history.js";
import { badge, begun, button, exact, failure, section, table, when } from "./parts.js";
import { state } from "./state.js";
import { share, who } from "./worklist.js";

export const title = "Hand-over";
const HOURS = { 8: "8 hours", 12: "12 hours", 24: "24 hours", 72: "3 days" };
const HOUR = 3_600_000;

/** @param {any} alert */
function alertLine(alert) {
  const iu = alert.evidence.dose_iu;
  const notes = alert.facts?.notes ?? [];
  return [el("span", {}, badge(alert.priority)), alert.pump, el("span", {}, el("span", { class: "title", text: alert.title }), alert.what ?? "", ...notes.map((/** @type {any} */ note) => el("span", { class: "note", text: `“${note.text}” ${note.by}` }))),
    when(state.onMonitor(alert, alert.onset_ms), state.now()), who(alert).filter((text) => !text.startsWith("“")).join("; "), iu == null ? "" : `${amount(Math.abs(iu), "IU")} ${iu > 0 ? "too much" : "too little"}`, share(state.pumps.get(`${alert.site}/${alert.pump}`))];
}
const HEADS = ["Priority", "Pump", "What", "Since", "Who", "By this alert", "Dose so far"];

/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const query = new URLSearchParams(location.search);
  const hours = el("select", { "aria-label": "Since", on: { change: again } }, ...Object.entries(HOURS).map(([value, text]) => el("option", { value, text: `the last ${text}` })));
  hours.value = query.get("hours") ?? "8";
  if (!hours.value) hours.value = "8";
  const site = query.get("site") ?? "";
  const name = (/** @type {string} */ label, value = "") => el("label", { class: "signed" }, label, el("input", { maxlength: 64, autocomplete: "off", value }));
  const said = el("div", { "aria-live": "off" });
  const head = el("p", { class: "quiet" });
  const from = name("Handed over by", state.me.name);
  root.append(el("h1", { text: "Hand-over report" }), el("div", { class: "filters" }, hours, button("Look again", load), button("Print", () => print(), "primary")), head, said, el("div", { class: "names" }, from, name("Taken over by")),
    el("p", { class: "quiet", text: "Simulated pumps. Not a medical device." }));
  function again() {
    history.replaceState(null, "", `${location.pathname}?${new URLSearchParams({ hours: hours.value, ...(site && { site }) })}`);
    load();
  }
  let visit = 0;
  async function load() {
    const mine = ++visit;
    const answer = await get(`/api/v1/handover?${new URLSearchParams({ since_ms: String(Math.round(state.now() - Number(hours.value) * HOUR)), ...(site && { site }) })}`);
    if (mine !== visit) return;
    if (!answer.ok) return said.replaceChildren(failure(answer));
    const { since_ms, now_ms, alerts, unseen, snoozed, acts, orders, proposals, decided, silent, is_whole } = answer.body;
    const input = from.querySelector("input");
    if (input && !input.value) input.value = state.me.name;
    head.textContent = `From ${when(since_ms, now_ms)} to ${when(now_ms, now_ms)}, ${new Date(now_ms).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", year: "numeric" })}${site ? `, site ${site}` : ""}. ${is_whole ? "" : "There was more than is told here; the history has it all."}`;
    const clockOf = (/** @type {any} */ of, /** @type {number} */ ms) => when(state.onMonitor(of, ms), now_ms);
    said.replaceChildren(
      section(`Open alerts: ${alerts.length}`, table("Open alerts, worst first", HEADS, alerts.map(alertLine))),
      section(`Over, and seen by nobody: ${unseen.length}`, table("Alerts that are over and that nobody has seen", HEADS, unseen.map(alertLine))),
      section(`Silent pumps: ${silent.length}`, table("Pumps that are not heard", ["Pump", "Last heard"], silent.map((/** @type {any} */ each) => [each.pump, each.heard_ms == null ? "never" : clockOf(each, each.heard_ms)]), "All are heard.")),
      section(`Snoozes that end: ${snoozed.length}`, table("Snoozed alerts, the next to come back first", ["Comes back", "Pump", "What", "By"], snoozed.map((/** @type {any} */ each) => [clockOf(each, each.facts.snoozed.until_ms), each.pump, each.title, each.facts.snoozed.by]))),
      section(`Orders that wait for a second person: ${proposals.length}`, ...(proposals.length ? proposals.map((/** @type {any} */ each) => proposalCard(each, app, load)) : [el("p", { class: "quiet", text: "None." })])),
      section(`Orders proposed and decided: ${decided.length}`, table("What people did to proposed orders, newest first", ["When", "Pump", "What", "Who", "Order"], decided.map(stepCells))),
      section(`Changed prescriptions: ${orders.length}`, table("Orders that came into force", ["Therapy", "Pump", "Rate now", "Since", "Version"], orders.map((/** @type {any} */ each) => [each.therapy, each.pump, `${exact(each.rate_iu_h, "IU/h")} = ${exact(each.rate_ml_h, "mL/h")}`, when(each.stands_ms, now_ms), String(each.prescription.version)]))),
      section(`What was done: ${acts.length}`, table("What people did, newest first", ["When", "Pump", "Who", "What", "Note"], acts.map((/** @type {any} */ { site: of, pump, at_ms, act, sentence }) => [clockOf({ site: of, pump }, at_ms), pump, act.by, sentence, act.text ?? ""]))));
  }
  const leave = begun(load);
  return () => (visit++, leave());
}
