// Nodes, and how numbers and times are written. Text is only ever set as text, never as markup.

/** @typedef {Record<string, any>} Props class, text, dataset, on: {event: fn}, or any attribute. */

/** @param {Element} node @param {Props} props */
function dress(node, props) {
  for (const [name, value] of Object.entries(props)) {
    if (name === "text") node.textContent = value;
    else if (name === "dataset") Object.assign(/** @type {HTMLElement} */ (node).dataset, value);
    else if (name === "on") for (const [event, run] of Object.entries(value)) node.addEventListener(event, run);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** @template {keyof HTMLElementTagNameMap} T
 *  @param {T} tag @param {Props} [props] @param {...(Node | string)} children @returns {HTMLElementTagNameMap[T]} */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  dress(node, props);
  node.append(...children);
  return node;
}

/** @param {string} tag @param {Props} [attributes] @param {...(Node | string)} children @returns {SVGElement} */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  dress(node, attributes);
  node.append(...children);
  return /** @type {SVGElement} */ (node);
}

/** Sets a text only where it is another, so that nothing is painted for nothing. @param {Node} node @param {string} text */
export function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes `nodes` the children of `parent`: what is there already is moved and keeps the focus.
 *  @param {Element} parent @param {Iterable<Element>} nodes */
export function arrange(parent, nodes) {
  const focused = /** @type {HTMLElement | null} */ (document.activeElement);
  const move = /** @type {any} */ (parent).moveBefore ? "moveBefore" : "insertBefore";
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else /** @type {any} */ (parent)[node.parentNode === parent ? move : "insertBefore"](node, next);
  }
  while (next) [next] = [next.nextSibling, next.remove()];
  if (focused && focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** A time of day, 24 hours. @param {number} ms @param {boolean} [seconds] */
export function clock(ms, seconds = true) {
  const date = new Date(ms);
  const parts = [date.getHours(), date.getMinutes(), ...(seconds ? [date.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** A length of time. @param {number} ms */
export function ago(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ${String(Math.floor(seconds / 60) % 60).padStart(2, "0")}`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor(seconds / 3600) % 24} h`;
}

/** A number with its unit, with as many digits as are worth reading. @param {number | null | undefined} value @param {string} unit */
export function amount(value, unit) {
  if (value == null) return "unknown";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return `${String(Number(value.toFixed(digits))).replace("-", "−")}\u00a0${unit}`;
}
