"""Stretches of time as half-open spans [from, to) in Unix milliseconds, and sets of them.

A set of spans is a tuple in order of time in which no two touch: `union` makes one. However the
same time is cut into pieces, and in whatever order the pieces come, the set is the same.
"""

from collections.abc import Iterable

from msgspec import Struct


class Span(Struct, frozen=True, order=True, gc=False):
    """From an instant up to, and without, a later one."""

    from_ms: int
    to_ms: int


Spans = tuple[Span, ...]


def union(spans: Iterable[Span]) -> Spans:
    """All the time that lies in any of them; empty and reversed ones hold none."""
    found: list[Span] = []
    for span in sorted(each for each in spans if each.from_ms < each.to_ms):
        if found and span.from_ms <= found[-1].to_ms:
            if span.to_ms > found[-1].to_ms:
                found[-1] = Span(found[-1].from_ms, span.to_ms)
        else:
            found.append(span)
    return tuple(found)


def common(one: Spans, other: Spans) -> Spans:
    """The time that lies in both of two sets."""
    found: list[Span] = []
    i = j = 0
    while i < len(one) and j < len(other):
        from_ms = max(one[i].from_ms, other[j].from_ms)
        to_ms = min(one[i].to_ms, other[j].to_ms)
        if from_ms < to_ms:
            found.append(Span(from_ms, to_ms))
        if one[i].to_ms < other[j].to_ms:
            i += 1
        else:
            j += 1
    return tuple(found)


def without(one: Spans, other: Spans) -> Spans:
    """The time of the first set that does not lie in the second."""
    found: list[Span] = []
    for span in one:
        from_ms = span.from_ms
        for hole in other:
            if hole.to_ms <= from_ms:
                continue
            if hole.from_ms >= span.to_ms:
                break
            if hole.from_ms > from_ms:
                found.append(Span(from_ms, hole.from_ms))
            from_ms = hole.to_ms
        if from_ms < span.to_ms:
            found.append(Span(from_ms, span.to_ms))
    return tuple(found)


def within(spans: Spans, span: Span) -> Spans:
    """The part of a set that lies in one span."""
    return common(spans, (span,)) if span.from_ms < span.to_ms else ()


def length_ms(spans: Spans) -> int:
    """How much time a set holds."""
    return sum(span.to_ms - span.from_ms for span in spans)
