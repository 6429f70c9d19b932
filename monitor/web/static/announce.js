// What a screen reader says, slowly: one summary at a time, and never the table.

import { calls, RANKS, state, subscribe } from "./state.js";

const EVERY_MS = 4000;
/** @typedef {import("./state.js").News} News */

/** @param {News[]} news @param {News["kind"][]} kinds */
function summary(news, kinds) {
  const parts = [];
  for (const kind of kinds)
    for (const priority of /** @type {const} */ (["high", "medium", "low"])) {
      const some = news.filter((each) => each.kind === kind && each.alert.priority === priority);
      if (!some.length) continue;
      const { pump, title, facts } = some[some.length - 1].alert;
      const how = { new: "new", worse: "now", taken: "taken", cleared: "over", unseen: "over, seen by nobody" }[kind];
      const who = kind === "taken" && facts?.taken ? ` by ${facts.taken.by}` : "";
      const [number, latest] = some.length > 1 ? [`${some.length} alerts`, "latest "] : ["Alert", ""];
      parts.push(kind === "new" || kind === "worse" ? `${some.length} ${how} ${priority}: ${latest}pump ${pump}, ${title}.`
        : `${number} ${how}${who}: ${latest}pump ${pump}, ${title}.`);
    }
  return parts.join(" ");
}

/** Speaks from now on. @returns {(sentence: string) => void} says a sentence when there is room, politely */
export function announce() {
  const assertive = /** @type {HTMLElement} */ (document.getElementById("assertive"));
  const polite = /** @type {HTMLElement} */ (document.getElementById("polite"));
  /** @type {News[]} */ let waiting = [];
  /** @type {string[]} */ let sentences = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */ let timer;
  let spoke = -EVERY_MS;
  function speak() {
    timer = undefined;
    const urgent = summary(waiting, ["new", "worse"]);
    const rest = [...sentences, summary(waiting, ["taken", "unseen", "cleared"])].filter(Boolean).join(" ");
    waiting = [];
    sentences = [];
    if (urgent) assertive.textContent = urgent;
    if (rest) polite.textContent = rest;
    if (urgent || rest) spoke = performance.now();
  }
  const soon = () => (timer ??= setTimeout(speak, Math.max(0, spoke + EVERY_MS - performance.now())));
  subscribe(({ news, all, lists }) => {
    if (news.length) waiting.push(...news);
    if (waiting.length || sentences.length) soon();
    if (all || lists.size) title();
  });
  return (sentence) => (sentences.push(sentence), void soon());
}

/** The number that the tab shows: what is HIGH or MEDIUM and in nobody's hands. */
function title() {
  const number = [...state.alerts.values()].filter((alert) => calls(alert) && RANKS[alert.priority] > 1).length;
  document.title = `${number ? `(${number}) ` : ""}Dripwatch`;
}
