// The worklist: what needs somebody, worst first. Rows are moved and never made anew.

import { ask, possible } from "./acts.js";
import { ago, amount, arrange, clock, el, put } from "./dom.js";
import { calls, MARKS, pumpOf, RANKS, state, subscribe } from "./state.js";

/** @typedef {import("./state.js").Alert} Alert */
/** @typedef {{node: HTMLTableRowElement, alert: Alert, over: boolean, show: (alert: Alert) => void, age: () => void}} Row */

export const title = "Worklist";
const ROWS_MAX = 150;
const DENSE = 8;
/** Who does not move for so long is not reading: the list goes on. */
const REST_MS = 15_000;
const HEADS = ["Priority", "Pump", "What, and what to look at first", "Since", "Who", "Dose so far", "Do"];
const FILTERS = {
  priority: ["Priority", { "": "all priorities", high: "HIGH", "high,medium": "HIGH, MEDIUM", "high,medium,low": "HIGH to LOW" }],
  taken: ["Whose", { "": "everybody's", free: "nobody's", mine: "mine", taken: "taken" }],
  group: ["Grouped", { "": "not grouped", pump: "by pump", therapy: "by therapy" }],
};

/** Worst first; then what nobody has in hand; then the oldest. @param {Alert} a @param {Alert} b */
export const order = (a, b) =>
  RANKS[b.priority] - RANKS[a.priority] || Number(calls(b)) - Number(calls(a)) || a.raised_ms - b.raised_ms || (a.id < b.id ? -1 : 1);

/** The dose of a pump over its therapy, as a share of the order. @param {import("./state.js").PumpRow | undefined} row */
export function share(row) {
  const { dose } = row ?? {};
  if (!dose) return "unknown";
  if (dose.expected_iu <= 0) return dose.high_iu > 0 ? `${amount(dose.high_iu, "IU")}, none ordered` : "none ordered";
  const [low, high] = [dose.low_iu, dose.high_iu].map((iu) => Math.round((100 * iu) / dose.expected_iu));
  return low === high ? `${dose.low_iu < dose.high_iu ? "~" : ""}${low}\u00a0%` : `${low}–${high}\u00a0%`;
}

/** Who has it, or who is called. @param {Alert} alert @returns {string[]} */
export function who(alert) {
  const { taken, offered, acknowledged, snoozed, audio_paused, declined, notes = [] } = alert.facts ?? {};
  const name = (/** @type {string} */ by, you = "You") => (by === state.me.name ? you : by);
  const until = (/** @type {import("./state.js").Deed} */ deed) => (deed.until_ms ? ` until ${clock(state.onMonitor(alert, deed.until_ms), false)}` : "");
  const lines = taken ? [`${name(taken.by)}${until(taken)}`] : alert.priority === "notice" || alert.state === "cleared" ? [] : ["Nobody has it"];
  if (offered) lines.push(`asked: ${name(offered.to ?? "", "you")}`);
  if (!taken && alert.called && !snoozed && alert.state !== "cleared") lines.push(alert.called.failsafe ? "everybody is called" : `called: ${alert.called.name}${alert.called.who ? ` (${alert.called.who.join(", ")})` : ""}`);
  if (!taken && declined) lines.push(`${name(declined.by)} cannot come`);
  if (acknowledged) lines.push(`seen by ${name(acknowledged.by, "you")}`);
  if (snoozed) lines.push(`snoozed${until(snoozed)}`);
  if (audio_paused) lines.push(`sound paused${until(audio_paused)}`);
  for (const note of notes.slice(-1)) lines.push(`“${note.text}” ${name(note.by)}`);
  return lines;
}

