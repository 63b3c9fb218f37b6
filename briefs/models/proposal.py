from __future__ import annotations

from django.db import models


class Proposal(models.Model):
    """A plan that somebody (an agent, the refiner) would make the spec. A person accepts, edits or refuses it."""

    class State(models.TextChoices):
        OPEN = "open"
        ACCEPTED = "accepted"
        REFUSED = "refused"
        SUPERSEDED = "superseded"

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="proposals")
    plan = models.TextField()
    base_version = models.PositiveIntegerField(help_text="the spec's version that the plan was made from")
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN, editable=False)
    entry = models.PositiveIntegerField(help_text="the trace entry that tells of it")
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    decided_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"proposal {self.pk} for #{self.brief_id}"
