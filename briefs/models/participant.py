from __future__ import annotations

from django.db import models


class Participant(models.Model):
    """An actor who took part in a brief: joined with the first act, left when a run ended."""

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="participants")
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="participations")
    role = models.CharField(max_length=30, default="participant")
    wave = models.PositiveIntegerField(null=True, blank=True, help_text="the set of agents that were sent out together")
    joined_at = models.DateTimeField(auto_now_add=True)
    left_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["joined_at", "pk"]
        constraints = [models.UniqueConstraint(fields=["brief", "actor"], name="participant_once")]

    def __str__(self) -> str:
        return f"{self.actor} in #{self.brief_id}"

    @property
    def is_active(self) -> bool:
        return self.left_at is None
