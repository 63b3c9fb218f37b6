"""The holder: one small detached process that owns one agent's terminal, run as `python -I -S -E holder.py RUN_DIR`.

It imports nothing outside the standard library and nothing of flower. What it guarantees:

1. One run directory is one run. An exclusive flock on RUN_DIR/lock is held as long as the holder lives (the agent never
   inherits it); a second holder leaves at once, and so does one that finds pid.json or exit.json of an earlier run.
   pid.json is on disk before the agent may exec, so a crash at any moment never allows a second agent.
2. The holder alone writes output.log (append-only, every byte of the terminal, before anyone else sees it), pid.json,
   exit.json (fsync + rename, once, after the log is drained and synced) and the socket. The spawner writes spec.json;
   the holder deletes it before the agent starts, for the token in it. A stopper writes stop_grace, then sends SIGTERM.
3. Killing anything else does not touch it: own session, no inherited descriptors, signals or parent-death signal (fork
   clears that one). If the holder itself dies, the kernel hangs up the agent's terminal and releases the lock:
   "lock free, pid.json, no exit.json" reads as lost, never as exited. A full disk pauses the agent and loses nothing.
4. Clients cost no memory and cannot block the agent: each is fed with sendfile from the log at its own position. A
   malformed frame closes its sender only.
5. It sleeps in one selector without a timeout: an idle agent costs no CPU. No threads.
6. It stops when the agent has ended: it drains the terminal (for DRAIN seconds at most if background processes keep it
   open), writes exit.json, lets attached clients read to the end (LINGER seconds at most), removes the socket, leaves.
   SIGTERM, or the time limit, ends the agent's whole session first: TERM, after half the grace HUP, after it KILL.

Frames: a type byte, a u32 length (big endian), a payload. `obey` lists the requests, `terminal.py` reads the answers.
The log has no size limit: a cut would lose bytes, and a session writes some 20 KB, too little to rotate by offset.
"""

# Neither pathlib nor typing is loaded: 0.6 MB each, in every one of these processes.
# ruff: noqa: PTH100, PTH104, PTH108, PTH110, PTH118, PTH120, PTH123, PTH208

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import selectors
import signal
import socket
import struct
import sys
import termios
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# client -> holder
ATTACH, INPUT, RESIZE, SIGNAL, STATUS = b"A", b"I", b"R", b"G", b"S"
# holder -> client; every request but ATTACH gets exactly one of INPUT_OK, DONE, STATUS_REPLY, ERROR
OUTPUT, EXIT, ERROR, INPUT_OK, DONE, STATUS_REPLY = b"o", b"x", b"e", b"i", b"d", b"s"
HEADER = struct.Struct("!cI")
MAX_PAYLOAD = 65536  # bytes of a request, and of the log in one OUTPUT
MAX_QUEUED_INPUT = 262144  # bytes the agent has not taken yet, over all clients
MAX_REPLIES = 65536  # bytes of unread answers, after which a client's requests wait
MAX_CLIENTS = 64
DRAIN, LINGER = 2.0, 5.0  # seconds
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Refused(Exception):
    """A request that is understood but not done; the sentence goes to the client."""


class Malformed(Exception):
    """A request that makes no sense; the sentence goes to the client, which is then cut off."""


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return HEADER.pack(kind, len(payload)) + payload


