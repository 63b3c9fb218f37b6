"""Merging to MAIN's branch, one at a time for each branch, in plumbing: nothing runs in MAIN.

merge-tree -> a commit of the merged tree, in no branch yet -> the project's gates in a scratch worktree of it ->
compare-and-swap of the ref -> a two-way refresh of MAIN's files that refuses rather than overwrites local changes.

Every step is repeatable. The commit's id is kept before the ref moves, so a successor of a killed worker can tell
whether it landed; the gates run in holders, so it finds them running or ended. If a step fails, everything is as it
was, the request is ``finished`` again, and the reason stands on the trace.
"""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Brief, Link
from briefs.services import actors, links
from daemons.models import Process
from daemons.services import processes
from daemons.terminal import HolderError
from dispatch import lifecycle
from dispatch.models import DispatchRequest, GateRun, MergeLock, State
from flower import live
from flower.errors import Conflict, Forbidden
from flower.lifecycle import words
from worktrees import git
from worktrees import services as worktrees

log = structlog.stdlib.get_logger(__name__)
_told: Final[set[Path]] = set()  # folders that could not be removed: said once, not with every sweep

LEASE: Final = timedelta(seconds=60)
GATE_POLL_SECONDS: Final = 2.0  # how long one task waits for a gate; a longer one is looked at by the sweep
INDEX_SECONDS: Final = 3.0  # how long a merge waits for somebody else's git in MAIN
TAIL_BYTES: Final = 6_000


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
        if _has_landed(request, repository):
            # This is no refusal any more. The reason is shown, and the sweep tries the rest again until it works.
            why = f"The merge has landed, but MAIN's files do not show it yet: {error}"
            DispatchRequest.objects.filter(pk=request.pk).update(failure=why)
        else:
            _refuse(request, "git", f"The merge stopped: {error}")
    finally:
        request.refresh_from_db()
        if request.state != State.MERGING:
            _end_turn(request)
    scratch = _scratch(request)
    if request.state != State.MERGING and scratch.is_dir():
        _remove_scratch(request, scratch)  # last: the verdict stands, whatever becomes of the folder


# --- one at a time ----------------------------------------------------------------------------------------------------


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


# --- the steps --------------------------------------------------------------------------------------------------------


def _merge(request: DispatchRequest, repository: git.Repository) -> None:
    assert request.project is not None
    target = f"refs/heads/{request.project.main_branch}"
    for _ in range(5):  # somebody else's commit may land on the branch while we work; then begin again on top of it
        old = repository.resolve(target)
        if request.merge_sha and repository.is_ancestor(request.merge_sha, old):
            _after_landing(request, repository, old)
            return
        if request.target_sha != old and not _plan(request, repository, old):
            return
        if not _gates_passed(request, repository):
            return
        try:
            _land(request, repository, target)
            return
        except git.RefMoved:
            continue
    if not _has_landed(request, repository):
        _refuse(request, "moved", f"{request.project.main_branch} moved five times during the merge; try again.")


def _has_landed(request: DispatchRequest, repository: git.Repository) -> bool:
    assert request.project is not None
    try:
        return bool(request.merge_sha) and repository.is_ancestor(request.merge_sha, request.project.main_branch)
    except git.GitError:
        return False  # nobody can tell now; when the merge is asked for again, ``_plan`` finds the commit


def _plan(request: DispatchRequest, repository: git.Repository, old: str) -> bool:
    """Make the merge commit on top of ``old``, in no branch yet. False when the merge ended here."""
    assert request.project is not None
    if repository.is_ancestor(request.head_sha, old):
        _already(request, repository, old)
        return False
    result = repository.merge_tree(old, request.head_sha)
    if result.conflicts:
        files = ", ".join(f"`{name}`" for name in result.conflicts[:20])
        body = f"The work conflicts with {request.project.main_branch} in {files}. Dispatch a rework on top of it."
        lifecycle.move(
            request,
            State.CONFLICTED,
            actor=_merger(request),
            kind=trace.Kind.MERGE,
            body=body,
            data={"conflicts": result.conflicts, "target": old},
            failure=body,
            failure_class="conflict",
        )
        return False
    commit = repository.commit_tree(result.tree, [old, request.head_sha], _message(request))
    attempt = F("merge_attempt") + (1 if request.target_sha else 0)
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING)
    if rows.update(target_sha=old, merge_sha=commit, merge_attempt=attempt) != 1:
        return False
    request.refresh_from_db()
    return True


