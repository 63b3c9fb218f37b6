"""The words of a session's segments from a language model, where one is configured; otherwise those of the rules.

The model is asked with a digest of the log, and may move the cuts and write the words. Files, commits, times, tokens
and phases are counted from the events, and a status is never better than the facts. Whatever goes wrong, the rule-made
segments come back, with a sentence that says why. Segments that are ``fixed`` (settled and worded before, or edited by
people) come back as they are, the same objects.

It takes minutes and costs money: call it from a task, never from a request. Knows no rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core import llm
from core.llm import LlmError, Spent, Why
from transcripts.events import Event, Facts
from transcripts.model_table import Price
from transcripts.segmentation import Segment, Status

from . import price, prompt
from .asking import Asking, Progress, Unusable
from .breaker import Breaker
from .digest import entries_of
from .grid import Grid
from .reading import Words

__all__ = ["BREAKER", "Breaker", "How", "Price", "Progress", "Worded", "word"]

BREAKER: Final = Breaker()

# Failures that tell of this one log and not of the service: they do not open the breaker.
_OWN_FAULT: Final = frozenset({Why.REFUSED, Why.TOO_LONG, Why.CUT_OFF})
_SENTENCES: Final = {
    Why.CUT_OFF: "The model's answer was cut off at its limit.",
    Why.TOO_LONG: "This part of the session is too long for the model.",
}


class How(StrEnum):
    MODEL = "model"
    RULES = "rules"


@dataclass(frozen=True, slots=True)
class Worded:
    """The segments of a session, and how their words came about."""

    segments: list[Segment]  # all of them, in order; the fixed ones are the caller's own objects
    how: How  # of those that are not fixed
    reason: str = ""  # a sentence for people: why the rules' words were kept; empty when they were not
    model: str = ""  # as the service names it; empty when none answered
    prompt_version: str = ""
    tokens_in: int = 0  # of all questions, as far as the service told; also of those that led to nothing
    tokens_out: int = 0
    cost_usd: float | None = None  # None: unknown
    duration_ms: int = 0
    calls: int = 0
    again_after: float | None = None  # seconds after which another try may help; None: it will not


def word(
    events: Sequence[Event],
    facts: Facts,
    segments: Sequence[Segment],
    fixed: Sequence[Segment] = (),
    *,
    goes_on: Callable[[Progress], bool] = lambda _: True,
    breaker: Breaker = BREAKER,
    prices: Mapping[str, Price] | None = None,
) -> Worded:
    """Better words for the ``segments`` that the rules made of ``events``, if a model gives them.

    ``segments`` tile the events, as ``transcripts.segmentation.segment`` returns them. ``fixed`` are not changed, and
    only their title and outcome are sent; where they cut through ``segments``, those are made anew around them.
    ``goes_on`` is called for every piece of an answer (so it should look at the clock) and ends the run by returning
    False.
    ``prices``: by name of the model; the settings' when None.

    Raises llm.Cancelled when ``goes_on`` said no, and ValueError when ``segments`` or ``fixed`` do not fit the events.
    """
    began = time.monotonic()
    grid = Grid(events, fixed)
    drafts = grid.draft(segments)
    if why := _why_not(grid):
        return Worded(drafts, How.RULES, why)
    entries = entries_of(grid, facts.cwd)
    if not entries:
        return Worded(drafts, How.RULES, "There is nothing in these events to put into words.")
    if not breaker.permits():
        wait = breaker.wait
        return Worded(drafts, How.RULES, f"{_LEFT_ALONE} for {max(1, round(wait / 60))} min.", again_after=wait)
    asking = Asking(grid, facts, drafts, entries, goes_on)
    words, reason, again = _words(asking, breaker)
    spent = _sum(asking.spent)
    return Worded(
        segments=_applied(grid, words) if words else drafts,
        how=How.MODEL if words else How.RULES,
        reason=reason,
        model=asking.model,
        prompt_version=prompt.version(),
        tokens_in=spent.tokens_in,
        tokens_out=spent.tokens_out,
        cost_usd=price.dollars(spent, asking.model, price.table() if prices is None else prices),
        duration_ms=round((time.monotonic() - began) * 1000),
        calls=asking.calls,
        again_after=again,
    )


_LEFT_ALONE: Final = "The model failed several times in a row and is left alone"


def _why_not(grid: Grid) -> str:
    if not grid.events:
        return "The session has no events."
    if not grid.stretches:
        return "Every segment of the session is fixed."
    if not llm.is_configured():
        return "No model is configured (FLOWER_LLM_BASE_URL, FLOWER_LLM_MODEL)."
    return ""


def _words(asking: Asking, breaker: Breaker) -> tuple[list[Words], str, float | None]:
    """The words, or none and the reason and when to try again; the breaker is told either way."""
    reported = False
    try:
        words = asking.words()
        breaker.succeeded()
        reported = True
        return words, "", None
    except Unusable as error:
        breaker.failed()
        reported = True
        return [], str(error), None
    except LlmError as error:
        if error.why not in _OWN_FAULT:
            breaker.failed(error.retry_after)
            reported = True
        again = (error.retry_after or breaker.wait or _SOON) if error.again else None
        return [], _SENTENCES.get(error.why, str(error)), again
    finally:
        if not reported:  # refused, cancelled, or a fault of ours: it says nothing about the service
            breaker.undecided()


_SOON: Final = 60.0  # seconds


def _sum(spent: Sequence[Spent]) -> Spent:
    """The cost is known only if it is known of all."""
    costs = [one.cost for one in spent if one.cost is not None]
    whole = sum(costs) if costs and len(costs) == len(spent) else None
    return Spent(sum(one.tokens_in for one in spent), sum(one.tokens_out for one in spent), whole)


def _applied(grid: Grid, words: Sequence[Words]) -> list[Segment]:
    """Segments with the model's cuts and words, and facts counted anew: a draft may be of an earlier model's making."""
    said = {one.first: one for one in words}
    kept = {id(one) for one in grid.fixed}
    found = grid.tiled(sorted(said))
    for segment in found:
        if id(segment) in kept:
            continue
        one = said[segment.first]
        segment.title, segment.summary, segment.outcome = one.title, one.summary, one.outcome
        segment.sentences = {}  # all of them are the model's
        segment.next_steps, segment.key_decisions = one.next_steps, one.key_decisions
        segment.open_questions = one.open_questions
        segment.status = status_of(segment.status, one.status)
    return found


def status_of(facts: Status, said: Status) -> Status:
    """Facts win: the model may think less of what looks done, and never more of what does not.

    That a log ends in the middle of a turn is a fact as well, so "in progress" without it means that something is left.
    """
    if facts is not Status.DONE:
        return facts
    return Status.PARTIAL if said is Status.IN_PROGRESS else said
