"""The main branch as git has it, compared with where flower last saw or put it.

Whoever moves it besides flower (an agent's ``update-ref``, a merge or a commit in MAIN, a person, a push) is noticed
by the sweep and by every merge: once as a ``MainMove``, once on the trace of each brief that it concerns. Then MAIN's
files are brought along where that overwrites nothing, and the project's gates run on the new tip.

Unchanged, a project costs one question to git. Every step may be repeated after a crash: the move is recorded in one
transaction with the new state, gates run in holders, and the files' target is kept before the first is written.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from briefs import trace
from briefs.models import Brief, Project
from briefs.services import actors
from core import live
from core.errors import Conflict
from dispatch.merge import checks
from dispatch.models import ACTIVE, DispatchRequest, MainCheck, MainMove, MainState, State
from worktrees import git
from worktrees import services as worktrees

log = structlog.stdlib.get_logger(__name__)
KEPT_COMMITS: Final = 20  # that a move names
READ_COMMITS: Final = 1_000  # whose trailers are looked at for briefs
TRY_FILES_EVERY: Final = timedelta(seconds=30)


# --- looking ----------------------------------------------------------------------------------------------------------


def sweep() -> list[int]:
    """Have every project looked at whose main branch, or whose files, are not as they were; returns their numbers."""
    found = [project.pk for project in Project.objects.select_related("main_state") if _needs_look(project)]
    for number in found:
        live.kick("dispatch.tasks.look_at_main", number)
    return found


def _needs_look(project: Project) -> bool:
    state = MainState.objects.filter(project=project).first()
    if state is None or MainMove.objects.filter(project=project, gates=MainMove.Gates.RUNNING).exists():
        return True
    if _files_are_due(state):
        return True
    try:
        return (project.main_branch, worktrees.repository(project).resolve(_ref(project))) != (state.branch, state.sha)
    except git.GitError:
        return False  # no such branch or repository now: whoever works there is told


def _ref(project: Project) -> str:
    return f"refs/heads/{project.main_branch}"


def look(number: int) -> None:
    """Bring all about one project's main branch as far as it can go now. Does nothing while somebody else does."""
    project = Project.objects.filter(pk=number).first()
    if project is None:
        return
    folder = settings.FLOWER.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    repository = worktrees.repository(project)
    try:
        with git.locks.held(folder / f"main-{number}", timeout=0.2, busy=f"the main branch of {project} is looked at"):
            state = observe(project, repository)
            if _files_are_due(state):
                bring_files(project, repository)
            _run_gates(project, repository)
    except git.LockBusy:
        return  # the sweep comes again
    except git.GitError as error:
        log.warning("the main branch cannot be looked at", project=project.slug, why=str(error))


def observe(project: Project, repository: git.Repository) -> MainState:
    """Where the main branch is now. What came to it outside of flower since the last look is recorded and told.

    Raises GitError when there is no such branch, LockBusy when somebody has the repository for longer than we wait.
    """
    tip = repository.resolve(_ref(project))
    state, _ = MainState.objects.get_or_create(
        project=project, defaults={"branch": project.main_branch, "sha": tip, "files_sha": tip}
    )
    if state.branch != project.main_branch:  # the project has another main branch now: nothing moved
        MainState.objects.filter(pk=state.pk).update(
            branch=project.main_branch, sha=tip, files_sha=tip, bringing_sha="", behind=""
        )
        state.refresh_from_db()
    if state.sha == tip:
        return state
    with repository.lock(worktrees.BUSY_SECONDS):  # a merge moves ref and row together under it
        tip = repository.resolve(_ref(project))
        state.refresh_from_db()
        old = _after_own_merges(project, repository, state.sha, tip)
        if old == tip:
            MainState.objects.filter(pk=state.pk, sha=state.sha).update(sha=tip)
        else:
            _record(state, project, repository, old, tip)
    state.refresh_from_db()
    return state


def remember(project: Project, repository: git.Repository) -> None:
    """Keep where the main branch is, if nobody has looked yet: before an agent can move it. Raises GitError."""
    if not MainState.objects.filter(project=project).exists():
        tip = repository.resolve(_ref(project))
        values = {"branch": project.main_branch, "sha": tip, "files_sha": tip}
        MainState.objects.get_or_create(project=project, defaults=values)


