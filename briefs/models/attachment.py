from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import models
from django.urls import reverse


class Attachment(models.Model):
    """A picture of a brief, verified and encoded again by us, and stored under the hash of what we encoded."""

    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, related_name="attachments")
    digest = models.CharField(max_length=64, help_text="SHA-256 of the stored file")
    media_type = models.CharField(max_length=20)
    name = models.CharField(max_length=120, blank=True, help_text="as it was called by whoever sent it")
    width = models.PositiveIntegerField()
    height = models.PositiveIntegerField()
    size = models.PositiveIntegerField(help_text="bytes")
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["brief", "digest"], name="attachment_once")]

    def __str__(self) -> str:
        return f"attachment {self.digest[:12]} of #{self.brief_id}"

    def get_absolute_url(self) -> str:
        return reverse("attachment", args=[self.brief_id, self.digest])

    @property
    def path(self) -> Path:
        return settings.FLOWER.home / "attachments" / self.digest[:2] / self.digest
