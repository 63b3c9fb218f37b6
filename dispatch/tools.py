"""The tools of dispatching: ask for it, claim, report, complete, give up. Doors only: each calls one service."""

from __future__ import annotations

from typing import Annotated, Any

from briefs.identity import Identity
from briefs.services.recall import iso
from core.toolbox import Arg, BriefNumber, Cursor, Limit, OwnDispatch, ProjectSlug, tool
from dispatch import auto, claims, leftovers, policy, recalling, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from worktrees import recalling as worktrees
from worktrees.models import Worktree

DispatchNumber = Annotated[int, Arg("The dispatch's number.")]
Fence = Annotated[int | None, Arg("The `fence` of your claim; a run's own token needs none.")]
Why = Annotated[str, Arg("The reason, for the trace.")]


@tool("o")
def brief_dispatch(
    caller: Identity,
    brief: BriefNumber,
    agent: Annotated[str, Arg("A program to start, of recall_agents; none: an agent claims it.")] = "",
    kind: Annotated[
        str,
        Arg(
            "resume: go on where a run stopped, in its worktree; rework: take its work over to a new branch; fresh: "
            "begin anew; default: the first of these that fits.",
            DispatchRequest.Kind.values,
        ),
    ] = "",
    branch: Annotated[str, Arg("A new branch's name; default: made from the title.")] = "",
    worktree: Annotated[int | None, Arg("An existing worktree to work in, by its number.")] = None,
    base: Annotated[str, Arg("Branch or commit to begin from; default: the main branch.")] = "",
    run: Annotated[
        bool | None, Arg("true: start the project's last program where none is named; false: start none.")
    ] = None,
) -> dict[str, Any]:
    """Hand a brief to an agent, which flower starts, or which claims it.

    The answer says what lay there from an earlier run: as `goes_on` or, after a fresh start, as `left_behind`.
    """
    found = caller.find_brief(brief)
    policy.check_dispatch(caller, found)
    agent = auto.agent_to_run(found, agent, run)
    last = leftovers.newest_run(found)
    before = leftovers.of_run(last) if last is not None else None
    request = services.dispatch(
        found,
        actor=caller.actor,
        agent=agent,
        kind=kind,
        branch=branch,
        base=base,
        worktree=find_worktree(caller, worktree),
    )
    answer = {"dispatch": request.pk, "brief": found.pk, "status": request.state, "branch": request.branch}
    answer |= {"kind": request.kind, "worktree": request.worktree_id}
    if before is not None and before.has_work:
        answer["goes_on" if request.branch == before.branch else "left_behind"] = before.payload()
    return answer


@tool("ao", read_only=True)
def recall_dispatch_queue(
    caller: Identity, project: ProjectSlug = None, limit: Limit = 50, cursor: Cursor = None
) -> dict[str, Any]:
    """The dispatch queue, in its order: what waits, runs, is finished, merges, each with what is `next` and whose turn.

    `first` says why the first one in line does not start; `by_itself` is what auto-dispatch hands out next.
    """
    return recalling.queue(caller, project=project, limit=limit, cursor=cursor)


@tool("ao", read_only=True)
def dispatch_explain(caller: Identity, brief: BriefNumber) -> dict[str, Any]:
    """Why a brief is, or is not, worked on: the `obstacle`, what is `next` and who has to do it, the possible `moves`.

    `would` says how `brief_dispatch` without a kind begins now, and with what an earlier run left.
    """
    return recalling.explanation(caller, caller.find_brief(brief))


def find_worktree(caller: Identity, number: int | None) -> Worktree | None:
    return None if number is None else worktrees.find(caller, number)


@tool("ao")
def brief_claim(
    caller: Identity,
    brief: Annotated[int | None, Arg("Only what is queued of this brief.")] = None,
    dispatch: Annotated[int | None, Arg("This dispatch alone.")] = None,
    lease_seconds: Annotated[
        int, Arg("How long the claim holds without progress, 10 to 86400.")
    ] = claims.LEASE_SECONDS,
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


@tool("rao", keyed=True)
def brief_dispatch_progress(
    caller: Identity,
    note: Annotated[str, Arg("What was done or comes next, in a line or two.")],
    dispatch: OwnDispatch = None,
    fence: Fence = None,
) -> dict[str, Any]:
    """Report progress; this also renews your claim's lease."""
    request = claims.find_to_change(caller, dispatch)
    seq = services.progress(request, note, identity=caller, fence=fence)
    return {"ok": True, "dispatch": request.pk, "seq": seq}


@tool("rao")
def brief_dispatch_complete(
    caller: Identity,
    dispatch: OwnDispatch = None,
    summary: Annotated[str, Arg("What was done, in markdown.")] = "",
    handoff: Annotated[str, Arg("What the next one should know.")] = "",
    no_changes: Annotated[bool, Arg("true: nothing had to change, there is no commit.")] = False,
    fence: Fence = None,
) -> dict[str, Any]:
    """Say that the work is finished. It is checked: clean worktree, commits on the branch on top of its base."""
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
def brief_dispatch_cancel(caller: Identity, dispatch: DispatchNumber, why: Why, fence: Fence = None) -> dict[str, Any]:
    """Call a dispatch off, with the reason: its agent is stopped; its worktree and branch stay.

    Agents call off what they hold; the orchestrator any, also a merge until its commit is on the branch.
    """
    request = services.give_up(
        claims.find_to_change(caller, dispatch), why, identity=caller, fence=fence, called_off=True
    )
    return {"ok": True, "dispatch": request.pk, "status": request.state}


@tool("rao")
def brief_dispatch_fail(
    caller: Identity, why: Why, dispatch: OwnDispatch = None, fence: Fence = None
) -> dict[str, Any]:
    """Give up a dispatch that you hold, with the reason. The brief goes back to planned.

    Once it is finished only the orchestrator may.
    """
    request = services.give_up(claims.find_to_change(caller, dispatch), why, identity=caller, fence=fence)
    return {"ok": True, "dispatch": request.pk, "status": request.state}


@tool("o", destructive=True)
def dispatch_merge(caller: Identity, dispatch: DispatchNumber) -> dict[str, Any]:
    """Ask for finished work to be merged to MAIN's branch: gates first, then the ref and MAIN's files together."""
    found = claims.find(caller, dispatch)
    policy.check_merge(caller, found)
    request = merging.ask(found, actor=caller.actor)
    return {"ok": True, "dispatch": request.pk, "status": request.state}
