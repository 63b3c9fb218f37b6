"""Whatever is done to a log, its adapter ends, raises nothing, and tells of nothing twice."""

from __future__ import annotations

import json
import random

import pytest

from tests.transcripts.damage import damage, logs, run
from tests.transcripts.logs import write
from transcripts import ingest
from transcripts.adapters import NoTranscript
from transcripts.models import Session


def test_damaged_logs_are_read():
    assert run(10, seed=random.randrange(10**6), largest=150_000).runs > 20


@pytest.mark.django_db
def test_damaged_logs_are_stored(tmp_path):
    chance = random.Random(7)
    for number in range(12):
        program, lines = chance.choice(logs(40_000))
        name = f"{number:08d}-2222-3333-4444-555555555555.jsonl"
        path = write(tmp_path / program, b"\n".join(damage(lines, chance)), name)
        try:
            taken = ingest.take(path)
        except NoTranscript:
            continue
        assert Session.objects.filter(pk=taken.session).exists()
        assert ingest.take(path).new_events == 0


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":' * 60_000,  # a seam at each: the search for a record in a broken line must not be quadratic
        b"[" * 200_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b'{"type":"user","message":{"content":' + b"9" * 10_000 + b"}}",
        json.dumps({"type": "user", "sessionId": "s", "message": {"content": [[]] * 1000}}).encode(),
    ],
    ids=["seams", "brackets", "depth", "number", "lists"],
)
def test_lines_made_to_hurt(line):
    from transcripts.adapters import open_adapter

    for program in ("claude", "codex"):
        adapter = open_adapter(program, "x.jsonl")
        adapter.feed(1, line)
        assert adapter.counts.records == 1
