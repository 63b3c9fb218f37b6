"""What a run left behind: commits, changed files, its session. One question for page, packet, tool and auto-dispatch.

git is asked each time, for a bounded time; nothing is stored, since a person may go on in the worktree meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from briefs.models import Brief
from dispatch.models import ACTIVE, DispatchRequest, State
from transcripts.models import LogFile, Session
from worktrees import git
from worktrees.models import Worktree

SECONDS: Final = 3.0  # that one question to git may take: pages wait for it
NAMED: Final = 20  # files that are named; all are counted


@dataclass(frozen=True)
class RunLeftovers:
    """What lies there after a run. ``worktree`` is one that can be gone on in, else None; ``head`` the branch's tip.

    ``unknown`` says why git could not tell all of it; then what is there may be more than what is said.
    """

    dispatch: int
    branch: str
    head: str = ""
    commits: int = 0
    changed: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    worktree: Worktree | None = None
    captured: str = ""
    session: int = 0
    session_id: str = ""
    log: str = ""
    unknown: str = ""

    @property
    def files(self) -> int:
        """Files in its worktree that are not committed: changed ones and new ones."""
        return len(self.changed) + len(self.untracked)

    @property
    def named(self) -> list[str]:
        return [*self.changed, *self.untracked][:NAMED]

    @property
    def has_work(self) -> bool:
        """Whether there is anything that a fresh start would leave behind."""
        return bool(self.commits or self.files or self.captured)

    @property
    def may_go_on(self) -> bool:
        """Whether the next run can begin where this one stopped."""
        return self.worktree is not None and bool(self.commits or self.files)

    @property
    def counts(self) -> str:
        """``2 commits and 3 changed files``; empty where there is nothing."""
        parts = [_many(self.commits, "commit"), _many(self.files, "changed file")]
        return " and ".join(part for part in parts if part)

    @property
    def sentence(self) -> str:
        """``2 commits and 3 changed files are in its worktree.``; empty where there is nothing."""
        if not self.counts:
            return f"Work that it had not committed is kept as {self.captured}." if self.captured else ""
        verb = "is" if self.commits + self.files == 1 else "are"
        place = "in its worktree" if self.worktree is not None else f"on its branch {self.branch}"
        return f"{self.counts} {verb} {place}."

    def payload(self) -> dict[str, Any]:
        """For tools."""
        said: dict[str, Any] = {"dispatch": self.dispatch, "branch": self.branch, "commits": self.commits}
        said |= {"changed_files": self.files, "files": self.named}
        said["worktree"] = self.worktree.pk if self.worktree is not None else None
        return said | {"captured": self.captured} if self.captured else said


def _many(count: int, noun: str) -> str:
    return "" if not count else f"1 {noun}" if count == 1 else f"{count} {noun}s"


def of_run(request: DispatchRequest) -> RunLeftovers:
    """What one request left, as git says it now. Asks git for at most a few seconds; raises nothing."""
    found: dict[str, Any] = {**_session(request), "dispatch": request.pk, "branch": request.branch}
    worktree = request.worktree
    if worktree is not None and worktree.captured_sha:
        found["captured"] = f"refs/flower/captured/{worktree.pk}"
    if request.project is None or not request.base_sha:
        return RunLeftovers(**found)
    repository = git.Repository(request.project.path, time_limit=SECONDS)
    try:
        if repository.has_branch(request.branch):
            head = repository.resolve(f"refs/heads/{request.branch}")
            commits = repository.count_commits(request.base_sha, head)
            found |= {"commits": commits, "head": head if commits else ""}
        if worktree is not None and _is_free(worktree):
            found["worktree"] = worktree
            status = repository.status(worktree.checkout)
            changed = dict.fromkeys([*status.unmerged, *status.staged, *status.unstaged])
            found |= {"changed": tuple(changed), "untracked": tuple(status.untracked)}
    except (git.GitError, OSError) as error:
        found["unknown"] = str(error)
    return RunLeftovers(**found)


def _is_free(worktree: Worktree) -> bool:
    """Whether somebody may begin to work there: it is whole, and no active request names it."""
    if worktree.state != Worktree.State.READY or worktree.is_missing:
        return False
    return not DispatchRequest.objects.filter(worktree=worktree, state__in=ACTIVE).exists()


def _session(request: DispatchRequest) -> dict[str, Any]:
    """The session that its agent wrote last, with its log: what the next one may read."""
    session = Session.objects.filter(dispatch=request.pk).order_by("-active_at", "-pk").first()
    if session is None:
        return {}
    log = LogFile.objects.filter(session=session, agent="").values_list("path", flat=True).first()
    return {"session": session.pk, "session_id": f"{session.program} {session.session_id}", "log": log or ""}


def newest_run(brief: Brief) -> DispatchRequest | None:
    """The brief's newest request that somebody began to work on, if it is over and its work is not merged.

    None where one is active, or the newest work is merged: then nothing is left behind.
    """
    rows = DispatchRequest.objects.filter(brief=brief).exclude(claimed_at=None)
    newest = rows.select_related("project", "worktree__project", "program", "brief").order_by("-pk").first()
    return newest if newest is not None and newest.state in UNMERGED else None


UNMERGED: Final = frozenset({State.FAILED, State.CANCELLED, State.CONFLICTED})
