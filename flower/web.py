"""The web process: daphne with flower's bounds, on a listening socket that somebody else may hold.

    python -m flower.web --fd 5                       as `make up` starts it: the supervisor owns the socket
    python -m flower.web --bind 0.0.0.0 --port 8000   as a container does

* **The socket outlives the process.** Who connects while web is being restarted waits in the kernel's queue for the
  next one. What was accepted dies with a process that is killed, hence no more is accepted than is worked on. On
  SIGTERM nothing more is accepted, and what is under way gets DRAIN_SECONDS to be answered.
* **A body stops at its limit in the protocol.** daphne alone collects a body of any length in a temporary file before
  it calls the application. Here the header Content-Length is judged when the headers are complete, and a body without
  one when it passes the limit: the application is called at once, without the rest, and answers 413.
* **A websocket's frames have a rate.** Each costs a turn of the event loop, or a query; pages send one in 25 s.
"""

from __future__ import annotations

# daphne installs the reactor: before anything else of Twisted
from daphne.server import Server  # isort: skip

import argparse
import asyncio
import io
import socket
import sys
import time
from typing import Any, Final

import daphne.server
from daphne.endpoints import build_endpoint_description_strings
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketFactory, WebSocketProtocol
from django.conf import settings
from django.utils.module_loading import import_string
from twisted.internet import defer
from twisted.internet import reactor as running_reactor

from core.toolbox import BODY_LIMIT
from flower.asgi import body_limit, may_hold_more
from flower.backup import marker
from flower.celery import leave_pulse

reactor: Any = running_reactor  # its interface has more than its type says
APPLICATION: Final = "flower.asgi:application"
DRAIN_SECONDS: Final = 2.0
AT_ONCE: Final = 16  # requests under way; while there are as many, new connections wait in the kernel,
ADMIT_SECONDS: Final = 0.1  # but for one that is let in this often: requests that wait for a lock must not hold up all
LINGER_SECONDS: Final = 1.0  # how long a refused sender is read from, so that it gets to read the answer
FRAME_BURST: Final = 200  # frames that a websocket may send at once,
FRAMES_A_SECOND: Final = 20.0  # and for how long: a person who types into a terminal stays below it
POLICY_VIOLATION: Final = 1008


class BoundedRequest(WebRequest):
    """A request whose body is never collected beyond its limit (flower/asgi.py says which)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Twisted would parse forms on the event loop, for nobody: Django does it on its thread
        super().__init__(*args, **{**kwargs, "parsePOSTFormSubmission": False})
        self.limit = BODY_LIMIT
        self.size = 0
        self.length: int | None = None
        self.over: int | None = None  # the limit that was passed
        self.asking = False
        self.decision: asyncio.Future[None] | None = None

    # -- Twisted calls these in this order

    def gotLength(self, length: int | None) -> None:
        self.length = length
        if length is None or length <= self.limit:
            super().gotLength(length)
        elif may_hold_more(self.short_scope()):
            super().gotLength(length)
            self.ask()
        else:
            self.refuse_now()

    def handleContentChunk(self, data: bytes) -> None:
        if self.over is not None:
            return
        self.size += len(data)
        if self.size > self.limit and not self.asking:
            if self.length is None and self.limit == BODY_LIMIT and may_hold_more(self.short_scope()):
                self.ask()
            else:
                self.stop()
                return
        super().handleContentChunk(data)

    # -- what becomes of a body that is too long

    def ask(self) -> None:
        """Read nothing more until it is known whether this sender may send more. What came along already is kept."""
        self.asking = True
        self.channel._networkProducer.pauseProducing()
        self.decision = asyncio.ensure_future(self.decide())

    async def decide(self) -> None:
        try:
            limit = await body_limit(self.short_scope())
        except Exception:  # who it is cannot be found out now: the application meets that again, and says so
            limit = BODY_LIMIT
        if self.channel is None:
            return
        self.asking = False
        self.limit = limit
        if max(self.size, self.length or 0) > limit:
            self.stop()
        self.channel._networkProducer.resumeProducing()

    def refuse_now(self) -> None:
        """Before the body: for Twisted this is a request without one, after which the connection ends."""
        self.over = self.limit
        self.requestHeaders.removeHeader(b"Expect")
        self.content = io.BytesIO()
        self.channel.length = 0
        self.end_connection_afterwards()

    def stop(self) -> None:
        """In the middle of the body, hence of the decoder that called us: the rest is done in the next turn."""
        self.over = self.limit
        if self.content is not None:
            self.content.close()
        self.content = io.BytesIO()
        self.end_connection_afterwards()
        channel = self.channel

        def go_on() -> None:
            if self.channel is channel and hasattr(channel, "_command"):  # else it has ended by itself meanwhile
                channel.allContentReceived()

        reactor.callLater(0, go_on)

    def end_connection_afterwards(self) -> None:
        channel = self.channel
        channel.persistent = False

        def linger() -> None:
            """Close our side and read on for a moment: an unread body would make of the close a reset."""
            channel.dataReceived = lambda data: None
            channel._networkProducer.unregisterProducer()
            channel._networkProducer.resumeProducing()
            if hasattr(channel.transport, "loseWriteConnection"):
                channel.transport.loseWriteConnection()
            reactor.callLater(LINGER_SECONDS, channel.transport.abortConnection)

        channel.loseConnection = linger

    def process(self) -> Any:
        if self.over is not None:
            self.requestHeaders.removeHeader(b"Upgrade")
        return super().process()

    def short_scope(self) -> dict[str, Any]:
        """As much of the ASGI scope as a body's limit depends on."""
        headers = [(name.lower(), value) for name, many in self.requestHeaders.getAllRawHeaders() for value in many]
        path = self.channel._path.split(b"?", 1)[0].decode("latin-1")
        return {"type": "http", "method": self.channel._command.decode("latin-1"), "path": path, "headers": headers}


