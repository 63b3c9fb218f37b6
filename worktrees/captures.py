"""Captured work: what is kept of worktrees that are gone, and how it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from briefs import trace
from briefs.models import Actor
from core import live
from core.errors import Conflict
from worktrees import git
from worktrees.models import Capture, Worktree

MOST_RESTORED: Final = 100  # branches that one capture is brought back as


def ref_of(worktree: Worktree) -> str:
    """Where uncommitted and unmerged work of a worktree is kept."""
    return f"refs/flower/captured/{worktree.pk}"


def inner_refs_of(worktree: Worktree) -> str:
    """Below this is kept what repositories inside a worktree held."""
    return f"refs/flower/captured-inner/{worktree.pk}"


def record(worktree: Worktree, path: str, git_dir: Path, ref: str, sha: str, *, actor: Actor) -> Capture:
    """Note a capture, with the worktree and on its brief's trace. The same one again changes nothing."""
    values = {"worktree": worktree, "ref": ref, "sha": sha}
    found, made = Capture.objects.get_or_create(**values, defaults={"path": path, "git_dir": str(git_dir)})
    if made and worktree.brief:
        data = {"worktree": worktree.name, "state": "captured", "commit": sha, "ref": ref}
        if path:
            data["path"] = path
        what = f"What the repository `{path}` inside worktree {worktree.name} held" if path else ""
        what = what or f"Work in worktree {worktree.name} that is not on MAIN's branch"
        body = f"{what} is kept as `{ref}` ({sha[:10]}). This brings it back:\n\n    {found.command}"
        trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor, body=body, data=data)
    return found


def restore(capture: Capture, *, actor: Actor) -> Capture:
    """Bring a capture back as a branch: uncommitted files are the branch's last commit. Nothing is checked out.

    Again: the same branch, while it is there. Raises Conflict with git's reason.
    """
    repository = git.Repository(Path(capture.git_dir))
    names: Sequence[str] = [
        capture.branch if number == 1 else f"{capture.branch}-{number}" for number in range(1, MOST_RESTORED + 1)
    ]
    try:
        with repository.lock():
            name = repository.restore_branch(capture.sha, names)
    except (git.GitError, OSError) as error:
        raise Conflict(f"The work was not brought back: {error}") from error
    Capture.objects.filter(pk=capture.pk).update(restored_branch=name)
    capture.restored_branch = name
    worktree = capture.worktree
    if worktree.brief:
        data = {"worktree": worktree.name, "state": "restored", "branch": name, "commit": capture.sha}
        body = f"Captured work of worktree {worktree.name} is back on the branch `{name}`."
        trace.append(worktree.brief, trace.Kind.WORKTREE, actor=actor, body=body, data=data)
    live.publish(live.BOARD, "worktree.changed", worktree=worktree.pk)
    return capture
