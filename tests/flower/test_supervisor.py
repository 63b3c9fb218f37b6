"""The supervisor on small programs: what it restarts, logs, and never leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from flower.env import BASE_DIR
from flower.supervisor import Log

# A supervisor of its own process: it owns the signals. argv: the logs' folder, "guard" or "kernel", the folder of
# pids, then the child's argv.
RUN = """
import os, sys
from pathlib import Path
from flower import supervisor
folder = Path(sys.argv[1])
if sys.argv[2] == "guard":
    supervisor._libc = None
supervisor.GRACE = 1.0
one = supervisor.Supervisor(folder, Path(sys.argv[3]), os.environ, folder)
one.start(supervisor.Program("child", sys.argv[4:], lambda pid: ""))
while not one.asked_to_stop:
    one.step()
one.stop()
"""


@pytest.fixture
def supervise(tmp_path):
    started = []

    def start(*argv: str, means: str = "kernel", folder: Path = tmp_path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(tmp_path), means, str(folder), *argv],
            cwd=BASE_DIR,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def until(answer, seconds=20.0):
    limit = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.02)
    return found


def child_of(folder: Path, after: int | None = None) -> int:
    def pid():
        file = folder / "child.pid"
        found = int(file.read_text() or 0) if file.exists() else 0
        return found if found != after else 0

    return until(pid)


def is_alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("means", ["kernel", "guard"])
def test_a_child_ends_with_a_supervisor_that_was_killed(supervise, tmp_path, means):
    if means == "kernel" and sys.platform != "linux":
        pytest.skip("only Linux has PR_SET_PDEATHSIG")
    supervisor = supervise("sleep", "600", means=means)
    child = child_of(tmp_path)
    supervisor.kill()
    until(lambda: not is_alive(child))


@pytest.mark.parametrize("means", ["kernel", "guard"])
def test_a_dead_child_comes_back_and_waits_longer_each_time(supervise, tmp_path, means):
    supervisor = supervise("sh", "-c", "sleep 0.2; exit 3", means=means)
    waits = [supervisor.stderr.readline().split()[-2] for _ in range(4)]
    assert waits == ["0.2", "0.4", "0.8", "1.6"]


def test_a_killed_child_is_named_with_its_signal(supervise, tmp_path):
    supervisor = supervise("sleep", "600")
    first = child_of(tmp_path)
    os.kill(first, signal.SIGKILL)
    assert "child was killed (SIGKILL)" in supervisor.stderr.readline()
    assert is_alive(child_of(tmp_path, after=first))


def test_what_a_child_wrote_last_is_in_its_log(supervise, tmp_path):
    supervise("sh", "-c", "echo first; head -c 300000 /dev/zero | tr '\\0' x; echo; echo last words >&2; exit 1")
    log = tmp_path / "child.log"
    until(lambda: log.exists() and b"last words\n" in log.read_bytes())
    assert log.read_bytes().startswith(b"first\n" + b"x" * 300_000 + b"\nlast words\n")


def test_a_child_that_will_not_end_is_killed_after_its_grace(supervise, tmp_path):
    supervisor = supervise("sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    child = child_of(tmp_path)
    until(lambda: (tmp_path / "child.log").read_bytes())
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert not is_alive(child)
    assert "did not end in time" in supervisor.stderr.read()


def test_a_child_that_closes_its_output_costs_no_time(supervise, tmp_path):
    supervisor = psutil.Process(supervise("sh", "-c", "exec >/dev/null 2>&1; echo $$ > here; sleep 600").pid)
    until((tmp_path / "here").exists)
    before = supervisor.cpu_times().user
    until(lambda: time.time() - (tmp_path / "here").stat().st_mtime > 1.0)
    assert supervisor.cpu_times().user - before < 0.3


def test_it_outlives_its_folder(supervise, tmp_path):
    """Somebody cleans the temp folder, or a disk is full: the children come back all the same."""
    run = tmp_path / "run"
    run.mkdir()
    supervisor = supervise("sh", "-c", "sleep 0.3; exit 3", folder=run)
    child_of(run)
    shutil.rmtree(run)
    for _ in range(3):
        assert "it is started again" in supervisor.stderr.readline()
    assert child_of(run)


class TestLog:
    def test_it_makes_room_and_loses_nothing_that_it_keeps(self, tmp_path):
        log = Log(tmp_path / "a.log", limit=100)
        lines = [f"line {number:03}\n".encode() for number in range(30)]
        for line in lines:
            log.write(line)
        kept = b"".join((tmp_path / name).read_bytes() for name in ("a.log.2", "a.log.1", "a.log"))
        assert b"".join(lines).endswith(kept)
        assert len(kept) > 200
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.log", "a.log.1", "a.log.2"]
        assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 100

    def test_a_folder_that_is_gone_does_not_stop_it(self, tmp_path, capsys):
        folder = tmp_path / "log"
        folder.mkdir()
        log = Log(folder / "a.log", limit=10)
        log.write(b"line one\n")
        shutil.rmtree(folder)
        log.write(b"line two\n")  # there is nothing to rotate, and no folder for a new file
        assert "cannot be written" in capsys.readouterr().err
        folder.mkdir()
        log.write(b"line three\n")
        assert (folder / "a.log").read_bytes() == b"line three\n"

    def test_it_goes_on_after_a_restart(self, tmp_path):
        Log(tmp_path / "a.log").write(b"one\n")
        log = Log(tmp_path / "a.log")
        log.write(b"two\n\n")
        assert (tmp_path / "a.log").read_bytes() == b"one\ntwo\n\n"
        assert log.last_line() == "two"
