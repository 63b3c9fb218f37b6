"""A trace entry on its way to the browsers, against a bare group_send on the same layer to a bare consumer.

Three questions: how long one reader waits, how long twenty wait, and whether any of twenty ever misses an entry, gets
one twice or in the wrong order, while one of them is cut off every second and comes back with the last number it has.
"""

from __future__ import annotations

import asyncio
import re
import selectors
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain, pairwise

from channels_redis.pubsub import RedisPubSubChannelLayer

from bench import board
from bench.consumers import GROUP
from bench.http import Link, request, result_of, tool_call
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import System, run_folder, running
from bench.websocket import WebSocket

LIMIT = 3.0
PAIRS = 150
PAIRS_OF_MANY = 60
MANY = 20
ENTRIES = 20  # on the trace before the first post
POSTS = 1000
POSTERS = 4  # connections that post at the same time
PER_SECOND = 60.0  # posts: a busy minute of a whole team, and long enough for many cuts
CUT_SECONDS = 1.0
PATIENCE = 30.0
_SEQ = re.compile(r'<li [^>]*id="trace-(\d+)"')


def measure(
    pairs: int = PAIRS, pairs_of_many: int = PAIRS_OF_MANY, posts: int = POSTS, per_second: float = PER_SECOND
) -> list[Row]:
    with running("bench.serve") as system:
        token = system.token()
        number = board.brief(system, token, entries=ENTRIES)
        side = Sides(system, token, number)
        door, raw = "a request that does one bare group_send", "a bare group_send out of another process"
        rows = [
            side.compare("push", f"a post to 1 socket, to {door}", 1, pairs, side.hint_by_view, LIMIT),
            side.compare(f"push-{MANY}", f"the same to {MANY} sockets", MANY, pairs_of_many, side.hint_by_view, LIMIT),
            side.compare("push-raw", f"a post to 1 socket, to {raw}", 1, pairs, side.hint, None),
        ]
        side.close()
        return [*rows, missed(system, token, number, posts, per_second)]


class Sides:
    """One side posts entries as an agent does (brief_append at /mcp); the other sends bare hints."""

    def __init__(self, system: System, token: str, brief: int) -> None:
        self.system, self.token, self.brief = system, token, brief
        self.link = Link(system.address)
        self.seq = ENTRIES
        self.hints = 0
        # The layer of a process beside web, such as the worker: one client, kept open.
        self.loop = asyncio.new_event_loop()
        self.layer = RedisPubSubChannelLayer(hosts=[f"unix://{run_folder(system)}/q.sock"], prefix="flower")

    def compare(
        self, name: str, what: str, sockets: int, pairs: int, bare: Callable[[], str], limit: float | None
    ) -> Row:
        readers = [self.open(f"/ws/briefs/{self.brief}/?after={self.seq}") for _ in range(sockets)]
        listeners = [self.open("/ws/bench/") for _ in range(sockets)]
        time.sleep(0.3)  # until every consumer has joined its group
        found = list(
            in_turns(
                pairs,
                lambda: self.until_all_have_it(readers, self.post),
                lambda: self.until_all_have_it(listeners, bare),
                warm_up=10,
            )
        )
        for socket in (*readers, *listeners):
            socket.close()
        ours, theirs = ([seconds for times in side for seconds in times] for side in zip(*found, strict=True))
        details = {"p50_ms": [_ms(ours, 50), _ms(theirs, 50)], "p99_ms": [_ms(ours, 99), _ms(theirs, 99)]}
        return Row(name, what, _told(ours), _told(theirs), p50_to_p50(found), limit, details=details)

    def close(self) -> None:
        self.link.close()
        self.loop.run_until_complete(self.layer.flush())
        self.loop.close()

    def open(self, path: str) -> WebSocket:
        return WebSocket(self.system.address, path, self.token)

    def post(self) -> str:
        self.seq += 1
        call = tool_call(self.token, "brief_append", {"brief": self.brief, "body": board.NOTE.format(self.seq)})
        self.link.send(call)
        return f'id="trace-{self.seq}"'

    def hint(self) -> str:
        self.hints += 1
        self.loop.run_until_complete(self.layer.group_send(GROUP, {"type": "bare.hint", "number": self.hints}))
        return str(self.hints)

    def hint_by_view(self) -> str:
        self.hints += 1
        self.link.send(request("GET", f"/bench/hints/{self.hints}"))
        return str(self.hints)

    def until_all_have_it(self, sockets: list[WebSocket], send: Callable[[], str]) -> list[float]:
        """Send one, and take the seconds until each socket has it. What answers the sender is read afterwards."""
        times: list[float] = []
        with selectors.DefaultSelector() as selector:
            for socket in sockets:
                selector.register(socket, selectors.EVENT_READ, socket)
            begun = time.perf_counter()
            mark = send()
            while len(times) < len(sockets):
                ready = selector.select(PATIENCE)
                if not ready:
                    raise RuntimeError(f"{mark} did not come in {PATIENCE:g} s")
                for key, _ in ready:
                    if any(mark in frame for frame in key.data.frames()):
                        times.append(time.perf_counter() - begun)
        if send != self.hint:
            while self.link.receive() is None:
                pass
        return times


