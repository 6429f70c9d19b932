// The wall: where everything is. A tile a pump, always at its place.

import { arrange, el, put } from "./dom.js";
import { calls, MARKS, pumpOf, state, subscribe } from "./state.js";
import { order, share, who } from "./worklist.js";

/** @typedef {import("./state.js").PumpRow} PumpRow */
/** @typedef {import("./state.js").Alert} Alert */

export const title = "Wall";
const PAGE = 500;
const SMALL = 200;
const { compare } = new Intl.Collator(undefined, { numeric: true });
const WORDS = { delivering: "runs", transitioning: "changes", kvo: "KVO" };

/** What a pump is at, in a word. @param {PumpRow} row */
const stands = (row) => (row.silent ? "silent" : row.heard_ms == null ? "not heard" : WORDS[/** @type {"kvo"} */ (row.delivery)] ?? "stopped");

/** @param {PumpRow} first */
function makeTile(first) {
  const [pump, therapy, mark, word, dose, what, has] = ["pump", "therapy", "", "word", "dose", "what", "has"].map((name) => el("span", { class: name }));
  const node = el("a", { href: `/pump/${first.site}/${first.pump}` }, pump, therapy, mark, what, has, word, dose);
  put(pump, first.pump);
  return {
    node,
    /** @param {PumpRow} row @param {Alert | undefined} alert the worst one */
    show(row, alert) {
      const worst = alert?.priority ?? "none";
      const loud = alert && calls(alert) ? " calls" : "";
      const part = share(row);
      const known = part.includes("%") && !(row.dose && row.dose.low_iu < row.dose.high_iu);
      node.className = `tile ${worst}${row.silent ? " silent" : ""}${loud}${part.includes("%") ? " percent" : ""}${known ? "" : " unknown"}`;
      mark.className = `mark badge ${worst}${loud}`;
      put(mark, alert ? state.pumps.size > SMALL ? MARKS[alert.priority].replace("MEDIUM", "MED") : MARKS[alert.priority] : "");
      put(therapy, row.therapy ?? "");
      put(what, alert?.title ?? "");
      put(has, alert ? who(alert)[0] ?? "" : "");
      put(word, stands(row));
      put(dose, part.replace("\u00a0%", ""));
      node.title = `${row.pump}: ${alert ? `${MARKS[alert.priority]}, ${alert.title}` : "no alert"}, ${stands(row)}, dose ${part} of the order`;
      node.setAttribute("aria-label", node.title);
    },
  };
}

/** @param {HTMLElement} root */
export function mount(root) {
  const grid = el("div", { class: "wall" });
  const pages = el("nav", { class: "pages", "aria-label": "Pages of the wall" });
  const empty = el("p", { class: "empty" });
  const legend = el("p", { class: "legend", text: "The number is the dose so far in % of the order; ? is not known. Hatched: nothing is heard of the pump." });
  root.append(el("h1", { class: "spoken", text: title }), pages, grid, empty, legend);
  /** @type {Map<string, ReturnType<typeof makeTile>>} */ const tiles = new Map();
  /** @type {string[]} */ let keys = [];
  const page = Math.max(1, Number(new URLSearchParams(location.search).get("page")) || 1);

  /** @param {Set<string> | null} some the pumps that changed; null for all */
  function draw(some) {
    if (keys.length !== state.pumps.size) [keys, some] = [[...state.pumps.keys()].sort(compare), null];
    /** @type {Map<string, Alert>} */ const worst = new Map();
    for (const alert of state.alerts.values()) {
      const had = worst.get(pumpOf(alert));
      if (!had || order(alert, had) < 0) worst.set(pumpOf(alert), alert);
    }
    const mine = keys.slice((page - 1) * PAGE, page * PAGE);
    for (const key of mine) {
      const row = /** @type {PumpRow} */ (state.pumps.get(key));
      if (!tiles.has(key)) tiles.set(key, makeTile(row));
      if (!some || some.has(key)) tiles.get(key)?.show(row, worst.get(key));
    }
    if (some) return;
    grid.dataset.size = mine.length > SMALL ? "small" : mine.length > 40 ? "middle" : "large";
    arrange(grid, mine.map((key) => /** @type {ReturnType<typeof makeTile>} */ (tiles.get(key)).node));
    const highs = (/** @type {number} */ from) => keys.slice(from, from + PAGE).filter((key) => worst.get(key)?.priority === "high").length;
    pages.hidden = keys.length <= PAGE;
    pages.replaceChildren(...Array.from({ length: Math.ceil(keys.length / PAGE) }, (_, index) => {
      const high = highs(index * PAGE);
      return el("a", { href: `/wall?page=${index + 1}`, "aria-current": index + 1 === page ? "page" : null, text: `${index + 1}${high ? ` (${high} HIGH)` : ""}` });
    }));
    empty.hidden = keys.length > 0;
    put(empty, state.live === "start" ? "Waiting for the monitor…" : "No pump was heard yet.");
  }
  draw(null);
  return subscribe(({ pumps, lists, all, news }) => (all || (news.length && state.pumps.size > PAGE) ? draw(null) : pumps.size + lists.size && draw(new Set([...pumps, ...lists]))));
}
