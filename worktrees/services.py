"""Worktrees: made, filled, prepared and removed. Each step may be repeated after any crash and goes on where it was.

Slow work (git, the setup command) stays outside transactions; the row says what is wanted and how far it got.
Nothing here waits long for its turn: what finds the repository or all places taken gives its thread back, and the next
sweep tries again. Else a few slow checkouts would hold every thread of the worker, the sweep's too.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from briefs import trace
from briefs.models import Actor, Brief, Project
from briefs.services import actors
from core import live
from core.errors import Conflict, Invalid
from core.lifecycle import table
from core.refnames import why_no_branch
from daemons import leftovers
from daemons.leftovers import Leftover
from daemons.models import Process
from daemons.services import processes
from daemons.terminal import HolderError
from worktrees import captures, git, ignored
from worktrees.ignored import Ignored
from worktrees.models import Worktree

State = Worktree.State
HALF_MADE: Final = frozenset({State.CREATING, State.PREPARING})
BRANCH_PREFIX: Final = "flower"  # of agents' branches, where no branch of that name is in the way
SETUP_SECONDS: Final = 1800.0  # time limit of a project's setup command
SETUP_CHANGES: Final = 200  # files that are noted as changed by it
BUSY_SECONDS: Final = 2.0  # how long a step waits for somebody else's work in the repository
TIDY_SECONDS: Final = 15.0  # how long one request for all that hold nothing asks git
LONG_AT_ONCE: Final = 2  # checkouts and removals that one process works on: each holds a thread, for minutes maybe
PACKET: Final = ".flower/packet.md"  # below the worktree, kept out of git: of the request that began there last

WORKTREE: Final = table(
    "worktree",
    {
        State.CREATING: {State.PREPARING, State.FAILED, State.REMOVING},
        State.PREPARING: {State.READY, State.FAILED, State.REMOVING},
        State.READY: {State.REMOVING},
        State.FAILED: {State.REMOVING},
        State.REMOVING: {State.REMOVED},
        State.REMOVED: set(),
    },
)


def check_repository(path: Path, main_branch: str) -> str:
    """For briefs.services.projects: refuse what agents cannot work on; returns the main branch."""
    try:
        repository = git.Repository(path)
        problems = repository.validate(main_branch or "HEAD")
        if not main_branch and repository.path.is_dir() and all("branch" in problem for problem in problems):
            main_branch = repository.head_branch() or ""
            if not main_branch:
                raise Invalid(f"{path} has no branch checked out; say which branch is the main one.")
            problems = repository.validate(main_branch)
        if problems:
            raise Invalid(_sentence(problems[0], path))
    except (git.GitError, OSError) as error:  # the latter: a path that is too long for this system
        raise Invalid(_sentence(str(error), path)) from error
    return main_branch


def _sentence(text: str, path: Path) -> str:
    """git's words as one sentence for the reader, who need not read a very long path again."""
    named = str(path)
    if len(named) > 200:
        text = text.replace(named, f"{named[:100]}…{named[-40:]}")
    return text[:1].upper() + text[1:].rstrip(".") + "."


