"""Live: group names, and the one way to tell browsers and workers that something changed.

Messages are hints. They go out after the commit and carry ids only; whoever hears one reads the rows again, so a
lost message costs a delay and never a fact. A broker that is down must not undo a brief: hence ``robust=True``.
Nor may one that hangs hold up whoever writes: a hint has a second, and after one that took it the next are left out
for a while. Sweeps and the pages' heartbeats find what was not told.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.utils.module_loading import import_string

log = structlog.stdlib.get_logger(__name__)
BOARD = "board"
ROSTER = "roster"
HINT_SECONDS: Final = 1.0  # for one message; Celery's has as long for each of two tries (flower/settings.py)
SILENCE: Final = 5.0  # seconds without hints after one that took so long
_silent_until = 0.0


def brief_group(brief: int) -> str:
    return f"brief.{brief}"


def process_group(process: int) -> str:
    return f"process.{process}"


def session_group(session: int) -> str:
    return f"session.{session}"


def publish(group: str, kind: str, **data: Any) -> None:
    """Send ``{"type": kind, ...data}`` to a group once the current transaction has committed.

    ``kind`` names the consumer's method with dots for underscores (``"trace.grew"``). ``data`` must be plain JSON
    values. The time of sending goes along as ``at`` (seconds since the epoch), from which push latency is measured.
    """
    message = {"type": kind, **data}
    transaction.on_commit(lambda: _send(group, message), robust=True)


def _send(group: str, message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        _hint(lambda: async_to_sync(_within_time)(layer.group_send(group, {**message, "at": time.time()})))


async def _within_time(sending: Any) -> None:
    async with asyncio.timeout(HINT_SECONDS):  # wait_for would make a task of it
        await sending


def kick(task: str, *args: Any) -> None:
    """Wake a Celery task, by its dotted path, once the current transaction has committed.

    A lost wake-up costs a sweep's delay, no more: hence ``robust``, and hence no result to wait for.
    """
    transaction.on_commit(lambda: _hint(lambda: import_string(task).delay(*args)), robust=True)


def _hint(send: Callable[[], object]) -> None:
    """Send, unless the broker let somebody wait a moment ago."""
    global _silent_until
    begun = time.monotonic()
    if begun < _silent_until:
        return
    try:
        send()
    except Exception:
        if time.monotonic() - begun >= 0.9 * HINT_SECONDS:
            _silent_until = time.monotonic() + SILENCE
            log.warning("the broker does not answer; no live messages for a while", seconds=SILENCE)
        raise
