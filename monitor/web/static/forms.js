// What a nurse tells the monitor: a result, a report, an order. An order goes out as a proposal, and a second person confirms it.

import { post } from "./api.js";
import { ago, el, put } from "./dom.js";
import { button, exact, form, list, NOT_LIVE, table, when } from "./parts.js";
import { state } from "./state.js";

/** @typedef {{site: string, therapy: string, pump: string}} Place */
/** @typedef {{do: string, at_ms: number, rate_iu_kg_h?: number, rate_iu_h?: number, until_ms?: number, dose_iu?: number, duration_s?: number}} Step */
/** @typedef {{version: number, pump: string, weight_kg: number, concentration_iu_ml: number, steps: Step[]}} Order */

const TESTS = { "anti-xa": ["anti-Xa", "[iU]/mL", "IU/mL"], aptt: ["aPTT", "s", "s"], platelets: ["platelets", "10*9/L", "·10⁹/L"], haemoglobin: ["haemoglobin", "g/dL", "g/dL"], inr: ["INR", "{INR}", ""], pt: ["PT", "s", "s"] };
/** The words that infusion/report_words.py reads, by what they are about. */
const REPORTS = {
  bleeding: "Bleeding", nosebleed: "Nosebleed", "blood in urine": "Blood in urine", melaena: "Blood in stool (melaena)", bruising: "Bruising, haematoma", "bleeding over": "Bleeding is over",
  "pain at the site": "Site: pain", "redness at the site": "Site: redness", "swelling at the site": "Site: swelling", "leak at the site": "Site: leak", "site pain redness swelling leak resolved": "Site: well again",
  fever: "Fever", "fever over": "Fever is over", "chest pain": "Chest pain", breathlessness: "Breathlessness", fall: "Fall",
  "visit done": "Visit done", "dressing changed": "Dressing changed", "supplies low": "Supplies low", "supplies delivered": "Supplies delivered", other: "Something else",
};
const SEVERITIES = { minor: "minor: stops by itself", "clinically relevant": "clinically relevant: needs care", major: "major: heavy, or in a critical place" };
const KINDS = { rate: "New rate", hold: "Hold the infusion", bolus: "Bolus", stop: "Stop the therapy", weight: "Weight", bag: "Concentration of the bag" };
const FACTOR = 2;
/** What is ordered "from now" begins so much later: nobody can give it before a second person has looked. */
const LEAD_MS = 5 * 60_000;

/** The path of a therapy in the API. @param {Place} place */
export const pathOf = ({ site, therapy }) => `/api/v1/therapies/${encodeURIComponent(site)}/${encodeURIComponent(therapy)}`;

/** @param {Place} place @param {() => void} done */
export function resultForm(place, done) {
  const test = () => TESTS[/** @type {"aptt"} */ (made.at("test").input.value)];
  const fit = () => void put(made.at("value").unit, test()[2]);
  const made = form("Enter the result", [
    { name: "test", label: "Test", options: Object.fromEntries(Object.entries(TESTS).map(([key, [name]]) => [key, name])) },
    { name: "bound", label: "The value is", options: { "": "as written", below: "below (<)", above: "above (>)" }, optional: true },
    { name: "value", label: "Value", kind: "number", optional: true },
    { name: "problem", label: "Problem", optional: true, max: 256, hint: "Why there is no value: clotted, haemolysed, lost." },
    { name: "specimen", label: "Specimen", max: 64, hint: "The number on the tube. Entered again, the later result holds." },
    { name: "drawn_ms", label: "Drawn at", kind: "time", hint: "When the blood was taken: it is held against the dose of that time." },
    { name: "resulted_ms", label: "Result came at", kind: "time", optional: true, hint: "Now, if left empty." },
  ], ({ bound, problem, resulted_ms, ...values }) => post(`${pathOf(place)}/results`, { ...values, unit: test()[1], bound: bound ?? "", problem: problem ?? "", ...(resulted_ms && { resulted_ms }) }),
  (body) => (done(), fit(), `${TESTS[/** @type {"aptt"} */ (body.test)][0]} of specimen ${body.specimen} is entered.`), fit);
  fit();
  return made.node;
}

/** @param {Place} place @param {() => void} done */
export function reportForm(place, done) {
  const fit = () => {
    const what = made.at("what").input.value;
    made.at("severity").node.hidden = !["bleeding", "nosebleed", "blood in urine", "melaena", "bruising"].includes(what);
    made.at("words").node.hidden = what !== "other";
  };
  const made = form("Send the report", [
    { name: "what", label: "What", options: REPORTS },
    { name: "severity", label: "How bad", options: SEVERITIES },
    { name: "words", label: "In a few words", max: 64 },
    { name: "detail", label: "More", kind: "lines", optional: true, max: 200 },
    { name: "time_ms", label: "When", kind: "time", optional: true, hint: "Now, if left empty." },
  ], ({ what, severity, words, detail, time_ms }) => post(`${pathOf(place)}/reports`, { what: words ?? what, detail: [severity, detail].filter(Boolean).join(": "), ...(time_ms && { time_ms }) }),
  (body) => (done(), `Reported: ${body.what}.`), fit);
  fit();
  return made.node;
}

