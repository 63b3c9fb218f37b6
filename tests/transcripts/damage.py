"""Damaged logs: cut, reordered, doubled, bit-flipped lines; for seconds in the suite, for minutes in the benchmark."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from tests.transcripts.logs import SAMPLES, claude_log, codex_log, dump
from transcripts.adapters import open_adapter
from transcripts.adapters.adapter import read_whole

SLOWEST = 20.0  # seconds for one damaged log: a loop, not a slow machine


def logs(largest: int) -> list[tuple[str, list[bytes]]]:
    """(program, lines): the made-up ones, and the real ones up to a size where they are there."""
    found = [("claude", dump(*claude_log()).split(b"\n")), ("codex", dump(*codex_log()).split(b"\n"))]
    for path in sorted(SAMPLES.glob("*/*.jsonl")) if SAMPLES.is_dir() else ():
        if path.stat().st_size <= largest and "not-a" not in path.name:
            found.append((path.parent.name, path.read_bytes().split(b"\n")))
    return found


def damage(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """A copy of the lines with a few things done to it."""
    lines = list(lines)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(lines))
        line = lines[at]
        match chance.randrange(9):
            case 0:
                lines[at] = line[: chance.randrange(len(line) + 1)]
            case 1:
                lines[at] = line[chance.randrange(len(line) + 1) :]
            case 2:
                lines.insert(chance.randrange(len(lines)), line)
            case 3:
                other = chance.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 4 if line:
                flipped = bytearray(line)
                for _ in range(chance.randint(1, 8)):
                    flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
                lines[at] = bytes(flipped)
            case 5:
                lines[at : at + 2] = [b"".join(lines[at : at + 2])]
            case 6:
                values = [b"null", b"[]", b"{}", b"7", b'"x"', b"true", b"1e400", b"-1", b"[null]", b'{"a": [1]}']
                parts = line.split(b":")
                if len(parts) > 2:
                    place = chance.randrange(1, len(parts))
                    rest = parts[place].partition(b",")
                    parts[place] = chance.choice(values) + rest[1] + rest[2]
                    lines[at] = b":".join(parts)
            case 7:
                lines[at] = line.replace(b" ", b"\\ud800", 1).replace(b"a", b"\\u0000", 1)
            case 8:
                lines[at] = chance.randbytes(chance.randrange(200)).replace(b"\n", b"")
    return lines


@dataclass
class Report:
    runs: int = 0
    slowest: float = 0.0
    odd: int = 0  # records with values of unforeseen types


def run(seconds: float, seed: int, largest: int) -> Report:
    """Damage and read until the time is over. Raises what an adapter raises, AssertionError for a wrong answer."""
    chance = random.Random(seed)
    whole, report = logs(largest), Report()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        program, lines = chance.choice(whole)
        broken = damage(lines, chance)
        begun = time.monotonic()
        found = read_whole(open_adapter(program, "x.jsonl"), broken)
        took = time.monotonic() - begun
        assert took < SLOWEST, f"{took:.0f} s for a damaged log"
        assert len(found.events) == found.counts.events
        assert len({event.key for event in found.events}) == len(found.events)
        for event in found.events:
            event.text.encode()
            assert "\0" not in event.text
            assert 0 < event.line <= len(broken)
        report.runs += 1
        report.slowest = max(report.slowest, took)
        report.odd += found.counts.odd
    return report
