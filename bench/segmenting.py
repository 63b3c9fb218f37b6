"""How long the outline of a session takes: cutting and wording 500 steps, beside reading their log from the disk.

The log is made up, and its words differ from piece to piece as those of real work do: a prompt, answers with one to
three calls each, checks, a commit, closing words. Real logs of that size hold ten times as many bytes (tool output), so
that reading them takes longer than here, and segmenting as long. Both are CPU seconds of this process: nothing in them
waits, so that others on the machine do not count.
"""

from __future__ import annotations

import json
import random
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.pairs import Spread, in_turns
from bench.report import Row
from transcripts.adapters import read
from transcripts.segmentation import segment
from transcripts.segmentation.steps import steps_of

BEGIN = datetime(2026, 1, 5, 9, tzinfo=UTC)
STEPS = 500
LIMIT = 0.2  # seconds
ROUNDS = 15
PIECES = 20
OUTPUT = 1500  # bytes of a tool's result: the median of the public logs that we have


def measure(steps: int = STEPS, rounds: int = ROUNDS) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="flower-bench-") as folder:
        path = Path(folder) / "session.jsonl"
        path.write_text("".join(f"{json.dumps(record)}\n" for record in records(steps)))
        size = path.stat().st_size
        events = read(path).events
        count = len(steps_of(events))
        if abs(count - steps) > steps * 0.05:
            raise RuntimeError(f"{count} steps were made instead of {steps}")

        def reading() -> float:
            began = time.process_time()
            read(path)
            return time.process_time() - began

        def segmenting() -> float:
            began = time.process_time()
            segment(events)
            return time.process_time() - began

        pairs = list(in_turns(rounds, segmenting, reading))
        found = len(segment(events))
    ours, theirs = Spread.of([one for one, _ in pairs]), Spread.of([other for _, other in pairs])
    details = {"seconds": [list(pair) for pair in pairs], "segments": found, "bytes": size}
    return [
        Row(
            "segmenting",
            f"the outline of {count} steps ({len(events)} events) by rules: {found} segments; CPU",
            f"{1000 * ours.median:.0f} ms",
            "",
            ours,
            LIMIT,
            unit="s",
            details=details,
        ),
        Row(
            "segmenting-reading",
            f"the same beside reading that log ({size / 1e6:.1f} MB) into events",
            f"{1000 * ours.median:.0f} ms",
            f"{1000 * theirs.median:.0f} ms",
            Spread.of([one / other for one, other in pairs]),
            None,
        ),
    ]


def records(steps: int) -> Iterator[dict[str, Any]]:
    """A Claude Code log of about so many steps."""
    chance = random.Random(7)
    vocabulary = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=chance.randint(4, 9))) for _ in range(600)]
    log = Log()
    for piece in range(PIECES):
        own = vocabulary[25 * piece : 25 * piece + 60]
        paths = [f"/srv/garden/src/{word}.py" for word in own[:8]]
        yield log.user(f"Add the {own[0]} to the {own[1]} so that {' '.join(chance.choices(own, k=20))}")
        for number in range(max(1, steps // PIECES - 2)):
            said = " ".join(chance.choices(own + vocabulary[:40], k=30))
            yield log.assistant([{"type": "text", "text": f"I've changed the {own[number % 20]}: {said}."}])
            for _ in range(chance.randint(1, 3)):
                tool, given = chance.choice(
                    [
                        ("Read", {"file_path": chance.choice(paths)}),
                        ("Edit", {"file_path": chance.choice(paths), "old_string": said, "new_string": said[::-1]}),
                        ("Bash", {"command": "pytest -q", "description": "Run the tests"}),
                    ]
                )
                yield from log.call(tool, given, " ".join(chance.choices(vocabulary, k=OUTPUT // 7)))
        message = f"Add the {own[0]} to the {own[1]}"
        yield from log.call(
            "Bash", {"command": f'git commit -m "{message}"'}, f"[main {piece:07x}] {message}\n 3 files"
        )
        yield log.assistant([{"type": "text", "text": f"Added the {own[0]}; all tests pass. Next: the {own[2]}."}])


class Log:
    """Gives records their ids, parents and times."""

    def __init__(self, session: str = "bench") -> None:
        self.count = 0
        self.session = session

    def user(self, content: Any, **fields: Any) -> dict[str, Any]:
        return self._record("user", {"role": "user", "content": content}, **fields)

    def assistant(self, content: list[dict[str, Any]]) -> dict[str, Any]:
        use = {"input_tokens": 5, "output_tokens": 50, "cache_read_input_tokens": 20_000}
        body = {"id": f"m{self.count}", "role": "assistant", "model": "bench", "content": content, "usage": use}
        return self._record("assistant", body)

    def call(self, tool: str, given: dict[str, Any], output: str) -> Iterator[dict[str, Any]]:
        made = self.assistant([{"type": "tool_use", "id": f"t{self.count}", "name": tool, "input": given}])
        yield made
        yield self.user(
            [{"type": "tool_result", "tool_use_id": made["message"]["content"][0]["id"], "content": output}]
        )

    def _record(self, kind: str, message: dict[str, Any], **fields: Any) -> dict[str, Any]:
        self.count += 1
        return {
            "type": kind,
            "uuid": f"u{self.count}",
            "parentUuid": f"u{self.count - 1}" if self.count > 1 else None,
            "sessionId": self.session,
            "timestamp": (BEGIN + timedelta(seconds=5 * self.count)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "cwd": "/srv/garden",
            "version": "2.1.37",
            "message": message,
            **fields,
        }
