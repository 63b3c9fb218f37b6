"""What the list of sessions shows (core/changes.py)."""

from __future__ import annotations

from django.db.models import Count, Max, Sum

from core import changes
from transcripts.models import Session, Taking


@changes.source
def sessions() -> object:
    return Session.objects.aggregate(
        Count("pk"), Sum("events"), Sum("outline_revision"), Count("brief"), Count("process"), Max("reviewed_at")
    )


@changes.source
def takings() -> object:
    return list(Taking.objects.order_by("pk").values_list())
