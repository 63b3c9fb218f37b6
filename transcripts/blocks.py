"""Blocks: events and their raw lines, packed together.

In a payload each source line that gave events is two lines: the events as JSON (lists of values), then the raw
line as the program wrote it. They stand side by side because they share their text: what compresses the raw line has
just seen it. Raw lines are kept since programs remove their logs; those that gave no event (a third of Claude Code's
records are ticks) are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import orjson
import zstandard

from transcripts.adapters import Amendment
from transcripts.events import Commit, Event, Kind, Status, Todo, Touch, Usage, Verb

FULL: Final = 384 * 1024  # bytes before compression: unpacking one takes under a millisecond
FULL_EVENTS: Final = 400
RAW_LIMIT: Final = 4 * 1024 * 1024  # a longer raw line is not kept: the database's packets are bounded
TEXT_LIMIT: Final = 1_000_000  # characters of one event
LEVEL: Final = 1  # level 3 saves 5 % of the size and takes twice as long

LETTERS: Final = {
    Kind.PROMPT: "p", Kind.COMMAND: "o", Kind.ANSWER: "a", Kind.THINKING: "t", Kind.CALL: "c", Kind.RESULT: "r",
    Kind.COMPACTION: "x", Kind.INTERRUPTION: "i", Kind.SYSTEM: "s", Kind.TITLE: "n",
}  # fmt: skip
KINDS: Final = {letter: kind for kind, letter in LETTERS.items()}


@dataclass(slots=True)
class Index:
    """Of the events of one block, position by position: what a time line and a search for errors need."""

    kinds: str
    at: list[int | None]  # milliseconds since 1970
    context: list[int]  # tokens that the model saw; 0 where none is told
    errors: list[int]  # positions
    commits: list[int]
    agents: list[int]  # positions of events of sub-agents that stand in the main log


@dataclass(slots=True)
class Builder:
    """A block in the making, or one that is being changed."""

    first: int
    offset: int
    first_line: int
    last_line: int = 0
    size: int = 0
    events: list[Event] = field(default_factory=list)
    lines: list[tuple[int, bytes]] = field(default_factory=list)  # how many events, raw
    keys: list[bytes] = field(default_factory=list)
    is_stored: bool = False  # there is a row for it
    is_dirty: bool = False  # which does not say all

    @property
    def last(self) -> int:
        return self.first + len(self.events) - 1

    @property
    def is_full(self) -> bool:
        return self.size >= FULL or len(self.events) >= FULL_EVENTS

    def add(self, line: int, raw: bytes, events: list[Event]) -> None:
        if len(raw) > RAW_LIMIT:
            raw = b""
        size = len(raw)
        for event in events:
            if len(event.text) > TEXT_LIMIT:
                event.data["cut"] = len(event.text)
                event.text = event.text[:TEXT_LIMIT]
            size += len(event.text)
        self.events += events
        self.lines.append((len(events), raw))
        self.last_line = line
        self.size += size
        self.is_dirty = True

    def emptied(self) -> Builder:
        """Only what it is, without what is in it."""
        return Builder(self.first, self.offset, self.first_line, self.last_line, self.size, is_stored=self.is_stored)

    def amend(self, amendment: Amendment) -> None:
        event = self.events[amendment.number - self.first]
        for name, value in amendment.changes.items():
            setattr(event, name, value)
        self.is_dirty = True

    def payload(self) -> bytes:
        """Not compressed yet."""
        parts: list[bytes] = []
        rows = map(row_of, self.events)
        for count, raw in self.lines:
            parts.append(orjson.dumps(list(islice(rows, count))))
            parts.append(raw)
        return b"\n".join(parts)

    def index(self, compressor: zstandard.ZstdCompressor) -> bytes:
        events = self.events
        found: dict[str, Any] = {
            "k": "".join([LETTERS[event.kind] for event in events]),
            "t": [event.at for event in events],
            "c": [[i, event.usage.context] for i, event in enumerate(events) if event.usage and not event.agent],
            "e": [i for i, event in enumerate(events) if event.is_failure],
            "m": [i for i, event in enumerate(events) if event.commits],
            "a": [i for i, event in enumerate(events) if event.agent],
        }
        return compressor.compress(orjson.dumps(found))


def pack(value: Any) -> bytes:
    """JSON, compressed."""
    return zstandard.ZstdCompressor(level=LEVEL).compress(orjson.dumps(value))


def unpack(packed: bytes | memoryview[int]) -> Any:
    return orjson.loads(zstandard.ZstdDecompressor().decompress(bytes(packed)))


def index_of(packed: bytes | memoryview[int]) -> Index:
    found = unpack(packed)
    context = [0] * len(found["k"])
    for place, tokens in found["c"]:
        context[place] = tokens
    return Index(found["k"], found["t"], context, found["e"], found["m"], found["a"])


Row = list[Any] | dict[str, Any]


def pairs_of(payload: bytes | memoryview[int]) -> Iterator[tuple[list[Row], bytes]]:
    """(events as plain values, raw line) for each line of a block."""
    parts = zstandard.ZstdDecompressor().decompress(bytes(payload)).split(b"\n")
    for place in range(0, len(parts) - 1, 2):
        yield orjson.loads(parts[place]), parts[place + 1]


def events_of(payload: bytes | memoryview[int]) -> list[Event]:
    return [event_of(row) for rows, _ in pairs_of(payload) for row in rows]


def row_of(event: Event) -> tuple[Any, ...]:
    """An event as it is stored. Names would take half of the time and of the bytes; a new value goes to the end."""
    usage = event.usage
    return (
        event.line,
        LETTERS[event.kind],
        event.key,
        event.text,
        event.at,
        event.agent,
        event.message,
        event.model,
        event.tool,
        event.call,
        event.command,
        event.is_error,
        event.exit_code,
        event.touches and [(touch.path, touch.verb) for touch in event.touches],
        event.commits and [_commit_row(commit) for commit in event.commits],
        event.todos and [(todo.text, todo.status) for todo in event.todos],
        event.plan_accepted,
        usage and tuple(usage),
        event.window,
        event.data,
    )


def _commit_row(commit: Commit) -> tuple[str | bool, ...]:
    return (commit.sha, commit.subject, True) if commit.amends else (commit.sha, commit.subject)


def event_of(row: Row) -> Event:
    if isinstance(row, dict):
        return _event_with_names(row)
    event = Event(*row)
    plain: Any = event  # its values are still those of JSON
    event.kind = KINDS[plain.kind]
    event.touches = tuple([Touch(path, Verb(verb)) for path, verb in plain.touches])
    event.commits = tuple([Commit(*each) for each in plain.commits])
    event.todos = tuple([Todo(text, Status(status)) for text, status in plain.todos])
    if plain.usage is not None:
        event.usage = Usage(*plain.usage)
    return event


def _event_with_names(row: dict[str, Any]) -> Event:
    """Blocks that were stored by an older flower hold their events so."""
    row["kind"] = Kind(row["kind"])
    row["touches"] = tuple(Touch(each["path"], Verb(each["verb"])) for each in row["touches"])
    row["commits"] = tuple(Commit(each["sha"], each["subject"]) for each in row["commits"])
    row["todos"] = tuple(Todo(each["text"], Status(each["status"])) for each in row["todos"])
    if row["usage"] is not None:
        row["usage"] = Usage(**row["usage"])
    return Event(**row)
