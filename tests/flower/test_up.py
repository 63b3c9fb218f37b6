"""``make up`` as a person meets it: the real processes, in a folder of their own, killed and stopped in every way."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from flower import env
from flower.env import BASE_DIR

pytestmark = pytest.mark.slow

CHILDREN = ("broker", "worker", "watch", "beat", "web")
START = 120.0  # seconds; it takes 5 on an idle machine
LOGS = {"FLOWER_TRANSCRIPT_ROOTS": "/nonexistent"}  # not those of whoever runs the suite
BUDGET = 450_000  # kB of memory (PSS) for everything together when nothing happens


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(answer, seconds=START):
    limit = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.05)
    return found


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


class Flower:
    """One ``python -m flower.up`` and what it said so far."""

    def __init__(self, home: Path, port: int | None = None, **changes: str) -> None:
        self.home, self.port = home, port or free_port()
        self.run = env.Environment.run.fget(SimpleNamespace(home=home))
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "DJANGO_"))}
        empty = dict.fromkeys(
            ["DATABASE_URL", "REDIS_URL", "FLOWER_PUBLIC_URL", "FLOWER_HOST"], ""
        )  # and not from .env
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flower.up"],
            cwd=BASE_DIR,
            env={**kept, **empty, **LOGS, "FLOWER_HOME": str(home), "FLOWER_PORT": str(self.port), **changes},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []
        self.complained: list[str] = []
        self._reader(self.process.stdout, self.said)
        self._reader(self.process.stderr, self.complained)

    @staticmethod
    def _reader(stream, lines):
        def read():
            for line in stream:
                lines.append(line.rstrip("\n"))

        threading.Thread(target=read, daemon=True).start()

    def ready(self) -> Flower:
        until(lambda: len(self.said) >= 2 or self.process.poll() is not None)
        assert self.process.poll() is None, self.complained
        return self

    def pid(self, name: str) -> int:
        file = self.run / f"{name}.pid"
        return int(file.read_text() or 0) if file.exists() else 0

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in CHILDREN}

    def answers(self, name: str) -> bool:
        """Whether this process works, asked in the way of its kind."""
        if name == "web":
            return self.get("/readyz") == 200
        if name == "broker":
            return self.get("/readyz") == 200  # the web process asks it
        pulse = self.run / f"{name}.pulse"
        return pulse.exists() and pulse.read_text() == str(self.pid(name))

    def get(self, path: str) -> int:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            link.request("GET", path)
            return link.getresponse().status
        except OSError:
            return 0
        finally:
            link.close()

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(40)


@pytest.fixture
def start(tmp_path):
    started: list[Flower] = []

    # a name that would mean something else in a URL: the database must lie in it all the same
    def start_one(home: Path = tmp_path / "home #1 50%41", **changes) -> Flower:
        started.append(Flower(home, **changes))
        return started[-1]

    yield start_one
    for flower in started:
        flower.process.kill()
        flower.process.wait()


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    flower = Flower(tmp_path_factory.mktemp("up") / "home").ready()
    yield flower
    assert flower.stop() == 0


class TestRunning:
    def test_it_says_ready_and_how_to_get_in(self, running):
        assert running.said[0] == f"flower ready http://127.0.0.1:{running.port}/"
        assert re.fullmatch(rf"login http://127\.0\.0\.1:{running.port}/enter/[A-Za-z0-9_-]{{20,}}", running.said[1])
        assert all(running.answers(name) for name in CHILDREN)

    def test_the_login_link_works_and_the_pages_are_closed_without_it(self, running):
        assert running.get("/briefs/") in {302, 401, 403}
        assert running.get(running.said[1].partition(str(running.port))[2]) in {200, 302, 303}

    def test_the_state_folder_is_private(self, running):
        assert running.home.stat().st_mode & 0o077 == 0
        assert (running.run / "q.sock").stat().st_mode & 0o077 == 0

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_it_is_small_when_nothing_happens(self, running):
        used = {}
        for name, pid in {"up": running.process.pid, **running.pids()}.items():
            used[name] = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M)[1])
        assert sum(used.values()) < BUDGET, used

    @pytest.mark.parametrize("name", CHILDREN)
    def test_a_killed_process_comes_back(self, running, name):
        old = until(lambda: running.pid(name))
        os.kill(old, signal.SIGKILL)
        until(lambda: running.pid(name) not in {0, old})
        until(lambda: all(running.answers(child) for child in CHILDREN))
        assert any(line.startswith(f"flower: {name} was killed") for line in running.complained)

    def test_a_second_one_in_the_same_folder_is_refused(self, running, start):
        refused(start(running.home), f"runs already in {running.home}")
        assert running.answers("web")

    def test_a_port_in_use_is_told(self, running, start):
        refused(start(port=running.port), f"127.0.0.1:{running.port}", "FLOWER_PORT")


def test_it_stops_starts_again_where_it_was_and_leaves_nothing_when_killed(start):
    first = start().ready()
    children = first.pids()
    assert all(children.values())
    begun = time.monotonic()
    assert first.stop() == 0
    assert time.monotonic() - begun < 20
    assert not any(map(is_alive, children.values()))
    assert not any(first.pids().values())
    with sqlite3.connect(first.home / "flower.sqlite3") as database:
        operators = database.execute("select id, ref from briefs_actor where kind = 'operator'").fetchall()
        assert len(operators) == 1
    key = (first.home / "secret_key").read_text()

    second = start().ready()
    assert (second.home / "secret_key").read_text() == key
    assert second.said[1].rpartition("/")[2] != first.said[1].rpartition("/")[2], "each start has its own link"
    with sqlite3.connect(second.home / "flower.sqlite3") as database:
        assert database.execute("select id, ref from briefs_actor where kind = 'operator'").fetchall() == operators
        assert database.execute("pragma journal_mode").fetchone() == ("wal",)
    children = second.pids()
    second.process.kill()
    until(lambda: not any(map(is_alive, children.values())), 10)


class TestRefusals:
    """One sentence, exit code 2, nothing left running."""

    def test_a_bad_setting(self, start):
        refused(start(FLOWER_MAX_CONCURRENT="many"), "FLOWER_MAX_CONCURRENT")

    def test_a_folder_that_cannot_be_written(self, start, tmp_path):
        (tmp_path / "file").write_text("")
        refused(start(tmp_path / "file" / "home", FLOWER_SECRET_KEY="k" * 40), "FLOWER_HOME")
        refused(start(Path("/proc/flower"), FLOWER_SECRET_KEY="k" * 40), "FLOWER_HOME")

    def test_no_git(self, start, tmp_path):
        (tmp_path / "bin").mkdir()
        refused(start(PATH=str(tmp_path / "bin")), "git is not on PATH")

    def test_a_git_that_is_too_old(self, start, tmp_path):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "git").write_text("#!/bin/sh\necho git version 2.30.2\n")
        (tmp_path / "bin" / "git").chmod(0o755)
        refused(start(PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}"), "git 2.38 or newer")

    def test_a_host_that_is_not_ours(self, start):
        refused(start(FLOWER_HOST="203.0.113.7"), "203.0.113.7")

    def test_a_redis_that_does_not_answer(self, start):
        refused(start(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"), "REDIS_URL names a Redis that does not answer")

    def test_a_start_that_is_interrupted_never_says_ready(self, start):
        flower = start()
        until(lambda: flower.pid("broker"), 20)  # long before it is ready
        assert flower.stop(signal.SIGINT) == 0
        assert flower.said == []

    def test_a_database_that_cannot_be_opened(self, start, tmp_path):
        refused(start(DATABASE_URL=f"sqlite:///{tmp_path}/missing/flower.sqlite3"), "database cannot be used")


def refused(flower: Flower, *parts: str) -> None:
    assert flower.process.wait(60) == 2
    until(lambda: flower.complained, 5)
    assert len(flower.complained) == 1, flower.complained
    assert flower.said == []
    for part in parts:
        assert part in flower.complained[0]
    assert not any(map(is_alive, filter(None, flower.pids().values()))) or "already" in flower.complained[0]
