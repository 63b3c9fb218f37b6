"""A brief's states, what may follow what, and the move. Nothing else assigns ``Brief.status``.

``dispatched`` and ``in_progress`` are a rollup of the brief's dispatch requests: only ``roll_up`` sets them. Higher
rooms hold a move back by a guard (a dispatch request is active) without this room importing them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db import transaction

from briefs import graph, trace
from briefs.models import Actor, Brief
from briefs.models.blocker import BlockerCode
from briefs.models.status import TERMINAL, Status
from briefs.signals import stirred
from core.errors import Conflict
from core.lifecycle import table, words

_SET_ASIDE: Final = {Status.DEFERRED, Status.CANCELLED, Status.ABANDONED}

ROLLED_UP: Final = frozenset({Status.DISPATCHED, Status.IN_PROGRESS})
BRIEF: Final = table(
    "brief",
    {
        Status.IDEA: {Status.REFINING, Status.PLANNED, Status.DISPATCHED, *_SET_ASIDE},
        Status.REFINING: {Status.IDEA, Status.PLANNED, Status.DISPATCHED, *_SET_ASIDE},
        Status.PLANNED: {Status.REFINING, Status.DISPATCHED, *_SET_ASIDE},
        Status.DISPATCHED: {Status.IN_PROGRESS, Status.PLANNED, Status.REFINING, *_SET_ASIDE},
        Status.IN_PROGRESS: {Status.IN_REVIEW, Status.COMPLETE, Status.PLANNED, Status.REFINING, *_SET_ASIDE},
        Status.IN_REVIEW: {Status.IN_PROGRESS, Status.COMPLETE, Status.PLANNED, Status.REFINING, *_SET_ASIDE},
        Status.DEFERRED: {Status.IDEA, Status.REFINING, Status.PLANNED, Status.CANCELLED, Status.ABANDONED},
        Status.COMPLETE: {Status.REFINING},
        Status.CANCELLED: {Status.REFINING},
        Status.ABANDONED: {Status.REFINING},
    },
    by_itself=ROLLED_UP,
)

Guard = Callable[[Brief], str | None]
_guards: list[Guard] = []


def guard(check: Guard) -> Guard:
    """Register what holds a brief's moves by hand back: it returns the sentence of a refusal, or None."""
    _guards.append(check)
    return check


def possible_moves(brief: Brief, actor: Actor) -> list[str]:
    """Where this actor can move a brief by hand now, in the order of the states: what page and tool offer."""
    if _held_back(brief, actor):
        return []
    legal = BRIEF.moves[brief.status] - ROLLED_UP
    if Status.COMPLETE in legal and brief.questions.filter(answered_at=None).exists():
        legal -= {Status.COMPLETE}
    return [status for status in Status.values if status in legal]


def _held_back(brief: Brief, actor: Actor) -> str:
    """Why this actor can move a brief nowhere by hand now: a sentence, or nothing."""
    if brief.status in TERMINAL and actor.kind != Actor.Kind.OPERATOR:
        return f"Brief #{brief.pk} is {words(brief.status)}; only an operator may reopen it."
    return next((sentence for check in _guards if (sentence := check(brief))), "")


def move(brief: Brief, to: str, *, actor: Actor, why: str = "") -> Brief:
    """Move a brief by hand (a person's or an agent's), under its row lock. Same status: nothing happens.

    Raises Invalid for an unknown status, Conflict for an illegal move or one that a guard holds back.
    """
    with transaction.atomic():
        _lock(brief, to)
        if brief.status == to:
            return brief
        if sentence := _held_back(brief, actor):
            raise Conflict(sentence)
        if to in ROLLED_UP and not BRIEF.may(brief.status, to):
            name = f"Brief #{brief.pk} is {words(brief.status)}"
            raise Conflict(f"{name} and cannot become {words(to)} by hand; that follows from dispatching.")
        BRIEF.check(f"Brief #{brief.pk}", brief.status, to, possible_moves(brief, actor))
        if to in ROLLED_UP:
            raise Conflict(
                f"{words(to).capitalize()} follows from dispatching brief #{brief.pk}; it is not set by hand."
            )
        if to == Status.COMPLETE:
            check_questions(brief)
        return _move(brief, to, actor, why)


def roll_up(brief: Brief, to: str, *, actor: Actor, why: str = "") -> Brief:
    """Set the status that follows from the brief's dispatch requests; the dispatch room calls this."""
    with transaction.atomic():
        _lock(brief, to)
        if brief.status == to:
            return brief
        BRIEF.check(str(f"Brief #{brief.pk}"), brief.status, to)
        return _move(brief, to, actor, why)


def _lock(brief: Brief, to: str) -> None:
    """The brief's lock, and its row as it is. Who ends a brief looks at those that waited for it: under one lock."""
    if to in TERMINAL:
        graph.lock()
    trace.lock(brief)
    brief.refresh_from_db()


def check_questions(brief: Brief) -> None:
    """Refuse to complete a brief while a question to the operator is open: completing would drop it."""
    count = brief.questions.filter(answered_at=None).count()
    if count:
        what = "a question is" if count == 1 else f"{count} questions are"
        raise Conflict(f"Brief #{brief.pk} cannot complete while {what} open; answer first.")


def _move(brief: Brief, to: str, actor: Actor, why: str) -> Brief:
    old, brief.status = brief.status, Status(to).value
    brief.save(update_fields=["status"])
    trace.append(brief, trace.Kind.STATUS_CHANGE, actor=actor, body=why, data={"from": old, "to": brief.status})
    if to in TERMINAL:
        _unblock_dependents(brief)
    stirred.send(Brief, brief=brief)
    return brief


def _unblock_dependents(brief: Brief) -> None:
    """Those that waited for it go on; where it left no work, they are told that somebody has to decide."""
    system = Actor.objects.get(ref="system")
    for relation in brief.dependents.select_related("brief", "depends_on").order_by("brief_id"):
        dependent = relation.brief
        if dependent.is_terminal:
            continue
        blocker = relation.blocker
        if blocker is not None and blocker.code == BlockerCode.MISSING_WORK:
            body = f"#{brief.pk} is {words(brief.status)}: its work is not there. Start all the same?"
            data = {"blocker": blocker.code.value, "depends_on": brief.pk, "title": brief.title}
            trace.append(dependent, trace.Kind.NOTE, actor=system, body=body, data=data)
        elif not dependent.waits_for():
            trace.append(dependent, trace.Kind.UNBLOCKED, actor=system, data={"by": brief.pk, "title": brief.title})
            stirred.send(Brief, brief=dependent)