def check_prefix(path: Path, prefix: str) -> str:
    """For briefs.services.projects: what the names of branches for agents begin with; "" has one chosen.

    git has no branch ``flower/12-x`` where there is a branch ``flower``. Raises Invalid for a prefix that cannot be.
    """
    try:
        taken = git.Repository(path).branches()
    except git.GitError as error:
        raise Invalid(str(error)) from error
    if prefix:
        check_new_branch(taken, f"{prefix}/1-work")
        return prefix
    numbered = (f"{BRANCH_PREFIX}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([BRANCH_PREFIX], numbered) if not _obstacle(taken, f"{name}/1-work"))


def branch_prefix(project: Project, taken: Collection[str]) -> str:
    """What the names of a project's new branches begin with: another prefix, kept, when it cannot be used any more.

    ``taken`` are the branches that there are.
    """
    if _obstacle(taken, f"{project.branch_prefix}/1-work"):
        prefix = check_prefix(project.path, "")
        Project.objects.filter(pk=project.pk, branch_prefix=project.branch_prefix).update(branch_prefix=prefix)
        project.refresh_from_db(fields=["branch_prefix"])
    return project.branch_prefix


def check_new_branch(taken: Collection[str], branch: str) -> None:
    """Refuse a name that no new branch can have, beside those that are ``taken``. Raises Invalid with the reason."""
    if why := why_no_branch(branch):
        raise Invalid(f"'{branch}' is no name for a branch: {why}.")
    if branch in taken:
        raise Invalid(f"There is a branch {branch} already; name another one.")
    if other := _obstacle(taken, branch):
        raise Invalid(f"There is a branch {other}, so git can have none named {branch}; name another one.")


def _obstacle(taken: Collection[str], branch: str) -> str:
    """The branch that keeps git from having this one: for git they are a file and a folder of one name."""
    above = (branch[:at] for at, letter in enumerate(branch) if letter == "/")
    return next((name for name in above if name in taken), "") or next(
        (name for name in taken if name.startswith(f"{branch}/")), ""
    )


def warnings(path: Path) -> list[str]:
    """For briefs.services.projects: what of a repository will make agents fail in it, though it can be worked on."""
    missing = git.Repository(path).missing_identity()
    if not missing:
        return []
    return [
        f"Git does not know who commits in {path}: {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not "
        f'set, so agents cannot commit there. Set it: git config --global {missing[0]} "…".'
    ]


def configured_programs(path: Path) -> dict[str, str]:
    """For briefs.services.projects: the filters and merge drivers that git's configuration names in a repository."""
    try:
        return git.Repository(path).configured_programs()
    except git.GitError as error:
        raise Invalid(str(error)) from error


def repository(project: Project) -> git.Repository:
    return git.Repository(project.path, allowed=project.git_programs)


_long: Final = threading.BoundedSemaphore(LONG_AT_ONCE)


@contextlib.contextmanager
def long_work() -> Iterator[None]:
    """Take one of this process's places for work that may hold a thread for minutes; raises LockBusy at once."""
    if not _long.acquire(blocking=False):
        raise git.LockBusy(f"{LONG_AT_ONCE} other worktrees are filled or removed just now")
    try:
        yield
    finally:
        _long.release()


def fill(repo: git.Repository, path: Path, sha: str) -> None:
    """Check the files of a commit out into a registered worktree, when there is a place for that now; else LockBusy."""
    with long_work():
        repo.fill_worktree(path, sha, patience=BUSY_SECONDS)


def fill_submodules(repo: git.Repository, project: Project, path: Path, beside: Worktree | None = None) -> None:
    """Check the submodules of a filled worktree out, if the project wants that and there is a place now; else LockBusy.

    They come from MAIN, or from the worktree ``beside``, as far as these have them. Raises git.SubmoduleFailed.
    """
    if project.submodules and repo.has_submodules(path):
        there = beside is not None and beside.state == State.READY and beside.checkout.is_dir()
        with long_work():
            repo.prepare_submodules(path, beside=beside.checkout if beside and there else None, patience=BUSY_SECONDS)


def branch_name(brief: Brief, ordinal: int, prefix: str = BRANCH_PREFIX) -> str:
    """``flower/12-fix-login`` for a brief's first branch, ``flower/12-fix-login-2`` for the second."""
    words = re.sub(r"[^a-z0-9]+", "-", brief.title.lower()).strip("-")[:40].strip("-") or "work"
    return f"{prefix}/{brief.pk}-{words}" + (f"-{ordinal}" if ordinal > 1 else "")


def place(project: Project, name: str) -> Path:
    """Where a worktree of that name lies: in the state folder, away from MAIN."""
    return settings.FLOWER.home / "worktrees" / project.slug / name


def plan(
    project: Project, name: str, branch: str, base_sha: str, *, actor: Actor, brief: Brief | None = None, keep: str = ""
) -> Worktree:
    """Make the row; ``advance`` does the rest. Raises Conflict when a worktree of that path is known already."""
    path = place(project, name)
    if Worktree.objects.filter(path=str(path)).exists():
        raise Conflict(f"There is a worktree at {path} already.")
    return Worktree.objects.create(
        project=project,
        brief=brief,
        name=name,
        path=str(path),
        branch=branch,
        base_sha=base_sha,
        keep=keep or Worktree.Keep.EPHEMERAL,
        created_by=actor,
    )


def advance(worktree: Worktree) -> Worktree:
    """Bring a worktree as far as it can go now: created, filled, set up, ready; or failed, with the reason.

    Call it again until it is ready or failed: a running setup command is not waited for.
    """
    try:
        if worktree.state == State.CREATING:
            _create(worktree)
            _move(worktree, State.PREPARING)
        if worktree.state == State.PREPARING:
            _prepare(worktree)
    except git.LockBusy:
        pass  # somebody has the repository (a long refresh of MAIN), or all places are taken; the next call goes on
    except git.SubmoduleFailed as error:
        why = _sentence(str(error), worktree.project.path)
        _fail(worktree, f"{why} If agents can do without, switch submodules off on the projects page.")
    except git.GitError as error:
        _fail(worktree, str(error))
    except HolderError as error:
        _fail(worktree, f"The setup command was not started: {error}")
    return worktree


def abandon(worktree: Worktree, why: str, *, actor: Actor | None = None) -> None:
    """Give up a worktree that nobody waits for any more: its setup command is stopped, then it has failed.

    ``actor`` is who ended what it was made for (None: flower itself). Call it again until it has: a command that is
    being stopped is not waited for. One that is ready stays as it is.
    """
    if worktree.state not in HALF_MADE:
        return
    process = worktree.setup_process
    if process is not None and not processes.observe(process).has_ended:
        processes.stop(process, actor=actor, why=why)
        return
    _fail(worktree, why)


def _create(worktree: Worktree) -> None:
    repo = repository(worktree.project)
    owner = _owner(worktree)
    worktree.checkout.parent.mkdir(parents=True, exist_ok=True)
    with repo.lock(BUSY_SECONDS):
        repo.create_branch(worktree.branch, worktree.base_sha, owner)
        repo.add_worktree(worktree.checkout, worktree.branch, owner)
    fill(repo, worktree.checkout, worktree.base_sha)
    with repo.lock(BUSY_SECONDS):
        if worktree.brief_id:
            repo.install_hook(worktree.checkout, _trailer(worktree.brief_id))
        repo.exclude(worktree.checkout, "/.flower/")


def _owner(worktree: Worktree) -> str:
    """What marks its branch and its register entry as made by flower for this row."""
    return f"worktree {worktree.pk}"


def _trailer(brief: int) -> str:
    return f"Brief: #{brief}"


def reuse(worktree: Worktree, brief: int) -> None:
    """Have commits that are made in a ready worktree from now on name this brief, not the one it was made for.

    Raises GitError: LockBusy when somebody has the repository for longer than we wait.
    """
    repo = repository(worktree.project)
    with repo.lock():
        repo.check_owner(worktree.checkout, _owner(worktree))
        repo.install_hook(worktree.checkout, _trailer(brief))


def _prepare(worktree: Worktree) -> None:
    command = worktree.project.setup_command
    if worktree.setup_process is None:  # else they were made ready before it was started, and somebody is at work there
        fill_submodules(repository(worktree.project), worktree.project, worktree.checkout)
    if not command:
        _move(worktree, State.READY)
        return
    process = worktree.setup_process or _setup_process(worktree, command)
    # The setup command is the operator's own text, meant for the shell; nothing from agents goes into it.
    processes.launch(process, ["/bin/sh", "-c", command], env=processes.UNATTENDED, time_limit=SETUP_SECONDS)
    if not process.has_ended:
        return
    if process.exit_code == 0:
        _note_setup_changes(worktree)
        _move(worktree, State.READY)
    else:
        why = process.error or ("it ran too long" if process.reason == "time limit" else f"it {process.state}")
        _fail(worktree, f"The setup command '{command}' failed: {why}.", tail=processes.tail(process, 4000))


def _note_setup_changes(worktree: Worktree) -> None:
    """Keep which files the setup command has left changed, before an agent is blamed for them; told once a worktree."""
    names = repository(worktree.project).status(worktree.checkout).changed[:SETUP_CHANGES]
    Project.objects.filter(pk=worktree.project_id).update(setup_changes=names)
    if not names:
        return
    with transaction.atomic():
        rows = Worktree.objects.filter(pk=worktree.pk, state=State.PREPARING, setup_changes=[])
        if rows.update(setup_changes=names) != 1 or worktree.brief is None:
            return
        data = {"worktree": worktree.name, "state": "setup_changes", "files": names}
        body = (
            f"The setup command has changed {git.errors.named(names)}: whoever works here has to commit that, or take "
            f"it back, before the work can be completed. It is `{worktree.project.setup_command.replace('`', ' ')}`."
        )
        trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actors.system(), body=body, data=data)


