"""Agents' logs into the database: how fast, in how much memory, and what a line costs that a large log grows by.

The baseline is what nobody can do without: reading the file line by line and ``orjson.loads`` of each. Both are
measured in turns in one process, on an SQLite database in a folder of its own. Two programs that only render a log (and
store nothing) are installed into an environment of their own where a package index answers, and run on the same file;
the time that they take to print their version is taken off.

The log is made of real ones where they lie beside the checkout (each round with new ids), else it is made up
(bench/made_log.py).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.made_log import made_up
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import ROOT

SESSION = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SMALL, LARGE = 25, 250  # MB
ROUNDS = 15
APPENDS = 20
PEERS = {"claude-code-transcripts": 3.0, "claude-code-log": 8.0}  # at least so many times their speed
PEER_ROUNDS = 3
SPEED = 0.25
MEMORY = 60.0  # MB
APPEND = 20.0  # ms
DATABASE = 0.25  # of the log's size


def measure(rounds: int = ROUNDS) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as name:
        folder = Path(name)
        small, large = folder / "small" / f"{SESSION}.jsonl", folder / "large" / f"{SESSION}.jsonl"
        write(small, SMALL)
        write(large, LARGE)
        speed = child(folder, "speed", small, rounds)
        memory = child(folder, "memory", large, APPENDS)
        rows = [*_speed_rows(speed), *_memory_rows(memory)]
        if environment := _peers(folder):
            ours = min(took for took, _ in speed["pairs"])
            rows += [_peer_row(peer, limit, small, folder, environment, ours) for peer, limit in PEERS.items()]
    return rows


def _speed_rows(found: dict[str, Any]) -> list[Row]:
    pairs = found["pairs"]
    what = f"a {SMALL} MB Claude log into the database, to orjson.loads of its lines"
    ours, bare = Spread.of([one for one, _ in pairs]), Spread.of([other for _, other in pairs])
    ratio = Spread.of([other / one for one, other in pairs])
    return [
        Row(
            "ingest",
            what,
            f"{1000 * ours.median:.0f} ms",
            f"{1000 * bare.median:.0f} ms",
            ratio,
            SPEED,
            wanted="at least",
            details=found,
        ),
        Row(
            "ingest-size",
            "the database's growth, to the log's size",
            f"{found['stored'] / 1e6:.1f} MB",
            f"{found['size'] / 1e6:.1f} MB",
            Spread.of([found["stored"] / found["size"]]),
            DATABASE,
        ),
    ]


def _memory_rows(found: dict[str, Any]) -> list[Row]:
    appends = Spread.of([1000 * seconds for seconds in found["appends"]])
    return [
        Row(
            "ingest-memory",
            f"a {LARGE} MB log in {found['seconds']:.1f} s: the most memory over the idle process",
            f"{found['over']:.0f} MB",
            "",
            Spread.of([found["over"]]),
            MEMORY,
            unit="MB",
            details=found,
        ),
        Row(
            "ingest-append",
            f"1 KB more of a {LARGE} MB log",
            f"{appends.median:.1f} ms",
            "",
            appends,
            APPEND,
            unit="ms",
        ),
    ]


# --- the renderers ----------------------------------------------------------------------------------------------------


def _peers(folder: Path) -> Path | None:
    """An environment with both of them; None where no package index answers."""
    environment = folder / "peers"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    install = [environment / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=180)
    if done.returncode:
        print("(the renderers cannot be installed)", end=" ", file=sys.stderr, flush=True)
        return None
    return environment


def _peer_row(peer: str, limit: float, log: Path, folder: Path, environment: Path, ours: float) -> Row:
    home = folder / f"home-{peer}"
    home.mkdir()
    program = str(environment / "bin" / peer)
    took = []
    for number in range(PEER_ROUNDS):
        copy = home / str(number) / log.name  # one of them keeps a cache beside the log
        copy.parent.mkdir()
        shutil.copy(log, copy)
        words = ["json", copy, "-o", home / f"out{number}"]
        if peer == "claude-code-log":
            words = ["convert", copy, "-o", home / f"out{number}.html"]
        took.append(_seconds([program, *words], home) - _seconds([program, "--version"], home))
    ratio = Spread.of([seconds / ours for seconds in took])
    what = f"the same log, to {peer} rendering it"
    return Row(
        f"ingest-{peer.removeprefix('claude-code-')}",
        what,
        f"{1000 * ours:.0f} ms",
        f"{1000 * Spread.of(took).median:.0f} ms",
        ratio,
        limit,
        wanted="at least",
        details={"seconds": took},
    )


def _seconds(words: list[Any], home: Path) -> float:
    began = time.perf_counter()
    subprocess.run(list(map(str, words)), env={**os.environ, "HOME": str(home)}, capture_output=True, check=True)
    return time.perf_counter() - began


# --- the process that is measured -------------------------------------------------------------------------------------


def child(folder: Path, what: str, log: Path, count: int) -> dict[str, Any]:
    home = folder / f"home-{what}"
    plain = dict.fromkeys(("DATABASE_URL", "REDIS_URL", "MEILI_URL", "FLOWER_HOST", "FLOWER_PUBLIC_URL"), "")
    environment = {**os.environ, **plain, "FLOWER_HOME": str(home), "DJANGO_SETTINGS_MODULE": "flower.settings"}
    environment |= {"MALLOC_ARENA_MAX": "2"}  # as `make up` sets it for the watch
    words = [sys.executable, "-m", "bench.ingest", what, str(log), str(count)]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _begin() -> None:
    import django

    django.setup()
    from django.conf import settings
    from django.core.management import call_command

    from transcripts import ingest

    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    call_command("migrate", verbosity=0)
    ingest.on_events.clear()  # the outline has its own benchmark, and its own process


def speed(log: Path, rounds: int) -> dict[str, Any]:
    _begin()
    import orjson
    from django.db import connection

    from transcripts import ingest
    from transcripts.models import Session

    def ours() -> float:
        Session.objects.all().delete()
        began = time.perf_counter()
        ingest.take(log)
        return time.perf_counter() - began

    def bare() -> float:
        began = time.perf_counter()
        with log.open("rb") as file:
            for line in file:
                orjson.loads(line)
        return time.perf_counter() - began

    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = _database_size()
    pairs = list(in_turns(rounds, ours, bare))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {"pairs": pairs, "size": log.stat().st_size, "stored": _database_size() - before}


def _database_size() -> int:
    from django.conf import settings

    return Path(settings.DATABASES["default"]["NAME"]).stat().st_size


def memory(log: Path, appends: int) -> dict[str, Any]:
    _begin()
    from transcripts import ingest

    small = log.with_name("11111111-bbbb-4ccc-8ddd-eeeeeeeeeeee.jsonl")
    small.write_bytes(b"".join(made_up(SESSION, 1)))
    ingest.take(small)  # whatever is loaded once is loaded
    idle, most = _resident(), [0.0]
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            most[0] = max(most[0], _resident())

    looking = threading.Thread(target=look)
    looking.start()
    began = time.perf_counter()
    ingest.take(log)
    seconds = time.perf_counter() - began
    over.set()
    looking.join()
    took = []
    for number in range(appends):
        with log.open("ab") as file:
            file.write(_prompt(number))
        began = time.perf_counter()
        assert ingest.take(log).new_events == 1
        took.append(time.perf_counter() - began)
    return {"idle": idle, "over": most[0] - idle, "seconds": seconds, "appends": took}


def _resident() -> float:
    """MB of this process's own memory; pages of the database file that the kernel lends it are not among them."""
    found = re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1000


