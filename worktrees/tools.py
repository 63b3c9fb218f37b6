"""The tools of worktrees: which there are, and what the work in one changes. Doors only: each calls one service."""

from __future__ import annotations

from typing import Annotated, Any

from briefs.identity import Identity
from core.toolbox import Arg, Cursor, ProjectSlug, tool
from worktrees import recalling


@tool("ao", read_only=True)
def recall_worktrees(caller: Identity, project: ProjectSlug = None, cursor: Cursor = None) -> dict[str, Any]:
    """List worktrees, newest first: number, branch, brief, state, who works there.

    `uncommitted` counts changed and untracked files, null where that is not known. Those that are removed are left out.
    """
    return recalling.worktrees(caller, project=project, cursor=cursor)


@tool("ao", read_only=True)
def worktree_diff(
    caller: Identity,
    worktree: Annotated[int, Arg("The worktree's number.")],
    path: Annotated[str, Arg("A file or folder: its patch comes along.")] = "",
    cursor: Cursor = None,
) -> dict[str, Any]:
    """What the commits in a worktree change against the main branch: files with lines added and deleted.

    With `path` also the patch. What is `uncommitted` is named only: a merge does not take it.
    """
    return recalling.diff(recalling.find(caller, worktree), path=path, cursor=cursor)
