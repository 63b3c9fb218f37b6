"""Who acts, and what they prove it with.

Tokens and entry codes are random and stored as SHA-256 only: whoever reads the database can let nobody in.
"""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone


class Actor(models.Model):
    """Who does something: ``operator:mike``, ``flower-orchestrator``, ``flower-12-worker``, ``system``."""

    class Kind(models.TextChoices):
        OPERATOR = "operator"
        AGENT = "agent"
        SYSTEM = "system"

    ref = models.CharField(max_length=120, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="actor"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["ref"]

    def __str__(self) -> str:
        return self.ref


class TokenQuerySet(models.QuerySet["Token"]):
    def live(self) -> TokenQuerySet:
        now = timezone.now()
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), revoked_at=None)

    def revoke(self) -> int:
        """Revoke every token of this set that is not revoked yet; returns how many that were."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class Token(models.Model):
    """A bearer token of an actor, limited to a scope and, where set, to one project or one run of one brief."""

    class Scope(models.TextChoices):
        OPERATOR = "operator"
        ORCHESTRATOR = "orchestrator"
        AGENT = "agent"
        READONLY = "readonly"
        RUN = "run"

    actor = models.ForeignKey(Actor, on_delete=models.PROTECT, related_name="tokens")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scope = models.CharField(max_length=12, choices=Scope.choices)
    project = models.ForeignKey("briefs.Project", on_delete=models.PROTECT, null=True, blank=True)
    brief = models.ForeignKey("briefs.Brief", on_delete=models.PROTECT, null=True, blank=True)
    run = models.PositiveBigIntegerField(null=True, blank=True, help_text="number of the dispatch request, for a run")
    label = models.CharField(max_length=120, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: ClassVar[Any] = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"token {self.pk} of {self.actor.ref}"


class EntryCode(models.Model):
    """A one-time code in a link that logs a browser in as an operator."""

    digest = models.CharField(max_length=64, unique=True, editable=False)
    actor = models.ForeignKey(Actor, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"entry code {self.pk} of {self.actor.ref}"


def digest(secret: str) -> str:
    """What is stored of a token or a code. Unsalted is right: the secrets have 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
