"""recall_brief over raw HTTP, against a bare Django view that makes the same queries (bench/views.py)."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from bench import board
from bench.http import Burst, Link, burst, request, result_of, tool_call
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import System, cpu_seconds, running, web_process

CONNECTIONS = 8
ENTRIES = 20
CALLS = 160  # of one burst: a fraction of a second
ROUNDS = 24
LIMIT = 1.0


def measure(rounds: int = ROUNDS, calls: int = CALLS) -> list[Row]:
    with running("bench.serve") as system:
        token = system.token()
        number = board.brief(system, token, entries=ENTRIES)
        recall = tool_call(token, "recall_brief", {"brief": number})
        bare = request("GET", f"/bench/briefs/{number}")
        page = request("GET", f"/bench/pages/briefs/{number}", Authorization=f"Bearer {token}")
        check(system, recall)
        few = max(1, rounds // 3)
        bare_view, its_page = "a bare Django view with its queries", "that view behind the pages' middleware"
        return [
            compare(system, "recall", f"recall_brief, to {bare_view}", recall, bare, LIMIT, rounds, calls),
            compare(system, "recall-page", f"recall_brief, to {its_page}", recall, page, None, few, calls),
        ]


def check(system: System, recall: bytes) -> None:
    """The answer is the whole brief: what is measured is what was meant to be."""
    link = Link(system.address)
    answer = result_of(link.ask(recall))
    link.close()
    assert len(answer["spec"]) == board.SPEC_LENGTH and len(answer["trace"]) == ENTRIES and not answer["truncated"]


def compare(
    system: System, name: str, what: str, recall: bytes, view: bytes, limit: float | None, rounds: int, calls: int
) -> Row:
    links = [Link(system.address) for _ in range(CONNECTIONS)]
    web = web_process(system)

    def timed(data: bytes) -> Callable[[], tuple[Burst, float]]:
        def run() -> tuple[Burst, float]:
            before = cpu_seconds([web])
            done = burst(links, data, calls)
            return done, cpu_seconds([web]) - before

        return run

    pairs = list(in_turns(rounds, timed(recall), timed(view)))
    for link in links:
        link.close()
    ours, theirs = zip(*pairs, strict=True)
    return Row(
        name,
        what,
        _told(ours, calls),
        _told(theirs, calls),
        Spread.of([one.rate / other.rate for (one, _), (other, _) in pairs]),
        limit,
        wanted="at least",
        details={
            "rates": [[one.rate, other.rate] for (one, _), (other, _) in pairs],
            "server_cpu_ms": [[1000 * a / calls, 1000 * b / calls] for (_, a), (_, b) in pairs],
            "cpu_ratio": statistics.median(b for _, b in theirs) / statistics.median(a for _, a in ours),
            "client_cpu_share": statistics.median(done.client_cpu / done.seconds for done, _ in (*ours, *theirs)),
        },
    )


def _told(bursts: tuple[tuple[Burst, float], ...], calls: int) -> str:
    rate = statistics.median(done.rate for done, _ in bursts)
    return f"{rate:,.0f}/s, {1000 * statistics.median(cpu for _, cpu in bursts) / calls:.2f} ms CPU"
