"""Made-up sessions in the database, as ingest would leave them."""

from __future__ import annotations

from collections.abc import Sequence

import zstandard
from django.utils import timezone

from tests.transcripts.building import Log
from transcripts import blocks
from transcripts.events import Event
from transcripts.models import Block, LogFile, Session


def session(log: Log, **fields) -> Session:
    """A session with one log of these events."""
    number = Session.objects.count() + 1
    made = Session.objects.create(
        program="claude", session_id=f"made-{number}", started_at=timezone.now(), active_at=timezone.now(), **fields
    )
    LogFile.objects.create(session=made, path=f"/logs/{number}.jsonl", path_key=f"{number}")
    grow(made, log.events)
    return made


def grow(made: Session, events: Sequence[Event]) -> None:
    """Let the session have these events, which begin with those that it has."""
    row = made.log_files.get(agent="")
    compressor = zstandard.ZstdCompressor(level=1)
    new = list(events[row.events :])
    if new:
        builder = blocks.Builder(row.events + 1, 0, new[0].line)
        for event in new:
            builder.add(event.line, b'{"made": "up"}', [event])
        Block.objects.create(
            file=row,
            first=builder.first,
            last=builder.last,
            first_line=builder.first_line,
            last_line=builder.last_line,
            offset=0,
            size=builder.size,
            index=builder.index(compressor),
            keys=b"",
            payload=compressor.compress(builder.payload()),
        )
    row.events = made.events = len(events)
    row.save()
    made.save(update_fields=["events"])
