"""What the lists of dispatches show, and what pages say about the main branch (core/changes.py)."""

from __future__ import annotations

from django.db.models import Count, Max, Sum

from core import changes
from dispatch.models import DispatchRequest, GateRun, MainState


@changes.source
def requests() -> object:
    return list(
        DispatchRequest.objects.order_by("state")
        .values_list("state")
        .annotate(Count("pk"), Sum("pk"), Sum("fence"), Sum("merge_attempt"), Max("ended_at"))
    )


@changes.source
def gates() -> object:
    return GateRun.objects.aggregate(Count("pk"), Count("process"))


@changes.source
def main() -> object:
    return list(MainState.objects.order_by("pk").values_list("pk", "sha", "files_sha", "behind"))
