"""The benchmarks' own parts, with tiny counts and without a clock: that they measure what they say."""

from __future__ import annotations

import os
import re
import socket
import struct
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import zstandard
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from bench import http, idle, ingest, made_log, pairs, push, report, serve, system, views
from bench.pairs import Spread
from bench.websocket import Closed, WebSocket
from briefs import trace
from briefs.models import Token
from flower.mcp.registry import catalogue
from tests.factories import identity, make_brief, make_project, operator
from transcripts.adapters import open_adapter
from transcripts.adapters.claude import is_tick

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.django_db
def test_the_bare_view_makes_the_queries_of_recall_brief(tmp_path):
    """By tables: a query that recall_brief gains or loses must be gained or lost by bench/views.py too."""
    brief = make_brief(project=make_project(tmp_path / "repo"), spec="the plan")
    trace.append(brief, trace.Kind.NOTE, actor=operator(), body="a note")
    caller = identity(operator(), Token.Scope.OPERATOR)
    with CaptureQueriesContext(connection) as ours:
        catalogue()["recall_brief"].perform(caller, {"brief": brief.pk})
    with CaptureQueriesContext(connection) as bare:
        answer = views.brief(RequestFactory().get("/"), brief.pk)
    assert tables(bare) == tables(ours)
    assert int(answer.headers["Content-Length"]) == len(answer.content) > 100


def tables(captured: CaptureQueriesContext) -> list[str]:
    return sorted(re.search(r"FROM [\"`](\w+)", query["sql"])[1] for query in captured.captured_queries)


class TestTheClient:
    def test_a_burst_takes_every_answer(self):
        with answering(OK) as server:
            done = http.burst([http.Link(server.address) for _ in range(3)], http.request("GET", "/"), 20)
        assert done.calls == len(server.requests) == 20
        assert done.rate > 0

    def test_an_answer_may_come_in_pieces(self):
        with answering(OK[:20], OK[20:41], OK[41:]) as server:
            assert http.Link(server.address).ask(http.request("GET", "/")) == b"{}"

    @pytest.mark.parametrize("answer", [OK.replace(b"200 OK", b"500 Oh"), b""])
    def test_an_error_is_no_measurement(self, answer):
        with answering(answer) as server, pytest.raises(RuntimeError):
            http.burst([http.Link(server.address)], http.request("GET", "/"), 2)

    def test_a_refused_call_is_told(self):
        refused = b'{"result": {"isError": true, "content": [{"type": "text", "text": "No."}]}}'
        with pytest.raises(RuntimeError, match="No"):
            http.result_of(refused)


