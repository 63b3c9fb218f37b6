"""From a log to the database: only what is new, once, in bounded memory.

How far a log was read stands in its ``LogFile``, with its adapter's state. A log that grew costs its tail; one that was
cut, replaced or changed is noticed (transcripts/progress.py) and read anew. Each batch is one short transaction
that begins by taking the ``LogFile``'s version: of two readers of one log only one writes, and the other is told.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import orjson
import structlog
from django.db.models import QuerySet

from briefs.models import Project
from core.errors import NotFound
from transcripts import blocks, storing
from transcripts.adapters import Amendment, Keys, open_adapter, recognise
from transcripts.events import Event
from transcripts.models import Block, LogFile, Session
from transcripts.progress import Progress, resume
from transcripts.reading import LINE, UNREADABLE, check_ratio, chunks_of, is_compressed, lines_of, open_log
from transcripts.storing import Batch, Busy

__all__ = ["Busy", "Taken", "on_events", "take"]

log = structlog.stdlib.get_logger(__name__)

BATCH: Final = 24 * 1024 * 1024  # bytes of a log in one transaction; compressed they are a sixth of it
SWITCH: Final = 0.0003  # seconds
WAITING_BLOCKS: Final = 6  # that may wait for being compressed, each half a megabyte of memory
OPEN_BLOCKS: Final = 2  # that are held unpacked: a message's records are seldom further apart
PIECE: Final = 512 * 1024

# Called with a session's number after new events of it were committed. The segmenter and the daemons listen.
on_events: list[Callable[[int], None]] = []


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one log."""

    session: int
    program: str
    agent: str  # the sub-agent's id, where the log is one's
    events: int  # in this log
    new_events: int
    is_reread: bool = False
    left_out: int = 0  # records of this log that only repeat its parent's
    copy_of: str = ""  # the path under which the same log, or a longer one, was taken before


def take(path: Path, *, project: Project | None = None, again: bool = False) -> Taken:
    """Bring the database up to date with one log. ``project``: the owner, whatever the log says.

    ``again``: read it from its beginning, as if nothing of it were known: puts right what an older flower read wrongly.

    Raises NoTranscript for another kind of file, NotFound for none, Busy when another reader was faster.
    """
    path = path.absolute()
    try:
        with open_log(path) as file, _in_haste():
            taken = _Reader(path, file, project, again=again).run()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.") from error
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EISDIR, errno.EINVAL, errno.ENXIO):
            raise
        raise NotFound(f"{path} cannot be read: {error.strerror}.") from error
    if taken.new_events or taken.is_reread:
        _tell(taken.session)
    return taken


def known_size(path: Path) -> int:
    """The bytes of a log when it was last read; 0 for one that never was."""
    known = LogFile.objects.filter(path_key=storing.key_of(str(path.absolute()))).values_list("size", flat=True)
    return known.first() or 0


def _tell(session: int) -> None:
    """Tell who listens. One that fails is logged: the events are stored all the same."""
    for hear in on_events:
        try:
            hear(session)
        except Exception:
            log.exception("a listener of sessions failed", session=session)


@contextmanager
def _in_haste() -> Iterator[None]:
    """Records and events hold no cycles, and looking for some among them takes a fifth of the time. And the thread that
    compresses needs the interpreter for moments: with the usual 5 ms it would wait longer than it works."""
    was_on, interval = gc.isenabled(), sys.getswitchinterval()
    gc.disable()
    sys.setswitchinterval(SWITCH)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        if was_on:
            gc.enable()


