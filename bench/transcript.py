"""The transcript page: ten thousand events open as fast as a hundred, wherever in them one lands.

The logs are alike but for their length, and are taken as any log is. A page has a hundred events in both.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.http import Link, page_time, request
from bench.page import _compare
from bench.report import Row
from bench.system import running

FEW, MANY = 100, 10_000  # events
ROUNDS = 12
CALLS = 5


def measure(rounds: int = ROUNDS, calls: int = CALLS, many: int = MANY) -> list[Row]:
    with running() as system, tempfile.TemporaryDirectory() as folder:
        token = system.token()
        few, long = (_taken(system.command, Path(folder), events) for events in (FEW, many))
        link = Link(system.address)

        def timed(path: str) -> Callable[[], tuple[float, int]]:
            data = request("GET", path, Authorization=f"Bearer {token}", Accept="text/html")

            return lambda: page_time(link, data, calls)

        what = f"the transcript of {many:,} events, to {FEW}"
        rows = [_compare("transcript", what, timed(f"/sessions/{long}/"), timed(f"/sessions/{few}/"), rounds)]
        middle = timed(f"/sessions/{long}/?after={many // 2}")
        what = "a hundred events in the middle, to the first hundred"
        rows.append(_compare("transcript-middle", what, middle, timed(f"/sessions/{long}/?begin=1"), rounds))
        link.close()
    return rows


def _taken(command: Callable[..., str], folder: Path, events: int) -> int:
    log = folder / f"bench-{events}.jsonl"
    records = (_record(log.stem, number) for number in range(events))
    log.write_text("".join(json.dumps(record) + "\n" for record in records))
    return int(json.loads(command("ingest_transcripts", str(log)))["session"])


def _record(session: str, number: int) -> dict[str, object]:
    """Of three: what the agent says, a call, its result of a kilobyte."""
    step, which = divmod(number, 3)
    content: list[dict[str, object]]
    if which == 0:
        content = [{"type": "text", "text": f"Step {step}: now the next part. " + "Words of an agent. " * 20}]
    elif which == 1:
        given = {"command": f"make part-{step}", "description": "Make a part"}
        content = [{"type": "tool_use", "id": f"t{step}", "name": "Bash", "input": given}]
    else:
        content = [{"type": "tool_result", "tool_use_id": f"t{step}", "content": "a line of output\n" * 60}]
    role = "user" if which == 2 else "assistant"
    return {
        "type": role, "uuid": f"00000000-0000-4000-8000-{number:012}", "sessionId": session, "cwd": "/w",
        "version": "2.1.0", "timestamp": f"2026-03-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "message": {"role": role, "content": content, **({"id": f"m{number}"} if role == "assistant" else {})},
    }  # fmt: skip
