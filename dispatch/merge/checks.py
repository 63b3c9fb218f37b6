"""What the project's gates say of a commit of the main branch itself, asked once and kept.

Two want to know: whoever finds that the branch moved outside of flower, and a merge whose gate is red, since a gate
that is red without the work, too, is not the work's fault. Both come here, again and again until there is an answer;
what ran already, also as the merge that made the commit, is not run again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from django.conf import settings
from django.db.models import F, Q, QuerySet

from briefs.models import Project
from dispatch.merge import gates
from dispatch.models import GateRun, MainCheck, MainMove
from worktrees import git

TRIES: Final = 3  # of a gate that is lost or stopped, which says nothing of the commit


def judge(project: Project, repository: git.Repository, sha: str) -> gates.Outcome:
    """How the project's gates are on a commit, as far as they got. Without gates every commit is green."""
    for command in project.gates:
        run = run_of(project, repository, sha, command)
        if run is None or not run.passed:
            return gates.Outcome(running=run is None, red=run)
    return gates.Outcome()


def run_of(project: Project, repository: git.Repository, sha: str, command: str) -> GateRun | None:
    """The run that tells how one gate is on a commit, started here when there is none yet. None while it runs."""
    if kept := _kept(project, sha, command):
        return kept
    check, _ = MainCheck.objects.get_or_create(project=project, sha=sha)
    try:
        with git.locks.held(_lock(check), timeout=0.2, busy=f"the gates on {sha[:12]} are looked after"):
            return _advance(check, repository, command)
    except git.LockBusy:
        return None  # by somebody else, or the repository is busy: asked again


def _advance(check: MainCheck, repository: git.Repository, command: str) -> GateRun | None:
    check.refresh_from_db()
    owner = {"main_check": check, "attempt": check.attempt}
    scratch = settings.FLOWER.home / "scratch" / f"main-{check.pk}-{check.attempt}"
    job = gates.Job(check.project, check.sha, scratch, owner)
    runs = list(job.runs)
    mine = [run for run in runs if run.command == command]
    if len(mine) >= TRIES and mine[-1].passed is not None:
        return mine[-1]
    goes_on = bool(mine) and mine[-1].passed is None
    run = gates.advance(job, repository, mine[-1].ordinal if goes_on else len(runs) + 1, command)
    return run if run.passed is not None and (run.judged or len(mine) >= TRIES) else None


def _lock(check: MainCheck) -> Path:
    folder = settings.FLOWER.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"main-check-{check.pk}"


def _runs(project: Project, command: str) -> QuerySet[GateRun]:
    """Every run of a gate that counts, the newest first: those of merges, and the last tries on the branch itself."""
    last_try = Q(main_check__project=project, attempt=F("main_check__attempt"))
    rows = GateRun.objects.filter(last_try | Q(request__project=project), command=command, judged=True)
    return rows.exclude(passed=None).order_by("-pk")


def _kept(project: Project, sha: str, command: str) -> GateRun | None:
    return _runs(project, command).filter(tree=sha).first()


def known_red(project: Project, sha: str) -> GateRun | None:
    """The first gate that is known to be red on a commit. Starts nothing: what did not run yet is not red."""
    runs = (_kept(project, sha, command) for command in project.gates)
    return next((run for run in runs if run is not None and not run.passed), None)


def red_since(project: Project, run: GateRun) -> str:
    """The first commit of the main branch on which a gate that is red now was red, as far as flower knows."""
    landed = Q(request__merge_sha=F("tree"), passed=True)  # a red merge never came to the branch
    on_main = _runs(project, run.command).filter(Q(request=None) | landed, pk__lte=run.pk)
    since = run.tree
    for tree, passed in on_main.values_list("tree", "passed")[:1000]:
        if passed:
            break
        since = tree
    return since


def again(project: Project, sha: str) -> int:
    """Have the gates that were red on a commit run once more; 0 when none was. Somebody says that it is worth it."""
    count = 0
    for check in MainCheck.objects.filter(project=project, sha=sha, gate_runs__passed=False).distinct():
        if MainCheck.objects.filter(pk=check.pk, attempt=check.attempt).update(attempt=F("attempt") + 1):
            check.moves.filter(gates=MainMove.Gates.RED).update(gates=MainMove.Gates.RUNNING)
            count += 1
    return count
