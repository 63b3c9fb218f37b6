"""The project's gates, in holders on a scratch worktree of the merged tree."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from daemons.models import Process
from daemons.services import processes
from dispatch.merge import record
from dispatch.models import DispatchRequest, GateRun, State
from worktrees import git
from worktrees import services as worktrees

log = structlog.stdlib.get_logger(__name__)
_told: Final[set[Path]] = set()  # folders that could not be removed: said once, not with every sweep

GATE_POLL_SECONDS: Final = 2.0  # how long one task waits for a gate; a longer one is looked at by the sweep


def passed(request: DispatchRequest, repository: git.Repository) -> bool:
    """Run the project's gates on the merged tree, one after another. False while one runs, or when one failed."""
    assert request.project is not None
    gates: list[str] = request.project.gates
    run_so_far = list(request.gate_runs.filter(attempt=request.merge_attempt).order_by("ordinal"))
    if [run.command for run in run_so_far] != gates[: len(run_so_far)]:
        _begin_again(request)  # somebody edited the gates: what ran so far says nothing of those that count now
        run_so_far = []
    if not gates:
        return True
    scratch = scratch_folder(request)
    if not run_so_far or not scratch.is_dir():
        scratch.parent.mkdir(parents=True, exist_ok=True)
        with repository.lock(worktrees.BUSY_SECONDS):
            repository.add_scratch(scratch, request.merge_sha)  # again, too: git may have been killed half-way
        worktrees.fill(repository, scratch, request.merge_sha)
        worktrees.fill_submodules(repository, request.project, scratch, beside=request.worktree)
    for ordinal, command in enumerate(gates, 1):
        if not DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING).exists():
            return False  # called off
        run = _gate_run(request, ordinal, command, scratch)
        if run.passed is None:
            _run_gate(run, request.project.gate_seconds)
        if run.passed is None:
            return False  # still running
        if not run.passed:
            record.refuse(
                request,
                record.NotMerged.GATE,
                f"Gate {ordinal} of {len(gates)} is red: `{command}` {run.why}.",
                tail=run.tail,
            )
            return False
    return True


def _begin_again(request: DispatchRequest) -> None:
    """A new attempt for the same merge commit. The old one's gates are stopped, and its folder goes, with the sweep."""
    rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING, merge_attempt=request.merge_attempt)
    rows.update(merge_attempt=F("merge_attempt") + 1)
    request.refresh_from_db()


def scratch_folder(request: DispatchRequest) -> Path:
    return settings.FLOWER.home / "scratch" / f"{request.pk}-{request.merge_attempt}"


def remove_scratch(request: DispatchRequest, scratch: Path) -> None:
    """Take a scratch worktree away. What cannot be deleted stays, and is tried again by the sweep: no merge waits."""
    assert request.project is not None
    repository = worktrees.repository(request.project)
    try:
        with worktrees.long_work(), repository.lock(worktrees.BUSY_SECONDS):
            repository.remove_scratch(scratch)
    except git.LockBusy:
        pass  # somebody has the repository, or all places are taken: the next sweep again
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
        remove_scratch(request, folder)


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
        record_end(run)


def record_end(run: GateRun) -> None:
    """Write down how a gate ended."""
    process = run.process
    run.passed = process is not None and process.exit_code == 0
    run.why = _gate_verdict(run)[:200] if process is not None else "was not run"
    run.tail = processes.tail(process, record.TAIL_BYTES) if process is not None else ""
    run.ended_at = process.ended_at if process is not None else timezone.now()
    run.save(update_fields=["passed", "why", "tail", "ended_at"])


def _gate_verdict(run: GateRun) -> str:
    process, project = run.process, run.request.project
    assert process is not None and project is not None
    if process.reason == "time limit":
        return f"ran longer than its limit of {project.gate_seconds:,} s"
    if process.reason == "stopped":
        return "was stopped"
    if process.phase == Process.Phase.LOST:
        return "was lost with its holder"
    return process.error or f"exited with {process.exit_code}" if process.exit_signal is None else process.state
