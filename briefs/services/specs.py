"""The spec of a brief: the canonical plan. Every save keeps the prior text on the trace, so any version can be read."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db import transaction

from briefs import trace
from briefs.models import Actor, Brief, TraceEntry
from core.errors import Conflict, NotFound, TooLarge

MAX_SPEC: Final = 250_000  # characters: a snapshot of it must fit into one trace entry


class StaleSpec(Conflict):
    """Somebody else saved since; ``current`` is their text at ``version``, for the page to show the difference."""

    def __init__(self, brief: Brief, base_version: int) -> None:
        self.current, self.version = brief.spec, brief.spec_version
        super().__init__(
            f"Somebody else changed the spec of brief #{brief.pk}: it is at version {brief.spec_version}, "
            f"you began from {base_version}. Read it again, then save yours on top."
        )


def check(spec: str) -> None:
    """Refuse a spec that is too long to be kept."""
    if len(spec) > MAX_SPEC:
        raise TooLarge(f"A spec holds at most {MAX_SPEC:,} characters; this one has {len(spec):,}.")


def update(brief: Brief, spec: str, *, base_version: int, actor: Actor, why: str = "") -> Brief:
    """Replace the spec; the prior one is snapshot on the trace. Raises StaleSpec when somebody else changed it."""
    spec = trace.clean(spec)
    check(spec)
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if brief.spec_version != base_version:
            raise StaleSpec(brief, base_version)
        if spec == brief.spec:
            return brief
        if brief.spec_version:
            snapshot = {"version": brief.spec_version}
            trace.append(brief, trace.Kind.SPEC_SNAPSHOT, actor=actor, body=brief.spec, data=snapshot)
        brief.spec, brief.spec_version = spec, brief.spec_version + 1
        brief.save(update_fields=["spec", "spec_version"])
        trace.append(brief, trace.Kind.REFINEMENT, actor=actor, body=why, data={"version": brief.spec_version})
    return brief


def restore(brief: Brief, version: int, *, actor: Actor) -> Brief:
    """Make an earlier version the current one, as a new version on top. Raises NotFound."""
    text = read(brief, version)
    why = f"version {version} restored"
    return update(brief, text, base_version=brief.spec_version, actor=actor, why=why)


@dataclass(frozen=True)
class Version:
    """One version of a spec: who saved it, when, and why."""

    number: int
    actor: str
    at: datetime
    why: str
    is_current: bool


def versions(brief: Brief) -> list[Version]:
    """All versions, newest first."""
    found: dict[int, Version] = {}
    saves = TraceEntry.objects.filter(brief=brief, kind__in=[trace.Kind.REFINEMENT, trace.Kind.CAPTURED])
    for entry in saves.order_by("seq").values_list("kind", "data", "actor_ref", "at", "body"):
        kind, data, actor, at, body = entry
        number = data.get("version") if kind == trace.Kind.REFINEMENT else 1 if data.get("spec") else None
        if number:
            why = body if kind == trace.Kind.REFINEMENT else "captured"
            found[number] = Version(number, actor, at, why, number == brief.spec_version)
    return [found[number] for number in sorted(found, reverse=True)]


def read(brief: Brief, version: int) -> str:
    """The text of one version. Raises NotFound for one that never was."""
    if version == brief.spec_version:
        return brief.spec
    if version == 0:
        return ""
    snapshots = TraceEntry.objects.filter(brief=brief, kind=trace.Kind.SPEC_SNAPSHOT, data__version=version)
    body = snapshots.values_list("body", flat=True).first()
    if body is None:
        raise NotFound(f"Brief #{brief.pk} has no version {version} of its spec.")
    return body


# --- comparing --------------------------------------------------------------------------------------------------------

Mark = Literal["same", "added", "removed"]
MAX_COMPARED: Final = 4_000  # lines of either side: difflib's time grows with their product
MAX_WORD_PAIRS: Final = 40_000  # of equal words and blanks of two lines: about 200 words each
MAX_WORD_PAIRS_IN_ALL: Final = 400_000  # about two seconds
MAX_PAIRS: Final = 200_000  # of equal lines; a common text of 4,000 lines with 400 empty ones stays below


@dataclass(frozen=True)
class Piece:
    """A run of characters of a line; ``changed`` where it is what differs."""

    text: str
    changed: bool


@dataclass(frozen=True)
class Line:
    """A line of a comparison, with its number on either side where it has one."""

    mark: Mark
    old: int | None
    new: int | None
    pieces: list[Piece]


@dataclass
class Room:
    """How many pairs of equal words one comparison may still look at."""

    left: int


def compare(old: str, new: str, *, context: int = 3) -> list[list[Line]]:
    """The differences of two texts as hunks of lines, changed words marked. Equal texts give an empty list."""
    left, right = old.splitlines()[:MAX_COMPARED], new.splitlines()[:MAX_COMPARED]
    matcher = difflib.SequenceMatcher(None, left, right, autojunk=_repeats(left, right))
    room = Room(MAX_WORD_PAIRS_IN_ALL)
    return [
        [line for group in hunk for line in _lines(left, right, room, *group)]
        for hunk in matcher.get_grouped_opcodes(context)
    ]


def _repeats(left: list[str], right: list[str]) -> bool:
    """Whether lines come again so often that they must not be matched with one another (thousands of two lines in
    turns: difflib alone was at it for more than ten minutes)."""
    return _pairs(left, right) > MAX_PAIRS


def _pairs(left: list[str], right: list[str]) -> int:
    """How many pairs of equal things there are: what difflib looks at, at least once."""
    there = Counter(right)
    return sum(count * there[one] for one, count in Counter(left).items())


def _lines(
    left: list[str], right: list[str], room: Room, tag: str, i1: int, i2: int, j1: int, j2: int
) -> Iterator[Line]:
    if tag == "equal":
        for offset in range(i2 - i1):
            yield Line("same", i1 + offset + 1, j1 + offset + 1, [Piece(left[i1 + offset], False)])
        return
    paired = i2 - i1 == j2 - j1  # as many lines out as in: they are read as changes of one another
    words = [_words(left[i1 + n], right[j1 + n], room) for n in range(i2 - i1)] if paired else []
    for n in range(i1, i2):
        yield Line("removed", n + 1, None, words[n - i1][0] if paired else [Piece(left[n], False)])
    for n in range(j1, j2):
        yield Line("added", None, n + 1, words[n - j1][1] if paired else [Piece(right[n], False)])


def _words(old: str, new: str, room: Room) -> tuple[list[Piece], list[Piece]]:
    before, after = _split(old), _split(new)
    if len(before) * len(after) > 250_000:
        return [Piece(old, False)], [Piece(new, False)]
    pairs = _pairs(before, after)
    room.left -= pairs
    if pairs > MAX_WORD_PAIRS or room.left < 0:
        return [Piece(old, False)], [Piece(new, False)]
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if matcher.ratio() < 0.4:  # two different lines: marking chance likenesses would only confuse
        return [Piece(old, False)], [Piece(new, False)]
    out: list[Piece] = []
    into: list[Piece] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if i2 > i1:
            out.append(Piece("".join(before[i1:i2]), tag != "equal"))
        if j2 > j1:
            into.append(Piece("".join(after[j1:j2]), tag != "equal"))
    return out, into


def _split(line: str) -> list[str]:
    """Words and what stands between them: joined, they are the line again."""
    parts: list[str] = []
    for char in line:
        kind = _kind(char)
        if parts and kind and _kind(parts[-1][-1]) == kind:
            parts[-1] += char
        else:
            parts.append(char)
    return parts


def _kind(char: str) -> str:
    return "w" if char.isalnum() or char == "_" else " " if char.isspace() else ""
