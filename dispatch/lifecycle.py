"""A dispatch request's states, what may follow what, and the move. Nothing else assigns ``DispatchRequest.state``.

The move: the brief's row lock first (always, so that no two writers wait for each other), then a conditional UPDATE
of the request (rows == 1, with the fence where the caller holds one), the trace, the brief's rollup; pages are told
after the commit.
"""

from __future__ import annotations

from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from briefs import lifecycle as brief_lifecycle
from briefs import trace
from briefs.models import Actor, Brief, Participant
from briefs.models.status import Status
from briefs.services import actors
from core import live
from core.errors import Conflict
from core.lifecycle import table, words
from dispatch.models import ACTIVE, HELD, DispatchRequest, State

AT_ONCE: Final = 50  # briefs that one sweep looks at
_ENDS: Final = {State.FAILED, State.CANCELLED}

DISPATCH: Final = table(
    "dispatch",
    {
        State.QUEUED: {State.CLAIMED, *_ENDS},
        State.CLAIMED: {State.PREPARING, State.RUNNING, State.FINISHED, State.QUEUED, *_ENDS},
        State.PREPARING: {State.RUNNING, State.FINISHED, State.QUEUED, *_ENDS},
        State.RUNNING: {State.FINISHED, State.QUEUED, *_ENDS},
        State.FINISHED: {State.MERGING, State.DONE, *_ENDS},
        State.MERGING: {State.DONE, State.FINISHED, State.CONFLICTED, State.CANCELLED},
        State.DONE: set(),
        State.CONFLICTED: set(),
        State.FAILED: set(),
        State.CANCELLED: set(),
    },
)


def move(
    request: DispatchRequest,
    to: str,
    *,
    actor: Actor,
    kind: str = "",
    body: str = "",
    data: dict[str, Any] | None = None,
    expecting: int | None = None,
    among: frozenset[State] | None = None,
    why: str = "",
    **values: Any,
) -> DispatchRequest:
    """Move a request from a state from which ``to`` is legal, and write ``values`` with it.

    ``kind``, ``body`` and ``data`` are the trace entry (none without a kind). With ``expecting`` the move happens only
    while that is the request's fence, with ``among`` only from one of those states. Raises Conflict when somebody else
    was first, or the move is illegal.
    """
    values |= {"state": to, "stumbles": 0, "landing": False}
    if to not in ACTIVE:
        values |= {"only_active": None, "ended_at": timezone.now(), "ended_by": actor}
    if to not in HELD:
        values |= {"lease_expires_at": None}
    with transaction.atomic():
        brief = Brief(pk=request.brief_id)
        trace.lock(brief)
        holder = request.claimed_by_id
        rows = DispatchRequest.objects.filter(pk=request.pk, state__in=DISPATCH.sources(to))
        if expecting is not None:
            rows = rows.filter(fence=expecting)
        if among is not None:
            rows = rows.filter(state__in=among)
        if to == State.CANCELLED:
            rows = rows.filter(landing=False)
        if rows.update(**values) != 1:
            _explain(request, to, expecting)
        request.refresh_from_db()
        brief.refresh_from_db()
        if kind:
            trace.append(brief, kind, actor=actor, body=body, data={"dispatch": request.pk, **(data or {})})
        if to == State.CLAIMED or to == State.QUEUED or to not in ACTIVE:
            _note_participation(request, holder)
        roll_up(brief, actor, why)
    live.publish(live.brief_group(brief.pk), "brief.changed", brief=brief.pk)
    return request


def _note_participation(request: DispatchRequest, holder: int | None) -> None:
    """Who claims takes part, in the wave of the request. A worker that flower started leaves with its last request."""
    taking_part = Participant.objects.filter(brief=request.brief_id)
    started = {"role": "worker"} if request.program_id else {}
    if request.state == State.CLAIMED:
        wave = waves(request.brief_id).get(request.pk)
        taking_part.filter(actor=request.claimed_by_id).update(wave=wave, left_at=None, **started)
    elif holder is not None and started:
        active = DispatchRequest.objects.filter(brief=request.brief_id, claimed_by=holder, state__in=ACTIVE)
        if not active.exists():
            taking_part.filter(actor=holder).update(left_at=timezone.now())


