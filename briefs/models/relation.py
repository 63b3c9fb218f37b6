from __future__ import annotations

from django.db import models


class Dependency(models.Model):
    """``brief`` cannot be dispatched before ``depends_on`` is finished."""

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="dependencies")
    depends_on = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="dependents")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "dependencies"
        constraints = [models.UniqueConstraint(fields=["brief", "depends_on"], name="dependency_once")]

    def __str__(self) -> str:
        return f"#{self.brief_id} depends on #{self.depends_on_id}"


class GraphLock(models.Model):
    """One row, which is locked and never read: see briefs/graph.py."""

    def __str__(self) -> str:
        return "the lock of how briefs hang together"
