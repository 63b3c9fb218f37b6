"""Agents' terminals from outside: start a holder, read what it left on disk, talk to it, stop it.

The disk is the truth (`facts`, `output`): it can be read with no holder alive, and reading disturbs nobody. The socket
(`Connection`) is for what is live: following output, typing, resizing, signals. This module knows no models, keeps no
state, and starts no process but the holder. What the holder guarantees stands in the head of `holder.py`.

A run directory is one run: `spawn` starts its agent once, however often and from wherever it is called.
"""

import contextlib
import fcntl
import json
import math
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from daemons import holder

MAX_SOCKET_PATH = 107  # bytes: the kernel's limit for AF_UNIX
POLL = 0.005  # seconds

Phase = Literal["absent", "starting", "running", "exited", "lost"]


class HolderError(Exception):
    """Something about a holder did not work; the message is one sentence for a person."""


@dataclass(frozen=True)
class RunSpec:
    """What to run: `argv` (found on `env`'s PATH), the directory, the whole environment, the terminal's size.

    `stop_grace` is the time in seconds between a stop request and SIGKILL. `time_limit` ends the run after so many
    seconds in the same way.
    """

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    rows: int = 40
    cols: int = 120
    stop_grace: float = 5.0
    time_limit: float | None = None


@dataclass(frozen=True)
class Facts:
    """What the disk says about a run.

    `absent`: never started. `starting`: a holder is at work, the program not yet. `exited`: it ended, or could not be
    started (then `error` has the sentence, and there is no code). `lost`: the holder was killed, nobody knows the
    agent's end. `reason` is "exited", "time limit", "stopped" or "spawn error". Times are epoch seconds.
    """

    phase: Phase
    pid: int | None = None
    holder_pid: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    exit_signal: int | None = None
    error: str | None = None
    reason: str | None = None
    output_bytes: int = 0


# -- start and stop


def spawn(run_dir: Path, spec: RunSpec, socket_path: Path | None = None, timeout: float = 10.0) -> Facts:
    """Start the agent of `run_dir` and answer its facts; if it was started before, only answer them.

    A program that cannot be started is no exception: the facts are then `exited` with an `error`. `socket_path`, by
    default RUN_DIR/holder.sock, must be this run's alone and no longer than 107 bytes. HolderError: a spec that makes
    no sense, or no answer from the holder within `timeout` seconds (calling again is safe).
    """
    run_dir = Path(os.path.abspath(run_dir))  # noqa: PTH100 - resolve() would follow links
    deadline = time.monotonic() + timeout
    document = _document(spec, Path(os.path.abspath(socket_path or run_dir / "holder.sock")))  # noqa: PTH100
    run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    run_dir.chmod(0o700)
    with _only_spawner(run_dir, deadline):
        known = facts(run_dir)
        if known.phase == "absent":
            try:
                _launch(run_dir, document, deadline)
                known = facts(run_dir)
            finally:
                _forget_spec(run_dir)
        # Another holder may be at it: one whose spawner was killed, or that was started by hand.
        while known.phase in ("absent", "starting") and time.monotonic() < deadline:
            if known.phase == "absent":
                raise HolderError(f"The holder of {run_dir} did not start: {_last_words(run_dir)}")
            time.sleep(POLL)
            known = facts(run_dir)
    if known.phase in ("absent", "starting"):
        raise HolderError(f"The holder of {run_dir} did not report within {timeout:g} seconds.")
    return known