def _setup_process(worktree: Worktree, command: str) -> Process:
    with transaction.atomic():
        process = processes.create(
            Process.Purpose.SETUP,
            command=command,
            cwd=worktree.checkout,
            project=worktree.project,
            brief=worktree.brief,
        )
        worktree.setup_process = process
        worktree.save(update_fields=["setup_process"])
    return process


def _move(worktree: Worktree, to: str, *, actor: Actor | None = None, gone: Ignored | None = None) -> None:
    """The one place where a worktree's state changes: conditional, on the trace of its brief, announced."""
    WORKTREE.check(f"Worktree {worktree.name}", worktree.state, to)
    values: dict[str, object] = {"state": to}
    if to == State.READY:
        values["ready_at"] = timezone.now()
    if to == State.REMOVED:
        values["removed_at"] = timezone.now()
    with transaction.atomic():
        if Worktree.objects.filter(pk=worktree.pk, state=worktree.state).update(**values) != 1:
            raise Conflict(f"Worktree {worktree.name} was changed by somebody else a moment ago.")
        if worktree.brief and (actor or to in {State.READY, State.REMOVED}):
            data: dict[str, object] = {"worktree": worktree.name, "state": to, "branch": worktree.branch}
            data["path"] = worktree.path
            body = _told_of_ignored(worktree, gone, data) if gone else ""
            trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor or actors.system(), body=body, data=data)
    worktree.refresh_from_db()
    live.publish(live.BOARD, "worktree.changed", worktree=worktree.pk)


