"""The project's gates, in holders on a scratch worktree: of a merged tree, or of the main branch itself."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from briefs.models import Brief, Project
from daemons.models import Process
from daemons.services import processes
from dispatch.merge import record
from dispatch.models import DispatchRequest, GateRun, MainCheck, MainMove, State
from worktrees import git
from worktrees import services as worktrees
from worktrees.models import Worktree

log = structlog.stdlib.get_logger(__name__)
_told: Final[set[Path]] = set()  # folders that could not be removed: said once, not with every sweep

GATE_POLL_SECONDS: Final = 2.0  # how long one task waits for a gate; a longer one is looked at by the sweep


@dataclass(frozen=True)
class Job:
    """What gates run on: a commit, in a scratch worktree of its own; and what their runs belong to."""

    project: Project
    commit: str
    scratch: Path
    owner: dict[str, Any]  # of each GateRun: its request or its check, and the attempt
    brief: Brief | None = None
    dispatch: int | None = None
    beside: Worktree | None = None  # where commits of submodules may be that nobody else has

    @property
    def runs(self) -> QuerySet[GateRun]:
        return GateRun.objects.filter(**self.owner).select_related("process").order_by("ordinal")


@dataclass(frozen=True)
class Outcome:
    """How far the gates of a merge are: running, red (which one), or, with neither, all green."""

    running: bool = False
    red: GateRun | None = None


def of_merge(request: DispatchRequest) -> Job:
    """The job of a request's merge: the commit that it would put on the branch."""
    assert request.project is not None
    owner = {"request": request, "attempt": request.merge_attempt}
    return Job(
        request.project, request.merge_sha, scratch_folder(request), owner, request.brief, request.pk, request.worktree
    )


def on_merged(request: DispatchRequest, repository: git.Repository) -> Outcome:
    """Run the project's gates on the merged tree, one after another, until one is red."""
    assert request.project is not None
    gates: list[str] = request.project.gates
    commands = of_merge(request).runs.values_list("command", flat=True)
    if list(commands) != gates[: len(commands)]:
        _begin_again(request)  # somebody edited the gates: what ran so far says nothing of those that count now
    job = of_merge(request)
    for ordinal, command in enumerate(gates, 1):
        if not DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING).exists():
            return Outcome(running=True)  # called off
        run = advance(job, repository, ordinal, command)
        if run.passed is None:
            return Outcome(running=True)
        if not run.passed:
            return Outcome(red=run)
    return Outcome()


def advance(job: Job, repository: git.Repository, ordinal: int, command: str) -> GateRun:
    """Bring one gate as far as it can go now: its scratch worktree is filled, it is started, looked after, recorded.

    May be called again after any crash: a gate runs in a holder and is found running, or ended. Raises GitError:
    LockBusy when somebody has the repository for longer than we wait.
    """
    run = job.runs.filter(ordinal=ordinal).first()
    if run is not None and run.passed is not None:
        return run
    if run is None or not job.scratch.is_dir():
        _fill(job, repository)
    run = run or _make(job, ordinal, command)
    _look_after(run, job.project.gate_seconds)
    return run


def _fill(job: Job, repository: git.Repository) -> None:
    if job.scratch.is_dir() and job.runs.exists():
        return  # filled for the gate before this one, which may have left something that this one needs
    job.scratch.parent.mkdir(parents=True, exist_ok=True)
    with repository.lock(worktrees.BUSY_SECONDS):
        repository.add_scratch(job.scratch, job.commit)  # again, too: git may have been killed half-way
    worktrees.fill(repository, job.scratch, job.commit)
    worktrees.fill_submodules(repository, job.project, job.scratch, beside=job.beside)


def _begin_again(request: DispatchRequest) -> None:
    """A new attempt for the same merge commit. The old one's gates are stopped, and its folder goes, with the sweep."""
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING, merge_attempt=request.merge_attempt)
    rows.update(merge_attempt=F("merge_attempt") + 1)
    request.refresh_from_db()


def scratch_folder(request: DispatchRequest) -> Path:
    """Where the merged tree of a request's present attempt is checked out."""
    return settings.FLOWER.home / "scratch" / f"{request.pk}-{request.merge_attempt}"