def stop(run_dir: Path, grace: float | None = None) -> None:
    """Ask the holder to end the agent and return at once; the end shows in `facts`.

    The agent's session gets TERM, then HUP, and after `grace` seconds (the spec's `stop_grace` if None) KILL. A second
    call may shorten the grace, never lengthen it. Nothing happens when there is nothing to stop. HolderError: the
    holder cannot be told yet, because it is still starting.
    """
    if grace is not None and not (math.isfinite(grace) and grace >= 0):
        raise HolderError(f"A grace of {grace} seconds makes no sense.")
    if facts(run_dir).phase not in ("starting", "running"):
        return
    noted = _read(run_dir / "pid.json")
    if noted is None:
        raise HolderError(f"The holder of {run_dir} is still starting; try again in a moment.")
    if grace is None:
        (run_dir / "stop_grace").unlink(missing_ok=True)
    else:
        scratch = run_dir / f"stop_grace.{os.getpid()}.tmp"
        scratch.write_text(str(float(grace)))
        scratch.replace(run_dir / "stop_grace")
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(noted["holder_pid"])
        try:
            # The descriptor pins the process; the start time tells the holder from a later process of that number.
            if _start_ticks(noted["holder_pid"]) == noted["holder_start_ticks"]:
                signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        finally:
            os.close(pidfd)


def _document(spec: RunSpec, socket_path: Path) -> dict[str, Any]:
    length = len(os.fsencode(socket_path))
    size = (spec.rows, spec.cols)
    limit = 1.0 if spec.time_limit is None else spec.time_limit
    possible = [
        (bool(spec.argv and spec.argv[0]), "There is no program to run."),
        (Path(spec.cwd).is_absolute(), f"The working directory {spec.cwd} must be an absolute path."),
        (min(size) > 0 and max(size) < 65536, f"A terminal of {spec.rows} x {spec.cols} is not possible."),
        (0 <= spec.stop_grace < math.inf, f"A stop grace of {spec.stop_grace} seconds makes no sense."),
        (0 < limit < math.inf, f"A time limit of {spec.time_limit} seconds makes no sense."),
        (
            length <= MAX_SOCKET_PATH,
            f"The socket path {socket_path} has {length} bytes, {MAX_SOCKET_PATH} are possible; give a shorter one.",
        ),
    ]
    for is_so, sentence in possible:
        if not is_so:
            raise HolderError(sentence)
    return {
        "argv": [os.fspath(word) for word in spec.argv],
        "cwd": str(spec.cwd),
        "env": dict(spec.env),
        "rows": spec.rows,
        "cols": spec.cols,
        "stop_grace": spec.stop_grace,
        "time_limit": spec.time_limit,
        "socket": str(socket_path),
    }


@contextlib.contextmanager
def _only_spawner(run_dir: Path, deadline: float) -> Iterator[None]:
    """One spawner at a time writes the spec and waits, so that none leaves a spec behind that nobody takes."""
    fd = os.open(run_dir / "spawn.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise HolderError(f"Somebody else is still starting {run_dir}.") from None
                time.sleep(POLL)
        try:
            yield
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # not only close: a process forked meanwhile may have the descriptor too
    finally:
        os.close(fd)


def _launch(run_dir: Path, document: dict[str, Any], deadline: float) -> None:
    """Start the holder and wait until it has started the agent, or has died: either closes its end of the pipe."""
    socket_path = Path(document["socket"])
    socket_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if _somebody_listens(socket_path):
        if facts(run_dir).phase != "absent":
            return  # a holder of this very run, which took its lock since we looked
        raise HolderError(f"Another holder listens on {socket_path}.")
    holder.write_json(str(run_dir / "spec.json"), document)
    # The holder needs next to nothing of our environment, and /proc would show it.
    environment = {"LC_ALL": "C.UTF-8"} | {k: v for k, v in os.environ.items() if k == "LD_LIBRARY_PATH"}
    with (run_dir / "holder.err").open("ab") as errors:
        os.fchmod(errors.fileno(), 0o600)
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-E", holder.__file__, str(run_dir)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            env=environment,
            cwd="/",
        )
    assert process.stdout is not None
    with process.stdout as handshake:
        poller = select.poll()  # unlike select() it takes descriptors above 1023
        poller.register(handshake, select.POLLIN)
        if poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            process.wait()  # the process that forked the holder; it ended at once


