"""The web process of flower with the baselines in it: same server, same loop, same wrapping, same threads.

/bench/briefs/N has no middleware (bench/settings.py). /bench/pages/briefs/N is the same view behind the middleware of
flower's own pages, which shows what a page that asks for a token pays.
"""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.settings")

import django

django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402

from core.threads import App, OneHopHandler, PooledThreads, Receive, Scope, Send  # noqa: E402
from flower import asgi, routing  # noqa: E402

routing.APPS_WITH_SOCKETS += ("bench",)
asgi.sockets = routing.websocket_application()

PAGES = "/bench/pages/"


def behind_middleware(pages: PooledThreads) -> App:
    bare, settings.MIDDLEWARE = settings.MIDDLEWARE, settings.MIDDLEWARE_OF_PAGES
    app = PooledThreads(OneHopHandler(), 0)
    settings.MIDDLEWARE = bare
    app.free, app.turn = pages.free, pages.turn

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "path": scope["path"].replace(PAGES, "/bench/")}, receive, send)

    return served


behind = behind_middleware(asgi.pages)
app_for = asgi.app_for
asgi.app_for = lambda path: behind if path.startswith(PAGES) else app_for(path)
application = asgi.application
