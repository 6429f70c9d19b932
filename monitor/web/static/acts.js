// What a person does about an alert: the dialog, and the act itself.

import { post } from "./api.js";
import { el } from "./dom.js";
import { MARKS, state } from "./state.js";

/** @typedef {import("./state.js").Alert} Alert */
/** @typedef {{for_s?: number, to?: string, text?: string}} Options */

const MINUTES = { take: [30, 15, 60, 120, 240], snooze: [15, 5, 30, 60] };
const WORDS = {
  take: ["Take", "I am responsible"], "hand-on": ["Hand on", "I ask another to take over"],
  release: ["Release", "I am responsible no more; those on duty are called again"],
  decline: ["Decline", "I cannot come; the next level is called at once"],
  acknowledge: ["Acknowledge", "I have seen it"], "audio-pause": ["Pause sound", "no sound for two minutes, for everybody"],
  "audio-resume": ["Sound again", "end the pause"], snooze: ["Snooze", "not now; it comes back by itself"],
  wake: ["Wake", "end the snooze"], note: ["Note", "what I found"],
};
/** @typedef {keyof typeof WORDS} What */
const WHOM = ["nurse on duty", "nurse on call", "pharmacist"];

/** What may be done about an alert, the likeliest first. @param {Alert} alert @returns {What[]} */
export function possible({ facts = {}, priority, unseen, state: stands }) {
  if (unseen && stands === "cleared") return ["acknowledge"];
  if (priority === "notice") return facts.acknowledged ? ["note"] : ["acknowledge", "note"];
  const mine = facts.taken?.by === state.me.name;
  /** @type {[What, unknown][]} */
  const all = [
    ["take", !mine], ["acknowledge", !facts.acknowledged], ["note", true], ["hand-on", mine], ["release", mine], ["take", mine],
    ["decline", !facts.taken || facts.offered?.to === state.me.name],
    [facts.audio_paused ? "audio-resume" : "audio-pause", true], [facts.snoozed ? "wake" : "snooze", priority !== "high"],
  ];
  return all.filter(([, may]) => may).map(([what]) => what);
}

/** A random name, so that the same act said twice is done once. */
const name = () => `page-${[...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;

/** Does it, and gives the sentence of what became of it. @param {Alert} alert @param {string} what @param {Options} [options] */
export async function perform(alert, what, options = {}) {
  if (!state.canAct()) {
    const reason = state.me.rights.includes("act") ? "This page is not live." : "You may look, but not act.";
    return { ok: false, sentence: `${reason} Nothing was done.` };
  }
  const { ok, body } = await post("/api/v1/acts", { act: name(), alert: alert.id, version: alert.version, what, ...options });
  return { ok, sentence: String((ok ? body.sentence : body.detail) ?? "Done.") };
}

/** Asks what to do about an alert, and does it. @param {Alert} shown @param {any} app */
export function ask(shown, app) {
  const choices = possible(shown);
  const minutes = el("select", { id: "act-minutes" });
  const to = el("input", { id: "act-to", list: "act-whom", maxlength: 64, autocomplete: "off" });
  const text = el("textarea", { id: "act-text", maxlength: 256, rows: 2 });
  const lines = [["For", minutes], ["To whom", to], ["Note", text]].map(([label, field]) => {
    const control = /** @type {HTMLElement} */ (field);
    return el("p", { class: "field" }, el("label", { for: control.id, text: String(label) }), control);
  });
  const go = el("button", { class: "primary", value: "go" });
  const answer = el("p", { class: "answer", role: "alert" });
  const radios = choices.map((what) => el("input", { type: "radio", name: "what", value: what, on: { change: fit } }));
  radios[0].checked = true;
  const chosen = () => /** @type {What} */ (radios.find((radio) => radio.checked)?.value);
  function fit() {
    const what = chosen();
    const lengths = what === "take" || what === "snooze" ? MINUTES[what] : [];
    minutes.replaceChildren(...lengths.map((length) => el("option", { value: length * 60, text: `${length} minutes` })));
    lines[0].hidden = !lengths.length;
    lines[1].hidden = what !== "hand-on";
    to.required = what === "hand-on";
    text.required = what === "note";
    go.textContent = WORDS[what][0];
  }
  const form = el("form", { method: "dialog" },
    el("h2", { id: "act-title" }, el("span", { class: `badge ${shown.priority}`, text: MARKS[shown.priority] }), ` ${shown.pump}: ${shown.title}`),
    el("p", { text: shown.what ?? "" }), el("p", { class: "hint", text: shown.first ? `First: ${shown.first}` : "" }), el("p", { class: "small", text: shown.advice ?? "" }),
    el("fieldset", {}, el("legend", { text: "What will you do?" }), ...choices.map((what, index) =>
      el("label", {}, radios[index], el("span", {}, el("b", { text: WORDS[what][0] }), ` ${WORDS[what][1]}`)))),
    ...lines, el("datalist", { id: "act-whom" }, ...WHOM.map((value) => el("option", { value }))), answer,
    el("p", { class: "buttons" }, el("button", { type: "button", text: "Cancel", on: { click: () => dialog.close() } }), go));
  const dialog = el("dialog", { "aria-labelledby": "act-title", on: { close: () => dialog.remove() } }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    /** @type {Options} */
    const options = {};
    if (!lines[0].hidden) options.for_s = Number(minutes.value);
    if (!lines[1].hidden) options.to = to.value.trim();
    if (text.value.trim()) options.text = text.value.trim();
    go.disabled = true;
    const { ok, sentence } = await app.act(shown, chosen(), options);
    go.disabled = false;
    if (ok) dialog.close();
    else answer.textContent = sentence;
  });
  document.body.append(dialog);
  fit();
  dialog.showModal();
  go.focus();
}
