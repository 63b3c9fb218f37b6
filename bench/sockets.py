"""What a trace entry costs the web process for each of many who look on, against passing a ready text on.

Both sides get one hint an entry over the same layer, from a process beside web, and send one text of about the same
length to 200 sockets. flower's consumer reads and renders the entry once, knows what each socket has, and counts it;
the bare one sends a constant.
"""

from __future__ import annotations

import asyncio
import selectors
import subprocess
import sys
import time
from collections.abc import Callable

from channels_redis.pubsub import RedisPubSubChannelLayer

from bench.consumers import GROUP, READY
from bench.http import Link
from bench.pairs import Spread, in_turns
from bench.push import PATIENCE
from bench.report import Row
from bench.system import ROOT, System, cpu_seconds, run_folder, running, web_process
from bench.websocket import WebSocket

LIMIT = 1.5
SOCKETS = 200
ENTRIES = 30  # of one measurement: 6,000 deliveries, about a second of CPU
ROUNDS = 9

WRITE = """
import sys
from briefs.models import Brief
from briefs.services import actors, briefs
brief, actor = Brief.objects.get(pk={brief}), actors.named("bench-writer", "agent")
print("ready", flush=True)
while line := sys.stdin.readline():
    print(briefs.note(brief, "Step done: the test passes, the old way is gone. " * 3, actor=actor), flush=True)
"""


def measure(rounds: int = ROUNDS, entries: int = ENTRIES, sockets: int = SOCKETS) -> list[Row]:
    with running("bench.serve") as system:
        token = system.token()
        link = Link(system.address)
        number = link.call(token, "brief_create", body="Watched by many")["brief"]
        with Writer(system, number) as writer:
            ours = Crowd(system, token, f"/ws/briefs/{number}/", sockets, writer.write, "trace-")
            hint = Hinter(system)
            bare = Crowd(system, token, "/ws/bench/", sockets, hint.send, READY[:20])
            pairs = list(in_turns(rounds, lambda: ours.cost(entries), lambda: bare.cost(entries), warm_up=2))
            for crowd in (ours, bare):
                crowd.leave()
        link.close()
    ratio = Spread.of([one / other for one, other in pairs])
    mine, theirs = (sorted(side)[len(pairs) // 2] * 1e6 for side in zip(*pairs, strict=True))
    what = f"web's CPU per entry and socket with {sockets} sockets, to a consumer that sends a ready text"
    return [Row("sockets", what, f"{mine:.0f} µs", f"{theirs:.0f} µs", ratio, LIMIT, details={"seconds": pairs})]


class Writer:
    """A process beside web, as the worker is, that writes an entry when it is told to."""

    def __init__(self, system: System, brief: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "shell", "-v", "0", "-c", WRITE.format(brief=brief)],
            cwd=ROOT,
            env=system.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout and self.process.stdout.readline() == "ready\n"

    def __enter__(self) -> Writer:
        return self

    def write(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.stdout.readline()

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)


class Hinter:
    """The same layer, kept open, for the bare side."""

    def __init__(self, system: System) -> None:
        self.loop = asyncio.new_event_loop()
        self.layer = RedisPubSubChannelLayer(hosts=[f"unix://{run_folder(system)}/q.sock"], prefix="flower")

    def send(self) -> None:
        message = {"type": "bare.ready", "brief": 1, "seq": 1, "at": time.time()}
        self.loop.run_until_complete(self.layer.group_send(GROUP, message))


class Crowd:
    """Many sockets on one group."""

    def __init__(self, system: System, token: str, path: str, count: int, send: Callable[[], None], mark: str) -> None:
        self.pid = web_process(system)
        self.send, self.mark = send, mark
        self.sockets = [WebSocket(system.address, path, token) for _ in range(count)]
        time.sleep(1.0)  # until every consumer has joined its group

    def cost(self, entries: int) -> float:
        """Seconds of web's CPU for each delivery of so many entries."""
        with selectors.DefaultSelector() as selector:
            for socket in self.sockets:
                selector.register(socket, selectors.EVENT_READ, socket)
            began = cpu_seconds([self.pid])
            for _ in range(entries):
                self.send()
                waiting = len(self.sockets)
                while waiting > 0:
                    ready = selector.select(PATIENCE)
                    if not ready:
                        raise RuntimeError(f"{waiting} sockets got nothing in {PATIENCE:g} s")
                    for key, _events in ready:
                        waiting -= sum(self.mark in frame for frame in key.data.frames())
            return (cpu_seconds([self.pid]) - began) / entries / len(self.sockets)

    def leave(self) -> None:
        for socket in self.sockets:
            socket.close()
