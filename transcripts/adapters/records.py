"""One line of a log to the records in it, and the small readings that both programs need.

Nothing here trusts a line: it may be cut, hold two records, bytes that are no UTF-8, half of a surrogate pair, NULs, or
values of any type at any place. The readings answer with an empty value instead of raising.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from transcripts.events import Commit

Record = dict[str, Any]

MAX_SEAMS: Final = 64  # places in a broken line where a whole record may begin; more would make a long line quadratic
KEY_BYTES: Final = 8

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SEAM: Final = re.compile(rb'\{"(?:parentUuid|type|timestamp|sessionId)"')
_TIMED_ID: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_SURROGATE: Final = re.compile("[\ud800-\udfff\x00]")
_ESCAPE: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_COMMIT: Final = re.compile(r"^[ \t]*\[([^\[\]\n]{1,200}?) ?\b([0-9a-f]{7,40})\] (\S[^\n]*)", re.M)
_COMMITTING: Final = re.compile(r"\b(?:commit|cherry-pick|revert|merge|rebase|am|pull)\b")
COMMAND: Final = 2_000  # characters of a command that are read for what it does: the pattern takes a length cubed
_AMENDING: Final = re.compile(r"\bgit\b[^;&|\n]*\bcommit\b[^;&|\n]*\s--amend\b")
_EXIT: Final = re.compile(r"(?:Error: )?Exit code:? (-?\d{1,6})\b")


def records_of(raw: bytes) -> tuple[list[Record], bool]:
    """The records of one line, and whether the line was whole. A cut record may be followed by the next on its line."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = _patient(raw)
        if value is None:
            return _salvage(raw), False
    else:
        if b"\\u0000" in raw:
            value = clean(value)
    if isinstance(value, dict):
        return [value], True
    return [], False


def clean(value: Any) -> Any:
    """The same JSON value with lone surrogates and NULs replaced, in keys too: no database takes them."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(name): clean(item) for name, item in value.items()}
    return value


def clean_text(text: str) -> str:
    return _SURROGATE.sub("�", text)


def _patient(raw: bytes) -> Any:
    """What orjson refuses and Python's parser takes: half surrogate pairs, stray bytes, control characters."""
    try:
        return clean(json.loads(raw.decode("utf-8", "replace"), strict=False))
    except (ValueError, RecursionError):
        return None


def _salvage(raw: bytes) -> list[Record]:
    """The whole records of a broken line: one before the seam, where it is whole, and the one that ends the line."""
    for number, seam in enumerate(_SEAM.finditer(raw, 1)):
        if number >= MAX_SEAMS:
            break
        last = _object(raw[seam.start() :])
        if last is not None:
            first = _object(raw[: seam.start()])
            return [first, last] if first is not None else [last]
    return []


def _object(raw: bytes) -> Record | None:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return clean(value) if isinstance(value, dict) else None


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: Any) -> Record:
    return value if isinstance(value, dict) else {}


def items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def number(value: Any) -> int:
    """A count: never negative, never beyond what a column holds; 0 for what is none."""
    if type(value) is int and 0 <= value < 2**53:
        return value
    return int(value) if isinstance(value, float) and 0 <= value < 2**53 else 0


def milliseconds(value: str) -> int | None:
    """Of an ISO time, since 1970; a time without a zone is taken for UTC."""
    try:
        at = datetime.fromisoformat(value)
        if not 2000 <= at.year < 2200:  # no clock of an agent says that, and not every database takes it
            return None
        since = (at if at.tzinfo else at.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return since.days * 86_400_000 + since.seconds * 1000 + (since.microseconds + 500) // 1000


def at(record: Record) -> int | None:
    value = record.get("timestamp")
    return milliseconds(value) if isinstance(value, str) else None


def born_at(name: str) -> int | None:
    """When an id was made, in milliseconds since 1970, where it is one that tells (a UUID of version 7)."""
    found = _TIMED_ID.fullmatch(name)
    return int(found[1] + found[2], 16) if found else None


def flat(content: Any) -> str:
    """The text of a content: a string, or a list of blocks."""
    if isinstance(content, str):
        return content
    parts = [part for block in items(content) if isinstance(block, dict) and (part := block.get("text"))]
    return "\n".join(part for part in parts if isinstance(part, str))


def images(content: Any) -> int:
    kinds = ("image", "input_image", "document")
    return sum(1 for block in items(content) if isinstance(block, dict) and block.get("type") in kinds)


def as_json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):  # an integer beyond 64 bits
        return clean_text(json.dumps(value, default=str))


def plain(shown: str) -> str:
    """Without the escape codes of a terminal."""
    return _ESCAPE.sub("", shown) if "\x1b" in shown else shown


def digest(*parts: str) -> str:
    """A short name for a thing that the log gives none."""
    return blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=KEY_BYTES).hexdigest()


def exit_code(output: str) -> int | None:
    """From "Exit code 1" at the beginning of an output."""
    found = _EXIT.match(output)
    return int(found[1]) if found else None


def commits_in(output: str, command: str | None) -> tuple[Commit, ...]:
    """The commits that git tells of in an output. ``command`` is None where it is not known (output that came later).

    A command that only shows text (a log, a file) could hold such a line too; hence the look at the command.
    """
    if "] " not in output or (command is not None and not _COMMITTING.search(command)):
        return ()
    amends = command is not None and bool(_AMENDING.search(command[:COMMAND]))
    found = {sha: Commit(sha, subject.strip()[:500], amends) for _, sha, subject in _COMMIT.findall(output)}
    return tuple(found.values())


class Keys:
    """The keys that a session has seen: 8 bytes of each. Loaded ones stay packed until they are asked for often.

    A session of 250 MB has some 200,000 of them. To append a line must not cost making a set of them all: a few
    questions search the packed bytes; the set is made for a longer run.
    """

    PATIENCE: Final = 64

    def __init__(self, packed: bytes = b"") -> None:
        self._packed = packed
        self._asked = 0
        self._known: set[bytes] = set()
        self.fresh: list[bytes] = []  # added since they were last taken, to be kept with the events

    def add(self, key: str) -> bool:
        """Was this key new? It is known from now on."""
        short = blake2b(key.encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
        if short in self._known or (self._packed and self._is_packed(short)):
            return False
        self._known.add(short)
        self.fresh.append(short)
        return True

    def __contains__(self, key: str) -> bool:
        short = shorten(key)
        return short in self._known or (bool(self._packed) and self._is_packed(short))

    def _is_packed(self, short: bytes) -> bool:
        self._asked += 1
        if self._asked > self.PATIENCE:
            packed, self._packed = self._packed, b""
            self._known.update(packed[i : i + KEY_BYTES] for i in range(0, len(packed), KEY_BYTES))
            return short in self._known
        place = self._packed.find(short)
        while place >= 0 and place % KEY_BYTES:
            place = self._packed.find(short, place + 1)
        return place >= 0


def shorten(key: str) -> bytes:
    return blake2b(key.encode("utf-8", "replace"), digest_size=KEY_BYTES).digest()
