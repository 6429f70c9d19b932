// The worklist: what needs somebody, worst first. Rows are moved and never made anew.

import { ask, possible } from "./acts.js";
import { ago, amount, arrange, clock, el, put } from "./dom.js";
import { calls, MARKS, RANKS, state, subscribe } from "./state.js";

/** @typedef {import("./state.js").Alert} Alert */
/** @typedef {import("./state.js").Priority} Priority */
/** @typedef {{node: HTMLTableRowElement, alert: Alert, over: boolean, show: (alert: Alert) => void, age: () => void}} Row */

export const title = "Worklist";
const ROWS_MAX = 150;
const REST_MS = 15_000;
const HEADS = ["Priority", "Pump", "What, and what to look at first", "Since", "Who", "Dose", "Do"];
const CHOICES = { taken: { "": "everybody's", free: "nobody's", mine: "mine", taken: "taken" }, group: { "": "not grouped", pump: "by pump", therapy: "by therapy" } };

/** Worst first; then what nobody has in hand; then the oldest. @param {Alert} a @param {Alert} b */
export const before = (a, b) =>
  RANKS[b.priority] - RANKS[a.priority] || Number(calls(b)) - Number(calls(a)) || a.raised_ms - b.raised_ms || (a.id < b.id ? -1 : 1);

/** The dose of a pump over its therapy, as a share of the order. @param {import("./state.js").PumpRow | undefined} row */
export function share(row) {
  const { dose } = row ?? {};
  if (!dose) return "unknown";
  if (dose.expected_iu <= 0) return dose.high_iu > 0 ? amount(dose.high_iu, "IU, none ordered") : "none ordered";
  const [low, high] = [dose.low_iu, dose.high_iu].map((iu) => Math.round((100 * iu) / dose.expected_iu));
  if (low === high) return `${dose.low_iu < dose.high_iu ? "~" : ""}${low}\u00a0%`;
  return `${low}–${high}\u00a0%`;
}

/** Who has it, or who is called. @param {Alert} alert @returns {string[]} */
function who(alert) {
  const { taken, offered, acknowledged, snoozed, audio_paused, declined, notes = [] } = alert.facts ?? {};
  const name = (/** @type {string} */ by) => (by === state.me.name ? "You" : by);
  const until = (/** @type {{until_ms?: number}} */ deed) => (deed.until_ms ? ` until ${clock(state.onMonitor(alert, deed.until_ms), false)}` : "");
  const lines = [];
  if (taken) lines.push(`${name(taken.by)}${until(taken)}`);
  if (offered) lines.push(`→ ${offered.to === state.me.name ? "you are" : `${offered.to} is`} asked to take over`);
  if (!taken && alert.called && !snoozed) lines.push(alert.called.failsafe ? "Everybody is called" : `Nobody; called: ${alert.called.name}`);
  if (!taken && declined) lines.push(`${name(declined.by)} cannot come`);
  if (acknowledged) lines.push(`Seen by ${acknowledged.by === state.me.name ? "you" : acknowledged.by}`);
  if (snoozed) lines.push(`Snoozed${until(snoozed)}`);
  if (audio_paused) lines.push(`Sound paused${until(audio_paused)}`);
  const [note] = notes.slice(-1);
  if (note) lines.push(`“${note.text}” ${name(note.by)}`);
  return lines.length ? lines : [alert.priority === "notice" ? "" : "Nobody"];
}

