// One stream for all tabs: who holds the lock listens to the monitor, and passes on what it hears.

import { get } from "./api.js";

const KINDS = ["snapshot", "patch", "beat"];
const ALIVE_MS = 1000;
const LEADERLESS_MS = 5000;
const DEAF_MS = 6000;

/** @param {string} person tabs of one person share a stream
 *  @param {(kind: string, body: any) => void} handle @param {() => any} picture a snapshot for a tab that comes later, or null */
export function connect(person, handle, picture) {
  const name = `dripwatch ${person}`;
  const channel = new BroadcastChannel(name);
  /** @type {EventSource | null} */ let source = null;
  let heard = performance.now();
  let waits = false;

  function open() {
    source?.close();
    heard = performance.now();
    const opened = (source = new EventSource("/api/v1/stream"));
    for (const kind of KINDS)
      opened.addEventListener(kind, (event) => {
        if (opened !== source) return;
        heard = performance.now();
        const body = JSON.parse(event.data);
        handle(kind, body);
        channel.postMessage({ kind, body });
      });
    // The browser tries again by itself, but not after a refusal: 401 leads to the sign-in page.
    opened.addEventListener("error", async () => {
      if (opened.readyState !== EventSource.CLOSED || opened !== source) return;
      await get("/api/v1/me");
      setTimeout(() => opened === source && open(), ALIVE_MS);
    });
  }
  const hold = () => {
    open();
    return new Promise(() => {});
  };
  const queue = () => {
    if (waits) return;
    waits = true;
    const taken = () => ((waits = false), hold());
    navigator.locks.request(name, taken).catch(lost);
  };
  // Another tab took over, because this one seemed to hang.
  const lost = () => {
    source?.close();
    source = null;
    queue();
  };
  channel.addEventListener("message", ({ data: { kind, body } }) => {
    if (kind === "hello") {
      const whole = source && picture();
      if (whole) channel.postMessage({ kind: "snapshot", body: whole });
    } else if (!source) {
      heard = performance.now();
      if (kind !== "alive") handle(kind, body);
    }
  });
  setInterval(() => {
    const deaf_ms = performance.now() - heard;
    if (source) {
      channel.postMessage({ kind: "alive" });
      if (deaf_ms > DEAF_MS) open();
    } else if (navigator.locks && deaf_ms > LEADERLESS_MS && document.visibilityState === "visible")
      navigator.locks.request(name, { steal: true }, hold).catch(lost);
  }, ALIVE_MS);
  channel.postMessage({ kind: "hello" });
  // Without a secure context there are no locks: each tab then has a stream of its own.
  if (navigator.locks) queue();
  else open();
}
