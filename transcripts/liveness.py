"""Is a session going on? Its process runs; or, where nobody knows of a process, something happened a moment ago.

Processes belong to the room above, which registers what runs:

    @liveness.running
    def agents_that_run() -> Iterable[int]: ...
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Final

from django.db.models import Q
from django.utils import timezone

from transcripts.models import Session

RECENTLY: Final = timedelta(minutes=5)

Tell = Callable[[], Iterable[int]]
_tellers: list[Tell] = []


def running(tell: Tell) -> Tell:
    """Register ``() -> numbers of the processes that run``; one small query."""
    _tellers.append(tell)
    return tell


def processes() -> set[int]:
    return {number for tell in _tellers for number in tell()}


def live() -> Q:
    """The sessions that go on."""
    now = timezone.now()
    alive = Q(active_at__gte=now - RECENTLY, active_at__lte=now + RECENTLY)
    return Q(process__in=processes()) | (alive & (Q(process=None) if _tellers else Q()))


def is_live(session: Session, runs: set[int] | None = None) -> bool:
    """``runs``: the processes, where the caller asks for many sessions."""
    if session.process is not None and _tellers:
        return session.process in (processes() if runs is None else runs)
    now = timezone.now()
    return session.active_at is not None and now - RECENTLY <= session.active_at <= now + RECENTLY