/** @param {Alert} first @param {any} app @returns {Row} */
function makeRow(first, app) {
  const badge = el("span");
  const pump = el("a", { href: `/pump/${first.site}/${first.pump}` }, el("b", { text: first.pump }));
  const [therapy, name, what, hint, since, at, dose, total, answer] = Array.from("123456789", () => el("span"));
  const people = el("ul", { class: "who" });
  const acts = el("div", { class: "acts" });
  const cells = [[badge], [pump, therapy], [name, what, hint, answer], [since, at], [people], [dose, total], [acts]];
  const node = el("tr", { dataset: { id: first.id } }, ...cells.map((parts, index) => el("td", { dataset: { label: HEADS[index] } }, ...parts)));
  Object.assign(name, { className: "title" });
  Object.assign(hint, { className: "hint" });
  Object.assign(answer, { className: "answer" });
  for (const small of [therapy, at, total]) small.className = "small";
  const button = (/** @type {string} */ text, /** @type {() => void} */ run, kind = "") => el("button", { type: "button", class: kind, text, on: { click: run } });
  const take = button("Take", () => row.over || app.act(row.alert, "take"), "primary");
  const seen = button("Ack", () => row.over || app.act(row.alert, "acknowledge"));
  const more = button("More…", () => row.over || ask(row.alert, app.act));
  take.dataset.act = "take";
  seen.dataset.act = "acknowledge";
  more.dataset.act = "more";
  acts.append(take, seen, more);
  /** @type {Row} */
  const row = {
    node, alert: first, over: false,
    show(alert) {
      row.alert = alert;
      const may = possible(alert);
      const mine = alert.facts?.taken?.by === state.me.name;
      const standing = state.pumps.get(`${alert.site}/${alert.pump}`);
      node.className = `${alert.priority}${calls(alert) ? " calls" : ""}${row.over ? " over" : ""}`;
      badge.className = `badge ${alert.priority}${calls(alert) && !row.over ? " calls" : ""}`;
      put(badge, MARKS[alert.priority]);
      put(therapy, [alert.therapy, standing?.silent ? "silent" : ""].filter(Boolean).join(" · "));
      put(name, `${alert.title}${alert.state === "latched" ? " (over, not yet acknowledged)" : row.over ? " (over)" : ""}`);
      put(what, alert.what ?? "");
      put(hint, alert.first ? `Look first: ${alert.first}` : "");
      put(at, clock(state.onMonitor(alert, alert.onset_ms), false));
      put(dose, alert.evidence.dose_iu == null ? "" : `${alert.evidence.dose_iu > 0 ? "+" : ""}${amount(alert.evidence.dose_iu, "IU")}`);
      put(total, `${share(standing)} of order`);
      const lines = who(alert);
      if (people.dataset.lines !== lines.join("\n")) people.replaceChildren(...lines.map((text) => el("li", { text })));
      people.dataset.lines = lines.join("\n");
      const said = app.answers.get(alert.id);
      put(answer, said?.sentence ?? "");
      answer.classList.toggle("bad", said?.ok === false);
      take.hidden = !may.includes("take") || mine;
      seen.hidden = !may.includes("acknowledge");
      put(seen, alert.unseen && alert.state === "cleared" ? "Seen" : "Ack");
      for (const each of [take, seen, more]) {
        each.setAttribute("aria-disabled", String(!state.canAct() || row.over));
        each.setAttribute("aria-label", `${each.textContent} ${alert.pump} ${alert.title}`);
      }
      acts.hidden = !state.me.rights.includes("act");
      row.age();
    },
    age: () => put(since, ago(state.pumpNow(row.alert) - row.alert.onset_ms)),
  };
  row.show(first);
  return row;
}

/** @param {string} caption */
function makeTable(caption) {
  const body = el("tbody");
  const widths = ["c-mark", "c-pump", "c-what", "c-since", "c-who", "c-dose", "c-do"];
  const table = el("table", { class: "worklist" }, el("caption", { class: "spoken", text: caption }),
    el("colgroup", {}, ...widths.map((name) => el("col", { class: name }))),
    el("thead", {}, el("tr", {}, ...HEADS.map((text) => el("th", { scope: "col", text })))), body);
  return { table, body };
}

