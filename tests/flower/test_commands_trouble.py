"""A command that meets a database or a disk that does not work says so in a sentence, with the remedy; exit code 1."""

from __future__ import annotations

import errno
import importlib.util
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError, connection

from core.trouble import Unavailable
from flower import complaints
from flower.env import BASE_DIR
from tests.system.running import free_port

HAS_DRIVER = importlib.util.find_spec("MySQLdb") is not None


def manage(home: Path, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "DJANGO_"))}
    empty = dict.fromkeys(["DATABASE_URL", "REDIS_URL", "FLOWER_HOME", "FLOWER_PUBLIC_URL"], "")
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=BASE_DIR,
        env={**kept, **empty, "FLOWER_HOME": str(home), **changes},
        capture_output=True,
        text=True,
        timeout=120,
    )


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    """What it said, which is one line and no traceback."""
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr.strip()


@pytest.fixture(scope="module")
def migrated(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("migrated")
    assert manage(home, "migrate", "-v0").returncode == 0
    return home


@pytest.mark.parametrize("words", [["trace_verify"], ["actor_token", "operator:mike"], ["reconcile"]])
def test_one_that_is_not_migrated(tmp_path, words):
    said = sentence_of(manage(tmp_path, *words))
    assert said.startswith("The database is not migrated: ") and "manage.py migrate" in said


def test_one_from_a_newer_flower(migrated, tmp_path):
    copy = tmp_path / "flower.sqlite3"
    with sqlite3.connect(migrated / "flower.sqlite3") as source, sqlite3.connect(copy) as target:
        source.backup(target)
        target.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('briefs', '9999_later', '2030-01-01')"
        )
        target.execute("DROP TRIGGER trace_refuses_insert")
        target.execute("ALTER TABLE briefs_brief RENAME TO briefs_brief_of_later")
    source.close()
    target.close()
    said = sentence_of(manage(tmp_path, "trace_verify"))
    assert "newer than this checkout: it has briefs.9999_later" in said and "Update the checkout" in said


def test_one_that_is_locked(migrated):
    other = sqlite3.connect(migrated / "flower.sqlite3", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        said = sentence_of(manage(migrated, "actor_token", "operator:mike"))
    finally:
        other.close()
    assert "flower.sqlite3 is locked by another process" in said and "fuser -v" in said


def test_one_that_cannot_be_opened(tmp_path):
    said = sentence_of(manage(tmp_path, "trace_verify", DATABASE_URL=f"sqlite:///{tmp_path}/missing/flower.sqlite3"))
    assert "missing/flower.sqlite3 cannot be opened" in said


def test_one_that_is_no_database(tmp_path):
    (tmp_path / "flower.sqlite3").write_text("hello " * 1000)
    said = sentence_of(manage(tmp_path, "trace_verify"))
    assert "flower.sqlite3 is no SQLite database" in said and "manage.py restore FILE" in said


@pytest.mark.skipif(not HAS_DRIVER, reason="MySQL's driver is not installed")
def test_a_server_that_is_not_there(tmp_path):
    port = free_port()
    url = f"mysql://me:hunter2x@127.0.0.1:{port}/flower"
    said = sentence_of(manage(tmp_path, "trace_verify", DATABASE_URL=url))
    assert f"No database server answers at 127.0.0.1:{port}" in said and "DATABASE_URL" in said
    assert "hunter2x" not in said


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "mysql", reason="MySQL")
@pytest.mark.parametrize(
    ("user", "part"),
    [("root", "has no database no_such_database"), ("nobody:hunter2x", "refuses the user or password")],
)
def test_a_server_that_refuses(tmp_path, user, part):
    settings = connection.settings_dict
    url = f"mysql://{user}@{settings['HOST'] or '127.0.0.1'}:{settings['PORT'] or 3306}/no_such_database"
    said = sentence_of(manage(tmp_path, "trace_verify", DATABASE_URL=url))
    assert part in said and "hunter2x" not in said


def test_a_python_without_the_packages(tmp_path):
    """``python3 manage.py``, say, instead of ``.venv/bin/python manage.py``."""
    for command in ("doctor", "trace_verify"):
        argv = [sys.executable, "-S", "manage.py", command]
        said = sentence_of(subprocess.run(argv, cwd=BASE_DIR, capture_output=True, text=True, timeout=60))
        assert "does not have flower's packages (No module named 'django')" in said and ".venv/bin/python" in said


def test_the_traceback_can_be_had(tmp_path):
    done = manage(tmp_path, "trace_verify", "--traceback")
    assert done.returncode == 1 and "Traceback" in done.stderr and "no such table" in done.stderr


def test_what_is_no_trouble_of_the_database_stays_a_bug(db):
    assert complaints.of(ValueError("x")) is None
    assert complaints.of(FileNotFoundError(errno.ENOENT, "gone")) is None
    assert complaints.of(OperationalError("no such table: things")) is None  # all migrations are applied


def test_disks(db):
    full = complaints.of(OSError(errno.ENOSPC, "No space left on device", "/srv/x"))
    assert (full.code, full.sentence) == (
        "full",
        "/srv/x cannot be used (No space left on device). Make room there, then ask again.",
    )
    assert complaints.of(PermissionError(errno.EACCES, "Permission denied", "/srv/x")).code == "denied"
    assert complaints.of(OSError(errno.EROFS, "Read-only file system", "/srv/x")).code == "read_only"


@pytest.mark.parametrize(
    ("number", "code"),
    [(1205, "busy"), (1213, "busy"), (2013, "unreachable"), (1114, "full"), (1045, "denied"), (1049, "missing")],
)
def test_numbers_of_mysql(db, number, code):
    assert complaints.of(OperationalError(number, "words of the server")).code == code


def test_what_it_was_raised_from_says_more(db):
    try:
        try:
            raise OperationalError(1049, "Unknown database")
        except OperationalError as error:
            raise Unavailable("busy") from error
    except Unavailable as error:
        assert complaints.of(error).code == "missing"
    assert complaints.of(Unavailable("busy")).code == "busy"
