"""Whether a list that is shown has fallen behind: a version of all that lists show, read from the rows themselves.

Hints may be lost with the broker (core/live.py). A page names the version that it was rendered at; each answer to its
heartbeat has the one of now, and where they differ the page asks for its list again. Rooms offer cheap aggregates of
their rows: sums and counts rise or change with every commit, in whatever order commits come (a newest number would
not). They are read at most once a second in a process, however many pages look on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from hashlib import blake2s
from threading import Lock
from typing import Any, Final

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

Read = Callable[[], object]

KEPT_SECONDS: Final = 1.0
sources: Final[list[Read]] = []
_lock: Final = Lock()
_kept: tuple[float, str] = (0.0, "")


def source(read: Read) -> Read:
    """Register a function of one or two queries, whose value is another one after each change of what it reads."""
    sources.append(read)
    return read


def version() -> str:
    """Not older than KEPT_SECONDS: too old is harmless in a page, which then asks once more than it must."""
    global _kept
    with _lock:  # one reads, the others wait for it
        at, kept = _kept
        now = time.monotonic()
        if kept and now - at < KEPT_SECONDS:
            return kept
        found = blake2s(repr([read() for read in sources]).encode(), digest_size=8).hexdigest()
        _kept = (now, found)
        return found


def context(_request: HttpRequest) -> dict[str, Any]:
    """A context processor: ``changes_version``, read only where a template says it."""
    return {"changes_version": SimpleLazyObject(version)}


def forget() -> None:
    global _kept
    _kept = (0.0, "")
