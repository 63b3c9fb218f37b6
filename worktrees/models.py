from __future__ import annotations

from pathlib import Path

from django.db import models


class Worktree(models.Model):
    """An isolated checkout on its own branch: the unit of isolation."""

    class State(models.TextChoices):
        CREATING = "creating"
        PREPARING = "preparing"
        READY = "ready"
        REMOVING = "removing"
        REMOVED = "removed"
        FAILED = "failed"

    class Keep(models.TextChoices):
        LANE = "lane", "lane (kept)"
        EPHEMERAL = "ephemeral", "ephemeral (removed once merged)"

    project = models.ForeignKey("briefs.Project", on_delete=models.PROTECT, related_name="worktrees")
    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, null=True, blank=True, related_name="worktrees")
    name = models.CharField(max_length=120)
    path = models.CharField(max_length=700, unique=True)
    branch = models.CharField(max_length=200)
    base_sha = models.CharField(max_length=64)
    keep = models.CharField(max_length=10, choices=Keep.choices, default=Keep.EPHEMERAL)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.CREATING, db_index=True, editable=False
    )
    failure = models.TextField(blank=True)
    setup_process = models.ForeignKey(
        "daemons.Process", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    captured_sha = models.CharField(
        max_length=64, blank=True, help_text="work saved under a private ref before removal"
    )
    created_by = models.ForeignKey("briefs.Actor", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ready_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name

    @property
    def checkout(self) -> Path:
        return Path(self.path)

    @property
    def is_missing(self) -> bool:
        """The row says that it is there, the disk says otherwise. Derived: a disk that comes back heals it."""
        return self.state == self.State.READY and not self.checkout.is_dir()
