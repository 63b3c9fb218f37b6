"""From the events of a session to its outline: segments with title, status, summary and lines, by rules alone.

Steps, a score for each gap between them, the best set of cuts, then sentences: each is a quote of the log or a fact
that was counted in it, and knows which (docs/segments.md). Pure: no Django, no model, no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from transcripts.blanks import squeezed
from transcripts.events import Event

from .cut import cuts
from .describe import described
from .known import Log
from .outline import HORIZON, CommitMade, FileWork, Line, Segment, Source, Status, distinct_commits
from .score import gap_scores
from .steps import Phase, Step

__all__ = [
    "HORIZON",
    "CommitMade",
    "FileWork",
    "Line",
    "Phase",
    "Segment",
    "Source",
    "Status",
    "distinct_commits",
    "segment",
]


def segment(events: Sequence[Event], settled: Sequence[Segment] = ()) -> list[Segment]:
    """The segments of a session; each event is in exactly one of them, in order.

    ``settled``: what this function returned for a shorter copy of the same log. Those of its segments that it marked as
    settled are kept as they are, the rest is cut and described anew.
    """
    if not events:
        return []
    log = Log(squeezed(events))
    events, steps = log.events, log.steps
    found = _kept(events, steps, settled)
    start = next((i for i, step in enumerate(steps) if found and step.first >= found[-1].last), 0)
    if found and steps[-1].first < found[-1].last:
        start = len(steps)
    taken = {one.title.casefold() for one in found}
    borders = [start, *cuts(steps, gap_scores(steps, start), _allowed(events, steps), start), len(steps)]
    for at, end in pairwise(borders):
        if at == end:
            continue
        one = described(log, at, end, taken)
        one.settled = len(steps) - end >= HORIZON
        taken.add(one.title.casefold())
        found.append(one)
    _draw_lines(events, found)
    return found


def _kept(events: Sequence[Event], steps: Sequence[Step], settled: Sequence[Segment]) -> list[Segment]:
    """The leading segments that were settled and still fit the events."""
    edges = {step.first for step in steps} | {len(events)}
    kept: list[Segment] = []
    for one in settled:
        follows = one.first == (kept[-1].last + 1 if kept else 1)
        if not (one.settled and follows and one.last in edges and events[one.first - 1].key == one.key):
            break
        kept.append(one)
    return kept


def _allowed(events: Sequence[Event], steps: Sequence[Step]) -> list[bool]:
    """Whether one may cut before each step: never inside a line, which may hold several events."""
    highest, allowed, at = 0, [False] * len(steps), 0
    for number, step in enumerate(steps):
        while at < step.first:
            highest, at = max(highest, events[at].line), at + 1
        allowed[number] = number > 0 and events[step.first].line > highest
    return allowed


def _draw_lines(events: Sequence[Event], segments: Sequence[Segment]) -> None:
    """Lines tile the log: what lies between two events belongs to the segment of the second one."""
    line = 0
    for one in segments:
        one.first_line = line + 1
        line = max([one.first_line, *(event.line for event in events[one.first - 1 : one.last])])
        one.last_line = line
