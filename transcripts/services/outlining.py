"""The outline of a session in the database: made by rules as the log grows, and what people do with it.

A run of the segmenter replaces what is open and leaves what is settled. What a person touched is settled, and so is all
before it: segments must tile the session, so a border that stays keeps every border before it. The last segment stays
open, because it grows; its beginning, which is its identity, does not move, and so people's words on it stay.

A row whose events are gone goes too; what people did with it is kept aside until they are there again
(services/aside.py).

Of a long session only the end is read again: its settled beginning stands in the rows (``_skipped``).

What rules worded before they were changed is worded anew (``renew``), save where people did something with it.

Every write names the ``outline_revision`` that it began from: of two writers at once, the later one looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import asdict
from dataclasses import replace as replaced
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any, Final, TypeVar

from django.db import transaction
from django.db.models import F, prefetch_related_objects
from django.utils import timezone

from core import live
from core.errors import Conflict
from transcripts import blocks, naming
from transcripts.events import Event, Facts, Kind, Usage, Verb
from transcripts.models import Aside, Block, Segment, Session
from transcripts.rules import RULES
from transcripts.segmentation import CommitMade, FileWork, Line, Phase, Status, distinct_commits, segment
from transcripts.segmentation import Segment as Made
from transcripts.segmentation.ranges import described_again
from transcripts.services import aside

LONG: Final = 3_000  # events of a beginning from which on it is worth not to read it again
CONTEXT: Final = 1_000  # events of the settled part that are read again all the same
TRIES: Final = 5  # of a run that meets another writer each time
BUSY: Final = "The outline changed meanwhile; look at it again."
Result = TypeVar("Result")


def refresh(number: int) -> bool:
    """Bring the outline of a session up to its events. Returns whether anything changed.

    Cuts and describes what is not settled; may run at any time, by anybody, twice at once.
    """
    for _ in range(TRIES):
        session = Session.objects.filter(pk=number).first()
        if session is None:
            return False
        rows = list(session.segments.all())
        settled = _settled(rows, aside.gone_from(session))
        found, upto = _outline(session, settled)
        try:
            return _store(session, found, upto, had=rows, settled=settled)
        except Conflict:
            continue
    return False  # the sweep looks again


def _outline(session: Session, settled: Sequence[Made]) -> tuple[list[Made], int]:
    """The segments of a session, and the number of its last event."""
    if skipped := _skipped(session, settled):
        head, rest = settled[:skipped], settled[skipped:]
        before = head[-1].last
        events = events_of(session, before + 1)
        found = segment(events, [_moved(one, -before) for one in rest])
        if [one.key for one in found[: len(rest)]] == [one.key for one in rest]:
            fresh = [_moved(one, before) for one in found[len(rest) :]]
            line = rest[-1].last_line
            for one in fresh:  # lines tile the log, and those of the beginning were not read
                one.first_line = line + 1
                line = one.last_line = max(one.first_line, one.last_line)
            return [*settled, *fresh], before + len(events)
    events = events_of(session)
    return segment(events, settled), len(events)


def _skipped(session: Session, settled: Sequence[Made]) -> int:
    """How many settled segments need not be read again, because enough that is settled follows them.

    Where the next cuts go depends on the last dozens of steps, and on whether anything was changed before.
    """
    end = settled[-1].last if settled else 0
    if session.outlined < end:  # the log was read anew: everything is looked at
        return 0
    for skipped in range(len(settled) - 1, 0, -1):
        head, rest = settled[:skipped], settled[skipped:]
        changes = (any(file.verb is not Verb.READ for one in part for file in one.files) for part in (head, rest))
        if head[-1].last < LONG:
            return 0
        if end - head[-1].last >= CONTEXT and next(changes) <= next(changes):
            return skipped
    return 0


def _moved(one: Made, by: int) -> Made:
    """The same segment where events are counted from elsewhere."""

    def line(each: Line) -> Line:
        return replaced(each, event=each.event + by) if each.event else each

    return replaced(
        one,
        first=one.first + by,
        last=one.last + by,
        outcome=line(one.outcome) if one.outcome else None,
        sentences={name: [line(each) for each in own] for name, own in one.sentences.items()},
        next_steps=[line(each) for each in one.next_steps],
        key_decisions=[line(each) for each in one.key_decisions],
        open_questions=[line(each) for each in one.open_questions],
        commits=[replaced(each, event=each.event + by) for each in one.commits],
    )


def behind() -> list[int]:
    """Sessions whose outline does not cover their events."""
    rows = Session.objects.exclude(outlined=F("events")).order_by("-active_at")
    return list(rows.values_list("pk", flat=True)[:20])


def is_behind(number: int) -> bool:
    """Are there events that the outline does not cover, or more covered than there are, after a log was rewritten?"""
    return Session.objects.filter(pk=number).exclude(outlined=F("events")).exists()


def outdated(limit: int = 2) -> list[int]:
    """Sessions that older rules worded, those that were active last first. A huge one takes seconds: few at once."""
    rows = Session.objects.filter(outlined=F("events"), events__gt=0).exclude(rules=RULES).order_by("-active_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def renew(number: int) -> bool:
    """Word the segments of a session by the rules of today. Returns whether anything changed.

    Borders stay; so does what a model worded, and what people did something with. It is tried once.
    """
    session = Session.objects.filter(pk=number, outlined=F("events")).exclude(rules=RULES).first()
    if session is None:
        return False
    Session.objects.filter(pk=number).update(rules=RULES)  # at once: what fails would fail every few seconds
    rows = list(session.segments.order_by("position").prefetch_related("comments", "uses"))
    made = described_again(events_of(session), [made_of(row) for row in rows])
    fresh = {
        row.pk: one
        for row, one in zip(rows, made, strict=True)
        if one and row.how == Segment.How.RULES and not aside.is_touched(row)
    }
    before = {row.pk: row.revision for row in rows}
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=number)
        if (locked.outline_revision, locked.outlined) != (session.outline_revision, session.outlined):
            Session.objects.filter(pk=number).update(rules=session.rules)  # it grew, or somebody wrote: later
            return False
        for row in rows:
            if row.pk in fresh:
                put(locked, row, fresh[row.pk], row.position)
        if fresh:
            Session.objects.filter(pk=number).update(commits=_commits(locked, map(made_of, rows)))
        return _announce(locked, before)


def replace(session: Session, found: Sequence[Made], *, how: str, but: Container[str]) -> None:
    """Put other segments in the place of what is there, worded as ``how`` says, save those with the keys ``but``.

    Raises Conflict when the outline has changed since ``session`` was loaded.
    """
    _store(session, found, session.outlined, how=how, but=but)


def events_of(session: Session, first: int = 1) -> list[Event]:
    """All events of the session's own log, from the ``first`` on; event ``e14`` is the fourteenth."""
    rows = Block.objects.filter(file__session=session, file__agent="", last__gte=first).order_by("first")
    found: list[Event] = []
    for at, payload in rows.values_list("first", "payload"):
        found += blocks.events_of(bytes(payload))[max(0, first - at) :]
    if session.dispatch is not None and session.brief_id is not None:
        _say_what_it_is_for(session, found)
    return found


