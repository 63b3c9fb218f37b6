"""What tools are told of dispatching: the queue as a whole, and why one brief is, or is not, worked on.

Made of ``dispatch/outlook.py``, as the pages are. Answers stay under a byte budget; a caller that is limited to one
project is told the numbers of other projects' briefs and not their titles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from django.db.models import Count, QuerySet

from briefs import lifecycle
from briefs.identity import Identity
from briefs.models import Brief
from briefs.models.blocker import Blocker
from briefs.models.status import Status
from briefs.services import recall
from core.errors import Invalid
from dispatch import leftovers, outlook, retries
from dispatch.line import Line
from dispatch.models import ACTIVE, HELD, DispatchRequest, State
from dispatch.next_step import Code, NextStep

MOST: Final = 200  # rows in one answer
BY_ITSELF: Final = 20  # briefs that are named because they will be dispatched by themselves
STEPS: Final = 20  # of one brief, that are told
_OF_BRIEFS: Final = frozenset({Code.WAIT_FOR_BRIEF, Code.START_WITHOUT})  # steps whose title is another brief's


# --- the queue --------------------------------------------------------------------------------------------------------


def queue(
    identity: Identity, *, project: str | None = None, limit: int = 50, cursor: str | None = None
) -> dict[str, Any]:
    """The answer of ``recall_dispatch_queue``: all that is active, in the order in which it was asked for.

    That is the order in which places are given away. ``running``, ``waiting`` and ``cap`` count every project, since
    places are shared; ``by_itself`` are the briefs that auto-dispatch hands out next, or says why not.
    """
    if not 1 <= limit <= MOST:
        raise Invalid(f"The limit is a number from 1 to {MOST}.")
    seen = _active(identity, project)
    line = Line.now()
    rows = seen.filter(pk__gt=recall.number_of(cursor)) if cursor else seen
    page = list(rows.order_by("pk")[: limit + 1])
    answer: dict[str, Any] = {
        "cap": line.cap,
        "running": line.running,
        "waiting": len(line.waiting),
        "states": dict(seen.order_by().values_list("state").annotate(Count("pk"))),
        "first": _first(seen, line),
        "by_itself": [] if cursor else _by_itself(identity, project),
        "dispatches": [_row(request, line) for request in page[:limit]],
        "cursor": None,
    }
    return recall.page_within(answer, "dispatches", "dispatch", more=len(page) > limit)


def _active(identity: Identity, project: str | None) -> QuerySet[DispatchRequest]:
    rows = DispatchRequest.objects.filter(state__in=ACTIVE, brief__in=recall.visible(identity).order_by().values("pk"))
    if found := identity.find_project(project):
        rows = rows.filter(project=found)
    rows = rows.select_related("brief", "project", "program", "claimed_by")
    return rows.defer("packet", "summary", "handoff", "changes", "brief__spec")


def _row(request: DispatchRequest, line: Line) -> dict[str, Any]:
    return {
        "dispatch": request.pk,
        "brief": request.brief_id,
        "title": request.brief.title,
        "project": request.project.slug if request.project else None,
        "state": request.state,
        "kind": request.kind,
        "agent": request.program.name if request.program else None,
        "claimed_by": request.claimed_by.ref if request.claimed_by else None,
        "branch": request.branch,
        "since": recall.iso(request.created_at),
        "next": outlook.of_request(request, line).payload(),
    }


def _first(seen: QuerySet[DispatchRequest], line: Line) -> dict[str, Any] | None:
    """The first one that waits for a place, with why it does not start yet."""
    waits = seen.filter(state=State.QUEUED).exclude(program=None).order_by("pk").first()
    if waits is None:
        return None
    return {
        "dispatch": waits.pk,
        "brief": waits.brief_id,
        "why": outlook.of_request(waits, line).sentence,
        "places_taken_by": list(
            seen.exclude(program=None).filter(state__in=HELD).order_by("pk").values_list("pk", flat=True)[:MOST]
        ),
    }


def _by_itself(identity: Identity, project: str | None) -> list[dict[str, Any]]:
    """The briefs that auto-dispatch looks at next, the longest waiting first, as the sweep takes them."""
    rows = recall.visible(identity).filter(auto_dispatch=True, status=Status.PLANNED)
    if found := identity.find_project(project):
        rows = rows.filter(project=found)
    rows = rows.exclude(dispatch_requests__state__in=ACTIVE).order_by("updated_at")
    briefs = list(rows.select_related("project").defer("spec")[:BY_ITSELF])
    return [
        {"brief": brief.pk, "title": brief.title, "next": _told(identity, outlook.next_step(brief)).payload()}
        for brief in briefs
    ]


# --- one brief --------------------------------------------------------------------------------------------------------


def explanation(identity: Identity, brief: Brief) -> dict[str, Any]:
    """The answer of ``dispatch_explain``: what keeps a brief from being dispatched, what is next and whose turn it is.

    ``would`` says how a dispatch without a kind would begin. git is asked for a few seconds at most.
    """
    blockers = [_named(identity, blocker) for blocker in brief.blockers()]
    obstacle = outlook.obstacle(brief)
    if obstacle is not None and obstacle.code == outlook.ObstacleCode.BLOCKED:
        obstacle = outlook.blocked_by(brief, blockers)
    steps = [_told(identity, step) for step in outlook.steps(brief)]
    return {
        "brief": brief.pk,
        "title": brief.title,
        "status": brief.status,
        "project": brief.project.slug if brief.project else None,
        "auto_dispatch": brief.auto_dispatch,
        "dispatchable": obstacle is None,
        "obstacle": {"code": obstacle.code.value, "sentence": obstacle.sentence} if obstacle else None,
        "blockers": [
            {"code": blocker.code.value, "number": blocker.number or None, "waits_for": blocker.phrase}
            for blocker in blockers[:STEPS]
        ],
        "next": [step.payload() for step in steps[:STEPS]],
        "more": max(0, len(steps) - STEPS),
        "moves": lifecycle.possible_moves(brief, identity.actor),
        "last": _last(brief),
        "would": _would(brief) if obstacle is None else None,
    }


def _told(identity: Identity, step: NextStep) -> NextStep:
    """A step as this caller may read it."""
    if step.code not in _OF_BRIEFS or _may_read_title(identity, step.other):
        return step
    return replace(step, title=recall.HIDDEN_TITLE)


def _named(identity: Identity, blocker: Blocker) -> Blocker:
    if not blocker.title or _may_read_title(identity, blocker.number):
        return blocker
    return replace(blocker, title=recall.HIDDEN_TITLE)


def _may_read_title(identity: Identity, brief: int) -> bool:
    return identity.project is None or recall.visible(identity).filter(pk=brief).exists()


def _last(brief: Brief) -> dict[str, Any] | None:
    """The brief's newest request, as it stands or as it ended."""
    request = DispatchRequest.objects.filter(brief=brief).select_related("ended_by").order_by("-pk").first()
    if request is None:
        return None
    said = {"dispatch": request.pk, "state": request.state, "kind": request.kind, "ended": recall.iso(request.ended_at)}
    said["ended_by"] = request.ended_by.ref if request.ended_by else None
    if request.failure_class:
        said |= {"class": request.failure_class, "failure": request.failure[:500]}
    return said


def _would(brief: Brief) -> dict[str, Any]:
    """How a dispatch without a kind begins, and what lies there that it would go on with."""
    way = retries.choose(brief, "", None, None, is_free=True)
    left = way.left or _left(brief)
    said: dict[str, Any] = {"kind": way.kind, "goes_on_from": way.earlier.pk if way.earlier else None}
    said["worktree"] = way.worktree.pk if way.worktree else None
    if left is not None and left.has_work:
        said["left"] = left.payload()
    agent, why_none = outlook.usual_agent(brief)
    return said | ({"agent": agent} if agent else {"agent": None, "why_no_agent": why_none})


def _left(brief: Brief) -> leftovers.RunLeftovers | None:
    last = leftovers.newest_run(brief)
    return leftovers.of_run(last) if last is not None else None