/** What an order says at an instant: the continuous rate in IU/h, whether it is held, stopped, or not yet begun. @param {Order} order @param {number} ms */
export function standing(order, ms) {
  const steps = order.steps.map((step, index) => ({ step, index })).sort((a, b) => a.step.at_ms - b.step.at_ms || a.index - b.index).map(({ step }) => step).filter((step) => step.at_ms <= ms);
  const last = steps.filter((step) => ["start", "rate", "stop"].includes(step.do)).at(-1);
  const held = Math.max(0, ...steps.filter((step) => step.do === "hold" && Number(step.until_ms) > ms).map((step) => Number(step.until_ms)));
  return { iu_h: last?.rate_iu_h ?? (last?.rate_iu_kg_h ?? 0) * order.weight_kg, by_weight: last?.rate_iu_kg_h != null, runs: !!last && last.do !== "stop", held };
}

/** The order after a change from `now` on. With another weight what is past keeps its IU/h, so that history keeps its meaning.
 *  @param {Order | null} order @param {Record<string, any>} values @param {number} now @returns {Order} */
export function changed(order, values, now) {
  const { kind, amount: rate, unit, until_ms, dose_iu, minutes, weight_kg, concentration_iu_ml, keep } = values;
  const old = order ?? { version: 0, pump: values.pump, weight_kg, concentration_iu_ml, steps: [] };
  const { iu_h, by_weight, runs } = standing(old, values.at_ms ?? now + LEAD_MS);
  const at_ms = values.at_ms ?? now + LEAD_MS;
  /** @type {Step[]} */ const more = [];
  if (kind === "rate") more.push({ do: standing(old, at_ms).runs ? "rate" : "start", at_ms, [unit]: rate });
  if (kind === "hold") more.push({ do: "hold", at_ms, until_ms });
  if (kind === "bolus") more.push({ do: "bolus", at_ms, dose_iu, duration_s: minutes * 60 });
  // What was planned for later ends with the therapy.
  if (kind === "stop") return { ...old, steps: [...old.steps.filter((step) => step.at_ms <= at_ms), { do: "stop", at_ms }] };
  if (kind === "bag") return { ...old, concentration_iu_ml };
  if (kind !== "weight" || !order) return { ...old, steps: [...old.steps, ...more] };
  const past = old.steps.map(({ rate_iu_kg_h, ...step }) => (rate_iu_kg_h == null ? step : step.at_ms > at_ms ? { ...step, rate_iu_kg_h } : { ...step, rate_iu_h: rate_iu_kg_h * old.weight_kg }));
  if (runs && by_weight && keep === "kg") more.push({ do: "rate", at_ms, rate_iu_kg_h: iu_h / old.weight_kg });
  return { ...old, weight_kg, steps: [...past, ...more] };
}

/** Old and new in three units, and by what they differ. @param {Order | null} old @param {Order} next @param {number} at_ms */
export function comparison(old, next, at_ms) {
  const [before, after] = [old && standing(old, at_ms), standing(next, at_ms)];
  const rows = [["IU/kg/h", (/** @type {Order} */ order, /** @type {number} */ iu_h) => iu_h / order.weight_kg], ["IU/h", (/** @type {Order} */ _, /** @type {number} */ iu_h) => iu_h], ["mL/h", (/** @type {Order} */ order, /** @type {number} */ iu_h) => iu_h / order.concentration_iu_ml]]
    .map(([unit, of]) => [String(unit), ...[[old, before], [next, after]].map(([order, at]) => (order && at ? exact(/** @type {any} */ (of)(order, /** @type {any} */ (at).iu_h), String(unit)) : "none"))]);
  const factors = before?.iu_h && after.iu_h ? [after.iu_h / before.iu_h, after.iu_h / next.concentration_iu_ml / (before.iu_h / /** @type {Order} */ (old).concentration_iu_ml)] : [];
  const words = factors.map((factor) => `× ${Number(factor.toPrecision(3))}`);
  return { rows, words: factors.length ? `Dose ${words[0]}, pump rate ${words[1]}` : "", wide: factors.some((factor) => factor >= FACTOR || factor <= 1 / FACTOR) };
}

