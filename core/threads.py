"""Database threads: few and long-lived, because a thread owns its database connection.

Django's ASGI handler makes a thread, hence a connection, per request. On a handful of threads that stay, the same views
ran 2.1 to 2.7 times faster (552 against 201 requests/s; SQLite opens the file and runs its PRAGMAs anew each time).

* ``PooledThreads`` wraps Django: a request takes a free thread and runs all its synchronous code there.
* ``run_in_database_thread`` is for code that lives on the event loop (MCP tools, consumers): ONE hop per call, with all
  the queries of that call in it.

A slow response holds its thread, so whatever streams for long (a tail, a log) is a consumer, not a view.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any, Final, ParamSpec, TypeVar

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.db import close_old_connections, connections
from django.http import HttpRequest, HttpResponseBase

from core import rendering
from core.trouble import resilient

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

P = ParamSpec("P")
R = TypeVar("R")

IDLE_SECONDS: Final = 5.0  # a connection used within this time is taken to be alive


class PooledThreads:
    """An ASGI app whose synchronous code runs on one of ``count`` threads that live as long as the process."""

    def __init__(self, app: App, count: int) -> None:
        self.app = app
        self.free = [ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"page-{n}") for n in range(count)]
        self.turn = asyncio.Semaphore(count)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self.turn:
            executor = self.free.pop()
            try:
                async with ThreadSensitiveContext(executor=executor):
                    await self.app(scope, receive, send)
            finally:
                self.free.append(executor)


class OneHopHandler(ASGIHandler):
    """Django's ASGI handler with its middleware and views in synchronous mode: one thread hop a request.

    Our middleware and views are synchronous. Django's own handler would go from the loop to the thread, back to the
    loop to resolve the view, and to the thread again. It must be run inside PooledThreads, which sets the thread.
    """

    def load_middleware(self, is_async: bool = False) -> None:
        super().load_middleware(is_async=False)

    def make_view_atomic(self, view: Any) -> Any:
        """Django's hook round each view. The name is for ATOMIC_REQUESTS, which we do not use."""
        return resilient(super().make_view_atomic(view))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.handle(scope, receive, send)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        with rendering.one_page():
            response: HttpResponseBase = await sync_to_async(self.get_response, thread_sensitive=True)(request)
        return response


def django_application() -> App:
    """Django on its pool of threads. Call once, after nothing else has been set up: it runs ``django.setup()``."""
    import django

    django.setup(set_prefix=False)
    rendering.warm_up()  # the first page need not wait for it
    return PooledThreads(OneHopHandler(), settings.DATABASE_THREADS)


# --- calls from the event loop ----------------------------------------------------------------------------------------

_pool: ThreadPoolExecutor | None = None
_thread = local()


async def run_in_database_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a synchronous call on a database thread and await its result. Context variables go along and come back.

    One hop a call: give it one function that does everything, not one per query. Exceptions come through as they are.
    asgiref makes the hop, so that ``async_to_sync`` in there (live.publish) uses this loop and its Redis connection.
    """
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max_workers=settings.DATABASE_THREADS, thread_name_prefix="call")
    return await sync_to_async(_checked, thread_sensitive=False, executor=_pool)(resilient(call), *args, **kwargs)


def _checked(call: Callable[..., R], *args: Any, **kwargs: Any) -> R:
    """Drop connections that are broken or too old, as Django does at the start of a request; then make the call.

    The check costs a round trip on MySQL, so a connection that was in use a moment ago and saw no error is trusted.
    On SQLite nothing is ever too old: the connection stays.
    """
    now = time.monotonic()
    stale = now - getattr(_thread, "used", 0.0) > IDLE_SECONDS
    if stale or any(connection.errors_occurred for connection in connections.all(initialized_only=True)):
        close_old_connections()
    try:
        with rendering.one_page():
            return call(*args, **kwargs)
    finally:
        _thread.used = now
