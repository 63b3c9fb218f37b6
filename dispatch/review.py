"""The review moment: which finished work waits for a person, and what they should do with it first.

One function for the brief's page and the dispatch's page, so that both put the same act first: look at the changes,
then merge; after a red gate a rework, and the merge again only where its outcome can be another one by now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from briefs.identity import Identity
from dispatch import changes, policy, services
from dispatch.models import DispatchRequest, State
from worktrees import git
from worktrees import services as worktrees

# Refusals that the same merge would meet again, unless the gates, the main branch or the work changed.
_STANDING: Final = frozenset({"gate", "main_red", "main_rewritten"})


@dataclass(frozen=True, slots=True)
class Review:
    """Work to review: its request, what it changes (None: not known), and which acts this person may take now."""

    request: DispatchRequest
    changes: changes.Changes | None
    may_merge: bool
    may_rework: bool
    may_run_again: bool = False  # the same merge once more: for gates that do not answer the same each time

    @property
    def rework_first(self) -> bool:
        """Whether a rework is what helps: the merge met a conflict, or was refused for what stands in the work."""
        is_to_blame = self.request.failure_class != "main_red"  # then the main branch is to be mended, not the work
        return self.may_rework and (self.request.state == State.CONFLICTED or (not self.may_merge and is_to_blame))

    @property
    def merge_again(self) -> bool:
        return bool(self.request.failure_class)


def of(request: DispatchRequest, identity: Identity) -> Review | None:
    """The review of a request whose work waits for one, else None. Asks git only after a red gate."""
    if request.kind == DispatchRequest.Kind.DESIGN or request.state not in {State.FINISHED, State.CONFLICTED}:
        return None
    may_act = policy.may_merge(identity, request)
    finished = may_act and request.state == State.FINISHED
    differs = finished and merge_can_differ(request)
    reworkable = request.is_stuck or request.state == State.CONFLICTED
    return Review(
        request,
        changes.read(request.changes),
        may_merge=differs,
        may_rework=may_act and reworkable and not services.explain(request.brief, instead_of=request),
        may_run_again=finished and not differs,
    )


def merge_can_differ(request: DispatchRequest) -> bool:
    """Whether a merge of finished work could end in another way than the last try.

    Always, unless a gate (or main itself) was red, or main was rewritten below the work: then only when the main
    branch moved since, or the gates were edited. What git cannot say now counts as moved.
    """
    if request.failure_class not in _STANDING or request.project is None:
        return True
    ran = request.gate_runs.filter(attempt=request.merge_attempt).order_by("ordinal").values_list("command", flat=True)
    if list(ran) != request.project.gates[: len(ran)]:
        return True
    try:
        tip = worktrees.repository(request.project).resolve(f"refs/heads/{request.project.main_branch}")
    except git.GitError:
        return True
    return tip != request.target_sha
