"""The holder's guarantees, with real terminals, real processes and real kills."""

import contextlib
import hashlib
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemons import holder, terminal
from daemons.terminal import Connection, Exit, Facts, Output, RunSpec, facts, spawn, stop

PATIENCE = 20.0  # seconds until a test gives up on an event; never waited for in full by a passing test


def until(happened: Callable[[], object], what: str = "it") -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


def end(run_dir: Path) -> Facts:
    until(lambda: facts(run_dir).phase in ("exited", "lost"), "the end")
    return facts(run_dir)


def exited(run_dir: Path) -> Facts:
    known = end(run_dir)
    assert known.phase == "exited"
    return known


def alive(pid: int) -> bool:
    try:
        return holder.process_stat(pid)[0] not in "ZX"
    except OSError:
        return False


def shell(script: str, **options: object) -> RunSpec:
    return RunSpec(["bash", "-c", script], Path("/tmp"), dict(os.environ), **options)  # type: ignore[arg-type]


def python(script: str, **options: object) -> RunSpec:
    argv = [sys.executable, "-I", "-S", "-u", "-c", script]
    return RunSpec(argv, Path("/tmp"), dict(os.environ), **options)  # type: ignore[arg-type]


def log(run_dir: Path) -> bytes:
    return (run_dir / "output.log").read_bytes()


def said(run_dir: Path, text: bytes) -> None:
    until(lambda: (run_dir / "output.log").exists() and text in log(run_dir), f"{text!r} on the terminal")


@pytest.fixture
def run_dir() -> Iterator[Path]:
    """A run directory with a short path; what still runs in it is killed afterwards, through its own holder."""
    base = Path(tempfile.mkdtemp(prefix="flower-"))
    yield base / "run"
    for path in base.glob("*/pid.json"):
        known = facts(path.parent)
        if known.phase in ("starting", "running"):
            stop(path.parent, grace=0)
            end(path.parent)
        until(lambda holder_pid=known.holder_pid: not alive(holder_pid), "the holder's leave")
    shutil.rmtree(base)


# -- the end of an agent


def test_the_exit_code_is_kept(run_dir: Path) -> None:
    spawn(run_dir, shell("echo bye; exit 7"))

    known = exited(run_dir)
    assert (known.exit_code, known.exit_signal, known.reason, known.error) == (7, None, "exited", None)
    assert log(run_dir) == b"bye\r\n"
    assert known.output_bytes == 5
    assert known.started_at and known.ended_at and known.started_at <= known.ended_at


def test_the_signal_that_ended_it_is_kept(run_dir: Path) -> None:
    started = spawn(run_dir, shell("echo ready; read"))
    said(run_dir, b"ready")
    os.kill(started.pid or 0, signal.SIGUSR1)

    known = exited(run_dir)
    assert (known.exit_code, known.exit_signal, known.reason) == (None, signal.SIGUSR1, "exited")


def test_an_agent_that_ends_at_once_is_not_missed(run_dir: Path) -> None:
    spawn(run_dir, RunSpec(["true"], Path("/"), dict(os.environ)))
    assert exited(run_dir).exit_code == 0


def test_the_socket_goes_with_the_holder(run_dir: Path) -> None:
    started = spawn(run_dir, shell("read"))
    assert (run_dir / "holder.sock").exists()
    stop(run_dir, 0)
    exited(run_dir)
    until(lambda: not alive(started.holder_pid or 0))
    assert not (run_dir / "holder.sock").exists()


@pytest.mark.parametrize("grace", [None, 30])
def test_stop_lets_an_agent_clean_up(run_dir: Path, grace: float | None) -> None:
    spawn(run_dir, shell("trap 'echo cleaned; exit 42' TERM; echo ready; while :; do read; done", stop_grace=30))
    said(run_dir, b"ready")
    stop(run_dir, grace)

    known = exited(run_dir)
    assert (known.exit_code, known.reason) == (42, "stopped")
    assert b"cleaned" in log(run_dir)


def test_stop_kills_an_agent_that_ignores_it(run_dir: Path) -> None:
    spawn(run_dir, shell("trap '' TERM HUP INT; echo ready; while :; do read -t 1; done", stop_grace=0.2))
    said(run_dir, b"ready")
    stop(run_dir)

    known = exited(run_dir)
    assert (known.exit_code, known.exit_signal, known.reason) == (None, signal.SIGKILL, "stopped")


