"""Actors, bearer tokens and entry codes: who may come in, and as whom."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

from django.contrib.auth.models import AbstractBaseUser, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from briefs.identity import Identity
from briefs.models import Actor, Brief, EntryCode, Project, Token
from briefs.models.actor import digest
from core.errors import Invalid, Unauthenticated
from core.trouble import code_of

_REF: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._@/-]{0,119}")
CACHE_SECONDS: Final = 3.0  # a revocation takes effect within this time (contract: 5 s)
LAST_USE_SECONDS: Final = 60.0
ENTRY_CODE_LIFETIME: Final = timedelta(hours=24)
PREFIX: Final = "flower_"  # lets secret scanners and our own redaction know one


def system() -> Actor:
    return named("system", Actor.Kind.SYSTEM)


def named(ref: str, kind: str) -> Actor:
    """The actor of that name, made at first use. Raises Invalid for a bad name or one taken by another kind."""
    if not _REF.fullmatch(ref):
        raise Invalid(f"'{ref[:60]}' is no actor name; use letters, digits and : . _ @ / - (such as operator:mike).")
    actor = Actor.objects.filter(ref=ref).first()
    if actor is None:
        try:
            with transaction.atomic():
                actor = Actor.objects.create(ref=ref, kind=kind)
        except IntegrityError:
            actor = Actor.objects.get(ref=ref)
    if actor.kind != kind:
        raise Invalid(f"{ref} is the name of {'an' if actor.kind[0] in 'ao' else 'a'} {actor.kind} already.")
    return actor


def of_user(user: AbstractBaseUser) -> Actor:
    """The operator that a logged-in user acts as: ``operator:<user name>``, made at first use."""
    assert isinstance(user, User)
    found = Actor.objects.filter(user=user).first()
    if found is not None:
        return found
    name = re.sub(r"[^A-Za-z0-9._@-]", "-", user.get_username()) or "someone"
    actor = named(f"operator:{name}"[:120], Actor.Kind.OPERATOR)
    if actor.user_id is None:
        Actor.objects.filter(pk=actor.pk, user=None).update(user=user)
        actor.refresh_from_db()
    if actor.user_id != user.pk:
        actor = Actor.objects.create(ref=f"operator:{name}-{user.pk}"[:120], kind=Actor.Kind.OPERATOR, user=user)
    return actor


# --- tokens -----------------------------------------------------------------------------------------------------------


def issue_token(
    actor: Actor,
    scope: str,
    *,
    project: Project | None = None,
    brief: Brief | None = None,
    run: int | None = None,
    lifetime: timedelta | None = None,
    label: str = "",
) -> tuple[str, Token]:
    """Make a bearer token. Returns the secret, which is not kept and cannot be shown again, and its row."""
    secret = PREFIX + secrets.token_urlsafe(32)
    expires_at = timezone.now() + lifetime if lifetime else None
    token = keep_token(secret, actor, scope, project=project, brief=brief, run=run, label=label, expires_at=expires_at)
    return secret, token


def keep_token(
    secret: str,
    actor: Actor,
    scope: str,
    *,
    project: Project | None = None,
    brief: Brief | None = None,
    run: int | None = None,
    label: str = "",
    expires_at: datetime | None = None,
) -> Token:
    """The row of a secret that the caller made, made at first use: the same secret again gives the same row."""
    if scope not in Token.Scope.values:
        raise Invalid(f"'{scope}' is no scope; it is one of {', '.join(Token.Scope.values)}.")
    if scope == Token.Scope.RUN and (brief is None or run is None):
        raise Invalid("A run's token needs its brief and its dispatch request.")
    if scope != Token.Scope.READONLY and (scope == Token.Scope.OPERATOR) != (actor.kind == Actor.Kind.OPERATOR):
        raise Invalid(f"{actor.ref} is of kind {actor.kind} and cannot have a token of scope {scope}.")
    token, _ = Token.objects.get_or_create(
        digest=digest(secret),
        defaults={
            "actor": actor,
            "scope": scope,
            "project": project,
            "brief": brief,
            "run": run,
            "label": label,
            "expires_at": expires_at,
        },
    )
    return token


_known: dict[str, tuple[float, datetime | None, Identity]] = {}
_used: dict[int, float] = {}
_known_lock = Lock()


def authenticate(secret: str) -> Identity:
    """The caller that a bearer token stands for. Raises Unauthenticated.

    Answers are kept for CACHE_SECONDS in this process, so that a busy agent costs no query per call.
    """
    key, now = digest(secret), time.monotonic()
    with _known_lock:
        known = _known.get(key)
    if known and known[0] > now and (known[1] is None or known[1] > timezone.now()):
        return known[2]
    token = _live_token(key)
    identity = Identity(token.actor, token.scope, token.project_id, token.brief_id, token.run, token.pk)
    with _known_lock:
        if len(_known) > 2000:
            _known.clear()
        _known[key] = (now + CACHE_SECONDS, token.expires_at, identity)
    _note_use(token.pk, now)
    return identity


def _live_token(key: str) -> Token:
    token: Token | None = Token.objects.select_related("actor").filter(digest=key).first()
    if token is None:
        raise Unauthenticated("This token is not known here.")
    if token.revoked_at is not None:
        raise Unauthenticated("This token was revoked.")
    if token.expires_at is not None and token.expires_at <= timezone.now():
        raise Unauthenticated("This token has expired.")
    return token


def _note_use(token: int, now: float) -> None:
    if now - _used.get(token, -LAST_USE_SECONDS) >= LAST_USE_SECONDS:
        _used[token] = now
        try:
            Token.objects.filter(pk=token).update(last_used_at=timezone.now())
        except DatabaseError as error:
            if connection.in_atomic_block or code_of(error) is None:
                raise  # else a busy database: nobody is turned away for a note about it


def forget_cached_tokens() -> None:
    """Drop this process's cache (a revocation made here takes effect at once; elsewhere within CACHE_SECONDS)."""
    with _known_lock:
        _known.clear()
        _used.clear()


def revoke(tokens: Any) -> int:
    """Revoke a queryset of tokens; returns how many were live."""
    count: int = tokens.revoke()
    forget_cached_tokens()
    return count


# --- entry codes ------------------------------------------------------------------------------------------------------


def issue_entry_code(actor: Actor) -> str:
    """A code for ``/enter/CODE`` that logs one browser in, once, within ENTRY_CODE_LIFETIME."""
    code = secrets.token_urlsafe(24)
    EntryCode.objects.filter(expires_at__lt=timezone.now()).delete()
    EntryCode.objects.create(actor=actor, digest=digest(code), expires_at=timezone.now() + ENTRY_CODE_LIFETIME)
    return code


def actor_of_entry_code(code: str) -> Actor:
    """Whom a code would log in; it stays as good as it was. Raises Unauthenticated."""
    live = EntryCode.objects.filter(digest=digest(code), used_at=None, expires_at__gt=timezone.now())
    if (found := live.select_related("actor__user").first()) is None:
        raise Unauthenticated(_SPENT)
    return found.actor


_SPENT: Final = "This link was used already or is too old; start `make up` again for a new one, or log in."


def redeem_entry_code(code: str) -> Actor:
    """Use a code up. Exactly one of several racing browsers gets in. Raises Unauthenticated."""
    now = timezone.now()
    live = EntryCode.objects.filter(digest=digest(code), used_at=None, expires_at__gt=now)
    if live.update(used_at=now) != 1:
        raise Unauthenticated(_SPENT)
    return EntryCode.objects.select_related("actor__user").get(digest=digest(code)).actor
