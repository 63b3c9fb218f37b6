from __future__ import annotations

from django.db import models


class AgentProgram(models.Model):
    """An agent program that can be started: its argument list and environment, with places to fill in.

    ``{packet}``, ``{worktree}``, ``{brief}``, ``{prompt}`` and ``{session}`` are filled in; there is no shell.
    """

    name = models.SlugField(max_length=60, unique=True)
    adapter = models.CharField(max_length=20, default="command", help_text="how it is launched: daemons/agents/")
    argv = models.JSONField(default=list)
    env = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