def test_a_second_stop_shortens_the_grace(run_dir: Path) -> None:
    spawn(run_dir, shell("trap '' TERM HUP; echo ready; while :; do read -t 1; done", stop_grace=3600))
    said(run_dir, b"ready")
    stop(run_dir)
    with Connection(run_dir) as terminal_:
        until(lambda: terminal_.status()["stopping"])
    assert facts(run_dir).phase == "running"
    stop(run_dir, grace=0)
    assert exited(run_dir).exit_signal == signal.SIGKILL


def test_a_shell_that_ignores_term_is_hung_up_on(run_dir: Path) -> None:
    spec = RunSpec(
        ["bash", "--norc", "--noprofile", "-i"], Path("/tmp"), {**os.environ, "PS1": "ready$ "}, stop_grace=1
    )
    spawn(run_dir, spec)
    said(run_dir, b"ready$")
    stop(run_dir)
    assert exited(run_dir).exit_signal == signal.SIGHUP


def test_stop_ends_a_stopped_agent(run_dir: Path) -> None:
    started = spawn(run_dir, python("import time; print('ready'); time.sleep(600)", stop_grace=30))
    said(run_dir, b"ready")
    os.kill(started.pid or 0, signal.SIGSTOP)
    stop(run_dir)
    assert exited(run_dir).exit_signal == signal.SIGTERM


def test_stop_ends_the_whole_session_not_only_the_agent(run_dir: Path) -> None:
    # -m gives the background job a group of its own, as shells and agents do with their tools
    script = "set -m; (trap '' TERM HUP; while :; do sleep 1; done) </dev/null >/dev/null 2>&1 & echo child $!.; read"
    spawn(run_dir, shell(script, stop_grace=0.3))
    said(run_dir, b".")
    child = int(log(run_dir).split()[1].rstrip(b"."))
    assert alive(child)
    stop(run_dir)
    exited(run_dir)
    until(lambda: not alive(child), "the child's end")


def test_the_time_limit(run_dir: Path) -> None:
    spawn(run_dir, shell("trap '' TERM HUP; echo ready; while :; do read -t 1; done", time_limit=0.3, stop_grace=0.2))
    known = exited(run_dir)
    assert (known.exit_signal, known.reason) == (signal.SIGKILL, "time limit")


def test_a_background_process_that_keeps_the_terminal_does_not_delay_the_end_for_ever(run_dir: Path) -> None:
    spawn(run_dir, shell("trap '' HUP; sleep 600 & echo child $!.; exit 3"))
    known = exited(run_dir)
    child = int(log(run_dir).split()[1].rstrip(b"."))
    try:
        assert (known.exit_code, known.reason) == (3, "exited")
        assert alive(child)  # ending by itself is no order to kill what it left behind
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_terminal_closed_for_a_while_is_no_end(run_dir: Path) -> None:
    script = "exec 3>&1 </dev/null >/dev/null 2>&1 3>&-; sleep 0.2; echo back >/dev/tty; exit 5"
    spawn(run_dir, shell(script))
    assert exited(run_dir).exit_code == 5
    assert log(run_dir) == b"back\r\n"


# -- what cannot be started


@pytest.mark.parametrize(
    ("argv", "cwd", "sentence"),
    [
        (["claude-that-is-not-there"], "/", "claude-that-is-not-there: no such program."),
        (["/nowhere/claude"], "/", "/nowhere/claude: no such program."),
        (["/etc/passwd"], "/", "/etc/passwd: cannot be used as program (Permission denied)."),
        (["true"], "/nowhere", "/nowhere: no such working directory."),
        (["true"], "/etc/passwd", "/etc/passwd: no such working directory."),
        (["true", "x\0y"], "/", "true: cannot be used as program (embedded null byte)."),
        (["true", "x" * 3_000_000], "/", "true: cannot be used as program (Argument list too long)."),
    ],
)
def test_what_cannot_be_started_gives_its_sentence(run_dir: Path, argv: list[str], cwd: str, sentence: str) -> None:
    known = spawn(run_dir, RunSpec(argv, Path(cwd), {**os.environ, "TOKEN": "s3cret-token"}))

    assert (known.phase, known.exit_code, known.exit_signal) == ("exited", None, None)
    assert (known.error, known.reason) == (sentence, "spawn error")
    assert facts(run_dir) == known
    assert not any(b"s3cret" in path.read_bytes() for path in run_dir.iterdir() if path.is_file())


