"""Claims: a lease with a rising fence. Exactly one of any number of racing claimants wins.

A claim is a conditional UPDATE; whoever changed the row has it. Each claim raises the fence, and each later write
(progress, complete, fail) must carry it, so that a claimant that was taken for dead cannot write over its successor.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import F
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Brief
from briefs.services import actors
from core.errors import Conflict, Invalid, NotFound
from core.lifecycle import words
from dispatch import lifecycle, policy
from dispatch.models import ACTIVE, HELD, DispatchRequest, State

LEASE_SECONDS: Final = 600
LONGEST_LEASE: Final = 24 * 3600


def claim(
    request: DispatchRequest, *, actor: Actor, lease_seconds: int = LEASE_SECONDS, by_flower: bool = False
) -> DispatchRequest:
    """Claim a queued request for ``actor``. Raises Conflict when it is not queued (any more).

    What flower runs itself only the machine claims (``by_flower``), which counts against the cap when it does.
    """
    if request.program_id is not None and not by_flower:
        raise Conflict(_run_by_flower(request))
    if not 10 <= lease_seconds <= LONGEST_LEASE:
        raise Invalid(f"A lease lasts from 10 to {LONGEST_LEASE:,} seconds.")
    if request.state != State.QUEUED:  # cheap answer for the many; the UPDATE below decides
        raise Conflict(_taken(request))
    now = timezone.now()
    try:
        return lifecycle.move(
            request,
            State.CLAIMED,
            actor=actor,
            kind=trace.Kind.CLAIMED,
            data={"by": actor.ref, "fence": request.fence + 1},
            expecting=request.fence,
            fence=F("fence") + 1,
            claimed_by=actor,
            claimed_at=now,
            lease_seconds=lease_seconds,
            lease_expires_at=now + timedelta(seconds=lease_seconds),
        )
    except Conflict as error:
        request.refresh_from_db()
        raise Conflict(_taken(request)) from error


def _run_by_flower(request: DispatchRequest) -> str:
    return f"Dispatch {request.pk} of brief #{request.brief_id} is run by flower itself; it cannot be claimed."


def _taken(request: DispatchRequest) -> str:
    if request.claimed_by and request.is_active:
        return f"Dispatch {request.pk} is {words(request.state)} by {request.claimed_by.ref}; nothing was claimed."
    return f"Dispatch {request.pk} is {words(request.state)}; there is nothing to claim."


def claim_next(identity: Identity, *, brief: int | None, lease_seconds: int = LEASE_SECONDS) -> DispatchRequest:
    """Claim a brief's queued request, or the oldest queued one that the caller may see.

    What flower starts itself is not claimed here.

    Raises NotFound when nothing is queued, Conflict when somebody else took it.
    """
    rows = DispatchRequest.objects.select_related("claimed_by", "brief").filter(program=None)
    if brief is not None:
        found = identity.find_brief(brief)
        request = rows.filter(brief=found).order_by("-pk").first()
        if request is None or not request.is_active:
            raise NotFound(_nothing_queued(found))
        policy.check_project(identity, request.project_id)
        return claim(request, actor=identity.actor, lease_seconds=lease_seconds)
    if identity.project is not None:
        rows = rows.filter(project=identity.project)
    for request in rows.filter(state=State.QUEUED).order_by("pk")[:20]:
        try:
            return claim(request, actor=identity.actor, lease_seconds=lease_seconds)
        except Conflict:
            continue  # somebody else was first: the next one
    raise NotFound("Nothing is queued for you to claim.")


def claim_one(
    identity: Identity, number: int, *, brief: int | None, lease_seconds: int = LEASE_SECONDS
) -> DispatchRequest:
    """Claim one request by its number; with ``brief`` too, only when it is that brief's."""
    request = find_to_change(identity, number)
    if brief is not None and request.brief_id != brief:
        raise Conflict(f"Dispatch {number} is of brief #{request.brief_id}, not of #{brief}; nothing was claimed.")
    return claim(request, actor=identity.actor, lease_seconds=lease_seconds)


def _nothing_queued(brief: Brief) -> str:
    started = DispatchRequest.objects.filter(brief=brief, state__in=ACTIVE).exclude(program=None).first()
    if started:
        return _run_by_flower(started)
    return f"No dispatch of brief #{brief.pk} is queued; dispatch it first."


def find(identity: Identity, number: int | None) -> DispatchRequest:
    """The request that the caller named, or the one that it holds. Raises NotFound or Invalid."""
    rows = DispatchRequest.objects.select_related("brief", "project", "worktree", "process", "claimed_by", "program")
    number = number if number is not None else identity.run
    if number is None:
        held = list(rows.filter(claimed_by=identity.actor, state__in=HELD)[:2])
        if len(held) != 1:
            raise Invalid("Say which dispatch is meant, by its number.")
        return held[0]
    request = rows.filter(pk=number).first() if number > 0 else None
    if request is None or not identity.may_see(request.brief) or (identity.run and identity.run != request.pk):
        raise NotFound(f"There is no dispatch {number} for you.")
    return request


def find_to_change(identity: Identity, number: int | None) -> DispatchRequest:
    """``find``, for whoever goes on to do something with it: its project must be within the caller's limits."""
    request = find(identity, number)
    policy.check_project(identity, request.project_id)
    return request


def renew(request: DispatchRequest, fence: int) -> None:
    """Prolong a lease. Raises Conflict for an old fence or a request that is not held any more."""
    until = timezone.now() + timedelta(seconds=request.lease_seconds)
    rows = DispatchRequest.objects.filter(pk=request.pk, fence=fence, state__in=HELD)
    if rows.update(lease_expires_at=until) != 1:
        request.refresh_from_db()
        if request.fence != fence:
            raise Conflict(lifecycle.wrong_fence(request, fence))
        raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; it is not held any more.")
    request.lease_expires_at = until


def release_expired() -> list[int]:
    """Put requests whose claimant let the lease run out back into the queue; returns their numbers.

    Requests that flower runs itself are not released here: their process is the proof of life.
    """
    released = []
    expired = DispatchRequest.objects.filter(state__in=HELD, program=None, lease_expires_at__lt=timezone.now())
    for request in expired.select_related("claimed_by"):
        who = request.claimed_by.ref if request.claimed_by else "somebody"
        body = f"The lease of {who} ran out; the request is queued again."
        try:
            lifecycle.move(
                request,
                State.QUEUED,
                actor=actors.system(),
                kind=trace.Kind.FAILED,
                body=body,
                data={"class": "lease"},
                expecting=request.fence,
                why=f"the lease of dispatch {request.pk} ran out",
                claimed_by=None,
            )
            released.append(request.pk)
        except Conflict:
            continue  # the claimant came back in this moment
    return released
