"""A circuit breaker: a model that failed several times in a row is left alone for a while, then tried with one call.

In memory and per process, on purpose: one worker process asks the model, with a few threads, and what is lost when it
is restarted is a handful of calls. A row or a key in Redis would be one more thing that can fail, for a gate that
guards an optional service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 4  # in a row, until it opens
REST: Final = 300.0  # seconds
LONGEST_REST: Final = 3600.0  # seconds, however long the service asked to be left alone


class Breaker:
    """Closed: everybody may call. Open: nobody. When the rest is over: one may, and the outcome decides.

    Whoever was permitted reports once: ``succeeded``, ``failed``, or ``undecided`` when the call says nothing about the
    service. A probe that never reports (its thread was killed) is given up after another rest.
    """

    def __init__(
        self, *, failures: int = FAILURES, rest: float = REST, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._allowed = failures
        self._rest = rest
        self._failures = 0
        self._open_until: float | None = None  # on the clock; None while the breaker is closed
        self._probing = False

    def permits(self) -> bool:
        """May the caller ask the model now? After a rest, True for one caller only."""
        with self._lock:
            if self._open_until is None:
                return True
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._rest  # the others wait for the outcome of this one
            self._probing = True
            return True

    @property
    def wait(self) -> float:
        """Seconds until somebody may call; 0 when it is closed."""
        with self._lock:
            return 0.0 if self._open_until is None else max(0.0, self._open_until - self._clock())

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._open_until, self._probing = 0, None, False

    def failed(self, rest: float | None = None) -> None:
        """``rest``: seconds that the service asked for, if they are more than ours."""
        with self._lock:
            self._failures += 1
            self._probing = False
            if self._failures >= self._allowed or self._open_until is not None:
                self._open_until = self._clock() + min(max(self._rest, rest or 0.0), LONGEST_REST)

    def undecided(self) -> None:
        """Let the next caller try at once, if this was the probe."""
        with self._lock:
            if self._probing:
                self._open_until, self._probing = self._clock(), False
