"""How likely it is that a new piece of work begins at each gap between two steps.

A weighted sum with few weights, each with its reason. They are rounded from a logistic fit on public sessions whose
commits are known and on concatenations of slices with known seams; the fit on either half gave the same signs and about
the same sizes. Cues of commits are strong where commits are seen, and nothing else leans on them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Final

from . import lexical
from .prompts import Ask, kind_of
from .steps import Step
from .verbs import is_order


@dataclass(frozen=True, slots=True)
class Weights:
    prompt: float = 2.0  # nearly all work begins with one, but only every second or third begins work
    begins: float = 0.7  # this turn changes files: questions rarely open a piece of work, orders do
    first: float = 1.4  # ... for the first time in the session: talk and reading lie behind, work begins
    follows: float = 0.5  # the turn before changed files: it may be finished
    later: float = 0.5  # something was changed before: there is work that can have ended
    commit: float = 2.5  # the work before was just committed
    files: float = 1.0  # times the share of this turn's files that were not touched of late
    depth: float = 2.0  # times the dip of the words' similarity (0 to 2)
    alike: float = -2.0  # times the similarity of the words before and after (0 to 1) ...
    alike_prompt: float = -0.7  # ... and more so at a prompt: a talk about the same thing goes on
    pause: float = 0.4  # times the log of the minutes since the last sign, 3 at most
    todo: float = 1.0  # an item of the agent's list was ticked off, inside a turn
    plan: float = 0.5  # a plan was accepted
    consent: float = -0.5  # "yes, go on" answers the model
    follow_up: float = -0.3  # "also …" adds to the same work
    correction: float = -0.8  # "no, I meant …" is the same work, the other way
    errand: float = -0.6  # "commit and push" closes the work before
    steered: float = -2.0  # typed before the model answered the last one


WEIGHTS: Final = Weights()
WINDOWS: Final = (4, 8)  # steps on each side whose words are compared
RECENT: Final = 20  # steps before, whose files count as "of late"
AHEAD: Final = 12  # steps of a turn that tell what it is about
SETTLING: Final = 2  # steps after a commit that may still belong to it: the push, the closing words
_ALSO: Final = re.compile(r"^(?:(?:also|and|then|so|plus|please|can you)\b[\s,]*)+", re.I)
_KINDS: Final = {Ask.CONSENT: "consent", Ask.FOLLOW_UP: "follow_up", Ask.CORRECTION: "correction", Ask.ERRAND: "errand"}


def gap_scores(steps: Sequence[Step], start: int = 0, weights: Weights = WEIGHTS) -> list[float]:
    """For each step after ``start``, how well a segment begins there; the gap i lies before the step i."""
    context = max(0, start - 2 * max(WINDOWS))
    vectors = lexical.weighed(steps[context:])
    alike = [lexical.similarities(vectors, window) for window in WINDOWS]
    dips = [lexical.depths(values) for values in alike]
    turns = _Turns(steps)
    scores = [0.0] * len(steps)
    for gap in range(max(1, start + 1), len(steps)):
        at = gap - context
        similarity = sum(values[at] for values in alike) / len(alike)
        score = weights.depth * sum(values[at] for values in dips) / len(dips) + weights.alike * similarity
        score += weights.pause * _pause(steps[gap - 1], steps[gap])
        score += weights.plan * (steps[gap].plan_accepted or steps[gap - 1].plan_accepted)
        score += weights.commit * turns.closes_commit(gap)
        if steps[gap].prompt is None:
            score += weights.todo * steps[gap - 1].todo_done
        else:
            score += weights.alike_prompt * similarity + turns.score(gap, weights)
        scores[gap] = score
    return scores


def _pause(before: Step, after: Step) -> float:
    if before.until is None or after.at is None:
        return 0.0
    return min(3.0, log(1 + max(0, after.at - before.until) / 60_000))


class _Turns:
    """What the turns around a prompt did. A turn is a prompt and the steps up to the next one."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.ends = [len(steps)] * len(steps)
        self.begins = [0] * len(steps)  # of the turn before
        end, begin = len(steps), 0
        for i in range(len(steps) - 1, -1, -1):
            self.ends[i] = end
            end = i if steps[i].prompt else end
        for i, step in enumerate(steps):
            self.begins[i] = begin
            begin = i if step.prompt else begin
        self.first_change = next((i for i, step in enumerate(steps) if step.aimed), len(steps))

    def score(self, gap: int, weights: Weights) -> float:
        """Of a prompt, from what it says, what it led to and what lies before."""
        steps, end = self.steps, self.ends[gap]
        prompt = steps[gap].prompt
        score = weights.prompt
        kind = kind_of(prompt.text) if prompt is not None else None
        if prompt is not None and kind in _KINDS and not (kind is Ask.FOLLOW_UP and _orders(prompt.text)):
            score += getattr(weights, _KINDS[kind])
        if gap <= self.first_change < end:
            score += weights.first
        if any(step.aimed for step in steps[gap:end]):
            score += weights.begins
        if any(step.aimed for step in steps[self.begins[gap] : gap]):
            score += weights.follows
        score += weights.later * (self.first_change < gap)
        score += weights.steered * (steps[gap - 1].prompt is not None)
        return score + weights.files * self._new_files(gap)

    def _new_files(self, gap: int) -> float:
        now = _files(self.steps[gap : min(self.ends[gap], gap + AHEAD)])
        before = _files(self.steps[max(0, gap - RECENT) : gap])
        return len(now - before) / len(now) if now and before else 0.0

    def closes_commit(self, gap: int) -> bool:
        """Was the work before committed, and its closing words said? Those belong to what was committed."""
        steps = self.steps
        if steps[gap].prompt is None:
            soon = steps[gap + 1 : gap + 1 + SETTLING]
            return steps[gap - 1].commits > 0 and not any(step.prompt for step in soon)
        for step in reversed(steps[max(0, gap - 1 - SETTLING) : gap]):
            if step.commits:
                return True
            if step.prompt:
                return False
        return False


def _orders(text: str) -> bool:
    """ "Also add …": a new order, though it is added to others."""
    return is_order(_ALSO.sub("", text).split(" ", 1)[0])


def _files(steps: Sequence[Step]) -> set[str]:
    return set().union(*(step.read | step.aimed for step in steps))