def waves(brief: int) -> dict[int, int]:
    """The wave of each of a brief's requests, from 1: those that were out at the same time are one wave."""
    rows = DispatchRequest.objects.filter(brief=brief).order_by("created_at", "pk")
    found: dict[int, int] = {}
    wave, until = 0, None
    for number, begun, ended in rows.values_list("pk", "created_at", "ended_at"):
        if wave == 0 or (until is not None and begun >= until):
            wave, until = wave + 1, ended
        elif until is not None:
            until = max(until, ended) if ended is not None else None
        found[number] = wave
    return found


def _explain(request: DispatchRequest, to: str, fence: int | None) -> None:
    """Raise the sentence that says why a conditional move found no row."""
    request.refresh_from_db()
    if fence is not None and request.fence != fence:
        raise Conflict(wrong_fence(request, fence))
    if request.landing and to == State.CANCELLED:
        raise Conflict(f"Dispatch {request.pk} is put on its branch in this moment: it is too late to call it off.")
    DISPATCH.check(f"Dispatch {request.pk}", request.state, to)
    raise Conflict(f"Dispatch {request.pk} is {words(request.state)} already.")


def wrong_fence(request: DispatchRequest, fence: int) -> str:
    """The sentence for a write that carries another fence than the request's."""
    if not 0 < fence < request.fence:
        return f"Dispatch {request.pk} was never claimed with fence {fence}; send the one that your claim was given."
    return (
        f"Fence {fence} is old: dispatch {request.pk} was claimed again since (the fence is {request.fence} now). "
        "Stop working on it."
    )


def roll_up(brief: Brief, actor: Actor, why: str = "") -> None:
    """Set the brief's status to what its requests say together."""
    if brief.is_terminal or brief.status == Status.DEFERRED:
        return
    to = rolled_up_status(brief)
    if to == Status.DISPATCHED and brief.status == Status.IN_PROGRESS:  # nobody holds it any more, and it waits again
        brief_lifecycle.roll_up(brief, Status.PLANNED, actor=actor, why=why)
        brief.refresh_from_db()
    if to and to != brief.status and brief_lifecycle.BRIEF.may(brief.status, to):
        if to == Status.COMPLETE and brief.questions.filter(answered_at=None).exists():
            to = Status.IN_REVIEW if brief.status == Status.IN_PROGRESS else brief.status
            if to == brief.status:
                return
            why = "the work is merged; an open question holds the brief back"
        brief_lifecycle.roll_up(brief, to, actor=actor, why=why)


def on_stirred(*, brief: Brief, **_: Any) -> None:
    """A brief's question was answered, say: what held its status back may be gone."""
    if brief.status == Status.IN_REVIEW:
        roll_up(brief, actors.system(), "nothing holds it back any more")


def sweep() -> list[int]:
    """Bring briefs that no active request speaks for to what their requests said last; returns their numbers.

    A repair: each move of a request and each answer does it at once. One that a person moved since is left alone.
    """
    behind = Brief.objects.filter(status__in=[Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW])
    behind = behind.exclude(dispatch_requests__state__in=ACTIVE).order_by("updated_at")
    repaired = []
    for brief in behind[:AT_ONCE]:
        before = brief.status
        with transaction.atomic():
            trace.lock(brief)
            brief.refresh_from_db()
            roll_up(brief, actors.system(), "nothing holds it back any more")
        brief.refresh_from_db()
        if brief.status != before:
            repaired.append(brief.pk)
    return repaired


def rolled_up_status(brief: Brief) -> str:
    """What a brief's requests say of it together; empty when they say nothing."""
    states = set(DispatchRequest.objects.filter(brief=brief).values_list("state", flat=True))
    if states & HELD:
        return Status.IN_PROGRESS
    if states & {State.FINISHED, State.MERGING}:
        return Status.IN_REVIEW
    if State.QUEUED in states:
        return Status.DISPATCHED if brief.status != Status.IN_REVIEW else ""
    rows = DispatchRequest.objects.filter(brief=brief).order_by("-pk").values_list("state", "kind")
    newest, kind = rows.first() or ("", "")
    if newest == State.DONE and kind != DispatchRequest.Kind.DESIGN:
        return Status.COMPLETE
    if newest == State.CONFLICTED:
        return Status.IN_REVIEW
    return Status.PLANNED if newest else ""
