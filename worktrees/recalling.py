"""What tools, and pages, are told of worktrees: which there are, what they hold, and what the work in one changes.

Answers stay under a byte budget; ``cursor`` goes on where the last one ended.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.db.models import QuerySet

from briefs.identity import Identity
from briefs.services import recall
from core.errors import Conflict, NotFound
from core.toolbox import ANSWER_BUDGET, as_text
from worktrees import compared, git
from worktrees.models import Worktree
from worktrees.services import repository

AT_ONCE: Final = 50  # worktrees in one answer
LOOK_SECONDS: Final = 4.0  # how long git is asked, in all, what is uncommitted in those of one answer
PATCH_BYTES: Final = 1_000_000  # of one path's diff that are read at most; an answer shows a part
ROOM: Final = 2_000  # bytes of an answer for what is around its list or its patch
UNCOMMITTED: Final = 100  # paths that are named
LONGEST_PATH: Final = 400  # characters

Occupants = Callable[[Sequence[int]], dict[int, list[int]]]
_occupants: list[Occupants] = []


def occupied(numbers: Occupants) -> Occupants:
    """Register what a higher room knows: worktrees' numbers -> those of the active dispatches that work in each."""
    _occupants.append(numbers)
    return numbers


def seen_by(identity: Identity) -> QuerySet[Worktree]:
    """The worktrees that a caller may see, newest first."""
    rows = Worktree.objects.select_related("project", "brief").defer("brief__spec").order_by("-pk")
    return rows if identity.project is None else rows.filter(project=identity.project)


def find(identity: Identity, number: int) -> Worktree:
    """A worktree that the caller may see. Raises NotFound."""
    found = seen_by(identity).filter(pk=number).first() if number > 0 else None
    if found is None:
        raise NotFound(f"There is no worktree {number} for you.")
    return found


def worktrees(identity: Identity, *, project: str | None = None, cursor: str | None = None) -> dict[str, Any]:
    """The answer of ``recall_worktrees``: those that are not removed, newest first."""
    rows = seen_by(identity).exclude(state=Worktree.State.REMOVED)
    if found := identity.find_project(project):
        rows = rows.filter(project=found)
    if cursor:
        rows = rows.filter(pk__lt=recall.number_of(cursor))
    page = list(rows[: AT_ONCE + 1])
    shown = page[:AT_ONCE]
    at_work: dict[int, list[int]] = {}
    for numbers in _occupants:
        for worktree, dispatches in numbers([row.pk for row in shown]).items():
            at_work.setdefault(worktree, []).extend(dispatches)
    deadline = time.monotonic() + LOOK_SECONDS
    answer = {"worktrees": [_row(row, at_work.get(row.pk, []), deadline) for row in shown], "cursor": None}
    return recall.page_within(answer, "worktrees", "worktree", more=len(page) > AT_ONCE)


def _row(row: Worktree, dispatches: list[int], deadline: float) -> dict[str, Any]:
    return {
        "worktree": row.pk,
        "name": row.name,
        "project": row.project.slug,
        "brief": row.brief_id,
        "branch": row.branch,
        "state": "missing" if row.is_missing else row.state,
        "keep": row.keep,
        "dispatches": dispatches,
        "uncommitted": _uncommitted_count(row) if time.monotonic() < deadline else None,
        "captured": row.captured_sha or None,
        "failure": row.failure.strip()[:300] or None,
        "since": recall.iso(row.created_at),
    }


def _uncommitted_count(row: Worktree) -> int | None:
    """How many files are changed or untracked; None where nobody can tell now."""
    if row.state != Worktree.State.READY or row.is_missing:
        return None
    try:
        return len(_uncommitted(repository(row.project).status(row.checkout)))
    except (git.GitError, OSError):
        return None


def _uncommitted(status: git.WorktreeStatus) -> list[str]:
    return sorted({*status.unmerged, *status.staged, *status.unstaged, *status.untracked})


# --- the diff ---------------------------------------------------------------------------------------------------------


