"""The projects: each repository, its MAIN, its gates, its worktrees. Each question to git has a few seconds."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from briefs.models import Project
from dispatch.merge import checks
from dispatch.models import MainState
from flower.doctor.findings import Finding, fine, warning, wrong
from flower.doctor.home import why_unwritable
from worktrees import git
from worktrees.models import Worktree

GIT_SECONDS: Final = 4.0
LIVE_LOCK: Final = 600.0  # seconds after which somebody who has the index is told of: a commit takes moments
NAMED: Final = 5
# What a shell knows by itself; of the rest of a command nothing can be told without running it.
_SHELL: Final = {
    *("if", "for", "while", "until", "case", "function", "{", "(", "[", "[[", ":", "!", ".", "cd", "test", "true"),
    *("false", "set", "export", "exec", "eval", "echo", "printf", "read", "source", "umask", "ulimit", "trap", "unset"),
    *("command", "type", "wait", "time"),
}
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


def list_into(listed: list[Project]) -> Iterator[Finding]:
    """All projects, for whoever has each examined by itself."""
    listed.extend(Project.objects.order_by("slug"))
    if not listed:
        yield fine("project.none", "no project yet; project_add adds one")


def repository(project: Project, search: str | None = None) -> Iterator[Finding]:
    """One repository: there, whole, ours, and MAIN such that merges go on. ``search``: PATH, where that is not ours."""
    path, quoted = project.path, shlex.quote(project.root)
    repo = git.Repository(path, allowed=project.git_programs, time_limit=GIT_SECONDS)
    if not path.is_dir():
        yield wrong("project.missing", f"{project}: {path} is not there", f"bring it back: git clone … {quoted}")
        return
    try:
        if fault := _why_unusable(project, repo):
            yield fault
            return
        faults = [
            *_main(project, repo),
            *_writing(project, repo),
            *_identity(project, repo),
            *_lfs(project, repo, search),
        ]
    except git.GitError as error:
        yield wrong("project.git", f"{project}: {error}", f"git -C {quoted} status; git -C {quoted} fsck")
        return
    faults += [*_branch_state(project), *_commands(project, search)]
    yield from faults
    if not faults:
        yield fine("project", f"{project}: {path}, {project.main_branch} at {repo.resolve(project.main_branch)[:12]}")


def _why_unusable(project: Project, repo: git.Repository) -> Finding | None:
    problems = repo.validate(project.main_branch)
    if not problems:
        return None
    path, quoted = project.path, shlex.quote(project.root)
    words = f"{project}: {problems[0].rstrip('.')}"
    inner = path / ".git"
    if inner.exists() and inner.stat().st_uid != os.geteuid():
        remedy = f"sudo chown -R {os.geteuid()} {quoted}, or git config --global --add safe.directory {quoted}"
        return wrong("project.foreign", words, remedy)
    if not repo.validate("HEAD") or _has_branches(repo):
        remedy = (
            f"git -C {quoted} branch {shlex.quote(project.main_branch)} COMMIT, or change the main branch in the admin"
        )
        return wrong("project.branch", words, remedy)
    return wrong("project.repository", words, f"git -C {quoted} status says more")


def _has_branches(repo: git.Repository) -> bool:
    try:
        return bool(repo.branches()) and repo.path.samefile(repo.common_dir.parent)
    except (git.GitError, OSError):
        return False


def _main(project: Project, repo: git.Repository) -> Iterator[Finding]:
    """MAIN's checkout: on the main branch, nobody in the middle of something, no lock that is left over."""
    quoted, main = shlex.quote(project.root), project.main_branch
    switch = f"git -C {quoted} switch {shlex.quote(main)}"
    head = repo.head_branch()
    if doing := repo.in_progress():
        words = f"{project}: somebody is in the middle of a {doing} in MAIN, and merges wait for its end"
        how = "reset" if doing == "bisect" else "--abort"
        yield wrong("project.busy", words, f"git -C {quoted} {doing} {how}, or end it")
    elif head is None:
        words = f"{project}: MAIN has no branch checked out, so that its files stay where they are"
        yield warning("project.detached", words, switch)
    elif head != main:
        words = f"{project}: MAIN has {head} checked out, so that its files do not follow {main}"
        yield warning("project.other_branch", words, switch)
    lock = repo.common_dir / "index.lock"
    if lock.exists():
        user = git.stale.user_of(lock, project.path)
        age = time.time() - lock.stat().st_mtime if lock.exists() else 0.0
        if user is None:
            words = f"{project}: {lock} is left over from a git that was killed, and stops every merge"
            yield wrong("project.locked", words, f"rm {shlex.quote(str(lock))}")
        elif age > LIVE_LOCK:
            words = f"{project}: process {user} has had MAIN's index for {age / 60:.0f} minutes, and merges wait"
            yield warning("project.locked_long", words, f"end it, if nobody needs it: kill {user}")


