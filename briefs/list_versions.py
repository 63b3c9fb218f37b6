"""What the board, the projects page and a brief's panels show (core/changes.py). Each change is traced."""

from __future__ import annotations

from django.db.models import Count, Max, Sum

from briefs.models import Brief, Project
from core import changes


@changes.source
def briefs() -> object:
    return Brief.objects.aggregate(Count("pk"), Sum("trace_seq"), Max("updated_at"))


@changes.source
def projects() -> object:
    return list(Project.objects.order_by("pk").values_list())