class answering:
    """A server on loopback that gives every request the same answer, in these pieces; an empty one hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.requests = pieces, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()

    def __enter__(self) -> answering:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        while data := link.recv(65536):
            self.requests.append(data)
            for piece in self.pieces:
                if not piece:
                    return link.close()
                link.sendall(piece)
        return None


class TestTheWebSocket:
    def socket(self, *chunks: bytes) -> tuple[WebSocket, socket.socket]:
        ours, theirs = socket.socketpair()
        made = WebSocket.__new__(WebSocket)
        made.socket, made.received = ours, bytearray()
        for chunk in chunks:
            theirs.sendall(chunk)
        return made, theirs

    def test_frames_of_every_length_and_in_pieces(self):
        texts = ["", "a", "b" * 126, "ü" * 40_000]
        made, theirs = self.socket()
        data = b"".join(frame(text.encode()) for text in texts)
        threading.Thread(
            target=lambda: [theirs.sendall(data[at : at + 999]) for at in range(0, len(data), 999)]
        ).start()
        found: list[str] = []
        while len(found) < len(texts):
            found += made.frames()
        assert found == texts

    def test_a_ping_is_answered_and_is_no_text(self):
        made, theirs = self.socket(frame(b"hi", 9) + frame(b"x"))
        assert made.frames() == ["x"]
        assert theirs.recv(100) == b"\x8a\x82\0\0\0\0hi"

    def test_a_closed_one_is_told(self):
        made, _ = self.socket(frame(struct.pack("!H", 1011), 8))
        with pytest.raises(Closed):
            made.frames()


def frame(payload: bytes, kind: int = 1) -> bytes:
    if len(payload) < 126:
        return bytes([0x80 | kind, len(payload)]) + payload
    if len(payload) < 65536:
        return bytes([0x80 | kind, 126]) + struct.pack("!H", len(payload)) + payload
    return bytes([0x80 | kind, 127]) + struct.pack("!Q", len(payload)) + payload


class TestPairs:
    def test_the_order_turns_round_and_the_warm_up_is_thrown_away(self):
        made: list[str] = []
        left, right = (lambda name=name: made.append(name) or name for name in "AB")
        assert list(pairs.in_turns(3, left, right)) == [("A", "B")] * 3
        assert "".join(made) == "BAABBAAB"

    def test_a_busy_machine_gets_fewer_rounds(self, monkeypatch):
        monkeypatch.setattr(pairs, "SECONDS", 0.0)
        assert len(list(pairs.in_turns(50, int, int))) == pairs.FEWEST

    def test_p50_to_p50(self):
        found = push.p50_to_p50([([4.0, 6.0], [1.0, 3.0])] * 20)
        assert (found.median, found.count) == (2.5, 10)


@pytest.mark.parametrize(
    ("seen", "count"),
    [([5, 6, 7], 0), ([5, 7], 1), ([5, 6, 6, 7], 1), ([6, 5, 7], 1), ([], 3), ([5, 6, 7, 5], 2)],
)
def test_whatever_is_missed_doubled_or_out_of_order_is_counted(seen, count):
    assert push.faults(seen, 5, 7) == count


class TestTheTable:
    def row(self, median: float, limit: float | None = 2.0, **more: object) -> report.Row:
        return report.Row("name", "what", "4 ms", "2 ms", Spread(1.0, median, 3.0, 5), limit, **more)

    def test_the_verdict(self):
        assert self.row(2.0).verdict == self.row(2.0, wanted="at least").verdict == "ok"
        assert self.row(2.1).verdict == self.row(1.9, wanted="at least").verdict == "OVER"
        assert self.row(99.0, limit=None).verdict == ""

    def test_it_tells_ratio_spread_and_limit(self):
        (_, _, line) = report.table([self.row(1.5)]).splitlines()
        assert re.search(r"^name +what +4 ms +2 ms +1\.50 x \(1 to 3, n=5\) +≤ 2 x +ok$", line)

    def test_the_results_are_kept(self, tmp_path, monkeypatch):
        monkeypatch.setattr(report, "RESULTS", tmp_path / "results.json")
        report.save([self.row(1.5, details={"seconds": [1.0]})], {"up": "no"}, datetime.now(UTC))
        assert '"median": 1.5' in (tmp_path / "results.json").read_text()


def test_what_processes_use_can_be_read():
    assert os.getpid() in system.family(os.getpid())
    assert system.cpu_seconds([os.getpid()]) > 0
    assert system.memory(os.getpid()) > 1_000_000


def test_the_baselines_are_served_by_the_web_process_of_the_real_table(tmp_path):
    own = system.System(tmp_path, 1)
    table = serve.programs_with_baselines(serve.up.env.read(own.environment))
    real = serve.programs(serve.up.env.read(own.environment))
    changed = [(one.name, one.argv) for one, other in zip(table, real, strict=True) if one.argv != other.argv]
    ((name, argv),) = changed
    assert name == "web" and serve.WITH_BASELINES in argv


def test_idle_names_each_process(tmp_path, monkeypatch):
    (tmp_path / "web.pid").write_text("7\n")
    monkeypatch.setattr(system, "run_folder", lambda _: tmp_path)
    own = system.System(tmp_path, 1, process=SimpleNamespace(pid=3))
    assert [idle.name_of(own, pid) for pid in (7, 3, 9)] == ["web", "up", "process 9"]


def test_the_made_up_log_has_the_proportions_of_real_ones():
    """Those that the speed and the size of what is stored depend on, within a fifth or so."""
    lines = [line for number in range(4) for line in made_log.made_up(ingest.SESSION, number)]
    adapter = open_adapter("claude", f"{ingest.SESSION}.jsonl")
    events = [event for number, line in enumerate(lines, 1) for event in adapter.feed(number, line[:-1])]
    counts = adapter.counts
    assert (counts.invalid, counts.unknown, counts.odd, counts.repeated) == (0, 0, 0, 0)
    assert 0.40 < sum(is_tick(line[:-1]) for line in lines) / len(lines) < 0.52
    assert 0.42 < len(events) / len(lines) < 0.55
    whole = b"".join(lines)
    assert 2000 < len(whole) / len(lines) < 3000
    results = sum(len(line) for line in lines if b'"toolUseResult":' in line)
    assert 0.5 < results / len(whole) < 0.7
    shrunk = sum(len(zstandard.compress(whole[at : at + 400_000], 1)) for at in range(0, len(whole), 400_000))
    assert 4.8 < len(whole) / shrunk < 7
    assert lines == [line for number in range(4) for line in made_log.made_up(ingest.SESSION, number)]
