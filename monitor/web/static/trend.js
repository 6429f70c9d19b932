// The trend of a pump: what was given against what was ordered, as a picture and as the same table.

import { ago, amount, clock, el, svg } from "./dom.js";
import { badge, exact, table } from "./parts.js";
import { MARKS, RANKS } from "./state.js";

/** A stretch between two samples; doses in IU. In a gap nothing was heard.
 * @typedef {{from: number, to: number, gap?: boolean, delivered: number | null, expected: number | null, pressure?: number | null, level?: number[] | null}} Slice */
/** @typedef {{from: number, to: number, at: (ms: number) => number, range?: number[], occlusion?: number, slices: Slice[], results: any[], bars: Bar[], changes: any[]}} Course */
/** @typedef {{id: string, priority: "high" | "medium" | "low", from: number, to: number, title: string}} Bar */

const HOUR = 3_600_000;
/** The share by which delivery may differ from the order: the Generic Infusion Pump requirements. */
export const BAND = 0.1;
const UNITS = { "[iU]/mL": "IU/mL", "10*9/L": "·10⁹/L", "{INR}": "" };
const TESTS = { "anti-xa": "anti-Xa", aptt: "aPTT", platelets: "platelets", haemoglobin: "haemoglobin", inr: "INR", pt: "PT" };
const LANES = /** @type {const} */ (["high", "medium", "low"]);

/** A laboratory result in words. @param {any} result */
export const resultWords = ({ test, value, unit, bound, problem }) =>
  `${TESTS[/** @type {"aptt"} */ (test)] ?? test} ${value == null ? `without a value: ${problem}` : `${{ below: "<", above: ">" }[/** @type {string} */ (bound)] ?? ""}${value}\u00a0${UNITS[/** @type {"{INR}"} */ (unit)] ?? unit}`}`;

/** Samples as stretches of about `width` ms. No stretch reaches over a time in which nothing was heard for `limit` ms, nor over the
 *  beginning of another therapy. @param {any[]} samples @param {number} from @param {number} to @param {number} width @param {number} limit @returns {Slice[]} */
export function cut(samples, from, to, width, limit) {
  /** @type {Slice[]} */ const found = [];
  /** @param {number} begin @param {number} end @param {number | null} [delivered] @param {number | null} [expected] */
  const none = (begin, end, delivered = null, expected = null) => found.push({ from: begin, to: end, gap: true, delivered, expected });
  if (!samples.length) return none(from, to), found;
  if (samples[0].time_ms - from > limit) none(from, samples[0].time_ms);
  const difference = (/** @type {any} */ a, /** @type {any} */ b, /** @type {string} */ of) => (a[of] == null || b[of] == null ? null : b[of] - a[of]);
  // Doses of another therapy begin anew. What is given may fall alone: what a closed line holds back is taken off again.
  const isOther = (/** @type {any} */ a, /** @type {any} */ b) => b.delivered_iu < a.delivered_iu && !(Number(difference(a, b, "expected_iu") ?? -1) >= 0);
  const isGap = (/** @type {any} */ a, /** @type {any} */ b) => b.time_ms - a.time_ms > limit;
  let first = samples[0];
  let pressure = -Infinity;
  for (let index = 1; index < samples.length; index++) {
    const [last, next, after] = [samples[index - 1], samples[index], samples[index + 1]];
    const begins = isGap(last, next) || isOther(last, next) ? last : first;
    const [delivered, expected] = isOther(last, next) ? [null, null] : ["delivered_iu", "expected_iu"].map((of) => difference(begins, next, of));
    if (isGap(last, next)) none(last.time_ms, next.time_ms, delivered, expected);
    if (begins === last && (isGap(last, next) || isOther(last, next))) {
      [first, pressure] = [next, -Infinity];
      continue;
    }
    pressure = Math.max(pressure, next.pressure_mmhg ?? -Infinity);
    const ends = !after || isGap(next, after) || isOther(next, after);
    if (!ends && Math.floor(next.time_ms / width) === Math.floor(first.time_ms / width)) continue;
    found.push({ from: first.time_ms, to: next.time_ms, delivered, expected, pressure: Number.isFinite(pressure) ? pressure : null, level: next.level == null ? null : [next.level_low, next.level, next.level_high] });
    [first, pressure] = [next, -Infinity];
  }
  const end = samples[samples.length - 1].time_ms;
  if (to - end > limit) none(end, to);
  return found;
}