class _Reader:
    """One run over one log."""

    def __init__(self, path: Path, file: BinaryIO, project: Project | None, *, again: bool = False) -> None:
        self.path, self.file, self.project, self.again = path, file, project, again
        self.stat = os.fstat(file.fileno())
        self.row = LogFile.objects.select_related("session").filter(path_key=storing.key_of(str(path))).first()
        self.batch = Batch()
        self.is_reread = False
        self.total = 0

    def run(self) -> Taken:
        row = self.row
        if row is not None and not self.again and storing.is_unchanged(row, self.stat):
            if self.project is not None and row.session.project_id != self.project.pk:
                storing.give_to(row.session, self.project)
            left_out = blocks.unpack(row.state)["counts"].get("left_out", 0)
            return Taken(row.session_id, row.session.program, row.agent, row.events, 0, left_out=left_out)
        is_packed = is_compressed(self.file)
        if is_packed:
            check_ratio(self.file)
        at = resume(row, self.file) if row is not None and not is_packed and not self.again else None
        if row is not None and at is not None:
            self._go_on(row, at)
        else:
            self._begin()
        try:
            self._consume(chunks_of(self.file) if is_packed else self._pieces(), is_packed)
        except _GoesOn:
            self._begin()
            self._consume(self._pieces(), is_packed)
        except storing.IsCopy as copy:
            other = copy.of
            return Taken(other.session_id, other.session.program, other.agent, other.events, 0, copy_of=other.path)
        row = self.row
        assert row is not None
        left_out = self.adapter.counts.left_out
        return Taken(
            row.session_id, row.session.program, row.agent, row.events, self.total, self.is_reread, left_out=left_out
        )

    # --- where to begin

    def _begin(self) -> None:
        self.file.seek(0)
        program = recognise(islice(lines_of(self.path), 500), self.path)
        self.adapter = open_adapter(program, self.path.name)
        self.adapter.find_original, self.adapter.find_parent = self._find_original, self._find_parent
        self.at = Progress()
        self.batch = Batch()
        self.total = 0
        self.is_reread = self.batch.clears = self.row is not None
        self.counted = blocks.unpack(self.row.state)["counts"] if self.row else {}
        self.head_key = ""

    def _go_on(self, row: LogFile, at: Progress) -> None:
        state = blocks.unpack(row.state)
        at.is_open = state["is_open"]
        self.at, self.counted, self.head_key = at, state["counts"], ""
        loose = bytes.fromhex(state["loose"])
        packed = loose + b"".join(map(bytes, Block.objects.filter(file=row).values_list("keys", flat=True)))
        self.adapter = open_adapter(row.session.program, self.path.name, state, Keys(packed))
        self.adapter.keys.fresh = [loose[i : i + 8] for i in range(0, len(loose), 8)]
        self.adapter.find_original, self.adapter.find_parent = self._find_original, self._find_parent
        if original := self.adapter.more.get("original"):
            self.adapter.inherited = _keys_of(original)
        if tail := storing.load_tail(row):
            self.batch.blocks.append(tail)

    def _find_original(self, key: str) -> Keys | None:
        """The keys of the session that has the same first event, or that this one says it came from."""
        facts = self.adapter.facts
        if facts.agent_id:
            return None
        self.head_key = storing.key_of(key)
        own = storing.session_id(facts, self.path)
        others = Session.objects.filter(program=facts.program).exclude(session_id=own).order_by("pk")
        found = others.filter(head_key=self.head_key).first() if self.adapter.has_ids else None
        if found is None and facts.parent_id:
            found = others.filter(session_id=facts.parent_id).first()
        if found is None:
            return None
        self.adapter.more["original"] = found.pk
        return _keys_of(found.pk)

    def _find_parent(self) -> Keys | None:
        """The keys of the log that started this sub-agent: the session's own, or another sub-agent's."""
        facts = self.adapter.facts
        agent = "" if facts.parent_id == facts.session_id else facts.parent_id[:64]
        logs = LogFile.objects.filter(session__program=facts.program, session__session_id=facts.session_id, agent=agent)
        log = logs.first()
        return None if log is None else Keys(_packed(Block.objects.filter(file=log)))

    # --- reading

    def _pieces(self) -> Iterator[bytes]:
        self.file.seek(self.at.offset)
        while piece := self.file.read(PIECE):
            yield piece

    def _consume(self, pieces: Iterator[bytes], is_packed: bool) -> None:
        rest: list[bytes] = []
        length = 0  # of them
        begun: Progress | None = None  # where a line begins that is longer than is read
        for piece in pieces:
            if self.at.is_open:
                if not piece.startswith(b"\n"):
                    raise _GoesOn
                self.at.go(b"\n")
                self.at.is_open = False
                piece = piece[1:]
            if begun is not None:
                end = piece.find(b"\n")
                self.at.go(piece[: end + 1] if end >= 0 else piece)
                if end < 0:
                    continue
                begun = None
                self._pass_over()
                piece = piece[end + 1 :]
            last = piece.rfind(b"\n")
            if last < 0:
                rest.append(piece)
                length += len(piece)
                if length > LINE:
                    begun = replace(self.at)
                    for part in rest:
                        self.at.go(part)
                    rest, length = [], 0
                continue
            self._lines(b"".join(rest), piece, last)
            rest = [piece[last + 1 :]] if last + 1 < len(piece) else []
            length = len(piece) - last - 1
            if self.batch.size >= BATCH:
                self._write()
        left = b"".join(rest)
        if left and (is_packed or _is_whole(left)):
            self._last_line(left)
        if begun is not None and is_packed:
            self._pass_over()
        elif begun is not None:
            self.at = begun  # it is still being written
        self._write()

    def _pass_over(self) -> None:
        """Count the line before this place as one that cannot be read: it is longer than LINE."""
        self.at.lines += 1
        self.adapter.feed(self.at.lines, UNREADABLE)
        log.warning("a line is too long to be read", path=str(self.path), line=self.at.lines, most=LINE)

    def _last_line(self, raw: bytes) -> None:
        self.at.lines += 1
        if events := self.adapter.feed(self.at.lines, raw):
            self._keep(self.at.lines, self.at.offset, raw, events)
        self._amend_all()
        self.at.go(raw)
        self.at.is_open = True

    def _lines(self, rest: bytes, piece: bytes, last: int) -> None:
        """Feed the lines that end in a piece, the last of them at ``last``. ``rest``: the first line's beginning."""
        place, number = self.at.offset, self.at.lines
        self.at.go(rest)
        self.at.go(memoryview(piece)[: last + 1])
        self.batch.size += self.at.offset - place
        adapter = self.adapter
        raws = _cut(rest, piece, last)
        # First all are parsed, then all are taken: a processor that does one thing at a time does both faster.
        for raw, parsed in zip(raws, list(map(adapter.parse, raws)), strict=True):
            number += 1
            if events := adapter.tell(number, parsed):
                self._keep(number, place, raw, events)
            if adapter.amended:
                self._amend_all()
            place += len(raw) + 1
        self.at.lines = number

    def _keep(self, line: int, place: int, raw: bytes, events: list[Event]) -> None:
        batch = self.batch
        first = self.adapter.counts.events - len(events) + 1
        if not batch.blocks or batch.blocks[-1].is_full:
            self._put_keys()
            batch.blocks.append(blocks.Builder(first, place, line))
            if len(batch.blocks) > OPEN_BLOCKS:
                self._put_away(batch.blocks.pop(0))
        batch.blocks[-1].add(line, raw, events)
        batch.note(first, events, self.adapter.facts.cwd)
        self.total += len(events)

    def _put_away(self, builder: blocks.Builder) -> None:
        if builder.is_dirty:
            packed = self.batch.packed
            packed.append((builder.emptied(), storing.pack(builder)))
            if len(packed) > WAITING_BLOCKS:
                packed[-1 - WAITING_BLOCKS][1].result()

    def _put_keys(self) -> None:
        """The keys that were seen go with the events that were."""
        keys = self.adapter.keys
        if self.batch.blocks and keys.fresh:
            self.batch.blocks[-1].keys += keys.fresh
            self.batch.blocks[-1].is_dirty = True
            keys.fresh = []

    def _amend_all(self) -> None:
        for amendment in self.adapter.amended:
            self._amend(amendment)
        self.adapter.amended.clear()

    def _amend(self, amendment: Amendment) -> None:
        for builder in reversed(self.batch.blocks):
            if builder.first <= amendment.number <= builder.last:
                builder.amend(amendment)
                return
        if stored := self._put_away_before(amendment.number):
            stored.amend(amendment)
            self._put_away(stored)

    def _put_away_before(self, number: int) -> blocks.Builder | None:
        """The block of an event whose message has records far apart: it happens about once in 5 MB."""
        for place, (known, packed) in enumerate(self.batch.packed):
            if known.first <= number <= packed.result()["last"]:
                del self.batch.packed[place]
                return storing.unpack(known, packed.result())
        return storing.load(self.row, number) if self.row is not None else None

    def _write(self) -> None:
        self._put_keys()
        adapter = self.adapter
        state = adapter.state()
        fresh = b"".join(adapter.keys.fresh)
        state |= {"is_open": self.at.is_open, "loose": fresh.hex()}
        self.row = storing.write(
            storing.Step(
                path=self.path,
                stat=self.stat,
                row=self.row,
                at=self.at,
                facts=adapter.facts,
                counts=adapter.counts,
                counted=self.counted,
                state=blocks.pack(state),
                head_key=self.head_key,
                project=self.project,
            ),
            self.batch,
        )
        self.counted = asdict(adapter.counts)
        kept = [builder for builder in self.batch.blocks[-2:] if builder.events]  # may still be amended, or added to
        self.batch = Batch(blocks=kept)


class _GoesOn(Exception):
    """What looked like a whole last record was not its line's end. The log is read from its beginning."""


def _cut(rest: bytes, piece: bytes, last: int) -> list[bytes]:
    """The lines that end in a piece, each copied once. split() takes four times as long: it looks at every byte."""
    lines = []
    start, find = 0, piece.find
    while start <= last:
        end = find(b"\n", start)
        lines.append(piece[start:end])
        start = end + 1
    if rest:
        lines[0] = rest + lines[0]
    return lines


def _is_whole(raw: bytes) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _keys_of(session: int) -> Keys:
    return Keys(_packed(Block.objects.filter(file__session=session, file__agent="")))


def _packed(blocks_: QuerySet[Block]) -> bytes:
    return b"".join(map(bytes, blocks_.values_list("keys", flat=True)))
