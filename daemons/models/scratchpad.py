from __future__ import annotations

from django.db import models
from django.urls import reverse


class Scratchpad(models.Model):
    """A numbered, revisioned markdown note that agents share: hand-offs, findings."""

    name = models.CharField(max_length=120)
    project = models.ForeignKey("briefs.Project", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    content = models.TextField(blank=True)
    revision = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ["-updated_at", "-pk"]

    def __str__(self) -> str:
        return f"scratchpad {self.pk} {self.name}"

    def get_absolute_url(self) -> str:
        return reverse("scratchpad", args=[self.pk])


class ScratchpadRevision(models.Model):
    """An earlier text of a scratchpad."""

    scratchpad = models.ForeignKey(Scratchpad, on_delete=models.CASCADE, related_name="revisions")
    revision = models.PositiveIntegerField()
    content = models.TextField(blank=True)
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()

    class Meta:
        ordering = ["scratchpad_id", "-revision"]
        constraints = [models.UniqueConstraint(fields=["scratchpad", "revision"], name="scratchpad_revision_once")]

    def __str__(self) -> str:
        return f"revision {self.revision} of scratchpad {self.scratchpad_id}"
