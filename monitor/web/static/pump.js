// One pump and its therapy: what it does, what it gave against the order, and what a nurse can tell of it.

import { ask, possible } from "./acts.js";
import { get } from "./api.js";
import { ago, amount, clock, el, put } from "./dom.js";
import { orderForm, orderWords, pathOf, proposalCard, reportForm, resultForm } from "./forms.js";
import { badge, button, exact, facts, failure, section, table, when } from "./parts.js";
import { calls, MARKS, state, subscribe } from "./state.js";
import { bars, cut, picture, resultWords, tabled } from "./trend.js";
import { order as worstFirst, share, who } from "./worklist.js";

/** @typedef {import("./state.js").Alert} Alert */

export const title = "Pump";
const HOUR = 3_600_000;
/** Hours shown, and how long a stretch is that one value stands for. */
const SPANS = /** @type {const} */ ([[1, 2], [6, 5], [24, 15]]);
const POINTS = 2000;
const SAMPLE_MS = 60_000;
/** As many samples missing are a gap. */
const MISSING = 2.5;
const AGAIN_MS = 15_000;
const WORDS = { delivering: "Running", transitioning: "Changing", kvo: "Keeping the vein open" };

/** Rules that the guide has a page for, besides the pump's own alarms. */
const GUIDED = new Set(["bleeding"]);

/** @param {Alert} alert @param {any} app */
function card(alert, app) {
  const past = alert.state === "cleared";
  const may = possible(alert);
  const named = (/** @type {string} */ text, /** @type {() => void} */ run, name = "", what = "") => {
    const node = button(text, run, name);
    for (const [key, value] of Object.entries({ "aria-label": `${text} ${alert.pump} ${alert.title}`, "aria-disabled": String(!state.canAct()), "data-key": `${alert.id} ${what}` })) node.setAttribute(key, value);
    return node;
  };
  const mine = alert.facts?.taken?.by === state.me.name;
  const acts = !state.me.rights.includes("act") ? [] : [...(may.includes("take") && !mine ? [named("Take", () => app.act(alert, "take"), "primary", "take")] : []),
    ...(may.includes("acknowledge") ? [named(past ? "Seen" : "Ack", () => app.act(alert, "acknowledge"), "", "acknowledge")] : []), named("More…", () => ask(alert, app), "", "more")];
  const { dose_iu: iu, detail } = alert.evidence;
  const loud = calls(alert) && !past ? " calls" : "";
  const mark = badge(alert.priority);
  mark.className += loud;
  return el("li", { class: `alert ${alert.priority}${loud}` }, el("p", { class: "headline" }, mark, el("span", { class: "title", text: `${alert.title}${past ? " (over, seen by nobody)" : alert.state === "latched" ? " (over, but not yet acknowledged)" : ""}` })),
    el("p", { text: [alert.what, detail && detail !== alert.what ? detail : ""].filter(Boolean).join(" · ") }), el("p", { class: "quiet", text: alert.first ? `First: ${alert.first}` : "" }),
    el("p", { class: "quiet", text: [`since ${clock(state.onMonitor(alert, alert.onset_ms), false)}`, iu == null ? "" : `${amount(Math.abs(iu), "IU")} ${iu > 0 ? "too much" : "too little"}`, ...who(alert), app.answers.get(alert.id)?.sentence].filter(Boolean).join(" · ") }),
    (alert.category === "device" && alert.rule !== "unknown-device-alarm") || GUIDED.has(alert.rule) ? el("p", {}, el("a", { href: `/care?q=${encodeURIComponent(alert.rule)}`, text: "What to do at home", "aria-label": `What to do at home: ${alert.title}` })) : "",
    el("p", { class: "acts" }, ...acts));
}

/** A dose as a number, or as a range where nobody knows it. @param {any} dose */
function doseWords(dose) {
  const { delivered_iu, low_iu, high_iu, expected_iu } = dose;
  const part = share({ key: "", site: "", pump: "", dose });
  const given = low_iu < high_iu ? `between ${exact(low_iu, "IU")} and ${exact(high_iu, "IU")}` : exact(delivered_iu, "IU");
  return `${given} of ${exact(expected_iu, "IU")} ordered${part.includes("%") ? ` (${part})` : ""}`;
}