def _already(request: DispatchRequest, repository: git.Repository, old: str) -> None:
    """The work is on the branch: somebody merged it by hand, or an earlier try of ours that could not say so."""
    tip = repository.commit(old)
    if tip and tip.parents[1:] == (request.head_sha,) and ("Dispatch", str(request.pk)) in tip.trailers:
        DispatchRequest.objects.filter(pk=request.pk).update(target_sha=tip.parents[0], merge_sha=old)
        request.refresh_from_db()
        _after_landing(request, repository, old)
    else:
        _done(request, repository, request.head_sha, old, already=True)


def _message(request: DispatchRequest) -> str:
    brief: Brief = request.brief
    body = f"{request.summary}\n\n" if request.summary else ""
    trailers = f"Brief: #{brief.pk}\nDispatch: {request.pk}\nMerged-by: {_merger(request).ref}\n"
    return f"Merge #{brief.pk}: {brief.title}\n\n{body}{trailers}"


def _merger(request: DispatchRequest) -> Actor:
    return request.merge_by or actors.system()


def _gates_passed(request: DispatchRequest, repository: git.Repository) -> bool:
    """Run the project's gates on the merged tree, one after another. False while one runs, or when one failed."""
    assert request.project is not None
    gates: list[str] = request.project.gates
    run_so_far = list(request.gate_runs.filter(attempt=request.merge_attempt).order_by("ordinal"))
    if [run.command for run in run_so_far] != gates[: len(run_so_far)]:
        _begin_again(request)  # somebody edited the gates: what ran so far says nothing of those that count now
        run_so_far = []
    if not gates:
        return True
    scratch = _scratch(request)
    if not scratch.is_dir():
        scratch.parent.mkdir(parents=True, exist_ok=True)
        with repository.lock():
            repository.add_scratch(scratch, request.merge_sha)
    if not run_so_far:
        repository.fill_worktree(scratch, request.merge_sha)
    for ordinal, command in enumerate(gates, 1):
        run = _gate_run(request, ordinal, command, scratch)
        if run.passed is None:
            _run_gate(run, request.project.gate_seconds)
        if run.passed is None:
            return False  # still running
        if not run.passed:
            _refuse(request, "gate", f"Gate {ordinal} of {len(gates)} is red: `{command}` {run.why}.", tail=run.tail)
            return False
    return True


def _begin_again(request: DispatchRequest) -> None:
    """A new attempt for the same merge commit. The old one's gates are stopped, and its folder goes, with the sweep."""
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING, merge_attempt=request.merge_attempt)
    rows.update(merge_attempt=F("merge_attempt") + 1)
    request.refresh_from_db()


def _scratch(request: DispatchRequest) -> Path:
    return settings.FLOWER.home / "scratch" / f"{request.pk}-{request.merge_attempt}"


def _remove_scratch(request: DispatchRequest, scratch: Path) -> None:
    """Take a scratch worktree away. What cannot be deleted stays, and is tried again by the sweep: no merge waits."""
    assert request.project is not None
    repository = worktrees.repository(request.project)
    try:
        with repository.lock():
            repository.remove_scratch(scratch)
    except git.LockBusy:
        pass  # somebody has the repository: the next sweep again
    except git.GitError as error:
        if scratch not in _told:
            _told.add(scratch)
            log.warning("scratch worktree not removed", dispatch=request.pk, why=str(error))


