"""What a session is called, and what it is at: from its own title, or from its outline."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Min

from flower import live
from transcripts.models import Segment, Session


@dataclass(frozen=True, slots=True)
class Outlined:
    """The titles of a session's first and last segment, as people see them; empty where it has none yet.

    ``now`` is the newest prompt while nothing followed it: the outline names what it led to only when there is some.
    """

    first: str = ""
    now: str = ""


def outlined(sessions: Iterable[int]) -> dict[int, Outlined]:
    """Of many sessions, in three queries."""
    sessions = list(sessions)
    ends = Segment.objects.filter(session__in=sessions).order_by().values("session")
    found: Iterable[Any] = ends.annotate(low=Min("position"), high=Max("position"))
    places: dict[int, tuple[int, int]] = {row["session"]: (row["low"], row["high"]) for row in found}
    positions = {at for pair in places.values() for at in pair}
    wanted = Segment.objects.filter(session__in=list(places), position__in=positions).only(*_COLUMNS)
    rows = {(row.session_id, row.position): row for row in wanted}
    asked = Session.objects.filter(pk__in=sessions, asked_event__gt=0).values_list("pk", "asked_event", "asked")
    prompts = {number: (event, text) for number, event, text in asked if text}
    answer: dict[int, Outlined] = {}
    for number in {**places, **prompts}:
        low, high = places.get(number, (0, 0))
        answer[number] = _outlined(rows.get((number, low)), rows.get((number, high)), *prompts.get(number, (0, "")))
    return answer


def _outlined(first: Segment | None, last: Segment | None, event: int, prompt: str) -> Outlined:
    title, now = (str(row.shown("title")) if row is not None else "" for row in (first, last))
    is_newer = event > (last.first if last is not None else 0)
    return Outlined(title, prompt if is_newer else now)


_COLUMNS = ("session", "position", "first", "title", "edits")


def now(session: Session) -> str:
    """What the agent is at: the title of the last segment, or a prompt that is newer."""
    return outlined([session.pk]).get(session.pk, Outlined()).now


def title(session: Session, first: str = "") -> str:
    """Its own title; else that of its first segment; else its program and the beginning of its id."""
    return session.title or first or f"{session.program} {session.session_id[:8]}"


def announce(session: Session) -> None:
    """The agent is at something else: pages that say "now: …" ask again."""
    if session.brief_id is not None:
        live.publish(live.brief_group(session.brief_id), "brief.changed", brief=session.brief_id)
    if session.process is not None:
        live.publish(live.process_group(session.process), "process.changed", process=session.process)
