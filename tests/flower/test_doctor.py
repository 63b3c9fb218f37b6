"""``manage.py doctor``: each check in a world that really is broken in its way, and in one where all is well."""

from __future__ import annotations

import dataclasses
import fcntl
import http.server
import importlib.util
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from django.db import connection

from daemons.models import AgentProgram
from flower import doctor, env
from flower.doctor import agents, configuration, database, home, machine, projects, running
from flower.doctor.findings import Finding, Level, examine, fine
from tests.factories import git, make_brief, make_project, operator
from tests.system.running import free_port, until

SECRET = "correct-horse-battery-staple-0123456789"


def levels(found: Iterable[Finding]) -> dict[str, str]:
    return {finding.code: str(finding.level) for finding in found}


def one(found: Iterable[Finding]) -> Finding:
    (finding,) = found
    return finding


@pytest.fixture
def flower(tmp_path) -> env.Environment:
    """Settings with a state folder that is there."""
    (tmp_path / "home").mkdir(mode=0o700)
    return env.read(
        {"FLOWER_HOME": str(tmp_path / "home"), "FLOWER_SECRET_KEY": SECRET, "FLOWER_PORT": str(free_port())}
    )


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """``programs(git="#!/bin/sh…")`` puts programs of that name first on PATH; ``only=True``: and nothing else."""

    def put(only: bool = False, **scripts: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name, text in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{text}\n")
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder) if only else f"{folder}:{os.environ['PATH']}")
        return folder

    return put


# --- the command ------------------------------------------------------------------------------------------------------


