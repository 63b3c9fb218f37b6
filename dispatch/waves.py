"""The wave graph of a brief: a bar over time for each hand-off, grouped by wave. Pure: rows in, shapes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

WIDTH: Final = 320
LEFT: Final = 26  # room for the wave's number
BAR: Final = 8
STEP: Final = 15
GAP: Final = 9  # between two waves
SHORTEST: Final = 3


@dataclass(frozen=True)
class Run:
    """A hand-off: who had it, in what state it is, from when until when (None: it goes on)."""

    number: int
    wave: int
    who: str
    state: str
    begun: datetime
    ended: datetime | None


@dataclass(frozen=True)
class Bar:
    """A run as a rectangle; ``above`` is where its name stands."""

    run: Run
    x: float
    y: float
    width: float

    @property
    def css(self) -> str:
        return self.run.state.replace("_", "-")


@dataclass(frozen=True)
class Band:
    """A wave: its number and the stripe behind its bars."""

    wave: int
    y: float
    height: float
    size: int

    @property
    def text_y(self) -> float:
        return self.y + self.height / 2 + 3.5


@dataclass(frozen=True)
class Graph:
    """All of it, in units of the SVG's view box."""

    bars: list[Bar]
    bands: list[Band]
    height: float
    begun: datetime
    ended: datetime | None
    width: int = WIDTH


def graph(runs: Sequence[Run], now: datetime) -> Graph | None:
    """None for fewer than two waves: one bar tells nothing that the list does not."""
    if len({run.wave for run in runs}) < 2:
        return None
    runs = sorted(runs, key=lambda run: (run.wave, run.begun, run.number))
    first, last = min(run.begun for run in runs), max(run.ended or now for run in runs)
    span = max((last - first) / timedelta(seconds=1), 1.0)
    scale = (WIDTH - LEFT - SHORTEST) / span
    bars, bands, y, wave_top = [], [], 4.0, 4.0
    for at, run in enumerate(runs):
        start = LEFT + (run.begun - first) / timedelta(seconds=1) * scale
        width = max(SHORTEST, ((run.ended or now) - run.begun) / timedelta(seconds=1) * scale)
        bars.append(Bar(run, round(start, 1), y + 3, round(width, 1)))
        y += STEP
        if at + 1 == len(runs) or runs[at + 1].wave != run.wave:
            size = sum(other.wave == run.wave for other in runs)
            bands.append(Band(run.wave, wave_top, y - wave_top, size))
            y += GAP
            wave_top = y
    going = any(run.ended is None for run in runs)
    return Graph(bars, bands, y - GAP + 4, first, None if going else last)
