"""How a brief is dispatched after a run that was not merged: what it left is gone on with, or taken over, or left.

One answer for page, tool and auto-dispatch: ``way_after`` a request, and what ``choose`` makes of a call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from briefs.models import Brief
from core.errors import Conflict, Invalid
from dispatch import leftovers
from dispatch.leftovers import RunLeftovers
from dispatch.models import ACTIVE, DispatchRequest, State
from worktrees.models import Worktree

Kind: Final = DispatchRequest.Kind


@dataclass(frozen=True)
class Way:
    """How the next request begins: its kind, whose work it goes on from, and in which worktree (None: a new one).

    ``left`` is what that run left behind, asked of git.
    """

    kind: str
    earlier: DispatchRequest | None = None
    worktree: Worktree | None = None
    left: RunLeftovers | None = None

    @property
    def goes_on(self) -> bool:
        """Whether it begins where the earlier run stopped: on its branch, in its worktree."""
        return self.worktree is not None


def way_after(request: DispatchRequest, left: RunLeftovers | None = None) -> Way:
    """How the next request would go on from this one, which is over or stuck: what page, tool and auto-dispatch offer.

    Work that was completed is taken over to a new branch from the main branch as it is now (a rework); work that was
    not is gone on with where it lies (a resume; a design pass stays one). Where nothing is left it begins anew.
    ``left``: what it left, where that was asked for already.
    """
    left = left or leftovers.of_run(request)
    is_design = request.kind == Kind.DESIGN
    if request.has_work or request.state == State.CONFLICTED:
        return Way(Kind.REWORK, request, left=left)
    if left.may_go_on:
        return Way(Kind.DESIGN if is_design else Kind.RESUME, request, left.worktree, left)
    if left.has_work and not is_design:
        return Way(Kind.REWORK, request, left=left)
    if request.kind == Kind.REWORK:
        before = DispatchRequest.objects.filter(brief=request.brief_id, pk__lt=request.pk).exclude(head_sha="")
        return Way(Kind.REWORK, before.select_related("project", "worktree").first() or request, left=left)
    return Way(Kind.FRESH if request.kind == Kind.RESUME else request.kind, left=left)


def choose(
    brief: Brief, kind: str, earlier: DispatchRequest | None, worktree: Worktree | None, *, is_free: bool
) -> Way:
    """How a request of that kind begins; without a kind, what fits. Raises Refusal where there is nothing to go on.

    ``earlier``: the request that it takes over, where the caller named it. ``is_free``: neither a branch nor a base was
    asked for, so that it may go on with what was left.
    """
    if kind == Kind.RESUME:
        return _resumed(brief, earlier, worktree)
    if kind == Kind.REWORK:
        earlier = earlier or newest_work(brief)
        if earlier is None:
            raise Invalid(f"Nobody has worked on brief #{brief.pk} yet: there is nothing to rework.")
        return Way(Kind.REWORK, earlier)
    if kind:
        return Way(kind)
    usual = Way(Kind.DESIGN if brief.design_loop else Kind.FRESH)
    if not is_free:
        return usual
    last = _last_in(worktree, brief) if worktree is not None else leftovers.newest_run(brief)
    if last is None or (brief.design_loop and last.kind != Kind.DESIGN):
        return usual
    way = way_after(last)
    if worktree is not None:
        return way if way.worktree == worktree else usual
    return way if way.left is not None and way.left.has_work else usual


def _resumed(brief: Brief, earlier: DispatchRequest | None, worktree: Worktree | None) -> Way:
    earlier = earlier or (_last_in(worktree, brief) if worktree is not None else leftovers.newest_run(brief))
    if earlier is None:
        raise Invalid(
            f"No run of brief #{brief.pk} stopped before its end{' there' if worktree else ''}: nothing to resume."
        )
    left = leftovers.of_run(earlier)
    if left.worktree is None:
        raise Conflict(
            f"The worktree of dispatch {earlier.pk} cannot be gone on in: it is not there, or somebody works in it. "
            + (left.sentence + " A rework takes that over." if left.has_work else "Dispatch it fresh.")
        )
    if not left.may_go_on:
        raise Conflict(f"Dispatch {earlier.pk} left nothing in its worktree; dispatch it fresh.")
    return Way(Kind.DESIGN if earlier.kind == Kind.DESIGN else Kind.RESUME, earlier, left.worktree, left)


def _last_in(worktree: Worktree, brief: Brief) -> DispatchRequest | None:
    """The brief's last run in a worktree, if it is over and its work is not merged."""
    rows = DispatchRequest.objects.filter(brief=brief, worktree=worktree).exclude(claimed_at=None)
    last = rows.select_related("project", "worktree__project").order_by("-pk").first()
    return last if last is not None and last.state in leftovers.UNMERGED else None


def may_retry(request: DispatchRequest) -> bool:
    """Whether a request is over without its work being merged, or stuck before that."""
    return request.state in leftovers.UNMERGED or request.is_stuck


def newest_work(brief: Brief) -> DispatchRequest | None:
    """What a rework of the brief would take over: its newest one that ran and does not go on, no design pass."""
    rows = DispatchRequest.objects.filter(brief=brief).exclude(kind=DispatchRequest.Kind.DESIGN)
    rows = rows.exclude(state__in=ACTIVE - {State.FINISHED}).exclude(claimed_at=None)
    return rows.select_related("project", "worktree").order_by("-pk").first()