def _prompt(number: int) -> bytes:
    uuid = f"{number:08d}-0000-4000-8000-{time.monotonic_ns() % 10**12:012d}"
    record = {"type": "user", "uuid": uuid, "parentUuid": None, "sessionId": SESSION, "isSidechain": False}
    record |= {"timestamp": "2026-03-25T02:17:20.880Z", "message": {"role": "user", "content": "go on " * 130}}
    return json.dumps(record).encode() + b"\n"


# --- the log ----------------------------------------------------------------------------------------------------------


def write(path: Path, megabytes: int) -> None:
    """A Claude log of this size, in one session."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with path.open("wb") as file:
        for line in _lines():
            size += file.write(line)
            if size >= megabytes * 1_000_000:
                return


def _lines() -> Iterator[bytes]:
    samples = ROOT.parent / "shared" / "transcripts" / "claude"
    logs = sorted(path for path in samples.glob("*.jsonl") if "happy" not in path.name) if samples.is_dir() else []
    number = 0
    while True:
        if logs:
            for log in logs:
                yield from _copied(log, number)
        else:
            yield from made_up(SESSION, number)
        number += 1


def _copied(log: Path, number: int) -> Iterator[bytes]:
    """A real log as a part of our session: other ids in every round, or it would be one history written again."""

    def shift(found: re.Match[bytes]) -> bytes:
        return b'"%s":"%08x' % (found[1], (int(found[2], 16) + number * 7919) % 2**32)

    with log.open("rb") as file:
        for line in file:
            line = re.sub(rb'"(uuid|parentUuid|logicalParentUuid)":"([0-9a-f]{8})', shift, line.rstrip(b"\n"))
            line = re.sub(rb'"sessionId":"[0-9a-f-]{36}"', b'"sessionId":"%s"' % SESSION.encode(), line)
            yield re.sub(rb'"(msg_|toolu_)01', rb'"\g<1>%02d' % (number % 100), line) + b"\n"


if __name__ == "__main__":
    task, where, times = sys.argv[1:]
    print(json.dumps({"speed": speed, "memory": memory}[task](Path(where), int(times))))
