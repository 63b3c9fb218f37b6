"""Auto-dispatch and the design-loop: what happens to a brief by itself because a person switched it on.

A brief that is planned, flagged, unblocked and out of work is dispatched: when it gets there (a kick), and by the
sweep, which repairs a lost kick. It never runs in a circle: after a request that failed or was called off, somebody
must move or edit the brief first. ``outlook`` says what will happen and why not, for the panel; ``consider`` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import structlog
from django.conf import settings
from django.db import transaction

from briefs import trace
from briefs.models import Brief, Proposal, TraceEntry
from briefs.models.brief import Status
from briefs.services import actors, briefs, proposals
from daemons.models import AgentProgram
from daemons.services import programs
from dispatch import lifecycle, services
from dispatch.models import ACTIVE, DispatchRequest, State
from flower import live
from flower.errors import Conflict, Invalid, Refusal
from flower.lifecycle import words

log = structlog.stdlib.get_logger(__name__)
_ENDED_BADLY: Final = frozenset({State.FAILED, State.CANCELLED, State.CONFLICTED})
_FROM_WORK: Final = frozenset({Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW})
AT_ONCE: Final = 50  # briefs that one sweep looks at


@dataclass(frozen=True)
class Outlook:
    """What auto-dispatch will do with a brief: ``agent`` when it may start now, and a sentence for people."""

    sentence: str
    agent: str = ""

    @property
    def now(self) -> bool:
        return bool(self.agent)


def outlook(brief: Brief) -> Outlook:
    """What will happen to a flagged brief, and why not now."""
    newest = DispatchRequest.objects.filter(brief=brief).order_by("-pk").first()
    if newest is not None and newest.is_active:
        return Outlook(_after(brief, newest))
    if brief.is_terminal:
        return Outlook(f"The brief is {words(brief.status)}: nothing is dispatched.")
    agent, why_not = _agent(brief)
    if brief.status != Status.PLANNED:
        when = "Once planned and no longer blocked" if brief.waits_for() else "Once planned"
        return Outlook(f"{when}, it goes to {agent} by itself." if agent else why_not)
    if newest is not None and newest.state in _ENDED_BADLY and not _touched_since(brief, newest):
        ended = "was called off" if newest.state == State.CANCELLED else words(newest.state)
        return Outlook(
            f"It waits for you: dispatch {newest.pk} {ended}. Change or move the brief, or dispatch by hand."
        )
    if reason := services.explain(brief):
        return Outlook(reason)
    if newest is not None and newest.kind == DispatchRequest.Kind.DESIGN and _undecided(brief):
        return Outlook("It waits for your decision about the proposed plan.")
    if not agent:
        return Outlook(why_not)
    out = _out()
    if out >= settings.FLOWER.max_concurrent:
        return Outlook(f"It waits for a free place: {out} of {settings.FLOWER.max_concurrent} agents are at work.")
    leg = "a design pass" if brief.design_loop else "the build"
    return Outlook(f"It goes to {agent} for {leg} within seconds.", agent)


def _after(brief: Brief, newest: DispatchRequest) -> str:
    if newest.kind == DispatchRequest.Kind.DESIGN:
        return f"The build follows when the design pass (dispatch {newest.pk}) is done."
    return f"Dispatch {newest.pk} is {words(newest.state)}; nothing more is dispatched beside it."


def _agent(brief: Brief) -> tuple[str, str]:
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


def agent_to_run(brief: Brief, agent: str, run: bool | None) -> str:
    """The program that a dispatch starts, empty for none: ``run`` says that one is to be started, or that none is.

    None leaves that to whether an agent is named. Raises Refusal when none is named and none is the usual one.
    """
    if run is False and agent:
        raise Invalid(f"Either {agent} is started, or nobody is: leave out 'agent', or 'run'.")
    if run and not agent:
        agent, why_not = _agent(brief)
        if not agent:
            raise Conflict(why_not)
    return agent


def _touched_since(brief: Brief, ended: DispatchRequest) -> bool:
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


def _undecided(brief: Brief) -> bool:
    return Proposal.objects.filter(brief=brief, state=Proposal.State.OPEN).exists()


def _out() -> int:
    """Requests that flower runs itself and that are not finished: what the cap counts."""
    going = [State.QUEUED, State.CLAIMED, State.PREPARING, State.RUNNING]
    return DispatchRequest.objects.filter(state__in=going).exclude(program=None).count()


# --- doing it ---------------------------------------------------------------------------------------------------------


def consider(number: int) -> DispatchRequest | None:
    """Dispatch one brief if its switch and its state say so. Twice at once is once: one active request a brief."""
    brief = Brief.objects.select_related("project").filter(pk=number, auto_dispatch=True).first()
    if brief is None or brief.status != Status.PLANNED:
        return None
    seen = outlook(brief)
    if not seen.now:
        return None
    try:  # no lock: two that count at once queue one too many at most, and machine._start holds to the cap
        return services.dispatch(brief, actor=actors.system(), agent=seen.agent)
    except Refusal as refusal:
        log.warning("not dispatched by itself", brief=number, why=refusal.sentence)
        return None


def sweep() -> list[int]:
    """Dispatch what a lost kick left behind, the longest waiting first; returns the requests' numbers."""
    waiting = Brief.objects.filter(auto_dispatch=True, status=Status.PLANNED).order_by("updated_at")
    waiting = waiting.exclude(dispatch_requests__state__in=ACTIVE)
    made = [consider(number) for number in waiting.values_list("pk", flat=True)[:AT_ONCE]]
    return [request.pk for request in made if request is not None]


def on_stirred(*, brief: Brief, **_: Any) -> None:
    """A brief moved, or a switch of it did: look at once instead of with the next sweep."""
    if brief.auto_dispatch and brief.status == Status.PLANNED:
        live.kick("dispatch.tasks.auto_dispatch", brief.pk)


def end_design(request: DispatchRequest) -> None:
    """A design pass is finished: its plan becomes the spec where both switches are on, and the build may follow."""
    with transaction.atomic():
        lifecycle.move(
            request, State.DONE, actor=actors.system(), why=f"the design pass, dispatch {request.pk}, is done"
        )
        brief = Brief.objects.get(pk=request.brief_id)
        plan = Proposal.objects.filter(brief=brief, actor=request.claimed_by, state=Proposal.State.OPEN).first()
        if plan is not None and brief.auto_dispatch:
            proposals.adopt(plan, actor=actors.system())
        briefs.set_flag(brief, "design_loop", False, actor=actors.system())
