"""The trace: append-only, gapless, hash-chained. Everything that happens to a brief goes through ``append``.

Each entry's hash covers its own content and the hash of the one before; the brief's row keeps the last number and
hash, so a changed, removed, inserted or cut-off entry is found by ``verify``. The brief's row lock serialises the
writers of one brief, so numbers have no gaps; triggers in the database refuse UPDATE and DELETE.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from briefs.models import Actor, Brief, Participant, TraceEntry
from core import live
from core.errors import NotFound, TooLarge
from core.logs import without_tokens
from core.prepared import Prepared

Kind = TraceEntry.Kind
MAX_BODY: Final = 256_000  # characters of one entry


# Who hears of a new entry in the process that wrote it: after its commit, before any page does.
on_commit: Final[list[Callable[[TraceEntry], None]]] = []


def append(
    brief: Brief,
    kind: str,
    *,
    actor: Actor,
    body: str = "",
    data: dict[str, Any] | None = None,
) -> TraceEntry:
    """Append one entry in the caller's transaction (or one of its own) and tell the pages after the commit.

    The actor becomes a participant (the system does not). ``data`` holds plain JSON: what a page needs to show an
    entry that has no body. ``brief`` is updated in place. Raises TooLarge, and NotFound when the brief is gone.
    """
    if len(body) > MAX_BODY:
        raise TooLarge(f"A trace entry holds at most {MAX_BODY:,} characters; this one has {len(body):,}.")
    with transaction.atomic():
        end = lock(brief)
        if kind != Kind.PARTICIPANT_JOINED and _joins(brief, actor):
            end = _insert(brief, end, Kind.PARTICIPANT_JOINED, actor, "", {"role": "participant"})
        end = _insert(brief, end, kind, actor, clean(body), data or {})
        brief.trace_seq, brief.trace_head, brief.updated_at = end.seq, end.hash, end.at
        Brief.objects.filter(pk=brief.pk).update(trace_seq=end.seq, trace_head=end.hash, updated_at=end.at)
    entry = end.entry
    assert entry is not None
    for hear in on_commit:
        transaction.on_commit(lambda hear=hear: hear(entry), robust=True)  # type: ignore[misc]
    live.publish(live.brief_group(brief.pk), "trace.grew", brief=brief.pk, seq=end.seq)
    live.publish(live.BOARD, "brief.changed", brief=brief.pk)
    return entry


@dataclass(frozen=True)
class _End:
    seq: int
    hash: str
    at: datetime
    entry: TraceEntry | None = None


_locked_rows = Prepared(
    lambda brief: (
        Brief.objects.select_for_update()
        .filter(pk=brief)
        .order_by()
        .values_list("trace_seq", "trace_head", "updated_at")
    )
)
_participant_rows = Prepared(
    lambda brief, actor: Participant.objects.filter(brief=brief, actor=actor).values_list("pk")
)


def lock(brief: Brief) -> _End:
    """Take the brief's row lock until the end of the transaction; the numbers from now on are ours."""
    for seq, head, at in _locked_rows(brief.pk):
        return _End(seq, head, at)
    raise NotFound(f"There is no brief #{brief.pk}.")


def _joins(brief: Brief, actor: Actor) -> bool:
    if actor.kind == Actor.Kind.SYSTEM:
        return False
    if _participant_rows(brief.pk, actor.pk):
        return False
    _, created = Participant.objects.get_or_create(brief=brief, actor=actor)
    return created


def _insert(brief: Brief, end: _End, kind: str, actor: Actor, body: str, data: dict[str, Any]) -> _End:
    entry = TraceEntry(
        brief=brief,
        seq=end.seq + 1,
        kind=kind,
        source=actor.kind,
        actor=actor,
        actor_ref=actor.ref,
        body=body,
        data=json.loads(json.dumps(data)),  # what the database will give back: no tuples, no enums
        at=timezone.now(),
        previous_hash=end.hash,
    )
    entry.hash = entry_hash(entry)
    TraceEntry.objects.bulk_create([entry])  # save() refuses: the trace has one way in, and it is this function
    return _End(entry.seq, entry.hash, entry.at, entry)


def clean(text: str) -> str:
    """Text as both databases keep it: one kind of line end, no NUL, no lone surrogates; and no tokens, which could
    never be taken off the trace again."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return without_tokens(text.encode("utf-8", "replace").decode("utf-8"))


def entry_hash(entry: TraceEntry) -> str:
    """SHA-256 over the entry's content and its predecessor's hash, as canonical JSON."""
    content = [
        entry.brief_id,
        entry.seq,
        entry.kind,
        entry.source,
        entry.actor_ref,
        entry.body,
        entry.data,
        entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        entry.previous_hash,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Broken:
    """The first entry of a brief's trace that does not hold, and why."""

    brief: int
    seq: int
    why: str

    def __str__(self) -> str:
        return f"broken: #{self.brief}, entry {self.seq}: {self.why}"


def verify(brief: Brief) -> tuple[int, Broken | None]:
    """Check a brief's whole trace. Returns the number of good entries and the first broken one, if any."""
    count, head = 0, ""
    for entry in _entries(brief):
        why = _fault(entry, count + 1, head)
        if why:
            return count, Broken(brief.pk, entry.seq, why)
        count, head = entry.seq, entry.hash
    if (count, head) != (brief.trace_seq, brief.trace_head):
        return count, Broken(brief.pk, count + 1, f"the trace ends at {count}, but {brief.trace_seq} were written")
    return count, None


def _entries(brief: Brief) -> Iterator[TraceEntry]:
    return TraceEntry.objects.filter(brief=brief).order_by("seq").iterator(chunk_size=500)


def _fault(entry: TraceEntry, expected: int, head: str) -> str:
    if entry.seq != expected:
        return f"entry {expected} is missing"
    if entry.previous_hash != head:
        return "it does not follow the entry before it"
    if entry_hash(entry) != entry.hash:
        return "its content was changed after it was written"
    return ""
