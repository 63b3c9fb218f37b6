from __future__ import annotations

from django.contrib import admin

from briefs.admin import ReadOnly
from worktrees.models import Worktree


@admin.register(Worktree)
class WorktreeAdmin(ReadOnly):
    list_display = ("pk", "name", "project", "branch", "state", "keep", "created_at", "removed_at")
    list_filter = ("state", "keep", "project")