def write_json(path: str, value: dict[str, Any]) -> None:
    """Replace `path` (mode 0600) so that readers, and a power cut, find the old file or the whole new one."""
    with open(os.open(path + ".tmp", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".tmp", path)
    directory = os.open(os.path.dirname(path), os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def process_stat(pid: int) -> list[str]:
    """/proc/PID/stat after the command's name: [0] is the state, [3] the session, [19] the start in ticks."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


class Client:
    """One connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()
        self.out = bytearray()  # goes out before anything else
        self.replies = bytearray()  # goes out between two frames of output
        self.position: int | None = None  # the next log byte to announce; None: not attached
        self.sending = self.left = 0  # what the announced OUTPUT still owes, sent from the log itself
        self.told = False  # EXIT is on its way


class Input:
    """Bytes on their way into the terminal, and the client that waits for the receipt."""

    def __init__(self, client: Client, data: bytes) -> None:
        self.client, self.data, self.written = client, data, 0


class Holder:
    """The agent, its terminal, its log and its clients."""

    def __init__(self, run_dir: str, spec: dict[str, Any], agent_umask: int) -> None:
        self.run_dir, self.spec, self.agent_umask = run_dir, spec, agent_umask
        self.selector = selectors.DefaultSelector()
        self.clients: set[Client] = set()
        self.inputs: list[Input] = []
        self.unlogged, self.logged, self.log_error = bytearray(), 0, ""
        self.started_at: float | None = None
        self.reason = "exited"
        self.ended: dict[str, Any] = {}
        self.exit_frame = b""
        # Moments on the monotonic clock at which there is something to do without being called.
        self.escalation: list[tuple[float, int]] = []  # signals still to be sent to the session
        self.limit_at = self.settle_at = self.retry_at = self.leave_at = float("inf")

    # -- start

    def start(self) -> str:
        """Start the agent; answer the sentence that says why it could not be started, or an empty one."""
        self.log = os.open(self.path("output.log"), os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self.logged = os.fstat(self.log).st_size
        self.listener = self.listen(self.spec["socket"])
        self.wakeup, wakeup_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_in, warn_on_full_buffer=False)
        for signo in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(signo, lambda *_: None)  # the pipe carries them into the selector
        self.master, self.slave = os.openpty()
        os.set_blocking(self.master, False)
        termios.tcsetwinsize(self.slave, (self.spec["rows"], self.spec["cols"]))
        go_out, go_in = os.pipe()
        error_out, error_in = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(go_in)
            self.become_agent(go_out, error_in)
        os.close(go_out)
        os.close(error_in)
        self.note_pid()
        os.write(go_in, b"!")
        os.close(go_in)
        with open(error_out, encoding="utf-8", errors="replace") as errors:
            error = errors.read()  # ends when exec closes the other side
        if error:
            os.waitpid(self.pid, 0)
            return error
        self.started_at = time.time()
        self.note_pid()
        if self.spec.get("time_limit") is not None:
            self.limit_at = time.monotonic() + self.spec["time_limit"]
        self.watch(self.wakeup, READ, self.woken)
        self.watch(self.listener.fileno(), READ, self.accept)
        self.watch_master()
        return ""

    def path(self, name: str) -> str:
        return os.path.join(self.run_dir, name)

    def listen(self, path: str) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # left by a holder that died before its agent began: the path is this run's alone
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        usual = os.umask(0o177)  # born 0600
        listener.bind(path)
        os.umask(usual)
        listener.listen(MAX_CLIENTS)
        return listener

    def become_agent(self, go: int, error: int) -> None:
        """In the child: wait until pid.json is written, then exec. Never returns."""
        name, what = "the terminal", "controlling terminal"
        try:
            signal.set_wakeup_fd(-1)
            default_signals()
            os.umask(self.agent_umask)
            os.login_tty(self.slave)
            if not os.read(go, 1):
                os._exit(127)  # the holder is dead
            name, what = self.spec["cwd"], "working directory"
            os.chdir(name)
            name, what = self.spec["argv"][0], "program"
            os.execvpe(name, self.spec["argv"], self.spec["env"])  # noqa: S606 - a list, and no shell
        except (FileNotFoundError, NotADirectoryError):
            os.write(error, f"{name}: no such {what}.".encode("utf-8", "replace"))
        except Exception as problem:
            why = getattr(problem, "strerror", None) or problem
            os.write(error, f"{name}: cannot be used as {what} ({why}).".encode("utf-8", "replace"))
        finally:
            os._exit(127)

    def note_pid(self) -> None:
        """started_at stays null until the program really runs: readers take that for "starting"."""
        holder = os.getpid()
        facts = {"holder_pid": holder, "holder_start_ticks": int(process_stat(holder)[19]), "pid": self.pid}
        write_json(self.path("pid.json"), facts | {"started_at": self.started_at, "socket": self.spec["socket"]})

    # -- the loop

    def serve(self) -> None:
        """Until the run has ended and its clients know."""
        while not self.exit_frame or (self.clients and time.monotonic() < self.leave_at):
            for key, mask in self.selector.select(self.pause()):
                key.data(mask)
            self.keep_time(time.monotonic())

    def pause(self) -> float | None:
        moments = [self.limit_at, self.settle_at, self.retry_at, self.leave_at, *(when for when, _ in self.escalation)]
        seconds = min(moments) - time.monotonic()
        return None if seconds == float("inf") else min(max(0.0, seconds), 86400.0)  # epoll overflows after 24 days

    def keep_time(self, now: float) -> None:
        if now >= self.limit_at:
            self.limit_at = float("inf")
            self.stop("time limit", self.spec["stop_grace"])
        while self.escalation and now >= self.escalation[0][0]:
            self.signal_session(self.escalation.pop(0)[1])
        if now >= self.retry_at:
            self.retry_at = float("inf")
            self.write_log()
        if self.ended and not self.exit_frame:
            self.settle(now)

    def watch(self, fd: int, wanted: int, callback: Callable[[int], None]) -> None:
        known = self.selector.get_map().get(fd)
        if known is None and wanted:
            self.selector.register(fd, wanted, callback)
        elif known is not None and not wanted:
            self.selector.unregister(fd)
        elif known is not None and wanted != known.events:
            self.selector.modify(fd, wanted, callback)

    def woken(self, _mask: int) -> None:
        signals = os.read(self.wakeup, 4096)
        if signal.SIGCHLD in signals and not self.ended:
            self.notice_end()
        if (signal.SIGTERM in signals or signal.SIGINT in signals) and not self.exit_frame:
            grace = self.spec["stop_grace"]
            with contextlib.suppress(OSError, ValueError), open(self.path("stop_grace"), encoding="ascii") as file:
                grace = float(file.read())
            self.stop("stopped", grace)

    # -- the terminal

    def watch_master(self) -> None:
        if self.master >= 0:
            wanted = (0 if self.unlogged else READ) | (WRITE if self.inputs else 0)
            self.watch(self.master, wanted, self.master_ready)

    def master_ready(self, mask: int) -> None:
        if mask & READ and not self.unlogged:
            self.read_master()
        if mask & WRITE:
            self.feed()

    def read_master(self) -> None:
        for _ in range(16):  # the kernel hands out 4 KB at a time; one write to the log takes them together
            try:
                chunk = os.read(self.master, MAX_PAYLOAD)
            except BlockingIOError:
                break
            except OSError:  # EIO: no process has the terminal open any more
                chunk = b""
            if not chunk:
                self.close_master()
                break
            self.unlogged += chunk
        self.write_log()

    def write_log(self) -> None:
        try:
            while self.unlogged:
                written = os.write(self.log, self.unlogged)
                del self.unlogged[:written]
                self.logged += written
                self.log_error = ""
        except OSError as error:  # a full disk, mostly: hold the agent back rather than drop its output
            self.log_error, self.retry_at = str(error), time.monotonic() + 1
        for client in [client for client in self.clients if client.position is not None]:
            self.tend(client, 0)
        self.watch_master()

    def feed(self) -> None:
        """Write waiting input into the terminal as far as it takes it; what is written to its end gets its receipt."""
        try:
            while self.inputs:
                first = self.inputs[0]
                first.written += os.write(self.master, first.data[first.written :])
                if first.written == len(first.data):
                    self.inputs.pop(0)
                    self.answer(first.client, INPUT_OK, struct.pack("!I", first.written))
        except BlockingIOError:
            pass
        except OSError:
            self.refuse_inputs()
        self.watch_master()

    def refuse_inputs(self) -> None:
        for lost in self.inputs:
            sentence = f"The agent ended after it had taken {lost.written} of {len(lost.data)} bytes."
            self.answer(lost.client, ERROR, sentence.encode())
        self.inputs = []

    def close_master(self) -> None:
        self.refuse_inputs()
        self.watch(self.master, 0, self.master_ready)
        os.close(self.master)
        self.master = -1

    # -- the end

    def session(self) -> list[int]:
        """The living processes of the agent's session. Its number is not reused: the zombie stays to the end."""
        members = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                fields = process_stat(int(name))
                if int(fields[3]) == self.pid and fields[0] not in "ZX":
                    members.append(int(name))
        return members

    def signal_session(self, signo: int) -> None:
        for pid in self.session():
            with contextlib.suppress(OSError):
                os.kill(pid, signo)
                os.kill(pid, signal.SIGCONT)  # a stopped process handles nothing until it is continued

    def stop(self, reason: str, grace: float) -> None:
        """TERM now; later HUP, for shells that ignore TERM (at once it would end those that clean up); then KILL."""
        now = time.monotonic()
        if self.reason == "exited" and not self.ended:
            self.reason = reason
        if not self.escalation or now + grace < self.escalation[-1][0]:
            steps = [(now, signal.SIGTERM), (now + grace / 2, signal.SIGHUP), (now + grace, signal.SIGKILL)]
            self.escalation = [(when, int(signo)) for when, signo in steps]

    def notice_end(self) -> None:
        status = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if status is None:
            return  # stopped or continued
        code, signo = (status.si_status, None) if status.si_code == os.CLD_EXITED else (None, status.si_status)
        self.ended = {"code": code, "signal": signo, "ended_at": time.time()}
        self.limit_at, self.settle_at = float("inf"), time.monotonic() + DRAIN
        self.refuse_inputs()
        os.close(self.slave)  # open until now: an agent that closes its terminal for a moment is no end of file

    def settle(self, now: float) -> None:
        """Write exit.json as soon as everything that belongs to the run has ended and is in the log."""
        if self.master >= 0:
            if now < self.settle_at:
                return
            if not self.unlogged:
                self.read_master()
            if self.master >= 0:
                self.close_master()
        self.settle_at = float("inf")
        if self.unlogged:
            return
        if self.escalation and self.session():  # a stop ends the whole session; all of it has the grace
            self.settle_at = now + 0.1
            return
        self.escalation = []
        try:
            os.fsync(self.log)
            self.record_exit(None, self.reason)
        except OSError as error:
            self.log_error, self.retry_at = str(error), now + 1
            return
        self.leave_at = now + LINGER
        self.accept(READ)
        for client in list(self.clients):
            self.tend(client, 0)

    def record_exit(self, error: str | None, reason: str) -> None:
        facts = {"code": None, "signal": None, "started_at": self.started_at, "ended_at": time.time(), **self.ended}
        facts |= {"bytes": self.logged, "reason": reason, "error": error}
        with contextlib.suppress(FileNotFoundError):  # somebody deleted the run folder: there is nowhere to write, ever
            write_json(self.path("exit.json"), facts)
        self.exit_frame = frame(EXIT, json.dumps(facts).encode())

    # -- clients

    def accept(self, _mask: int) -> None:
        with contextlib.suppress(OSError):  # until there is none left
            while True:
                sock, _ = self.listener.accept()
                uid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
                if uid != os.geteuid() or len(self.clients) >= MAX_CLIENTS:
                    sock.close()
                    continue
                sock.setblocking(False)
                client = Client(sock)
                self.clients.add(client)
                self.tend(client, 0)

    def drop(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            self.watch(client.sock.fileno(), 0, self.accept)
            client.sock.close()
            # Who leaves before the receipt takes the input back, unless a part of it is in the terminal already.
            self.inputs = [waiting for waiting in self.inputs if waiting.client is not client or waiting.written]

    def tend(self, client: Client, mask: int) -> None:
        """Take what `client` sends, obey it, send what it can take, and choose what to wait for."""
        try:
            if mask & READ and not self.receive(client):
                return self.drop(client)
            self.pump(client)
            while len(client.replies) < MAX_REPLIES and self.obey_next(client):
                self.pump(client)
        except Malformed as problem:
            client.replies += frame(ERROR, str(problem).encode())
            with contextlib.suppress(OSError):
                self.pump(client)
            return self.drop(client)
        except OSError:
            return self.drop(client)
        owed = client.position is not None and (client.position < self.logged or (self.exit_frame and not client.told))
        busy = client.out or client.left or client.replies or owed
        if client.told and not busy:
            return self.drop(client)
        if client in self.clients:
            wanted = (READ if len(client.replies) < MAX_REPLIES else 0) | (WRITE if busy else 0)
            self.watch(client.sock.fileno(), wanted, functools.partial(self.tend, client))
        return None

    def receive(self, client: Client) -> bool:
        try:
            data = client.sock.recv(MAX_PAYLOAD)
        except BlockingIOError:
            return True
        client.inbox += data
        return bool(data)

    def pump(self, client: Client) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # then the others have their turn
                if client.out:
                    del client.out[: client.sock.send(client.out)]
                elif client.left:
                    sent = os.sendfile(client.sock.fileno(), self.log, client.sending, client.left)
                    if not sent:
                        raise ConnectionError("someone cut the log")
                    client.sending, client.left = client.sending + sent, client.left - sent
                elif client.replies:
                    client.out, client.replies = client.replies, bytearray()
                elif client.position is not None and client.position < self.logged:
                    client.sending, client.left = client.position, min(MAX_PAYLOAD, self.logged - client.position)
                    client.out += HEADER.pack(OUTPUT, 8 + client.left) + struct.pack("!Q", client.position)
                    client.position += client.left
                elif client.position is not None and self.exit_frame and not client.told:
                    client.out += self.exit_frame
                    client.told = True
                else:
                    break

    def answer(self, client: Client, kind: bytes, payload: bytes = b"") -> None:
        if client in self.clients:
            client.replies += frame(kind, payload)
            self.watch(client.sock.fileno(), WRITE, functools.partial(self.tend, client))

    def obey_next(self, client: Client) -> bool:
        """Take one whole request out of the inbox, if there is one."""
        if len(client.inbox) < HEADER.size:
            return False
        kind, length = HEADER.unpack_from(client.inbox)
        if length > MAX_PAYLOAD:
            raise Malformed(f"A frame of {length} bytes is too long; {MAX_PAYLOAD} are allowed.")
        end = HEADER.size + length
        if len(client.inbox) < end:
            return False
        payload = bytes(client.inbox[HEADER.size : end])
        del client.inbox[:end]
        try:
            self.obey(client, kind, payload)
        except Refused as refusal:
            self.answer(client, ERROR, str(refusal).encode())
        except struct.error:
            raise Malformed(f"A {kind!r} frame cannot have a payload of {length} bytes.") from None
        return True

    def obey(self, client: Client, kind: bytes, payload: bytes) -> None:
        """ATTACH u64 offset; INPUT bytes; RESIZE u16 rows, u16 columns; SIGNAL u32 number; STATUS."""
        if kind == ATTACH:
            (offset,) = struct.unpack("!Q", payload)
            if offset > self.logged:
                raise Refused(f"There is no byte {offset} yet: the log has {self.logged}.")
            client.position = offset
        elif kind == STATUS:
            self.answer(client, STATUS_REPLY, json.dumps(self.status()).encode())
        elif kind not in (INPUT, RESIZE, SIGNAL):
            raise Malformed(f"There is no request {kind!r}.")
        elif self.ended or self.master < 0:
            raise Refused("The agent has ended.")
        elif kind == INPUT:
            if self.queued_input() + len(payload) > MAX_QUEUED_INPUT:
                raise Refused(f"The agent does not read its input: {self.queued_input()} bytes are waiting already.")
            self.inputs.append(Input(client, payload))
            self.feed()
        elif kind == RESIZE:
            size = struct.unpack("!HH", payload)
            if 0 in size:
                raise Refused("A terminal needs at least one row and one column.")
            termios.tcsetwinsize(self.master, size)
            self.answer(client, DONE)
        else:
            self.signal_foreground(*struct.unpack("!I", payload))
            self.answer(client, DONE)

    def signal_foreground(self, signo: int) -> None:
        """What ctrl-C would reach: the terminal's foreground group, the agent's own unless a shell has set another."""
        try:
            group = os.tcgetpgrp(self.master)
            os.killpg(group if group > 1 else self.pid, signo)
        except (OSError, OverflowError) as error:
            raise Refused(f"Signal {signo} could not be sent: {error}.") from None

    def queued_input(self) -> int:
        return sum(len(waiting.data) - waiting.written for waiting in self.inputs)

    def status(self) -> dict[str, Any]:
        rows, cols = termios.tcgetwinsize(self.master) if self.master >= 0 else (self.spec["rows"], self.spec["cols"])
        facts = {"holder_pid": os.getpid(), "pid": self.pid, "started_at": self.started_at, "rows": rows, "cols": cols}
        facts |= {"bytes": self.logged, "clients": len(self.clients), "queued_input": self.queued_input()}
        return facts | {"stopping": bool(self.escalation), "ended": bool(self.ended), "log_error": self.log_error}


def default_signals() -> None:
    """Undo what was inherited: Python ignores SIGPIPE, and a worker may block or ignore anything."""
    for signo in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):  # KILL and STOP
            signal.signal(signo, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def detach() -> None:
    """Leave the spawner's session, descriptors and signals; 0, 1, 2 stay: /dev/null, the handshake, holder.err."""
    if os.fork():
        os._exit(0)
    os.setsid()
    if os.fork():
        os._exit(0)
    default_signals()
    for signo in (signal.SIGPIPE, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(signo, signal.SIG_IGN)
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd > 2:
            with contextlib.suppress(OSError):  # the listing's own is closed already
                os.close(fd)
    os.chdir("/")


def take_lock(run_dir: str) -> int | None:
    """The run's lock; None when another holder has it. Readers that probe share it for a moment: wait for those."""
    lock = os.open(os.path.join(run_dir, "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)  # works only among readers
        except BlockingIOError:
            return None
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(0.001)


def take_spec(run_dir: str) -> dict[str, Any] | None:
    """spec.json, which leaves the disk here since its environment holds a token; None when there is none."""
    path = os.path.join(run_dir, "spec.json")
    try:
        with open(path, encoding="utf-8") as file:
            spec: dict[str, Any] = json.load(file)
        os.unlink(path)
    except FileNotFoundError:
        return None
    return spec


def main(run_dir: str) -> None:
    detach()
    agent_umask = os.umask(0o077)
    lock = take_lock(run_dir)
    if lock is None or any(os.path.exists(os.path.join(run_dir, name)) for name in ("pid.json", "exit.json")):
        return
    spec = take_spec(run_dir)
    if spec is None:
        sys.exit("There is no spec.json; nothing was started.")
    holder = Holder(run_dir, spec, agent_umask)
    try:
        error: str | None = holder.start()
    except (OSError, LookupError, TypeError, ValueError) as problem:
        error = f"The holder could not start the agent: {problem}."
    if error:
        holder.record_exit(error, "spawn error")
    os.dup2(0, 1)  # the handshake: whoever waits at the other end of descriptor 1 reads end of file now
    if not error:
        holder.serve()
    with contextlib.suppress(OSError):
        os.unlink(spec["socket"])


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