def note(project: Project, sha: str) -> None:
    """flower itself has put the branch, and MAIN's files with it, at a commit. Called under the repository's lock."""
    values = {"branch": project.main_branch, "sha": sha, "files_sha": sha, "bringing_sha": "", "behind": ""}
    MainState.objects.update_or_create(project=project, defaults=values)


def _after_own_merges(project: Project, repository: git.Repository, old: str, tip: str) -> str:
    """``old``, or the last merge of flower on top of it whose merger was killed before it could note that."""
    while True:
        ours = DispatchRequest.objects.filter(project=project, target_sha=old).exclude(merge_sha="")
        ours = ours.filter(Q(state=State.MERGING, landing=True) | Q(state=State.DONE))
        row = next((sha for sha in ours.values_list("merge_sha", flat=True) if repository.is_ancestor(sha, tip)), "")
        if not row:
            return old
        old = row


# --- recording --------------------------------------------------------------------------------------------------------


def _record(state: MainState, project: Project, repository: git.Repository, old: str, new: str) -> None:
    came, came_count = _commits(repository, old, new)
    gone, gone_count = _commits(repository, new, old)
    concerned = _concerned(project, repository, old, new, came, gone)
    with transaction.atomic():
        if MainState.objects.filter(pk=state.pk, sha=state.sha).update(sha=new) != 1:
            return  # somebody else noticed in this moment
        MainMove.objects.filter(project=project, gates=MainMove.Gates.RUNNING).update(
            gates=MainMove.Gates.PASSED_OVER, checked_at=timezone.now()
        )
        move = MainMove.objects.create(
            project=project,
            branch=project.main_branch,
            old_sha=old,
            new_sha=new,
            rewritten=gone_count > 0,
            commits=_kept(came),
            commit_count=came_count,
            dropped=_kept(gone),
            dropped_count=gone_count,
            authors=list(dict.fromkeys(commit.author for commit in came)),
            main_check=MainCheck.objects.get_or_create(project=project, sha=new)[0] if project.gates else None,
            gates=MainMove.Gates.RUNNING if project.gates else MainMove.Gates.NONE,
        )
        for number, what in sorted(concerned.items()):
            _tell(number, move, what)
    log.info("main moved outside of flower", project=project.slug, old=old[:12], new=new[:12], commits=came_count)


def _commits(repository: git.Repository, old: str, new: str) -> tuple[list[git.Commit], int]:
    """The newest commits that ``new`` has on top of ``old``, and how many there are; none when ``old`` is lost."""
    try:
        return repository.commits(old, new, limit=READ_COMMITS), repository.count_commits(old, new)
    except git.GitError:  # the old tip was pruned
        return [], 0


def _kept(commits: list[git.Commit]) -> list[list[str]]:
    return [[commit.sha, commit.subject[:200], commit.author[:100]] for commit in commits[:KEPT_COMMITS]]


def _concerned(
    project: Project,
    repository: git.Repository,
    old: str,
    new: str,
    came: list[git.Commit],
    gone: list[git.Commit],
) -> dict[int, dict[str, int]]:
    """The briefs whose commits came or went, by their trailers and by the branches of their active requests."""
    found: dict[int, dict[str, int]] = {}
    for how, commits in (("came", came), ("dropped", gone)):
        for number in (number for commit in commits for number in briefs_of(commit)):
            counts = found.setdefault(number, {"came": 0, "dropped": 0})
            counts[how] += 1
    known = set(Brief.objects.filter(pk__in=found, project=project).values_list("pk", flat=True))
    found = {number: counts for number, counts in found.items() if number in known}
    branches = repository.branches()
    rows = DispatchRequest.objects.filter(project=project, state__in=ACTIVE)
    for brief, branch, head, base in rows.values_list("brief", "branch", "head_sha", "base_sha"):
        tip = head or branches.get(branch, "")
        if brief in found or not tip or tip == base:
            continue
        if repository.is_ancestor(tip, new) and not repository.is_ancestor(tip, old):
            found[brief] = {"came": 1, "dropped": 0}
    return found


