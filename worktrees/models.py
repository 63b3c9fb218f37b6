from __future__ import annotations

import re
import shlex
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
    setup_changes = models.JSONField(
        default=list, blank=True, editable=False, help_text="files that were not as committed when its setup had ended"
    )
    kept_folder = models.CharField(
        max_length=700, blank=True, help_text="where ignored files were copied that are kept"
    )
    kept_files = models.PositiveIntegerField(default=0)
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


class Capture(models.Model):
    """Work that was saved under a private ref before its worktree went."""

    worktree = models.ForeignKey(Worktree, on_delete=models.CASCADE, related_name="captures")
    path = models.CharField(
        max_length=700, blank=True, help_text="the inner repository that held it; empty: the worktree itself"
    )
    git_dir = models.CharField(max_length=700, help_text="git folder of the repository that keeps it")
    ref = models.CharField(max_length=200)
    sha = models.CharField(max_length=64)
    restored_branch = models.CharField(max_length=250, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["worktree", "ref", "sha"], name="capture_once")]

    def __str__(self) -> str:
        return self.ref

    @property
    def branch(self) -> str:
        """The branch that it is brought back as."""
        words = re.sub(r"[^A-Za-z0-9_-]+", "-", self.path).strip("-")[:60]
        return f"restored/{self.worktree.name}" + (f"-{words}" if words else "")

    @property
    def command(self) -> str:
        """The shell command that brings it back as that branch."""
        return f"git --git-dir={shlex.quote(self.git_dir)} branch {shlex.quote(self.branch)} {self.ref}"
