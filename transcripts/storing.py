"""Writing a batch of events: one short transaction, by one writer.

The order of locks is always the same: the log's version, the session, the brief.
"""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple

import zstandard
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from briefs.models import Actor, Link, Project
from briefs.services import actors, links
from core import live
from core.errors import Conflict
from transcripts import blocks, naming, owners
from transcripts.adapters import Counts
from transcripts.blocks import Builder
from transcripts.events import Event, Facts, Kind, Usage, Verb
from transcripts.models import Block, LogFile, Session, SessionCommit, TouchedFile
from transcripts.owners import Owner
from transcripts.paths import absolute, name_of
from transcripts.progress import Progress, inode

LOOK_AGAIN: Final = timedelta(seconds=30)  # between two looks for the owner of a session that grows
BLOCKS_AT_ONCE: Final = 8  # in one statement: MySQL bounds its length
ADDED: Final = {  # the session's counter: the file's, summed over its files
    "errors": "errors",
    "copied": "copied",
    "left_out": "left_out",
    "records": "records",
    "invalid": "invalid",
    "unknown": "unknown",
    "tokens_input": "input",
    "tokens_cache_written": "cache_written",
    "tokens_cache_read": "cache_read",
    "tokens_output": "output",
}
OWN: Final = ("events", "prompts", "compactions", "forks", "context", "window")  # of the main log alone
TURNS: Final = frozenset({Kind.PROMPT, Kind.COMMAND, Kind.ANSWER, Kind.THINKING, Kind.CALL, Kind.RESULT})
LARGEST: Final = 2**31 - 1
_TABLE: Final = TouchedFile._meta.db_table
_TOUCH: Final = (
    f"INSERT INTO {_TABLE} (session_id, file_id, path, path_key, name, verb, times, first, last, at)"  # noqa: S608
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_TOUCH_AGAIN: Final = f"UPDATE {_TABLE} SET times = times + %s, last = %s, at = %s WHERE id = %s"  # noqa: S608


class Busy(Conflict):
    """Another reader took this log a moment ago; it has written, or will write, what we would have."""


class IsCopy(Exception):
    """The log is known under another path, where as much of it or more can be read."""

    def __init__(self, of: LogFile) -> None:
        super().__init__(of.path)
        self.of = of


Packed = dict[str, Any]  # the columns of a Block


@dataclass(slots=True)
class Touched:
    times: int
    first: int
    last: int
    at: int | None


class NewCommit(NamedTuple):
    """What a row of it will hold; its id is the key."""

    subject: str
    event: int
    at: int | None
    amends: bool


@dataclass(slots=True)
class Batch:
    """What the next transaction writes."""

    blocks: list[Builder] = field(default_factory=list)  # that may still change
    packed: list[tuple[Builder, Future[Packed]]] = field(default_factory=list)  # in the order of their making
    touched: dict[tuple[str, str], Touched] = field(default_factory=dict)
    commits: dict[str, NewCommit] = field(default_factory=dict)
    size: int = 0  # bytes that were read
    new: int = 0
    last: tuple[int, Event] | None = None  # of the turns of the main chain
    clears: bool = False  # what was stored of this log goes first

    def note(self, first: int, events: list[Event], cwd: str) -> None:
        """Files and commits of new events, of which ``first`` is the first number."""
        self.new += len(events)
        for number, event in enumerate(events, first):
            if not event.agent and event.kind in TURNS:
                self.last = (number, event)
            if not (event.touches or event.commits) or "copied" in event.data:
                continue
            for touch in event.touches:
                key = (absolute(touch.path, cwd), str(touch.verb))
                if known := self.touched.get(key):
                    known.times += 1
                    known.last, known.at = number, event.at or known.at
                else:
                    self.touched[key] = Touched(1, number, number, event.at)
            for commit in event.commits:
                self.commits.setdefault(commit.sha, NewCommit(commit.subject, number, event.at, commit.amends))

    @property
    def asked(self) -> tuple[int, str] | None:
        """The prompt that the new events end with; (0, "") where something follows it, None where nothing is new."""
        if self.last is None:
            return None
        number, event = self.last
        is_prompt = event.kind in (Kind.PROMPT, Kind.COMMAND)
        return (number, " ".join(event.text[:2000].split())[:200]) if is_prompt else (0, "")


@dataclass(slots=True)
class Step:
    """How far a log was read, and what is known of it by now."""

    path: Path
    stat: os.stat_result
    row: LogFile | None
    at: Progress
    facts: Facts
    counts: Counts
    counted: dict[str, Any]  # what the session's counters hold of this log
    state: bytes
    head_key: str
    project: Project | None


def key_of(path: str) -> str:
    return blake2b(path.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def session_id(facts: Facts, path: Path) -> str:
    return (facts.session_id or path.name.partition(".jsonl")[0])[:120]


def is_unchanged(row: LogFile, stat: os.stat_result) -> bool:
    return (row.size, row.inode, row.changed) == (stat.st_size, inode(stat), str(stat.st_mtime_ns))


def load(row: LogFile, number: int) -> Builder | None:
    """The stored block that holds an event, to be changed."""
    found = Block.objects.filter(file=row, first__lte=number).order_by("-first").first()
    return _builder(found) if found is not None and number <= found.last else None


def load_tail(row: LogFile) -> Builder | None:
    """The last block, where it is not full yet."""
    found = Block.objects.filter(file=row).order_by("-first").first()
    if found is None or found.size >= blocks.FULL or found.last - found.first + 1 >= blocks.FULL_EVENTS:
        return None
    return _builder(found)


def _builder(row: Block) -> Builder:
    made = Builder(row.first, row.offset, row.first_line, row.last_line, row.size, is_stored=True)
    return _fill(made, bytes(row.keys), bytes(row.payload))


def unpack(emptied: Builder, packed: Packed) -> Builder:
    """A block that was put away, to be changed."""
    return _fill(emptied.emptied(), packed["keys"], packed["payload"])


def _fill(made: Builder, keys: bytes, payload: bytes) -> Builder:
    made.keys = [keys[i : i + 8] for i in range(0, len(keys), 8)]
    for rows, raw in blocks.pairs_of(payload):
        made.events += [blocks.event_of(each) for each in rows]
        made.lines.append((len(rows), raw))
    return made


def write(step: Step, batch: Batch) -> LogFile:
    """Write a batch and how far it goes. Raises Busy, IsCopy."""
    dirty = [builder for builder in batch.blocks if builder.is_dirty]
    last = [(builder.first, builder.is_stored, _pack(builder)) for builder in dirty]  # here: a thread would only cost
    values = [*[(builder.first, builder.is_stored, made.result()) for builder, made in batch.packed], *last]
    owner = _look_for_owner(step)
    try:
        with transaction.atomic():
            row = _write(step, batch, values, owner)
    except IntegrityError as error:
        raise Busy(f"{step.path} is being read by another process.") from error
    for builder in dirty:
        builder.is_stored, builder.is_dirty = True, False
    return row


def pack(builder: Builder) -> Future[Packed]:
    """A block, compressed on a thread: that needs no interpreter, and the next lines are read meanwhile.

    Nothing else is done there, for two threads that want the interpreter only wait for each other.
    """
    return _packer().submit(_compress, _columns(builder), builder.payload())


@cache
def _packer() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "pack")


def _pack(builder: Builder) -> Packed:
    return _compress(_columns(builder), builder.payload())


def _compress(columns: Packed, plain: bytes) -> Packed:
    columns["payload"] = zstandard.ZstdCompressor(level=blocks.LEVEL).compress(plain)
    return columns


def _columns(builder: Builder) -> Packed:
    """All but the payload, and ``most``: the largest context in it."""
    compressor = zstandard.ZstdCompressor(level=blocks.LEVEL)
    return {
        "last": builder.last,
        "first_line": builder.first_line,
        "last_line": builder.last_line,
        "offset": builder.offset,
        "size": builder.size,
        "index": builder.index(compressor),
        "keys": b"".join(builder.keys),
        "most": max((event.usage.context for event in builder.events if event.usage and not event.agent), default=0),
    }


def _write(step: Step, batch: Batch, packed: list[tuple[int, bool, Packed]], owner: Owner | None) -> LogFile:
    row = step.row
    if row is None:
        row = _new_row(step, batch)
    old = row.version
    values: dict[str, Any] = {
        "path": str(step.path)[:1000],
        "path_key": key_of(str(step.path)),
        "inode": inode(step.stat),
        "changed": str(step.stat.st_mtime_ns),
        "size": step.stat.st_size,
        "offset": step.at.offset,
        "crc": step.at.crc,
        "ends": step.at.ends,
        "lines": step.at.lines,
        "events": step.counts.events,
        "state": step.state,
        "read_at": timezone.now(),
        "version": old + 1,
    }
    if not LogFile.objects.filter(pk=row.pk, version=old).update(**values):
        raise Busy(f"{step.path} is being read by another process.")
    for name, value in values.items():
        setattr(row, name, value)
    if batch.clears:
        for kind in (Block, TouchedFile, SessionCommit):
            kind.objects.filter(file=row).delete()
    most = _write_blocks(row, packed)
    touches = _write_touched(row, batch)
    _write_commits(row, batch)
    session = Session.objects.select_for_update().get(pk=row.session_id)
    _count(session, row, step, is_anew=batch.clears)
    if not row.agent:
        session.context_most = min(LARGEST, max(most, 0 if batch.clears else session.context_most))
    if touches or batch.clears:
        changed = session.touched.exclude(verb=Verb.READ)
        session.files = changed.values("path_key").distinct().count()
    if batch.clears:
        session.outlined = 0  # as many events as before may be other ones
    _own(session, owner, step)
    if not row.agent:
        _ask(session, batch)
    session.save()
    row.session = session
    if batch.new or batch.clears:
        live.publish(live.session_group(session.pk), "session.grew", session=session.pk, last=session.events)
    return row


def _new_row(step: Step, batch: Batch) -> LogFile:
    """The row of a log that was never read under this path. A log that moved keeps its row and is read anew."""
    name = session_id(step.facts, step.path)
    session, _ = Session.objects.get_or_create(program=step.facts.program, session_id=name)
    agent = step.facts.agent_id[:64]
    known = LogFile.objects.select_related("session").filter(session=session, agent=agent).first()
    if known is None:
        return LogFile.objects.create(session=session, agent=agent, path_key=key_of(str(step.path)))
    if Path(known.path).exists() and step.stat.st_size <= known.size:
        raise IsCopy(known)
    step.counted = blocks.unpack(known.state)["counts"] if known.version else {}
    batch.clears = True
    return known


def _write_blocks(row: LogFile, packed: list[tuple[int, bool, Packed]]) -> int:
    """Returns the largest context in them."""
    made, most = [], 0
    for first, is_stored, whole in packed:
        values = {name: value for name, value in whole.items() if name != "most"}
        most = max(most, whole["most"])
        if is_stored:
            Block.objects.filter(file=row, first=first).update(**values)
        else:
            made.append(Block(file=row, first=first, **values))
    if made:
        Block.objects.bulk_create(made, batch_size=BLOCKS_AT_ONCE)
    return most


def _write_touched(row: LogFile, batch: Batch) -> bool:
    if not batch.touched:
        return False
    keys = {(path, verb): key_of(path) for path, verb in batch.touched}
    rows = TouchedFile.objects.filter(file=row, path_key__in=set(keys.values()))
    known = {(key, verb): (pk, at) for pk, key, verb, at in rows.values_list("pk", "path_key", "verb", "at")}
    as_stored = connection.ops.adapt_datetimefield_value
    made, changed = [], []
    for (path, verb), touched in batch.touched.items():
        key, at = keys[path, verb], time_of(touched.at)
        if before := known.get((key, verb)):
            changed.append((touched.times, touched.last, as_stored(at or before[1]), before[0]))
        else:
            name = name_of(path)
            times = (touched.times, touched.first, touched.last, as_stored(at))
            made.append((row.session_id, row.pk, path[-1000:], key, name[-255:], verb, *times))
    with connection.cursor() as cursor:  # with objects this took as long as everything else together
        if made:
            cursor.executemany(_TOUCH, made)
        if changed:
            cursor.executemany(_TOUCH_AGAIN, changed)
    return bool(made)


def _write_commits(row: LogFile, batch: Batch) -> None:
    if not batch.commits:
        return
    known = set(SessionCommit.objects.filter(file=row, sha__in=batch.commits).values_list("sha", flat=True))
    SessionCommit.objects.bulk_create(
        SessionCommit(
            file=row,
            session_id=row.session_id,
            sha=sha,
            subject=commit.subject,
            event=commit.event,
            at=time_of(commit.at),
            amends=commit.amends,
        )
        for sha, commit in batch.commits.items()
        if sha not in known
    )


def _count(session: Session, row: LogFile, step: Step, *, is_anew: bool) -> None:
    counts, facts, counted = step.counts, step.facts, step.counted
    for name, own in ADDED.items():
        value = getattr(session, name) + getattr(counts, own) - counted.get(own, 0)
        setattr(session, name, max(0, value))
    session.by_model = _summed(session.by_model, counts.by_model, counted.get("by_model") or {})
    first, last = time_of(counts.first_at), time_of(counts.last_at)
    if first and (is_anew or session.started_at is None or first < session.started_at):
        session.started_at = first
    if last and (is_anew or session.active_at is None or last > session.active_at):
        session.active_at = last
    session.grown_at = timezone.now()
    if row.agent:
        return
    for name in OWN:
        setattr(session, name, min(getattr(counts, name), LARGEST))
    session.title = facts.title[:300]
    session.cwd, session.branch = facts.cwd[:700], facts.branch[:300]
    session.version, session.model = facts.version[:60], facts.model[:120]
    session.parent_id = facts.parent_id[:120]
    session.pull_requests = facts.pull_requests
    if step.head_key or is_anew:
        session.head_key = step.head_key


def _summed(
    models: dict[str, list[int]], now: dict[str, list[int]], counted: dict[str, list[int]]
) -> dict[str, list[int]]:
    """The tokens of each model in all files of a session, with what this one has now in the place of what it had."""
    nothing = list(Usage())
    rows = {name: (models.get(name, nothing), now.get(name, nothing), counted.get(name, nothing)) for name in
            {**models, **now}}  # fmt: skip
    found = {
        name: [max(0, sum_ + new - old) for sum_, new, old in zip(*row, strict=True)] for name, row in rows.items()
    }
    return {name: figures for name, figures in found.items() if any(figures)}


def _ask(session: Session, batch: Batch) -> None:
    """Note a prompt that nothing follows yet: it is what the agent is at, whatever the outline says."""
    before = session.asked_event
    session.asked_event, session.asked = batch.asked or ((0, "") if batch.clears else (before, session.asked))
    if batch.asked and session.asked_event and batch.last and naming.is_launch(session, batch.last[1].text):
        session.asked = naming.order_of(session)[:200]
    if session.asked_event != before:
        naming.announce(session)


# --- owners


def _look_for_owner(step: Step) -> Owner | None:
    """Before the transaction: tellers read rows of other rooms."""
    if step.project is not None:
        told = owners.find(step.facts, step.path, time_of(step.counts.first_at))
        if told is not None and told.project == step.project.pk:
            return told
        return Owner(project=step.project.pk, is_exact=True)
    session = step.row.session if step.row else None
    if session is not None and session.owned_at is not None:
        is_settled = session.project_id is not None and not session.is_probable
        if is_settled or timezone.now() - session.owned_at < LOOK_AGAIN:
            return None
    return owners.find(step.facts, step.path, time_of(step.counts.first_at))


def _own(session: Session, owner: Owner | None, step: Step) -> None:
    if owner is None:
        session.owned_at = session.owned_at or timezone.now()
        return
    session.owned_at = timezone.now()
    assign(session, owner)


def give_to(session: Session, project: Project) -> None:
    """Somebody said whose it is, after it was read."""
    with transaction.atomic():
        locked = Session.objects.select_for_update().get(pk=session.pk)
        assign(locked, Owner(project=project.pk, is_exact=True))
        locked.save()


def assign(session: Session, owner: Owner, actor: Actor | None = None) -> None:
    """Say whose a session is; the brief's links follow, by ``actor`` or by flower itself.

    The caller saves the session, in the same transaction.
    """
    actor = actor or actors.system()
    before = session.brief_id
    session.project_id, session.brief_id = owner.project, owner.brief
    session.process, session.dispatch, session.worktree = owner.process, owner.dispatch, owner.worktree
    was_probable, session.is_probable = session.is_probable, not owner.is_exact
    if before == session.brief_id and (before is None or was_probable == session.is_probable):
        return
    target = str(session.pk)
    for link in Link.objects.filter(brief=before, kind=Link.Kind.SESSION, target=target) if before else ():
        links.remove(link, actor=actor)
    if session.brief is not None:
        label = f"{session.program} {session.session_id[:8]}{', probable' if session.is_probable else ''}"
        relation = Link.Relation.EXECUTION
        links.add(session.brief, Link.Kind.SESSION, target, actor=actor, relation=relation, label=label)


# --- small readings


def time_of(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)
