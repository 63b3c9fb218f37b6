"""Neither one line nor what a small compressed log unpacks to fills the memory; what is around it is read."""

from __future__ import annotations

import tracemalloc

import pytest
import zstandard

from core.errors import TooLarge
from tests.transcripts.logs import Claude, dump, write
from tests.transcripts.test_ingest import everything
from transcripts import ingest, reading
from transcripts.models import Block, LogFile, Session
from transcripts.reading import LINE, RATIO_FREE, lines_of

pytestmark = pytest.mark.django_db


def bomb(log: Claude, size: int) -> bytes:
    """One record, and a line of ``size`` bytes: some 30 KB for a gigabyte."""
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    parts = [packer.compress(dump(log.prompt("one")))]
    parts += [packer.compress(b"a" * (1 << 20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


@pytest.mark.parametrize("kind", ["one line", "short lines"])
def test_a_log_that_unpacks_to_a_thousand_times_its_size_is_refused(tmp_path, kind):
    size = RATIO_FREE + (64 << 20)
    packed = bomb(Claude(), size) if kind == "one line" else zstandard.compress(b'{"a": 1}\n' * (size // 9))
    path = write(tmp_path, packed, "11111111-2222-3333-4444-555555555555.jsonl.zst")
    assert path.stat().st_size < 60_000
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            ingest.take(path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert not LogFile.objects.exists() and not Session.objects.exists() and not Block.objects.exists()


def test_a_line_that_is_too_long_is_passed_over(tmp_path):
    log = Claude()
    before, after = dump(log.prompt("one"), log.said("two")), dump(log.said("three"))
    path = write(tmp_path, before + b"x" * (LINE + (8 << 20)) + b"\n" + after)
    tracemalloc.start()
    try:
        taken = ingest.take(path)
        assert tracemalloc.get_traced_memory()[1] < 1.5 * LINE
    finally:
        tracemalloc.stop()
    assert taken.events == 3
    row = LogFile.objects.get()
    assert (row.lines, row.offset) == (4, path.stat().st_size)
    assert Session.objects.get().invalid == 1


@pytest.fixture
def short(monkeypatch):
    """Lines of more than 2,000 bytes are too long; pieces are small."""
    for module in (ingest, reading):
        monkeypatch.setattr(module, "LINE", 2_000)
    monkeypatch.setattr(ingest, "PIECE", 700)
    monkeypatch.setattr(reading, "CHUNK", 700)


def records(log: Claude, count: int = 4) -> list[bytes]:
    return [dump(log.prompt(f"number {number}")) for number in range(count)]


@pytest.mark.parametrize("length", [1_999, 2_001, 2_800, 9_000, 70_000])
@pytest.mark.parametrize("packs", [False, True], ids=["plain", "packed"])
def test_what_is_around_it_is_read_wherever_the_pieces_end(tmp_path, short, length, packs):
    one, two, three, four = records(Claude())
    whole = one + b"x" * length + b"\n" + two + b"y" * length + b"\n" + b"z" * length + b"\n" + three + four
    path = write(tmp_path, zstandard.compress(whole) if packs else whole)
    taken = ingest.take(path)
    assert (taken.events, Session.objects.get().invalid) == (4, 3)
    row = LogFile.objects.get()
    assert (row.lines, row.offset) == (7, len(whole))
    assert [b.first for b in row.blocks.all()] == [1]


def test_such_a_line_may_be_written_bit_by_bit(tmp_path, short):
    """A log that grew is as one that was read at once."""
    one, two, *_ = records(Claude())
    whole = one + b"x" * 9_000 + b"\n" + two
    path = write(tmp_path, b"")
    for end in (len(one), len(one) + 500, len(one) + 4_000, len(one) + 9_000, len(one) + 9_001, len(whole)):
        path.write_bytes(whole[:end])
        if end:
            ingest.take(path)
    grown = everything(path)
    Session.objects.all().delete()
    LogFile.objects.all().delete()
    ingest.take(path)
    read_at_once = everything(path)
    assert grown["log"] == read_at_once["log"] and grown["events"] == read_at_once["events"]
    assert grown["log"][0] == len(whole)


def test_lines_are_told_in_bounds_to_whoever_looks_at_the_first_ones(tmp_path, short):
    path = write(tmp_path, b"one\n" + b"x" * 9_000 + b"\ntwo\n" + b"y" * 5_000)
    assert list(lines_of(path)) == [b"one", b"{", b"two", b"{"]
    assert list(lines_of(write(tmp_path, b"a" * 1_500 + b"\n\n" + b"b" * 1_900, "b.jsonl"))) == [
        b"a" * 1_500,
        b"",
        b"b" * 1_900,
    ]
