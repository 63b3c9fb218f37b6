"""What this room adds to the board: which briefs wait for a person here, which are out, and handing them off."""

from __future__ import annotations

from typing import Final

from django.db.models import Exists, OuterRef, Q

from briefs.identity import Identity
from briefs.models import Brief, Dependency
from briefs.models.status import TERMINAL, Status
from briefs.views import rooms
from daemons.models import AgentProgram
from dispatch import policy, services
from dispatch.models import ACTIVE, DispatchRequest, State

_ENDED_BADLY: Final = (State.FAILED, State.CONFLICTED)
# A brief that was moved elsewhere since its work failed has had its person.
_WHERE_WORK_LEAVES_IT: Final = (Status.PLANNED, Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW)


@rooms.waiting
def waiting() -> Q:
    """Finished work that nobody merges by itself, a red gate, and work that failed or met a conflict last."""
    finished = DispatchRequest.objects.filter(state=State.FINISHED).order_by()
    finished = finished.exclude(no_changes=True).exclude(kind=DispatchRequest.Kind.DESIGN)  # flower closes these
    unmerged = finished.filter(Q(project__auto_merge=False) | ~Q(failure_class=""))
    newer = DispatchRequest.objects.filter(brief=OuterRef("brief"), pk__gt=OuterRef("pk"))
    ended_badly = DispatchRequest.objects.filter(~Exists(newer), state__in=_ENDED_BADLY).order_by()
    broken = Q(status__in=_WHERE_WORK_LEAVES_IT, pk__in=ended_badly.values("brief"))
    # What waits for another brief, or has no project, cannot be retried yet; other blockers ask for somebody anyway.
    comes_first = Dependency.objects.filter(brief=OuterRef("pk")).exclude(depends_on__status__in=TERMINAL)
    at_work = DispatchRequest.objects.filter(brief=OuterRef("pk"), state__in=ACTIVE)  # beside the one that ended badly
    broken &= Q(~Exists(comes_first), ~Exists(at_work), project__isnull=False)
    return Q(pk__in=unmerged.values("brief")) | broken


@rooms.held
def held() -> Q:
    return Q(pk__in=DispatchRequest.objects.filter(state__in=ACTIVE).order_by().values("brief"))


@rooms.agents
def agents() -> list[str]:
    """The enabled programs, the one that was used last first."""
    enabled = list(AgentProgram.objects.filter(enabled=True).values_list("name", flat=True))
    used = DispatchRequest.objects.exclude(program=None).order_by("-pk").values_list("program__name", flat=True)
    last = used.first()
    return sorted(enabled, key=lambda name: name != last)


@rooms.hand_off
def hand_off(brief: Brief, identity: Identity, agent: str) -> None:
    policy.check_dispatch(identity, brief)
    services.dispatch(brief, actor=identity.actor, agent=agent)
