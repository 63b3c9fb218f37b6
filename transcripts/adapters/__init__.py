"""From the log of an agent program to events. ``read`` does a whole file; ``open_adapter`` is fed line by line.

A further program is a module beside ``claude`` and ``codex``: ``is_record``, an ``Adapter``, and its line here.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Final

from core.errors import Invalid
from transcripts.adapters import claude, codex
from transcripts.adapters.adapter import Adapter, Amendment, Counts, Transcript, read_whole
from transcripts.adapters.records import KEY_BYTES, Keys, Record, records_of, shorten
from transcripts.reading import lines_of

__all__ = [
    "KEY_BYTES", "Adapter", "Amendment", "Counts", "Keys", "NoTranscript", "Transcript", "open_adapter", "read",
    "recognise", "shorten",
]  # fmt: skip

_ADAPTERS: Final[dict[str, type[Adapter]]] = {"codex": codex.Codex, "claude": claude.Claude}
LINES_TRIED: Final = 50


class NoTranscript(Invalid):
    """A file that no adapter can read."""


def recognise(lines: Iterable[bytes], path: Path) -> str:
    """The program whose log begins with these lines: "claude", "codex". Raises NoTranscript with a sentence.

    A log may begin with a few broken lines; a file of which most lines are no records is something else.
    """
    tried = 0
    may_be = ""
    for raw in lines:
        if not raw or raw.isspace():
            continue
        tried += 1
        for record in records_of(raw)[0]:
            # Codex first: its envelope is stricter.
            if codex.is_record(record):
                return "codex"
            if claude.is_turn(record):
                return "claude"
            if other := _relative(record):
                raise NoTranscript(f"{path} is a log of {other}; flower reads those of Claude Code and Codex.")
            if claude.is_record(record):
                may_be = "claude"
        if tried >= LINES_TRIED:
            break
    if may_be:
        return may_be
    if not tried:
        raise NoTranscript(f"{path} is empty.")
    raise NoTranscript(
        f"{path} is no transcript of Claude Code or Codex: none of its first {tried} lines is a record of theirs."
    )


def _relative(record: Record) -> str:
    """The program that writes such records, where it is one whose logs look like those that are read; else empty."""
    kind, message = record.get("type"), record.get("message")
    if isinstance(message, dict):
        is_qwen = kind in ("user", "assistant", "tool_result", "system") and isinstance(message.get("parts"), list)
        return "Qwen Code" if is_qwen else ""
    is_bare = not record.keys() & {"payload", "uuid", "sessionId", "parentUuid"}
    is_grok = kind in ("system", "user", "assistant", "tool_result", "backend_tool_call") and "content" in record
    return "Grok" if is_bare and is_grok else ""


def open_adapter(program: str, name: str, state: dict[str, Any] | None = None, keys: Keys | None = None) -> Adapter:
    """An adapter for a file of this name (without folder), new or as it was when ``state`` was taken from it."""
    return _ADAPTERS[program](name, state, keys)


def read(path: Path) -> Transcript:
    """Facts, counts and all events of one file (plain, or ``.zst``). Needs no database.

    Raises NoTranscript, and OSError where the file cannot be read.
    """
    program = recognise(islice(lines_of(path), 10 * LINES_TRIED), path)
    return read_whole(open_adapter(program, path.name), lines_of(path))
