"""Fixtures for the whole suite: a state folder of its own, a database that can be emptied although its trace is
append-only, people and agents to be, and one real web process."""

from __future__ import annotations

import dataclasses
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client

from briefs import triggers
from briefs.models import Actor, Token
from briefs.services import actors
from core import changes
from tests import factories
from tests.web import WebProcess

# The suite leaves the checkout's var/ alone. Done here and not in a fixture: pytest-django reads TEST at its first use.
HOME = Path(tempfile.mkdtemp(prefix="flower-tests-"))
project_settings.FLOWER = dataclasses.replace(project_settings.FLOWER, home=HOME)
project_settings.STATIC_ROOT = HOME / "static"
project_settings.STATIC_ROOT.mkdir()
project_settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # the real one takes 0.5 s
if connections["default"].vendor == "sqlite":
    connections["default"].settings_dict["TEST"]["NAME"] = str(HOME / "test.sqlite3")
# Workers of a run have databases of their own, hence equal numbers; on one Redis they would hear each other's hints.
if "prefix" in (layer := project_settings.CHANNEL_LAYERS["default"].get("CONFIG", {})):
    layer["prefix"] = HOME.name


USES_SERVICES = {"db", "transactional_db", "django_db_reset_sequences", "web_process"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where other services are tried (make test-services), what uses neither is left to `make test`."""
    if not os.environ.get("FLOWER_ONLY_SERVICES"):
        return
    concerned, others = [], []
    for item in items:
        marked = any(item.get_closest_marker(name) for name in ("django_db", "services"))
        uses = marked or USES_SERVICES & set(getattr(item, "fixturenames", ()))
        (concerned if uses else others).append(item)
    items[:] = concerned
    config.hook.pytest_deselected(items=others)


def pytest_unconfigure() -> None:
    shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def _append_only_tables_can_be_flushed(django_db_setup, django_db_blocker) -> Iterator[None]:
    """Transactional tests empty every table at their end; the trace's triggers would refuse.

    MySQL: TRUNCATE fires no DELETE trigger. SQLite has none, so the triggers go for the moment of the flush.
    The actor that a migration made is made again.
    """
    flush, execute = connection.ops.sql_flush, connection.ops.execute_sql_flush

    def sql_flush(style, tables, *, reset_sequences=False, allow_cascade=False):
        truncate = reset_sequences or connection.vendor == "mysql"
        return flush(style, tables, reset_sequences=truncate, allow_cascade=allow_cascade)

    def execute_sql_flush(sql_list):
        if connection.vendor == "sqlite":
            triggers.drop(connection)
        execute(sql_list)
        if connection.vendor == "sqlite":
            triggers.create(connection)
        Actor.objects.get_or_create(ref="system", kind=Actor.Kind.SYSTEM)

    connection.ops.sql_flush, connection.ops.execute_sql_flush = sql_flush, execute_sql_flush
    yield
    connection.ops.sql_flush, connection.ops.execute_sql_flush = flush, execute


@pytest.fixture(autouse=True)
def _no_token_is_remembered() -> Iterator[None]:
    """Test databases start anew, and with them the numbers; what a process has cached must not outlive them."""
    yield
    actors.forget_cached_tokens()


@pytest.fixture(autouse=True)
def _pages_do_not_read_the_version_of_their_lists(monkeypatch) -> None:
    """Once a second they would, in the midst of tests that count queries; who is about it says changes.forget()."""
    monkeypatch.setattr(changes, "_kept", (time.monotonic() + 3600, "a version"))


@pytest.fixture
def eager_tasks(settings) -> None:
    """Celery's tasks run at once, where they are kicked."""
    from flower.celery import app

    settings.CELERY_TASK_ALWAYS_EAGER = True
    before = app.conf.task_always_eager
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = before


# --- characters -------------------------------------------------------------------------------------------------------


@pytest.fixture
def operator(db) -> Actor:
    return factories.operator()


@pytest.fixture
def agent(db) -> Actor:
    return factories.agent()


@pytest.fixture
def project(db, tmp_path, monkeypatch):
    for name, value in factories.GIT_ENV.items():
        monkeypatch.setenv(name, value)
    return factories.make_project(tmp_path / "sample")


@pytest.fixture
def operator_token(operator) -> str:
    return actors.issue_token(operator, Token.Scope.OPERATOR)[0]


@pytest.fixture
def agent_token(agent) -> str:
    return actors.issue_token(agent, Token.Scope.AGENT)[0]


@pytest.fixture
def person(operator) -> User:
    """Mike, who logs in with the password ``a long password``."""
    user = User.objects.create_user("mike", password="a long password")
    operator.user = user
    operator.save()
    return user


@pytest.fixture
def browser(client: Client, person: User) -> Client:
    """A browser in which Mike is logged in."""
    client.force_login(person)
    return client


# --- one real web process ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def web_process() -> Iterator[WebProcess]:
    """daphne on loopback with a broker and a database of its own (tests/web.py). It is slow: mark the test so."""
    with WebProcess.started() as process:
        yield process