def _say_what_it_is_for(session: Session, events: Sequence[Event]) -> None:
    """The line that started a run only says where its packet lies: its brief's title is the order that it was given."""
    for event in events:
        if event.kind is Kind.PROMPT and not event.agent and naming.is_launch(session, event.text):
            event.text = naming.order_of(session)
            event.data = {**event.data, "brief": True}


def facts_of(session: Session) -> Facts:
    return Facts(
        program=session.program,
        session_id=session.session_id,
        parent_id=session.parent_id,
        cwd=session.cwd,
        branch=session.branch,
        version=session.version,
        model=session.model,
        title=session.title,
        pull_requests=list(session.pull_requests),
    )


def change(session: Session, do: Callable[[Session], Result]) -> Result:
    """Run a change of the outline: under the session's lock, which it gets, and announced when it is done."""
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        before = dict(locked.segments.values_list("pk", "revision"))
        result = do(locked)
        _announce(locked, before)
    session.outline_revision = locked.outline_revision
    return result


# --- storing ----------------------------------------------------------------------------------------------------------


def _store(
    session: Session,
    found: Sequence[Made],
    upto: int,
    *,
    how: str = Segment.How.RULES,
    but: Container[str] = (),
    had: Sequence[Segment] | None = None,
    settled: Sequence[Made] = (),
) -> bool:
    """Make the rows say what was found. Raises Conflict when somebody wrote since the session was loaded.

    ``had``: its rows, loaded after it. ``settled``: what was read from them; the same ones need no look in ``found``.
    """
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        if (locked.outline_revision, locked.outlined) != (session.outline_revision, session.outlined):
            raise Conflict(BUSY)
        rows = {row.key: row for row in (locked.segments.all() if had is None else had)}
        before = {row.pk: row.revision for row in rows.values()}
        same = {id(made) for made in settled}  # by identity: to compare each of hundreds takes longer than all the rest
        kept = aside.gone_from(locked)
        aside.keep(_lost(rows, found), Aside.Why.GONE)
        for position, made in enumerate(found, 1):
            row = rows.pop(made.key, None)
            if row is not None and id(made) in same and row.position == position and made.key not in kept:
                continue
            stays = row is not None and (made.key in but or (row.is_settled and how == Segment.How.RULES))
            words = row.how if row is not None and stays else how
            if (known := kept.get(made.key)) is not None:
                row = row or known.put_back()
                if (made.first, made.last) == (known.segment.first, known.segment.last):  # all of it is there again
                    words = known.segment.how
                    known.entry.delete()
            put(locked, row, made, position, how=words)
        if rows:  # their first events begin no segment any more: the log was rewritten, or the open end cut anew
            locked.segments.filter(pk__in=[row.pk for row in rows.values()]).delete()
        locked.outlined, locked.outlined_at = upto, timezone.now()
        locked.commits = _commits(locked, found)
        locked.save(update_fields=["outlined", "outlined_at", "commits"])
        return _announce(locked, before)


