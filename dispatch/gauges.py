"""What the dispatch room shows at /metrics: queue depths and ages, running agents, merges that wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db.models import Count, Min, QuerySet
from django.utils import timezone

from core import metrics
from daemons.models import Process
from dispatch.models import ACTIVE, DispatchRequest, State

Rows = Iterable[tuple[Sequence[str], float]]


@metrics.gauge_source("flower_dispatch_requests", "Dispatch requests by state.", ["state"])
def requests_by_state(project: int | None) -> Rows:
    counts = dict(_requests(project).order_by().values_list("state").annotate(Count("pk")))
    return [((state,), counts.get(state, 0)) for state in State.values]


@metrics.gauge_source("flower_dispatch_oldest_seconds", "Age of the oldest active request by state.", ["state"])
def oldest_by_state(project: int | None) -> Rows:
    now = timezone.now()
    rows = _requests(project).filter(state__in=ACTIVE).order_by().values_list("state").annotate(Min("created_at"))
    return [((state,), (now - since).total_seconds()) for state, since in rows]


@metrics.gauge_source("flower_processes", "Processes that have not ended, by purpose.", ["purpose"])
def running_processes(project: int | None) -> Rows:
    processes = Process.objects.all() if project is None else Process.objects.filter(project=project)
    rows = processes.exclude(phase__in=Process.ENDED).order_by().values_list("purpose").annotate(Count("pk"))
    counts = dict(rows)
    return [((purpose,), counts.get(purpose, 0)) for purpose in Process.Purpose.values]


def _requests(project: int | None) -> QuerySet[DispatchRequest]:
    requests = DispatchRequest.objects.all()
    return requests if project is None else requests.filter(brief__project=project)