/** @param {any} row @param {any} view */
function keyFacts(row, view) {
  const { prescription: order, presence, forecast, doses = {} } = view;
  const at = (/** @type {number} */ ms) => when(state.onMonitor(row, ms), state.now());
  const { level, rate_ml_h: rate, reservoir_ml: reservoir } = row;
  const other = order && row.order_version !== order.version;
  const out_ms = rate > 0 && row.delivery === "delivering" ? state.now() + (reservoir / rate) * HOUR : null;
  const differ = (/** @type {string} */ of, /** @type {string} */ unit) => row[of] == null ? null : order && Math.abs(row[of] - order[of]) > 1e-6 ? `${exact(row[of], unit)}, but ordered for ${exact(order[of], unit)}` : exact(row[of], unit);
  return facts([
    ["Dose of the therapy", row.dose ? doseWords(row.dose) : "unknown: no order, or nothing heard", row.dose && row.dose.low_iu < row.dose.high_iu && "warn"],
    ...["1h", "24h"].filter((name) => doses[name]).map((name) => /** @type {[string, string]} */ ([`Last ${name.replace("h", " h")}`, doseWords(doses[name])])),
    ["Programmed", rate == null ? null : `${exact(rate, "mL/h")} = ${exact(row.rate_iu_h, "IU/h")}${row.weight_kg ? ` = ${exact(row.rate_iu_h / row.weight_kg, "IU/kg/h")}` : ""}`],
    ["Flow now", row.flow_ml_h == null ? null : exact(row.flow_ml_h, "mL/h")],
    ["Ordered now", row.ordered_iu_h == null ? "no order" : exact(row.ordered_iu_h, "IU/h"), row.ordered_iu_h == null && "warn"],
    ["Order", order ? (other ? `pump has version ${row.order_version ?? "none"}; version ${order.version} is in force` : `version ${order.version}, on the pump too`) : null, other && "warn"],
    ["Bag", differ("concentration_iu_ml", "IU/mL"), order && row.concentration_iu_ml !== order.concentration_iu_ml && "warn"],
    ["Weight", differ("weight_kg", "kg"), order && row.weight_kg != null && row.weight_kg !== order.weight_kg && "warn"],
    ["Reservoir", reservoir == null || presence?.reservoir_gauge === "none" ? "the pump does not gauge it" : `${amount(reservoir, "mL")}${out_ms ? `, empty about ${when(out_ms, state.now())}` : ""}`],
    ["Still to infuse", row.vtbi_remaining_ml == null ? null : amount(row.vtbi_remaining_ml, "mL")],
    ["Power", row.battery == null ? null : `${row.power === "mains" ? "mains, battery" : "on battery,"} ${Math.round(100 * row.battery)}\u00a0%`, row.power === "battery" && "warn"],
    ["Line pressure", row.pressure_mmhg == null ? null : `${amount(row.pressure_mmhg, "mmHg")}${presence?.occlusion_limit_mmhg ? `; alarm at ${presence.occlusion_limit_mmhg}` : ""}`],
    ["Level (estimate)", level ? `${level.median.toFixed(2)}\u00a0IU/mL (${level.low.toFixed(2)}–${level.high.toFixed(2)}); ${level.anchored_ms ? `last blood test ${at(level.anchored_ms)}` : "no blood test yet"}` : "none yet"],
    ["If this goes on", forecast ? `in ${forecast.hours} h about ${forecast.level.toFixed(2)}\u00a0IU/mL (${forecast.low.toFixed(2)}–${forecast.high.toFixed(2)}); chance of less than ${forecast.range_low}: ${Math.round(100 * forecast.share_below)}\u00a0%, of more than ${forecast.range_high}: ${Math.round(100 * forecast.share_above)}\u00a0%` : null],
    ["Pump says", row.alarms?.length ? row.alarms.join(", ").replaceAll("-", " ") : "no alarm of its own"],
    ["Device", presence ? `${presence.profile}, firmware ${presence.firmware}, ${presence.state}` : null],
  ]);
}

