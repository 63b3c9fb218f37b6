"""A websocket's sender waits while its client does not read.

ASGI lets a server make ``await send()`` wait for a slow client; daphne does not, so all that was ever sent to a client
that has stopped reading would pile up in the web process: a process's whole output, say. Its websockets do tell a
producer to pause (Twisted's IPushProducer), so we are one, and hold the application in ``send`` until it may go on.
A client that never reads again is cut off by daphne's pings; that, too, lets the sender go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from core.threads import Message, Send


class _Producer:
    """What Twisted calls when the socket's buffer is over, and again under, 64 KB, and when the connection is lost."""

    def __init__(self) -> None:
        self.free = asyncio.Event()
        self.free.set()

    def pauseProducing(self) -> None:
        self.free.clear()

    def resumeProducing(self) -> None:
        self.free.set()

    def stopProducing(self) -> None:
        self.free.set()


@contextmanager
def patient(send: Send) -> Iterator[Send]:
    """``send`` that waits for the client. With a server that is not daphne it is ``send`` itself."""
    protocol: Any = send.args[0] if isinstance(send, partial) and send.args else None
    if not hasattr(protocol, "registerProducer"):
        yield send
        return
    producer = _Producer()
    protocol.transport.unregisterProducer()  # the HTTP channel's: it has handed the connection on
    protocol.registerProducer(producer, True)

    async def patiently(message: Message) -> None:
        await send(message)
        await producer.free.wait()

    try:
        yield patiently
    finally:
        protocol.unregisterProducer()
