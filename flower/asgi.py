"""The web process: pages, websockets and tools behind one port, on any ASGI server.

By type and exact path, before Django: ``/mcp`` is the tools' endpoint, ``/healthz`` costs nothing, what MCP clients
probe for (OAuth) is a cheap 404, everything else is Django on its pooled threads. Around all of it, once:

* a body of more than 1 MB is refused with a sentence, however it is sent, before anything is done with it; the one
  exception is a picture for a brief, from somebody who is logged in or has a token;
* an exception that escapes becomes a 500 at once (daphne alone would answer it in its next sweep, up to 1 s later);
* one line in the log and one count per request.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")

from core.threads import App, Message, Receive, Scope, Send, django_application, run_in_database_thread

pages: Final = django_application()  # runs django.setup(): what follows may import models

import structlog

from briefs.identity import Scope as TokenScope
from core import logs, metrics
from core.errors import Unauthenticated
from core.toolbox import BODY_LIMIT
from core.trouble import Unavailable, as_unavailable
from flower.backpressure import patient
from flower.mcp.endpoint import INTERNAL, Endpoint, answer
from flower.routing import header, host_is_ours, of_connection, websocket_application

log = structlog.stdlib.get_logger(__name__)
TRY_AGAIN_LATER: Final = 1013  # a websocket's close code; pages come back by themselves
TOO_LARGE: Final = "The request's body is larger than {:,} bytes, which is the most that flower takes."


async def healthz(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, 200, {"ok": True})


async def not_here(scope: Scope, receive: Receive, send: Send) -> None:
    """OAuth discovery and registration, which MCP clients try on a 401: there is none."""
    await answer(send, 404, {"error": "flower has no OAuth; send a bearer token."})


tools: Final = Endpoint()
sockets: Final = websocket_application()
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
EXACT: Final[dict[str, App]] = {
    "/mcp": tools,
    "/mcp/": tools,
    "/healthz": healthz,
    "/register": not_here,
    "/.well-known/openid-configuration": not_here,
}


def app_for(path: str) -> App:
    found = EXACT.get(path)
    if found is not None:
        return found
    return not_here if path.startswith("/.well-known/oauth-") else pages


_PICTURES: Final = re.compile(r"/briefs/[0-9]{1,18}/attachments/")
PICTURE_LIMIT: Final = 10_100_000  # a picture of 10 MB (briefs/services/attachments.py) and the form around it


def may_hold_more(scope: Scope) -> bool:
    """Whether this is a request whose body may be longer than BODY_LIMIT, if the right person sends it."""
    if scope["method"] != "POST" or not _PICTURES.fullmatch(scope["path"]):
        return False
    kind = header(scope["headers"], b"content-type")
    return kind.startswith("multipart/form-data") and host_is_ours(scope["headers"])


async def body_limit(scope: Scope) -> int:
    """How many bytes this request may have: more only where a picture is sent, and only from who may send one at all.

    Who it is is looked up before anything is read, so that a stranger cannot make us hold 10 MB.
    """
    if not may_hold_more(scope):
        return BODY_LIMIT
    try:
        identity = await run_in_database_thread(of_connection, scope["headers"])
    except Unauthenticated:
        return BODY_LIMIT
    return PICTURE_LIMIT if identity.scope == TokenScope.OPERATOR else BODY_LIMIT


class BodyTooLarge(Exception):
    """The body is longer than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} bytes")
        self.limit = limit


class ClientLeft(Exception):
    """The client closed the connection before its request was complete: there is nobody to answer."""


async def read_body(scope: Scope, receive: Receive) -> bytes:
    """The whole body, bounded. It is read before a thread is taken, so that a slow sender holds up nobody.

    flower/web.py has stopped a long one in the protocol already: it comes without its body, and is refused here.
    """
    if "flower.body_over" in scope:
        raise BodyTooLarge(scope["flower.body_over"])
    limit = BODY_LIMIT
    for name, value in scope["headers"]:
        if name == b"content-length" and (not value.isdigit() or int(value[:20]) > limit):
            limit = await body_limit(scope)  # asked for only where it matters
            if not value.isdigit() or int(value[:20]) > limit:
                raise BodyTooLarge(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLarge(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that says the body once, and then what the server says (that the client left)."""
    said = False

    async def again() -> Message:
        nonlocal said
        if said:
            return await receive()
        said = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def serve_http(scope: Scope, receive: Receive, send: Send) -> None:
    started = time.perf_counter()
    status = 0

    async def noted(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    try:
        body = await read_body(scope, receive)
        await app_for(scope["path"])(scope, replayed(body, receive), noted)
    except BodyTooLarge as error:
        if app_for(scope["path"]) is pages and "text/html" in header(scope["headers"], b"accept"):
            await pages({**scope, "flower.too_large": error.limit}, replayed(b"", receive), noted)
        else:
            await answer(noted, 413, {"error": TOO_LARGE.format(error.limit)})
    except ClientLeft:
        pass
    except asyncio.CancelledError:  # the server stops; what runs on a thread may still be done
        if not status:
            await answer_unavailable(noted, Unavailable("restarting", is_clean=False))
        raise
    except Exception as error:
        if (unavailable := as_unavailable(error)) is not None and not status:
            await answer_unavailable(noted, unavailable)
            return
        log.exception("a request failed", path=scope["path"])
        if not status:
            await answer(noted, 500, {"error": INTERNAL})
    finally:
        seconds = time.perf_counter() - started
        note(scope, status, seconds)


async def answer_unavailable(send: Send, unavailable: Unavailable) -> None:
    retry_after = [(b"retry-after", str(unavailable.retry_after).encode())]
    await answer(send, 503, {"error": unavailable.sentence, "code": unavailable.code}, retry_after)


def note(scope: Scope, status: int, seconds: float) -> None:
    if not status:
        return  # the client left; nothing was answered
    logs.note_request(scope, status, seconds)
    route = scope.get("flower.route") or (scope["path"] if scope["path"] in EXACT else "other")
    method = scope["method"] if scope["method"] in METHODS else "other"  # a label for each made-up one would never go
    metrics.requests.labels(method, route, status).inc()
    metrics.request_seconds.labels(route).observe(seconds)


async def serve_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    started = time.perf_counter()
    status = 403

    async def noted(message: Message) -> None:
        nonlocal status
        if message["type"] == "websocket.accept":
            status = 101
        await patiently(message)

    try:
        with patient(send) as patiently:
            await sockets(scope, receive, noted)
    except Exception as error:
        if as_unavailable(error) is not None:
            status = 503
            await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        else:
            status = 500
            log.exception("a websocket failed", path=scope["path"])
            await send({"type": "websocket.close", "code": 1011})
    finally:
        logs.note_request(scope, status, time.perf_counter() - started)


async def serve_lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """uvicorn and granian ask; daphne does not. Nothing here needs a start or an end, so any server will do."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


SERVE: Final[dict[str, Callable[[Any, Any, Any], Any]]] = {
    "http": serve_http,
    "websocket": serve_websocket,
    "lifespan": serve_lifespan,
}


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    await SERVE[scope["type"]](scope, receive, send)
