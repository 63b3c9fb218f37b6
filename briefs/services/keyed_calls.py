"""Calls that may be repeated: the same key of the same actor is done once, and answered alike each time.

The row is made in the transaction of what the call writes. So there is no moment in which one is there without the
other, and of two calls that race one waits at the unique row until the other's transaction has ended. A call that is
refused leaves nothing behind: it may be made again, with the same key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from briefs.models import Actor, KeyedCall
from core.errors import Conflict, Invalid

KEPT: Final = timedelta(days=7)
LONGEST_KEY: Final = 200  # characters
FORGOTTEN_AT_ONCE: Final = 100


def once(
    tool: str, key: str, arguments: Mapping[str, Any], call: Callable[[], dict[str, Any]], *, actor: Actor
) -> dict[str, Any]:
    """The result of ``call``, which is made unless this actor's call of this tool with this key was made before.

    ``arguments`` are the call's own. Raises Conflict where the key was used for others, and whatever ``call`` raises.
    """
    if len(key) > LONGEST_KEY:
        raise Invalid(f"A key has at most {LONGEST_KEY} characters, this one has {len(key):,}.")
    digest = sha256(f"{tool}:{key}".encode()).hexdigest()
    given = sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
    if (found := _found(actor, digest)) is None:
        _forget_old()
        try:
            with transaction.atomic():
                row = _made(actor, digest, given)
                row.result = call()
                row.save(update_fields=["result"])
                return row.result  # type: ignore[no-any-return]
        except _Taken:
            found = _found(actor, digest)
            assert found is not None  # who made it has committed: we waited for that
    if found.arguments != given:
        raise Conflict(
            f"The key '{key[:60]}' was used for another call of {tool}, with other arguments; nothing was written. "
            "Take a new key for a new call."
        )
    return found.result  # type: ignore[no-any-return]


class _Taken(Exception):
    """Somebody else made the row in this moment."""


def _found(actor: Actor, digest: str) -> KeyedCall | None:
    return KeyedCall.objects.filter(actor=actor, digest=digest).first()


def _made(actor: Actor, digest: str, given: str) -> KeyedCall:
    try:
        with transaction.atomic():
            return KeyedCall.objects.create(actor=actor, digest=digest, arguments=given, at=timezone.now())
    except IntegrityError:
        raise _Taken from None


def _forget_old() -> None:
    # By number: on MySQL a DELETE by time locks the gaps that others insert into, and they deadlock.
    old = KeyedCall.objects.filter(at__lt=timezone.now() - KEPT).order_by("at").values_list("pk", flat=True)
    if numbers := list(old[:FORGOTTEN_AT_ONCE]):
        KeyedCall.objects.filter(pk__in=numbers).delete()
