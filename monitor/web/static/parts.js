// What several views are made of: tables, facts, times with a date, and forms that lose nothing.

import { amount, clock, el, put } from "./dom.js";
import { MARKS, state, subscribe } from "./state.js";

/** @typedef {Node | string} Part */

/** @param {Part | null | undefined} part @returns {Part} */
const whole = (part) => part ?? "";

/** A real table with a caption, or a sentence where there is nothing. Each cell knows its head, for a phone.
 *  @param {string} caption @param {string[]} heads @param {(HTMLTableRowElement | (Part | null | undefined)[])[]} rows @param {string} [none] @param {string} [name] */
export function table(caption, heads, rows, none = "None.", name = "cards") {
  if (!rows.length) return el("p", { class: "quiet", text: none });
  const lines = rows.map((row) => (row instanceof Array ? line(row) : row));
  for (const { cells } of lines) if (cells.length === heads.length) heads.forEach((text, index) => (cells[index].dataset.head = text));
  return el("div", { class: "scroll", role: "group", tabindex: 0, "aria-label": caption }, el("table", { class: `plain ${name}` }, el("caption", { class: "spoken", text: caption }),
    el("thead", {}, el("tr", {}, ...heads.map((text) => el("th", { scope: "col", text })))), el("tbody", {}, ...lines)));
}

/** A row of a table; its first cell is its head. @param {(Part | null | undefined)[]} parts @param {string} [name] */
export const line = ([first, ...parts], name) => el("tr", { class: name }, el("th", { scope: "row" }, whole(first)), ...parts.map((part) => el("td", {}, whole(part))));

/** Pairs of a name and what it is; what is null stays out. @param {[string, Part | null | undefined, (string | false)?][]} pairs */
export const facts = (pairs) =>
  el("dl", { class: "facts" }, ...pairs.filter(([, part]) => part != null).map(([name, part, kind]) => el("div", { class: kind || null }, el("dt", { text: name }), el("dd", {}, whole(part)))));

/** @param {string} name @param {...Part} parts */
export const section = (name, ...parts) => el("section", { "aria-label": name }, el("h2", { text: name }), ...parts);

/** @param {string[]} texts @param {string} [name] */
export const list = (texts, name) => el("ul", { class: name }, ...texts.map((text) => el("li", { text })));

/** @param {"high" | "medium" | "low" | "notice"} priority */
export const badge = (priority) => el("span", { class: `badge ${priority}`, text: MARKS[priority] });

/** @param {string} text @param {() => any} run @param {string} [name] */
export const button = (text, run, name) => el("button", { type: "button", text, class: name, on: { click: run } });

/** A clock time, with the day where that is another one than `now`. @param {number} ms @param {number} now */
export function when(ms, now) {
  const [day, today] = [new Date(ms), new Date(now)].map((date) => date.toLocaleDateString("en-GB", { day: "numeric", month: "short" }));
  return `${day === today ? "" : `${day}, `}${clock(ms, false)}`;
}

