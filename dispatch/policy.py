"""Who may do what with dispatches: one question an act, for every door.

Pages, tools and the admin ask ``check_…`` before they act, and ``may_…`` for what they offer. Whether the act is
possible now (its state, what git says) is the services' question.
"""

from __future__ import annotations

from briefs.identity import Identity
from briefs.models import Brief
from core.errors import Conflict, Forbidden
from core.lifecycle import words
from dispatch.models import HELD, DispatchRequest


def may_dispatch(identity: Identity, brief: Brief) -> bool:
    """Whether the caller may hand this brief to an agent."""
    return identity.may_orchestrate and _is_within(identity, brief.project_id)


def check_dispatch(identity: Identity, brief: Brief) -> None:
    """Raises Forbidden unless the caller may hand this brief to an agent."""
    _check_orchestrates(identity, brief.project_id)


def may_merge(identity: Identity, request: DispatchRequest) -> bool:
    """Whether the caller may merge this work, or have it reworked: operators and the orchestrator."""
    return identity.may_orchestrate and _is_within(identity, request.project_id)


def check_merge(identity: Identity, request: DispatchRequest) -> None:
    """Raises Forbidden unless the caller may merge this work."""
    _check_orchestrates(identity, request.project_id)


def may_retry(identity: Identity, request: DispatchRequest) -> bool:
    """Whether the caller may dispatch the brief of this request once more."""
    return may_dispatch(identity, request.brief)


def check_retry(identity: Identity, request: DispatchRequest) -> None:
    """Raises Forbidden unless the caller may dispatch the brief of this request once more."""
    check_dispatch(identity, request.brief)


def may_cancel(identity: Identity, request: DispatchRequest) -> bool:
    """Whether a page offers the caller to call this request off: agents do it by their tool, for what they hold."""
    return identity.may_orchestrate and _is_within(identity, request.project_id)


def check_end(identity: Identity, request: DispatchRequest, fence: int | None) -> int | None:
    """The fence that ending a request carries, if any. An agent ends what it holds; who orchestrates, any request.

    Raises Forbidden when the claim is somebody else's or the work another project's, Conflict when it is not held any
    more.
    """
    check_project(identity, request.project_id)
    if identity.may_orchestrate:
        return fence
    held = check_holder(identity, request, fence)
    if request.state not in HELD:
        raise Conflict(
            f"Dispatch {request.pk} is {words(request.state)} and not held any more; "
            "only an operator or the orchestrator may end it."
        )
    return held


def check_holder(identity: Identity, request: DispatchRequest, fence: int | None) -> int:
    """The fence that a write of this caller carries. Raises Forbidden when the claim is somebody else's.

    A run's own token stands for its claim. Without a fence the current one is taken, as the caller is the claimant.
    """
    if request.claimed_by_id != identity.actor.pk:
        holder = request.claimed_by.ref if request.claimed_by else "nobody"
        raise Forbidden(f"Dispatch {request.pk} is claimed by {holder}, not by {identity.actor.ref}.")
    return request.fence if fence is None else fence


def check_project(identity: Identity, project: int | None) -> None:
    """Raises Forbidden for a caller whose token is limited to another project than the one that is worked on.

    Seeing a brief is not enough: one that also concerns the caller's project is worked on in another repository.
    """
    if not _is_within(identity, project):
        raise Forbidden("This token is limited to one project, and the work happens in another one.")


def _check_orchestrates(identity: Identity, project: int | None) -> None:
    identity.require_orchestrator()
    check_project(identity, project)


def _is_within(identity: Identity, project: int | None) -> bool:
    return identity.project is None or identity.project == project
