"""Spawning, reading and cleaning what terminals say; the holder itself is tested beside this file."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemons import terminal
from daemons.terminal import Connection, Facts, HolderError, RunSpec, clean_text, facts, output, spawn, stop, tail
from tests.daemons.test_holder import (
    HERE,
    PATIENCE,
    exited,
    holders_of,
    launch,
    run_dir,
    said,
    shell,
    until,
    write_spec,
)

__all__ = ["run_dir"]


# -- spawn


def test_spawning_again_starts_nothing_and_tells_the_same(run_dir: Path) -> None:
    first = spawn(run_dir, shell(f"echo x >> {run_dir}/started; echo ready; read; exit 2"))
    said(run_dir, b"ready")
    again = spawn(run_dir, shell(f"echo x >> {run_dir}/started"))
    assert (again.phase, again.pid, again.holder_pid) == ("running", first.pid, first.holder_pid)
    with Connection(run_dir) as client:
        client.send_input(b"\n")
    ended = exited(run_dir)
    assert spawn(run_dir, shell("exit 0")) == ended
    assert ended.exit_code == 2
    assert (run_dir / "started").read_text() == "x\n"


def test_racing_threads_start_one_agent(run_dir: Path) -> None:
    barrier, pids = threading.Barrier(8), set()

    def race() -> None:
        barrier.wait()
        pids.add(spawn(run_dir, shell(f"echo $$ >> {run_dir}/started; echo ready; read")).pid)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said(run_dir, b"ready")
    assert pids == {facts(run_dir).pid}
    assert (run_dir / "started").read_text().split() == [str(pids.pop())]
    assert not (run_dir / "spec.json").exists()


RACER = """
import os, sys
from pathlib import Path
from daemons.terminal import RunSpec, spawn
sys.stdin.read()
spec = RunSpec(["bash", "-c", f"echo $$ >> {sys.argv[1]}/started; echo ready; read"], Path("/"), dict(os.environ))
print(spawn(Path(sys.argv[1]), spec).pid)
"""


def test_racing_processes_start_one_agent(run_dir: Path) -> None:
    command = [sys.executable, "-c", RACER, str(run_dir)]
    racers = [subprocess.Popen(command, cwd=HERE, stdin=-1, stdout=-1, text=True) for _ in range(5)]
    for racer in racers:
        assert racer.stdin
        racer.stdin.close()  # go
        racer.stdin = None
    answers = {racer.communicate(timeout=PATIENCE)[0].strip() for racer in racers}
    said(run_dir, b"ready")
    assert answers == {str(facts(run_dir).pid)}
    assert (run_dir / "started").read_text().split() == list(answers)


def test_spawn_waits_for_a_holder_that_somebody_else_launched(run_dir: Path) -> None:
    run_dir.mkdir(mode=0o700)
    write_spec(run_dir, shell(f"echo $$ >> {run_dir}/started; echo ready; read"))
    launch(run_dir).wait()
    known = spawn(run_dir, shell(f"echo $$ >> {run_dir}/started; echo ready; read"))
    said(run_dir, b"ready")
    until(lambda: len(holders_of(run_dir)) == 1)
    assert known.phase == "running"
    assert (run_dir / "started").read_text().split() == [str(facts(run_dir).pid)]
    assert not (run_dir / "spec.json").exists()


def test_a_holder_that_somebody_else_launches_meanwhile_is_waited_for(run_dir: Path, monkeypatch) -> None:
    spec = shell(f"echo $$ >> {run_dir}/started; echo ready; read")
    really = terminal._somebody_listens

    def late(path: Path) -> bool:  # between the look at the disk and the look at the socket
        write_spec(run_dir, spec)
        launch(run_dir).wait()
        until(path.exists)
        return really(path)

    monkeypatch.setattr(terminal, "_somebody_listens", late)
    known = spawn(run_dir, spec)
    said(run_dir, b"ready")
    assert known.phase == "running"
    assert (run_dir / "started").read_text().split() == [str(facts(run_dir).pid)]
    assert not (run_dir / "spec.json").exists()


def test_an_own_short_socket_path(run_dir: Path) -> None:
    deep = run_dir.parent / ("d" * 100) / "run"
    with pytest.raises(HolderError, match="107 are possible"):
        spawn(deep, shell("read"))
    assert facts(deep).phase == "absent"
    short = run_dir.parent / "s" / "1"
    spawn(deep, shell("read; exit 3"), socket_path=short)
    try:
        with pytest.raises(HolderError, match="Another holder listens"):
            spawn(run_dir, shell("read"), socket_path=short)
        assert facts(run_dir).phase == "absent"
        with Connection(deep) as client:
            client.send_input(b"\n")
        assert exited(deep).exit_code == 3
        until(lambda: not short.exists())
    finally:
        stop(deep, 0)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (RunSpec([], Path("/"), {}), "There is no program"),
        (RunSpec(["true"], Path("here"), {}), "must be an absolute path"),
        (RunSpec(["true"], Path("/"), {}, rows=0), "A terminal of 0 x 120"),
        (RunSpec(["true"], Path("/"), {}, cols=70000), "A terminal of 40 x 70000"),
        (RunSpec(["true"], Path("/"), {}, stop_grace=-1), "stop grace of -1"),
        (RunSpec(["true"], Path("/"), {}, time_limit=float("nan")), "time limit of nan"),
        (RunSpec(["true"], Path("/"), {}, time_limit=0), "time limit of 0"),
    ],
)
def test_a_spec_that_makes_no_sense_changes_nothing(run_dir: Path, spec: RunSpec, sentence: str) -> None:
    with pytest.raises(HolderError, match=sentence):
        spawn(run_dir, spec)
    assert not run_dir.exists()


def test_a_holder_that_cannot_work_says_why_and_leaves_no_secret(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = run_dir.parent / "broken.py"
    broken.write_text("raise SystemExit('no such luck')")
    with monkeypatch.context() as patch:
        patch.setattr(terminal.holder, "__file__", str(broken))
        with pytest.raises(HolderError, match="did not start: no such luck"):
            spawn(run_dir, shell("read"))
    assert facts(run_dir) == Facts("absent")
    assert not (run_dir / "spec.json").exists()
    assert spawn(run_dir, shell("exit 1")).phase in ("running", "exited")  # and nothing is spoilt


def test_a_holder_that_hangs_is_not_waited_for_for_ever(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = run_dir.parent / "hanging.py"
    hanging.write_text(
        f"import os, signal; open({str(run_dir)!r} + '/hangs', 'w').write(str(os.getpid())); signal.pause()"
    )
    with monkeypatch.context() as patch:
        patch.setattr(terminal.holder, "__file__", str(hanging))
        with pytest.raises(HolderError, match=r"did not report within 0\.5 seconds"):
            spawn(run_dir, shell("read"), timeout=0.5)
    assert not (run_dir / "spec.json").exists()
    until((run_dir / "hangs").exists)
    os.kill(int((run_dir / "hangs").read_text()), 9)


# -- facts and output


def test_nothing_is_known_of_an_absent_run(run_dir: Path) -> None:
    assert facts(run_dir) == Facts("absent")
    assert output(run_dir) == (b"", 0)
    assert tail(run_dir) == b""
    stop(run_dir)
    with pytest.raises(HolderError, match="Nothing was started"):
        Connection(run_dir)
    assert not run_dir.exists()


def test_output_is_read_in_pieces_or_from_the_end(run_dir: Path) -> None:
    spawn(run_dir, shell("printf 0123456789"))
    exited(run_dir)
    assert output(run_dir, 0, 4) == (b"0123", 4)
    assert output(run_dir, 4) == (b"456789", 10)
    assert output(run_dir, 10) == (b"", 10)
    assert tail(run_dir, 3) == b"789"
    assert tail(run_dir) == b"0123456789"


def test_a_stop_with_a_senseless_grace_is_refused(run_dir: Path) -> None:
    for grace in (-1.0, float("nan"), float("inf")):
        with pytest.raises(HolderError, match="makes no sense"):
            stop(run_dir, grace)


def test_stop_signals_nobody_when_the_pid_is_not_the_holders(run_dir: Path) -> None:
    bystander = subprocess.Popen(["sleep", "600"])
    spawn(run_dir, shell("read"))
    noted = json.loads((run_dir / "pid.json").read_text())
    try:
        (run_dir / "pid.json").write_text(json.dumps(noted | {"holder_pid": bystander.pid}))
        stop(run_dir)
        (run_dir / "pid.json").write_text(json.dumps(noted))
        assert bystander.poll() is None
        with Connection(run_dir) as client:
            assert client.status()["stopping"] is False
    finally:
        (run_dir / "pid.json").write_text(json.dumps(noted))
        bystander.kill()
        bystander.wait()


def test_reading_pauses_when_nothing_comes_and_goes_on(run_dir: Path) -> None:
    spawn(run_dir, shell("echo one; read; echo two; read"))
    said(run_dir, b"one")
    with Connection(run_dir) as client:
        client.attach()
        assert [event.data for event in client.read(timeout=0.05)] == [b"one\r\n"]  # type: ignore[union-attr]
        client.send_input(b"\n")
        said(run_dir, b"two")
        assert b"".join(event.data for event in client.read(timeout=0.05)) == b"\r\ntwo\r\n"  # type: ignore[union-attr]


def test_a_connection_tells_that_the_holder_is_gone(run_dir: Path) -> None:
    started = spawn(run_dir, shell("read"))
    with Connection(run_dir) as client:
        client.attach()
        client.status()
        os.kill(started.holder_pid or 0, 9)
        with pytest.raises(HolderError, match="has hung up"):
            list(client.read(timeout=PATIENCE))


# -- text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\r\ntext\n", "plain\ntext\n"),
        (b"\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mrgb\x1b[m", "red rgb"),
        (b"\x1b]0;title\x07a\x1b]2;other\x1b\\b", "ab"),
        (b"\x1b]8;;https://x.example/\x1b\\link\x1b]8;;\x1b\\", "link"),
        (b"\x1b[<u\x1b[>1u\x1b[=5;1u\x1b[?u\x1b[>0q\x1b[?2026hkitty", "kitty"),
        (b"\x1b_Gf=24;AAAA\x1b\\picture\x1bPq#0\x1b\\", "picture"),
        (b"\x1b(B\x1b7\x1b8\x1b=\x1b>\x1bMescapes", "escapes"),
        (b" 10%\r 50%\r100%\n", "100%\n"),
        (b"longer\rshort\n", "shortr\n"),
        (b"working...\r\x1b[Kdone", "done"),
        (b"working\x1b[2K\rdone", "done"),
        (b"passX\bword\x07\x00\x0e!", "password!"),
        (b"a\x1b[3Cb\x1b[2Dc", "a  cb"),
        (b"a\x1b[5Gb\x1b[1GA", "A   b"),
        (b"\x1b[2J\x1b[Hone\x1b[5;1Htwo\x1b[1Athree", "one\ntwo\nthree"),
        (b"tab\tstays", "tab\tstays"),
        ("wörld ✓ 漢字".encode(), "wörld ✓ 漢字"),
        (b"bad \xff\xc3 utf", "bad \ufffd\ufffd utf"),
        ("c1 \x9b31mgone\x85\x90".encode(), "c1 gone"),
        (b"cut \x1b[38;5", "cut "),
        (b"cut \x1b]0;half a tit", "cut "),
        (b"cut \x1b_Gm=1;QUFB", "cut "),
        (b"cut \x1b", "cut "),
        (b"cut \xe2\x9c", "cut \ufffd"),
        (b"unended \x1b]0;title\nnext", "unended \nnext"),
        (b"x\x1b[99999999999999999999999999C\x1b[" + b"9" * 5000 + b"Cy", "x  y"),
        (b"\r\r\n\r\n", "\n\n"),
        (b"", ""),
    ],
)
def test_text_is_what_a_reader_would_have_seen(data: bytes, text: str) -> None:
    assert clean_text(data) == text


@pytest.mark.parametrize(
    "piece",
    [
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"\x1b",
        "\x90".encode(),
        b"\x1b[2K",
        b"x\r",
        b"x\b",
        b"\x1b[999C",
        b"\x1b[Hx",
        b"x\x1b[K",
    ],
)
def test_no_text_takes_long(piece: bytes) -> None:
    began = time.process_time()
    clean_text(b"x" * 300_000 + piece * (300_000 // len(piece)) + b"\x1b[")
    assert time.process_time() - began < 5  # quadratic would be minutes
