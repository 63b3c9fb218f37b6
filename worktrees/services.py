"""Worktrees: made, filled, prepared and removed. Each step may be repeated after any crash and goes on where it was.

Slow work (git, the setup command) stays outside transactions; the row says what is wanted and how far it got.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from briefs import trace
from briefs.models import Actor, Brief, Project
from briefs.services import actors
from daemons.models import Process
from daemons.services import processes
from daemons.terminal import HolderError
from flower import live
from flower.errors import Conflict, Invalid
from flower.lifecycle import table
from worktrees import git
from worktrees.models import Worktree

State = Worktree.State
SETUP_SECONDS: Final = 1800.0  # time limit of a project's setup command
PACKET: Final = ".flower/packet.md"  # below the worktree, kept out of git

WORKTREE: Final = table(
    "worktree",
    {
        State.CREATING: {State.PREPARING, State.FAILED},
        State.PREPARING: {State.READY, State.FAILED},
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
            raise Invalid(_sentence(problems[0]))
    except git.GitError as error:
        raise Invalid(_sentence(str(error))) from error
    return main_branch


def _sentence(text: str) -> str:
    """git's words as one sentence for the reader."""
    return text[:1].upper() + text[1:].rstrip(".") + "."


def repository(project: Project) -> git.Repository:
    return git.Repository(project.path)


def branch_name(brief: Brief, ordinal: int) -> str:
    """``flower/12-fix-login`` for a brief's first branch, ``flower/12-fix-login-2`` for the second."""
    words = re.sub(r"[^a-z0-9]+", "-", brief.title.lower()).strip("-")[:40].strip("-") or "work"
    return f"flower/{brief.pk}-{words}" + (f"-{ordinal}" if ordinal > 1 else "")


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
        pass  # somebody has the repository for longer than we wait (a long refresh of MAIN); the next call goes on
    except git.GitError as error:
        _fail(worktree, str(error))
    except HolderError as error:
        _fail(worktree, f"The setup command was not started: {error}")
    return worktree


def _create(worktree: Worktree) -> None:
    repo = repository(worktree.project)
    owner = _owner(worktree)
    worktree.checkout.parent.mkdir(parents=True, exist_ok=True)
    with repo.lock():
        repo.create_branch(worktree.branch, worktree.base_sha, owner)
        repo.add_worktree(worktree.checkout, worktree.branch, owner)
    repo.fill_worktree(worktree.checkout, worktree.base_sha)
    with repo.lock():
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
    if not command:
        _move(worktree, State.READY)
        return
    process = worktree.setup_process or _setup_process(worktree, command)
    # The setup command is the operator's own text, meant for the shell; nothing from agents goes into it.
    processes.launch(process, ["/bin/sh", "-c", command], env=processes.UNATTENDED, time_limit=SETUP_SECONDS)
    if not process.has_ended:
        return
    if process.exit_code == 0:
        _move(worktree, State.READY)
    else:
        why = process.error or ("it ran too long" if process.reason == "time limit" else f"it {process.state}")
        _fail(worktree, f"The setup command '{command}' failed: {why}.", tail=processes.tail(process, 4000))


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


def _move(worktree: Worktree, to: str, *, actor: Actor | None = None) -> None:
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
            data = {"worktree": worktree.name, "state": to, "branch": worktree.branch, "path": worktree.path}
            trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor or actors.system(), data=data)
    worktree.refresh_from_db()
    live.publish(live.BOARD, "worktree.changed", worktree=worktree.pk)


def _fail(worktree: Worktree, why: str, *, tail: str = "") -> None:
    Worktree.objects.filter(pk=worktree.pk).exclude(state__in=[State.READY, State.REMOVED]).update(
        state=State.FAILED, failure=f"{why}\n\n{tail}".strip()
    )
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


def remove(worktree: Worktree, *, actor: Actor) -> Worktree:
    """Take a worktree away. Uncommitted, untracked and unmerged work is captured under a private ref first.

    Raises Conflict when a process still runs there, or when git refuses; the reason is kept with the row.
    """
    if worktree.state == State.REMOVED:
        return worktree
    if worktree.state != State.REMOVING:
        ask_removal(worktree, actor=actor)
    repo = repository(worktree.project)
    try:
        with repo.lock():
            repo.check_owner(worktree.checkout, _owner(worktree))
            if worktree.checkout.is_dir():
                _capture(repo, worktree, actor)
                repo.discard_changes(worktree.checkout)
            repo.remove_worktree(worktree.checkout)
    except git.GitError as error:
        why = f"Worktree {worktree.name} was not removed: {error}"
        if not isinstance(error, git.LockBusy):  # then the next sweep tries again
            Worktree.objects.filter(pk=worktree.pk).update(failure=why)
        raise Conflict(why) from error
    _move(worktree, State.REMOVED)
    return worktree


def _capture(repo: git.Repository, worktree: Worktree, actor: Actor) -> None:
    ref = f"refs/flower/captured/{worktree.pk}"
    sha = repo.capture(worktree.checkout, ref, merged_into=worktree.project.main_branch)
    if sha and sha != worktree.captured_sha:
        Worktree.objects.filter(pk=worktree.pk).update(captured_sha=sha)
        if worktree.brief:
            data = {"worktree": worktree.name, "state": "captured", "commit": sha, "ref": ref}
            body = f"Work in worktree {worktree.name} that is not on MAIN's branch is kept as `{ref}` ({sha[:10]})."
            trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor, body=body, data=data)


def write_packet(worktree: Worktree, text: str) -> Path:
    """Put an agent's packet into its worktree, where git does not see it; returns its path.

    What the repository brings under that name may lead anywhere, so no link is followed: neither the worktree's folder
    nor `.flower` may be one, and the text goes to a new file that is then renamed. Raises Conflict when it cannot be.
    """
    path = worktree.checkout / PACKET
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
