"""Trouble that passes is told as such at every door, nothing is changed by it, and asking again works."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection, connections, transaction

from briefs.models import Brief
from briefs.services import briefs
from core import threads, trouble
from core.errors import Refusal
from core.trouble import Unavailable, code_of, resilient
from tests.factories import make_brief
from tests.flower.test_mcp import ask, call

sqlite_only = pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own lock")


def sqlite_error(code: int, text: str) -> OperationalError:
    inner = sqlite3.OperationalError(text)
    inner.sqlite_errorcode = code
    outer = OperationalError(text)
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sqlite_error(sqlite3.SQLITE_BUSY, "database is locked"), "busy"),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT, "database is locked"), "busy"),
        (sqlite_error(sqlite3.SQLITE_LOCKED_SHAREDCACHE, "database table is locked"), "busy"),
        (sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full"), "full"),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE, "disk I/O error"), "full"),
        (sqlite_error(sqlite3.SQLITE_ERROR, "no such table: briefs_brief"), None),
        (OperationalError(1205, "Lock wait timeout exceeded"), "busy"),
        (OperationalError(1213, "Deadlock found"), "busy"),
        (OperationalError(2006, "Server has gone away"), "busy"),
        (OperationalError(2013, "Lost connection during query"), "busy"),
        (OperationalError(1114, "The table is full"), "full"),
        (OperationalError(1054, "Unknown column"), None),
        (OSError(errno.ENOSPC, "No space left on device"), "full"),
        (OSError(errno.EACCES, "Permission denied"), None),
        (ValueError("a bug"), None),
    ],
)
def test_what_passes_is_told_from_bugs(error, code):
    assert code_of(error) == code


@contextmanager
def locked() -> Iterator[None]:
    """Another program holds SQLite's write lock (found/cases/database-locked.py)."""
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


@pytest.fixture
def impatient(transactional_db, monkeypatch) -> Iterator[None]:
    """Every connection waits 0.1 s for the lock instead of 10."""
    options = {**connection.settings_dict["OPTIONS"], "timeout": 0.1}
    monkeypatch.setitem(connections.settings["default"], "OPTIONS", options)
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", options)
    monkeypatch.setattr(threads, "_pool", None)  # its threads have connections from before
    connection.close()
    yield
    connection.close()


@sqlite_only
def test_a_tool_that_met_a_locked_database_says_call_again_and_changed_nothing(impatient, agent_token, agent):
    with locked():
        result = call(agent_token, "brief_create", body="Now or later")
    assert result["isError"] is True
    assert result["content"][0]["text"] == "flower is busy; nothing was changed; call again."
    assert (result["_meta"]["flower/code"], result["_meta"]["flower/retry_after"]) == ("busy", 3)
    assert "structuredContent" not in result
    assert not Brief.objects.exists()
    result = call(agent_token, "brief_create", body="Now or later")
    assert result["structuredContent"]["brief"] == Brief.objects.get().pk


@sqlite_only
def test_a_page_that_met_a_locked_database_is_a_503_in_each_form(impatient, browser, project):
    brief = make_brief("Write me", project)
    address = f"/briefs/{brief.pk}/note/"
    with locked():
        page = browser.post(address, {"body": "hello"})
        fragment = browser.post(address, {"body": "hello"}, headers={"HX-Request": "true"})
        data = browser.post(address, {"body": "hello"}, headers={"Accept": "application/json"})
    for answer in (page, fragment, data):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "3")
    sentence = "flower is busy; nothing was changed; try again."
    assert sentence in page.text
    assert page.text.startswith("<!doctype html>")
    assert 'hx-swap-oob="beforeend"' in fragment.text
    assert sentence in fragment.text
    assert data.json() == {"error": sentence, "code": "busy"}
    assert not brief.trace.filter(body="hello").exists()
    assert browser.post(address, {"body": "hello"}).status_code in {200, 302}


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_is_told_apart_and_a_token_that_cannot_be_looked_up_is_a_503(agent_token, monkeypatch):
    def full(*_: Any, **__: Any) -> None:
        raise sqlite_error(sqlite3.SQLITE_FULL, "database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(briefs, "capture", full)
        result = call(agent_token, "brief_create", body="No room")
    assert result["_meta"]["flower/code"] == "full"
    assert result["content"][0]["text"] == (
        "The disk of flower is full; nothing was changed; call again when there is room."
    )
    with monkeypatch.context() as patched:
        patched.setattr("briefs.services.actors.authenticate", full)
        status, headers, body = ask("POST", "/mcp", b"{}", authorization="Bearer flower_" + "x" * 40)
    assert (status, headers["retry-after"], body["code"]) == (503, "30", "full")


@pytest.mark.django_db(transaction=True)
def test_it_is_only_said_that_nothing_was_changed_where_that_is_so(project):
    def fails_after(write: Any) -> Unavailable:
        def act() -> None:
            write()
            raise OperationalError(1205, "Lock wait timeout exceeded")

        with pytest.raises(Unavailable) as caught:
            resilient(act)()
        return caught.value

    def rolled_back() -> None:
        try:
            with transaction.atomic():
                make_brief("Gone", project)
                raise LookupError
        except LookupError:
            pass

    assert fails_after(lambda: Brief.objects.count()).is_clean
    assert fails_after(rolled_back).is_clean
    halfway = fails_after(lambda: make_brief("Stays", project))
    assert not halfway.is_clean
    assert halfway.sentence == "flower is busy; part of this may be done; call again."
    assert [brief.title for brief in Brief.objects.all()] == ["Stays"]


@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_made_anew_unless_it_was_lost_in_a_commit(project, monkeypatch):
    rounds: list[int] = []

    def lost_at_first() -> str:
        rounds.append(1)
        if len(rounds) == 1:
            raise OperationalError(2006, "Server has gone away")
        return "done"

    assert resilient(lost_at_first)() == "done"

    def lost_in_commit() -> None:
        rounds.append(1)
        with transaction.atomic():
            make_brief("Who knows", project)
            raise OperationalError(2013, "Lost connection during query")  # as the commit would raise it

    rounds.clear()
    with pytest.raises(Unavailable) as caught:
        resilient(lost_in_commit)()
    assert (len(rounds), caught.value.is_clean) == (1, False)


@pytest.mark.django_db(transaction=True)
def test_refusals_and_bugs_come_through_as_they_are():
    def refused() -> None:
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise Refusal("The picture was not kept.") from error

    with pytest.raises(Refusal):
        resilient(refused)()
    with pytest.raises(ZeroDivisionError):
        resilient(lambda: 1 / 0)()


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_lock_that_mysql_waits_for_in_vain_is_busy(project):
    if connection.vendor != "mysql":
        pytest.skip("row locks are MySQL's")
    brief = make_brief("Held", project)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            Brief.objects.select_for_update().get(pk=brief.pk)
            held.set()
            done.wait(30)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(10)
        with connection.cursor() as cursor:
            cursor.execute("SELECT @@innodb_lock_wait_timeout")
            assert cursor.fetchone() == (10,)
            cursor.execute("SET innodb_lock_wait_timeout = 1")
        with pytest.raises(Unavailable) as caught:
            resilient(lambda: Brief.objects.filter(pk=brief.pk).update(title="Changed"))()
        assert (caught.value.code, caught.value.is_clean) == ("busy", True)
    finally:
        done.set()
        holder.join()
    brief.refresh_from_db()
    assert brief.title == "Held"
    assert trouble.RETRY_AFTER["busy"] == 3