def _told_of_ignored(worktree: Worktree, gone: Ignored, data: dict[str, object]) -> str:
    """What the trace says of the ignored files of a worktree that is gone; ``data`` gets their number and names."""
    if not gone.files:
        return ""
    kept = Worktree.objects.values_list("kept_files", "kept_folder").get(pk=worktree.pk)
    data |= {"ignored": gone.files, "ignored_names": list(gone.shown), "kept": kept[0]}
    count = f"{'' if gone.is_all else 'Over '}{gone.files:,} ignored file{'' if gone.files == 1 else 's'}"
    names = git.errors.named([f"`{git.readable(name).replace('`', ' ')}`" for name in gone.names])
    told = f"{count} went with worktree {worktree.name}: {names}."
    return f"{told} Kept of them: {kept[0]:,} in `{kept[1]}`." if kept[0] else told


def _fail(worktree: Worktree, why: str, *, tail: str = "") -> None:
    WORKTREE.check(f"Worktree {worktree.name}", worktree.state, State.FAILED)
    rows = Worktree.objects.filter(pk=worktree.pk, state=worktree.state)  # somebody may take it away by now
    rows.update(state=State.FAILED, failure=f"{why}\n\n{tail}".strip())
    worktree.refresh_from_db()


Guard = Callable[[Worktree], str | None]
_guards: list[Guard] = []


def guard(check: Guard) -> Guard:
    """Register a reason of a higher room to keep a worktree: a sentence, or None when it may go."""
    _guards.append(check)
    return check


def ask_removal(worktree: Worktree, *, actor: Actor) -> Worktree:
    """Say that a worktree shall go; a task takes it away. Raises Conflict while somebody works there.

    Asking again, after a removal that could not be done, has it tried again.
    """
    if worktree.state == State.REMOVED:
        return worktree
    if worktree.state == State.REMOVING:
        Worktree.objects.filter(pk=worktree.pk).update(failure="")
        live.kick("worktrees.tasks.remove", worktree.pk)
        return worktree
    for check in _guards:
        if reason := check(worktree):
            raise Conflict(reason)
    for process in Process.objects.filter(cwd=worktree.path).exclude(phase__in=Process.ENDED):
        if not processes.give_up(process).has_ended:
            does = "may be starting" if process.phase == Process.Phase.STARTING else "still runs"
            raise Conflict(f"Process {process.pk} {does} in worktree {worktree.name}; stop it first, or wait.")
    with transaction.atomic():
        Worktree.objects.filter(pk=worktree.pk).update(failure="")
        _move(worktree, State.REMOVING, actor=actor)
    live.kick("worktrees.tasks.remove", worktree.pk)
    return worktree


@dataclass(frozen=True)
class Tidied:
    """What became of asking for all that hold nothing: how many go, hold work and stay, or were not looked at yet."""

    going: int
    kept: int
    unseen: int


def remove_empty(rows: QuerySet[Worktree], *, actor: Actor, seconds: float = TIDY_SECONDS) -> Tidied:
    """Ask for the removal of all ephemeral worktrees among ``rows`` that nobody works in and that hold nothing.

    git is asked of each, for at most ``seconds`` in all. Their branches stay, and each removal still captures first.
    """
    going = kept = 0
    deadline = time.monotonic() + seconds
    idle = [worktree for worktree in idle_among(rows) if is_idle(worktree)]
    for worktree in idle:
        if time.monotonic() > deadline:
            break
        try:
            if holds_nothing(worktree):
                ask_removal(worktree, actor=actor)
                going += 1
                continue
        except Conflict:
            pass  # somebody began to work there in this moment
        kept += 1
    return Tidied(going, kept, len(idle) - going - kept)


