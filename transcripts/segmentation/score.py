"""How likely it is that a new piece of work begins at each gap between two steps.

A weighted sum of a few features, none of which reads a language: positions, files, commits, pauses, and how the words
change. The weights are fitted on public sessions whose commits are known and on concatenations of slices with known
seams (docs/segments.md says what each is worth).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Final, NamedTuple

from . import lexical
from .steps import Step
from .text import weight


class Features(NamedTuple):
    """Of one gap; as weights, what each of them is worth."""

    prompt: float  # 1 at a prompt: nearly all work begins with one, but only every second or third begins work
    short: float  # ... how much it falls short of TOLD words: what is short says yes, or how
    begins: float  # this turn changes files: questions rarely open a piece of work, orders do
    first: float  # ... for the first time in the session: talk and reading lie behind, work begins
    follows: float  # the turn before changed files: it may be finished
    alike_prompt: float  # at a prompt, the similarity of the words: a talk about the same thing goes on
    commit: float  # the work before was just committed
    depth: float  # the dip of the words' similarity (0 to 2)
    alike: float  # the similarity of the words before and after (0 to 1)
    pause: float  # log of the minutes since the last sign, 3 at most


WEIGHTS: Final = Features(2.3, -0.3, 0.7, 2.4, 0.7, -1.0, 3.3, 2.4, -2.2, 0.5)
WINDOWS: Final = (4, 8)  # steps on each side whose words are compared
SETTLING: Final = 2  # steps after a commit that may still belong to it: the push, the closing words
TOLD: Final = 12  # words of a prompt that says what is to be done


def gap_scores(steps: Sequence[Step], start: int = 0, weights: Features = WEIGHTS) -> list[float]:
    """For each step after ``start``, how well a segment begins there; the gap i lies before the step i."""
    scores = [0.0] * len(steps)
    for gap, own in features(steps, start).items():
        scores[gap] = sum(value * worth for value, worth in zip(own, weights, strict=True))
    return scores


def features(steps: Sequence[Step], start: int = 0) -> dict[int, Features]:
    """The features of each gap after ``start``."""
    context = max(0, start - 2 * max(WINDOWS))
    vectors = lexical.weighed(steps[context:])
    alike = [lexical.similarities(vectors, window) for window in WINDOWS]
    dips = [lexical.depths(values) for values in alike]
    turns = _Turns(steps)
    found = {}
    for gap in range(max(1, start + 1), len(steps)):
        similarity = sum(values[gap - context] for values in alike) / len(alike)
        depth = sum(values[gap - context] for values in dips) / len(dips)
        at_prompt = turns.features(gap, similarity) if steps[gap].prompt is not None else _NO_PROMPT
        commit, pause = float(turns.closes_commit(gap)), _pause(steps[gap - 1], steps[gap])
        found[gap] = Features._make([*at_prompt, commit, depth, similarity, pause])
    return found


_NO_PROMPT: Final = (0.0,) * 6


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

    def features(self, gap: int, similarity: float) -> tuple[float, ...]:
        """Those of a prompt: from what it led to and what lies before."""
        steps, end = self.steps, self.ends[gap]
        said = prompt.text[:200] if (prompt := steps[gap].prompt) else ""
        return (
            1.0,
            max(0.0, 1 - weight(said) / TOLD),
            float(any(step.aimed for step in steps[gap:end])),
            float(gap <= self.first_change < end),
            float(any(step.aimed for step in steps[self.begins[gap] : gap])),
            similarity,
        )

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
