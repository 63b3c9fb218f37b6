"""The brief page: as quick with ten thousand entries as with twenty, and its spec out of memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from bench.http import Link, page_time, request
from bench.pairs import Spread, in_turns
from bench.report import Row
from bench.system import running

LIMIT = 1.3
SPEC_LIMIT = 2.0  # ms
FEW, MANY = 20, 10_000
ROUNDS = 15
CALLS = 6

FILL = """
from django.db import transaction
from briefs import trace
from briefs.services import actors, briefs, specs
trace.live.publish = lambda *_, **__: None  # nobody looks on
actor = actors.named("bench-writer", "agent")
for length in ({few}, {many}):
    with transaction.atomic():
        brief = briefs.capture(f"With {{length}} entries", actor=actor)
        specs.update(brief, "# Plan" + chr(10) * 2 + "Do it, step by step. " * 40, base_version=0, actor=actor)
        while briefs.note(brief, "The test passes, the old way is gone. " * 4, actor=actor) < length:
            pass
    print(brief.pk)
"""


def measure(rounds: int = ROUNDS, calls: int = CALLS, many: int = MANY) -> list[Row]:
    with running() as system:
        token = system.token()
        few, long = system.command("shell", "-v", "0", "-c", FILL.format(few=FEW, many=many)).split()
        link = Link(system.address)

        def timed(path: str) -> Callable[[], tuple[float, int]]:
            data = request("GET", path, Authorization=f"Bearer {token}")

            return lambda: page_time(link, data, calls)

        what = f"the brief page with {many:,} entries, to {FEW}"
        rows = [_compare("page", what, timed(f"/briefs/{long}/"), timed(f"/briefs/{few}/"), rounds)]
        middle, near = timed(f"/briefs/{long}/trace/?before={many // 2}"), timed(f"/briefs/{long}/trace/?before={many}")
        rows.append(
            _compare("page-earlier", "fifty earlier entries in the middle, to the newest", middle, near, rounds)
        )
        link.close()
    return [*rows, spec(), notes()]


def _compare(
    name: str,
    what: str,
    many: Callable[[], tuple[float, int]],
    few: Callable[[], tuple[float, int]],
    rounds: int,
) -> Row:
    pairs = list(in_turns(rounds, many, few))
    ours, theirs = (statistics.median(time for time, _ in side) for side in zip(*pairs, strict=True))
    sizes = [pairs[-1][0][1], pairs[-1][1][1]]
    ratio = Spread.of([one[0] / other[0] for one, other in pairs])
    return Row(name, what, f"{1000 * ours:.1f} ms", f"{1000 * theirs:.1f} ms", ratio, LIMIT, details={"bytes": sizes})


def spec(length: int = 30_000) -> Row:
    """A spec of 30 KB that was rendered before, as a new string each time, as the database gives it."""
    from core import markdown

    words = "## Part\n\nSome **words** about #12 and `code`, for @mike.\n\n"
    part = words + "- [x] one\n- [ ] two\n\n```python\nx = 1\n```\n\n"
    text = (part * (length // len(part) + 1))[:length]
    names = markdown.Names({12: "Another one"}, {"mike": ("/briefs/1/?actor=operator:mike", "operator:mike")})
    began = time.perf_counter()
    markdown.render(text, names)
    first = time.perf_counter() - began
    times = []
    for _ in range(200):
        fresh = text.encode().decode()
        began = time.perf_counter()
        markdown.render(fresh, names)
        times.append(1000 * (time.perf_counter() - began))
    spread = Spread.of(times)
    what = "a spec of 30 KB, rendered before"
    return Row(
        "page-spec", what, f"{spread.median:.2f} ms", f"{1000 * first:.0f} ms anew", spread, SPEC_LIMIT, unit="ms"
    )


def notes(count: int = 50, rounds: int = ROUNDS) -> Row:
    """The notes of a page that nobody has looked at: by a render process in one go, to the same parser in here."""
    from core import render_process, rendering

    note = "Note {0}: the test `x{0}` passes, **done** for #12.\n\n- a\n- b\n\n"
    texts = [note.format(number) * 3 for number in range(count)]

    def timed(render: Callable[[], object]) -> Callable[[], float]:
        def measured() -> float:
            began = time.perf_counter()
            render()
            return time.perf_counter() - began

        return measured

    ours = timed(lambda: rendering.render(texts))
    theirs = timed(lambda: [render_process.render(text) for text in texts])
    pairs = list(in_turns(rounds, ours, theirs))
    medians = [1000 * statistics.median(side) for side in zip(*pairs, strict=True)]
    ratio = Spread.of([one / other for one, other in pairs])
    what = f"{count} notes in a render process, to the same parser in this one"
    return Row("page-notes", what, f"{medians[0]:.1f} ms", f"{medians[1]:.1f} ms", ratio, None)
