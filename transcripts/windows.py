"""How many tokens a model can see. Pure."""

from __future__ import annotations

from typing import Final

WINDOWS: Final = (200_000, 1_000_000)  # of Claude's models; the log does not tell which, but what was in it does


def window_of(program: str, window: int, highest: int) -> int:
    """As the log told (``window``), else what Claude's models have, by the most that was seen; 0 where nobody knows."""
    if window or program != "claude":
        return window
    return next((size for size in WINDOWS if highest <= size), 0)
