"""Throttling of logins: who tries often waits longer and longer, on every web process alike.

An attempt is counted before the password is looked at, by a conditional UPDATE, so that a hundred attempts at the same
moment are a hundred attempts. A login that works clears its user name. While a name is blocked its owner still gets in
by an ``/enter/CODE`` link, so nobody can lock an operator out for good.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from briefs.models.throttle import LoginThrottle
from core.errors import Refusal

FREE: Final = {"user": 5, "address": 20}  # attempts that cost no waiting; an address may be a whole office
LONGEST_WAIT: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(days=1)


class TooManyAttempts(Refusal):
    """Wait ``seconds``, then try again."""

    status_code = 429

    def __init__(self, until: datetime) -> None:
        self.seconds = max(1, round((until - timezone.now()).total_seconds()))
        super().__init__(f"There were too many attempts to log in; try again in {_spelled(self.seconds)}.")


def count_attempt(*, user: str, address: str) -> None:
    """Count one attempt, or raise TooManyAttempts. The address first: one that is blocked makes no further rows."""
    _count("address", address)
    _count("user", user)


def forgive(*, user: str, address: str) -> None:
    """A login worked: forget the name's attempts, and take this one off the address (not all: others share it)."""
    LoginThrottle.objects.filter(key=_key("user", user)).delete()
    LoginThrottle.objects.filter(key=_key("address", address), attempts__gt=0).update(
        attempts=F("attempts") - 1, blocked_until=None
    )


def _count(kind: str, value: str) -> None:
    key, now = _key(kind, value), timezone.now()
    for _ in range(20):
        row = LoginThrottle.objects.filter(key=key).first()
        if row is None:
            if _made(key, now):
                return
            continue
        if row.blocked_until is not None and row.blocked_until > now:
            raise TooManyAttempts(row.blocked_until)
        attempts = 1 if now - row.last_at > FORGOTTEN_AFTER else row.attempts + 1
        unchanged = LoginThrottle.objects.filter(key=key, attempts=row.attempts, blocked_until=row.blocked_until)
        if unchanged.update(attempts=attempts, last_at=now, blocked_until=_blocked_until(kind, attempts, now)):
            return
    raise TooManyAttempts(now)  # twenty others were quicker: that is what is being throttled


def _made(key: str, now: datetime) -> bool:
    # By key: on MySQL a DELETE by time locks the gaps that others insert into, and they deadlock.
    old = LoginThrottle.objects.filter(last_at__lt=now - FORGOTTEN_AFTER).values_list("key", flat=True)[:100]
    if forgotten := list(old):
        LoginThrottle.objects.filter(key__in=forgotten).delete()
    try:
        with transaction.atomic():
            LoginThrottle.objects.create(key=key, attempts=1, last_at=now)
    except IntegrityError:
        return False
    return True


def _blocked_until(kind: str, attempts: int, now: datetime) -> datetime | None:
    over = attempts - FREE[kind]
    return now + min(timedelta(seconds=2 ** min(over, 30)), LONGEST_WAIT) if over >= 0 else None


def _key(kind: str, value: str) -> str:
    """What is counted is what the form makes of a name (NFKC), and what databases that ignore case make of that."""
    meant = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value.strip()).casefold()).strip()
    return sha256(f"{kind}:{meant}".encode("utf-8", "surrogatepass")).hexdigest()


def _spelled(seconds: int) -> str:
    if seconds < 90:
        return f"{seconds} second{'s' if seconds != 1 else ''}"
    return f"{round(seconds / 60)} minutes"
