from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q

from briefs.models.blocker import Blocker, BlockerCode
from briefs.models.status import TERMINAL, Status


class Dependency(models.Model):
    """``brief`` cannot be dispatched before ``depends_on`` is complete.

    One that was cancelled or abandoned left no work: somebody then decides whether to start without it.
    """

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="dependencies")
    depends_on = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="dependents")
    created_at = models.DateTimeField(auto_now_add=True)
    accepted_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    accepted_at = models.DateTimeField(
        null=True, blank=True, help_text="when somebody said to start without the work of a prerequisite that has none"
    )

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "dependencies"
        constraints = [models.UniqueConstraint(fields=["brief", "depends_on"], name="dependency_once")]

    def __str__(self) -> str:
        return f"#{self.brief_id} depends on #{self.depends_on_id}"

    @property
    def blocker(self) -> Blocker | None:
        """What it holds back, if anything."""
        other = self.depends_on
        return blocker_of(other.pk, other.title, other.status, is_accepted=self.accepted_at is not None)


def blocker_of(number: int, title: str, status: str, *, is_accepted: bool) -> Blocker | None:
    """What a prerequisite of that number, title and status holds back, if anything."""
    if status == Status.COMPLETE:
        return None
    if status not in TERMINAL:
        return Blocker(BlockerCode.DEPENDENCY, number, title, status)
    return None if is_accepted else Blocker(BlockerCode.MISSING_WORK, number, title, status)


# The same as conditions on Dependency rows.
MISSING_WORK: Final = Q(depends_on__status__in=TERMINAL - {Status.COMPLETE}, accepted_at=None)
UNMET: Final = ~Q(depends_on__status__in=TERMINAL) | MISSING_WORK


class GraphLock(models.Model):
    """One row, which is locked and never read: see briefs/graph.py."""

    def __str__(self) -> str:
        return "the lock of how briefs hang together"