/** @param {any} step @param {number} now */
function stepWords(step, now) {
  const rate = step.rate_iu_kg_h != null ? exact(step.rate_iu_kg_h, "IU/kg/h") : step.rate_iu_h != null ? exact(step.rate_iu_h, "IU/h") : "";
  return { start: `start at ${rate}`, rate: `rate ${rate}`, hold: `hold until ${when(step.until_ms, now)}`, bolus: `bolus of ${exact(step.dose_iu, "IU")} over ${amount(step.duration_s / 60, "min")}`, stop: "stop" }[/** @type {"stop"} */ (step.do)] ?? step.do;
}

/** @param {HTMLElement} root @param {Record<string, string>} params @param {any} app */
export function mount(root, { site, pump }, app) {
  const key = `${site}/${pump}`;
  const end = new AbortController();
  const path = `/api/v1/pumps/${encodeURIComponent(site)}/${encodeURIComponent(pump)}`;
  const [name, worst, words] = [el("h1", { text: pump }), el("span"), el("p", { class: "words" })];
  const open = el("ul", { class: "alerts" });
  const [details, chart, therapyPart, forms, waiting] = ["facts-of", "chart", "of-therapy", "forms", "waiting"].map((each) => el("div", { class: each }));
  const hours = () => Number(new URLSearchParams(location.search).get("hours")) || 6;
  const asTable = () => new URLSearchParams(location.search).has("table");
  /** @type {any} */ let view = {};
  /** @type {any} */ let trend = null;
  let asked = 0;
  let width = 0;
  const set = (/** @type {string} */ field, /** @type {string | null} */ value) => {
    const query = new URLSearchParams(location.search);
    if (value) query.set(field, value);
    else query.delete(field);
    history.replaceState(null, "", `${location.pathname}${query.size ? `?${query}` : ""}`);
  };
  const spans = SPANS.map(([each]) => button(`${each} h`, () => (set("hours", String(each)), tools(), load(true))));
  const toggle = button("As a table", () => (set("table", asTable() ? null : "yes"), tools(), draw()));
  const drawing = el("div", { class: "drawing" });
  function tools() {
    spans.forEach((each, index) => each.setAttribute("aria-pressed", String(SPANS[index][0] === hours())));
    toggle.setAttribute("aria-pressed", String(asTable()));
  }
  const key_ = (/** @type {string} */ of, /** @type {string} */ text) => el("li", {}, el("i", { class: `key ${of}` }), text);
  const trendPart = section("Trend", el("p", { class: "tools" }, ...spans, toggle), drawing, el("ul", { class: "legend" }, key_("delivered", "given"), key_("prescribed", "ordered"), key_("band", "± 10 % of the order"), key_("outside", "given, outside of it"), key_("interval", "level, middle 90 %"), key_("aim", "range aimed at"), key_("result", "laboratory"), key_("gaps", "not heard")));
  chart.append(trendPart);
  root.append(el("div", { class: "head" }, name, worst, words), el("div", { class: "pump-view" }, el("div", {}, open, waiting, chart, forms, therapyPart), el("aside", { "aria-label": "Key facts" }, el("h2", { text: "Now" }), details)));

  function header() {
    const row = state.pumps.get(key);
    const alerts = [...state.alerts.values(), ...state.unseen.values()].filter((alert) => alert.site === site && alert.pump === pump).sort(worstFirst);
    put(name, [pump, row?.therapy].filter(Boolean).join(" · "));
    worst.className = row?.worst ? `badge ${row.worst}` : "badge none";
    put(worst, row?.worst ? MARKS[row.worst] : row ? "no alert" : "");
    if (!row) return put(words, state.live === "start" ? "Waiting for the monitor…" : `No pump ${pump} of ${site} has been heard of.`);
    const says = row.heard_ms == null ? "never heard" : row.silent ? `Silent: last heard ${ago(state.now() - row.heard_ms)} ago, at ${when(row.heard_ms, state.now())}. What is said here is as old.`
      : `${WORDS[/** @type {"kvo"} */ (row.delivery)] ?? `Stopped${row.reason ? `: ${row.reason.replaceAll("-", " ")}` : ""}`}${row.delivery === "delivering" ? `, ${exact(row.rate_ml_h ?? 0, "mL/h")}` : ""}; heard ${ago(state.now() - row.heard_ms)} ago`;
    words.className = `words${row.silent ? " bad" : ""}`;
    put(words, says);
    const shown = JSON.stringify([alerts, state.canAct(), [...app.answers]]);
    if (open.dataset.shown === shown.length + shown) return;
    open.dataset.shown = shown.length + shown;
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.key;
    open.replaceChildren(...alerts.map((alert) => card(alert, app)));
    if (focused) /** @type {HTMLElement | undefined} */ ([...open.querySelectorAll("button")].find((each) => each.dataset.key === focused) ?? open.querySelector("button") ?? undefined)?.focus();
  }

  function draw() {
    const row = state.pumps.get(key) ?? view.row;
    if (view.row && row) details.replaceChildren(keyFacts(row, view));
    if (!trend || !row) return;
    width = Math.floor(drawing.clientWidth);
    const [, minutes] = SPANS.find(([each]) => each === hours()) ?? SPANS[1];
    const limit = MISSING * Math.max(SAMPLE_MS, 1000 * state.speed, 1000 * (view.presence?.interval_s ?? 0), (trend.to_ms - trend.from_ms) / POINTS);
    const { from_ms: from, to_ms: to, marks, results } = trend;
    const course = { from, to, at: (/** @type {number} */ ms) => state.onMonitor(row, ms), slices: cut(trend.samples, from, to, minutes * 60_000, limit), results, changes: marks,
      bars: bars(marks, view.alerts, from, to), range: view.forecast && [view.forecast.range_low, view.forecast.range_high], occlusion: view.presence?.occlusion_limit_mmhg };
    drawing.replaceChildren(asTable() ? tabled(course) : picture(course, Math.max(320, width)));
    if (!trend.is_whole) drawing.append(el("p", { class: "quiet", text: "There were more alerts than are marked here; the history has them all." }));
  }

  /** @param {any} therapy */
  function showTherapy(therapy) {
    const now = state.now();
    const { prescription: order, results, reports, proposals } = therapy;
    const waits = (/** @type {any} */ each) => !each.state || each.state === "proposed";
    const asks = proposals.filter(waits);
    const focused = waiting.contains(document.activeElement) || [...waiting.querySelectorAll("input")].some(({ value }) => value);
    // A reason that is being typed is not taken away; the next look shows what changed.
    if (!focused || !asks.length) waiting.replaceChildren(...(asks.length ? [section("An order waits for a second person", ...asks.map((/** @type {any} */ each) => proposalCard(each, app, () => (waiting.replaceChildren(), load(true)))))] : []));
    therapyPart.replaceChildren(
      section("Order", ...(order ? [el("p", { text: `Version ${order.version}: ${orderWords(therapy.standing)}.` }), table("Steps of the order, newest first", ["At", "What"], [...order.steps].sort((a, b) => b.at_ms - a.at_ms).map((step) => [when(step.at_ms, now), stepWords(step, now)]))] : [el("p", { class: "bad", text: "No order is known for this therapy." })])),
      section("Laboratory", table("Laboratory results, newest first", ["Drawn", "Result", "Specimen", "Came"], [...results].reverse().map((each) => [when(each.drawn_ms, now), resultWords(each), each.specimen, when(each.resulted_ms, now)]), "No result yet.")),
      section("Reports", table("Reports, newest first", ["When", "What", "More", "By"], [...reports].reverse().map((each) => [when(each.time_ms, now), each.what, each.detail, each.by]), "No report yet.")),
      ...(proposals.length > asks.length ? [section("Orders that were decided", ...proposals.filter((/** @type {any} */ each) => !waits(each)).map((/** @type {any} */ each) => proposalCard(each, app, () => load(true))))] : []),
      el("p", {}, el("a", { href: `/history?pump=${encodeURIComponent(key)}`, text: `History of ${pump}` })));
    offer(therapy);
  }

  /** Each form is made once and stays, so that nothing typed is lost; an order form is for one version. @param {any} therapy */
  function offer(therapy) {
    const order = therapy.prescription;
    const place = { site, pump, therapy: view.row.therapy };
    const of = `${place.therapy} ${order?.version}`;
    if (forms.dataset.of === of) return;
    const before = forms.dataset.of && [...forms.querySelectorAll("form")].find((each) => each.dataset.kind === "order" && each.checkVisibility());
    if (before && [...before.querySelectorAll("input, textarea")].some((each) => /** @type {HTMLInputElement} */ (each).name === "amount" && /** @type {HTMLInputElement} */ (each).value))
      return void (forms.querySelector(".newer") ?? forms.prepend(el("p", { class: "bad newer", role: "alert", text: `Version ${order?.version} is in force now; this form was begun before. Look at the new order, then begin again.` })));
    forms.dataset.of = of;
    const done = () => load(true);
    const makers = /** @type {const} */ ([["Enter a result", "result", () => resultForm(place, done)], ["Change the order", "order", () => orderForm(place, therapy, app, done)], ["Report something", "report", () => reportForm(place, done)]]);
    /** @type {HTMLElement[]} */ const made = [];
    const buttons = makers.filter(([, right]) => state.me.rights.includes(right)).map(([text, kind, make]) => {
      const body = el("section", { "aria-label": text, hidden: true });
      made.push(body);
      const node = button(text, async () => {
        if (!body.firstChild) {
          const head = el("h2", { text });
          body.append(head);
          try {
            const formNode = await make();
            formNode.dataset.kind = kind;
            body.append(formNode);
          } catch (error) {
            head.remove();
            return app.tell(/** @type {Error} */ (error).message, false);
          }
        }
        const opens = body.hidden;
        made.forEach((each, index) => ((each.hidden = each !== body || !opens), buttons[index].setAttribute("aria-expanded", String(!each.hidden))));
        if (opens) /** @type {HTMLElement | null} */ (body.querySelector("select, input"))?.focus();
      });
      node.setAttribute("aria-expanded", "false");
      return node;
    });
    forms.replaceChildren(el("p", { class: "tools" }, ...buttons), ...made);
  }

  async function load(now = false) {
    if (!state.pumps.has(key) || (!now && performance.now() - asked < AGAIN_MS)) return;
    asked = performance.now();
    const to = Math.round(state.pumpNow({ site, pump }));
    const mine = asked;
    const therapy = state.pumps.get(key)?.therapy;
    const answers = await Promise.all([get(path), get(`${path}/trend?from_ms=${to - hours() * HOUR}&to_ms=${to}&points=${POINTS}`), therapy ? get(pathOf({ site, pump, therapy })) : null]);
    if (end.signal.aborted || mine !== asked) return;
    const bad = answers.find((each) => each && !each.ok);
    if (bad) return void (trend ?? drawing.replaceChildren(failure(bad)));
    [view, trend] = answers.map((each) => each?.body);
    draw();
    if (answers[2]) showTherapy(answers[2].body);
    else therapyPart.replaceChildren(el("p", { class: "quiet", text: "The pump gives no therapy that is known." }));
  }

  tools();
  header();
  load(true);
  app.onAnswer(header, end.signal);
  const timer = setInterval(() => {
    header();
    if (state.live !== "stale") load();
  }, 1000);
  const sight = new ResizeObserver(() => Math.abs(drawing.clientWidth - width) > 8 && draw());
  sight.observe(chart);
  const leave = subscribe(({ lists, pumps, all, live }) => {
    if (!(lists.has(key) || pumps.has(key) || all || live)) return;
    header();
    if (lists.has(key) || all) load(true);
    const row = state.pumps.get(key);
    if (row && view.row && pumps.has(key)) details.replaceChildren(keyFacts(row, view));
  });
  return () => (leave(), clearInterval(timer), sight.disconnect(), end.abort());
}