/** A sentence of the monitor with its times as this page tells all others. @param {string} text @param {number} now */
export const timed = (text, now) =>
  text.replace(/(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC([+-]\d\d:\d\d)?/g, (_, day, time, zone) => when(Date.parse(`${day}T${time}${zone ?? "Z"}`), now));

/** A number as it must be read: never rounded to another dose. @param {number} value @param {string} unit */
export const exact = (value, unit) => (Math.abs(value) < 1000 ? amount(value, unit) : `${String(Math.round(value)).replace("-", "−")}\u00a0${unit}`);

/** Runs once the monitor's clock and the person are known. @param {() => void} run @returns {() => void} what keeps it from running */
export function begun(run) {
  if (state.told_ms) return run(), () => {};
  const leave = subscribe(() => state.told_ms && (leave(), run()));
  return leave;
}

export const NOT_LIVE = "This page is not live, so nothing was sent.";
let numbers = 0;

/** A form as the monitor describes it. What is wrong is said at the field, or above all of them; nothing typed is lost until it is sent.
 *  `send` gives the answer of the API, and `done` what is said when it was good. @param {import("./api.js").Form} described
 *  @param {(values: Record<string, any>) => Promise<import("./api.js").Answer | null>} send @param {(body: any) => string} done @param {() => void} [typed] */
export function form({ verb, fields }, send, done, typed) {
  const above = el("p", { class: "above", role: "alert", tabindex: -1 });
  const number = ++numbers;
  const made = fields.map((field) => {
    const id = `field-${number}-${field.name}`;
    const more = { id, name: field.name, required: !field.optional, maxlength: field.max || null, autocomplete: "off", "aria-describedby": `${id}-wrong ${id}-hint` };
    const input = field.choices ? el("select", more, ...field.choices.map(({ value, text }) => el("option", { value, text })))
      : field.kind === "lines" ? el("textarea", { ...more, rows: 2 })
      : el("input", { ...more, type: field.kind === "time" ? "datetime-local" : field.kind === "password" ? "password" : "text", inputmode: field.kind === "number" ? "decimal" : null });
    if (field.value != null) input.value = field.value;
    const wrong = el("span", { class: "bad", id: `${id}-wrong` });
    const unit = el("span", { class: "unit", text: field.unit ?? "" });
    const node = el("div", { class: "row" }, el("label", { for: id, text: field.label }), el("span", { class: "entry" }, input, unit), wrong, el("span", { class: "quiet", id: `${id}-hint`, text: field.hint ?? "" }));
    return { field, input, unit, node, wrong };
  });
  const go = el("button", { class: "primary", text: verb });
  const node = el("form", { class: "entries", novalidate: true }, above, ...made.map((each) => each.node), el("p", { class: "buttons" }, go));
  const at = (/** @type {string} */ name) => /** @type {typeof made[0]} */ (made.find(({ field }) => field.name === name));
  /** What is chosen in a field. @param {string} name */
  const choice = (name) => at(name).field.choices?.find(({ value }) => value === at(name).input.value);
  /** Shows what belongs to what is chosen, in its unit. */
  function fit() {
    for (const { field: { name, choices = [] } } of made)
      for (const shown of new Set(choices.flatMap(({ shows = [] }) => shows))) at(shown).node.hidden = !choice(name)?.shows?.includes(shown);
    for (const { field, unit } of made) if (field.unit_of) put(unit, choice(field.unit_of)?.unit ?? "");
  }
  /** @param {string} text @param {typeof made[0]} [each] */
  const refuse = (text, each) => {
    put(each?.wrong ?? above, text);
    each?.input.setAttribute("aria-invalid", "true");
    (each?.input ?? above).focus();
  };
  /** What is typed, read; or the first field that cannot be read, with the reason. @param {(text: string, each: typeof made[0]) => void} [wrong] */
  function read(wrong) {
    /** @type {Record<string, any>} */ const values = {};
    let good = true;
    for (const each of made.filter((one) => !one.node.hidden)) {
      const { field, input } = each;
      const text = field.kind === "password" ? input.value : input.value.trim();
      const value = text === "" ? null : field.kind === "number" ? Number(text) : field.kind === "time" ? new Date(text).getTime() : text;
      // A comma is a point to some and thousands to others: it is never guessed.
      const problem = text === "" ? !field.optional && "Give it." : field.kind === "number" && !/^[0-9]*\.?[0-9]+$/.test(text) && "Write a number such as 1440 or 14.4, with a point and without commas.";
      if (problem && good) wrong?.(problem, each);
      good &&= !problem;
      values[field.name] = problem ? null : value;
    }
    return { values, good };
  }
  node.addEventListener("input", () => (fit(), typed?.()));
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    for (const { wrong, input } of made) (put(wrong, ""), input.removeAttribute("aria-invalid"));
    above.className = "above bad";
    put(above, "");
    if (state.live === "stale") return refuse(`${NOT_LIVE} What you typed stays here.`);
    const { values, good } = read(refuse);
    if (!good || go.disabled) return;
    go.disabled = true;
    const answer = await send(values);
    go.disabled = false;
    if (!answer) return;
    const field = String(answer.body.field ?? "").split(/[.[]/).at(-1)?.replace(/\]$/, "");
    if (!answer.ok) return refuse(answer.body.detail, made.find((each) => !each.node.hidden && each.field.name === field));
    above.className = "above good";
    const said = done(answer.body);
    for (const { field: { value = "", choices }, input } of made) input.value = choices && !value ? choices[0].value : value;
    fit();
    typed?.();
    put(above, said);
    above.focus();
  });
  fit();
  return { node, at, read, choice };
}

/** What stands instead of what could not be read. @param {import("./api.js").Answer} answer */
export const failure = ({ body }) => el("p", { class: "empty bad", role: "alert", text: body.detail });
