from __future__ import annotations

from django.db import models


class Question(models.Model):
    """A question to the operator, from an agent or a person; blocking ones hold the brief back."""

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="questions")
    body = models.TextField()
    options = models.JSONField(default=list, blank=True)
    blocking = models.BooleanField(default=False)
    asked_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    answer = models.TextField(blank=True)
    answered_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    answered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"question {self.pk} on #{self.brief_id}"

    @property
    def is_open(self) -> bool:
        return self.answered_at is None