/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const open = makeTable("Open alerts, worst first");
  const past = makeTable("Over, and seen by nobody");
  const pill = el("button", { type: "button", class: "pill", hidden: true, on: { click: () => draw(true) } });
  const found = el("p", { class: "found" });
  const empty = el("p", { class: "empty" });
  const pastHead = el("h2", { text: "Over, and seen by nobody" });
  const filters = el("form", { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } });
  root.append(el("h1", { class: "spoken", text: title }), filters, found, pill, open.table, empty, pastHead, past.table);

  /** @type {Map<string, Row>} */ const rows = new Map();
  /** @type {Map<string, HTMLTableRowElement>} */ const heads = new Map();
  let pointed = -Infinity;
  let at = "";
  let more = 0;
  const query = () => new URLSearchParams(location.search);
  const set = (/** @type {string} */ name, /** @type {string} */ value) => {
    const next = query();
    if (value) next.set(name, value);
    else next.delete(name);
    history.replaceState(null, "", `${location.pathname}${next.size ? `?${next}` : ""}`);
    draw(true);
  };
  const search = el("input", { type: "search", id: "q", placeholder: "Search ( / )", "aria-label": "Search pump, therapy, alert or person", value: query().get("q") ?? "", on: { input: () => set("q", search.value.trim()) } });
  const select = (/** @type {string} */ name, /** @type {string} */ label, /** @type {Record<string, string>} */ choices) => {
    const node = el("select", { "aria-label": label, on: { change: () => set(name, node.value) } }, ...Object.entries(choices).map(([value, text]) => el("option", { value, text })));
    node.value = query().get(name) ?? "";
    return node;
  };
  const toggles = /** @type {Priority[]} */ (Object.keys(MARKS)).map((priority) => el("button", { type: "button", class: `toggle ${priority}`, dataset: { priority }, on: { click: () => {
    const chosen = new Set((query().get("priority") ?? "").split(",").filter(Boolean));
    if (!chosen.delete(priority)) chosen.add(priority);
    set("priority", [...chosen].join(","));
  } } }));
  const sites = Object.fromEntries([...new Set([...state.pumps.values()].map((row) => row.site))].map((site) => [site, site]));
  filters.append(search, ...toggles, select("taken", "Whose", CHOICES.taken), select("site", "Site", { "": "all sites", ...sites }), select("group", "Grouped", CHOICES.group));

  /** @param {Alert} alert @param {URLSearchParams} wanted */
  const passes = (alert, wanted) => {
    const { taken } = alert.facts ?? {};
    const text = (wanted.get("q") ?? "").toLowerCase();
    const whose = wanted.get("taken");
    return (!wanted.get("priority") || wanted.get("priority")?.split(",").includes(alert.priority)) && (!wanted.get("site") || wanted.get("site") === alert.site)
      && (!whose || { mine: taken?.by === state.me.name, free: !taken, taken: !!taken }[whose])
      && (!text || `${alert.pump} ${alert.therapy ?? ""} ${alert.title} ${alert.rule} ${taken?.by ?? ""}`.toLowerCase().includes(text));
  };
  const frozen = () => performance.now() - pointed < REST_MS && (open.body.matches(":hover") || open.body.contains(document.activeElement));

  /** @param {Alert[]} alerts @returns {Element[]} */
  const nodes = (alerts) => {
    const group = /** @type {"pump" | "therapy" | null} */ (query().get("group"));
    const name = (/** @type {Alert} */ alert) => `${alert.site}/${(group && alert[group]) || "none"}`;
    const list = group ? [...new Map(alerts.map((alert) => [name(alert), 0])).keys()].flatMap((key) => alerts.filter((alert) => name(alert) === key)) : alerts;
    /** @type {Element[]} */ const result = [];
    let last = "";
    for (const alert of list) {
      if (group && name(alert) !== last) {
        last = name(alert);
        if (!heads.has(last)) heads.set(last, el("tr", { class: "group" }, el("th", { colspan: HEADS.length, scope: "rowgroup", text: last })));
        result.push(/** @type {Element} */ (heads.get(last)));
      }
      result.push(/** @type {Row} */ (rows.get(alert.id)).node);
    }
    return result;
  };

  /** @param {boolean} [now] whatever the pointer does */
  function draw(now = false) {
    const wanted = query();
    const all = [...state.alerts.values()].sort(before);
    const shown = all.filter((alert) => passes(alert, wanted));
    const some = shown.slice(0, ROWS_MAX + more);
    const holds = !now && frozen();
    let news = 0;
    for (const alert of [...some, ...state.unseen.values()]) {
      const row = rows.get(alert.id);
      if (row) (row.over = false), row.show(alert);
      else if (!holds || alert.state === "cleared") rows.set(alert.id, makeRow(alert, app));
      else news += 1;
    }
    for (const [id, row] of rows) {
      if (state.alerts.has(id) || state.unseen.has(id)) continue;
      if (!holds) rows.delete(id);
      else if (!row.over) (row.over = true), row.show(row.alert);
    }
    if (!holds) arrange(open.body, nodes(some));
    const unseen = [...state.unseen.values()].sort(before);
    arrange(past.body, unseen.map((alert) => /** @type {Row} */ (rows.get(alert.id)).node));
    pastHead.hidden = past.table.hidden = !unseen.length;
    const worst = some.find((alert) => !rows.has(alert.id));
    pill.hidden = !news;
    pill.className = `pill ${worst?.priority ?? ""}`;
    put(pill, news ? `${news} new${worst ? `, ${MARKS[worst.priority]}` : ""}: show` : "");
    for (const toggle of toggles) {
      const priority = /** @type {Priority} */ (toggle.dataset.priority);
      put(toggle, `${MARKS[priority]} ${all.filter((alert) => alert.priority === priority).length}`);
      toggle.setAttribute("aria-pressed", String((wanted.get("priority") ?? "").split(",").includes(priority)));
    }
    const hidden = all.filter((alert) => alert.priority === "high" && !passes(alert, wanted)).length;
    found.hidden = shown.length === all.length && some.length === shown.length;
    found.classList.toggle("bad", hidden > 0);
    put(found, `${some.length} of ${all.length} alerts shown${hidden ? `; ${hidden} HIGH hidden by the filter` : ""}.`);
    empty.hidden = shown.length > 0;
    put(empty, state.live === "start" ? "Waiting for the monitor…" : all.length ? "No alert passes the filter." : "No open alerts.");
  }

  /** @param {number} step */
  const go = (step) => {
    const list = /** @type {HTMLTableRowElement[]} */ ([...root.querySelectorAll("tr[data-id]")]);
    const index = list.findIndex((node) => node.contains(document.activeElement));
    const from = index >= 0 ? index : list.findIndex((node) => node.dataset.id === at);
    const next = list[Math.min(list.length - 1, Math.max(0, from + step))];
    const target = /** @type {HTMLElement | null} */ (next?.querySelector("button:not([hidden])") ?? next?.querySelector("a"));
    at = next?.dataset.id ?? "";
    target?.focus();
  };
  const press = (/** @type {string} */ act) => {
    const button = document.activeElement?.closest("tr[data-id]")?.querySelector(`[data-act="${act}"]:not([hidden])`);
    /** @type {HTMLElement | null} */ (button ?? null)?.click();
  };
  const keys = { j: () => go(1), k: () => go(-1), t: () => press("take"), a: () => press("acknowledge"), m: () => press("more"), "/": () => search.focus() };
  const end = new AbortController();
  const rest = () => (pointed = performance.now());
  for (const event of ["pointermove", "pointerdown", "focusin", "keydown"]) open.body.addEventListener(event, rest, { passive: true });
  const thaw = setInterval(() => {
    for (const row of rows.values()) row.age();
    if (!frozen() && (!pill.hidden || [...rows.values()].some((row) => row.over))) draw();
  }, 1000);
  app.keys(keys, end.signal);
  const ends = subscribe(({ lists, all, live, pumps }) => {
    if (lists.size || all || live || pumps.size) draw();
  });
  app.onAnswer(() => draw(), end.signal);
  draw(true);
  return () => (ends(), clearInterval(thaw), end.abort());
}