def _commits(session: Session, segments: Iterable[Made]) -> int:
    """How many the session and its sub-agents made; one that was amended is one."""
    count = len(distinct_commits(commit for one in segments for commit in one.commits))
    of_agents = session.made_commits.exclude(file__agent="").values_list("sha", "amends")
    shas, amending = ({sha for sha, amends in of_agents if amends is wanted} for wanted in (False, True))
    count += len(shas)
    return count or min(1, len(amending))


def put(session: Session, row: Segment | None, made: Made, position: int, *, how: str = Segment.How.RULES) -> Segment:
    """Write one segment where it differs from its row. What people wrote over it is not touched."""
    columns = columns_of(made) | {"position": position, "how": how}
    if row is None:
        return Segment.objects.create(session=session, key=made.key, **columns)
    changed = [name for name, value in columns.items() if getattr(row, name) != value]
    if changed:
        for name in changed:
            setattr(row, name, columns[name])
        row.revision += 1
        row.save(update_fields=[*changed, "revision"])
    return row


def columns_of(made: Made) -> dict[str, Any]:
    return {
        "first": made.first,
        "last": made.last,
        "first_line": made.first_line,
        "last_line": made.last_line,
        "is_settled": made.settled,
        "phase": str(made.phase),
        "title": made.title[:200],
        "status": str(made.status),
        "summary": made.summary,
        "outcome": _row(made.outcome) if made.outcome else None,
        "sentences": {name: [_row(line) for line in own] for name, own in made.sentences.items()},
        "next_steps": [_row(line) for line in made.next_steps],
        "key_decisions": [_row(line) for line in made.key_decisions],
        "open_questions": [_row(line) for line in made.open_questions],
        "files": [{"path": each.path, "verb": str(each.verb), "times": each.times} for each in made.files],
        "commits": [asdict(each) for each in made.commits],
        "changes": made.changes,
        "usage": made.usage._asdict(),
        "by_model": made.by_model,
        "errors": made.errors,
        "prompts": made.prompts,
        "started_at": _time(made.started_at),
        "ended_at": _time(made.ended_at),
    }


def _row(line: Line) -> dict[str, Any]:
    """A line as it is stored: without what it does not have."""
    return {name: value for name, value in asdict(line).items() if value or name in ("text", "event")}


def made_of(row: Segment) -> Made:
    """A row as the segmenter knows it: without what people wrote over it."""
    return Made(
        key=row.key,
        first=row.first,
        last=row.last,
        first_line=row.first_line,
        last_line=row.last_line,
        settled=row.is_settled,
        title=row.title,
        status=Status(row.status),
        summary=row.summary,
        outcome=Line(**row.outcome) if row.outcome else None,
        sentences={name: [Line(**line) for line in own] for name, own in row.sentences.items()},
        next_steps=[Line(**line) for line in row.next_steps],
        key_decisions=[Line(**line) for line in row.key_decisions],
        open_questions=[Line(**line) for line in row.open_questions],
        started_at=_milliseconds(row.started_at),
        ended_at=_milliseconds(row.ended_at),
        phase=Phase(row.phase),
        files=[FileWork(each["path"], Verb(each["verb"]), each["times"]) for each in row.files],
        commits=[CommitMade(**each) for each in row.commits],
        usage=Usage(**row.usage),
        by_model=row.by_model,
        changes=row.changes,
        errors=row.errors,
        prompts=row.prompts,
    )


def _settled(rows: Sequence[Segment], gone: dict[str, aside.Kept]) -> list[Made]:
    """What stays as it is: the settled rows, and those behind them that were so when their events went away."""
    kept = [made_of(row) for row in takewhile(lambda row: row.is_settled, rows)]
    for one in gone.values():
        if one.segment.is_settled and one.segment.first == (kept[-1].last + 1 if kept else 1):
            kept.append(made_of(one.segment))
    return kept


def _lost(rows: dict[str, Segment], found: Sequence[Made]) -> list[Segment]:
    """Rows that go or lose their borders, from the first one to the last that a person touched."""
    borders = {made.key: (made.first, made.last) for made in found}
    changed = [
        row
        for row in rows.values()
        if row.key not in borders or (row.is_settled and borders[row.key] != (row.first, row.last))
    ]
    prefetch_related_objects(changed, "comments", "uses")
    last = max((row.first for row in changed if aside.is_touched(row)), default=0)
    return [row for row in changed if row.first <= last]


def _announce(session: Session, before: dict[int, int]) -> bool:
    """Raise the outline's revision and tell its readers, if any segment is new, changed or gone."""
    now = list(session.segments.order_by("position").values_list("pk", "revision"))
    changed = [pk for pk, revision in now if before.get(pk) != revision]
    if not changed and len(now) == len(before):
        return False
    session.outline_revision += 1
    session.save(update_fields=["outline_revision"])
    live.publish(
        live.session_group(session.pk),
        "outline.changed",
        session=session.pk,
        revision=session.outline_revision,
        segments=changed,
        order=[pk for pk, _ in now],
    )
    if len(now) != len(before):
        naming.announce(session)
    return True


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else round(time.timestamp() * 1000)
