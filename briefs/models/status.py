"""A brief's states (briefs/lifecycle.py has the moves)."""

from __future__ import annotations

from django.db import models


class Status(models.TextChoices):
    IDEA = "idea", "idea"
    REFINING = "refining", "refining"
    PLANNED = "planned", "planned"
    DISPATCHED = "dispatched", "dispatched"
    IN_PROGRESS = "in_progress", "in progress"
    IN_REVIEW = "in_review", "in review"
    COMPLETE = "complete", "complete"
    DEFERRED = "deferred", "deferred"
    CANCELLED = "cancelled", "cancelled"
    ABANDONED = "abandoned", "abandoned"


TERMINAL = frozenset({Status.COMPLETE, Status.CANCELLED, Status.ABANDONED})