/** @param {Alert} first @param {any} app @returns {Row} */
function makeRow(first, app) {
  const span = (name = "") => el("span", { class: name });
  const badge = span();
  const pump = el("a", { href: `/pump/${first.site}/${first.pump}` }, el("b", { text: first.pump }));
  const [therapy, at, total] = ["small", "small", "small"].map(span);
  const [name, what, hint, answer, since, dose] = ["title", "", "hint", "answer", "", "dose"].map(span);
  const people = el("ul", { class: "who" });
  const button = (/** @type {string} */ act, text = "", kind = "") => el("button", { type: "button", class: kind, text, dataset: { act }, on: {
    click: () => row.over || (act === "more" ? ask(row.alert, app) : app.act(row.alert, act)) } });
  const buttons = [button("take", "Take", "primary"), button("acknowledge"), button("more", "More…")];
  const acts = el("div", { class: "acts" }, ...buttons);
  const cells = [[badge], [pump, therapy], [name, what, hint, answer], [since, at], [people], [total, dose], [acts]];
  const node = el("tr", { dataset: { id: first.id } }, ...cells.map((parts) => el("td", {}, ...parts)));
  let shown = "";
  /** @type {import("./state.js").PumpRow | undefined} */ let stands;
  /** @type {Row} */
  const row = {
    node, alert: first, over: false,
    show(alert) {
      const said = app.answers.get(alert.id);
      const key = `${row.over} ${state.canAct()} ${said?.sentence}`;
      const pumpRow = state.pumps.get(pumpOf(alert));
      if (alert === row.alert && stands === pumpRow && shown === key) return;
      [row.alert, stands, shown] = [alert, pumpRow, key];
      const loud = calls(alert) && !row.over ? " calls" : "";
      const isPast = alert.state === "cleared";
      node.className = `${alert.priority}${isPast ? "" : loud}${row.over || isPast ? " over" : ""}`;
      badge.className = `badge ${alert.priority}${isPast ? "" : loud}`;
      put(badge, MARKS[alert.priority]);
      put(therapy, [alert.therapy, stands?.silent ? "silent" : ""].filter(Boolean).join(" · "));
      put(name, `${alert.title}${alert.state === "latched" ? " (over, but not yet acknowledged)" : row.over || isPast ? " (over)" : ""}`);
      put(what, alert.what ?? "");
      put(hint, alert.first ? `First: ${alert.first}` : "");
      hint.title = alert.first ?? "";
      put(at, clock(state.onMonitor(alert, alert.onset_ms), false));
      put(total, share(stands));
      const iu = alert.evidence.dose_iu;
      put(dose, iu == null ? "" : `${amount(Math.abs(iu), "IU")} ${iu > 0 ? "too much" : "too little"}`);
      people.replaceChildren(...who(alert).map((text) => el("li", { text })));
      put(answer, said?.sentence ?? "");
      answer.classList.toggle("bad", said?.ok === false);
      const may = possible(alert);
      const focused = buttons.find((each) => each === document.activeElement);
      buttons[0].hidden = !may.includes("take") || alert.facts?.taken?.by === state.me.name;
      buttons[1].hidden = !may.includes("acknowledge");
      put(buttons[1], isPast ? "Seen" : "Ack");
      for (const each of buttons) {
        each.setAttribute("aria-disabled", String(!state.canAct() || row.over));
        each.setAttribute("aria-label", `${each.textContent} ${alert.pump} ${alert.title}`);
      }
      acts.hidden = !state.me.rights.includes("act");
      if (focused?.hidden) buttons[2].focus();
      row.age();
    },
    age: () => put(since, ago((row.alert.cleared_ms ?? state.pumpNow(row.alert)) - row.alert.onset_ms)),
  };
  row.show(first);
  return row;
}

