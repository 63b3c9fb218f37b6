"""Damaged logs, for ten minutes: no adapter may raise, loop, or tell of a thing twice (tests/transcripts/damage.py)."""

from __future__ import annotations

import os
import random

from bench.pairs import Spread
from bench.report import Row
from tests.transcripts import damage

SECONDS = 600.0
LARGEST = 3_000_000  # bytes of the logs that are damaged


def measure(seconds: float | None = None) -> list[Row]:
    seconds = seconds or float(os.environ.get("FLOWER_FUZZ_SECONDS", SECONDS))
    seed = random.randrange(10**9)
    try:
        found = damage.run(seconds, seed, LARGEST)
        failures = 0
    except Exception as error:
        raise RuntimeError(f"with the seed {seed}: {type(error).__name__}: {error}") from error
    what = f"{found.runs:,} damaged logs in {seconds:.0f} s, the slowest in {found.slowest:.1f} s: failures"
    return [
        Row("fuzz", what, str(failures), "", Spread.of([failures]), 0, unit="", details=vars(found) | {"seed": seed})
    ]
