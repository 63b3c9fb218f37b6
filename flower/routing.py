"""Who may knock at a door that is not a Django page, and which consumer a websocket leads to.

A browser attaches its cookies to websockets that any page opens, and a hostile name can be made to point at 127.0.0.1.
Hence two checks before anything else: the Host is ours, and the Origin, where there is one, is the very site that the
Host names (port included: another program on this machine is another site) or the public address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, Final
from urllib.parse import urlsplit

from channels.routing import URLRouter
from django.conf import settings
from django.contrib.auth import get_user
from django.http import parse_cookie
from django.http.request import split_domain_port, validate_host
from django.utils.module_loading import import_string

from briefs.identity import Identity, Scope
from briefs.services import actors
from core import metrics
from core.errors import Unauthenticated
from core.threads import App, Message, Receive, Send, run_in_database_thread
from core.threads import Scope as Connection

APPS_WITH_SOCKETS: Final = ("briefs", "transcripts", "daemons", "dispatch")
NOT_LOGGED_IN: Final = 4401  # sent before the acceptance: the client sees HTTP 403
RECHECK_SECONDS: Final = 15.0  # how long an open socket outlives its login or token

Headers = Iterable[tuple[bytes, bytes]]


def header(headers: Headers, name: bytes) -> str:
    """The value of a request header, empty where it is missing."""
    return next((value.decode("latin-1") for key, value in headers if key == name), "")


def host_is_ours(headers: Headers) -> bool:
    domain, _port = split_domain_port(header(headers, b"host"))
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def origin_is_ours(headers: Headers) -> bool:
    """Whether the request comes from our own pages, or from no page at all (a program sends no Origin)."""
    origin = header(headers, b"origin")
    if not origin or origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    parts = urlsplit(origin)
    return parts.scheme in {"http", "https"} and parts.netloc == header(headers, b"host")


def bearer(headers: Headers) -> str:
    """The secret of ``Authorization: Bearer …``, empty where there is none."""
    scheme, _, secret = header(headers, b"authorization").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def of_connection(headers: Headers) -> Identity:
    """Who opens a websocket: the bearer of a token, or the person whose browser is logged in. One hop's work.

    Raises Unauthenticated.
    """
    if secret := bearer(headers):
        return actors.authenticate(secret)
    key = parse_cookie(header(headers, b"cookie")).get(settings.SESSION_COOKIE_NAME)
    if key:
        store: Any = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
        user = get_user(SimpleNamespace(session=store(key)))  # type: ignore[arg-type]
        if user.is_authenticated:
            return Identity(actors.of_user(user), Scope.OPERATOR)
    raise Unauthenticated("This needs a login or a token.")


class Sockets:
    """The websocket door: Host and Origin, then who it is (``scope["identity"]``), then the consumer of its path."""

    def __init__(self, inner: App) -> None:
        self.inner = inner

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        try:
            if not (host_is_ours(headers) and origin_is_ours(headers)):
                raise Unauthenticated("Websockets are opened by flower's own pages, under its own name.")
            identity = await run_in_database_thread(of_connection, headers)
        except Unauthenticated as refusal:
            metrics.note_refusal("websocket", refusal)
            await receive()  # websocket.connect
            await send({"type": "websocket.close", "code": NOT_LOGGED_IN, "reason": refusal.sentence})
            return
        scope["identity"] = identity
        scope["flower.actor"] = identity.actor.ref
        leaving = asyncio.create_task(_no_longer_welcome(headers))
        try:
            with metrics.open_websocket():
                await self.inner(scope, _receive_until(leaving, receive, send), send)
        finally:
            leaving.cancel()


async def _no_longer_welcome(headers: Headers) -> None:
    """Return when who opened a socket has logged out, or its token was revoked or has expired."""
    with suppress(Unauthenticated):
        while True:
            await asyncio.sleep(RECHECK_SECONDS)
            await run_in_database_thread(of_connection, headers)


def _receive_until(leaving: asyncio.Task[None], receive: Receive, send: Send) -> Receive:
    """A ``receive`` that ends the connection when ``leaving`` is done. The consumer is told, so that it can tidy up."""

    async def receive_or_leave() -> Message:
        message = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({message, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if message.done():
                return message.result()
        finally:
            message.cancel()
        await send({"type": "websocket.close", "code": NOT_LOGGED_IN})
        return {"type": "websocket.disconnect", "code": NOT_LOGGED_IN}

    return receive_or_leave


def websocket_application() -> App:
    """The consumers of every app's ``routing.websocket_urlpatterns``. Call after django.setup()."""
    patterns: list[Any] = []
    for app in APPS_WITH_SOCKETS:
        if find_spec(app) and find_spec(f"{app}.routing"):
            patterns += import_module(f"{app}.routing").websocket_urlpatterns
    router = URLRouter(patterns)

    async def routed(scope: Connection, receive: Receive, send: Send) -> None:
        try:
            await router(scope, receive, send)
        except ValueError as error:
            if "No route found" not in str(error):
                raise
            message: Message = {"type": "websocket.close", "code": 4404}
            await receive()
            await send(message)

    return Sockets(routed)
