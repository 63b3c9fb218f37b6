"""The world around the services, in memory: git, agents' processes, gates and the clock. Rows and services are real.

What a test chooses is an attribute of ``World``; ``as_it_was`` lets it try something and takes all of it back.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from briefs import trace
from briefs.models import Brief, Project
from briefs.services import actors
from core import live
from core.errors import Conflict
from daemons.models import Process
from daemons.services import processes
from dispatch import auto, completion, leftovers, lifecycle, machine, services
from dispatch.merge import mainline, queue, record
from dispatch.models import DispatchRequest, MainState, State
from worktrees import git
from worktrees import services as worktrees
from worktrees.models import Worktree

REFUSALS = ("gate", "main_red", "main_rewritten", "in the way", "moved", "git")
OUTCOMES = ("green", "running", "conflict", "raise", *REFUSALS)


def sha_of(text: object) -> str:
    return hashlib.sha1(str(text).encode(), usedforsecurity=False).hexdigest()


@dataclass
class Facts:
    """All that is not in the database."""

    seconds: int = 0  # how far the clock was moved
    main: int = 0  # how often the main branch moved
    commits: dict[str, int] = field(default_factory=dict)  # branch -> commits on its base
    dirty: set[str] = field(default_factory=set)  # worktrees with uncommitted changes
    missing: set[str] = field(default_factory=set)  # worktrees whose folder is away
    merge: str = "green"  # what comes of the next step of a merge
    setup: str = "ready"  # what comes of the next worktree: ready, failed or preparing
    removal: str = "removed"  # or stuck
    agents_linger: bool = False  # a process that is stopped takes its time
    spawns: bool = True  # whether holders can be started
    kicks: list[tuple[str, int]] = field(default_factory=list)


class World:
    def __init__(self, patch: pytest.MonkeyPatch, settings: Any, home: Path) -> None:
        self.facts = Facts()
        self.began = timezone.now()
        settings.FLOWER = dataclasses.replace(settings.FLOWER, home=home, max_concurrent=2)
        home.mkdir(exist_ok=True)
        self._put_in_place(patch)

    def _put_in_place(self, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(timezone, "now", lambda: self.began + timedelta(seconds=self.facts.seconds))
        patch.setattr(live, "kick", lambda task, number: self.facts.kicks.append((task, number)))
        patch.setattr(live, "publish", lambda *_, **__: None)
        for name in ("launch", "observe", "stop", "sweep"):
            patch.setattr(processes, name, getattr(self, f"_{name}"))
        patch.setattr(processes, "tail", lambda *_: "")
        patch.setattr(processes, "give_up", lambda process: process)
        patch.setattr(worktrees, "repository", lambda project: Repository(self, project))
        patch.setattr(leftovers.git, "Repository", lambda path, **_: Repository(self, Project.objects.get(root=path)))
        patch.setattr(worktrees, "advance", self._advance_worktree)
        patch.setattr(worktrees, "remove", self._remove_worktree)
        patch.setattr(worktrees, "write_packet", lambda worktree, *_: worktree.checkout / "packet.md")
        patch.setattr(worktrees, "reuse", lambda *_: None)
        patch.setattr(Worktree, "is_missing", property(lambda row: row.path in self.facts.missing))
        patch.setattr(completion, "check", self._check_completion)
        patch.setattr(services, "_changes", lambda *_: None)
        patch.setattr(queue, "_merge", self._merge)
        patch.setattr(mainline, "sweep", lambda: None)
        patch.setattr(record, "_counts", lambda *_: {})
        patch.setattr(git.locks, "held", lambda *_, **__: contextlib.nullcontext())

    # --- time ---------------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: int = 20) -> None:
        """The clock moves, and the sweep comes by: it alone must suffice, since kicks may be lost."""
        self.facts.seconds += seconds
        if not self.facts.agents_linger:
            for process in Process.objects.exclude(stopped_by=None).exclude(phase__in=Process.ENDED):
                self.end(process)
        self.facts.kicks.clear()
        machine.sweep()
        kicks, self.facts.kicks = self.facts.kicks, []
        self._follow([kick for kick in kicks if kick[0] != "dispatch.tasks.auto_dispatch"])

    def follow_kicks(self) -> None:
        """What was kicked since is done, as a worker would."""
        kicks, self.facts.kicks = self.facts.kicks, []
        self._follow(kicks)

    def _follow(self, kicks: list[tuple[str, int]]) -> None:
        for task, number in dict.fromkeys(kicks):
            if task == "dispatch.tasks.advance":
                machine.advance(number)
            elif task == "dispatch.tasks.auto_dispatch":
                auto.consider(number)
            elif task == "worktrees.tasks.remove":
                with contextlib.suppress(Conflict):
                    self._remove_worktree(Worktree.objects.get(pk=number), actor=actors.system())

    @contextlib.contextmanager
    def as_it_was(self) -> Iterator[None]:
        """What happens inside did not happen."""
        before = copy.deepcopy(self.facts)
        try:
            with transaction.atomic():
                yield
                transaction.set_rollback(True)
        finally:
            self.facts = before

    def be_kind(self) -> None:
        """From here on nothing goes wrong, so that what should move by itself can."""
        self.facts.merge, self.facts.setup, self.facts.removal = "green", "ready", "removed"
        self.facts.agents_linger, self.facts.spawns = False, True
        self.facts.missing.clear()

    # --- processes ----------------------------------------------------------------------------------------------------

    def end(self, process: Process, phase: str = Process.Phase.EXITED) -> None:
        rows = Process.objects.filter(pk=process.pk).exclude(phase__in=Process.ENDED)
        was_stopped = Process.objects.filter(pk=process.pk).exclude(stopped_by=None).exists()
        code = None if phase == Process.Phase.LOST else 0
        reason = "stopped" if was_stopped else "exited"
        rows.update(phase=phase, exit_code=code, ended_at=timezone.now(), reason=reason)
        process.refresh_from_db()

    def _launch(self, process: Process, *_: object, **__: object) -> Process:
        if not self.facts.spawns:
            raise machine.HolderError("The holder cannot be started.")
        rows = Process.objects.filter(pk=process.pk, phase=Process.Phase.STARTING)
        rows.update(phase=Process.Phase.RUNNING, pid=1, started_at=timezone.now())
        process.refresh_from_db()
        return process

    def _observe(self, process: Process) -> Process:
        process.refresh_from_db()
        return process

    def _stop(self, process: Process, *, actor: Any = None, why: str = "") -> bool:
        rows = Process.objects.filter(pk=process.pk, stopped_by=None).exclude(phase__in=Process.ENDED)
        is_first = rows.update(stopped_by=actor or actors.system(), stop_why=why) == 1
        if not self.facts.agents_linger:
            self.end(process)
        return is_first

    def _sweep(self) -> int:
        return 0

    # --- git ----------------------------------------------------------------------------------------------------------

    def head(self, branch: str) -> str:
        return sha_of((branch, self.facts.commits.get(branch, 0)))

    def main_sha(self, project: Project) -> str:
        return sha_of(("main", project.pk, self.facts.main))

    def move_main(self, project: Project) -> None:
        self.facts.main += 1
        sha = self.main_sha(project)
        MainState.objects.update_or_create(
            project=project, defaults={"branch": project.main_branch, "sha": sha, "files_sha": sha}
        )

    def _advance_worktree(self, worktree: Worktree) -> Worktree:
        if worktree.state not in worktrees.HALF_MADE:
            return worktree
        self.facts.commits.setdefault(worktree.branch, 0)
        if worktree.state == Worktree.State.CREATING:
            worktrees._move(worktree, Worktree.State.PREPARING)
        if self.facts.setup == "failed":
            worktrees._fail(worktree, "The setup command failed.")
        elif self.facts.setup == "ready":
            worktrees._move(worktree, Worktree.State.READY)
        return worktree

    def _remove_worktree(self, worktree: Worktree, *, actor: Any) -> Worktree:
        worktree.refresh_from_db()
        if worktree.state != Worktree.State.REMOVING:
            worktrees.ask_removal(worktree, actor=actor)
        if self.facts.removal == "stuck":
            worktrees.note_stuck_removal(worktree, "It cannot be removed.", actor=actor)
            raise Conflict("It cannot be removed.")
        worktrees._move(worktree, Worktree.State.REMOVED)
        self.facts.dirty.discard(worktree.path)
        return worktree

    def _check_completion(self, request: DispatchRequest, *, no_changes: bool) -> str:
        has_commits = self.facts.commits.get(request.branch, 0) > 0
        is_dirty = request.worktree is not None and request.worktree.path in self.facts.dirty
        if has_commits == no_changes or is_dirty:
            raise Conflict("The work is not finished.")
        return self.head(request.branch) if has_commits else request.base_sha

    def _merge(self, request: DispatchRequest, repository: Repository) -> None:
        assert request.project is not None
        target = self.main_sha(request.project)
        rows = DispatchRequest.objects.filter(pk=request.pk, state=State.MERGING)
        rows.update(target_sha=target)
        request.refresh_from_db()
        outcome = self.facts.merge
        if outcome == "raise":
            raise RuntimeError("nobody foresaw this")
        if outcome == "conflict":
            lifecycle.move(
                request,
                State.CONFLICTED,
                actor=record.merger(request),
                kind=trace.Kind.MERGE,
                data={"conflicts": ["README.md"]},
                failure="It conflicts.",
                failure_class="conflict",
            )
        elif outcome in REFUSALS:
            record.refuse(request, record.NotMerged(outcome), "It was refused.")
        elif outcome == "green":
            self.move_main(request.project)
            record.done(request, repository, self.main_sha(request.project), target)  # type: ignore[arg-type]


class Repository:
    """As much of git as the services ask for outside of a merge and a completion."""

    def __init__(self, world: World, project: Project) -> None:
        self.world, self.project = world, project

    def branches(self) -> dict[str, str]:
        return {self.project.main_branch: "", **{name: self.world.head(name) for name in self.world.facts.commits}}

    def has_branch(self, branch: str) -> bool:
        return branch in self.branches()

    def resolve(self, ref: str) -> str:
        name = ref.removeprefix("refs/heads/")
        if name == self.project.main_branch:
            return self.world.main_sha(self.project)
        if name in self.world.facts.commits:
            return self.world.head(name)
        if len(name) == 40:
            return name
        raise git.GitError(f"no branch, tag or commit named '{ref}'")

    def count_commits(self, base: str, head: str) -> int:
        counts = {self.world.head(name): count for name, count in self.world.facts.commits.items()}
        return counts.get(head, 0)

    def commits(self, *_: object, **__: object) -> list[git.Commit]:
        return []

    def is_ancestor(self, *_: object) -> bool:
        return False

    def status(self, path: Path) -> SimpleNamespace:
        names = ["left.txt"] if str(path) in self.world.facts.dirty else []
        return SimpleNamespace(unmerged=[], staged=[], unstaged=names, untracked=[])


def summary(brief: Brief) -> str:
    """A brief and its requests in a line, for the message of a failure."""
    rows = DispatchRequest.objects.filter(brief=brief).order_by("pk")
    requests = ", ".join(f"{row.pk} {row.kind} {row.state} {row.failure_class}".strip() for row in rows)
    return f"#{brief.pk} {brief.status} [{requests}]"
