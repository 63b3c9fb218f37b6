"""The real settings, and beside flower's own pages the baselines of bench/urls.py.

No middleware at all: the bare view is to be as quick as Django can make it. /mcp, sockets, broker, database and threads
are not touched by either line (flower/asgi.py serves /mcp before Django).
"""

from __future__ import annotations

from flower.settings import *  # noqa: F403
from flower.settings import MIDDLEWARE as MIDDLEWARE_OF_PAGES  # noqa: F401 - for bench/asgi.py

MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bench.urls"
