"""A segment of chosen events, for people who merge and split what the segmenter cut."""

from __future__ import annotations

from collections.abc import Container, Sequence

from transcripts.blanks import squeezed
from transcripts.events import Event

from .describe import described
from .known import Log
from .outline import Segment
from .steps import steps_of


def describe(events: Sequence[Event], first: int, last: int, taken: Container[str] = frozenset()) -> Segment:
    """The segment of the events ``first`` to ``last``, counted from 1, with words made by rules.

    Both must be borders of steps (``starts``). ``taken`` are titles, folded, that other segments have. Its lines are
    not set: they depend on what lies before.
    """
    log = Log(events)
    at = next(number for number, step in enumerate(log.steps) if step.first + 1 >= first)
    end = next((number for number, step in enumerate(log.steps) if step.first >= last), len(log.steps))
    return described(log, at, end, taken)


def described_again(events: Sequence[Event], segments: Sequence[Segment]) -> list[Segment | None]:
    """Each of these with the words that the rules of today make, between the same borders.

    None where the events have no such borders (any more).
    """
    log = Log(squeezed(events))
    begin = {step.first + 1: number for number, step in enumerate(log.steps)}
    end = {step.end: number + 1 for number, step in enumerate(log.steps)}
    found: list[Segment | None] = []
    taken = set[str]()
    for one in segments:
        if one.first not in begin or one.last not in end or begin[one.first] >= end[one.last]:
            found.append(None)
            continue
        made = described(log, begin[one.first], end[one.last], taken)
        made.first_line, made.last_line, made.settled = one.first_line, one.last_line, one.settled
        taken.add(made.title.casefold())
        found.append(made)
    return found


def starts(events: Sequence[Event]) -> list[int]:
    """The numbers of the events at which a step begins: where a segment may begin."""
    return [step.first + 1 for step in steps_of(events)]
