"""What a session is called, and what it is at: from its own title, or from its outline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min

from transcripts.models import Segment, Session


@dataclass(frozen=True, slots=True)
class Outlined:
    """The titles of a session's first and last segment, as people see them; empty where it has none yet."""

    first: str = ""
    now: str = ""


def outlined(sessions: Iterable[int]) -> dict[int, Outlined]:
    """Of many sessions, in two queries."""
    ends = Segment.objects.filter(session__in=list(sessions)).order_by().values("session")
    found: Iterable[Any] = ends.annotate(low=Min("position"), high=Max("position"))
    places: dict[int, tuple[int, int]] = {row["session"]: (row["low"], row["high"]) for row in found}
    positions = {at for pair in places.values() for at in pair}
    wanted = Segment.objects.filter(session__in=list(places), position__in=positions).only(*_COLUMNS)
    titles: dict[tuple[int, int], str] = {(row.session_id, row.position): str(row.shown("title")) for row in wanted}
    return {
        number: Outlined(titles.get((number, low), ""), titles.get((number, high), ""))
        for number, (low, high) in places.items()
    }


_COLUMNS = ("session", "position", "title", "edits")


def now(session: Session) -> str:
    """What the agent is at: the title of the last segment."""
    return outlined([session.pk]).get(session.pk, Outlined()).now


def title(session: Session, first: str = "") -> str:
    """Its own title; else that of its first segment; else its program and the beginning of its id."""
    return session.title or first or f"{session.program} {session.session_id[:8]}"
