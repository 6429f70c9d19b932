// Sound and flash, modelled on IEC 60601-1-8: only the highest priority is heard, in pulses.

import { ago } from "./dom.js";
import { calls, RANKS, state, subscribe } from "./state.js";

/** @typedef {"high" | "medium" | "low"} Loud */
// Seconds from the start of the burst, and which note. The drug-delivery melody as Open PCA prints
// it: C d g – C d, twice (high); C d g (medium); e c (low).
const [C5, D4, G4, E4, C4] = [523.25, 293.66, 392, 329.63, 261.63];
const FIVE = [[0, C5], [0.25, D4], [0.5, G4], [1, C5], [1.25, D4]];
/** @type {Record<Loud, {every_ms: number, pulse_s: number, loud: number, notes: number[][]}>} */
const BURSTS = {
  high: { every_ms: 10_000, pulse_s: 0.15, loud: 0.5, notes: [...FIVE, ...FIVE.map(([at, note]) => [at + 2.2, note])] },
  medium: { every_ms: 25_000, pulse_s: 0.2, loud: 0.35, notes: [[0, C5], [0.4, D4], [0.8, G4]] },
  low: { every_ms: 30_000, pulse_s: 0.2, loud: 0.2, notes: [[0, E4], [0.4, C4]] },
};
// At least four harmonics between 300 and 4000 Hz within 15 dB of each other (PUI Audio).
const HARMONICS = [0, 1, 0.8, 0.7, 0.6, 0.5];
const TECHNICAL_EVERY_MS = 10_000;
const PAUSE_MS = 120_000;
const TICK_MS = 250;

/** What the page would sound now, and why not. @type {{armed: boolean, paused_until: number, priority: Loud | null, played: number}} */
export const sound = { armed: false, paused_until: 0, priority: null, played: 0 };

/** @type {AudioContext | null} */ let audio = null;
/** @type {Set<string>} */ let quiet = new Set();
let last = -Infinity;
let beats = 0;

/** @param {BaseAudioContext} to @param {number} at @param {number} note @param {number} length @param {number} loud */
function pulse(to, at, note, length, loud) {
  const gain = to.createGain();
  const tone = to.createOscillator();
  tone.setPeriodicWave(to.createPeriodicWave(new Float32Array(HARMONICS.length), new Float32Array(HARMONICS)));
  tone.frequency.value = note;
  gain.gain.setValueAtTime(0, at);
  gain.gain.linearRampToValueAtTime(loud, at + length * 0.15);
  gain.gain.setValueAtTime(loud, at + length * 0.85);
  gain.gain.linearRampToValueAtTime(0, at + length);
  tone.connect(gain).connect(to.destination);
  tone.start(at);
  tone.stop(at + length);
}

/** Puts one burst of a priority onto a context. @param {BaseAudioContext} to @param {Loud} priority @param {number} from in seconds of the context */
export function burst(to, priority, from) {
  const { notes, pulse_s, loud } = BURSTS[priority];
  for (const [at, note] of notes) pulse(to, from + at, note, pulse_s, loud);
}

/** @param {Loud} priority */
function play(priority) {
  if (!audio) return;
  burst(audio, priority, audio.currentTime + 0.05);
  sound.played += 1;
  last = performance.now();
}

/** @param {import("./state.js").Alert} alert */
const key = (alert) => `${alert.id} ${alert.priority}`;
const sounding = () => [...state.alerts.values()].filter((alert) => calls(alert) && !alert.facts?.audio_paused);
const isPaused = () => performance.now() < sound.paused_until;

/** The worst that is to be heard. A pause covers what was there when it began, nothing newer or worse. */
function worst() {
  if (!isPaused()) quiet = new Set();
  let best = /** @type {Loud | null} */ (null);
  for (const alert of sounding())
    if (!quiet.has(key(alert)) && RANKS[alert.priority] > (best ? RANKS[best] : 0)) best = /** @type {Loud} */ (alert.priority);
  return best;
}

/** @param {HTMLElement} button arms the sound, then pauses it for two minutes */
export function listen(button) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  button.addEventListener("click", async () => {
    if (!sound.armed) {
      audio = new AudioContext();
      await audio.resume();
      sound.armed = audio.state === "running";
      audio.onstatechange = () => ((sound.armed = audio?.state === "running"), tick());
      pulse(audio, audio.currentTime + 0.05, C5, 0.15, 0.2);
    } else if (isPaused()) sound.paused_until = 0;
    else {
      sound.paused_until = performance.now() + PAUSE_MS;
      quiet = new Set(sounding().map(key));
    }
    tick();
  });
  function tick() {
    const now = performance.now();
    const stale = state.live === "stale";
    const priority = stale ? null : worst();
    const rose = priority && RANKS[priority] > (sound.priority ? RANKS[sound.priority] : 0);
    sound.priority = priority;
    if (sound.armed && priority && (rose || now - last >= BURSTS[priority].every_ms)) play(priority);
    if (sound.armed && stale && !isPaused() && now - last >= TECHNICAL_EVERY_MS) play("low");
    button.dataset.state = !sound.armed ? "off" : isPaused() ? "paused" : "on";
    const words = { off: "Sound off: press to arm", on: "Sound on", paused: `Sound paused ${ago(sound.paused_until - now)}` };
    const text = words[/** @type {"off" | "on" | "paused"} */ (button.dataset.state)];
    if (button.textContent !== text) button.textContent = text;
    button.title = sound.armed ? "Press to pause the sound of this page for two minutes, or to end the pause" : "A browser makes no sound before a press";
    beats += 1;
    const phase = still.matches || stale ? "" : `${beats % 2 ? "h" : ""} ${beats % 8 < 4 ? "m" : ""}`.trim();
    if (document.documentElement.dataset.flash !== phase) document.documentElement.dataset.flash = phase;
  }
  // What got worse in somebody's hands does not call, but is told once.
  subscribe(({ news }) => {
    const worse = news.find(({ kind, alert }) => kind === "worse" && !calls(alert));
    if (worse && sound.armed) play(/** @type {Loud} */ (worse.alert.priority));
    if (news.length) tick();
  });
  setInterval(tick, TICK_MS);
  tick();
}
