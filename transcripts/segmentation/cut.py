"""Where to cut: the set of gaps that together score best.

Dynamic programming over the gaps. Each cut must be worth COST; a segment that is very short, or longer than a person
reads as one piece of work, pays for it. So a short session may well stay whole, and a long one is never left uncut.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log
from typing import Final

from .steps import Step

COST: Final = 3.6
SHORTEST: Final = 2  # steps
BRIEF: Final = 0.4  # price of a segment of the shortest length
LONG: Final = 40  # steps; from here on length costs ...
LENGTH: Final = 4.0  # ... so much times ln(steps / LONG) squared
REACH: Final = 400  # steps; no segment is longer while there is a gap to cut at
EVENTS: Final = 100  # of a stretch without a commit, which with ...
PROMPTS: Final = 3  # ... more prompts than these does not stay whole
BALANCE: Final = 2.5  # what a cut there loses at the very edge of the stretch
LEAST: Final = 1.0  # a gap that scores lower is no candidate


def cuts(steps: Sequence[Step], scores: Sequence[float], allowed: Sequence[bool], start: int = 0) -> list[int]:
    """The gaps to cut at, in order, after ``start``; ``allowed`` says where one may cut at all."""
    found = best_cuts(scores, allowed, start)
    for left, right in pairwise([start, *found, len(steps)]):
        found += _talk(steps, scores, allowed, left, right)
    return sorted(found)


def best_cuts(scores: Sequence[float], allowed: Sequence[bool], start: int = 0) -> list[int]:
    """The gaps that together score best."""
    total = len(scores)
    candidates = [gap for gap in range(start + 1, total) if allowed[gap] and scores[gap] >= LEAST]
    candidates = _reachable(candidates, scores, allowed, start, total)
    places = [start, *candidates, total]
    best = [0.0] * len(places)
    back = [0] * len(places)
    for j in range(1, len(places)):
        gain = scores[places[j]] - COST if places[j] < total else 0.0
        best[j] = float("-inf")
        for i in range(j - 1, -1, -1):
            length = places[j] - places[i]
            value = best[i] + gain - price(length)
            if value > best[j]:
                best[j], back[j] = value, i
            if length > REACH:
                break
    found = []
    at = back[-1]
    while at > 0:
        found.append(places[at])
        at = back[at]
    return found[::-1]


def _talk(steps: Sequence[Step], scores: Sequence[float], allowed: Sequence[bool], left: int, right: int) -> list[int]:
    """Cuts at prompts, or where a notice woke the model, in a stretch that is long and that no commit ends."""
    prompts = [gap for gap in range(left, right) if steps[gap].prompt is not None]
    is_long = left < right and steps[right - 1].end - steps[left].first > EVENTS and len(prompts) > PROMPTS
    if not is_long or any(step.commits for step in steps[left:right]):
        return []
    gaps = [gap for gap in prompts if allowed[gap] and left + SHORTEST <= gap]
    if not gaps:
        return []
    best = max(gaps, key=lambda gap: scores[gap] - BALANCE * abs(2 * gap - left - right) / (right - left))
    return [*_talk(steps, scores, allowed, left, best), best, *_talk(steps, scores, allowed, best, right)]


def price(length: int) -> float:
    """What a segment of so many steps costs."""
    if length < SHORTEST:
        return 3.0
    if length == SHORTEST:
        return BRIEF
    return LENGTH * log(length / LONG) ** 2 if length > LONG else 0.0


def _reachable(found: list[int], scores: Sequence[float], allowed: Sequence[bool], start: int, total: int) -> list[int]:
    """The candidates, and in every stretch of LONG steps without any the best gap that there is."""
    filled: list[int] = []
    for left, right in zip([start, *found], [*found, total], strict=True):
        for at in range(left + SHORTEST, right - SHORTEST, LONG // 2):
            stretch = [gap for gap in range(at, min(at + LONG // 2, right - 1)) if allowed[gap]]
            if right - left > LONG and stretch:
                filled.append(max(stretch, key=lambda gap: scores[gap]))
        if right < total:
            filled.append(right)
    return filled