def diff(worktree: Worktree, *, path: str = "", cursor: str | None = None) -> dict[str, Any]:
    """The answer of ``worktree_diff``: what its commits change, and with a ``path`` (file or folder) the patch of that.

    What is not committed is named beside it and not part of a merge. Raises Conflict with git's reason.
    """
    start = recall.number_of(cursor) if cursor else 0
    repo = repository(worktree.project)
    try:
        status = repo.status(worktree.checkout) if worktree.checkout.is_dir() else None
        head = repo.resolve((status.head if status else None) or f"refs/heads/{worktree.branch}")
        base = compared.left_at(repo, worktree.base_sha, head, worktree.project.main_branch)
        changed = [file for file in repo.changed_files(base, head) if _is_in(file, path)]
        if path and not changed:
            said = "No changed file has that path"  # before git sees it: its own word names folders of this machine
            raise NotFound(f"{said} in worktree {worktree.pk}; without a path the answer lists them.")
        patch = repo.diff(base, head, path=path, limit_bytes=PATCH_BYTES) if path else ""
    except (git.GitError, OSError) as error:
        raise Conflict(_sentence(f"git cannot compare worktree {worktree.pk}: {error}")) from error
    uncommitted = _uncommitted(status) if status else []
    answer: dict[str, Any] = {
        "worktree": worktree.pk,
        "branch": worktree.branch,
        "base": base,
        "head": head,
        "total": len(changed),
        "added": sum(file.additions or 0 for file in changed),
        "deleted": sum(file.deletions or 0 for file in changed),
        "uncommitted": [name[:LONGEST_PATH] for name in uncommitted[:UNCOMMITTED]],
        "uncommitted_total": len(uncommitted),
    }
    if path:
        return answer | _part_of_patch(patch, start, answer)
    return answer | _part_of_files(changed, start, answer)


def _is_in(file: git.ChangedFile, path: str) -> bool:
    wanted = path.rstrip("/")
    names = [name for name in (file.path, file.old_path) if name]
    return not wanted or any(name == wanted or name.startswith(f"{wanted}/") for name in names)


def _part_of_files(changed: list[git.ChangedFile], start: int, around: dict[str, Any]) -> dict[str, Any]:
    left = ANSWER_BUDGET - ROOM - _size(around)
    shown: list[dict[str, Any]] = []
    for file in changed[start:]:
        row: dict[str, Any] = {"path": file.path[:LONGEST_PATH], "status": file.status}
        row |= {"added": file.additions, "deleted": file.deletions}
        if file.old_path:
            row["old_path"] = file.old_path[:LONGEST_PATH]
        left -= _size(row) + 1
        if left < 0 and shown:
            break
        shown.append(row)
    end = start + len(shown)
    return {"files": shown} | _shown_of("files", start, end, len(changed))


def _part_of_patch(patch: str, start: int, around: dict[str, Any]) -> dict[str, Any]:
    """Whole lines from a place on (a line's number, from 0), as many as there is room for."""
    lines = patch.splitlines(keepends=True)
    left = ANSWER_BUDGET - ROOM - _size(around)
    end = start
    shown: list[str] = []
    for line in lines[start:]:
        text = line if len(line) <= ANSWER_BUDGET // 4 else f"{line[: ANSWER_BUDGET // 4]} … [line cut]\n"
        left -= _size(text)
        if left < 0 and shown:
            break
        shown.append(text)
        end += 1
    return {"patch": "".join(shown)} | _shown_of("lines", start, end, len(lines))


def _shown_of(what: str, start: int, end: int, total: int) -> dict[str, Any]:
    """How much of a list an answer shows: a phrase where that is not all, and the cursor where more follows."""
    truncated = f"{what} {start + 1:,} to {end:,} of {total:,}" if start or end < total else None
    return {"truncated": truncated, "cursor": str(end) if end < total else None}


def _size(value: Any) -> int:
    return len(as_text(value).encode())


def _sentence(text: str) -> str:
    """git's words as one sentence: they begin small and have no stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
