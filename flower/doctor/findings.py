"""What a check finds, and how long it may look for it.

A check is a generator of findings. It runs in a thread of its own that is left behind when its time is over: a dead
network disk holds whoever asks for it, and nothing can end that wait. What it found until then counts.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

PATIENCE: Final = 15.0  # seconds for one check; each question in it has a shorter limit of its own, of a few seconds


class Level(StrEnum):
    """How bad it is. Only what is wrong makes the exit code 1."""

    OK = "ok"
    WARNING = "warning"  # flower works, and something will be missed, slow or lost later
    WRONG = "wrong"  # something of flower does not work
    SKIPPED = "skipped"  # not looked at, since what it stands on does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of one check. ``remedy`` is a command to copy, or what to change; empty: nothing is to be done."""

    code: str
    level: Level
    what: str
    remedy: str = ""
    check: str = ""


Check = Callable[[], Iterable[Finding]]


def fine(code: str, what: str) -> Finding:
    return Finding(code, Level.OK, what)


def warning(code: str, what: str, remedy: str) -> Finding:
    return Finding(code, Level.WARNING, what, remedy)


def wrong(code: str, what: str, remedy: str) -> Finding:
    return Finding(code, Level.WRONG, what, remedy)


def skipped(code: str, what: str) -> Finding:
    return Finding(code, Level.SKIPPED, what)


def examine(name: str, check: Check, seconds: float = PATIENCE) -> list[Finding]:
    """What one check finds within its time. That it did not end, or broke down, is a finding, too."""
    found: list[Finding] = []
    ended = threading.Event()

    def run() -> None:
        try:
            for finding in check():
                found.append(finding)
        except Exception as error:
            words = f"the check broke down ({type(error).__name__}: {error})"
            found.append(wrong("check.failed", words, "report this as a bug of flower, with this line"))
        finally:
            _let_go_of_databases()
            ended.set()

    threading.Thread(target=run, name=f"doctor {name}", daemon=True).start()
    in_time = ended.wait(seconds)
    seen = list(found)
    if not in_time:
        words = f"no answer within {seconds:g} s"
        seen.append(wrong("check.hangs", words, "look for a disk, network or server that hangs, and ask again"))
    return [replace(finding, check=name) for finding in seen]


def _let_go_of_databases() -> None:
    """Close what this thread opened. Before Django is set up that question alone would load the settings."""
    apps = sys.modules.get("django.apps")
    if apps is not None and apps.apps.ready:
        from django.db import connections

        connections.close_all()