def remove_scratch(project: Project, scratch: Path) -> None:
    """Take a scratch worktree away. What cannot be deleted stays, and is tried again by the sweep: no merge waits."""
    repository = worktrees.repository(project)
    try:
        with worktrees.long_work(), repository.lock(worktrees.BUSY_SECONDS):
            repository.remove_scratch(scratch)
    except git.LockBusy:
        pass  # somebody has the repository, or all places are taken: the next sweep again
    except git.GitError as error:
        if scratch not in _told:
            _told.add(scratch)
            log.warning("scratch worktree not removed", folder=str(scratch), why=str(error))


def sweep_scratch() -> None:
    """Take away the scratch worktrees of attempts that are over; gates that still run there are stopped first.

    A merge begins again while its gates run when somebody commits to the branch, and it may be killed at any moment:
    so nobody else can be relied on to clean up. A folder that belongs to nothing is left alone.
    """
    for folder in sorted((settings.FLOWER.home / "scratch").glob("*-*")):
        *main, number, attempt = folder.name.split("-")
        if not (number.isdigit() and attempt.isdigit()) or main not in ([], ["main"]):
            continue
        project = _done_with(int(number), int(attempt), of_main=bool(main))
        if project is None:
            continue
        running = Process.objects.filter(cwd=str(folder)).exclude(phase__in=Process.ENDED)
        if running:
            for process in running:
                _stop(process)
            continue  # its output and its end are still written; the next sweep takes the folder
        remove_scratch(project, folder)


def _stop(process: Process) -> None:
    """Stop a gate that nobody waits for: whoever ended its request has stopped it, else it is flower itself."""
    request = DispatchRequest.objects.select_related("ended_by").filter(pk=process.run or 0).first()
    if request is not None and request.ended_by is not None:
        processes.stop(process, actor=request.ended_by, why=f"dispatch {request.pk} is {request.state}")
    else:
        processes.stop(process, why="nobody waits for what it says any more")


def _done_with(number: int, attempt: int, *, of_main: bool) -> Project | None:
    """The project of a scratch worktree that nobody needs any more."""
    if of_main:
        check = MainCheck.objects.select_related("project").filter(pk=number).first()
        if check is None or (check.attempt == attempt and _is_awaited(check)):
            return None
        return check.project
    request = DispatchRequest.objects.select_related("project").filter(pk=number).first()
    if request is None or (request.state == State.MERGING and request.merge_attempt == attempt):
        return None
    return request.project


def _is_awaited(check: MainCheck) -> bool:
    """Whether somebody waits for what the gates say of a commit of the main branch."""
    merging = DispatchRequest.objects.filter(project=check.project, state=State.MERGING, target_sha=check.sha)
    return check.moves.filter(gates=MainMove.Gates.RUNNING).exists() or merging.exists()


def _make(job: Job, ordinal: int, command: str) -> GateRun:
    with transaction.atomic():
        process = processes.create(
            Process.Purpose.GATE,
            command=command,
            cwd=job.scratch,
            project=job.project,
            brief=job.brief,
            run=job.dispatch,
        )
        return GateRun.objects.create(**job.owner, ordinal=ordinal, command=command, tree=job.commit, process=process)


def _look_after(run: GateRun, seconds: float) -> None:
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
        record_end(run)


def record_end(run: GateRun) -> None:
    """Write down how a gate ended."""
    process = run.process
    run.passed = process is not None and process.exit_code == 0
    run.judged = process is not None and not (process.error or process.reason == "stopped")
    if process is not None and process.phase == Process.Phase.LOST:
        run.judged = False
    run.why = _gate_verdict(run)[:200] if process is not None else "was not run"
    run.tail = processes.tail(process, record.TAIL_BYTES) if process is not None else ""
    run.ended_at = process.ended_at if process is not None else timezone.now()
    run.save(update_fields=["passed", "judged", "why", "tail", "ended_at"])


def _gate_verdict(run: GateRun) -> str:
    process = run.process
    assert process is not None
    if process.reason == "time limit":
        return f"ran longer than its limit of {run.project.gate_seconds:,} s"
    if process.reason == "stopped":
        return f"was stopped by {process.stopped_by.ref}" if process.stopped_by else "was stopped"
    if process.phase == Process.Phase.LOST:
        return "was lost with its holder"
    return process.error or f"exited with {process.exit_code}" if process.exit_signal is None else process.state
