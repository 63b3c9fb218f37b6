"""Segments that are out of the outline for now, with what people did with them: edits, comments, uses, reviews.

A log that is cut for a moment, or is read anew in pieces, has no place for some of its segments. What a person touched
is then put aside, with what stands before it, whole and under its own number; when its events are there again it goes
back, and pages that are open on it never know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.core import serializers

from transcripts.models import Aside, Segment, Session
from transcripts.models.outline import EDITABLE

REVIEW: Final = ("reviewed_by_id", "reviewed_at")


def is_touched(row: Segment) -> bool:
    """Did a person do anything with it?"""
    return bool(row.edited_by_id or row.reviewed_by_id or row.comments.all() or row.uses.all())


@dataclass(frozen=True, slots=True)
class Kept:
    """One that is aside; ``segment`` as it was, not in the database."""

    entry: Aside
    segment: Segment
    saved: Sequence[Any]

    @classmethod
    def of(cls, entry: Aside) -> Kept:
        saved = list(serializers.deserialize("python", entry.rows, ignorenonexistent=True))
        segment = saved[0].object
        assert isinstance(segment, Segment)
        return cls(entry, segment, saved)

    def put_back(self) -> Segment:
        """Into the database, with its comments and uses, wherever those are by now. The entry stays."""
        self.segment.revision += 1
        for one in self.saved:
            one.save()
        return Segment.objects.get(pk=self.segment.pk)


def keep(rows: Iterable[Segment], why: Aside.Why, into: dict[str, Any] | None = None) -> None:
    """Put segments aside. They stay where they are: the caller changes or deletes them."""
    for row in rows:
        whole = serializers.serialize("python", [row, *row.comments.all(), *row.uses.all()])
        values = {"why": why, "rows": whole, "into": into or {}}
        Aside.objects.update_or_create(session_id=row.session_id, key=row.key, defaults=values)


def gone_from(session: Session) -> dict[str, Kept]:
    """Those whose events went away, in the order of the log."""
    kept = [Kept.of(entry) for entry in session.asides.filter(why=Aside.Why.GONE)]
    return {one.segment.key: one for one in sorted(kept, key=lambda one: one.segment.first)}


# --- merged, and taken apart again ------------------------------------------------------------------------------------


def keep_merged(first: dict[str, Any], merged: Segment, following: Segment) -> None:
    """``first``: ``as_it_is`` of the segment before it was merged. ``merged``: what became of it."""
    keep([following], Aside.Why.MERGED, {"first": first, "edits": merged.edits})


def as_it_is(row: Segment) -> dict[str, Any]:
    found: dict[str, Any] = serializers.serialize("python", [row])[0]
    return found


def merged_into(row: Segment) -> tuple[Kept, Segment] | None:
    """What was merged into ``row`` last, and ``row`` as it was before; None when it has other borders by now."""
    return merges(row.session).get((row.pk, row.first, row.last))


def merges(session: Session) -> dict[tuple[int, int, int], tuple[Kept, Segment]]:
    """What can be taken apart again, by the number of the whole, its first and its last event."""
    found = {}
    for entry in session.asides.filter(why=Aside.Why.MERGED):
        kept = Kept.of(entry)
        (told,) = serializers.deserialize("python", [entry.into["first"]], ignorenonexistent=True)
        before = told.object
        assert isinstance(before, Segment)
        if before.last + 1 == kept.segment.first:
            found[before.pk, before.first, kept.segment.last] = (kept, before)
    return found


def give_back(row: Segment, before: Segment, entry: Aside) -> None:
    """Let a segment that was merged have again what people had done with it; what they did since then stays."""
    for name in EDITABLE:
        if row.edits.get(name) == entry.into["edits"].get(name):
            row.edits = {field: words for field, words in row.edits.items() if field != name}
            if name in before.edits:
                row.edits[name] = before.edits[name]
    if row.reviewed_at is None:
        for name in REVIEW:
            setattr(row, name, getattr(before, name))
