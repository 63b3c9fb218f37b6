"""A flower of our own: an empty home in the temp folder, a free port, started and ended here."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from flower import env

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 180.0  # seconds until a start is given up
# Empty is as good as unset, and wins over a .env: the benchmarks run on the embedded default.
_UNSET = ("DATABASE_URL", "REDIS_URL", "MEILI_URL", "MEILI_KEY", "FLOWER_PUBLIC_URL", "FLOWER_HOST", "FLOWER_DEBUG")


@dataclass
class System:
    """``seconds`` is how long the start took: from the exec to the line that says "ready"."""

    home: Path
    port: int
    module: str = "flower.up"
    seconds: float = 0.0
    login: str = ""  # the address that lets the first browser in, once
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "DJANGO_"))}
        return {
            **clean,
            **dict.fromkeys(_UNSET, ""),
            "FLOWER_HOME": str(self.home),
            "FLOWER_PORT": str(self.port),
            "FLOWER_TRANSCRIPT_ROOTS": str(self.home / "transcripts"),  # not the user's own
            "TMPDIR": str(self.home / "tmp"),  # git's two fill slots per host are found there: ours are our own
        }

    def start(self) -> None:
        begun = time.perf_counter()
        (self.home / "tmp").mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self.home / "up.err").open("ab"),
            start_new_session=True,
        )
        self._await_ready(begun + PATIENCE)
        self.seconds = time.perf_counter() - begun

    def _await_ready(self, deadline: float) -> None:
        assert self.process and self.process.stdout
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not (found := re.search(rb"^flower ready .*\nlogin (\S+)\n", said, re.M)):
                left = deadline - time.perf_counter()
                chunk = os.read(self.process.stdout.fileno(), 4096) if left > 0 and selector.select(left) else b""
                if not chunk:
                    self.stop()
                    last = (self.home / "up.err").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"flower did not start:\n{last}")
                said += chunk
        self.login = found[1].decode()

    def stop(self) -> None:
        """End what start() began. The supervisor takes its children along, at a kill too."""
        process, self.process = self.process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()

    def command(self, *arguments: str) -> str:
        """A management command; returns what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"manage.py {arguments[0]}: {done.stderr.strip()[-1000:]}")
        return done.stdout.strip()

    def token(self) -> str:
        return self.command("actor_token", "operator:bench")


@contextlib.contextmanager
def running(module: str = "flower.up") -> Iterator[System]:
    """A started system; everything of it is gone afterwards."""
    with new_home() as home:
        system = System(home, free_port(), module)
        try:
            system.start()
            yield system
        finally:
            system.stop()


@contextlib.contextmanager
def new_home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="flower-bench-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- what it uses -----------------------------------------------------------------------------------------------------

TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of these processes, and of the children that they have waited for."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / TICKS


def memory(pid: int) -> int:
    """Proportional set size in bytes: what is shared is counted once over all who share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/{pid}/smaps_rollup has no Pss")


def web_process(system: System) -> int:
    """The process id of web, as the supervisor notes it."""
    return int((run_folder(system) / "web.pid").read_text())


def run_folder(system: System) -> Path:
    return env.read(system.environment).run


def name_of(system: System, pid: int) -> str:
    """web, worker, beat, broker …: as the supervisor's pid files say; itself is "up"."""
    for file in run_folder(system).glob("*.pid"):
        if file.read_text().strip() == str(pid):
            return file.stem
    return "up" if system.process and pid == system.process.pid else f"process {pid}"