def ask(home: Path, *options: str, **changes: str) -> tuple[int, str]:
    """``manage.py doctor`` as somebody calls it: exit code, what it printed."""
    foreign = ("FLOWER_", "DJANGO_", "GIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    empty = dict.fromkeys(["DATABASE_URL", "REDIS_URL", "MEILI_URL", "FLOWER_PUBLIC_URL", "FLOWER_HOST"], "")
    own = {"FLOWER_HOME": str(home), "FLOWER_PORT": str(free_port()), "FLOWER_TRANSCRIPT_ROOTS": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", *options],
        cwd=env.BASE_DIR,
        env={**kept, **empty, **own, **changes},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def told(home: Path, **changes: str) -> tuple[int, dict[str, dict[str, str]]]:
    code, said = ask(home, "--json", **changes)
    answer = json.loads(said)
    assert answer["ok"] is (code == 0)
    return code, {finding["code"]: finding for finding in answer["findings"]}


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(tmp_path):
    code, found = told(tmp_path / "home")
    assert code == 0
    assert {name for name, finding in found.items() if finding["level"] == "warning"} == {
        *("home.new", "database.new", "up.stopped")
    }
    assert found["home.new"]["remedy"] == "make up"
    assert not (tmp_path / "home").exists()


def test_bad_settings_are_all_told_and_end_it(tmp_path):
    code, found = ask(tmp_path / "home", FLOWER_PORT="eighty", DATABASE_URL="postgres://me:hunter2@db/flower")
    assert code == 1
    bad = [line for line in found.splitlines() if line.startswith("wrong")]
    assert [line.split(":")[0] for line in bad] == ["wrong    settings.bad"] * 2
    assert "DATABASE_URL must begin" in bad[0] and "FLOWER_PORT is 'eighty'" in bad[1]
    assert "skipped  settings.unread" in found and "git version" in found
    assert "hunter2" not in found
    assert not (tmp_path / "home").exists()


def test_one_bad_setting_makes_no_key(tmp_path):
    """Django's commands ask the settings once more when they end."""
    code, _ = ask(tmp_path / "home", DATABASE_URL="postgres://db/flower")
    assert code == 1
    assert not (tmp_path / "home").exists()


def test_nobody_need_read_to_the_end(tmp_path):
    done = subprocess.run(
        f"{sys.executable} manage.py doctor | head -1",
        shell=True,
        cwd=env.BASE_DIR,
        env={**os.environ, "FLOWER_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout.startswith("ok       system"), done.stderr) == (True, "")


def test_a_home_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    code, found = told(tmp_path / "file")
    assert (code, found["settings.bad"]["level"]) == (1, "wrong")
    assert "FLOWER_HOME" in found["settings.bad"]["what"]


def test_a_home_that_cannot_be_made(tmp_path):
    code, found = told(Path("/proc/flower"))
    assert (code, found["home.unwritable"]["level"]) == (1, "wrong")
    assert "set FLOWER_HOME" in found["home.unwritable"]["remedy"]


def test_a_database_without_tables_is_told_and_stays_as_it_is(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    file = tmp_path / "home" / "flower.sqlite3"
    sqlite3.connect(file).execute("PRAGMA journal_mode=WAL").connection.close()
    before = file.read_bytes()
    code, found = told(tmp_path / "home")
    assert (code, found["database.unmigrated"]["level"]) == (1, "wrong")
    assert (
        "migrations are not applied: " in found["database.unmigrated"]["what"]
        and "manage.py migrate" in found["database.unmigrated"]["remedy"]
    )
    assert found["database.unread"]["level"] == "skipped"
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["flower.sqlite3"]
    assert file.read_bytes() == before


def test_what_is_no_database(tmp_path):
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "flower.sqlite3").write_text("not a database at all " * 100)
    code, found = told(tmp_path / "home")
    assert (code, found["database.damaged"]["level"]) == (1, "wrong")
    assert found["database.unasked"]["level"] == "skipped"
    assert "manage.py restore" in found["database.damaged"]["remedy"]


@pytest.mark.skipif(importlib.util.find_spec("MySQLdb") is None, reason="MySQL's driver is not installed")
def test_a_server_that_is_not_there(tmp_path):
    port = free_port()
    code, found = told(tmp_path / "home", DATABASE_URL=f"mysql://me:hunter2x@127.0.0.1:{port}/flower")
    assert (code, found["database.unreachable"]["level"]) == (1, "wrong")
    assert f"127.0.0.1:{port}" in found["database.unreachable"]["what"]
    assert "hunter2x" not in json.dumps(found)


@pytest.mark.skipif(importlib.util.find_spec("MySQLdb") is None, reason="MySQL's driver is not installed")
def test_a_server_that_says_nothing(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        code, found = told(tmp_path / "home", DATABASE_URL=f"mysql://me@127.0.0.1:{silent.getsockname()[1]}/flower")
    assert (code, found["database.unreachable"]["level"]) == (1, "wrong")
    assert time.monotonic() - begun < 30


def test_a_redis_that_is_not_there(tmp_path):
    port = free_port()
    code, found = told(tmp_path / "home", REDIS_URL=f"redis://:hunter2x@127.0.0.1:{port}/0")
    assert (code, found["broker.unreachable"]["level"]) == (1, "wrong")
    assert f"127.0.0.1:{port}" in found["broker.unreachable"]["what"]
    assert "hunter2x" not in json.dumps(found)


def test_a_git_that_hangs_hangs_nothing(tmp_path, programs):
    folder = programs(git="sleep 1000")
    begun = time.monotonic()
    code, found = told(tmp_path / "home", PATH=f"{folder}:{os.environ['PATH']}")
    assert (code, found["git.broken"]["level"]) == (1, "wrong")
    assert time.monotonic() - begun < 30


# --- how it looks -----------------------------------------------------------------------------------------------------


def test_a_check_that_hangs_is_told_with_what_it_found_before():
    release = threading.Event()

    def check() -> Iterator[Finding]:
        yield fine("before", "this was found")
        release.wait(30)

    found = examine("slow", check, seconds=0.3)
    release.set()
    assert levels(found) == {"before": "ok", "check.hangs": "wrong"}
    assert {finding.check for finding in found} == {"slow"}


def test_a_check_that_breaks_down_is_told():
    def check() -> Iterator[Finding]:
        yield fine("before", "this was found")
        raise ValueError("a bug")

    assert levels(examine("broken", check)) == {"before": "ok", "check.failed": "wrong"}


def test_no_secret_comes_out(monkeypatch):
    def tell(secrets: list[str]) -> Iterator[Finding]:
        secrets.append("hunter2-and-more")
        yield Finding("x", Level.WRONG, "the server said:\n  hunter2-and-more", "say hunter2-and-more")

    monkeypatch.setattr(doctor, "_examine", tell)
    assert doctor.line(one(doctor.findings())) == "wrong    x: the server said: [hidden] -> say [hidden]"


def test_the_secrets_of_the_settings_are_known(tmp_path):
    flower = env.read(
        {
            "FLOWER_HOME": str(tmp_path),
            "FLOWER_SECRET_KEY": SECRET,
            "DATABASE_URL": "mysql://me:p%40ssword@db/flower",
            "REDIS_URL": "redis://:redis-secret@redis",
            "FLOWER_LLM_API_KEY": "model-key",
        }
    )
    assert set(configuration.hidden(flower)) == {SECRET, "p%40ssword", "p@ssword", "redis-secret", "model-key"}


# --- the machine ------------------------------------------------------------------------------------------------------


def test_this_machine_will_do():
    for check in (machine.system, machine.python, machine.git, machine.limits):
        assert one(check()).level == "ok", check


def test_an_old_python_and_an_old_sqlite():
    assert levels(machine.python((3, 10, 2))) == {"python.old": "wrong"}
    assert levels(machine.python((3, 12, 1), (3, 22, 0))) == {"python.sqlite": "wrong"}


def test_packages_that_are_missing_or_other_ones(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "django==1.0 \\\n    --hash=sha256:0\nno-such-package-here==1.0 \\\nother==2 ; sys_platform == 'win32' \\\n"
    )
    found = list(machine.packages(lock))
    assert levels(found) == {"packages.missing": "wrong", "packages.other": "warning"}
    assert "no-such-package-here" in found[0].what and "django" in found[1].what
    assert f"-r {lock}" in found[0].remedy


def test_no_git(programs):
    programs(only=True)
    assert levels(machine.git()) == {"git.missing": "wrong"}


def test_an_old_git(programs):
    programs(git="echo git version 2.30.2")
    found = one(machine.git())
    assert (found.code, found.level) == ("git.old", "wrong")
    assert "git 2.38 or newer" in found.what and "2.30.2" in found.what and "apt-get install git" in found.remedy


@pytest.mark.parametrize("script", ["sleep 1000", "exit 3", "echo hello", "trap '' TERM; sleep 1000"])
def test_a_broken_git(programs, script):
    programs(git=script)
    begun = time.monotonic()
    assert levels(machine.git(seconds=0.5)) == {"git.broken": "wrong"}
    assert time.monotonic() - begun < 5


def test_few_open_files():
    assert levels(machine.limits(512)) == {"limits.files": "warning"}
    found = one(machine.limits(64))
    assert (found.level, "ulimit -n" in found.remedy) == ("wrong", True)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_good_settings(tmp_path):
    found = one(configuration.settings({"FLOWER_HOME": str(tmp_path), "FLOWER_PORT": "9000", "PATH": "/bin"}))
    assert (found.code, found.level, found.what) == ("settings", "ok", "2 set, the others have their defaults")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLOWER_PORT", "eighty"),
        ("FLOWER_SECRET_KEY", "short"),
        ("FLOWER_SECRET_KEY_FILE", "/nonexistent"),
        ("DATABASE_URL_FILE", "/nonexistent"),
        ("FLOWER_HOME", __file__),
        ("FLOWER_PRICES", "what"),
    ],
)
def test_each_bad_setting_is_told_by_its_name(name, value):
    found = one(configuration.settings({name: value}))
    assert (found.code, found.level) == ("settings.bad", "wrong")
    assert name.removesuffix("_FILE") in found.what and name.removesuffix("_FILE") in found.remedy


def test_a_misspelt_setting_is_told():
    found = list(configuration.settings({"FLOWER_PUBLIC_URI": "http://x", "FLOWER_CHROMIUM": "/bin/true"}))
    assert levels(found) == {"settings.unknown": "warning", "settings": "ok"}
    assert found[0].remedy == "rename it to FLOWER_PUBLIC_URL"


def test_reading_them_makes_no_key(tmp_path, monkeypatch):
    monkeypatch.setenv("FLOWER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(env, "BASE_DIR", tmp_path)
    env.read(configuration.values())
    assert not (tmp_path / "home").exists()
    env.load()
    assert env.read(configuration.values()).secret_key == (tmp_path / "home" / "secret_key").read_text()


def test_an_env_file_that_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "BASE_DIR", tmp_path)
    (tmp_path / ".env").write_bytes(b"\xff\xfe\xfa")
    found = [finding for finding in doctor.findings() if finding.check == "" and finding.level != "ok"]
    assert levels(found) == {"settings.file": "wrong", "settings.unread": "skipped"}


# --- the state folder -------------------------------------------------------------------------------------------------


HOME_CHECKS = (home.folder, home.unfinished, home.owners, home.modes, home.locks, home.space)


def test_a_good_home_and_nothing_is_left_in_it(flower):
    env.read({"FLOWER_HOME": str(flower.home)})
    before = sorted(flower.home.rglob("*"))
    found = [finding for check in HOME_CHECKS for finding in check(flower)]
    assert {finding.level for finding in found} == {"ok"}, found
    assert sorted(flower.home.rglob("*")) == before == [flower.home / "secret_key"]


def test_a_home_that_cannot_be_written(flower):
    found = one(home.folder(dataclasses.replace(flower, home=Path("/proc/self"))))
    assert (found.code, found.level) == ("home.unwritable", "wrong")


def test_a_file_where_a_folder_is_to_be(flower):
    (flower.home / "log").write_text("")
    found = one(home.folder(flower))
    assert (found.code, found.level) == ("home.unwritable", "wrong")
    assert str(flower.home / "log") in found.what


def test_a_restore_that_was_interrupted(flower):
    (flower.home / "restore.unfinished").touch()
    found = one(home.unfinished(flower))
    assert (found.code, found.level) == ("home.half_restored", "wrong")
    assert found.remedy.startswith("manage.py restore FILE")


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_files_of_somebody_else(flower):
    (flower.home / "log").mkdir()
    (flower.home / "log" / "web.log").touch()
    os.chown(flower.home / "log" / "web.log", 12345, 12345)
    found = one(home.owners(flower))
    assert (found.code, found.level) == ("home.foreign", "wrong")
    assert str(flower.home / "log" / "web.log") in found.what and "chown -R 0 " in found.remedy


def test_a_key_that_others_can_read():
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        (Path(name) / "secret_key").write_text(SECRET)
        flower = env.read({"FLOWER_HOME": name, "FLOWER_SECRET_KEY": SECRET})
        (Path(name) / "secret_key").chmod(0o600)
        assert one(home.modes(flower)).level == "ok"
        (Path(name) / "secret_key").chmod(0o644)
        found = one(home.modes(flower))
        assert (found.code, found.level) == ("home.open", "wrong")
        assert found.remedy == f"chmod 600 {name}/secret_key; chmod 700 {name}"
        Path(name).chmod(0o700)  # nobody comes that far
        assert one(home.modes(flower)).level == "ok"


def test_a_run_folder_that_is_open(flower):
    flower.run.mkdir(parents=True)
    flower.run.chmod(0o777)
    assert levels(home.modes(flower)) == {"home.run": "wrong"}


def test_locks_that_do_not_hold(flower, monkeypatch):
    """A disk without locks says yes to everybody."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: None)
    assert levels(home.locks(flower)) == {"home.locks": "wrong"}


def test_a_disk_that_is_nearly_full(flower):
    """There is no full disk to be had here, so what counts as little is more than there is."""
    assert levels(home.space(flower, little=2**60)) == {"home.space": "warning"}
    found = list(home.space(flower, little=2**60, least=2**59))
    assert {(finding.code, str(finding.level)) for finding in found} >= {("home.space", "wrong")}
    assert "du -xh" in found[0].remedy


# --- the database -----------------------------------------------------------------------------------------------------


def test_the_database_of_the_suite_is_right(db):
    assert levels(database.migrated()) == {"database.migrations": "ok"}
    assert levels(database.guarded()) == {"database.triggers": "ok"}
    assert {finding.level for finding in database.set_up()} <= {"ok"}


def test_a_migration_that_is_not_applied_and_one_that_is_not_known(db):
    with connection.cursor() as cursor:
        cursor.execute("SELECT MAX(name) FROM django_migrations WHERE app = 'briefs'")
        (newest,) = cursor.fetchone()
        cursor.execute("DELETE FROM django_migrations WHERE app = 'briefs' AND name = %s", [newest])
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('briefs', '9999_later', '2030-01-01')"
        )
    found = {finding.code: finding for finding in database.migrated()}
    assert found["database.unmigrated"].level == "wrong" and f"briefs.{newest}" in found["database.unmigrated"].what
    assert found["database.newer"].level == "wrong" and "briefs.9999_later" in found["database.newer"].what


@pytest.mark.skipif(connection.vendor != "sqlite", reason="DDL in MySQL commits")
def test_a_trace_that_nothing_guards(db):
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER trace_refuses_update")
    found = one(database.guarded())
    assert (found.code, found.level) == ("database.triggers", "wrong")
    assert "trace_refuses_update" in found.what and "triggers as t" in found.remedy


@pytest.fixture
def file(tmp_path) -> Path:
    """A database in WAL mode, with something in it."""
    with sqlite3.connect(tmp_path / "some.sqlite3") as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE things (name TEXT)")
        made.executemany("INSERT INTO things VALUES (?)", [("x" * 500,)] * 400)
    made.close()
    return tmp_path / "some.sqlite3"


def test_a_file_that_is_right_is_left_alone(file):
    assert levels(database._sqlite(file)) == {"database": "ok"}
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_file_that_somebody_has_locked(file, monkeypatch):
    monkeypatch.setattr(database, "LOCK_SECONDS", 0.2)
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found = one(database._sqlite(file))
    other.close()
    assert (found.code, found.level) == ("database.locked", "wrong")
    assert "fuser -v" in found.remedy


def test_a_file_that_is_damaged(file):
    content = bytearray(file.read_bytes())
    content[9000:40000] = b"\xff" * 31000
    file.write_bytes(content)
    assert levels(database._sqlite(file)) == {"database.damaged": "wrong"}


def test_a_file_in_another_journal_mode(file):
    with sqlite3.connect(file) as other:
        other.execute("PRAGMA journal_mode=DELETE")
    other.close()
    assert levels(database._sqlite(file)) == {"database.journal": "warning", "database": "ok"}


@pytest.mark.services
@pytest.mark.skipif(connection.vendor != "mysql", reason="MySQL")
class TestMySQL:
    def test_a_table_in_an_old_alphabet_or_without_transactions(self, transactional_db):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE doctor_old (id INT) CHARACTER SET latin1 ENGINE=MyISAM")
            try:
                found = {finding.code: finding for finding in database.set_up()}
            finally:
                cursor.execute("DROP TABLE doctor_old")
        assert found["database.alphabet"].level == found["database.engine"].level == "wrong"
        assert found["database.alphabet"].remedy.startswith("ALTER TABLE `doctor_old` CONVERT")

    def test_another_isolation(self, db):
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            try:
                assert levels(database.set_up()) == {"database.isolation": "wrong"}
            finally:
                cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    @pytest.mark.parametrize(
        ("user", "name", "code"),
        [("root", "no_such_database", "database.unreachable"), ("nobody:hunter2x", "x", "database.denied")],
    )
    def test_a_wrong_name_or_password(self, tmp_path, user, name, code):
        settings = connection.settings_dict
        url = f"mysql://{user}@{settings['HOST'] or '127.0.0.1'}:{settings['PORT'] or 3306}/{name}"
        exit_code, found = told(tmp_path / "home", DATABASE_URL=url)
        assert (exit_code, found[code]["level"]) == (1, "wrong")
        assert "hunter2x" not in json.dumps(found)


# --- what runs --------------------------------------------------------------------------------------------------------


def pulse(flower: env.Environment, name: str, age: float = 0) -> None:
    flower.run.mkdir(mode=0o700, exist_ok=True)
    path = flower.run / f"{name}.pulse"
    path.write_text(str(os.getpid()))
    os.utime(path, (time.time() - age, time.time() - age))


@pytest.fixture
def held(flower) -> Iterator[None]:
    """As if ``make up`` ran in this state folder."""
    with (flower.home / "up.lock").open("w") as file:
        file.write(str(os.getpid()))
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def test_flower_does_not_run(flower):
    now = running.look(flower)
    assert not now.is_any
    found = one(running.supervisor(now))
    assert (found.code, found.level, found.remedy) == ("up.stopped", "warning", "make up")
    assert list(running.parts(flower, now)) == list(running.addresses(flower, now)) == []
    assert levels(running.port(flower, now)) == {"port": "ok"}


def test_looking_at_the_lock_does_not_take_it(flower, held):
    now = running.look(flower)
    assert now.up == os.getpid()
    assert levels(running.supervisor(now)) == {"up": "ok"}


def test_parts_that_work_are_stuck_and_are_gone(flower, held, monkeypatch):
    monkeypatch.setattr(running, "STARTING", 0)
    pulse(flower, "worker", age=100)
    pulse(flower, "watch", age=3)
    (flower.run / "worker.pid").write_text("4711")
    found = {finding.code: finding for finding in running.parts(flower, running.look(flower))}
    assert {code: str(finding.level) for code, finding in found.items()} == {
        "part.stuck": "wrong",
        "part.watch": "ok",
        "part.gone": "wrong",
    }
    assert "worker" in found["part.stuck"].what and found["part.stuck"].remedy.startswith("kill -9 4711")
    assert "beat" in found["part.gone"].what and str(flower.home / "log" / "beat.log") in found["part.gone"].remedy


def test_parts_without_a_supervisor_as_in_containers(flower):
    for name in running.PARTS:
        pulse(flower, name)
    now = running.look(flower)
    assert levels(running.supervisor(now)) == {"up": "ok"}
    assert levels(running.parts(flower, now)) == {"part.worker": "ok", "part.watch": "ok", "part.beat": "ok"}


def test_in_containers_the_port_is_not_asked_for(flower):
    pulse(flower, "worker")
    with socket.create_server(("127.0.0.1", flower.port)):
        assert list(running.port(flower, running.look(flower))) == []


def test_programs_are_looked_for_where_the_worker_looks(flower, db, programs, tmp_path):
    """The doctor's shell has another PATH than the system that started flower."""
    folder = programs(**{"only-in-the-shell": "exit 0"})
    worker = subprocess.Popen(["sleep", "60"], env={"PATH": "/usr/bin:/bin"})
    try:
        flower.run.mkdir(mode=0o700)
        (flower.run / "worker.pid").write_text(f"{worker.pid}")
        until(lambda: running.look(flower).path == "/usr/bin:/bin", "the worker has begun", 10)
        row = AgentProgram.objects.create(name="mine", argv=["only-in-the-shell"])
        assert shutil.which("only-in-the-shell") == str(folder / "only-in-the-shell")
        assert levels(agents.program(row, running.look(flower).path)) == {"agent.missing": "wrong"}
        assert levels(agents.program(row)) == {"agent": "ok"}
        assert not projects.is_there("only-in-the-shell", tmp_path, "/usr/bin:/bin")
    finally:
        worker.kill()
        worker.wait()


def test_a_supervisor_that_was_killed_takes_its_parts_along(flower):
    for name in running.PARTS:
        pulse(flower, name)
        (flower.run / f"{name}.pid").write_text("4194305")  # above the largest id that there can be
    assert not running.look(flower).is_any


def test_a_port_that_somebody_else_has(flower):
    with socket.create_server(("127.0.0.1", flower.port)):
        found = one(running.port(flower, running.look(flower)))
    assert (found.code, found.level) == ("port.taken", "wrong")
    assert "FLOWER_PORT" in found.remedy and f":{flower.port}" in found.remedy


def test_web_does_not_answer(flower, held):
    now = running.look(flower)
    assert levels(running.port(flower, now)) == {"web.silent": "wrong"}
    assert list(running.addresses(flower, now)) == []
    elsewhere = dataclasses.replace(flower, public_url=f"http://127.0.0.1:{free_port()}")
    found = one(running.addresses(elsewhere, now))
    assert (found.code, found.level) == ("url.silent", "wrong")
    assert "FLOWER_PUBLIC_URL" in found.remedy


@pytest.fixture
def server(flower) -> Iterator[dict[str, tuple[int, str]]]:
    """Something on flower's port that answers as it is told, path by path."""
    answers: dict[str, tuple[int, str]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", flower.port), Handler)
    threading.Thread(target=http_server.serve_forever, daemon=True).start()
    yield answers
    http_server.shutdown()
    http_server.server_close()


def test_web_that_is_not_ready_and_addresses_that_lead_elsewhere(flower, held, server):
    now = running.look(flower)
    server["/readyz"] = (503, '{"ready": false, "checks": {"database": {"ok": true}, "broker": {"ok": false}}}')
    found = one(running.port(flower, now))
    assert (found.code, found.level, found.what) == ("web.unready", "wrong", "web is not ready: broker")
    server["/readyz"] = (200, "{}")
    assert levels(running.port(flower, now)) == {"web": "ok"}
    (flower.home / "static").mkdir()
    assert levels(running.port(flower, now)) == {"web.static": "wrong", "web": "ok"}

    assert levels(running.addresses(flower, now)) == {"url.other": "wrong"}
    server["/healthz"] = (200, '{"ok": true}')
    assert levels(running.addresses(flower, now)) == {"url.mcp": "wrong"}
    server["/mcp"] = (401, "")
    assert levels(running.addresses(flower, now)) == {"url": "ok"}


def test_a_proxy_between_agents_and_flower(flower, held, monkeypatch):
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    found = {finding.code: finding for finding in running.addresses(flower, running.look(flower))}
    assert found["url.proxy"].level == "warning" and "NO_PROXY=127.0.0.1" in found["url.proxy"].remedy
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert "url.proxy" not in levels(running.addresses(flower, running.look(flower)))


def test_the_broker_of_make_up_is_there(flower):
    assert levels(running.broker(flower, running.look(flower))) == {"broker.bundled": "ok"}


def test_the_broker_of_make_up_does_not_answer(flower, held):
    assert levels(running.broker(flower, running.look(flower))) == {"broker.unreachable": "wrong"}


def test_a_broker_that_says_nothing(flower, monkeypatch):
    monkeypatch.setattr(running, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        there = dataclasses.replace(flower, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        assert levels(running.broker(there, running.look(there))) == {"broker.unreachable": "wrong"}


@pytest.fixture
def valkey(flower):
    """``valkey("--requirepass", "x")`` starts a broker with these options; gives settings that name it."""
    from flower import up

    started = []
    folder = Path(tempfile.mkdtemp(prefix="flower-doctor-"))

    def start(*options: str, password: str = "") -> env.Environment:
        argv = [str(up._broker_binary()), "--port", "0", "--unixsocket", str(folder / "v.sock"), "--save", "", *options]
        started.append(subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL))
        until((folder / "v.sock").exists, "the broker listens", 20)
        return dataclasses.replace(flower, redis_url=f"unix://{password and f':{password}@'}{folder / 'v.sock'}")

    yield start
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(folder)


def test_a_broker_that_works(valkey):
    there = valkey()
    found = one(running.broker(there, running.look(there)))
    assert (found.code, found.level, found.what.split()[0]) == ("broker", "ok", "Valkey")


def test_a_broker_that_throws_away_and_whose_queue_grows(valkey):
    import redis

    there = valkey("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with redis.Redis.from_url(there.redis_url) as client:
        client.rpush("flower:flower", *range(running.LONG_QUEUE + 1))
    found = levels(running.broker(there, running.look(there)))
    assert found == {"broker.evicts": "warning", "broker.backlog": "warning", "broker": "ok"}


@pytest.mark.parametrize("password", ["", "hunter2x"])
def test_a_broker_with_another_password(valkey, password):
    there = valkey("--requirepass", "the-right-one", password=password)
    found = one(running.broker(there, running.look(there)))
    assert (found.code, found.level) == ("broker.denied", "wrong")
    assert "hunter2x" not in doctor.line(found)


def test_what_a_broker_tells_of_itself():
    good = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "maxmemory": 0}
    assert levels(running._judge_broker(good, 3)) == {"broker": "ok"}
    assert levels(running._judge_broker({"redis_version": "3.2.1"}, 0)) == {"broker.old": "wrong"}
    full = {**good, "maxmemory": 100, "maxmemory_policy": "allkeys-lru", "aof_last_write_status": "err"}
    assert levels(running._judge_broker(full, 5_000)) == {
        "broker.evicts": "warning",
        "broker.disk": "warning",
        "broker.backlog": "warning",
        "broker": "ok",
    }


# --- agents and services ----------------------------------------------------------------------------------------------


def test_no_agent_program(db):
    assert levels(agents.registered()) == {"agent.none": "ok"}


def test_agent_programs_that_are_there_missing_and_broken(db, programs, tmp_path):
    touched = tmp_path / "it ran"
    folder = programs(claude="echo 2.1.197; exit 0", codex="echo no such library; exit 127", mine=f"touch '{touched}'")
    rows = {"claude": ["claude", "-p"], "codex": [str(folder / "codex")], "mine": ["mine"], "none": ["no-such-agent"]}
    for name, argv in rows.items():
        AgentProgram.objects.create(name=name, argv=argv)
    AgentProgram.objects.create(name="off", argv=["no-such-agent"], enabled=False)
    found = {finding.what.partition(" ")[0]: (finding.code, str(finding.level)) for finding in agents.registered()}
    assert found["claude:"] == ("agent", "ok") and found["mine:"] == ("agent", "ok")
    assert found["codex:"] == ("agent.broken", "wrong") and found["the"] == ("agent.missing", "wrong")
    assert len(found) == 4
    assert not touched.exists(), "a command that is not known to answer --version is not started"


def test_an_agent_program_that_hangs(db, programs, monkeypatch):
    monkeypatch.setattr(agents, "VERSION_SECONDS", 0.3)
    programs(claude="sleep 1000")
    row = AgentProgram.objects.create(name="claude", argv=["claude"])
    assert levels(agents.program(row)) == {"agent.slow": "warning"}


def test_folders_of_logs(flower, tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "file").touch()
    roots = [tmp_path / "logs", tmp_path / "file", tmp_path / "later"]
    found = levels(agents.logs(dataclasses.replace(flower, transcript_roots=roots)))
    assert found == {"logs": "ok", "logs.no_folder": "wrong", "logs.none": "ok"}


def test_more_folders_than_the_kernel_watches(tmp_path):
    for number in range(5):
        (tmp_path / str(number)).mkdir()
    found = one(agents.watches([tmp_path], allowed=4))
    assert (found.code, found.level) == ("logs.watches", "warning")
    assert "max_user_watches" in found.remedy
    assert list(agents.watches([tmp_path], allowed=100)) == []


def test_a_language_model(flower, monkeypatch):
    def model(**changes: str) -> dict[str, str]:
        return levels(agents.model(dataclasses.replace(flower, **changes)))

    assert model() == {"llm.none": "ok"}
    assert model(llm_base_url="http://127.0.0.1:1/v1") == {"llm.half": "warning"}
    there = {"llm_model": "small", "llm_api_key": "a-secret-key"}
    assert model(llm_base_url=f"http://127.0.0.1:{free_port()}/v1", **there) == {"llm.unreachable": "warning"}
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        found = one(agents.model(dataclasses.replace(flower, llm_base_url=url, **there)))
        assert (found.code, found.level) == ("llm", "ok") and "a-secret-key" not in found.what
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert model(llm_base_url=url, **there) == {"llm.package": "wrong"}


def test_a_search_server(flower, server):
    there = dataclasses.replace(flower, meili_url=flower.origin)
    assert list(agents.search(flower)) == []
    assert levels(agents.search(there)) == {"search.unreachable": "warning"}
    server["/health"] = (200, '{"status": "available"}')
    assert levels(agents.search(there)) == {"search": "ok"}


# --- projects ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(db, tmp_path):
    project = make_project(tmp_path / "shop", slug="shop")
    for name in ("user.name", "user.email"):
        git(project.path, "config", name, "somebody")
    return project


def test_a_good_repository_and_nothing_is_left_in_it(shop):
    before = {path: path.stat().st_mtime_ns for path in shop.path.rglob("*")}
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project", "ok")
    assert {path: path.stat().st_mtime_ns for path in shop.path.rglob("*")} == before


def test_a_repository_that_is_gone(shop):
    shutil.rmtree(shop.path)
    assert levels(projects.repository(shop)) == {"project.missing": "wrong"}


def test_a_folder_that_is_no_repository_any_more(shop):
    shutil.rmtree(shop.path / ".git")
    assert levels(projects.repository(shop)) == {"project.repository": "wrong"}


def test_folders_that_are_no_main_checkout(shop, tmp_path):
    """The row was made by hand, or the folder became another one."""
    git(shop.path, "worktree", "add", "-q", "-b", "lane", str(tmp_path / "linked"))
    git(shop.path, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(shop.path), "inner")
    for path in (tmp_path / "linked", shop.path / "inner", shop.path / "src"):
        shop.root = str(path)
        found = one(projects.repository(shop))
        assert (found.code, found.level) == ("project.repository", "wrong"), path


def test_a_main_branch_that_is_gone(shop):
    git(shop.path, "switch", "-qc", "other")
    git(shop.path, "branch", "-qD", "main")
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.branch", "wrong")
    assert "branch main" in found.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_repository_of_somebody_else(shop, monkeypatch):
    monkeypatch.delenv("SUDO_UID", raising=False)
    for path in (shop.path, shop.path / ".git"):
        os.chown(path, 12345, 12345)
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.foreign", "wrong")
    assert "safe.directory" in found.remedy


def test_a_detached_main(shop):
    git(shop.path, "switch", "-q", "--detach")
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.detached", "warning")
    assert found.remedy == f"git -C {shop.path} switch main"


def test_another_branch_in_main(shop):
    git(shop.path, "switch", "-qc", "feature")
    assert levels(projects.repository(shop)) == {"project.other_branch": "warning"}


def test_a_merge_in_the_middle(shop):
    git(shop.path, "switch", "-qc", "feature")
    (shop.path / "README.md").write_text("theirs\n")
    git(shop.path, "commit", "-qam", "theirs")
    git(shop.path, "switch", "-q", "main")
    (shop.path / "README.md").write_text("ours\n")
    git(shop.path, "commit", "-qam", "ours")
    subprocess.run(["git", "merge", "feature"], cwd=shop.path, capture_output=True)
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.busy", "wrong")
    assert "merge --abort" in found.remedy


def test_a_stale_index_lock(shop):
    lock = shop.path / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (time.time() - 3600, time.time() - 3600))
    found = one(projects.repository(shop))
    assert (found.code, found.level, found.remedy) == ("project.locked", "wrong", f"rm {lock}")


def test_an_index_that_somebody_has_had_for_long(shop):
    with (shop.path / ".git" / "index.lock").open("w") as file:
        owner = subprocess.Popen(["sleep", "60"], stdout=file)
    try:
        os.utime(shop.path / ".git" / "index.lock", (time.time() - 3600, time.time() - 3600))
        found = one(projects.repository(shop))
    finally:
        owner.kill()
        owner.wait()
    assert (found.code, found.level) == ("project.locked_long", "warning")
    assert str(owner.pid) in found.what


def test_a_repository_that_cannot_be_written(shop, monkeypatch):
    """Whoever runs the suite as root may write everywhere; that a folder refuses is tried on /proc above."""
    monkeypatch.setattr(
        projects, "why_unwritable", lambda path: "Read-only file system" if path.name == "heads" else ""
    )
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.unwritable", "wrong")
    assert "refs/heads" in found.what and "chown -R" in found.remedy


def test_git_that_hangs_in_a_repository(shop, programs, monkeypatch):
    monkeypatch.setattr(projects, "GIT_SECONDS", 0.5)
    programs(git="sleep 1000")
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.git", "wrong")


def test_nobody_is_known_to_commit(shop, monkeypatch, tmp_path):
    for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    git(shop.path, "config", "--unset", "user.name")
    found = one(projects.repository(shop))
    assert (found.code, found.level) == ("project.identity", "warning")
    assert found.remedy == 'git config --global user.name "…"'


def test_lfs_without_git_lfs(shop, programs):
    (shop.path / "art").mkdir()
    (shop.path / "art" / ".gitattributes").write_text("# pictures\n*.png filter=lfs diff=lfs merge=lfs -text\n")
    git(shop.path, "add", ".")
    git(shop.path, "commit", "-qm", "art")
    folder = programs(only=True)
    (folder / "git").symlink_to("/usr/bin/git")
    assert levels(projects.repository(shop)) == {"project.lfs": "wrong"}
    programs(**{"git-lfs": "exit 0"})
    assert levels(projects.repository(shop)) == {"project": "ok"}


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("make test", "make"),
        ("CI=1 FOO='a b' npm test", "npm"),
        ("cd web && npm test", ""),
        ("$RUNNER test", ""),
        ("./run.sh --all", "./run.sh"),
        ("if true; then make; fi", ""),
        ("echo 'open", ""),
        ("", ""),
        ("# only this", ""),
    ],
)
def test_the_first_word_of_a_command(command, word):
    assert projects.first_word(command) == word


def test_gates_and_setup_whose_program_is_not_there(shop):
    (shop.path / "run.sh").touch()
    shop.gates, shop.setup_command = (
        ["no-such-tool --all", "./run.sh", "./gone.sh", "git diff --check"],
        "no-such-setup",
    )
    found = list(projects.repository(shop))
    assert {finding.code for finding in found} == {"project.command"}
    assert [finding.what.split("begins with ")[1].split(",")[0] for finding in found] == [
        *("no-such-tool", "./gone.sh", "no-such-setup")
    ]


def test_a_main_that_is_red_and_files_that_are_behind(shop):
    from dispatch.models import GateRun, MainCheck, MainState

    tip = git(shop.path, "rev-parse", "main")
    shop.gates = ["git diff --check"]
    shop.save()
    MainState.objects.create(project=shop, branch="main", sha=tip, files_sha=tip, behind="MAIN's files are old.")
    check = MainCheck.objects.create(project=shop, sha=tip)
    run = {"main_check": check, "attempt": 1, "ordinal": 1, "command": "git diff --check", "tree": tip}
    row = GateRun.objects.create(**run, passed=False)
    assert levels(projects.repository(shop)) == {"project.red": "warning", "project.behind": "warning"}
    row.passed = True
    row.save()
    MainState.objects.update(behind="")
    assert levels(projects.repository(shop)) == {"project": "ok"}


def test_worktrees_whose_folder_is_gone(shop, tmp_path):
    from worktrees.models import Worktree

    assert levels(projects.worktrees()) == {"worktrees": "ok"}
    row = {
        "project": shop,
        "branch": "x",
        "base_sha": "0" * 40,
        "created_by": operator(),
        "brief": make_brief(project=shop),
    }
    Worktree.objects.create(name="lost", path=str(tmp_path / "lost"), state=Worktree.State.READY, **row)
    Worktree.objects.create(name="old", path=str(tmp_path / "old"), state=Worktree.State.REMOVED, **row)
    found = one(projects.worktrees())
    assert (found.code, found.level) == ("worktree.missing", "warning")
    assert "lost (" in found.what and "old (" not in found.what


# --- a flower that runs -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_flower_that_runs_is_all_right_until_a_part_of_it_is_stuck(tmp_path):
    import signal

    from tests.system.running import Flower

    flower = Flower(tmp_path / "home").start()
    try:
        until(flower.is_whole, "it is whole")
        changes = {"FLOWER_PORT": str(flower.port), "FLOWER_HOST": ""}
        code, found = told(flower.home, **changes)
        assert (code, {finding["level"] for finding in found.values()}) == (0, {"ok"}), found
        assert {"up", "broker", "database", "web", "url", "part.worker", "part.beat", "part.watch"} <= set(found)
        os.kill(flower.pid("worker"), signal.SIGSTOP)
        old = time.time() - 2 * running.STALE
        os.utime(flower.run / "worker.pulse", (old, old))
        code, found = told(flower.home, **changes)
        assert (code, found["part.stuck"]["level"]) == (1, "wrong")
        assert f"kill -9 {flower.pid('worker')}" in found["part.stuck"]["remedy"]
    finally:
        flower.clear_away()


# --- its page ---------------------------------------------------------------------------------------------------------


def codes_in_the_sources() -> dict[str, set[str]]:
    """Each code but those of what is right, with its levels, from the calls that make findings."""
    import ast

    found: dict[str, set[str]] = {}
    for path in (env.BASE_DIR / "flower" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or not node.args:
                continue
            level = {"kind": "warning, wrong"}.get(node.func.id, node.func.id)
            if level in {"wrong", "warning", "skipped", "warning, wrong"} and isinstance(node.args[0], ast.Constant):
                found.setdefault(node.args[0].value, set()).add(level)
    return found


def test_its_page_lists_what_it_says():
    import re

    page = (env.BASE_DIR / "docs" / "doctor.md").read_text()
    described = dict(re.findall(r"^\| `([a-z]+\.[a-z_]+)` \| ([a-z, ]+) \|", page, re.M))
    used = codes_in_the_sources()
    assert {"git.old", "home.space", "project.locked"} <= set(used)
    assert {code: {level} for code, level in described.items()} == used
