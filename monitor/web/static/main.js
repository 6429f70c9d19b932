// The shell: router, header, banner, keys. Each view is a module of its own.

import { perform } from "./acts.js";
import { announce } from "./announce.js";
import { get, post } from "./api.js";
import { clock, el, put } from "./dom.js";
import { listen } from "./sound.js";
import { apply, blindness, look, MARKS, picture, state, subscribe } from "./state.js";
import { connect } from "./stream.js";

/** @typedef {{title: string, mount: (root: HTMLElement, params: Record<string, string>, app: any) => (() => void) | void}} View */

/** @type {[RegExp, string, string, () => Promise<View>][]} */
const VIEWS = [
  [/^\/$/, "/", "Worklist", () => import("./worklist.js")],
  [/^\/wall$/, "/wall", "Wall", () => import("./wall.js")],
  [/^\/history$/, "/history", "History", () => view("history")],
  [/^\/handover$/, "/handover", "Hand-over", () => view("handover")],
  [/^\/care$/, "/care", "Care", () => view("care")],
  [/^\/rules$/, "/rules", "Rules", () => view("rules")],
  [/^\/system$/, "/system", "System", () => view("system")],
  [/^\/people$/, "/people", "People", () => view("people")],
  [/^\/pump\/(?<site>[^/]+)\/(?<pump>[^/]+)$/, "", "Pump", () => view("pump")],
];
/** A view that is not needed at first brings its sheet along. @param {string} name @returns {Promise<View>} */
async function view(name) {
  const sheet = el("link", { rel: "stylesheet", href: "/static/views.css", id: "views" });
  if (!document.getElementById("views")) await new Promise((resolve) => (document.head.append(sheet), (sheet.onload = sheet.onerror = resolve)));
  return import(`./${name}.js`);
}
const HELP = { "j / k": "next, previous alert", t: "take", a: "acknowledge", m: "more: hand on, release, decline, note, pause sound, snooze", "/": "search", "?": "this help" };
const ANSWER_MS = 30_000;
const LOOK_MS = 250;
const AGAIN_MS = 1000;
/** @param {string} id */
const at = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const [main, banner, toast] = ["main", "banner", "toast"].map(at);
const say = announce();

/** @type {Map<string, {ok: boolean, sentence: string}>} */ const answers = new Map();
/** @type {Set<() => void>} */ const answered = new Set();
/** @type {Record<string, () => void>} */ let keys = {};
/** @type {(() => void) | void} */ let unmount;
let visit = 0;

/** What a view gets to work with. */
const app = {
  state, go, answers,
  /** Does it, and shows and says what became of it. @param {import("./state.js").Alert} alert @param {string} what @param {object} [options] */
  async act(alert, what, options) {
    const answer = await perform(alert, what, options);
    answers.set(alert.id, answer);
    setTimeout(() => (answers.get(alert.id) === answer && answers.delete(alert.id), answered.forEach((run) => run())), ANSWER_MS);
    answered.forEach((run) => run());
    tell(`${alert.pump}: ${answer.sentence}`, answer.ok);
    return answer;
  },
  tell,
  /** @param {Record<string, () => void>} own @param {AbortSignal} signal */
  keys: (own, signal) => ((keys = own), signal.addEventListener("abort", () => keys === own && (keys = {}))),
  /** @param {() => void} run @param {AbortSignal} signal */
  onAnswer: (run, signal) => (answered.add(run), signal.addEventListener("abort", () => answered.delete(run))),
  /** @param {string} text @returns {Promise<boolean>} */
  confirm: (text) => new Promise((resolve) => {
    const dialog = dialogOf(el("p", { text }), el("button", { value: "no", text: "No" }), el("button", { value: "yes", class: "primary", text: "Yes" }));
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"));
  }),
};

/** @param {string} sentence @param {boolean} [good] */
function tell(sentence, good = true) {
  say(sentence);
  put(toast, sentence);
  toast.className = good ? "" : "bad";
  toast.hidden = false;
  setTimeout(() => toast.textContent === sentence && (toast.hidden = true), 8000);
}