def _writing(project: Project, repo: git.Repository) -> Iterator[Finding]:
    """Merges write objects and refs of the repository, and MAIN's files."""
    common = repo.common_dir
    for place in (common, common / "objects", common / "refs" / "heads", project.path):
        if why := why_unwritable(place):
            remedy = f"sudo chown -R {os.geteuid()} {shlex.quote(project.root)}"
            yield wrong("project.unwritable", f"{project}: {place} cannot be written ({why})", remedy)
            return


def _identity(project: Project, repo: git.Repository) -> Iterator[Finding]:
    if missing := repo.missing_identity():
        words = f"{project}: git does not know who commits ({' and '.join(missing)}), so agents cannot"
        yield warning("project.identity", words, "; ".join(f'git config --global {name} "…"' for name in missing))


def _lfs(project: Project, repo: git.Repository, search: str | None) -> Iterator[Finding]:
    if not shutil.which("git-lfs", path=search) and repo.uses_lfs(project.main_branch):
        words = f"{project}: it keeps files with Git LFS, which is not on PATH: agents see pointers instead of them"
        yield wrong("project.lfs", words, "install git-lfs (Debian: apt-get install git-lfs), then git lfs install")


def _branch_state(project: Project) -> Iterator[Finding]:
    """What flower itself knows of the main branch: red gates, files that could not be brought along."""
    state = MainState.objects.filter(project=project).first()
    if state is None:
        return
    if red := checks.known_red(project, state.sha):
        words = (
            f"{project}: {project.main_branch} is red at {state.sha[:12]} ('{red.command[:80]}'), so nothing is merged"
        )
        yield warning("project.red", words, "repair it there, or run the gates again on /projects/")
    if state.behind:
        yield warning("project.behind", f"{project}: {state.behind}", "see /projects/, which says what is in the way")


def _commands(project: Project, search: str | None) -> Iterator[Finding]:
    """The first word of each gate and of the setup command is there, as far as that can be told."""
    named = [
        *(("gate", gate) for gate in project.gates),
        *([("setup command", project.setup_command)] if project.setup_command else []),
    ]
    for kind, command in named:
        word = first_word(command)
        if word and not is_there(word, project.path, search):
            words = f"{project}: the {kind} '{command[:80]}' begins with {word}, which is not on PATH or in MAIN"
            yield warning(
                "project.command", words, f"install {word}, put it on the PATH of make up, or correct it on /projects/"
            )


def first_word(command: str) -> str:
    """The program that a shell command begins with; empty where only a shell can tell."""
    try:
        words = shlex.split(command.strip().splitlines()[0], comments=True) if command.strip() else []
    except ValueError:  # an open quote: it goes on in the next line
        return ""
    word = next((word for word in words if not _ASSIGNMENT.match(word)), "")
    word = word.rstrip(";")
    return "" if word in _SHELL or re.search(r"[$`*?(){}<>|&~]", word) else word


def is_there(word: str, main: Path, search: str | None = None) -> bool:
    """Whether a program is on PATH (``search``: where that is not ours), or in MAIN where it is named by a path."""
    if "/" not in word:
        return shutil.which(word, path=search) is not None
    # relative ones lie in the checkout, and may be made by the setup command: only MAIN can be looked at
    return (main / word).exists() or not (main / word).parent.exists()


def worktrees() -> Iterator[Finding]:
    """Each worktree that is to be there has its folder."""
    ready = list(Worktree.objects.filter(state=Worktree.State.READY).select_related("project"))
    gone = [row for row in ready if row.is_missing]
    if gone:
        named = ", ".join(f"{row.name} ({row.path})" for row in gone[:NAMED])
        more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
        words = f"folders of worktrees are gone: {named}{more}"
        yield warning("worktree.missing", words, "bring them back, or remove these worktrees on /worktrees/")
    else:
        yield fine("worktrees", f"{len(ready)} worktrees, all there")