class RatedSocket(WebSocketProtocol):
    """A websocket that is closed when its client sends frames, of any kind, faster than FRAMES_A_SECOND for long."""

    left, counted, flooded, closed = float(FRAME_BURST), 0.0, False, False

    def onFrameBegin(self) -> None:
        now = time.monotonic()
        self.left = min(float(FRAME_BURST), self.left + (now - self.counted) * FRAMES_A_SECOND) - 1
        self.counted = now
        if self.left < 0 and not self.flooded:
            self.flooded = True
            self.sendCloseFrame(code=POLICY_VIOLATION, reasonUtf8=b"too many messages")
            # The application is told at once; the connection goes when autobahn's wait for the client's close is over.
            self.onClose(False, POLICY_VIOLATION, "too many messages")
            self.muted = True
        super().onFrameBegin()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not self.closed:
            self.closed = True
            super().onClose(wasClean, code, reason)

    def serverClose(self, code: int | None = None) -> None:
        """For the application, which may say a code of the protocol too (1011, 1013); daphne's way would refuse it."""
        self.sendCloseFrame(code=code or 1000)

    def processData(self) -> bool:
        return False if self.flooded else bool(super().processData())

    def consumeData(self) -> None:
        if self.flooded:
            self.data = b""  # not even parsed
        else:
            super().consumeData()


class BoundedHTTPFactory(HTTPFactory):
    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol


class RatedSocketFactory(WebSocketFactory):
    protocol = RatedSocket


# daphne's server makes its factories by these names and offers no other way to choose them
daphne.server.HTTPFactory = BoundedHTTPFactory
daphne.server.WebSocketFactory = RatedSocketFactory


class WebServer(Server):
    """``descriptor``: a listening socket to serve instead of the endpoints."""

    admitting: Any = None  # the call that lets one in, while no more are accepted
    under_way = 0
    is_stopping = False

    def __init__(self, *args: Any, descriptor: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, ready_callable=self.begin, **kwargs)
        self.descriptor = descriptor
        self.ports: list[Any] = []
        if descriptor is not None:
            self.endpoints.clear()  # daphne's own for a descriptor knows IPv4 only

    def begin(self) -> None:
        """The application is loaded. flower/up.py looks for the pulse before it asks by HTTP."""
        if self.descriptor is not None:
            with socket.socket(fileno=self.descriptor) as given:  # the reactor makes its own copy, which no child gets
                port = reactor.adoptStreamPort(self.descriptor, given.family, self.http_factory)
            self.listen_success(port)
        leave_pulse("web")

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        if (over := getattr(protocol, "over", None)) is not None:
            scope["flower.body_over"] = over
        queue = super().create_application(protocol, scope)
        application = self.connections.get(protocol, {}).get("application_instance")
        if scope["type"] == "http" and application is not None:
            self.under_way += 1
            application.add_done_callback(self.one_is_done)
            self.pace()
        return queue

    def one_is_done(self, _application: object) -> None:
        self.under_way -= 1
        self.pace()

    def pace(self) -> None:
        """Accept, or leave who comes to the kernel's queue, as there is work."""
        if self.is_stopping or (self.admitting is not None) == (self.under_way >= AT_ONCE):
            return
        if self.admitting is None:
            for port in self.ports:
                port.stopReading()
            self.admitting = reactor.callLater(ADMIT_SECONDS, self.admit)
        else:
            self.admitting.cancel()
            self.admitting = None
            for port in self.ports:
                port.startReading()

    def admit(self) -> None:
        self.admitting = reactor.callLater(ADMIT_SECONDS, self.admit)
        for port in self.ports:
            port.doRead()

    def listen_success(self, port: Any) -> None:
        super().listen_success(port)
        self.ports.append(port)
        accept = port.doRead

        def accept_one() -> None:
            port.numberAccepts = 1  # Twisted would take a hundred before it has read from the first
            accept()

        port.doRead = accept_one

    def kill_all_applications(self) -> Any:
        """Called by the reactor when it is asked to stop, which waits for the answer."""
        return defer.Deferred.fromFuture(asyncio.ensure_future(self.drain()))

    async def drain(self) -> None:
        """Accept nothing more (the next process will), let requests end, then stop what is left: websockets, mostly."""
        self.is_stopping = True
        if self.admitting is not None:
            self.admitting.cancel()
        for port in self.ports:
            port.stopListening()
        limit = time.monotonic() + DRAIN_SECONDS
        while self.running(WebRequest) and time.monotonic() < limit:
            await asyncio.sleep(0.02)
        left = self.running(object)
        for application in left:
            application.cancel()
        if left:
            await asyncio.wait(left, timeout=1)
            await asyncio.sleep(0.05)  # for what they said last to go out

    def running(self, kind: type) -> list[asyncio.Future[None]]:
        found = [
            details.get("application_instance")
            for protocol, details in self.connections.items()
            if isinstance(protocol, kind)
        ]
        return [application for application in found if application is not None and not application.done()]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m flower.web", description="flower's web process.")
    parser.add_argument("application", nargs="?", default=APPLICATION, help="module:name of an ASGI application")
    parser.add_argument("--fd", type=int, help="the descriptor of a listening socket")
    parser.add_argument("--bind", default="127.0.0.1", help="else: the address to listen on")
    parser.add_argument("--port", type=int, default=8000)
    given = parser.parse_args(arguments)
    marker.stop_if_unfinished(settings.FLOWER.home)
    endpoints = build_endpoint_description_strings(host=given.bind, port=given.port)
    application = import_string(given.application.replace(":", "."))
    WebServer(application, endpoints, descriptor=given.fd, verbosity=0).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
