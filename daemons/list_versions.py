"""What the pages of processes and scratchpads show (core/changes.py)."""

from __future__ import annotations

from django.db.models import Count, Max, Sum

from core import changes
from daemons.models import Process, Scratchpad


@changes.source
def processes() -> object:
    return list(Process.objects.order_by("phase").values_list("phase").annotate(Count("pk"), Sum("pk")))


@changes.source
def scratchpads() -> object:
    return Scratchpad.objects.aggregate(Count("pk"), Sum("revision"), Max("updated_at"))