/** @param {HTMLElement} content @param {...HTMLElement} buttons */
function dialogOf(content, ...buttons) {
  const dialog = el("dialog", { "aria-label": content.textContent ?? "" }, el("form", { method: "dialog" }, content, el("p", { class: "buttons" }, ...buttons)));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** @param {string} path */
function go(path) {
  history.pushState(null, "", path);
  return route(true);
}

/** @param {boolean} [moves] whether the focus goes into the new view */
async function route(moves = false) {
  const number = ++visit;
  const path = location.pathname;
  const [pattern, , , load] = VIEWS.find(([each]) => each.test(path)) ?? VIEWS[0];
  const params = Object.fromEntries(Object.entries(pattern.exec(path)?.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]));
  try {
    const { mount } = await load();
    if (number !== visit) return;
    if (unmount) unmount();
    main.replaceChildren();
    main.dataset.view = path;
    unmount = mount(main, params, app);
  } catch (error) {
    if (unmount) unmount();
    unmount = undefined;
    main.replaceChildren(el("p", { class: "empty bad", text: `This view did not load (${error}). Load the page again.` }));
  }
  menu();
  if (moves) main.focus();
}

function menu() {
  const links = VIEWS.filter(([, href]) => href && (href !== "/people" || state.me.rights.includes("people")));
  at("nav").replaceChildren(...links.map(([each, href, text]) => el("a", { href, "aria-current": each.test(location.pathname) ? "page" : null, text })));
}

/** What stands above everything while the page cannot be trusted wholly. */
function warning() {
  if (state.live !== "stale") return state.live === "blind" ? blindness() : "";
  if (!state.told_ms) return "No answer from the monitor. Check the pumps directly.";
  return `Not live: what you see is as of ${clock(state.now())}. Check the pumps directly. Nothing can be done here until it is live again.`;
}

function header() {
  const { dataset } = document.documentElement;
  if (dataset.live !== state.live) dataset.live = state.live;
  const { silent = 0 } = state.beat;
  const words = { start: "connecting", live: "live", stale: "NOT LIVE, as of", blind: "monitor blind" };
  put(at("live"), `${words[state.live]}${state.speed > 1 && state.live !== "start" ? ` ×${state.speed}` : ""}`);
  put(at("clock"), state.told_ms ? clock(state.now()) : "");
  put(at("person"), state.me.name + (state.me.is_idle ? ": sign in again to act" : ""));
  const text = warning();
  if (banner.textContent !== text) banner.textContent = text;
  banner.hidden = !text;
  const counts = /** @type {const} */ (["high", "medium", "low"]).map((priority) => [priority, [...state.alerts.values()].filter((alert) => alert.priority === priority).length]);
  const key = `${counts} ${silent} ${state.pumps.size}`;
  if (at("counts").dataset.key === key) return;
  at("counts").dataset.key = key;
  at("counts").replaceChildren(...counts.map(([priority, number]) => el("span", { class: `badge ${number ? priority : "none"}`, text: `${MARKS[/** @type {"high"} */ (priority)]} ${number}` })),
    el("span", { class: silent ? "quiet bad" : "quiet", text: `${state.pumps.size} pumps${silent ? `, ${silent} silent` : ""}` }));
}

function palette() {
  const chosen = localStorage.getItem("palette");
  const night = chosen ? chosen === "night" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.palette = night ? "night" : "day";
  put(at("palette"), night ? "Day" : "Night");
  return night;
}

function help() {
  dialogOf(el("div", {}, el("h2", { text: "Keys" }), el("dl", {}, ...Object.entries(HELP).flatMap(([key, text]) => [el("dt", {}, el("kbd", { text: key })), el("dd", { text })])),
    el("p", { text: "Simulated pumps, for testing and training. Not a medical device; signals are modelled on IEC 60601-1-8." })), el("button", { value: "ok", class: "primary", text: "Close" }));
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || target.matches("input, select, textarea")) return;
  const run = event.key === "?" ? help : keys[event.key];
  if (run) (event.preventDefault(), run());
});
document.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("a");
  if (!link || link.target || event.ctrlKey || event.metaKey || event.shiftKey || link.origin !== location.origin || link.hash || !VIEWS.some(([each]) => each.test(link.pathname))) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
addEventListener("popstate", () => route(true));
at("palette").addEventListener("click", () => (localStorage.setItem("palette", palette() ? "day" : "night"), palette()));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", palette);
at("help").addEventListener("click", help);
at("leave").addEventListener("click", async () => (await post("/api/v1/session", {}, "DELETE"), location.assign("/sign-in")));
document.addEventListener("visibilitychange", look);
setInterval(() => (look(), header()), LOOK_MS);
subscribe(({ live, all, lists }) => (live || all || lists.size) && header());
palette();
listen(at("sound"));
header();
route();
for (;;) {
  const { ok, body } = await get("/api/v1/me");
  if (ok) state.me = body;
  if (ok) break;
  await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
}
menu();
connect(state.me.name, apply, () => (state.canAct() || state.live === "live" ? picture() : null));