/** @param {string} caption */
function makeTable(caption) {
  const body = el("tbody");
  const table = el("table", { class: "worklist" }, el("caption", { class: "spoken", text: caption }),
    el("thead", {}, el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col", text })))), body);
  return { table, body };
}

/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const open = makeTable("Open alerts, worst first");
  const past = makeTable("Over, and seen by nobody");
  const pastHead = el("h2", { text: "Over, and seen by nobody" });
  const pill = el("button", { type: "button", class: "pill", on: { click: () => draw(true) } });
  const [found, empty] = ["found", "empty"].map((name) => el("p", { class: name }));
  /** @type {Map<string, Row>} */ const rows = new Map();
  /** @type {Map<string, HTMLTableRowElement>} */ const heads = new Map();
  let moved = -Infinity;
  let at = "";
  let wanted = new URLSearchParams(location.search);
  const want = (/** @type {string} */ name) => wanted.get(name) ?? "";
  const set = (/** @type {string} */ name, /** @type {string} */ value) => {
    if (value) wanted.set(name, value);
    else wanted.delete(name);
    history.replaceState(null, "", `${location.pathname}${wanted.size ? `?${wanted}` : ""}`);
    draw(true);
  };
  const select = (/** @type {string} */ name, /** @type {any[]} */ [label, choices]) => {
    const node = el("select", { "aria-label": label, on: { change: () => set(name, node.value) } }, ...Object.entries(choices).map(([value, text]) => el("option", { value, text })));
    node.value = want(name);
    return node;
  };
  const search = el("input", { type: "search", placeholder: "Search ( / )", "aria-label": "Search pump, therapy, alert or person", value: want("q"), on: { input: () => set("q", search.value.trim()) } });
  const site = el("span");
  const filters = el("form", { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } }, search, ...Object.entries(FILTERS).map(([name, each]) => select(name, each)), site);
  root.append(el("h1", { class: "spoken", text: title }), filters, found, pill, open.table, empty, pastHead, past.table);

  /** @param {Alert} alert */
  const passes = (alert) => {
    const { taken } = alert.facts ?? {};
    const text = `${alert.pump} ${alert.therapy ?? ""} ${alert.title} ${alert.rule} ${taken?.by ?? ""}`.toLowerCase();
    return (!want("priority") || want("priority").split(",").includes(alert.priority)) && (!want("site") || want("site") === alert.site)
      && { "": true, mine: taken?.by === state.me.name, free: !taken, taken: !!taken }[want("taken")] !== false && text.includes(want("q").toLowerCase());
  };
  const frozen = () => performance.now() - moved < REST_MS && (open.body.matches(":hover") || open.body.contains(document.activeElement));
  /** The rows in order, with a head over each group. @param {Alert[]} alerts @returns {Element[]} */
  const nodes = (alerts) => {
    const nodeOf = (/** @type {Alert} */ alert) => /** @type {Row} */ (rows.get(alert.id)).node;
    const by = /** @type {"pump" | "therapy"} */ (want("group"));
    if (!by) return alerts.map(nodeOf);
    /** @type {Map<string, Element[]>} */ const groups = new Map();
    for (const alert of alerts) {
      const name = `${alert.site}/${alert[by] ?? "none"}`;
      if (!heads.has(name)) heads.set(name, el("tr", { class: "group" }, el("th", { colspan: HEADS.length, scope: "rowgroup", text: name })));
      if (!groups.has(name)) groups.set(name, [/** @type {Element} */ (heads.get(name))]);
      groups.get(name)?.push(nodeOf(alert));
    }
    return [...groups.values()].flat();
  };

  /** @param {boolean} [now] whatever the pointer does */
  function draw(now = false) {
    const all = [...state.alerts.values()].sort(order);
    const shown = all.filter(passes);
    const some = shown.slice(0, ROWS_MAX);
    const unseen = [...state.unseen.values()].sort(order);
    const holds = !now && frozen();
    const fresh = some.filter((alert) => !rows.has(alert.id));
    for (const alert of holds ? unseen : [...some, ...unseen]) if (!rows.has(alert.id)) rows.set(alert.id, makeRow(alert, app));
    for (const [id, row] of rows) {
      const alert = state.alerts.get(id) ?? state.unseen.get(id);
      if (!alert && !holds) rows.delete(id);
      row.over = !alert;
      row.show(alert ?? row.alert);
    }
    if (!holds) arrange(open.body, nodes(some));
    // What is over goes to the other list, but not from under a finger.
    const gone = unseen.map((alert) => /** @type {Row} */ (rows.get(alert.id)).node);
    arrange(past.body, gone.filter((node) => !holds || node.parentNode !== open.body));
    pastHead.hidden = past.table.hidden = !unseen.length;
    open.table.classList.toggle("dense", some.length > DENSE);
    const missing = holds ? fresh : [];
    pill.hidden = !missing.length;
    pill.className = `pill ${missing[0]?.priority}`;
    put(pill, missing.length ? `${missing.length} new, ${MARKS[missing[0].priority]}: show` : "");
    const hidden = all.filter((alert) => alert.priority === "high" && !passes(alert)).length;
    found.hidden = all.length === some.length;
    found.classList.toggle("bad", hidden > 0);
    put(found, `${some.length} of ${all.length} alerts shown${hidden ? `; ${hidden} HIGH hidden by the filter` : ""}.`);
    empty.hidden = shown.length > 0;
    put(empty, state.live === "start" ? "Waiting for the monitor…" : all.length ? "No alert passes the filter." : "No open alerts.");
    const sites = [...new Set([...state.pumps.values()].map((row) => row.site))].sort();
    if (site.dataset.sites !== `${sites}`) site.replaceChildren(...(sites.length > 1 ? [select("site", ["Site", Object.fromEntries([["", "all sites"], ...sites.map((name) => [name, name])])])] : []));
    site.dataset.sites = `${sites}`;
  }

  /** The row with the focus moves by so many. @param {number} step */
  const go = (step) => {
    const list = /** @type {HTMLTableRowElement[]} */ ([...root.querySelectorAll("tr[data-id]")]);
    const from = list.findIndex((node) => node.contains(document.activeElement) || (node.dataset.id === at && !root.contains(document.activeElement)));
    const next = list[Math.min(list.length - 1, Math.max(0, from + step))];
    at = next?.dataset.id ?? "";
    /** @type {HTMLElement | null} */ (next?.querySelector(".acts:not([hidden]) button:not([hidden])") ?? next?.querySelector("a"))?.focus();
  };
  const press = (/** @type {string} */ act) => /** @type {HTMLElement | null} */ (document.activeElement?.closest("tr[data-id]")?.querySelector(`[data-act=${act}]:not([hidden])`))?.click();
  const end = new AbortController();
  app.keys({ j: () => go(1), k: () => go(-1), t: () => press("take"), a: () => press("acknowledge"), m: () => press("more"), "/": () => search.focus() }, end.signal);
  app.onAnswer(() => draw(), end.signal);
  for (const event of ["pointermove", "pointerdown", "focusin", "keydown"]) open.body.addEventListener(event, () => (moved = performance.now()), { passive: true });
  const timer = setInterval(() => {
    for (const row of rows.values()) row.age();
    if (!frozen() && (!pill.hidden || open.body.querySelector(".over"))) draw();
  }, 1000);
  const leave = subscribe(({ lists, all, live, pumps }) => (lists.size || all || live || pumps.size) && draw());
  draw(true);
  return () => (leave(), clearInterval(timer), end.abort());
}
