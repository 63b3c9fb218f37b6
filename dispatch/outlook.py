"""What happens next with a brief, and who does it: one answer for pages, tools, auto-dispatch and needs-you.

A step is a value with a code (dispatch/next_step.py). Either flower does it by itself (the sweep has something to do),
or somebody is named: an operator, the orchestrator, the agent that holds the work, another brief. Only rows are read;
what a run left in its worktree is git's to say (dispatch/leftovers.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from django.utils import timezone

from briefs import trace
from briefs.models import Brief, Proposal, Refinement, TraceEntry
from briefs.models.blocker import Blocker, BlockerCode
from briefs.models.status import Status
from core.errors import Refusal
from core.lifecycle import words
from daemons.models import AgentProgram
from daemons.services import programs
from dispatch import sharing
from dispatch.line import Line
from dispatch.merge import record
from dispatch.models import ACTIVE, DispatchRequest, MergeLock, State
from dispatch.next_step import Code, NextStep, Who

_FROM_WORK: Final = frozenset({Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW})


# --- why not now ------------------------------------------------------------------------------------------------------

DISPATCHABLE: Final = frozenset(
    {Status.IDEA, Status.REFINING, Status.PLANNED, Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW}
)


class ObstacleCode(StrEnum):
    """Why a brief cannot be dispatched now."""

    ENDED = "ended"
    STATUS = "status"
    NO_PROJECT = "no_project"
    BLOCKED = "blocked"
    ACTIVE = "active"


@dataclass(frozen=True)
class Obstacle:
    """What keeps a brief from being dispatched now, with a sentence that says what is next instead."""

    code: ObstacleCode
    sentence: str


def blocked_by(brief: Brief, blockers: list[Blocker]) -> Obstacle:
    """The obstacle that is made of what holds a brief back."""
    waits = ", ".join(blocker.phrase for blocker in blockers)
    return Obstacle(ObstacleCode.BLOCKED, f"Brief #{brief.pk} is blocked: it waits for {waits}.")


def obstacle(brief: Brief, *, beside: bool = False, instead_of: DispatchRequest | None = None) -> Obstacle | None:
    """What keeps a brief from being dispatched now; None when nothing does.

    ``beside`` allows a second active request. ``instead_of`` is one that would end with it: finished work whose merge
    was refused.
    """
    if brief.is_terminal:
        what = f"Brief #{brief.pk} is {words(brief.status)}: dispatch is closed. Reopen it first."
        return Obstacle(ObstacleCode.ENDED, what)
    if brief.status not in DISPATCHABLE:
        return Obstacle(
            ObstacleCode.STATUS, f"Brief #{brief.pk} is {words(brief.status)}; move it back to planned first."
        )
    if brief.project is None:
        what = f"Brief #{brief.pk} belongs to no project; say on which repository the work happens."
        return Obstacle(ObstacleCode.NO_PROJECT, what)
    if blockers := brief.blockers():
        return blocked_by(brief, blockers)
    rows = DispatchRequest.objects.filter(brief=brief, state__in=ACTIVE)
    if instead_of is not None and instead_of.is_stuck:
        rows = rows.exclude(pk=instead_of.pk)
    active = None if beside else rows.select_related("project", "program", "claimed_by").first()
    if active is None:
        return None
    is_over = active.state in {State.FINISHED, State.MERGING}
    said = of_request(active).sentence
    return Obstacle(ObstacleCode.ACTIVE, said if is_over else f"{said} One agent at a time works on a brief.")


# --- steps ------------------------------------------------------------------------------------------------------------


def next_step(brief: Brief) -> NextStep:
    """The one thing to say of a brief: what a person is asked for comes first."""
    return steps(brief)[0]


def steps(brief: Brief) -> list[NextStep]:
    """All that may or will happen next with a brief, what a person is asked for first. Never empty."""
    if brief.is_terminal:
        return [NextStep(Code.ENDED, Who.NOBODY, brief.pk, status=brief.status)]
    rows = DispatchRequest.objects.filter(brief=brief).select_related("project", "program", "claimed_by")
    if brief.status == Status.DEFERRED:
        return [NextStep(Code.SET_ASIDE, Who.OPERATOR, brief.pk)]
    active = list(rows.filter(state__in=ACTIVE).defer("packet").order_by("-pk"))
    blockers = brief.blockers()
    line = Line.now() if any(request.state == State.QUEUED for request in active) else None
    found = [of_request(request, line) for request in active]
    found += _asked(brief, blockers)
    if not active:
        found += _of_idle(brief, rows.defer("packet").order_by("-pk").first(), blockers)
    return sorted(found, key=lambda step: not step.needs_you)


def of_request(request: DispatchRequest, line: Line | None = None) -> NextStep:
    """What is next with one active request. ``line``: who waits for a place, where it was asked for already."""
    agent = request.claimed_by.ref if request.claimed_by else request.program.name if request.program else ""
    is_design = request.kind == DispatchRequest.Kind.DESIGN
    step = NextStep(Code.WORK, Who.AGENT, request.brief_id, dispatch=request.pk, agent=agent, is_design=is_design)
    if request.state == State.QUEUED:
        return _of_queued(request, step, line)
    if request.state in {State.CLAIMED, State.PREPARING}:
        if before := sharing.still_stopping(request):
            return replace(step, code=Code.WAIT_FOR_STOP, who=Who.FLOWER, other=before.pk)
        return replace(step, code=Code.PREPARE, who=Who.FLOWER)
    if request.state == State.FINISHED:
        if is_design or request.no_changes:
            return replace(step, code=Code.CLOSE, who=Who.FLOWER)
        if request.failure_class == record.NotMerged.MAIN_RED:
            return replace(step, code=Code.MEND_MAIN, who=Who.OPERATOR)
        if request.failure_class:
            return replace(step, code=Code.MERGE_REFUSED, who=Who.ORCHESTRATOR, status=request.failure_class)
        if request.project is not None and request.project.auto_merge:
            return replace(step, code=Code.MERGE, who=Who.FLOWER)
        return replace(step, code=Code.REVIEW, who=Who.ORCHESTRATOR)
    if request.state == State.MERGING:
        if other := sharing.at_work_beside(request).first():
            return replace(step, code=Code.WAIT_FOR_RUN, who=Who.FLOWER, other=other.pk, title=str(other.brief_id))
        if first := _merged_first(request):
            return replace(step, code=Code.WAIT_FOR_TURN, who=Who.FLOWER, other=first.pk, title=str(first.brief_id))
        return replace(step, code=Code.MERGE, who=Who.FLOWER)
    return step


def _merged_first(request: DispatchRequest) -> DispatchRequest | None:
    """The request that is merged to the same branch now, so that this one waits for its turn."""
    rows = MergeLock.objects.filter(project=request.project_id, expires_at__gt=timezone.now())
    held = rows.exclude(request=None).exclude(request=request).filter(request__state=State.MERGING)
    lock = held.select_related("request").first()
    return lock.request if lock is not None else None


def _of_queued(request: DispatchRequest, step: NextStep, line: Line | None) -> NextStep:
    if request.program is None:
        return replace(step, code=Code.CLAIM)
    line = line or Line.now()
    if line.may_start(request.pk):
        return replace(step, code=Code.START, who=Who.FLOWER)
    place = line.before(request.pk) + 1
    return replace(step, code=Code.WAIT_FOR_PLACE, who=Who.FLOWER, running=line.running, cap=line.cap, place=place)


def _asked(brief: Brief, blockers: list[Blocker]) -> list[NextStep]:
    """What a person is asked for, whether or not an agent works meanwhile."""
    found = [
        NextStep(Code.ANSWER, Who.OPERATOR, brief.pk, other=number)
        for number in brief.questions.filter(answered_at=None).order_by("-blocking", "pk").values_list("pk", flat=True)
    ]
    for blocker in blockers:
        if blocker.code == BlockerCode.APPROVAL:
            found.append(NextStep(Code.APPROVE, Who.OPERATOR, brief.pk))
        elif blocker.code == BlockerCode.MISSING_WORK:
            step = NextStep(Code.START_WITHOUT, Who.OPERATOR, brief.pk, other=blocker.number, title=blocker.title)
            found.append(replace(step, status=blocker.status))
    if Proposal.objects.filter(brief=brief, state=Proposal.State.OPEN).exists():
        found.append(NextStep(Code.DECIDE_PLAN, Who.OPERATOR, brief.pk))
    return found


def _of_idle(brief: Brief, newest: DispatchRequest | None, blockers: list[Blocker]) -> list[NextStep]:
    """What is next with a brief on which nobody works now, apart from what a person is asked for."""
    found = [
        NextStep(Code.WAIT_FOR_BRIEF, Who.BRIEF, brief.pk, other=blocker.number, title=blocker.title)
        for blocker in blockers
        if blocker.code == BlockerCode.DEPENDENCY
    ]
    if brief.status in {Status.IDEA, Status.REFINING}:
        return [*found, _of_unplanned(brief, is_blocked=bool(blockers))]
    if brief.status in {Status.DISPATCHED, Status.IN_PROGRESS}:
        return [*found, NextStep(Code.ROLL_UP, Who.FLOWER, brief.pk)]
    step = NextStep(Code.DISPATCH, Who.ORCHESTRATOR, brief.pk, dispatch=newest.pk if newest else 0)
    ended_badly = newest is not None and newest.state in {State.CONFLICTED, State.FAILED}
    if ended_badly and blockers:  # what holds it back holds a retry back, too
        return found
    if ended_badly and brief.project is None:
        return [replace(step, code=Code.CHOOSE_PROJECT, who=Who.OPERATOR)]
    if newest is not None and newest.state == State.CONFLICTED:
        found.append(replace(step, code=Code.REWORK))
    elif newest is not None and newest.state == State.FAILED and brief.status == Status.PLANNED:
        is_touched = brief.auto_dispatch and touched_since(brief, newest)
        found += [] if is_touched else [replace(step, code=Code.RETRY, status=newest.failure_class)]
    elif brief.status == Status.IN_REVIEW:
        merged = newest is not None and newest.state == State.DONE
        if merged and not brief.questions.filter(answered_at=None).exists():
            found.append(replace(step, code=Code.ROLL_UP, who=Who.FLOWER))
        elif not merged:
            found.append(replace(step, code=Code.DECIDE_STATUS, status=brief.status))
        return found
    if found or blockers:
        return found
    return _of_planned(brief, newest, step)


def _of_unplanned(brief: Brief, *, is_blocked: bool) -> NextStep:
    if Refinement.objects.filter(brief=brief, state__in=_REFINING).exists():
        return NextStep(Code.REFINE, Who.FLOWER, brief.pk)
    agent = usual_agent(brief)[0] if brief.auto_dispatch else ""
    step = NextStep(Code.PLAN, Who.OPERATOR, brief.pk, agent=agent, is_automatic=brief.auto_dispatch)
    return replace(step, other=1) if is_blocked else step


def _of_planned(brief: Brief, newest: DispatchRequest | None, step: NextStep) -> list[NextStep]:
    if brief.project is None:
        return [replace(step, code=Code.CHOOSE_PROJECT, who=Who.OPERATOR)]
    called_off = newest is not None and newest.state == State.CANCELLED
    if called_off and not (brief.auto_dispatch and newest is not None and touched_since(brief, newest)):
        return [replace(step, code=Code.DISPATCH_AGAIN)]
    if not brief.auto_dispatch:
        return [step]
    is_design = newest is not None and newest.kind == DispatchRequest.Kind.DESIGN
    if is_design and Proposal.objects.filter(brief=brief, state=Proposal.State.OPEN).exists():
        return []  # the decision comes first, which is asked for already
    agent, why_none = usual_agent(brief)
    if not agent:
        return [replace(step, code=Code.CHOOSE_AGENT, who=Who.OPERATOR, title=why_none)]
    line = Line.now()
    if line.is_full:
        out = line.running + len(line.waiting)
        return [replace(step, code=Code.WAIT_FOR_PLACE, who=Who.FLOWER, running=out, cap=line.cap)]
    leg = "a design pass" if brief.design_loop else "the build"
    return [replace(step, code=Code.AUTO_DISPATCH, who=Who.FLOWER, agent=agent, title=leg)]


_REFINING: Final = (Refinement.State.QUEUED, Refinement.State.RUNNING)


def touched_since(brief: Brief, ended: DispatchRequest) -> bool:
    """Whether somebody moved or edited the brief after a request's end; what followed from the end does not count."""
    since = ended.ended_at or ended.created_at
    rows = TraceEntry.objects.filter(
        brief=brief,
        at__gt=since,
        kind__in=[trace.Kind.STATUS_CHANGE, trace.Kind.REFINEMENT, trace.Kind.ANSWER, trace.Kind.DEPENDENCY_REMOVED],
    ).exclude(source=TraceEntry.Source.SYSTEM)
    return any(
        kind != trace.Kind.STATUS_CHANGE or data.get("from") not in _FROM_WORK
        for kind, data in rows.order_by("-seq").values_list("kind", "data")[:200]
    )


def usual_agent(brief: Brief) -> tuple[str, str]:
    """The program that it would go to, or the sentence that says why to none: the project's last, else the only one."""
    if brief.project is None:
        return "", "It belongs to no project, so it cannot be dispatched."
    used = DispatchRequest.objects.filter(project=brief.project, program__enabled=True).order_by("-pk")
    enabled = list(AgentProgram.objects.filter(enabled=True)[:2])
    last = used.select_related("program").first()
    program = last.program if last is not None else enabled[0] if len(enabled) == 1 else None
    if program is None:
        if not enabled:
            return "", "There is no agent program; add one with manage.py agent_add."
        return "", f"No agent was used in {brief.project.slug} yet and there are several; dispatch once by hand."
    try:
        programs.check_installed(program)
    except Refusal as refusal:
        return "", refusal.sentence
    return program.name, ""