def briefs_of(commit: git.Commit) -> set[int]:
    """The briefs that a commit's trailers name."""
    values = (value.lstrip("#") for key, value in commit.trailers if key == "Brief")
    return {int(value) for value in values if value.isascii() and value.isdigit() and len(value) < 16}


def _tell(number: int, move: MainMove, counts: dict[str, int]) -> None:
    body = f"{move.sentence[:1].upper()}{move.sentence[1:]}"
    if counts["came"]:
        body += f" It brought work of this brief to {move.branch}, without flower's merge and its gates."
    if counts["dropped"]:
        body += f" Work of this brief is not on {move.branch} any more."
    data: dict[str, Any] = {
        "move": move.pk,
        "project": move.project.slug,
        "old": move.old_sha,
        "new": move.new_sha,
        "rewritten": move.rewritten,
        **counts,
    }
    trace.append(Brief(pk=number), trace.Kind.MAIN_MOVED, actor=actors.system(), body=body, data=data)


def check_again(project: Project) -> None:
    """Have the gates that were red on the main branch as it is run once more. Raises Conflict when none was."""
    state = MainState.objects.filter(project=project).first()
    if state is None or not checks.again(project, state.sha):
        raise Conflict(f"No gate was red on {project.main_branch} of {project.slug} as it is now.")
    live.kick("dispatch.tasks.look_at_main", project.pk)


# --- MAIN's files -----------------------------------------------------------------------------------------------------


def _files_are_due(state: MainState) -> bool:
    if state.files_sha == state.sha:
        return False
    return state.tried_at is None or not state.behind or timezone.now() - state.tried_at > TRY_FILES_EVERY


def bring_files(project: Project, repository: git.Repository) -> str:
    """Bring MAIN's files to where the branch is; returns why that cannot be done now, or nothing.

    Not where they are there already, where MAIN has something else checked out, and where a command in MAIN moved the
    branch: then the index is what whoever ran it wants it to be. Raises LockBusy.
    """
    with repository.lock(worktrees.BUSY_SECONDS):
        state = MainState.objects.get(project=project)
        if state.files_sha == state.sha or _is_landing(project, state.sha):
            return ""
        resuming = state.bringing_sha == state.sha
        rows = MainState.objects.filter(pk=state.pk)
        rows.update(bringing_sha=state.sha, tried_at=timezone.now())
        try:
            behind = _bring(state, repository, resuming=resuming)
        except git.LockBusy:
            raise
        except git.GitError as error:
            behind = str(error)
        if behind:
            rows.update(behind=behind[:500])
        else:
            rows.update(files_sha=state.sha, bringing_sha="", behind="")
        return behind


def _bring(state: MainState, repository: git.Repository, *, resuming: bool) -> str:
    if repository.head_branch() != state.branch:
        return ""  # git brings them along when the branch is checked out
    if not resuming and repository.moved_by_checkout(state.sha):
        return ""
    try:
        repository.refresh(state.branch, state.files_sha, state.sha, resuming=resuming)
    except git.InTheWay as error:
        return (
            f"MAIN's files are still those of {state.files_sha[:12]}, since {git.errors.named(error.files)} would be "
            f"overwritten. Commit, move or discard that: flower brings them to {state.sha[:12]} then."
        )
    return ""


def _is_landing(project: Project, sha: str) -> bool:
    """Whether a merge that flower has not finished yet put the branch there: it brings the files along itself."""
    return DispatchRequest.objects.filter(project=project, state=State.MERGING, landing=True, merge_sha=sha).exists()


# --- the gates on a new tip -------------------------------------------------------------------------------------------


def _run_gates(project: Project, repository: git.Repository) -> None:
    moves = MainMove.objects.filter(project=project, gates=MainMove.Gates.RUNNING)
    state = MainState.objects.get(project=project)
    moves.exclude(new_sha=state.sha).update(gates=MainMove.Gates.PASSED_OVER, checked_at=timezone.now())
    moves = moves.filter(new_sha=state.sha)
    if not moves.exists():
        return
    outcome = checks.judge(project, repository, state.sha)
    if not outcome.running:
        verdict = MainMove.Gates.RED if outcome.red else MainMove.Gates.GREEN
        moves.update(gates=verdict, checked_at=timezone.now())