# -- what the agent gets


def test_the_agent_gets_a_clean_process(run_dir: Path) -> None:
    script = (
        "import os, signal; fds = os.listdir('/proc/self/fd'); os.write(1, repr((sorted(fds)[:3], len(fds),"
        "sorted(os.environ.items()), os.getcwd(), os.umask(0), os.getsid(0) == os.getpid() == os.getpgrp(),"
        "os.tcgetpgrp(0) == os.getpid(), os.ttyname(0) == os.ttyname(2),"
        "[l.split()[1] for l in open('/proc/self/status') if l[:6] in ('SigBlk', 'SigIgn')][0])).encode())"
    )
    spec = RunSpec(
        [sys.executable, "-I", "-S", "-c", script], Path("/usr"), {"ONLY": "thïs \udcff", "LC_ALL": "C.UTF-8"}
    )
    previous = os.umask(0o027)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR2])
    try:
        spawn(run_dir, spec)
    finally:
        os.umask(previous)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR2])
    exited(run_dir)
    fds, count, env, cwd, umask, leads, foreground, same, blocked = eval(log(run_dir))
    assert (fds, count) == (["0", "1", "2"], 4)  # the fourth is the listing's own
    assert env == [("LC_ALL", "C.UTF-8"), ("ONLY", "thïs \udcff")]
    assert (cwd, umask, leads, foreground, same) == ("/usr", 0o027, True, True, True)
    assert int(blocked, 16) == 0