def idle_among(rows: QuerySet[Worktree]) -> QuerySet[Worktree]:
    """Those that were made for one piece of work and may be removed, as far as their rows tell."""
    return rows.filter(keep=Worktree.Keep.EPHEMERAL, state__in=[State.READY, State.FAILED]).order_by("pk")


def is_idle(worktree: Worktree) -> bool:
    """Whether no higher room keeps it, and no process runs there."""
    running = Process.objects.filter(cwd=worktree.path).exclude(phase__in=Process.ENDED)
    return not any(check(worktree) for check in _guards) and not running.exists()


def holds_nothing(worktree: Worktree) -> bool:
    """Whether a checkout has no uncommitted work, and no commit that is not on MAIN's branch or captured already.

    What git cannot say, and a folder that is missing (its disk may come back), is taken for work.
    """
    if not worktree.checkout.is_dir():
        return worktree.state == State.FAILED  # it was never made
    repo = repository(worktree.project)
    try:
        found = repo.status(worktree.checkout)
        if not found.clean or found.in_progress or found.head is None:
            return False
        known = [worktree.base_sha, worktree.project.main_branch, worktree.captured_sha]
        return any(repo.is_ancestor(found.head, commit) for commit in known if commit)
    except (git.GitError, OSError):
        return False


def remove(worktree: Worktree, *, actor: Actor) -> Worktree:
    """Take a worktree away. Uncommitted, untracked and unmerged work is captured under a private ref first.

    Raises Conflict when a process still runs there, or when git refuses; the reason is kept with the row.
    """
    if worktree.state == State.REMOVED:
        return worktree
    if worktree.state != State.REMOVING:
        ask_removal(worktree, actor=actor)
    repo = repository(worktree.project)
    gone = Ignored()
    try:
        with long_work():
            _end_leftovers(worktree, actor)
            with repo.lock(BUSY_SECONDS):
                repo.check_owner(worktree.checkout, _owner(worktree))
                if worktree.checkout.is_dir():
                    gone = _save(repo, worktree, actor)
                repo.remove_worktree(worktree.checkout)
    except git.LockBusy as error:
        raise Conflict(f"Worktree {worktree.name} was not removed: {error}") from error  # the next sweep tries again
    except (git.GitError, OSError, Conflict) as error:
        why = f"Worktree {worktree.name} was not removed: {error}"
        note_stuck_removal(worktree, why, actor=actor)
        raise Conflict(why) from error
    _move(worktree, State.REMOVED, gone=gone)
    return worktree


def note_stuck_removal(worktree: Worktree, why: str, *, actor: Actor) -> None:
    """Keep why a worktree could not be removed, and tell it on its brief: once for each time that it is asked for."""
    with transaction.atomic():
        rows = Worktree.objects.filter(pk=worktree.pk, state=State.REMOVING)
        is_new = rows.filter(failure="").update(failure=why) == 1
        if not is_new:
            rows.update(failure=why)
        elif worktree.brief:
            data = {"worktree": worktree.name, "state": "stuck", "path": worktree.path}
            body = f"{why.rstrip('.')}. It stays at `{worktree.path}`; put that right, then remove it on its page."
            trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor, body=body, data=data)
    worktree.refresh_from_db()
    live.publish(live.BOARD, "worktree.changed", worktree=worktree.pk)


def _save(repo: git.Repository, worktree: Worktree, actor: Actor) -> Ignored:
    """Capture what git can, copy the ignored files that are kept, and discard the rest; returns what was ignored."""
    inner = repo.inner_repositories(worktree.checkout)
    for one in repo.capture_inner(worktree.checkout, inner, captures.inner_refs_of(worktree)):
        captures.record(worktree, one.path, one.git_dir, one.ref, one.sha, actor=actor)
    ref, main, inside = captures.ref_of(worktree), worktree.project.main_branch, [one.path for one in inner]
    sha = repo.capture(worktree.checkout, ref, merged_into=main, inside=inside)
    if sha and sha != worktree.captured_sha:
        Worktree.objects.filter(pk=worktree.pk).update(captured_sha=sha)
        captures.record(worktree, "", repo.common_dir, ref, sha, actor=actor)
    found = ignored.look(worktree)
    kept = ignored.keep(worktree)
    if kept.files:
        Worktree.objects.filter(pk=worktree.pk).update(kept_folder=kept.folder, kept_files=kept.files)
    repo.discard_inner(worktree.checkout, inner)
    repo.discard_changes(worktree.checkout)
    return found


