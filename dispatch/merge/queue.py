"""Whose turn it is to merge to a branch, and the way of one merge from step to step."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from briefs.identity import Identity
from briefs.models import Actor
from daemons.services import processes
from daemons.terminal import HolderError
from dispatch import lifecycle
from dispatch.merge import gates, landing, plan, record
from dispatch.models import DispatchRequest, MergeLock, State
from flower import live
from flower.errors import Conflict, Forbidden
from flower.lifecycle import words
from worktrees import git
from worktrees import services as worktrees

LEASE: Final = timedelta(seconds=60)


def ask(request: DispatchRequest, *, actor: Actor) -> DispatchRequest:
    """Ask for a finished request to be merged. Raises Conflict when it is not finished (any more)."""
    if request.state == State.MERGING:
        return request
    if request.state != State.FINISHED:
        raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; only finished work is merged.")
    with transaction.atomic():
        lifecycle.move(
            request,
            State.MERGING,
            actor=actor,
            merge_by=actor,
            failure="",
            failure_class="",
            target_sha="",
            merge_sha="",
            merge_attempt=F("merge_attempt") + 1,
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def check_may_merge(identity: Identity) -> None:
    """Merging is for operators and for the orchestrator."""
    if not identity.may_orchestrate:
        raise Forbidden(f"{identity.actor.ref} may not merge; an operator or the orchestrator does.")


def step(request: DispatchRequest) -> None:
    """Bring a merge as far as it can go now. Called under the request's lock (dispatch/machine.py)."""
    assert request.project is not None
    if not _take_turn(request):
        return  # another merge to the same branch is under way; its end kicks this one
    repository = worktrees.repository(request.project)
    try:
        _merge(request, repository)
    except git.LockBusy:
        pass  # somebody has the repository for longer than we wait; the next sweep goes on
    except (git.GitError, HolderError, OSError) as error:
        if landing.has_landed(request, repository):
            # This is no refusal any more. The reason is shown, and the sweep tries the rest again until it works.
            why = f"The merge has landed, but MAIN's files do not show it yet: {error}"
            DispatchRequest.objects.filter(pk=request.pk).update(failure=why)
        elif isinstance(error, OSError):
            raise  # a hiccup of the disk, maybe: tried again a few times (dispatch/machine.py)
        else:
            record.refuse(request, record.NotMerged.GIT, f"The merge stopped: {error}")
    finally:
        request.refresh_from_db()
        if request.state != State.MERGING:
            _end_turn(request)
    scratch = gates.scratch_folder(request)
    if request.state != State.MERGING and scratch.is_dir():
        gates.remove_scratch(request, scratch)  # last: the verdict stands, whatever becomes of the folder


def give_up(request: DispatchRequest, sentence: str) -> None:
    """End a merge whose step failed again and again in a way that nobody foresaw: refused, and the next one's turn.

    One that has landed already is no refusal: the reason is shown, and the sweep goes on trying to finish it.
    """
    assert request.project is not None
    if landing.has_landed(request, worktrees.repository(request.project)):
        why = f"The merge has landed, but its record is not finished yet: {sentence}"
        DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING).update(failure=why)
        return
    with contextlib.suppress(Conflict):  # somebody was first
        record.refuse(request, record.NotMerged.INTERNAL, sentence)
    _end_turn(request)


def clear_away(request: DispatchRequest) -> None:
    """After the end of a request: stop the gates that still run, record how each ended, and pass the turn on."""
    for run in request.gate_runs.filter(passed=None).select_related("process"):
        process = run.process
        if process is not None and not processes.observe(process).has_ended:
            processes.stop(process)  # the next sweep records its end
        else:
            gates.record_end(run)
    if MergeLock.objects.filter(request=request).exists():
        _end_turn(request)


def _take_turn(request: DispatchRequest) -> bool:
    assert request.project is not None
    key: dict[str, Any] = {"project": request.project, "branch": request.project.main_branch}
    try:
        with transaction.atomic():
            MergeLock.objects.get_or_create(**key)
    except IntegrityError:
        pass  # made by another merger in this moment
    now = timezone.now()
    free = Q(request=None) | Q(request=request) | Q(expires_at__lt=now) | ~Q(request__state=State.MERGING)
    # Two steps, since MySQL updates no table that its own condition joins; the second names the row as it was read.
    lock = MergeLock.objects.filter(free, **key).first()
    if lock is None:
        return False
    rows = MergeLock.objects.filter(pk=lock.pk, fence=lock.fence)
    return rows.update(request=request, fence=lock.fence + 1, expires_at=now + LEASE) == 1


def _end_turn(request: DispatchRequest) -> None:
    MergeLock.objects.filter(request=request).update(request=None, expires_at=None)
    waiting = DispatchRequest.objects.filter(project=request.project_id, state=State.MERGING).order_by("finished_at")
    if following := waiting.first():
        live.kick("dispatch.tasks.advance", following.pk)


def _merge(request: DispatchRequest, repository: git.Repository) -> None:
    assert request.project is not None
    target = f"refs/heads/{request.project.main_branch}"
    for _ in range(5):  # somebody else's commit may land on the branch while we work; then begin again on top of it
        old = repository.resolve(target)
        if request.merge_sha and repository.is_ancestor(request.merge_sha, old):
            landing.finish_landing(request, repository, old)
            return
        if request.target_sha != old and not plan.plan(request, repository, old):
            return
        if not gates.passed(request, repository):
            return
        try:
            landing.land(request, repository, target)
            return
        except git.RefMoved:
            continue
    if not landing.has_landed(request, repository):
        record.refuse(
            request,
            record.NotMerged.MOVED,
            f"{request.project.main_branch} moved five times during the merge; try again.",
        )
