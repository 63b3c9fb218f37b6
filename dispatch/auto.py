"""Auto-dispatch and the design-loop: what happens to a brief by itself because a person switched it on.

A brief that is planned, flagged, unblocked and out of work is dispatched: when it gets there (a kick), and by the
sweep, which repairs a lost kick. It never runs in a circle: after a request that failed or was called off, somebody
must move or edit the brief first. ``dispatch/outlook.py`` says what will happen and why not; ``consider`` does it.
"""

from __future__ import annotations

from typing import Any, Final

import structlog
from django.db import transaction

from briefs.models import Brief, Proposal
from briefs.models.status import Status
from briefs.services import actors, briefs, proposals
from core import live
from core.errors import Conflict, Invalid, Refusal
from dispatch import lifecycle, outlook, services
from dispatch.models import ACTIVE, DispatchRequest, State
from dispatch.next_step import Code

log = structlog.stdlib.get_logger(__name__)
_ENDED_BADLY: Final = frozenset({State.FAILED, State.CANCELLED, State.CONFLICTED})
_FROM_WORK: Final = frozenset({Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW})
AT_ONCE: Final = 50  # briefs that one sweep looks at


def agent_to_run(brief: Brief, agent: str, run: bool | None) -> str:
    """The program that a dispatch starts, empty for none: ``run`` says that one is to be started, or that none is.

    None leaves that to whether an agent is named. Raises Refusal when none is named and none is the usual one.
    """
    if run is False and agent:
        raise Invalid(f"Either {agent} is started, or nobody is: leave out 'agent', or 'run'.")
    if run and not agent:
        agent, why_not = outlook.usual_agent(brief)
        if not agent:
            raise Conflict(why_not)
    return agent


# --- doing it ---------------------------------------------------------------------------------------------------------


def consider(number: int) -> DispatchRequest | None:
    """Dispatch one brief if its switch and its state say so. Twice at once is once: one active request a brief."""
    brief = Brief.objects.select_related("project").filter(pk=number, auto_dispatch=True).first()
    if brief is None or brief.status != Status.PLANNED:
        return None
    step = next((step for step in outlook.steps(brief) if step.code == Code.AUTO_DISPATCH), None)
    if step is None:
        return None
    try:  # no lock: two that count at once queue one too many at most, and machine._start holds to the cap
        return services.dispatch(brief, actor=actors.system(), agent=step.agent)
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