/** IU/h over a stretch. @param {Slice} slice @param {"delivered" | "expected"} of */
export const rate = (slice, of) => (slice[of] == null ? null : (/** @type {number} */ (slice[of]) * HOUR) / (slice.to - slice.from));

/** How far delivery was from the order, as a share; null where none was ordered. @param {Slice} slice */
const off = (slice) => (slice.delivered == null || !slice.expected ? null : slice.delivered / slice.expected - 1);

/** Alerts as bars in time, each piece with the priority that it had. @param {any[]} marks oldest first @param {any[]} open @param {number} from @param {number} to @returns {Bar[]} */
export function bars(marks, open, from, to) {
  /** @type {Map<string, any>} */ const stands = new Map(open.filter(({ id }) => !marks.some(({ alert }) => alert === id)).map((alert) => [alert.id, { ...alert, from: Math.max(from, alert.raised_ms) }]));
  /** @type {Bar[]} */ const found = [];
  const close = (/** @type {string} */ id, /** @type {number} */ end) => {
    const was = stands.get(id);
    if (was && was.priority !== "notice") found.push({ id, priority: was.priority, from: was.from, to: end, title: was.title });
    stands.delete(id);
  };
  for (const mark of marks) {
    if (!stands.has(mark.alert) && mark.change !== "raised") stands.set(mark.alert, { ...mark, from });
    close(mark.alert, mark.time_ms);
    if (!["cleared", "cleared-unseen", "latched"].includes(mark.change)) stands.set(mark.alert, { ...mark, from: mark.time_ms });
  }
  for (const id of [...stands.keys()]) close(id, to);
  return found.sort((a, b) => a.from - b.from);
}

/** Steps for an axis up to `top`: about `count` round numbers. @param {number} top @param {number} count */
export function steps(top, count) {
  const raw = top / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((each) => each * power >= raw) ?? 10);
  return Array.from({ length: Math.floor(top / step + 1e-9) + 1 }, (_, index) => Number((index * step).toPrecision(6)));
}

/** A path through points; a new piece begins wherever one does not begin where the one before ended. @param {{from: number, to: number, y: number | null}[]} parts
 *  @param {(ms: number) => number} x @param {boolean} [stepped] the value holds over the stretch; else it is of its end */
export function path(parts, x, stepped = true) {
  let text = "";
  let end = NaN;
  for (const { from, to, y } of parts) {
    if (y == null) continue;
    const [left, right, at] = [x(from), x(to), y].map((each) => each.toFixed(1));
    text += stepped ? `${from === end ? "L" : "M"}${left} ${at}H${right}` : `${from === end ? "L" : "M"}${right} ${at}`;
    end = to;
  }
  return text;
}