def test_signals_that_the_spawner_ignores_are_not_ignored_by_the_agent(run_dir: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        spawn(run_dir, RunSpec(["grep", "SigIgn", "/proc/self/status"], Path("/"), dict(os.environ)))
    finally:
        signal.signal(signal.SIGHUP, before)
    exited(run_dir)
    assert int(log(run_dir).split()[1], 16) & ~(3 << 31) == 0  # signals 32 and 33 are the C library's own


def test_secrets_do_not_stay_on_the_disk_or_in_the_holders_environment(run_dir: Path) -> None:
    started = spawn(run_dir, RunSpec(["cat"], Path("/"), {**os.environ, "TOKEN": "s3cret-token"}))
    assert b"s3cret" in Path(f"/proc/{started.pid}/environ").read_bytes()
    assert not (run_dir / "spec.json").exists()
    assert not any(b"s3cret" in path.read_bytes() for path in run_dir.iterdir() if path.is_file())
    assert b"s3cret" not in Path(f"/proc/{started.holder_pid}/environ").read_bytes()
    assert b"s3cret" not in Path(f"/proc/{started.holder_pid}/cmdline").read_bytes()


# -- every byte

MEGABYTES = 20
STREAM = f"""
import hashlib, os, tty
tty.setraw(1)
block = b''.join(hashlib.sha512(b'%d' % i).digest() for i in range(16384))
os.write(1, b'>')  # only now: setraw throws away what was typed before
os.read(0, 1)
for i in range({MEGABYTES}):
    left = memoryview(block[i:] + block[:i])
    while left:
        left = left[os.write(1, left):]
"""


def stream() -> bytes:
    block = b"".join(hashlib.sha512(b"%d" % i).digest() for i in range(16384))
    return b">" + b"".join(block[i:] + block[:i] for i in range(MEGABYTES))


def collect(run_dir: Path, offset: int, into: list[bytes], attached: threading.Event | None = None) -> None:
    with Connection(run_dir) as client:
        client.attach(offset)
        client.status()  # answered after the ATTACH was obeyed
        if attached:
            attached.set()
        expected = offset
        for event in client.read(timeout=PATIENCE):
            if isinstance(event, Output):
                assert event.offset == expected
                expected += len(event.data)
                into.append(event.data)
            else:
                into.append(b"<exit %d>" % (event.code if event.code is not None else -1))


def test_every_byte_reaches_the_log_and_each_client_at_its_own_pace(run_dir: Path) -> None:
    spawn(run_dir, python(STREAM))
    said(run_dir, b">")
    wanted = stream()
    with Connection(run_dir) as lazy:
        lazy.attach(0)  # and never reads: neither the agent nor the others may wait for it
        got: list[bytes] = []
        attached = threading.Event()
        follower = threading.Thread(target=collect, args=(run_dir, 0, got, attached))
        follower.start()
        assert attached.wait(PATIENCE)
        lazy.send_input(b"!")
        until(lambda: facts(run_dir).output_bytes > 5_000_000)
        late: list[bytes] = []
        latecomer = threading.Thread(target=collect, args=(run_dir, 4_999_999, late))
        latecomer.start()
        known = exited(run_dir)
        follower.join(PATIENCE)
        latecomer.join(PATIENCE)

    assert known.output_bytes == len(wanted)
    assert hashlib.sha256(log(run_dir)).digest() == hashlib.sha256(wanted).digest()
    assert got.pop() == late.pop() == b"<exit 0>"
    assert b"".join(got) == wanted
    assert b"".join(late) == wanted[4_999_999:]


def test_the_agents_last_words_are_not_lost(run_dir: Path) -> None:
    # the end of the process and the last bytes race each other: many small runs
    for number in range(10):
        each = run_dir.parent / f"run{number}"
        spawn(each, python("import os, tty; tty.setraw(1); os.write(1, b'x' * 3000); os.write(1, b'<end>')"))
        assert exited(each).output_bytes == 3005
        assert log(each).endswith(b"x<end>")


def test_going_on_from_an_offset_shows_neither_gap_nor_duplicate(run_dir: Path) -> None:
    spawn(run_dir, shell("for i in $(seq 20000); do echo line $i; done; read; echo last; exit 9"))
    position, parts, told, ended = 0, [], 0, None
    while ended is None:
        with Connection(run_dir) as client:
            client.attach(position)
            for number, event in enumerate(client.read(timeout=PATIENCE)):
                if isinstance(event, Exit):
                    ended = event
                    break
                assert event.offset == position
                position += len(event.data)
                parts.append(event.data)
                if not told and b"line 20000\r\n" in b"".join(parts[-2:]):
                    told = client.send_input(b"\n")
                elif number == 1:
                    break  # hang up and come back
    assert ended == Exit(code=9, signal=None, reason="exited")
    assert b"".join(parts) == log(run_dir)
    assert log(run_dir).endswith(b"last\r\n")


def test_a_log_that_cannot_grow_holds_the_agent_back_and_loses_nothing(run_dir: Path) -> None:
    script = (
        "import os, tty; tty.setraw(1); os.write(1, b'ready..\\n'); os.read(0, 1);"
        "[os.write(1, b'%07d\\n' % i) for i in range(5000)]"
    )
    started = spawn(run_dir, python(script))
    said(run_dir, b"ready")
    holder_pid = started.holder_pid or 0
    unlimited = resource.prlimit(holder_pid, resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
    with Connection(run_dir) as client:
        client.send_input(b"!")
        until(lambda: client.status()["log_error"], "the full disk")
        assert client.status()["bytes"] == 10_000
        assert facts(run_dir).phase == "running"
    resource.prlimit(holder_pid, resource.RLIMIT_FSIZE, unlimited)
    assert exited(run_dir).exit_code == 0
    assert log(run_dir) == b"ready..\n" + b"".join(b"%07d\n" % i for i in range(5000))


# -- input, size, signals


def test_input_has_a_receipt_and_an_echo(run_dir: Path) -> None:
    spawn(run_dir, shell("read name; echo hello $name; read"))
    with Connection(run_dir) as client:
        client.attach()
        assert client.send_input("wörld\r".encode()) == 7
        seen = b""
        for event in client.read(timeout=PATIENCE):
            assert isinstance(event, Output)
            seen += event.data
            if b"hello" in seen and seen.endswith(b"\n"):
                break
    assert seen.decode() == "wörld\r\nhello wörld\r\n"


READS_LATER = """
import hashlib, os, signal, sys, tty
tty.setraw(0)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print('ready', flush=True)
signal.sigwait([signal.SIGUSR1])
digest, left = hashlib.sha256(), int(sys.argv[1])
while left:
    data = os.read(0, 65536)
    digest.update(data)
    left -= len(data)
print(digest.hexdigest(), flush=True)
"""


def reads_later(size: int) -> RunSpec:
    return RunSpec([sys.executable, "-I", "-S", "-c", READS_LATER, str(size)], Path("/tmp"), dict(os.environ))


def test_a_long_input_waits_for_a_busy_agent_and_arrives_whole(run_dir: Path) -> None:
    text = os.urandom(500_000)
    spawn(run_dir, reads_later(len(text)))
    said(run_dir, b"ready")
    receipts: list[int] = []

    def paste() -> None:
        with Connection(run_dir) as client:
            receipts.append(client.send_input(text, timeout=PATIENCE))

    pasting = threading.Thread(target=paste)
    pasting.start()
    with Connection(run_dir) as client:
        until(lambda: client.status()["queued_input"], "a queue")
        assert not receipts
        client.signal(signal.SIGUSR1)
    pasting.join(PATIENCE)
    assert receipts == [len(text)]
    exited(run_dir)
    assert hashlib.sha256(text).hexdigest().encode() in log(run_dir)


def test_input_is_bounded_and_taken_back_by_who_leaves(run_dir: Path) -> None:
    spawn(run_dir, reads_later(1))
    said(run_dir, b"ready")
    with Connection(run_dir) as watcher:
        impatient = Connection(run_dir, timeout=0.3)
        with pytest.raises(terminal.HolderError, match="did not answer in time"):
            impatient.send_input(b"x" * 500_000)
        until(lambda: watcher.status()["clients"] == 1)
        # Of what was sent, only the rest of the frame that had begun may still be waiting.
        until(lambda: watcher.status()["queued_input"] < holder.MAX_PAYLOAD, "the withdrawal")
        with raw(run_dir) as greedy:
            for _ in range(5):
                greedy.sendall(holder.frame(holder.INPUT, b"y" * holder.MAX_PAYLOAD))
            kind, payload = receive(greedy)
            assert (kind, payload.startswith(b"The agent does not read its input")) == (holder.ERROR, True)
        until(lambda: watcher.status()["queued_input"] < holder.MAX_PAYLOAD, "the second withdrawal")


def test_the_agent_sees_a_new_size(run_dir: Path) -> None:
    script = (
        "import os, signal\n"
        "signal.signal(signal.SIGWINCH, lambda *_: print('now', *os.get_terminal_size()))\n"
        "print('first', *os.get_terminal_size())\n"
        "while True: signal.pause()"
    )
    spawn(run_dir, python(script, rows=33, cols=101))
    said(run_dir, b"first 101 33")
    with Connection(run_dir) as client:
        client.resize(50, 160)
        said(run_dir, b"now 160 50")
        assert (client.status()["rows"], client.status()["cols"]) == (50, 160)
        with pytest.raises(terminal.HolderError, match="0 x 80"):
            client.resize(0, 80)


def test_a_signal_reaches_the_foreground_group(run_dir: Path) -> None:
    # an interactive shell gives its job a group of its own; the shell survives the job's interrupt
    spec = RunSpec(["bash", "--norc", "--noprofile", "-i"], Path("/tmp"), {**os.environ, "PS1": "ready$ "})
    started = spawn(run_dir, spec)
    said(run_dir, b"ready$")
    with Connection(run_dir) as client:
        client.send_input(b"bash -c 'echo in''side; sleep 600'\n")
        said(run_dir, b"inside")
        client.signal(signal.SIGINT)
        client.send_input(b"echo survi''ved\n")
        said(run_dir, b"survived")
        with pytest.raises(terminal.HolderError, match="Signal 9999 could not be sent"):
            client.signal(9999)
        with pytest.raises(terminal.HolderError, match="could not be sent"):
            client.signal(2**32 - 1)
        assert client.status()["pid"] == started.pid


# -- kills


SPAWNER = """
import ctypes, functools, os, signal, subprocess, sys
from pathlib import Path
from daemons.terminal import RunSpec, spawn
# what some supervisors arrange: die with the parent
subprocess.Popen = functools.partial(subprocess.Popen, preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))
argv = ["bash", "-c", "echo ready; read x; echo got $x; exit 4"]
spawn(Path(sys.argv[1]), RunSpec(argv, Path("/"), dict(os.environ)))
print("spawned", flush=True)
signal.pause()
"""
HERE = Path(__file__).resolve().parents[2]


def test_the_agent_survives_the_killing_of_its_spawners_whole_group(run_dir: Path) -> None:
    spawner = subprocess.Popen(
        [sys.executable, "-c", SPAWNER, str(run_dir)], cwd=HERE, start_new_session=True, stdout=subprocess.PIPE
    )
    assert spawner.stdout is not None
    with spawner.stdout:
        assert spawner.stdout.readline() == b"spawned\n"
    os.killpg(spawner.pid, signal.SIGKILL)
    spawner.wait()
    said(run_dir, b"ready")
    with Connection(run_dir) as client:
        client.send_input(b"through\n")
    assert exited(run_dir).exit_code == 4
    assert b"got through" in log(run_dir)


def test_a_killed_holder_reads_as_lost_and_takes_its_agent_along(run_dir: Path) -> None:
    started = spawn(run_dir, shell("echo ready; read"))
    said(run_dir, b"ready")
    assert started.holder_pid and started.pid
    os.kill(started.holder_pid, signal.SIGKILL)
    until(lambda: facts(run_dir).phase != "running")
    known = facts(run_dir)
    assert (known.phase, known.exit_code, known.ended_at, known.output_bytes) == ("lost", None, None, 7)
    until(lambda: not alive(started.pid or 0), "the hang-up")
    assert not (run_dir / "exit.json").exists()
    assert spawn(run_dir, shell("echo again")).phase == "lost"  # one directory, one run
    with pytest.raises(terminal.HolderError, match="No holder answers"):
        Connection(run_dir)
    stop(run_dir)  # nothing to stop, nothing signalled


def test_a_holder_killed_while_it_starts_never_leaves_two_agents(run_dir: Path) -> None:
    """Kill at many moments between the launch and the start; whatever is then said must be true."""
    phases = set()
    for number in range(12):
        each = run_dir.parent / f"run{number}"
        each.mkdir(mode=0o700)
        write_spec(each, shell(f"echo $$ >> {each}/started; read"))
        process = launch(each)
        process.wait()  # from here on the holder is its own
        deadline = time.monotonic() + number * 0.004
        while time.monotonic() < deadline:
            pass
        for pid in holders_of(each):
            with contextlib.suppress(ProcessLookupError):  # one of the two that only fork and leave
                os.kill(pid, signal.SIGKILL)
        # A kill may miss: the holder forked while it was looked for, or its agent-to-be keeps the lock for the moment
        # that it needs to see that nobody says go. So wait for a fact that stays.
        until(lambda path=each: is_settled(path))
        phase = facts(each).phase
        phases.add(phase)
        if phase == "absent":
            assert not (each / "started").exists()
            spawn(each, shell(f"echo $$ >> {each}/started; read"))
            said_or_started = each / "started"
            until(lambda path=said_or_started: path.exists() and path.read_text())
        if (each / "started").exists():  # the shell makes the file a moment before it writes, and may die in between
            assert len((each / "started").read_text().split()) <= 1
    assert phases <= {"absent", "lost", "running"}


def is_settled(run_dir: Path) -> bool:
    if facts(run_dir).phase == "absent":  # true for good only when nobody is left who could begin
        # One look may miss a holder that forks at that moment; it does so three times at most.
        return not any(holders_of(run_dir) for _ in range(4))
    return facts(run_dir).phase != "starting"


def holders_of(run_dir: Path) -> list[int]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(run_dir).encode() in command and holder.__file__.encode() in command and alive(int(name)):
            found.append(int(name))
    return found


# -- races for one run directory


def write_spec(run_dir: Path, spec: RunSpec) -> None:
    document = {"argv": list(spec.argv), "cwd": str(spec.cwd), "env": dict(spec.env), "rows": 40, "cols": 120}
    document |= {"stop_grace": 5, "time_limit": None, "socket": str(run_dir / "holder.sock")}
    holder.write_json(str(run_dir / "spec.json"), document)


def launch(run_dir: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-I", "-S", "-E", holder.__file__, str(run_dir)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_racing_holders_start_one_agent_while_readers_probe(run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700)
    write_spec(run_dir, shell(f"echo $$ >> {run_dir}/started; read"))
    enough = threading.Event()

    def probe() -> None:
        while not enough.is_set():
            assert facts(run_dir).phase in ("absent", "starting", "running")

    readers = [threading.Thread(target=probe) for _ in range(2)]
    for reader in readers:
        reader.start()
    processes = [launch(run_dir) for _ in range(8)]
    for process in processes:
        process.wait()
    until((run_dir / "started").exists)
    until(lambda: len(holders_of(run_dir)) == 1, "the others' leave")
    enough.set()
    for reader in readers:
        reader.join()
    assert facts(run_dir).phase == "running"
    assert (run_dir / "started").read_text().split() == [str(facts(run_dir).pid)]


def test_a_second_holder_touches_nothing(run_dir: Path) -> None:
    spawn(run_dir, shell("read; exit 6"))
    before = {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()}
    launch(run_dir).wait()
    until(lambda: len(holders_of(run_dir)) == 1)
    assert {path.name: path.read_bytes() for path in run_dir.iterdir() if path.is_file()} == before
    with Connection(run_dir) as client:
        client.send_input(b"\n")
    assert exited(run_dir).exit_code == 6
    until(lambda: not holders_of(run_dir))
    write_spec(run_dir, shell("echo again"))
    launch(run_dir).wait()
    until(lambda: not holders_of(run_dir))
    assert exited(run_dir).exit_code == 6


# -- strangers and nonsense


def raw(run_dir: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(PATIENCE)
    client.connect(str(run_dir / "holder.sock"))
    return client


def receive(client: socket.socket) -> tuple[bytes, bytes]:
    def exactly(count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = client.recv(count - len(data))
            if not more:
                return data
            data += more
        return data

    head = exactly(holder.HEADER.size)
    if not head:
        return b"", b""
    kind, length = holder.HEADER.unpack(head)
    return kind, exactly(length)


@pytest.mark.parametrize(
    ("nonsense", "sentence"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"too long"),
        (struct.pack("!cI", b"I", 65537) + b"x", b"A frame of 65537 bytes is too long"),
        (struct.pack("!cI", b"I", 2**32 - 1), b"too long"),
        (holder.frame(b"?"), b"There is no request b'?'"),
        (holder.frame(holder.ATTACH, b"1"), b"cannot have a payload of 1 bytes"),
        (holder.frame(holder.RESIZE, b"123"), b"cannot have a payload of 3 bytes"),
        (holder.frame(holder.SIGNAL), b"cannot have a payload of 0 bytes"),
    ],
)
def test_a_malformed_frame_closes_only_its_sender(run_dir: Path, nonsense: bytes, sentence: bytes) -> None:
    spawn(run_dir, shell("read"))
    with Connection(run_dir) as decent, raw(run_dir) as rude:
        rude.sendall(nonsense)
        kind, payload = receive(rude)
        assert kind == holder.ERROR
        assert sentence in payload
        assert receive(rude) == (b"", b"")
        assert decent.status()["clients"] == 1
    assert facts(run_dir).phase == "running"


def test_an_offset_in_the_future_is_refused(run_dir: Path) -> None:
    spawn(run_dir, shell("read"))
    with Connection(run_dir) as client:
        client.attach(1)
        with pytest.raises(terminal.HolderError, match="There is no byte 1 yet: the log has 0"):
            next(client.read(timeout=PATIENCE))
        assert client.status()["bytes"] == 0


def test_frames_may_come_in_pieces_or_by_the_thousand(run_dir: Path) -> None:
    spawn(run_dir, shell("read x; echo got $x; read"))
    with raw(run_dir) as client:
        for byte in holder.frame(holder.INPUT, b"bits\n"):
            client.sendall(bytes([byte]))
        assert receive(client) == (holder.INPUT_OK, struct.pack("!I", 5))
        said(run_dir, b"got bits")
        asked = threading.Thread(target=client.sendall, args=(holder.frame(holder.STATUS) * 20_000,))
        asked.start()  # more answers than fit anywhere: the requests wait, the holder does not grow
        for _ in range(20_000):
            assert receive(client)[0] == holder.STATUS_REPLY
        asked.join()


def test_there_is_an_end_to_the_number_of_clients(run_dir: Path) -> None:
    spawn(run_dir, shell("read"))
    crowd = [raw(run_dir) for _ in range(holder.MAX_CLIENTS)]
    with Connection(run_dir) as late, pytest.raises(terminal.HolderError, match="hung up"):
        late.status()
    for client in crowd:
        client.close()
    until(lambda: answers(run_dir), "room for a client")


def answers(run_dir: Path) -> bool:
    try:
        with Connection(run_dir) as client:
            return bool(client.status())
    except terminal.HolderError:
        return False


def test_only_the_owner_gets_in(run_dir: Path) -> None:
    spawn(run_dir, shell("read"))
    assert run_dir.stat().st_mode & 0o777 == 0o700
    assert (run_dir / "holder.sock").stat().st_mode & 0o777 == 0o600
    for name in ("output.log", "pid.json", "holder.err", "lock"):
        assert (run_dir / name).stat().st_mode & 0o077 == 0
    if os.geteuid() != 0:
        pytest.skip("only root can try as somebody else")
    run_dir.parent.chmod(0o755)  # even with the doors left open
    run_dir.chmod(0o755)
    (run_dir / "holder.sock").chmod(0o666)
    script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); print(s.recv(1) == b'')"
    python_for_all = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
    command = [python_for_all, "-I", "-c", script, str(run_dir / "holder.sock")]
    stranger = subprocess.run(
        command, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True, text=True, check=False
    )
    if stranger.returncode:
        pytest.skip(f"nobody has no Python here: {stranger.stderr.strip()[-200:]}")
    assert stranger.stdout == "True\n"


# -- rest


def test_an_idle_holder_sleeps(run_dir: Path) -> None:
    started = spawn(run_dir, shell("echo ready; read", time_limit=3600))
    said(run_dir, b"ready")
    status = Path(f"/proc/{started.holder_pid}/status")
    with Connection(run_dir) as client:
        client.attach()
        assert next(client.read(timeout=PATIENCE)) == Output(0, b"ready\r\n")

        def switches() -> str:
            return next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))

        until(lambda: holder.process_stat(started.holder_pid or 0)[0] == "S")
        before, ticks = switches(), holder.process_stat(started.holder_pid or 0)[11:13]
        select.select([client], [], [], 1.0)  # a second in which nothing is to happen
        assert switches() == before  # it did not wake up once
        assert holder.process_stat(started.holder_pid or 0)[11:13] == ticks
    try:
        rollup = Path(f"/proc/{started.holder_pid}/smaps_rollup").read_text()
    except OSError:
        pytest.skip("the kernel tells no PSS")
    print(next(line for line in rollup.splitlines() if line.startswith("Pss:")))  # for the curious: pytest -rP


def test_a_client_that_was_there_gets_the_end_even_if_it_reads_late(run_dir: Path) -> None:
    spawn(run_dir, shell("head -c 3000000 /dev/zero; exit 8"))
    with Connection(run_dir) as client:
        client.attach()
        exited(run_dir)  # far more than the socket holds is still unread
        events = list(client.read(timeout=PATIENCE))
    assert events[-1] == Exit(8, None, "exited")
    assert sum(len(event.data) for event in events if isinstance(event, Output)) == 3_000_000


def test_a_holder_whose_folder_was_deleted_ends_with_its_agent(tmp_path):
    folder = tmp_path / "gone"
    facts = terminal.spawn(folder, terminal.RunSpec(argv=["/bin/sleep", "60"], cwd=tmp_path, env=dict(os.environ)))
    shutil.rmtree(folder)
    os.kill(facts.holder_pid, signal.SIGTERM)
    deadline = time.monotonic() + 20
    while Path(f"/proc/{facts.holder_pid}").exists():
        assert time.monotonic() < deadline, "the holder is still there"
        time.sleep(0.05)