def sweep_scratch() -> None:
    """Take away the scratch worktrees of attempts that are over; gates that still run there are stopped first.

    A merge begins again while its gates run when somebody commits to the branch, and it may be killed at any moment:
    so nobody else can be relied on to clean up. A folder that belongs to no request is left alone.
    """
    for folder in sorted((settings.FLOWER.home / "scratch").glob("*-*")):
        number, _, attempt = folder.name.partition("-")
        if not (number.isdigit() and attempt.isdigit()):
            continue
        request = DispatchRequest.objects.select_related("project").filter(pk=int(number)).first()
        if request is None or request.project is None:
            continue
        if request.state == State.MERGING and request.merge_attempt == int(attempt):
            continue
        running = Process.objects.filter(cwd=str(folder)).exclude(phase__in=Process.ENDED)
        if running:
            for process in running:
                processes.stop(process)
            continue  # its output and its end are still written; the next sweep takes the folder
        _remove_scratch(request, folder)


def _gate_run(request: DispatchRequest, ordinal: int, command: str, scratch: Path) -> GateRun:
    key = {"request": request, "attempt": request.merge_attempt, "ordinal": ordinal}
    found = GateRun.objects.select_related("process").filter(**key).first()
    if found is not None:
        return found
    with transaction.atomic():
        process = processes.create(
            Process.Purpose.GATE,
            command=command,
            cwd=scratch,
            project=request.project,
            brief=request.brief,
            run=request.pk,
        )
        return GateRun.objects.create(**key, command=command, tree=request.merge_sha, process=process)


def _run_gate(run: GateRun, seconds: float) -> None:
    """Start a gate, or look after a running one, for GATE_POLL_SECONDS. The command is the operator's shell text."""
    process = run.process
    assert process is not None
    command = ["/bin/sh", "-c", run.command]
    processes.launch(process, command, env=processes.UNATTENDED, time_limit=float(seconds))
    deadline = time.monotonic() + GATE_POLL_SECONDS
    while not process.has_ended and time.monotonic() < deadline:
        time.sleep(0.02)
        processes.observe(process)
    if process.has_ended:
        run.passed = process.exit_code == 0
        run.why = _gate_verdict(process, seconds)[:200]
        run.tail = processes.tail(process, TAIL_BYTES)
        run.ended_at = process.ended_at
        run.save(update_fields=["passed", "why", "tail", "ended_at"])


def _gate_verdict(process: Process, seconds: float) -> str:
    if process.reason == "time limit":
        return f"ran longer than its limit of {seconds:,.0f} s"
    if process.phase == Process.Phase.LOST:
        return "was lost with its holder"
    return process.error or f"exited with {process.exit_code}" if process.exit_signal is None else process.state


def _land(request: DispatchRequest, repository: git.Repository, target: str) -> None:
    """Move the ref and refresh MAIN, together under the repository's lock. Raises RefMoved when it moved meanwhile."""
    assert request.project is not None
    old, new = request.target_sha, request.merge_sha
    branch = request.project.main_branch
    with repository.lock():
        checked_out = repository.head_branch() == branch
        if checked_out:
            _finish_earlier(request, repository)
            _await_index(repository)
        in_the_way = repository.refresh_would_overwrite(old, new) if checked_out else []
        if not in_the_way:
            repository.compare_and_swap(target, new, old, f"flower: merge #{request.brief_id}")
            if checked_out:
                try:
                    repository.refresh(branch, old, new)
                except (git.GitError, OSError) as error:  # a file was touched since the dry run, or the disk is full
                    _take_back(repository, target, old, new, error)
                    if not isinstance(error, git.InTheWay):
                        raise
                    in_the_way = list(error.files)
    if in_the_way:
        _refuse(request, "in the way", _in_the_way(in_the_way))
        return
    behind = "" if checked_out else f"MAIN has another branch checked out than {branch}."
    _done(request, repository, new, old, behind=behind)


def _take_back(repository: git.Repository, target: str, old: str, new: str, why: Exception) -> None:
    """Move the ref back after a refresh that failed with ``why``; raises it when that cannot be done, either."""
    try:
        repository.compare_and_swap(target, old, new, "flower: merge taken back")
    except git.RefMoved:
        raise
    except git.GitError as error:
        raise why from error


