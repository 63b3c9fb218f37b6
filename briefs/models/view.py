from __future__ import annotations

from django.db import models


class SavedView(models.Model):
    """A board's filters under a name, one person's own."""

    actor = models.ForeignKey("briefs.Actor", on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, help_text="the board's query string")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["actor", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name
