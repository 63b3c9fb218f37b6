"""The tools of dispatching: ask for it, claim, report, complete, give up. Doors only: each calls one service."""

from __future__ import annotations

from typing import Any

from briefs.identity import Identity
from briefs.services.recall import iso
from dispatch import auto, claims, services
from dispatch import merge as merging
from flower.errors import NotFound
from flower.toolbox import tool
from worktrees.models import Worktree


@tool("o")
def brief_dispatch(
    caller: Identity,
    brief: int,
    agent: str = "",
    kind: str = "",
    branch: str = "",
    worktree: int | None = None,
    base: str = "",
    run: bool | None = None,
) -> dict[str, Any]:
    """Hand a brief to an agent. `agent` names the program that flower starts; leave it out and an agent claims it.

    `base` is a branch or commit (default: the project's main branch), `worktree` an existing one to work in. `kind`
    rework takes over the work of a dispatch that was not merged. `run` true starts an agent also where none is named:
    the project's last one; false leaves the dispatch queued for whoever claims it.
    """
    found = caller.find_brief(brief)
    claims.check_project(caller, found.project_id)
    agent = auto.agent_to_run(found, agent, run)
    request = services.dispatch(
        found,
        actor=caller.actor,
        agent=agent,
        kind=kind,
        branch=branch,
        base=base,
        worktree=find_worktree(caller, worktree),
    )
    return {"dispatch": request.pk, "brief": found.pk, "status": request.state, "branch": request.branch}


def find_worktree(caller: Identity, number: int | None) -> Worktree | None:
    if number is None:
        return None
    found = Worktree.objects.select_related("project").filter(pk=number).first() if number > 0 else None
    if found is None or (caller.project is not None and found.project_id != caller.project):
        raise NotFound(f"There is no worktree {number} for you.")
    return found


@tool("ao")
def brief_claim(
    caller: Identity, brief: int | None = None, dispatch: int | None = None, lease_seconds: int = claims.LEASE_SECONDS
) -> dict[str, Any]:
    """Claim queued work: of a brief, one dispatch, or (neither) the oldest that waits. Exactly one claimant gets it.

    Keep the `fence` and send it with progress and completion; report progress before `lease_expires` to keep the claim.
    """
    if dispatch is not None:
        request = claims.claim_one(caller, dispatch, brief=brief, lease_seconds=lease_seconds)
    else:
        request = claims.claim_next(caller, brief=brief, lease_seconds=lease_seconds)
    return {
        "dispatch": request.pk,
        "brief": request.brief_id,
        "fence": request.fence,
        "lease_expires": iso(request.lease_expires_at),
        "packet": request.packet,
    }


@tool("rao")
def brief_dispatch_progress(
    caller: Identity, note: str, dispatch: int | None = None, fence: int | None = None
) -> dict[str, Any]:
    """Report progress in a line or two; this also renews your claim's lease. `dispatch` defaults to your own."""
    request = claims.find_to_change(caller, dispatch)
    seq = services.progress(request, note, identity=caller, fence=fence)
    return {"ok": True, "dispatch": request.pk, "seq": seq}


@tool("rao")
def brief_dispatch_complete(
    caller: Identity,
    dispatch: int | None = None,
    summary: str = "",
    handoff: str = "",
    no_changes: bool = False,
    fence: int | None = None,
) -> dict[str, Any]:
    """Say that the work is finished. It is checked: clean worktree, commits on the branch on top of its base.

    `summary` tells what was done, `handoff` what the next one should know. `no_changes` when nothing had to change.
    """
    request = services.complete(
        claims.find_to_change(caller, dispatch),
        identity=caller,
        summary=summary,
        handoff=handoff,
        no_changes=no_changes,
        fence=fence,
    )
    return {"dispatch": request.pk, "status": request.state}


@tool("rao")
def brief_dispatch_cancel(caller: Identity, dispatch: int, why: str, fence: int | None = None) -> dict[str, Any]:
    """Call a dispatch off, with the reason: its agent is stopped; its worktree and branch stay.

    Agents call off what they hold; the orchestrator any, also a merge until its commit is on the branch.
    """
    request = services.give_up(
        claims.find_to_change(caller, dispatch), why, identity=caller, fence=fence, called_off=True
    )
    return {"ok": True, "dispatch": request.pk, "status": request.state}


@tool("rao")
def brief_dispatch_fail(
    caller: Identity, why: str, dispatch: int | None = None, fence: int | None = None
) -> dict[str, Any]:
    """Give up a dispatch that you hold, with the reason. The brief goes back to planned.

    Once it is finished only the orchestrator may.
    """
    request = services.give_up(claims.find_to_change(caller, dispatch), why, identity=caller, fence=fence)
    return {"ok": True, "dispatch": request.pk, "status": request.state}


@tool("o", destructive=True)
def dispatch_merge(caller: Identity, dispatch: int) -> dict[str, Any]:
    """Ask for finished work to be merged to MAIN's branch: gates first, then the ref and MAIN's files together."""
    merging.check_may_merge(caller)
    request = merging.ask(claims.find_to_change(caller, dispatch), actor=caller.actor)
    return {"ok": True, "dispatch": request.pk, "status": request.state}
