// How the monitor itself is.

import { get } from "./api.js";
import { ago, el } from "./dom.js";
import { facts, failure, section, table, when } from "./parts.js";
import { MARKS, state } from "./state.js";

export const title = "System";
const EVERY_MS = 2000;
const STORE_LATE_MS = 10_000;
const LAG_LATE_MS = 10_000;

/** @param {any} told */
function parts(told) {
  const { broker, totals, refused, alerts, silent, silent_count, now_ms, speed, store_ms } = told;
  const [lag, behind, store] = [broker.lag_ms, broker.behind_ms, store_ms].map((ms) => ms / speed);
  const number = (/** @type {number} */ value) => value.toLocaleString("en-GB");
  return [
    section("Is it well?", facts([
      ["Broker", `${broker.address}: ${broker.connected ? "connected" : "NOT CONNECTED"}`, !broker.connected && "warn"],
      ["Newest message was", `${ago(lag)} old${lag > LAG_LATE_MS ? ": late" : ""}`, lag > LAG_LATE_MS && "warn"],
      ["Behind its broker", `${ago(behind)}${behind > LAG_LATE_MS ? ": alerts come late" : ""}`, behind > LAG_LATE_MS && "warn"],
      ["Store", `last written ${ago(store)} ago${store > STORE_LATE_MS ? ": late" : ""}`, store > STORE_LATE_MS && "warn"],
      ["Silent pumps", `${silent_count} of ${told.pumps}`, silent_count > 0 && "warn"],
      ["Stood still", told.stalled_ms ? `${ago(told.stalled_ms)} in all` : "never", told.stalled_ms > 0 && "warn"],
      ["Refused messages", number(totals.refused), totals.refused > 0 && "warn"],
    ])),
    section("Silent pumps", table("Pumps that are not heard", ["Pump", "Site", "Last heard"], silent.map((/** @type {any} */ each) => [el("a", { href: `/pump/${encodeURIComponent(each.site)}/${encodeURIComponent(each.pump)}`, text: each.pump }), each.site, each.heard_ms == null ? "never" : when(state.onMonitor(each, each.heard_ms), now_ms)]), "All are heard.")),
    section("Refused messages by kind", table("Refused messages by kind", ["Kind", "How many"], Object.entries(refused).map(([kind, count]) => [kind, number(Number(count))]), "None.")),
    section("Alerts", facts([...Object.entries(alerts.open).map(([priority, count]) => /** @type {[string, string]} */ ([`Open, ${MARKS[/** @type {"high"} */ (priority)]}`, number(Number(count))])), ["Over, seen by nobody", number(alerts.unseen)], ["Raised, of all pumps", number(alerts.raised)], ["Held open because they flapped", number(alerts.damped)], ["Not said: too many of their pump", number(alerts.dropped)]])),
    section("Counts since the start", facts([["Messages", number(totals.messages)], ["Batches", number(totals.batches)], ["Changes of alerts", number(totals.changes)], ["Acts done, late, refused", [totals.acts_done, totals.acts_late, totals.acts_refused].map(number).join(", ")],
      ["Came twice", number(totals.again + told.duplicates)], ["Came late", number(told.late)], ["Snapshots stored", number(totals.snapshots)], ["Therapies", number(told.therapies)], ["Viewers now", number(told.viewers)]])),
    section("What runs", facts([["Instance", told.instance], ["Version", told.version], ["Policy", told.policy || "defaults"], ["Clock", `${when(now_ms, now_ms)}${speed === 1 ? "" : `, ${speed} times as fast as the wall's`}`]])),
  ];
}

/** @param {HTMLElement} root */
export function mount(root) {
  const said = el("div", { class: "columns" });
  root.append(el("h1", { text: title }), said, el("p", {}, el("a", { href: "/people", text: "Your password and tokens" }), " · ", el("a", { href: "/api/v1/openapi.json", target: "_blank", text: "The API, described" })));
  let gone = false;
  let shown = "";
  async function load() {
    const answer = await get("/api/v1/system");
    if (gone) return;
    const text = JSON.stringify(answer.body);
    // Somebody who selects or tabs through it is not disturbed for nothing.
    if (text !== shown && !said.contains(document.activeElement)) said.replaceChildren(...(answer.ok ? parts(answer.body) : [failure(answer)]));
    shown = text;
  }
  load();
  const timer = setInterval(() => document.visibilityState === "visible" && state.live !== "stale" && load(), EVERY_MS);
  return () => ((gone = true), clearInterval(timer));
}
