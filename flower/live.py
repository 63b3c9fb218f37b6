"""Live: group names, and the one way to tell browsers and workers that something changed.

Messages are hints. They go out after the commit and carry ids only; whoever hears one reads the rows again, so a
lost message costs a delay and never a fact. A broker that is down must not undo a brief: hence ``robust=True``.
"""

from __future__ import annotations

import time
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.utils.module_loading import import_string

BOARD = "board"
ROSTER = "roster"


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
        async_to_sync(layer.group_send)(group, {**message, "at": time.time()})


def kick(task: str, *args: Any) -> None:
    """Wake a Celery task, by its dotted path, once the current transaction has committed.

    A lost wake-up costs a sweep's delay, no more: hence ``robust``, and hence no result to wait for.
    """
    transaction.on_commit(lambda: import_string(task).delay(*args), robust=True)