/** @param {Place} place @param {Order | null} order in force @param {any} app @param {() => void} done */
export function orderForm(place, order, app, done) {
  const preview = el("div", { class: "preview", "aria-live": "polite" });
  const fields = { rate: ["amount", "unit", "at_ms"], hold: ["at_ms", "until_ms"], bolus: ["dose_iu", "minutes", "at_ms"], stop: ["at_ms"], weight: ["weight_kg", "keep"], bag: ["concentration_iu_ml"] };
  const kinds = order ? KINDS : { rate: "First order: begin with a rate" };
  const made = form("Propose", [
    { name: "kind", label: "What changes", options: kinds },
    { name: "amount", label: "Rate", kind: "number" },
    { name: "unit", label: "Unit", options: { rate_iu_kg_h: "IU/kg/h", rate_iu_h: "IU/h" } },
    { name: "dose_iu", label: "Dose", kind: "number", unit: "IU" },
    { name: "minutes", label: "Given over", kind: "number", unit: "min", value: "10" },
    { name: "weight_kg", label: "Weight", kind: "number", unit: "kg" },
    { name: "keep", label: "The rate", options: { kg: "keeps its IU/kg/h, so it follows the weight", h: "keeps its IU/h" } },
    { name: "concentration_iu_ml", label: "Concentration", kind: "number", unit: "IU/mL" },
    { name: "at_ms", label: "From", kind: "time", optional: true, hint: "In 5 minutes, if left empty: until then a second person can check it." },
    { name: "until_ms", label: "Until", kind: "time" },
    { name: "text", label: "Why", kind: "lines", optional: true, max: 256 },
  ], async (values) => {
    const now = Math.round(state.now());
    const next = changed(order, { ...values, pump: place.pump }, now);
    const { words, wide } = comparison(order, next, (values.at_ms ?? now + LEAD_MS) + 1);
    if (wide && !(await app.confirm(`${words} of what is in force. Is that what you mean? Look at the decimal point and the unit.`))) return null;
    const { pump, weight_kg, concentration_iu_ml, steps } = next;
    return post(`${pathOf(place)}/orders`, { pump, weight_kg, concentration_iu_ml, steps, text: values.text ?? "", against: order?.version ?? 0 });
  }, () => (done(), "Proposed. It is in force only when a second person has confirmed it."), fit);
  function fit() {
    const kind = /** @type {keyof typeof fields} */ (made.at("kind").input.value);
    const shown = ["kind", "text", ...fields[kind], ...(order ? [] : ["weight_kg", "concentration_iu_ml"])];
    for (const name of ["amount", "unit", "dose_iu", "minutes", "weight_kg", "keep", "concentration_iu_ml", "at_ms", "until_ms"]) made.at(name).node.hidden = !shown.includes(name);
    const { values, good } = made.read();
    if (!good) return preview.replaceChildren(el("p", { class: "quiet", text: order ? `In force: version ${order.version}, ${orderWords(order, state.now())}.` : "No order is in force." }));
    const now = state.now();
    const at_ms = (values.at_ms ?? now + LEAD_MS) + 1;
    const next = changed(order, { ...values, pump: place.pump }, now);
    const { rows, words, wide } = comparison(order, next, at_ms);
    const held = standing(next, at_ms).held;
    const extra = { hold: `No infusion until ${when(held, now)}, then it goes on.`, bolus: `${exact(values.dose_iu ?? 0, "IU")} over ${values.minutes} min, in addition: ${exact((values.dose_iu ?? 0) / next.concentration_iu_ml, "mL")}, ${exact((values.dose_iu ?? 0) / next.weight_kg, "IU/kg")}.`, stop: "The infusion ends." }[/** @type {"hold"} */ (kind)] ?? (held ? `Held until ${when(held, now)}; it takes effect then.` : "");
    return preview.replaceChildren(table("Old and new", ["Unit", "Now", "New"], rows, "", "wide"), el("p", { class: wide ? "bad" : "", text: [words && `${words}${wide ? ": is that meant?" : "."}`, extra].filter(Boolean).join(" ") }));
  }
  made.node.insertBefore(preview, made.node.lastElementChild);
  fit();
  return made.node;
}

/** What an order says now, in the three units. @param {Order} order @param {number} now */
export function orderWords(order, now) {
  const { iu_h, runs, held } = standing(order, now);
  if (!runs) return "stopped";
  return `${exact(iu_h, "IU/h")} = ${exact(iu_h / order.weight_kg, "IU/kg/h")} = ${exact(iu_h / order.concentration_iu_ml, "mL/h")}${held ? `, held until ${when(held, now)}` : ""}`;
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
  const last = steps.at(-1);
  const waits = stands === "proposed";
  const may = waits && state.me.rights.includes("confirm");
  return el("article", { class: `proposal ${stands}`, "aria-label": `Proposed order for ${therapy}` },
    el("h3", { text: waits ? `${therapy}, pump ${prescription.pump}` : `${therapy}: ${stands}${last?.by ? ` by ${last.by}` : ""}` }),
    el("p", { class: "quiet", text: `Proposed by ${by} at ${when(at_ms, now)}${waits ? `; expires in ${ago(until_ms - now)}` : ""}.${text ? ` “${text}”` : ""}${!waits && last?.text ? ` ${last.by}: “${last.text}”` : ""}` }),
    list(changes), list(warnings, "warnings"), answer,
    ...(!may ? [] : own ? [el("p", { text: "You proposed this. Another nurse or pharmacist must check it and confirm." }), el("p", { class: "buttons" }, button("Take it back", decide("reject")))]
      : [el("p", { text: "Check by yourself, against the chart and the patient: weight, bag, rate. Then confirm." }),
        el("p", { class: "buttons" }, el("label", {}, "Reason ", why), button("Reject", decide("reject")), button("Confirm this order", decide("confirm"), "primary"))]));
}
