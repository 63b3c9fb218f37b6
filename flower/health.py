"""Whether flower works: ``/healthz`` (the process answers), ``/readyz`` (what it needs is there), ``/metrics``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import redis
import structlog
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.backoff import NoBackoff
from redis.retry import Retry

from briefs.identity import Scope
from briefs.models import Brief
from core import metrics

log = structlog.stdlib.get_logger(__name__)
BROKER_SECONDS: Final = 1.0


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """flower/asgi.py answers this before Django; this one is for Django's own test client and runserver."""
    return JsonResponse({"ok": True})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when every check passes, else 503. Open to all, so it says what failed and never why: that is in the log."""
    report: dict[str, dict[str, object]] = {}
    for name, check in CHECKS.items():
        started = time.perf_counter()
        try:
            check()
            passed = True
        except Exception as error:
            log.warning("a readiness check failed", check=name, error=f"{type(error).__name__}: {error}")
            passed = False
        report[name] = {"ok": passed, "ms": round((time.perf_counter() - started) * 1000, 1)}
    ready = all(entry["ok"] for entry in report.values())
    response = JsonResponse({"ready": ready, "checks": report}, status=200 if ready else 503)
    response._has_been_logged = True  # type: ignore[attr-defined]  # as an error of ours, which it is not
    return response


readyz.token_scopes = frozenset(Scope.values)  # type: ignore[attr-defined] # open to all, hence also with a token


def check_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_broker() -> None:
    url = settings.FLOWER.redis_url or f"unix://{settings.BROKER_SOCKET}"
    once = Retry(NoBackoff(), 0)  # the client's own retries would take half a second to say no
    with redis.Redis.from_url(
        url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS, retry=once
    ) as client:
        client.ping()


def check_migrations() -> None:
    """Applied migrations stay applied while this process runs, so a good answer is kept."""
    global _migrated
    if _migrated:
        return
    executor = MigrationExecutor(connection)
    if plan := executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise RuntimeError(f"{len(plan)} migrations are not applied; run `manage.py migrate`")
    _migrated = True


_migrated = False
CHECKS: Final[dict[str, Callable[[], None]]] = {
    "database": check_database,
    "migrations": check_migrations,
    "broker": check_broker,
}


# --- numbers ----------------------------------------------------------------------------------------------------------


@never_cache
@require_safe
def prometheus(request: HttpRequest) -> HttpResponse:
    """Prometheus's text format, for a login or a token of scope operator or readonly (flower/middleware.py)."""
    project = request.identity.project  # type: ignore[attr-defined]
    return HttpResponse(metrics.exposition(project), content_type=metrics.CONTENT_TYPE)


@metrics.gauge_source("flower_briefs", "Briefs by status.", ["status"])
def briefs_by_status(project: int | None) -> metrics.Rows:
    briefs = Brief.objects.all() if project is None else Brief.objects.filter(project=project)
    rows = briefs.order_by().values_list("status").annotate(Count("pk"))
    return [((status,), number) for status, number in rows]
