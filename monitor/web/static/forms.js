// What a nurse tells the monitor: a result, a report, an order. An order goes out as a proposal, and a second person confirms it.

import { formOf, post } from "./api.js";
import { ago, el, put } from "./dom.js";
import { button, exact, form, list, NOT_LIVE, table, timed, when } from "./parts.js";
import { state } from "./state.js";

/** @typedef {{site: string, therapy: string, pump: string}} Place */
const UNITS = { iu_kg_h: "IU/kg/h", iu_h: "IU/h", ml_h: "mL/h" };
/** The monitor is asked what a change leads to when nothing was typed for so long. */
const TYPED_MS = 250;

/** The path of a therapy in the API. @param {Place} place */
export const pathOf = ({ site, therapy }) => `/api/v1/therapies/${encodeURIComponent(site)}/${encodeURIComponent(therapy)}`;

/** @param {Place} place @param {() => void} done */
export async function resultForm(place, done) {
  const made = form(await formOf("result"), ({ bound, problem, resulted_ms, ...values }) =>
    post(`${pathOf(place)}/results`, { ...values, unit: made.choice("test")?.code, bound: bound ?? "", problem: problem ?? "", ...(resulted_ms && { resulted_ms }) }),
  ({ specimen }) => (done(), `${made.choice("test")?.text} of specimen ${specimen} is entered.`));
  return made.node;
}

/** @param {Place} place @param {() => void} done */
export async function reportForm(place, done) {
  return form(await formOf("report"), ({ what, severity, words, detail, time_ms }) =>
    post(`${pathOf(place)}/reports`, { what: words ?? what, detail: [severity, detail].filter(Boolean).join(": "), ...(time_ms && { time_ms }) }),
  (body) => (done(), `Reported: ${body.what}.`)).node;
}

/** An order for a therapy, entered as one change of what is in force. The monitor says what the change leads to, and only then it is proposed.
 *  @param {Place} place @param {any} therapy @param {any} app @param {() => void} done */
export async function orderForm(place, { prescription, standing }, app, done) {
  const preview = el("div", { class: "preview", "aria-live": "polite" });
  const path = `${pathOf(place)}/orders`;
  const entered = (/** @type {Record<string, any>} */ { text, ...values }) =>
    post(`${path}/preview`, { pump: place.pump, ...Object.fromEntries(Object.entries(values).filter(([, value]) => value != null)) });
  const made = form(await formOf(prescription ? "order" : "first_order"), async (values) => {
    const answer = await entered(values);
    if (!answer.ok) return answer;
    const { comparison: { words, is_wide }, ...order } = answer.body;
    if (is_wide && !(await app.confirm(`${words} of what is in force. Is that what you mean? Look at the decimal point and the unit.`))) return null;
    return post(path, { ...order, text: values.text ?? "", against: prescription?.version ?? 0 });
  }, () => (done(), "Proposed. It is in force only when a second person has confirmed it."), () => {
    clearTimeout(timer);
    timer = setTimeout(fit, TYPED_MS);
  });
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  let asked = 0;
  async function fit() {
    const mine = ++asked;
    const { values, good } = made.read();
    const answer = good ? await entered(values) : null;
    if (mine !== asked) return;
    if (!answer) return preview.replaceChildren(el("p", { class: "quiet", text: prescription ? `In force: version ${prescription.version}, ${orderWords(standing)}.` : "No order is in force." }));
    if (!answer.ok) return preview.replaceChildren(el("p", { class: "bad", text: answer.body.detail }));
    const { weight_kg, concentration_iu_ml, comparison: { before, after, words, is_wide } } = answer.body;
    const { kind, dose_iu, minutes } = values;
    const held = after.held_until_ms ? when(after.held_until_ms, state.now()) : "";
    const more = kind === "hold" ? `No infusion until ${held}, then it goes on.` : kind === "stop" ? "The infusion ends."
      : kind === "bolus" ? `${exact(dose_iu, "IU")} over ${minutes} min, in addition: ${exact(dose_iu / concentration_iu_ml, "mL")}, ${exact(dose_iu / weight_kg, "IU/kg")}.`
      : held && `Held until ${held}; it takes effect then.`;
    const rows = Object.entries(UNITS).map(([of, unit]) => [unit, ...[before, after].map((each) => (each ? exact(each[of], unit) : "none"))]);
    preview.replaceChildren(table("Old and new", ["Unit", "Now", "New"], rows, "", "wide"), el("p", { class: is_wide ? "bad" : "", text: [words && `${words}${is_wide ? ": is that meant?" : "."}`, more].filter(Boolean).join(" ") }));
  }
  made.node.insertBefore(preview, made.node.lastElementChild);
  fit();
  return made.node;
}

/** What an order says now, in the three units. @param {any} standing */
export function orderWords({ iu_h, iu_kg_h, ml_h, runs, held_until_ms: held }) {
  if (!runs) return "stopped";
  return `${exact(iu_h, "IU/h")} = ${exact(iu_kg_h, "IU/kg/h")} = ${exact(ml_h, "mL/h")}${held ? `, held until ${when(held, state.now())}` : ""}`;
}

/** A proposed order: what differs, and what may be done about it by whom. @param {any} proposal @param {any} app @param {() => void} done */
export function proposalCard(proposal, app, done) {
  const { id, by, at_ms, until_ms, therapy, changes, warnings = [], text, state: stands = "proposed", steps = [], prescription } = proposal;
  const own = by.toLowerCase() === state.me.name.toLowerCase();
  const now = state.now();
  const answer = el("p", { class: "bad", role: "alert" });
  const why = el("input", { maxlength: 256, autocomplete: "off", "aria-label": `Why the proposal for ${therapy} is rejected` });
  const decide = (/** @type {string} */ what) => async () => {
    if (state.live === "stale") return put(answer, NOT_LIVE);
    const { ok, body } = await post(`/api/v1/proposals/${encodeURIComponent(id)}/${what}`, { text: why.value.trim() });
    put(answer, ok ? "" : body.detail);
    if (!ok) return;
    app.tell(`Order of ${therapy} ${body.state}.`);
    done();
  };
  const told = (/** @type {string[]} */ sentences) => sentences.map((text_) => timed(text_, now));
  const last = steps.at(-1);
  const waits = stands === "proposed";
  const may = waits && state.me.rights.includes("confirm");
  return el("article", { class: `proposal ${stands}`, "aria-label": `Proposed order for ${therapy}` },
    el("h3", { text: waits ? `${therapy}, pump ${prescription.pump}` : `${therapy}: ${stands}${last?.by ? ` by ${last.by}` : ""}` }),
    el("p", { class: "quiet", text: `Proposed by ${by} at ${when(at_ms, now)}${waits ? `; expires in ${ago(until_ms - now)}` : ""}.${text ? ` “${text}”` : ""}${!waits && last?.text ? ` ${last.by}: “${last.text}”` : ""}` }),
    list(told(changes)), list(told(warnings), "warnings"), answer,
    ...(!may ? [] : own ? [el("p", { class: "task", text: "You proposed this. Another nurse or pharmacist must check it and confirm." }), el("p", { class: "buttons" }, button("Take it back", decide("reject")))]
      : [el("p", { class: "task", text: "Check it yourself, without the help of who proposed it, against the chart and the patient: weight, bag, rate. Then confirm." }),
        el("p", { class: "buttons" }, el("label", {}, "Reason ", why), button("Reject", decide("reject")), button("Confirm this order", decide("confirm"), "primary"))]));
}
