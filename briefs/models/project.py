from __future__ import annotations

from pathlib import Path

from django.db import models


class Project(models.Model):
    """One git repository that agents work on. Its main checkout is MAIN: it receives only merged code."""

    slug = models.SlugField(max_length=60, unique=True)
    root = models.CharField(max_length=700, unique=True, help_text="absolute path of the main checkout")
    main_branch = models.CharField(max_length=200)
    branch_prefix = models.CharField(
        max_length=60, default="flower", help_text="what the names of agents' branches begin with: flower/12-fix-login"
    )
    setup_command = models.TextField(
        blank=True, help_text="run by the shell in a new worktree, before the agent starts"
    )
    gates = models.JSONField(default=list, blank=True, help_text="shell commands that must exit 0 before a merge")
    gate_seconds = models.PositiveIntegerField(default=1800, help_text="time limit of one gate, in seconds")
    auto_merge = models.BooleanField(default=False, help_text="merge finished work without being asked")
    submodules = models.BooleanField(
        default=True, help_text="check submodules out in each worktree, where the repository has any"
    )
    keep_paths = models.JSONField(
        default=list, blank=True, help_text="patterns of ignored files that are kept when a worktree is removed"
    )
    setup_changes = models.JSONField(
        default=list, blank=True, editable=False, help_text="files that the setup command left changed the last time"
    )
    git_programs = models.JSONField(
        default=dict,
        blank=True,
        help_text="commands of git filters and merge drivers that flower's git may run, by configuration key",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug

    @property
    def git_program_names(self) -> list[str]:
        """The filters and merge drivers that may run: "filter.x.clean" is one of "x"."""
        return sorted({key.partition(".")[2].rpartition(".")[0] for key in self.git_programs})

    @property
    def path(self) -> Path:
        return Path(self.root)
