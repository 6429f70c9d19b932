// What the monitor looks for, and the policy by which it tells people, in words.

import { get } from "./api.js";
import { ago, el, put } from "./dom.js";
import { badge, failure, line, list, section, table } from "./parts.js";

export const title = "Rules";
const CLASSES = { delivery: "What is really delivered, against the order", therapy: "What the pump is set to, against the order", device: "Alarms of the pump itself", technical: "Whether what a pump says can be believed", laboratory: "Blood tests, against dose and range", care: "What people report, and what is due" };

/** A text of the catalogue without what is filled in only when an alert is said. @param {string} text */
const plain = (text) => text.replace(/\[[^\]]*\]/g, "").replace(/\{\w+\}/g, "…");

/** @param {any} rule */
function row(rule) {
  const levels = rule.levels.map((/** @type {any} */ { after_s, priority }) => el("li", {}, badge(priority), after_s ? ` after ${ago(after_s * 1000)}` : " at once"));
  const more = [["Clears", `${rule.clears}${rule.off_delay_s ? ` (after ${ago(rule.off_delay_s * 1000)})` : ""}`], ["Hidden by", rule.hidden_by.join(", ")], ["Stays until acknowledged", rule.latches ? "yes" : ""]].filter(([, text]) => text);
  const limits = rule.limits.map((/** @type {any} */ { name, value, source }) => el("li", {}, el("code", { text: name }), ` ${value}`, el("span", { class: "quiet", text: ` ${source}` })));
  return line([el("span", { id: `rule-${rule.key}` }, el("b", { class: "title", text: rule.title }), el("code", { class: "small", text: rule.key })), el("ul", { class: "levels" }, ...levels),
    el("div", {}, el("p", { text: plain(rule.what) }), el("p", { class: "quiet", text: rule.first ? `First: ${plain(rule.first)}` : "" })),
    el("div", {}, el("p", { text: rule.why }), el("p", { class: "small", text: rule.source }), el("details", {}, el("summary", { text: "More" }), ...more.map(([name, text]) => el("p", { text: `${name}: ${text}.`.replace("..", ".") })), el("ul", {}, ...limits)))]);
}

/** @param {HTMLElement} root */
export function mount(root) {
  const query = new URLSearchParams(location.search);
  const search = el("input", { type: "search", "aria-label": "Search the rules", placeholder: "Search", value: query.get("q") ?? "" });
  const found = el("p", { class: "quiet", role: "status" });
  const [policy, rules] = [el("div"), el("div")];
  const said = section("Policy", policy);
  root.append(el("h1", { text: "Rules and policy" }), said, section("What is looked for", el("form", { class: "filters", role: "search", on: { submit: (/** @type {Event} */ event) => event.preventDefault() } }, search, found), rules));
  const filter = () => {
    const text = search.value.trim().toLowerCase();
    const rows = /** @type {HTMLElement[]} */ ([...rules.querySelectorAll("tbody tr")]);
    for (const each of rows) each.hidden = !each.textContent?.toLowerCase().includes(text);
    for (const each of rules.querySelectorAll("section")) each.hidden = !each.querySelector("tbody tr:not([hidden])");
    put(found, `${rows.filter((each) => !each.hidden).length} of ${rows.length} rules`);
    history.replaceState(null, "", `${location.pathname}${text ? `?${new URLSearchParams({ q: text })}` : ""}`);
  };
  search.addEventListener("input", filter);
  let gone = false;
  (async () => {
    const [known, words] = await Promise.all([get("/api/v1/rules"), get("/api/v1/policy")]);
    if (gone) return;
    policy.replaceChildren(...(words.ok ? [el("p", { class: "quiet", text: words.body.file ? `Read from ${words.body.file}.` : "The defaults; no file was given." }), list(words.body.sentences, "sentences")] : [failure(words)]));
    if (!known.ok) return rules.replaceChildren(failure(known));
    rules.replaceChildren(...Object.entries(CLASSES).map(([key, name]) => el("section", { "aria-label": name }, el("h3", { text: name }),
      table(`${name}: rules`, ["Rule", "Priority", "What it says", "Why, and where it comes from"], known.body.items.filter((/** @type {any} */ each) => each.category === key).map(row)))));
    filter();
  })();
  return () => void (gone = true);
}
