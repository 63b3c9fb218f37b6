from __future__ import annotations

from typing import Any

from django.db import models


class KeyedCall(models.Model):
    """What a call with a key answered, for its repetition. Rules: briefs/services/keyed_calls.py."""

    actor = models.ForeignKey("briefs.Actor", on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64, help_text="SHA-256 of tool and key: exact on every collation")
    arguments = models.CharField(max_length=64, help_text="SHA-256 of the other arguments")
    result: models.JSONField[Any, Any] = models.JSONField(null=True)
    at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["actor", "digest"], name="keyed_call_once")]

    def __str__(self) -> str:
        return f"call {self.digest[:8]}…"
