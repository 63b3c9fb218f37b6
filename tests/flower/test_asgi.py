"""What stands around every door: the body's limit, the catch-all, the cheap answers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections

from core import metrics, threads
from flower import asgi
from tests.flower.test_mcp import ask


def test_a_long_body_is_refused_however_it_comes():
    sentence = "The request's body is larger than 1,000,000 bytes, which is the most that flower takes."
    big = b"x" * 1_000_001
    assert ask("POST", "/login/", big)[::2] == (413, {"error": sentence})  # in parts, its length not told
    assert ask("POST", "/mcp", b"", content_length="1000001")[::2] == (413, {"error": sentence})
    assert ask("POST", "/mcp", b"", content_length="nonsense")[0] == 413
    assert ask("POST", "/register", b"x" * 1_000_000)[0] == 404


def test_an_exception_that_escapes_is_a_500_at_once(monkeypatch, caplog):
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("the inner workings")

    monkeypatch.setitem(asgi.EXACT, "/mcp", broken)
    status, _, answer = ask("POST", "/mcp")
    assert (status, answer) == (500, {"error": "flower had an internal error; it was logged."})
    assert "the inner workings" in caplog.text


def test_what_clients_probe_for_is_a_cheap_404():
    for path in (
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-protected-resource/mcp",
        "/.well-known/openid-configuration",
        "/register",
    ):
        status, headers, _ = ask("GET", path)
        assert (status, headers["content-type"]) == (404, "application/json")


def test_a_made_up_method_makes_no_series_of_its_own():
    for number in range(3):
        ask(f"M{number}", "/healthz")
    text = metrics.registry.get_sample_value
    labels = {"route": "/healthz", "status": "200"}
    assert text("flower_http_requests_total", {"method": "M1", **labels}) is None
    assert (text("flower_http_requests_total", {"method": "other", **labels}) or 0) >= 3


def test_healthz_needs_no_database():
    assert ask("GET", "/healthz")[::2] == (200, {"ok": True})


@pytest.mark.django_db(transaction=True)
def test_a_page_takes_its_turn_on_a_thread_and_answers():
    status, headers, _ = ask_text("GET", "/briefs/")
    assert (status, headers["location"]) == (302, "/login/?next=/briefs/")
    assert "default-src 'none'" in headers["content-security-policy"]


@async_to_sync
async def ask_text(method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"host", b"localhost")], "client": ["127.0.0.1", 1], "server": ["127.0.0.1", 80],
        "http_version": "1.1", "scheme": "http",
    }  # fmt: skip
    sent: list[Any] = []
    said = iter([{"type": "http.request", "body": b""}])

    async def receive() -> Any:
        message = next(said, None)
        if message is None:
            await asyncio.Event().wait()  # the client stays
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    await asgi.application(scope, receive, send)
    headers = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:])


def test_an_asgi_server_that_asks_is_told_that_all_is_well():
    sent: list[Any] = []
    said = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(said)

    async def send(message: Any) -> None:
        sent.append(message)

    async_to_sync(asgi.application)({"type": "lifespan"}, receive, send)
    assert sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


# --- threads ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_call_keeps_its_threads_connection():
    def session() -> int:
        connection.ensure_connection()
        return id(connection.connection)

    async def many() -> set[int]:
        return set(await asyncio.gather(*(threads.run_in_database_thread(session) for _ in range(40))))

    assert len(async_to_sync(many)() | async_to_sync(many)()) <= 4


@pytest.mark.django_db(transaction=True)
def test_a_dead_connection_that_saw_an_error_is_replaced_by_the_next_call(monkeypatch):
    def breaks() -> None:
        connection.ensure_connection()
        connection.errors_occurred = True

    def works() -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            return cursor.fetchone() == (1,)

    async def in_turn() -> bool:
        await threads.run_in_database_thread(breaks)
        monkeypatch.setattr(type(connections["default"]), "is_usable", lambda _: bool(asked.append(1)))
        return all([await threads.run_in_database_thread(works) for _ in range(3)])

    asked: list[int] = []
    with ThreadPoolExecutor(max_workers=1) as pool:
        monkeypatch.setattr(threads, "_pool", pool)
        assert async_to_sync(in_turn)()
        pool.submit(connections.close_all).result()
    assert asked == [1]  # the new connection is trusted again


@pytest.mark.django_db(transaction=True)
def test_a_calls_exception_and_context_come_through():
    def fail() -> None:
        raise LookupError("as it was")

    with pytest.raises(LookupError, match="as it was"):
        async_to_sync(threads.run_in_database_thread)(fail)


def test_requests_wait_for_a_free_thread_and_share_no_thread():
    running = 0
    most = 0

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        if scope.get("fails"):
            raise RuntimeError

    async def crowd() -> None:
        app = threads.PooledThreads(inner, 2)
        results = await asyncio.gather(
            *(app({"fails": n % 3 == 0}, None, None) for n in range(9)), return_exceptions=True
        )
        assert sum(isinstance(result, RuntimeError) for result in results) == 3
        assert len(app.free) == 2

    async_to_sync(crowd)()
    assert most == 2
