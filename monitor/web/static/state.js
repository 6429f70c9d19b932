// What this page knows of the ward: kept from snapshots and patches, and never guessed.

import { ago } from "./dom.js";

/** @typedef {{by: string, at_ms: number, role?: string, until_ms?: number, to?: string, text?: string}} Deed */
/** @typedef {"high" | "medium" | "low" | "notice"} Priority */
/** @typedef {{id: string, site: string, pump: string, therapy?: string, rule: string, category: string, title: string,
 *  priority: Priority, state: "raised" | "latched" | "cleared", version: number, onset_ms: number, raised_ms: number,
 *  changed_ms: number, cleared_ms?: number, evidence: Record<string, any>, suppresses?: string[], what?: string, first?: string,
 *  advice?: string, facts?: {taken?: Deed, offered?: Deed, declined?: Deed, acknowledged?: Deed, audio_paused?: Deed,
 *  snoozed?: Deed, notes?: Deed[]}, called?: {number: number, name: string, since_ms: number, failsafe?: boolean, who?: string[]},
 *  flaps?: number, latched?: boolean, unseen?: boolean}} Alert */
/** @typedef {{key: string, site: string, pump: string, therapy?: string, clock_ms?: number, heard_ms?: number, online?: boolean | null,
 *  silent?: boolean, status?: string, delivery?: string, reason?: string, rate_ml_h?: number, dose?: {from_ms: number, to_ms: number,
 *  delivered_iu: number, low_iu: number, high_iu: number, expected_iu: number}, worst?: Priority, open?: number,
 *  unseen?: number, [more: string]: any}} PumpRow */
/** @typedef {{kind: "new" | "worse" | "taken" | "cleared" | "unseen", alert: Alert}} News */
/** @typedef {{pumps: Set<string>, lists: Set<string>, news: News[], all: boolean, live: boolean}} Changes */

export const STALE_MS = 3000;
export const MARKS = { high: "*** HIGH", medium: "** MEDIUM", low: "* LOW", notice: "notice" };
export const RANKS = { high: 3, medium: 2, low: 1, notice: 0 };
const LAG_MS_MAX = 10_000;
const SILENT_SHARE_MAX = 0.2;

export const state = {
  /** @type {Map<string, PumpRow>} */ pumps: new Map(),
  /** @type {Map<string, Alert>} */ alerts: new Map(),
  /** @type {Map<string, Alert>} */ unseen: new Map(),
  /** @type {{name: string, roles: string[], rights: string[], is_idle?: boolean}} */ me: { name: "", roles: [], rights: [] },
  /** @type {Record<string, any>} */ beat: {},
  /** "start" until the first snapshot. @type {"start" | "live" | "stale" | "blind"} */ live: "start",
  speed: 1,
  told_ms: 0,
  heard: performance.now(),
  heard_at: Date.now(),
  /** The monitor's clock; it stands still while nothing is heard of it. */
  now() {
    const runs = state.live === "live" || state.live === "blind";
    return state.told_ms + (runs ? (performance.now() - state.heard) * state.speed : 0);
  },
  /** The clock of an alert's pump: times in alerts are on it. @param {{site: string, pump: string}} of */
  pumpNow: (of) => state.now() + shift(of),
  /** A time of a pump's clock on the monitor's. @param {{site: string, pump: string}} of @param {number} ms */
  onMonitor: (of, ms) => ms - shift(of),
  /** Whether something may be done about alerts now. */
  canAct: () => (state.live === "live" || state.live === "blind") && state.me.rights.includes("act"),
};

/** The key of a pump. @param {{site: string, pump: string}} of */
export const pumpOf = (of) => `${of.site}/${of.pump}`;
/** @param {{site: string, pump: string}} of */
const shift = (of) => state.pumps.get(pumpOf(of))?.clock_ms ?? 0;

/** @type {Map<string, {alerts: Alert[], unseen: Alert[]}>} */
const lists = new Map();
/** @type {Set<(changes: Changes) => void>} */
const watchers = new Set();

/** @param {(changes: Changes) => void} watcher @returns {() => void} what ends it */
export function subscribe(watcher) {
  watchers.add(watcher);
  return () => void watchers.delete(watcher);
}

/** @param {Partial<Changes>} changes */
function tell(changes) {
  const whole = { pumps: new Set(), lists: new Set(), news: [], all: false, live: false, ...changes };
  for (const watcher of watchers) watcher(whole);
}

/** Nobody has it in hand, so it calls: it flashes and sounds. @param {Alert} alert */
export function calls(alert) {
  const { taken, acknowledged, snoozed } = alert.facts ?? {};
  return alert.priority !== "notice" && !taken && !acknowledged && !snoozed;
}