def leftovers_of(worktree: Worktree) -> list[Leftover]:
    """What goes on in a worktree in which no process of flower runs and no request is active."""
    return leftovers.find([worktree.path]) if is_idle(worktree) else []


def leftovers_among(rows: Sequence[Worktree]) -> dict[int, list[Leftover]]:
    """The same for many worktrees, by their numbers: /proc is read once."""
    there = {row.path: row for row in rows if row.state not in HALF_MADE}
    found: dict[int, list[Leftover]] = {}
    for one in leftovers.find(there):
        found.setdefault(there[one.folder].pk, []).append(one)
    return {row.pk: found[row.pk] for row in rows if row.pk in found and is_idle(row)}


@dataclass(frozen=True)
class Held:
    """What a worktree holds that a removal would capture, or that would go with it. ``why_not``: git could not say."""

    changed: list[str]
    inner: list[str]
    ignored: Ignored
    to_keep: list[str]
    unmerged: int = 0
    why_not: str = ""


def look(worktree: Worktree) -> Held | None:
    """Look into a worktree before it is removed; None when its folder is not there."""
    if worktree.state in {State.REMOVED, State.CREATING} or not worktree.checkout.is_dir():
        return None
    repo = repository(worktree.project)
    try:
        status = repo.status(worktree.checkout)
        main = worktree.project.main_branch
        unmerged = repo.count_commits(main, status.head) if status.head else 0
        inner = [git.readable(one.path) for one in repo.inner_repositories(worktree.checkout)]
        kept = [git.readable(name) for name in ignored.matching(worktree)]
        return Held(status.changed, inner, ignored.look(worktree), kept, unmerged)
    except (git.GitError, OSError, Conflict) as error:
        return Held([], [], Ignored(), [], why_not=str(error))


def _end_leftovers(worktree: Worktree, actor: Actor) -> None:
    """End what agents left running there, before the folder goes. Raises Conflict when something does not end."""
    ended: list[Leftover] = []
    for _ in range(3):  # what is ended may have started more
        found = [one for one in leftovers.find([worktree.path]) if not one.is_persons]
        if not found:
            break
        ended += leftovers.end(found)
    else:
        if found := [one for one in leftovers.find([worktree.path]) if not one.is_persons]:
            raise Conflict(f"process {found[0].pid} ({found[0].command}) still runs in it and does not end")
    if ended and worktree.brief:
        rows = [{"pid": one.pid, "command": one.command} for one in ended]
        data = {"worktree": worktree.name, "state": "leftovers", "ended": rows}
        names = git.errors.named([f"`{one.command.replace('`', ' ')}` ({one.pid})" for one in ended])
        body = f"Programs that were left running in worktree {worktree.name} were ended: {names}."
        trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor, body=body, data=data)


def write_packet(worktree: Worktree, text: str, dispatch: int | None = None) -> Path:
    """Put an agent's packet into its worktree, where git does not see it; returns its path.

    With the number of its ``dispatch`` it is a file of that one's own, since several agents may work there.

    What the repository brings under that name may lead anywhere, so no link is followed: neither the worktree's folder
    nor `.flower` may be one, and the text goes to a new file that is then renamed. Raises Conflict when it cannot be.
    """
    path = worktree.checkout / PACKET
    if dispatch is not None:
        path = path.with_name(f"packet-{dispatch}.md")
    temporary = f"packet-{secrets.token_hex(8)}.tmp"
    try:
        with _folder(worktree.checkout) as top:
            with contextlib.suppress(FileExistsError):
                os.mkdir(path.parent.name, dir_fd=top)
            with _folder(path.parent.name, top) as folder:
                new = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
                try:
                    with open(new, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
                        stream.write(text)
                    os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    os.unlink(temporary, dir_fd=folder)
                    raise
    except OSError as error:
        raise Conflict(
            f"The packet cannot be written to {path}: {error.strerror or error}. "
            "Its folder must be a plain one, not a link or a file that the repository brings."
        ) from error
    return path


@contextlib.contextmanager
def _folder(path: str | Path, above: int | None = None) -> Iterator[int]:
    """A descriptor of a folder that is no link; ``path`` is relative to the folder ``above``, if given."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