def _finish_earlier(request: DispatchRequest, repository: git.Repository) -> None:
    """Bring MAIN's files to where its branch is, if the merger before us was killed in between and its turn ran out.

    Its record it finishes by itself. Without this, MAIN's index would show its merge taken back, for good.
    """
    assert request.project is not None
    landed = DispatchRequest.objects.filter(
        project=request.project, state=State.MERGING, merge_sha=request.target_sha
    ).exclude(pk=request.pk)
    for earlier in landed:
        repository.refresh(request.project.main_branch, earlier.target_sha, earlier.merge_sha, resuming=True)


def _await_index(repository: git.Repository) -> None:
    """Let a git that works in MAIN end first: most are a ``git status``. Raises GitError for one that does not end."""
    lock, deadline = repository.common_dir / "index.lock", time.monotonic() + INDEX_SECONDS
    while lock.exists():
        if time.monotonic() > deadline:
            raise git.GitError(f"a git is at work in MAIN ({lock} is there); merge again when it has ended.")
        time.sleep(0.05)


def _in_the_way(files: list[str]) -> str:
    return (
        f"Uncommitted work in MAIN is in the way: {git.errors.named(files)}. Commit or move it, then merge again; "
        "nothing was changed."
    )


def _after_landing(request: DispatchRequest, repository: git.Repository, current: str) -> None:
    """The ref has moved already: a killed worker got this far. Finish MAIN's files and the record."""
    assert request.project is not None
    behind = ""
    with repository.lock():
        # Else somebody committed on top of it since: a person in MAIN, which shows it then, or the next merge, which
        # has brought MAIN's files along.
        if current == request.merge_sha:
            try:
                branch = request.project.main_branch
                repository.refresh(branch, request.target_sha, request.merge_sha, resuming=True)
            except git.InTheWay as error:
                behind = f"MAIN's files do not show the merge yet: {git.errors.named(list(error.files))} differ."
    _done(request, repository, request.merge_sha, request.target_sha, behind=behind)


def _done(
    request: DispatchRequest,
    repository: git.Repository,
    commit: str,
    old: str,
    *,
    behind: str = "",
    already: bool = False,
) -> None:
    assert request.project is not None
    gates = list(request.gate_runs.filter(attempt=request.merge_attempt))
    data = {
        "commit": commit,
        "branch": request.branch,
        "target": request.project.main_branch,
        "from": old,
        **_counts(request, repository),
        "gates": [{"command": run.command, "passed": run.passed} for run in gates],
    }
    body = "It was on the branch already." if already else behind
    with transaction.atomic():
        brief = Brief.objects.get(pk=request.brief_id)
        trace.lock(brief)
        label = f"Merge #{brief.pk}: {brief.title}"
        links.add(brief, Link.Kind.COMMIT, commit, actor=_merger(request), relation=Link.Relation.RESULT, label=label)
        lifecycle.move(
            request,
            State.DONE,
            actor=_merger(request),
            kind=trace.Kind.MERGE,
            body=body,
            data=data,
            why=f"dispatch {request.pk} is merged",
            merge_sha=commit,
            main_behind=behind[:300],
            failure="",
        )


def _counts(request: DispatchRequest, repository: git.Repository) -> dict[str, int]:
    """How much was merged. Nothing where git cannot tell: the merge has landed, its record must not fail for that."""
    try:
        return {
            "commits": repository.count_commits(request.base_sha, request.head_sha),
            "files": len(repository.changed_files(request.base_sha, request.head_sha)),
        }
    except git.GitError:
        return {}


def _refuse(request: DispatchRequest, failure_class: str, sentence: str, *, tail: str = "") -> None:
    """Back to ``finished``: nothing was changed, the reason is on the trace, and the merge may be asked for again."""
    body = sentence if not tail else f"{sentence}\n\n```\n{tail.strip()[-TAIL_BYTES:].replace('```', '` ` `')}\n```"
    kind = trace.Kind.GATE if failure_class == "gate" else trace.Kind.REFUSED
    lifecycle.move(
        request,
        State.FINISHED,
        actor=_merger(request),
        kind=kind,
        body=body,
        data={"class": failure_class},
        failure=sentence,
        failure_class=failure_class,
    )
