"""What a session is called, and what it is at: from its own title, or from its outline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Max, Q

from core import live
from transcripts import launches
from transcripts.models import Segment, Session


@dataclass(frozen=True, slots=True)
class Outlined:
    """The titles of a session's main and last segment, as people see them; empty where it has none yet.

    ``main``: the one with the most edits and commits, the first of several; where there are none, the one with the most
    events. ``now`` is the newest prompt while nothing
    followed it: the outline names what it led to only when there is some.
    """

    main: str = ""
    now: str = ""


def outlined(sessions: Iterable[int]) -> dict[int, Outlined]:
    """Of many sessions, in three queries."""
    sessions = list(sessions)
    groups = Segment.objects.filter(session__in=sessions).order_by().values("session")
    ends: Iterable[Any] = groups.annotate(end=Max("position"), most=Max("changes"), longest=Max(_EVENTS))
    wanted = {row["session"]: (row["end"], row["most"], row["longest"]) for row in ends}
    lasts, mosts, longest = ({found[place] for found in wanted.values()} for place in (0, 1, 2))
    rows = (
        Segment.objects.filter(session__in=list(wanted))
        .annotate(events=_EVENTS)
        .filter(Q(position__in=lasts) | Q(changes__in=mosts - {0}) | Q(changes=0, events__in=longest))
    )
    main, last = dict[int, Segment](), dict[int, Segment]()
    for row in rows.only(*_COLUMNS).order_by("position"):
        at, most, events = wanted[row.session_id]
        if row.changes == most and (most or row.events == events) and row.session_id not in main:
            main[row.session_id] = row
        if row.position == at:
            last[row.session_id] = row
    asked = Session.objects.filter(pk__in=sessions, asked_event__gt=0).values_list("pk", "asked_event", "asked")
    prompts = {number: (event, text) for number, event, text in asked if text}
    return {
        number: _outlined(main.get(number), last.get(number), *prompts.get(number, (0, "")))
        for number in {**wanted, **prompts}
    }


def _outlined(main: Segment | None, last: Segment | None, event: int, prompt: str) -> Outlined:
    title, now = (str(row.shown("title")) if row is not None else "" for row in (main, last))
    is_newer = event > (last.first if last is not None else 0)
    return Outlined(title, prompt if is_newer else now)


_COLUMNS = ("session", "position", "first", "last", "changes", "title", "edits")
_EVENTS = F("last") - F("first")


def main_title(segments: Sequence[Segment]) -> str:
    """As ``outlined`` has it, of a session whose segments are at hand, in order."""
    main = max(segments, key=lambda row: (row.changes, 0 if row.changes else row.last - row.first), default=None)
    return str(main.shown("title")) if main else ""


def now(session: Session) -> str:
    """What the agent is at: the title of the last segment, or a prompt that is newer."""
    return outlined([session.pk]).get(session.pk, Outlined()).now


def title(session: Session, main: str = "") -> str:
    """Its brief's, where it is a run of one; its own; that of its main segment; its program and its id's beginning."""
    return order_of(session) or session.title or main or f"{session.program} {session.session_id[:8]}"


def order_of(session: Session) -> str:
    """What the run was started for: its brief's title; empty for a session that is no run of a dispatch."""
    return session.brief.title if session.dispatch is not None and session.brief is not None else ""


def is_launch(session: Session, prompt: str) -> bool:
    """Is this the prompt that flower composed when it started this run?"""
    if session.dispatch is None or session.brief_id is None:
        return False
    return launches.is_composed(prompt, session.brief_id)


def announce(session: Session) -> None:
    """The agent is at something else: pages that say "now: …" ask again."""
    if session.brief_id is not None:
        live.publish(live.brief_group(session.brief_id), "brief.changed", brief=session.brief_id)
    if session.process is not None:
        live.publish(live.process_group(session.process), "process.changed", process=session.process)