/** @param {Course} course @param {number} width in pixels of CSS */
export function picture(course, width) {
  const { from, to, at, slices, results, range, occlusion } = course;
  const [left, right] = [width < 560 ? 46 : 64, width - 24];
  const x = (/** @type {number} */ ms) => left + ((ms - from) / (to - from)) * (right - left);
  const heard = slices.filter(({ gap }) => !gap);
  const rates = heard.map((slice) => /** @type {const} */ ([slice, rate(slice, "delivered"), rate(slice, "expected")]));
  const usual = rates.map(([, , expected]) => expected ?? 0).filter((each) => each > 0).sort((a, b) => a - b);
  const typical = usual[Math.floor(usual.length / 2)] || Math.max(1, ...rates.map(([, given]) => given ?? 0));
  // A bolus would press everything else flat: what is higher is cut off at the top, and told in figures.
  const most = Math.min(2.2 * typical, 1.15 * Math.max(typical, ...rates.flatMap(([, given, expected]) => [given ?? 0, (expected ?? 0) * (1 + BAND)])));
  const points = results.filter(({ test, value }) => test === "anti-xa" && value != null);
  const levels = heard.filter(({ level }) => level);
  const tops = [most, 1.15 * Math.max(100, ...heard.map(({ pressure }) => pressure ?? 0)), 1.1 * Math.max(range?.[1] ?? 0.7, ...points.map(({ value }) => value), ...levels.map(({ level }) => level?.[2] ?? 0))];
  const panels = [["IU/h", 84, 190], ["mmHg", 306, 70], ["IU/mL", 408, 110]].map(([unit, top, height], index) => ({ unit: String(unit), top: Number(top), bottom: Number(top) + Number(height), most: tops[index] }));
  const [dose, pressure, level] = panels.map((panel) => (/** @type {number} */ value) => panel.bottom - (Math.max(0, Math.min(value, panel.most)) / panel.most) * (panel.bottom - panel.top));
  const end = panels[2].bottom;
  const text = (/** @type {number} */ px, /** @type {number} */ py, /** @type {string} */ said, name = "", anchor = "start") => svg("text", { x: px.toFixed(1), y: py.toFixed(1), class: name, "text-anchor": anchor, text: said });
  const shape = (/** @type {string} */ d, /** @type {string} */ name, said = "") => svg("path", { d, class: name }, ...(said ? [svg("title", { text: said })] : []));
  const root = svg("svg", { class: "trend", viewBox: `0 0 ${width} 552`, width, height: 552, role: "img", "aria-label": summary(course) });
  const axes = svg("g", { class: "axes" });
  for (const { unit, top, bottom, most: highest } of panels) {
    const shown = steps(highest, bottom - top > 150 ? 5 : 3);
    for (const value of shown) {
      const y = bottom - (value / highest) * (bottom - top);
      axes.append(shape(`M${left} ${y.toFixed(1)}H${right}`, value ? "grid" : "base"), text(left - 6, y + 4, String(value), "", "end"));
    }
    axes.append(text(left, top - 9, { "IU/h": "Dose, IU/h", mmHg: "Line pressure, mmHg", "IU/mL": "Level in the blood (estimate), IU/mL" }[unit] ?? unit, "unit"));
  }
  const span = [5, 10, 15, 30, 60, 120, 180, 360].map((minutes) => minutes * 60_000).find((each) => ((to - from) / each) * 62 < right - left) ?? 6 * HOUR;
  const offset = new Date(at(to)).getTimezoneOffset() * 60_000;
  for (let ms = Math.ceil((at(from) - offset) / span) * span + offset; ms <= at(to); ms += span) {
    const px = x(from + ms - at(from));
    axes.append(shape(`M${px.toFixed(1)} 16V${end}`, "grid"), text(px, end + 16, clock(ms, false), "", "middle"));
  }
  const gaps = svg("g", { class: "gaps" }, svg("defs", {}, svg("pattern", { id: "hatch", width: 8, height: 8, patternUnits: "userSpaceOnUse", patternTransform: "rotate(-45)" }, svg("path", { d: "M0 0V8", class: "hatch" }))));
  for (const { from: begin, to: stop } of slices.filter(({ gap }) => gap)) {
    const [a, b, isFirst] = [x(Math.max(begin, from)), x(Math.min(stop, to)), slices[0].from === begin && begin === from];
    gaps.append(svg("rect", { class: isFirst ? "before" : null, x: a.toFixed(1), y: panels[0].top, width: Math.max(1, b - a).toFixed(1), height: end - panels[0].top, fill: isFirst ? null : "url(#hatch)" }));
    if (b - a > 50) gaps.append(text((a + b) / 2, panels[0].top + 100, isFirst ? "no data" : "not heard", "gap", "middle"));
  }
  const band = rates.map(([{ from: begin, to: stop }, , expected]) => (expected == null ? "" : `M${x(begin).toFixed(1)} ${dose(expected * (1 + BAND)).toFixed(1)}H${x(stop).toFixed(1)}V${dose(expected * (1 - BAND)).toFixed(1)}H${x(begin).toFixed(1)}Z`)).join("");
  const lineOf = (/** @type {(slice: Slice) => number | null | undefined} */ of, /** @type {(value: number) => number} */ y, stepped = true) =>
    path(heard.map((slice) => ({ from: slice.from, to: slice.to, y: of(slice) == null ? null : y(/** @type {number} */ (of(slice))) })), x, stepped);
  const outside = heard.filter((slice) => Math.abs(off(slice) ?? 0) > BAND);
  root.append(gaps, axes, shape(band, "band"), shape(lineOf((slice) => rate(slice, "delivered"), dose), "delivered"),
    shape(outside.map((slice) => path([{ ...slice, y: dose(rate(slice, "delivered") ?? 0) }], x)).join(""), "outside"), shape(lineOf((slice) => rate(slice, "expected"), dose), "prescribed"), shape(lineOf((slice) => slice.pressure, pressure), "pressure"));
  // One figure for stretches that follow each other beyond the panel.
  /** @type {{from: number, to: number, most: number}[]} */ const beyond = [];
  for (const [{ from: begin, to: stop }, given] of rates) {
    if (given == null || (given <= most * 1.001 && given >= -1)) continue;
    const last = beyond.at(-1);
    if (last && last.to === begin && last.most > 0 === given > 0) [last.to, last.most] = [stop, given > 0 ? Math.max(last.most, given) : Math.min(last.most, given)];
    else beyond.push({ from: begin, to: stop, most: given });
  }
  for (const { from: begin, to: stop, most: given } of beyond)
    root.append(text(Math.min(x((begin + stop) / 2), right - 24), given < 0 ? panels[0].bottom - 6 : panels[0].top + 13, given < 0 ? `▼ −${Math.round(-given)}` : `▲ ${Math.round(given)}`, "cut", "middle"));
  if (occlusion && occlusion < panels[1].most) root.append(shape(`M${left} ${pressure(occlusion).toFixed(1)}H${right}`, "limit", `occlusion alarm at ${occlusion} mmHg`));
  if (range) root.append(svg("rect", { x: left, y: level(range[1]), width: right - left, height: level(range[0]) - level(range[1]), class: "aim" }));
  let edge = NaN;
  let [over, under] = ["", ""];
  /** @type {string[][]} */ const areas = [];
  for (const { from: begin, to: stop, level: values } of levels) {
    if (begin !== edge) [areas[areas.length], over, under] = [[over, under], "", ""];
    const [low, , high] = values ?? [];
    over += `L${x(stop).toFixed(1)} ${level(high).toFixed(1)}`;
    under = `L${x(stop).toFixed(1)} ${level(low).toFixed(1)}${under}`;
    edge = stop;
  }
  for (const [above, below] of [...areas, [over, under]]) if (above) root.append(shape(`M${`${above}${below}`.slice(1)}Z`, "interval"));
  root.append(shape(lineOf((slice) => slice.level?.[1], level, false), "level"));
  for (const result of results) {
    const anti = points.includes(result);
    const [px, py] = [x(result.drawn_ms), anti ? level(result.value) : end - 8];
    root.append(svg("path", { d: `M${px.toFixed(1)} ${(py - 6).toFixed(1)}l6 6l-6 6l-6-6z`, class: anti ? "result" : "result other" }, svg("title", { text: `${clock(at(result.drawn_ms), false)} ${resultWords(result)}` })),
      text(px + (px > right - 110 ? -10 : 10), py + 4, resultWords(result).replace("anti-Xa ", ""), "result", px > right - 110 ? "end" : "start"));
  }
  LANES.forEach((priority, index) => {
    const y = 18 + index * 15;
    root.append(text(left - 6, y + 11, MARKS[priority].split(" ")[0], "mark", "end"));
    for (const { from: begin, to: stop, title } of course.bars.filter((bar) => bar.priority === priority && bar.to >= from)) {
      const [a, b] = [x(Math.max(begin, from)), Math.max(x(stop), x(Math.max(begin, from)) + 4)];
      root.append(svg("rect", { x: a.toFixed(1), y, width: (b - a).toFixed(1), height: 13, rx: 2, class: `bar ${priority}` }, svg("title", { text: `${MARKS[priority]} ${title}, ${clock(at(begin), false)}–${clock(at(stop), false)}` })));
      if (b - a > title.length * 6.4 + 8) root.append(text(a + 4, y + 10.5, title, `bar ${priority}`));
    }
  });
  // What a pointer is told about a stretch; the table tells it to everybody.
  for (const slice of slices) root.append(svg("rect", { x: x(slice.from).toFixed(1), y: panels[0].top, width: Math.max(0, x(slice.to) - x(slice.from)).toFixed(1), height: end - panels[0].top, class: "hit" }, svg("title", { text: cells(slice, at).filter(Boolean).join("; ") })));
  root.append(text(left, 10, "Alerts", "unit"));
  return root;
}

