// The wall: where everything is. A tile a pump, always at its place.

import { arrange, el, put } from "./dom.js";
import { calls, MARKS, state, subscribe } from "./state.js";
import { share } from "./worklist.js";

/** @typedef {import("./state.js").PumpRow} PumpRow */

export const title = "Wall";
const PAGE = 500;
const WORDS = { high: "*** HIGH", medium: "** MED", low: "* LOW", notice: "" };

/** What a pump is at, in a word. @param {PumpRow} row */
function stands(row) {
  if (row.silent) return "silent";
  if (row.heard_ms == null) return "not heard";
  if (row.delivery === "kvo") return "KVO";
  return row.delivery === "delivering" ? "runs" : row.delivery === "transitioning" ? "changes" : "stopped";
}

/** @param {PumpRow} first */
function makeTile(first) {
  const [pump, therapy, mark, word, dose] = Array.from("12345", () => el("span"));
  const node = el("a", { href: `/pump/${first.site}/${first.pump}`, class: "tile" }, pump, therapy, mark, word, dose);
  pump.className = "pump";
  therapy.className = "therapy";
  word.className = "word";
  dose.className = "dose";
  put(pump, first.pump);
  return {
    node,
    /** @param {PumpRow} row @param {boolean} calling */
    show(row, calling) {
      const worst = row.worst ?? "none";
      node.className = `tile ${worst}${row.silent ? " silent" : ""}${calling ? " calls" : ""}`;
      mark.className = `mark badge ${worst}${calling ? " calls" : ""}`;
      put(mark, worst === "none" ? "" : WORDS[worst]);
      put(therapy, row.therapy ?? "");
      put(word, stands(row));
      put(dose, share(row).replace("unknown", "?").replace(" of order", ""));
      node.setAttribute("aria-label", `${row.pump}: ${worst === "none" ? "no alert" : MARKS[worst]}, ${stands(row)}, dose ${share(row)} of the order`);
    },
  };
}

/** @param {HTMLElement} root @param {Record<string, string>} _params @param {any} app */
export function mount(root, _params, app) {
  const grid = el("div", { class: "wall" });
  const pages = el("nav", { class: "pages", "aria-label": "Pages of the wall" });
  const empty = el("p", { class: "empty" });
  root.append(el("h1", { class: "spoken", text: title }), pages, grid, empty);
  /** @type {Map<string, ReturnType<typeof makeTile>>} */ const tiles = new Map();
  const page = () => Math.max(1, Number(new URLSearchParams(location.search).get("page")) || 1);

  /** @param {Set<string> | null} some the pumps that changed; null for all */
  function draw(some) {
    const calling = new Set([...state.alerts.values()].filter(calls).map((alert) => `${alert.site}/${alert.pump}`));
    const keys = [...state.pumps.keys()].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
    const count = Math.ceil(keys.length / PAGE);
    const mine = keys.slice((page() - 1) * PAGE, page() * PAGE);
    for (const key of mine) {
      const row = /** @type {PumpRow} */ (state.pumps.get(key));
      const had = tiles.get(key);
      if (!had) tiles.set(key, makeTile(row));
      if (!had || !some || some.has(key)) tiles.get(key)?.show(row, calling.has(key));
    }
    grid.dataset.size = mine.length > 200 ? "small" : mine.length > 60 ? "middle" : "large";
    arrange(grid, mine.map((key) => /** @type {ReturnType<typeof makeTile>} */ (tiles.get(key)).node));
    pages.hidden = count < 2;
    const highs = (/** @type {number} */ index) => keys.slice(index * PAGE, (index + 1) * PAGE).filter((key) => state.pumps.get(key)?.worst === "high").length;
    arrange(pages, Array.from({ length: count }, (_, index) => el("a", { href: `/wall?page=${index + 1}`, "aria-current": index + 1 === page() ? "page" : null, text: `${index + 1}${highs(index) ? ` (${highs(index)} HIGH)` : ""}` })));
    empty.hidden = keys.length > 0;
    put(empty, state.live === "start" ? "Waiting for the monitor…" : "No pump was heard yet.");
  }
  draw(null);
  return subscribe(({ pumps, lists, all, live }) => {
    if (all) draw(null);
    else if (pumps.size || lists.size) draw(new Set([...pumps, ...lists]));
    else if (live) grid.dataset.live = state.live;
  });
}
