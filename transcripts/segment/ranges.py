"""A segment of chosen events, for people who merge and split what the segmenter cut."""

from __future__ import annotations

from collections.abc import Container, Sequence

from transcripts.events import Event, Kind

from .describe import described
from .outline import Segment
from .steps import steps_of


def describe(events: Sequence[Event], first: int, last: int, taken: Container[str] = frozenset()) -> Segment:
    """The segment of the events ``first`` to ``last``, counted from 1, with words made by rules.

    Both must be borders of steps (``starts``). ``taken`` are titles, folded, that other segments have. Its lines are
    not set: they depend on what lies before.
    """
    steps = steps_of(events)
    at = next(number for number, step in enumerate(steps) if step.first + 1 >= first)
    end = next((number for number, step in enumerate(steps) if step.first >= last), len(steps))
    calls = {event.call: event for event in events if event.kind is Kind.CALL and event.call}
    return described(events, steps, at, end, calls, taken)


def starts(events: Sequence[Event]) -> list[int]:
    """The numbers of the events at which a step begins: where a segment may begin."""
    return [step.first + 1 for step in steps_of(events)]
