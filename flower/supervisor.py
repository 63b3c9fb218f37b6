"""The supervisor: children that are started, watched, restarted, stopped in order, and never left behind.

Own code, since no library does all of it: honcho stops everything when one process ends; supervisord and circus
restart and rotate, but their children outlive a kill -9 of the supervisor, and none of them knows "ready".

* A child ends with this process, even at kill -9: Linux kills it for us (PR_SET_PDEATHSIG); elsewhere a guard (a
  shell that waits at a pipe which only we hold open) does. Agents are no children: they have a session of their own.
* What a child writes goes through this process to its log, so that a log is rotated without losing a byte.
* One thread, no polling: the loop sleeps until a child writes or dies, a signal arrives, or a restart is due.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

FIRST_DELAY: Final = 0.2  # seconds before a dead child is started again; doubles up to
LONGEST_DELAY: Final = 5.0
SETTLED: Final = 10.0  # a child that lived this long starts with the first delay again
GRACE: Final = 4.0  # seconds between SIGTERM and SIGKILL; whatever is killed then, rows and sweeps put right
LOG_BYTES: Final = 5_000_000
LOGS_KEPT: Final = 2

_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


@dataclass(frozen=True)
class Program:
    """One row of the process table. ``missing`` says in a few words what a started process still lacks, or ''.

    ``descriptors`` are open files of ours that the process gets under their numbers, each time that it is started.
    """

    name: str
    argv: list[str]
    missing: Callable[[int], str]
    descriptors: tuple[int, ...] = ()
    ends_last: bool = False  # the others need it for their last words


@dataclass
class Child:
    program: Program
    log: Log
    process: subprocess.Popen[bytes] | None = None
    guard: subprocess.Popen[bytes] | None = None
    born: float = 0.0
    delay: float = FIRST_DELAY
    due: float | None = None  # when to start it again; None while it lives
    deaths: int = 0

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None


@dataclass
class Log:
    """An append-only file that makes room for itself: ``web.log``, then ``web.log.1``, ``web.log.2``."""

    path: Path
    limit: int = LOG_BYTES
    size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.file = self.path.open("ab", buffering=0)
        self.size = self.file.tell()

    def write(self, data: bytes) -> None:
        try:
            if self.size and self.size + len(data) > self.limit:
                self._rotate()
            self.size += self.file.write(data) or 0
        except OSError as error:  # a full disk must not end the supervisor
            tell(f"{self.path} cannot be written ({error.strerror})")

    def last_line(self) -> str:
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - 4000))
            lines = file.read().decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _rotate(self) -> None:
        for number in range(LOGS_KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
        full = self.file
        self.__post_init__()  # where that fails we go on with the old file
        full.close()


class Supervisor:
    """Keeps the programs of a table alive. ``asked_to_stop`` counts the SIGTERMs and SIGINTs so far."""

    def __init__(self, logs: Path, run: Path, environment: Mapping[str, str], folder: Path) -> None:
        self.children: list[Child] = []
        self.asked_to_stop = 0
        self._logs, self._run, self._environment, self._folder = logs, run, environment, folder
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        for end in (self._woken, self._waker):
            end.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def start(self, program: Program) -> Child:
        child = Child(program, Log(self._logs / f"{program.name}.log"))
        self.children.append(child)
        self._spawn(child)
        return child

    def step(self, timeout: float | None = None) -> None:
        """Wait until something happens (or ``timeout``), log what was written, restart what is due."""
        due = [child.due - time.monotonic() for child in self.children if child.due is not None]
        wait = min([max(0.0, seconds) for seconds in due] + ([timeout] if timeout is not None else []), default=None)
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._woken.recv(4096)
            else:
                self._copy_output(key.data)
        for child in self.children:
            self._see_to(child)

    def stop(self) -> None:
        """End the children, all at once but for what must end last: SIGTERM, a grace, SIGKILL.

        They need one another for nothing; one after the other took a loaded machine half a minute. A second signal to
        us ends the grace.
        """
        for last in (False, True):
            group = [child for child in self.children if child.program.ends_last is last]
            for child in group:
                child.due = None
                if child.process:
                    child.process.terminate()
            self._await_end([child.process for child in group if child.process])
            for child in group:
                if child.process and child.process.poll() is None:
                    tell(f"{child.program.name} did not end in time and is killed")
                    child.process.kill()
                    child.process.wait()
                self._bury(child)

    def run_once(self, argv: list[str], log: Path) -> tuple[int, str]:
        """Run a command to its end; returns its exit code and what it printed. Its errors go to ``log``."""
        with log.open("ab") as errors:
            process = self._popen(argv, stdout=subprocess.PIPE, stderr=errors)
            while True:
                try:
                    output, _ = process.communicate(timeout=0.2)
                    return process.returncode, output.decode()
                except subprocess.TimeoutExpired:
                    if self.asked_to_stop:
                        process.terminate()

    def _spawn(self, child: Child) -> None:
        child.due = None
        child.process = self._popen(
            child.program.argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            descriptors=child.program.descriptors,
        )
        child.born = time.monotonic()
        child.guard = None if _libc else _guard(child.process.pid)
        assert child.process.stdout
        os.set_blocking(child.process.stdout.fileno(), False)
        self._selector.register(child.process.stdout, selectors.EVENT_READ, child)
        try:
            self._run.mkdir(mode=0o700, parents=True, exist_ok=True)  # somebody may have cleaned the temp folder
            (self._run / f"{child.program.name}.pid").write_text(f"{child.process.pid}\n")
        except OSError as error:  # it is for people and tests; a full disk must not end the supervisor
            tell(f"{self._run} cannot be written ({error.strerror})")

    def _popen(
        self, argv: list[str], *, stdout: int, stderr: int | IO[bytes], descriptors: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        parent = os.getpid()

        def die_with_parent() -> None:
            if _libc:
                _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
                if os.getppid() != parent:  # it died between fork and prctl
                    os._exit(1)

        return subprocess.Popen(
            argv,
            cwd=self._folder,
            env=dict(self._environment),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=descriptors,  # all others are closed
            start_new_session=True,  # Ctrl-C at the terminal is for us, who know the order
            preexec_fn=die_with_parent,  # safe: this process has one thread
        )

    def _see_to(self, child: Child) -> None:
        now = time.monotonic()
        if child.due is not None and child.due <= now and not self.asked_to_stop:
            try:
                self._spawn(child)
            except OSError as error:  # no process, memory or descriptor to be had: that may change
                child.due = now + LONGEST_DELAY
                tell(f"{child.program.name} cannot be started ({error.strerror}); again in {LONGEST_DELAY:g} s")
        elif child.process and child.process.poll() is not None:
            code = child.process.returncode
            self._bury(child)
            child.deaths += 1
            child.delay = FIRST_DELAY if now - child.born >= SETTLED else child.delay
            child.due = now + child.delay
            tell(f"{child.program.name} {_how(code)}; it is started again in {child.delay:g} s")
            child.delay = min(child.delay * 2, LONGEST_DELAY)

    def _bury(self, child: Child) -> None:
        """Log the last words of a dead child and let go of everything of it."""
        if not child.process:
            return
        assert child.process.stdout
        self._copy_output(child)
        self._unregister(child.process.stdout)
        child.process.stdout.close()
        child.process = None
        if child.guard:
            assert child.guard.stdin
            child.guard.kill()
            child.guard.wait()
            child.guard.stdin.close()
        for kind in ("pid", "pulse"):
            with contextlib.suppress(OSError):
                (self._run / f"{child.program.name}.{kind}").unlink()

    def _copy_output(self, child: Child) -> None:
        assert child.process and child.process.stdout
        output = child.process.stdout
        for _ in range(64):  # one talkative child must not keep the loop
            try:
                chunk = os.read(output.fileno(), 65536)
            except BlockingIOError:
                return
            if not chunk:  # it closed its end; a closed pipe would wake us for ever
                self._unregister(output)
                return
            child.log.write(chunk)

    def _unregister(self, output: IO[bytes]) -> None:
        if output.fileno() in self._selector.get_map():
            self._selector.unregister(output)

    def _await_end(self, processes: list[subprocess.Popen[bytes]]) -> None:
        """Wait until all have ended, the grace is over, or we are asked to stop once more."""
        asked, limit = self.asked_to_stop, time.monotonic() + GRACE
        while any(process.poll() is None for process in processes):
            if time.monotonic() >= limit or self.asked_to_stop != asked:
                return
            for key, _ in self._selector.select(0.2):
                if key.data is None:
                    self._woken.recv(4096)
                elif key.data.process:
                    self._copy_output(key.data)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self.asked_to_stop += 1


def _guard(pid: int) -> subprocess.Popen[bytes]:
    """Where the system has no PR_SET_PDEATHSIG: a shell that reads from us, and kills when there is nobody to read."""
    return subprocess.Popen(["/bin/sh", "-c", f"read _; kill -9 {pid}"], stdin=subprocess.PIPE, start_new_session=True)


def _how(code: int) -> str:
    if code >= 0:
        return f"ended (exit code {code})"
    try:
        return f"was killed ({signal.Signals(-code).name})"
    except ValueError:
        return f"was killed (signal {-code})"


def tell(sentence: str) -> None:
    """A note for whoever watches the terminal; a closed terminal is no reason to die."""
    try:
        sys.stderr.write(f"flower: {sentence}\n")
        sys.stderr.flush()
    except OSError:
        pass