def _forget_spec(run_dir: Path) -> None:
    """Its environment holds a token: a spec that no holder has taken must not stay on the disk."""
    for name in ("spec.json", "spec.json.tmp"):
        (run_dir / name).unlink(missing_ok=True)


def _last_words(run_dir: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (run_dir / "holder.err").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it left no message.")
    return "it left no message."


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(str(path)) == 0


# -- the disk


def facts(run_dir: Path) -> Facts:
    """What is known about the run in `run_dir`, from its files and its lock. Signals nobody and changes nothing."""
    # The order matters. pid.json before the lock: if it was there and the lock is free, then that holder is gone.
    # exit.json after the lock: if that holder ended properly, it had written it before it let go.
    noted = _read(run_dir / "pid.json") or {}
    held = _is_held(run_dir / "lock")
    ended = _read(run_dir / "exit.json")
    who = {"pid": noted.get("pid"), "holder_pid": noted.get("holder_pid"), "started_at": noted.get("started_at")}
    if ended is not None:
        who["started_at"] = ended["started_at"]
        return Facts(
            phase="exited",
            **who,
            ended_at=ended["ended_at"],
            exit_code=ended["code"],
            exit_signal=ended["signal"],
            error=ended["error"],
            reason=ended["reason"],
            output_bytes=ended["bytes"],
        )
    phase: Phase
    if held:
        phase = "running" if who["started_at"] else "starting"
    else:
        phase = "lost" if noted else "absent"
    return Facts(phase=phase, **who, output_bytes=_size(run_dir / "output.log"))


def output(run_dir: Path, offset: int = 0, limit: int = 65536) -> tuple[bytes, int]:
    """At most `limit` bytes of the terminal's output from `offset` on, and the offset to go on from."""
    try:
        with (run_dir / "output.log").open("rb") as log:
            log.seek(offset)
            data = log.read(limit)
    except FileNotFoundError:
        data = b""
    return data, offset + len(data)


def tail(run_dir: Path, limit: int = 16384) -> bytes:
    """The last `limit` bytes of the output, or all of it if it is shorter."""
    return output(run_dir, max(0, _size(run_dir / "output.log") - limit), limit)[0]


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return document


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_held(path: Path) -> bool:
    """Whether a holder has the lock. The probe shares it for a moment, which a starting holder knows to wait out."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(fd, fcntl.LOCK_UN)  # at once, and for every copy of the descriptor that a fork has made
        return False
    except BlockingIOError:
        return True
    finally:
        os.close(fd)


def _start_ticks(pid: int) -> int | None:
    try:
        return int(holder.process_stat(pid)[19])
    except (OSError, IndexError):
        return None


# -- the socket


@dataclass(frozen=True)
class Output:
    """Bytes of the terminal, the first of which is number `offset` of the run."""

    offset: int
    data: bytes


@dataclass(frozen=True)
class Exit:
    """The run has ended and all its output was sent. The fields are those of `Facts`."""

    code: int | None
    signal: int | None
    reason: str


Event = Output | Exit


class Connection:
    """A conversation with the holder of a running agent.

        with Connection(run_dir) as terminal:
            terminal.attach(offset=0)
            for event in terminal.read(): ...

    `timeout` (seconds) bounds the connecting and every request. HolderError: no holder answers, it refused (the
    sentence says why), or it did not answer in time; after that last one the connection is closed, since a late answer
    would be taken for the next one's.
    """

    def __init__(self, run_dir: Path, timeout: float = 10.0) -> None:
        self._name, self._timeout = str(run_dir), timeout
        self._inbox = bytearray()
        self._events: deque[Event] = deque()
        path = (_read(Path(run_dir) / "pid.json") or {}).get("socket")
        if path is None:
            raise HolderError(f"Nothing was started in {run_dir}.")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise HolderError(f"No holder answers for {run_dir} ({error.strerror or error}).") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. Input that the agent has not begun to take is taken back."""
        self._socket.close()

    def fileno(self) -> int:
        """For selectors; -1 once closed."""
        return self._socket.fileno()

    def attach(self, offset: int = 0) -> None:
        """Have the output sent from byte `offset` of the run on, old and new; `read` hands it out."""
        self._send(holder.ATTACH, struct.pack("!Q", offset))

    def read(self, timeout: float | None = None) -> Iterator[Event]:
        """What the holder sends, as it comes, until `Exit`; or until nothing came for `timeout` seconds.

        After such a pause it can be called again. HolderError: the holder is gone without an `Exit` (see `facts`).
        """
        while True:
            if not self._events:
                frame = self._frame(None if timeout is None else time.monotonic() + timeout)
                if frame is None:
                    return
                self._take(*frame)
                continue
            event = self._events.popleft()
            yield event
            if isinstance(event, Exit):
                return

    def send_input(self, data: bytes, timeout: float | None = None) -> int:
        """Type `data` and wait until the terminal has taken it; answers the number of bytes it took, all of them.

        When it has not within `timeout` seconds (the connection's own if None) what the agent has not begun to take is
        taken back. Output that arrives meanwhile is kept for `read`. Two facts about terminals: "taken" is not yet
        "read by the program", and in line mode the kernel drops what passes 4095 bytes of one line.
        """
        taken = 0
        for start in range(0, max(1, len(data)), holder.MAX_PAYLOAD):
            receipt = self._ask(holder.INPUT, data[start : start + holder.MAX_PAYLOAD], holder.INPUT_OK, timeout)
            taken += int(struct.unpack("!I", receipt)[0])
        return taken

    def resize(self, rows: int, cols: int) -> None:
        """Set the terminal's size; the agent gets SIGWINCH."""
        if not (0 < rows < 65536 and 0 < cols < 65536):
            raise HolderError(f"A terminal of {rows} x {cols} is not possible.")
        self._ask(holder.RESIZE, struct.pack("!HH", rows, cols), holder.DONE)

    def signal(self, signo: int) -> None:
        """Signal the terminal's foreground process group, as ctrl-C does with SIGINT."""
        self._ask(holder.SIGNAL, struct.pack("!I", signo), holder.DONE)

    def status(self) -> dict[str, Any]:
        """What the holder says of itself: holder_pid, pid, started_at, rows, cols, bytes, clients, queued_input (bytes
        the agent has not taken), stopping, ended, log_error (empty, or why the log cannot grow just now)."""
        answer: dict[str, Any] = json.loads(self._ask(holder.STATUS, b"", holder.STATUS_REPLY))
        return answer

    def _ask(self, kind: bytes, payload: bytes, wanted: bytes, timeout: float | None = None) -> bytes:
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        self._send(kind, payload)
        while True:
            frame = self._frame(deadline)
            if frame is None:
                self.close()
                raise HolderError(f"The holder of {self._name} did not answer in time; the connection is closed.")
            if frame[0] == wanted:
                return frame[1]
            self._take(*frame)

    def _take(self, kind: bytes, payload: bytes) -> None:
        if kind == holder.OUTPUT:
            self._events.append(Output(struct.unpack_from("!Q", payload)[0], payload[8:]))
        elif kind == holder.EXIT:
            ended = json.loads(payload)
            self._events.append(Exit(ended["code"], ended["signal"], ended["reason"]))
        elif kind == holder.ERROR:
            raise HolderError(payload.decode("utf-8", "replace"))
        else:
            raise HolderError(f"The holder of {self._name} sent an answer nobody asked for: {kind!r}.")

    def _send(self, kind: bytes, payload: bytes) -> None:
        self._socket.settimeout(self._timeout)
        try:
            self._socket.sendall(holder.frame(kind, payload))
        except OSError as error:
            raise self._gone(error) from None

    def _frame(self, deadline: float | None) -> tuple[bytes, bytes] | None:
        """The next whole frame; None when the deadline passed."""
        while True:
            if len(self._inbox) >= holder.HEADER.size:
                kind, length = holder.HEADER.unpack_from(self._inbox)
                end = holder.HEADER.size + length
                if len(self._inbox) >= end:
                    payload = bytes(self._inbox[holder.HEADER.size : end])
                    del self._inbox[:end]
                    return kind, payload
            try:
                # A deadline that has passed still takes what is there: 0 would mean "do not wait" and that is right.
                self._socket.settimeout(None if deadline is None else max(0.0, deadline - time.monotonic()))
                data = self._socket.recv(262144)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError as error:
                raise self._gone(error) from None
            if not data:
                raise self._gone(None)
            self._inbox += data

    def _gone(self, error: OSError | None) -> HolderError:
        why = f" ({error.strerror or error})" if error else ""
        return HolderError(f"The holder of {self._name} has hung up{why}.")


# -- text

_TOKEN = re.compile(
    r"""
      (?:\x1b\]|\x9d) [^\x07\x1b\x9c\n]*+ (?:\x07|\x1b\\|\x9c)?              # OSC: titles, links, colours
    | \x1b[PX^_] [^\x1b\x9c]*+ (?:\x1b\\|\x9c|\Z)                           # DCS, SOS, PM, APC: also kitty's pictures
    | (?:\x1b\[|\x9b) (?P<parameters>[0-?]*) [\x20-/]* (?P<final>[@-~]?)    # CSI, whole or cut off
    | \x1b [\x20-/]* [0-~]?                                                 # all other escapes
    | (?P<control>[\x00-\x09\x0b-\x1f\x7f-\x9f])
    | (?P<newline>\n)
    | (?P<text>[^\x00-\x1f\x7f-\x9f]+)
    """,
    re.VERBOSE,
)
_WIDEST = 1000  # columns; a bound for cursor moves, so that six bytes cannot ask for a gigabyte of blanks


def clean_text(data: bytes) -> str:
    """Terminal output as plain text, for pages and traces: what a reader would have seen, line by line.

    Escape sequences go (colours, titles, links, kitty's keyboard modes, pictures), whole or cut off; a carriage return,
    a backspace or a cursor move within the line overwrites as on the screen; a move to another line begins a new one.
    Invalid UTF-8 becomes U+FFFD, other control characters vanish; tabs stay. It is no screen: full-screen programs come
    out as the lines they drew, one after another.
    """
    lines: list[str] = []
    cells: list[str] = []  # the line being written; a list, so that overwriting costs no copy of a long line
    column = 0

    def end_line() -> None:
        nonlocal column
        lines.append("".join(cells))
        cells.clear()
        column = 0

    for token in _TOKEN.finditer(data.decode("utf-8", "replace")):
        kind, written = token.lastgroup, token.group()
        if kind == "text" or written == "\t":
            cells.extend(" " * (column - len(cells)))
            cells[column : column + len(written)] = written
            column += len(written)
        elif kind == "newline":
            end_line()
        elif written == "\r":
            column = 0
        elif written == "\b":
            column = max(0, column - 1)
        elif kind == "final":
            final, parameters = token["final"], token["parameters"]
            number = min(int(parameters), _WIDEST) if parameters.isdigit() and len(parameters) < 9 else 0
            if final == "C":
                column = min(column + max(1, number), max(_WIDEST, len(cells)))
            elif final == "D":
                column = max(0, column - max(1, number))
            elif final == "G":
                column = max(1, number) - 1
            elif final == "K" and parameters in ("", "0"):
                del cells[column:]
            elif final == "K" and parameters == "2":
                cells.clear()
            elif final in ("A", "B", "E", "F", "H", "d", "f") and cells:
                end_line()
    return "\n".join([*lines, "".join(cells)])
