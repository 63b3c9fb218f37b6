"""How long ``make up`` takes until it says "ready", once everything is installed (it then is ``python -m flower.up``).

The yardstick is one bare ``django.setup()`` of the same settings in a fresh interpreter: it tells how quick the machine
is just now. A start makes four interpreters, three of which do that.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import ROOT, System, free_port, new_home

LIMIT = 10.0  # seconds
ROUNDS = 5


def measure(rounds: int = ROUNDS) -> list[Row]:
    with new_home() as home:
        system = System(home, free_port())
        first = started(system)  # migrates, collects the static files
        pairs = list(in_turns(rounds, lambda: started(system), lambda: set_up(system), warm_up=0))
    seconds, yardstick = zip(*pairs, strict=True)
    told = Spread.of(yardstick).median
    return [
        Row("up", "start to the ready line, in a state folder that is there", f"{Spread.of(seconds).median:.1f} s",
            f"django.setup() {told:.2f} s", Spread.of(seconds), LIMIT, unit="s",
            details={"ratios": [one / other for one, other in pairs]}),
        Row("up-first", "the same with an empty one: migrations and static files", f"{first:.1f} s",
            f"django.setup() {told:.2f} s", Spread.of([first]), LIMIT, unit="s"),
    ]  # fmt: skip


def started(system: System) -> float:
    try:
        system.start()
    finally:
        system.stop()
    return system.seconds


def set_up(system: System) -> float:
    begun = time.perf_counter()
    environment = {**system.environment, "DJANGO_SETTINGS_MODULE": "flower.settings"}
    subprocess.run([sys.executable, "-c", "import django; django.setup()"], cwd=ROOT, env=environment, check=True)
    return time.perf_counter() - begun