/** What one stretch says, as texts. @param {Slice} slice @param {(ms: number) => number} at */
function cells(slice, at) {
  const time = `${clock(at(slice.from), false)}–${clock(at(slice.to), false)}`;
  if (slice.gap) return [time, `not heard for ${ago(slice.to - slice.from)}${slice.delivered == null ? "" : `; by the pump's counter ${amount(slice.delivered, "IU")} were given meanwhile${slice.expected == null ? "" : `, ${amount(slice.expected, "IU")} were ordered`}`}`];
  const [given, ordered, share] = [rate(slice, "delivered"), rate(slice, "expected"), off(slice)];
  return [time, ordered == null ? "unknown" : `ordered ${exact(ordered, "IU/h")}`, given == null ? "unknown" : `given ${exact(given, "IU/h")}${given < 0 ? ": held back in the line, taken off again" : ""}`, share == null ? "" : `${Math.round(100 * share) ? (share < 0 ? "−" : "+") : ""}${Math.abs(100 * share).toFixed(0)}\u00a0%${Math.abs(share) > BAND ? " outside" : ""}`,
    slice.pressure == null ? "" : amount(slice.pressure, "mmHg"), slice.level ? `${slice.level[1].toFixed(2)} (${slice.level[0].toFixed(2)}–${slice.level[2].toFixed(2)})\u00a0IU/mL` : ""];
}

/** The picture in a sentence. @param {Course} course */
function summary({ slices, at, from, to }) {
  const sum = (/** @type {"delivered" | "expected"} */ of) => slices.reduce((all, slice) => all + (slice.gap ? 0 : (slice[of] ?? 0)), 0);
  const silent = slices.filter(({ gap }) => gap).reduce((all, slice) => all + Math.min(slice.to, to) - Math.max(slice.from, from), 0);
  return `Trend from ${clock(at(from), false)} to ${clock(at(to), false)}: ${exact(sum("delivered"), "IU")} given of ${exact(sum("expected"), "IU")} ordered while the pump was heard${silent ? `; not heard for ${ago(silent)}` : ""}. The same as a table follows on request.`;
}

/** The picture as a table: newest first, with results and alerts where they belong. @param {Course} course */
export function tabled({ slices, results, changes, at }) {
  const wide = (/** @type {number} */ ms, /** @type {Node[]} */ ...parts) => ({ ms, row: el("tr", { class: "event" }, el("th", { scope: "row", text: clock(at(ms), false) }), el("td", { colspan: 5 }, ...parts)) });
  const rows = slices.map((slice) => {
    const [time, ...texts] = cells(slice, at).map((text) => text.replace(/^(ordered|given) /, ""));
    return { ms: slice.from, row: el("tr", { class: slice.gap ? "gap" : Math.abs(off(slice) ?? 0) > BAND ? "outside" : null }, el("th", { scope: "row", text: time }), ...texts.map((text) => el("td", { colspan: slice.gap ? 5 : null, text }))) };
  });
  const events = [...results.map((result) => wide(result.drawn_ms, el("span", { text: `Laboratory: ${resultWords(result)}` }))),
    ...changes.filter(({ priority }) => priority in RANKS).map((mark) => wide(mark.time_ms, badge(mark.priority), el("span", { text: ` ${mark.title}: ${mark.change}` })))];
  return table("Trend as a table, newest first", ["Time", "Ordered", "Given", "Difference", "Pressure", "Level in the blood"], [...rows, ...events].sort((a, b) => b.ms - a.ms).map(({ row }) => row), "Nothing was heard in this time.", "wide");
}