def p50_to_p50(pairs: list[tuple[list[float], list[float]]]) -> Spread:
    """The ratio of both sides' medians over the whole run; lowest and highest are those of its tenths."""

    def ratio(part: list[tuple[list[float], list[float]]]) -> float:
        ours, theirs = (statistics.median(chain.from_iterable(side)) for side in zip(*part, strict=True))
        return ours / theirs

    step = max(1, len(pairs) // 10)
    tenths = [ratio(pairs[at : at + step]) for at in range(0, len(pairs), step)]
    return Spread(min(tenths), ratio(pairs), max(tenths), len(tenths))


def _ms(times: list[float], percent: int) -> float:
    return round(1000 * sorted(times)[min(len(times) - 1, len(times) * percent // 100)], 2)


def _told(times: list[float]) -> str:
    return f"p50 {_ms(times, 50):.1f} ms, p99 {_ms(times, 99):.1f}"


# --- nothing missed ---------------------------------------------------------------------------------------------------


@dataclass
class Reader:
    """A browser on the brief's page. ``seen`` holds every number that it was ever sent, over all its connections."""

    system: System
    token: str
    path: str
    last: int
    seen: list[int] = field(default_factory=list)
    connections: int = 0
    socket: WebSocket | None = None

    def connect(self, selector: selectors.BaseSelector) -> None:
        self.socket = WebSocket(self.system.address, f"{self.path}?after={self.last}", self.token)
        self.connections += 1
        selector.register(self.socket, selectors.EVENT_READ, self)
        self._take(self.socket.complete_frames())  # what came along with the handshake's answer

    def read(self) -> None:
        assert self.socket
        self._take(self.socket.frames())

    def _take(self, frames: list[str]) -> None:
        for frame in frames:
            self.seen += [int(seq) for seq in _SEQ.findall(frame)]
        self.last = self.seen[-1] if self.seen else self.last

    def cut(self, selector: selectors.BaseSelector) -> None:
        assert self.socket
        selector.unregister(self.socket)
        self.socket.cut()


def faults(seen: list[int], first: int, last: int) -> int:
    """How many numbers are missing, come twice, or come before a smaller one."""
    missing = len(set(range(first, last + 1)) - set(seen))
    twice = len(seen) - len(set(seen))
    disordered = sum(later < earlier for earlier, later in pairwise(seen))
    return missing + twice + disordered


def missed(system: System, token: str, brief: int, posts: int, per_second: float) -> Row:
    link = Link(system.address)
    begin: int = link.call(token, "recall_brief", brief=brief, include=["trace"])["trace"][0]["seq"]
    link.close()
    end = begin + posts
    readers = [Reader(system, token, f"/ws/briefs/{brief}/", begin) for _ in range(MANY)]
    with selectors.DefaultSelector() as selector:
        for reader in readers:
            reader.connect(selector)
        poster = threading.Thread(target=post_all, args=(system, token, brief, posts, per_second), daemon=True)
        poster.start()
        begun = time.monotonic()
        next_cut, deadline = begun + CUT_SECONDS, None
        while any(reader.last < end for reader in readers):
            for key, _ in selector.select(0.05):
                key.data.read()
            if time.monotonic() >= next_cut and poster.is_alive():
                readers[0].cut(selector)
                readers[0].connect(selector)
                next_cut += CUT_SECONDS
            if not poster.is_alive():
                deadline = deadline or time.monotonic() + PATIENCE
                if time.monotonic() > deadline:
                    break  # what is not there now is missed
        seconds = time.monotonic() - begun
    for reader in readers:
        assert reader.socket
        reader.socket.close()
    wrong = [faults(reader.seen, begin + 1, end) for reader in readers]
    return Row(
        "push-missed",
        f"{posts} posts to {MANY} sockets, one cut off every {CUT_SECONDS:g} s: gaps, doubles, disorder",
        f"{sum(wrong)} of {posts * MANY:,}",
        f"{readers[0].connections} connections in {seconds:.0f} s",
        Spread.of([float(sum(wrong))]),
        0.0,
        unit="faults",
        details={"faults_by_socket": wrong, "received": [len(reader.seen) for reader in readers]},
    )


def post_all(system: System, token: str, brief: int, posts: int, per_second: float) -> None:
    """Post so many entries at that rate over a few connections: several are on their way at once."""
    links = [Link(system.address) for _ in range(POSTERS)]
    begun = time.monotonic()
    for first in range(0, posts, POSTERS):
        batch = links[: min(POSTERS, posts - first)]
        for number, link in enumerate(batch):
            link.send(tool_call(token, "brief_append", {"brief": brief, "body": board.NOTE.format(first + number)}))
        for link in batch:
            while (body := link.receive()) is None:
                pass
            result_of(body)
        time.sleep(max(0.0, begun + (first + POSTERS) / per_second - time.monotonic()))
    for link in links:
        link.close()
