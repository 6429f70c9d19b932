// The work of the service over all patients, and what is done at home about alarms and complaints.

import { get } from "./api.js";
import { el, put } from "./dom.js";
import { failure, line, section, table, when } from "./parts.js";

export const title = "Care";
const CALLS = { "at-once": "Call at once.", "if-not-solved": "Call if that does not help.", "next-day": "Call in the daytime." };
const STATES = { overdue: "missed", due: "due", coming: "coming" };
const HOURS = { 8: "8 hours", 24: "24 hours", 72: "3 days", 168: "7 days" };

/** @param {any} each @param {number} now */
const taskRow = ({ site, pump, state, task }, now) =>
  line([el("span", { class: state === "overdue" ? "bad" : null, text: STATES[/** @type {"due"} */ (state)] }), when(task.due_ms, now),
    pump ? el("a", { href: `/pump/${encodeURIComponent(site)}/${encodeURIComponent(pump)}`, text: task.therapy }) : task.therapy, task.role, task.name]);

/** @param {any} each */
const guideRow = ({ key, page }) =>
  line([el("span", { id: `guide-${key}` }, el("b", { class: "title", text: page.title }), el("code", { class: "small", text: key })), page.means,
    el("div", {}, el("ol", {}, ...page.steps.map((/** @type {string} */ text) => el("li", { text }))), page.never ? el("p", { class: "bad", text: page.never }) : "", el("p", { text: CALLS[/** @type {"at-once"} */ (page.call)] }))]);

/** @param {HTMLElement} root */
export function mount(root) {
  const query = new URLSearchParams(location.search);
  const [tasks, pages] = [el("div"), el("div")];
  const [counted, found] = [el("p", { class: "quiet", role: "status" }), el("p", { class: "quiet", role: "status" })];
  const ahead = el("select", { "aria-label": "How far ahead" }, ...Object.entries(HOURS).map(([value, text]) => el("option", { value, text: `next ${text}`, selected: value === "24" })));
  const search = el("input", { type: "search", "aria-label": "Search the guide", placeholder: "Search", value: query.get("q") ?? "" });
  const still = { on: { submit: (/** @type {Event} */ event) => event.preventDefault() } };
  root.append(el("h1", { text: "Care" }), section("Work", el("form", { class: "filters", ...still }, ahead, counted), tasks), section("What to do at home", el("form", { class: "filters", role: "search", ...still }, search, found), pages));
  let gone = false;
  const filter = () => {
    const words = search.value.trim().toLowerCase();
    const rows = /** @type {HTMLElement[]} */ ([...pages.querySelectorAll("tbody tr")]);
    for (const each of rows) each.hidden = !each.textContent?.toLowerCase().includes(words);
    put(found, `${rows.filter((each) => !each.hidden).length} of ${rows.length} pages`);
  };
  const work = async () => {
    const { ok, ...answer } = await get(`/api/v1/work?hours=${ahead.value}`);
    if (gone) return;
    if (!ok) return tasks.replaceChildren(failure({ ok, ...answer }));
    const { items, now_ms, is_whole } = answer.body;
    put(counted, `${items.length} tasks${is_whole ? "" : " of more"}, ${items.filter((/** @type {any} */ each) => each.state === "overdue").length} missed`);
    tasks.replaceChildren(table("Work, the missed first", ["State", "When", "Therapy", "Who", "What"], items.map((/** @type {any} */ each) => taskRow(each, now_ms)), "Nothing is due."));
  };
  ahead.addEventListener("change", work);
  search.addEventListener("input", filter);
  (async () => {
    const [guide] = await Promise.all([get("/api/v1/guide"), work()]);
    if (gone) return;
    if (!guide.ok) return pages.replaceChildren(failure(guide));
    const { emergency, on_call, items } = guide.body;
    pages.replaceChildren(el("p", { class: "bad", text: emergency }), el("p", { text: on_call }), table("What to do at home", ["What", "What it means", "What to do"], items.map(guideRow)));
    filter();
  })();
  return () => void (gone = true);
}
