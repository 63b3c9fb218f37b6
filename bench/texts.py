"""Texts that hold a thread or swell, looked for over every renderer and every pattern (tests/flower/bad_texts.py)."""

from __future__ import annotations

import os
import random
import sys

from bench.pairs import Spread
from bench.report import Row

SECONDS = 600.0


def measure(seconds: float | None = None) -> list[Row]:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")
    import django

    django.setup()
    from tests.flower import bad_texts

    seconds = seconds or float(os.environ.get("FLOWER_FUZZ_SECONDS", SECONDS))
    seed = random.randrange(10**9)
    found = bad_texts.run(seconds, seed)
    for bad in found.bad:
        sys.stderr.write(f"{bad}\n")
    what = f"{found.runs:,} texts in {seconds:.0f} s, the slowest {found.slowest:.2f} CPU s: too slow or too large"
    count = len(found.bad)
    return [Row("texts", what, str(count), "", Spread.of([count]), 0, unit="", details=vars(found) | {"seed": seed})]
