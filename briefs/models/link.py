from __future__ import annotations

from django.db import models


class Link(models.Model):
    """A thing that a brief points at, and in what relation: a commit as result, a worktree as execution."""

    class Kind(models.TextChoices):
        SCRATCHPAD = "scratchpad"
        COMMIT = "commit"
        BRANCH = "branch"
        SESSION = "session"
        WORKTREE = "worktree"
        FILE = "file"
        URL = "url"
        BRIEF = "brief"

    class Relation(models.TextChoices):
        EXECUTION = "execution"
        RESULT = "result"
        REFERENCE = "reference"

    brief = models.ForeignKey("briefs.Brief", on_delete=models.CASCADE, related_name="links")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    target = models.CharField(max_length=500)
    label = models.CharField(max_length=200, blank=True)
    relation = models.CharField(max_length=12, choices=Relation.choices, default=Relation.REFERENCE)
    actor = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["brief", "kind"])]

    def __str__(self) -> str:
        return f"{self.kind} {self.target}"
