"""Comparing two things on a machine that others use as well: in turns, again and again, and only their ratios count.

A load from outside comes and goes; it hits both sides of a pair that takes a second in all about alike. The order
turns round with every pair (A B, B A, A B, …), so that what drifts cancels out. The median of the pairs' ratios is the
figure; minimum and maximum tell how much to believe it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

SECONDS = 90.0
FEWEST = 5

Left = TypeVar("Left")
Right = TypeVar("Right")


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of some measurements."""

    low: float
    median: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(min(values), statistics.median(values), max(values), len(values))


def in_turns(
    rounds: int, left: Callable[[], Left], right: Callable[[], Right], *, warm_up: int = 1
) -> Iterator[tuple[Left, Right]]:
    """Measure both, ``rounds`` times; the first ``warm_up`` pairs are made and thrown away.

    On a machine that is so busy that it takes longer than SECONDS, fewer rounds are made, but never less than FEWEST.
    """
    limit = time.monotonic() + SECONDS
    for number in range(-warm_up, rounds):
        if number >= FEWEST and time.monotonic() > limit:
            return
        if number % 2:
            second, first = right(), left()
        else:
            first, second = left(), right()
        if number >= 0:
            yield first, second
