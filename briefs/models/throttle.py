from __future__ import annotations

from django.db import models


class LoginThrottle(models.Model):
    """How often a login was tried lately for one user name, or from one address. Rules: briefs/throttle.py."""

    key = models.CharField(max_length=64, primary_key=True, help_text="SHA-256 of what is counted: names may be long")
    attempts = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField(db_index=True)
    blocked_until = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.attempts} attempts at {self.key[:8]}…"
