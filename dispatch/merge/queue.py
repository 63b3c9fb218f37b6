"""Whose turn it is to merge to a branch, and the way of one merge from step to step."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from briefs.models import Actor
from core import live
from core.errors import Conflict
from core.lifecycle import words
from daemons.services import processes
from daemons.terminal import HolderError
from dispatch import lifecycle, sharing
from dispatch.merge import checks, gates, landing, mainline, plan, record
from dispatch.models import DispatchRequest, GateRun, MainState, MergeLock, State
from worktrees import git
from worktrees import services as worktrees

LEASE: Final = timedelta(seconds=60)


def ask(request: DispatchRequest, *, actor: Actor) -> DispatchRequest:
    """Ask for a finished request to be merged. Raises Conflict when it is not finished (any more)."""
    if request.state == State.MERGING:
        return request
    if request.state != State.FINISHED:
        raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; only finished work is merged.")
    was = request.failure_class
    with transaction.atomic():
        lifecycle.move(
            request,
            State.MERGING,
            actor=actor,
            merge_by=actor,
            failure="",
            failure_class="",
            target_sha="",  # merge_sha stays: if that commit landed after all, it is found on the branch
            merge_attempt=F("merge_attempt") + 1,
        )
    if was == record.NotMerged.MAIN_RED and actor.kind != Actor.Kind.SYSTEM:
        state = MainState.objects.filter(project=request.project_id).first()
        if state is not None:  # somebody thinks that it is worth it: a gate may be red for a reason outside of git
            checks.again(state.project, state.sha)
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def step(request: DispatchRequest) -> None:
    """Bring a merge as far as it can go now. Called under the request's lock (dispatch/machine.py)."""
    assert request.project is not None
    if not request.merge_sha and sharing.at_work_beside(request).exists():
        return  # a merge would take what that run has committed so far; its end lets this go on (dispatch/outlook.py)
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
        gates.remove_scratch(request.project, scratch)  # last: the verdict stands, whatever becomes of the folder


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
            why = f"dispatch {request.pk} is {request.state}"
            processes.stop(process, actor=request.ended_by, why=why)  # the next sweep records its end
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
        old = mainline.observe(request.project, repository).sha
        is_ours = bool(request.merge_sha) and repository.is_ancestor(request.merge_sha, old)
        if is_ours and request.landing:
            landing.finish_landing(request, repository, old)
            return
        if is_ours or repository.is_ancestor(request.head_sha, old):
            _finish_what_is_there(request, repository, old, is_ours=is_ours)
            return
        if request.target_sha != old and not plan.plan(request, repository, old):
            return
        outcome = gates.on_merged(request, repository)
        if outcome.red:
            _refuse_red(request, repository, outcome.red)
        if outcome.red or outcome.running:
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


def _finish_what_is_there(request: DispatchRequest, repository: git.Repository, old: str, *, is_ours: bool) -> None:
    """The work is on the branch already. It is complete when the gates are green there, and not before.

    Somebody brought it there without them (its agent, a person); or we did, and could not say so (``is_ours``).
    """
    assert request.project is not None
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING)
    rows.update(target_sha=old)  # what we look at: gates on it are awaited, and a later try knows whether it moved
    request.target_sha = old
    outcome = checks.judge(request.project, repository, old)
    if outcome.red:
        _refuse_main_red(request, outcome.red, of_work=True)
    elif is_ours and not outcome.running:
        landing.finish_landing(request, repository, old)
    elif not outcome.running:
        record.done(request, repository, request.head_sha, old, outside=True)


def _refuse_red(request: DispatchRequest, repository: git.Repository, run: GateRun) -> None:
    """A gate is red on the merged tree: whose fault is that? Asked again while it runs on the branch alone."""
    assert request.project is not None
    if run.judged:
        on_main = checks.run_of(request.project, repository, request.target_sha, run.command)
        if on_main is None:
            return
        if on_main.judged and not on_main.passed:
            _refuse_main_red(request, on_main, of_work=False)
            return
    count = len(request.project.gates)
    why = f"Gate {run.ordinal} of {count} is red: `{run.command}` {run.why}."
    record.refuse(request, record.NotMerged.GATE, why, tail=run.tail)


def _refuse_main_red(request: DispatchRequest, run: GateRun, *, of_work: bool) -> None:
    """The main branch is red by itself: that is what is said, and since when."""
    assert request.project is not None
    main, since = request.project.main_branch, checks.red_since(request.project, run)
    known = f" since {since[:12]}" if since != run.tree else ""
    which = (
        f"{main} itself is red{known}: `{run.command}` {run.why} on {run.tree[:12]}"
        f"{', where the work came outside of flower' if of_work else ', without this work too'}."
    )
    then = "flower merges it by itself when" if request.project.auto_merge else "Merge again when"
    ask = f"It is not complete: mend {main}; then merge again." if of_work else f"{then} {main} has moved on."
    why = f"{which} {ask}"
    data = {"commit": run.tree, "since": since, "command": run.command}
    record.refuse(request, record.NotMerged.MAIN_RED, why, tail=run.tail, data=data)
