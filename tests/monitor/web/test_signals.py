"""Flash and sound as a Chromium makes them, against the table that they are modelled on.

The numbers are those of IEC 60601-1-8 as secondary sources and manufacturers tell them: the melody
is Open PCA's, rise and harmonics PUI Audio's; flash rates, pulse lengths, spacings and repetition
are from memory of the standard, which was not at hand, and stand for what was meant, not for proof.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from numpy.typing import NDArray
from playwright.async_api import Page

from tests.monitor.web.browser import Served, chromium, needs_chromium, until, watch
from tests.monitor.web.scripted import ScriptedWard, night

pytestmark = needs_chromium

RATE_HZ = 16_000
LENGTH_S = 5.0
BEGIN_S = 0.5
C5, D4, G4, E4, C4 = 523.25, 293.66, 392.0, 329.63, 261.63
MELODIES = {
    "high": [C5, D4, G4, C5, D4, C5, D4, G4, C5, D4],
    "medium": [C5, D4, G4],
    "low": [E4, C4],
}
# The shortest and the longest that a pulse may be, in seconds.
PULSES_S = {"high": (0.075, 0.2), "medium": (0.125, 0.25), "low": (0.125, 0.25)}
RENDER = """async ([priority, rate, length, begin]) => {
  const { burst } = await import("/static/sound.js");
  const context = new OfflineAudioContext(1, rate * length, rate);
  burst(context, priority, begin);
  return [...(await context.startRendering()).getChannelData(0)];
}"""
# What starts, and which note, as the browser is told.
LISTEN = """() => {
  window.notes = [];
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (at) {
    window.notes.push([at, this.frequency.value]);
    return start.call(this, at);
  };
}"""
# When each word of the flash comes and goes, over some seconds.
WATCH_FLASH = """(length_ms) => new Promise((done) => {
  const root = document.documentElement;
  const seen = [];
  const look = () => seen.push([performance.now(), root.dataset.flash]);
  const observer = new MutationObserver(look);
  observer.observe(root, { attributeFilter: ["data-flash"] });
  setTimeout(() => (observer.disconnect(), done(seen)), length_ms);
})"""


@pytest_asyncio.fixture
async def page() -> AsyncIterator[Page]:
    """The worklist of a night with alerts of every priority."""
    async with chromium() as browser, AsyncExitStack() as stack:
        ward = ScriptedWard()
        night(ward)
        served = await stack.enter_async_context(Served(ward))
        yield await (await watch(browser, stack, served, "Anna")).open("/")


def pulses(samples: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Begin and length of each pulse in seconds, by its loudness over 5 ms."""
    block = RATE_HZ // 200
    loud = np.abs(samples[: len(samples) // block * block]).reshape(-1, block).max(axis=1) > 1e-3
    edges = np.flatnonzero(np.diff(np.concatenate(([0], loud.astype(int), [0]))))
    return [(a * block / RATE_HZ, (b - a) * block / RATE_HZ) for a, b in zip(edges[::2], edges[1::2], strict=True)]  # fmt: skip


def spectrum(samples: NDArray[np.float64], begin_s: float, length_s: float) -> Any:
    """Level in dB by frequency, of the steady part of a pulse."""
    a, b = (round((begin_s + share * length_s) * RATE_HZ) for share in (0.2, 0.8))
    part = samples[a:b] * np.hanning(b - a)
    level = 20 * np.log10(np.abs(np.fft.rfft(part, 8 * RATE_HZ // 4)) + 1e-12)
    return np.fft.rfftfreq(8 * RATE_HZ // 4, 1 / RATE_HZ), level


@pytest.mark.parametrize("priority", list(MELODIES))
async def test_a_burst_is_the_melody_of_its_priority(page: Page, priority: str) -> None:
    """Number, length and spacing of the pulses, and the notes with their harmonics."""
    rendered = await page.evaluate(RENDER, [priority, RATE_HZ, LENGTH_S, BEGIN_S])
    samples = np.asarray(rendered, dtype=float)
    found = pulses(samples)
    melody = MELODIES[priority]
    assert len(found) == len(melody)
    shortest, longest = PULSES_S[priority]
    for (begin_s, length_s), note in zip(found, melody, strict=True):
        assert shortest <= length_s <= longest
        hertz, level = spectrum(samples, begin_s, length_s)
        peaks = []
        for harmonic in range(1, 7):
            near = np.abs(hertz - harmonic * note) < 15
            peaks.append((harmonic * note, level[near].max()))
        assert 150 <= note <= 1_000
        top = max(loud for _, loud in peaks)
        heard = [loud for at, loud in peaks if 300 <= at <= 4_000 and top - loud <= 15]
        assert len(heard) >= 4
        # Nothing as loud lies between the harmonics.
        between = np.abs((hertz / note + 0.5) % 1 - 0.5) > 0.25
        assert level[between & (hertz > 100)].max() < top - 15
    gaps = [b[0] - (a[0] + a[1]) for a, b in pairwise(found)]
    if priority == "high":
        inner = [gap for index, gap in enumerate(gaps) if index not in (2, 4, 7)]
        assert all(0.04 <= gap <= 0.13 for gap in inner)
        for index in (2, 7):
            assert gaps[index] == pytest.approx(2 * np.mean(inner) + found[0][1], abs=0.03)
        assert 0.35 <= gaps[4] <= 1.30
    else:
        assert all(0.12 <= gap <= 0.25 for gap in gaps)


async def test_only_the_highest_is_heard_and_comes_again(page: Page) -> None:
    """With alerts of all priorities open, every note is of the burst of HIGH, each 10 s."""
    await page.evaluate(LISTEN)
    await page.locator("#sound").click()
    await until(page, "() => window.notes.length > 20")
    notes = (await page.evaluate("window.notes"))[1:21]
    assert [note for _, note in notes] == pytest.approx(MELODIES["high"] * 2, abs=0.01)
    again_s = notes[10][0] - notes[0][0]
    assert 2.5 <= again_s <= 15
    assert again_s == pytest.approx(10, abs=0.6)


async def test_badges_flash_at_the_rates_of_their_priorities(page: Page) -> None:
    """HIGH at 1.4 to 2.8 Hz, MEDIUM at 0.4 to 0.8 Hz, lit and dark for like times."""
    seen = await page.evaluate(WATCH_FLASH, 9_000)
    for word, slowest, fastest in (("h", 1.4, 2.8), ("m", 0.4, 0.8)):
        turns = [(at, word in phase) for at, phase in seen]
        edges = [b for a, b in pairwise(turns) if a[1] != b[1]]
        rises = [at for at, is_on in edges if is_on]
        rate_hz = (len(rises) - 1) / (rises[-1] - rises[0]) * 1_000
        assert slowest <= rate_hz <= fastest, (word, rate_hz)
        whole = [(at, on) for at, on in edges if rises[0] <= at <= rises[-1]]
        lit = sum(b[0] - a[0] for a, b in pairwise(whole) if a[1])
        assert 0.2 <= lit / (rises[-1] - rises[0]) <= 0.6
