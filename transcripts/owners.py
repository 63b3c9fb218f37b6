"""Whose session is it? Said exactly by who started it, else guessed from the working directory.

Rooms above this one know processes, dispatches and worktrees; each registers what it can tell:

    @owners.teller
    def of_my_room(facts: Facts, path: Path, when: datetime | None) -> Owner | None: ...

The first exact answer wins, else the first one; what it leaves open is filled from others of the same brief. Tellers
run when a session begins and now and then while it grows without an exact owner; they answer quickly.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from briefs.models import Project
from transcripts.events import Facts
from transcripts.models import ExpectedSession


@dataclass(frozen=True, slots=True)
class Owner:
    """Numbers, since the rows belong to other rooms. ``is_exact``: told by the run itself, not by its folder.

    ``is_ours``: a run that flower started; its sessions are always taken.
    """

    project: int | None = None
    brief: int | None = None
    process: int | None = None
    dispatch: int | None = None
    worktree: int | None = None
    is_exact: bool = False

    @property
    def is_ours(self) -> bool:
        return self.process is not None or self.dispatch is not None


Teller = Callable[[Facts, Path, datetime | None], Owner | None]
_tellers: list[Teller] = []


def teller(tell: Teller) -> Teller:
    """Register a function ``(facts, path of the log, time of its first event) -> Owner or None``."""
    _tellers.append(tell)
    return tell


def find(facts: Facts, path: Path, when: datetime | None) -> Owner | None:
    """The best answer, or None."""
    if expected := _expected(facts):
        return expected
    answers = [answer for tell in _tellers if (answer := tell(facts, path, when)) is not None]
    if not answers:
        return by_folder(facts)
    best = next((answer for answer in answers if answer.is_exact), answers[0])
    for other in answers:
        if other.brief == best.brief:
            best = replace(
                best,
                process=best.process or other.process,
                dispatch=best.dispatch or other.dispatch,
                worktree=best.worktree or other.worktree,
            )
    return best


def _expected(facts: Facts) -> Owner | None:
    names = [name for name in (facts.session_id, facts.parent_id) if name]
    rows = ExpectedSession.objects.filter(program=facts.program, session_id__in=names)
    found = {row.session_id: row for row in rows}
    for name in names:
        if row := found.get(name):
            return Owner(
                row.project_id, row.brief_id, row.process, row.dispatch, row.worktree, is_exact=name == names[0]
            )
    return None


def by_folder(facts: Facts) -> Owner | None:
    """The project whose main checkout holds the working directory; the innermost one."""
    if not facts.cwd:
        return None
    roots = Project.objects.values_list("root", "pk")
    held = [(len(root), pk) for root, pk in roots if is_inside(facts.cwd, root)]
    return Owner(project=max(held)[1]) if held else None


def is_inside(path: str, folder: str) -> bool:
    path, folder = os.path.normpath(path), os.path.normpath(folder)
    return path == folder or path.startswith(folder.rstrip("/") + "/")
