from __future__ import annotations

from django.db import models


class Refinement(models.Model):
    """One run of the in-process refiner: a model is asked for a plan, in the background, and may be called off."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        PROPOSED = "proposed"
        CANCELLED = "cancelled"
        FAILED = "failed"

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="refinements")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, editable=False)
    step = models.CharField(max_length=120, blank=True, help_text="what it does now, for people")
    characters = models.PositiveIntegerField(default=0, help_text="how much of the answer has come")
    failure = models.CharField(max_length=300, blank=True)
    model = models.CharField(max_length=120, blank=True)
    tokens = models.PositiveIntegerField(default=0)
    # The brief's number while the run is active, else NULL: one run a brief, by the database.
    only_active = models.PositiveBigIntegerField(null=True, unique=True, editable=False)
    proposal = models.ForeignKey("briefs.Proposal", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    asked_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"refinement {self.pk} of #{self.brief_id}"

    @property
    def is_active(self) -> bool:
        return self.state in {self.State.QUEUED, self.State.RUNNING}
