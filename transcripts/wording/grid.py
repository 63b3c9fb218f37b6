"""Where segments may begin, which of them stay as they are, and what each stretch of events amounts to by facts.

The words may come from a model; everything here is counted from the events, by the same code that makes the rule-made
segments. Event numbers count from 1, positions in a list from 0.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from transcripts.events import Event
from transcripts.segmentation import HORIZON, Segment
from transcripts.segmentation.describe import described
from transcripts.segmentation.known import Log
from transcripts.segmentation.steps import Step, steps_of


class Stretch(NamedTuple):
    """Events from ``first`` to ``last``, both included, that no fixed segment covers."""

    first: int
    last: int


class Grid:
    """The steps of a session, with borders wherever a fixed segment begins or ends.

    Raises ValueError when the fixed segments overlap or are not of these events: the caller has mixed up its logs.
    """

    def __init__(self, events: Sequence[Event], fixed: Sequence[Segment] = ()) -> None:
        self.events = events
        self.fixed = sorted(fixed, key=lambda one: one.first)
        self.stretches = _between(self.fixed, len(events))
        self.steps = _steps(events, self.fixed, self.stretches)
        self.starts = _starts(events, self.steps, self.stretches)
        self._log = Log(events, self.steps)

    def start_of(self, event: int) -> int | None:
        """The event at which a segment begins that is to begin at ``event``: the first of its step.

        None when that lies in a fixed segment, or outside of the session.
        """
        at = bisect_right(self.starts, event) - 1
        inside = next((stretch for stretch in self.stretches if stretch.first <= event <= stretch.last), None)
        return self.starts[at] if inside and self.starts[at] >= inside.first else None

    def last_of(self, first: int, following: int | None, horizon: int | None = None) -> int:
        """The last event of the open segment from ``first``, when the next open one begins at ``following``."""
        stretch = next(stretch for stretch in self.stretches if stretch.first <= first <= stretch.last)
        ends = [stretch.last, *([following - 1] if following else []), *([horizon] if horizon else [])]
        return min(ends)

    def draft(self, segments: Sequence[Segment]) -> list[Segment]:
        """The rule-made ``segments`` with the fixed ones in their places; those that a fixed one cuts are made anew.

        Raises ValueError when they do not tile the events.
        """
        _check_tiling(segments, len(self.events))
        if not self.fixed:
            return list(segments)
        firsts = {stretch.first for stretch in self.stretches}
        firsts |= {start for one in segments if (start := self.start_of(one.first)) is not None}
        return self.tiled(sorted(firsts), segments)

    def tiled(self, firsts: Sequence[int], known: Sequence[Segment] = ()) -> list[Segment]:
        """All segments: the fixed ones, the same objects, and open ones that begin at ``firsts``, by facts and rules.

        Those of ``known`` that have the same borders are copied rather than described again.
        """
        same = {(one.first, one.last): one for one in known}
        found = list(self.fixed)
        for first, following in pairwise([*firsts, None]):
            assert first is not None
            last = self.last_of(first, following)
            one = same.get((first, last))
            found.append(replace(one) if one else self._described(first, last))
        found.sort(key=lambda one: one.first)
        self._draw_lines(found)
        return found

    def _described(self, first: int, last: int) -> Segment:
        at = next(n for n, step in enumerate(self.steps) if step.first == first - 1)
        end = next((n for n, step in enumerate(self.steps) if step.first == last), len(self.steps))
        one = described(self._log, at, end, frozenset())
        one.settled = len(self.steps) - end >= HORIZON
        return one

    def _draw_lines(self, segments: Iterable[Segment]) -> None:
        """Lines tile the log, as in the segmenter; fixed segments keep theirs."""
        fixed, line = {id(one) for one in self.fixed}, 0
        for one in segments:
            if id(one) not in fixed:
                one.first_line = line + 1
                own = self.events[one.first - 1 : one.last]
                one.last_line = max([one.first_line, *(event.line for event in own)])
            line = one.last_line


def _between(fixed: Sequence[Segment], total: int) -> list[Stretch]:
    found, at = [], 1
    for one in fixed:
        if one.first < at or one.last < one.first or one.last > total:
            raise ValueError(f"The fixed segment of the events {one.first} to {one.last} does not fit this session.")
        if one.first > at:
            found.append(Stretch(at, one.first - 1))
        at = one.last + 1
    return [*found, Stretch(at, total)] if at <= total else found


def _steps(events: Sequence[Event], fixed: Sequence[Segment], stretches: Sequence[Stretch]) -> list[Step]:
    """Steps of each part by itself: a person may have split a segment in the middle of what would be one step."""
    for one in fixed:
        if one.key != events[one.first - 1].key:
            raise ValueError(f"The fixed segment that begins at event {one.first} is of another log.")
    parts = sorted([*stretches, *(Stretch(one.first, one.last) for one in fixed)])
    if len(parts) < 2:
        return steps_of(events)
    found = []
    for part in parts:
        for step in steps_of(events[part.first - 1 : part.last]):
            step.first, step.end = step.first + part.first - 1, step.end + part.first - 1
            step.answer += part.first - 1 if step.answer else 0
            found.append(step)
    return found


def _starts(events: Sequence[Event], steps: Sequence[Step], stretches: Sequence[Stretch]) -> list[int]:
    """Numbers of the events at which an open segment may begin: the first of a step, never inside a line of the log."""
    opening = {stretch.first for stretch in stretches}
    found, highest, at = [], 0, 0
    for step in steps:
        while at < step.first:
            highest, at = max(highest, events[at].line), at + 1
        number = step.first + 1
        is_open = any(stretch.first <= number <= stretch.last for stretch in stretches)
        if is_open and (number in opening or events[step.first].line > highest):
            found.append(number)
    return found


def _check_tiling(segments: Sequence[Segment], total: int) -> None:
    at = 0
    for one in segments:
        if one.first != at + 1 or one.last < one.first:
            raise ValueError(f"The segments do not tile the session at event {at + 1}.")
        at = one.last
    if at != total:
        raise ValueError(f"The segments end at event {at} of {total}.")