/** @param {string} kind @param {any} body what came on the stream, or from another tab */
export function apply(kind, body) {
  const wasLive = state.live;
  const first = wasLive === "start";
  state.told_ms = body.now_ms ?? state.told_ms;
  state.heard = performance.now();
  state.heard_at = Date.now();
  /** @type {Changes} */
  const changes = { pumps: new Set(), lists: new Set(), news: [], all: kind === "snapshot", live: false };
  if (kind === "snapshot") takeSnapshot(body, changes);
  else {
    for (const row of body.pumps instanceof Array ? body.pumps : []) {
      state.pumps.set(row.key, row);
      changes.pumps.add(row.key);
    }
    for (const list of body.lists ?? []) takeList(list.key, list, changes);
  }
  if (kind !== "patch") {
    const { broker, silent, open, committed_ms, instance, version } = { ...state.beat, ...body };
    state.beat = { broker, silent, open, committed_ms, instance, version };
  }
  if (first && kind !== "snapshot") return;
  if (first) changes.news.length = 0;
  state.live = blindness() ? "blind" : "live";
  changes.live = state.live !== wasLive || kind === "beat";
  tell(changes);
}

/** @param {any} body @param {Changes} changes */
function takeSnapshot(body, changes) {
  state.speed = body.speed ?? 1;
  state.me = { ...state.me, ...body.person };
  state.pumps = new Map(body.pumps.map((/** @type {PumpRow} */ row) => [row.key, row]));
  /** @type {Map<string, {alerts: Alert[], unseen: Alert[]}>} */
  const fresh = new Map();
  for (const name of /** @type {("alerts" | "unseen")[]} */ (["alerts", "unseen"]))
    for (const alert of body[name] ?? []) {
      const key = pumpOf(alert);
      if (!fresh.has(key)) fresh.set(key, { alerts: [], unseen: [] });
      fresh.get(key)?.[name].push(alert);
    }
  for (const key of new Set([...lists.keys(), ...fresh.keys()])) takeList(key, fresh.get(key) ?? {}, changes);
}

/** @param {string} key @param {{alerts?: Alert[], unseen?: Alert[]}} list @param {Changes} changes */
function takeList(key, { alerts = [], unseen = [] }, changes) {
  const before = lists.get(key);
  lists.set(key, { alerts, unseen });
  changes.lists.add(key);
  const held = new Map(before?.alerts.map((alert) => [alert.id, alert]));
  const waited = new Set(before?.unseen.map((alert) => alert.id));
  for (const id of [...held.keys()]) state.alerts.delete(id);
  for (const id of waited) state.unseen.delete(id);
  for (const alert of alerts) {
    state.alerts.set(alert.id, alert);
    const was = held.get(alert.id);
    held.delete(alert.id);
    if (!was) changes.news.push({ kind: "new", alert });
    else if (RANKS[alert.priority] > RANKS[was.priority]) changes.news.push({ kind: "worse", alert });
    const { taken } = alert.facts ?? {};
    if (taken && taken.by !== was?.facts?.taken?.by) changes.news.push({ kind: "taken", alert });
  }
  for (const alert of unseen) {
    state.unseen.set(alert.id, alert);
    if (!waited.has(alert.id)) changes.news.push({ kind: "unseen", alert });
    held.delete(alert.id);
  }
  for (const alert of held.values()) changes.news.push({ kind: "cleared", alert });
}

/** What the monitor itself does not see, in a sentence; empty while it sees. */
export function blindness() {
  const { broker = {}, silent = 0 } = state.beat;
  const lag_ms = (broker.lag_ms ?? 0) / state.speed;
  const behind_ms = (broker.behind_ms ?? 0) / state.speed;
  if (broker.connected === false) return "The monitor has lost its broker and hears no pump. Check the pumps directly.";
  if (behind_ms > LAG_MS_MAX) return `The monitor is ${ago(behind_ms)} behind: alerts come late. Check the pumps directly.`;
  if (lag_ms > LAG_MS_MAX) return `What the monitor hears is ${ago(lag_ms)} old. Check the pumps directly.`;
  if (!silent || silent < SILENT_SHARE_MAX * state.pumps.size) return "";
  return `Telemetry of ${silent} of ${state.pumps.size} pumps is old. Check these pumps directly.`;
}

/** Says so when nothing was heard for too long; called several times a second. One of the two clocks
 *  may stand still while the computer sleeps. */
export function look() {
  if (state.live !== "stale" && Math.max(performance.now() - state.heard, Date.now() - state.heard_at) > STALE_MS) {
    state.live = "stale";
    tell({ live: true });
  }
}

/** Everything as it stands, as a snapshot: for a tab that comes later. */
export const picture = () => ({
  ...state.beat, now_ms: state.now(), speed: state.speed, person: state.me,
  pumps: [...state.pumps.values()], alerts: [...state.alerts.values()], unseen: [...state.unseen.values()],
});
