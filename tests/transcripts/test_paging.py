"""Events by number: any page in the same few queries, wherever it lies."""

from __future__ import annotations

import pytest

from core.errors import NotFound
from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts import paging
from transcripts.models import Block

pytestmark = pytest.mark.django_db


def long_log(steps: int) -> Log:
    log = Log()
    for number in range(steps):
        log.say(f"Step {number} of the work").run(f"make part-{number}", result=f"part {number} is made")
    return log


def blocks_of(session, at_once: int = 100) -> None:
    """Lay the events out as ingest does: in many blocks."""
    (whole,) = Block.objects.filter(file__session=session)
    events = [event for _, event in paging.events(session, 1, 10**6)]
    whole.delete()
    row = session.log_files.get()
    row.events = 0
    row.save()
    for end in range(at_once, len(events) + at_once, at_once):
        stored.grow(session, events[:end])


@pytest.fixture
def session():
    made = stored.session(long_log(200))
    blocks_of(made, 90)
    assert Block.objects.count() == 7
    return made


def numbers(found) -> list[int]:
    return [number for number, _ in found]


def test_a_page_is_in_order_and_without_a_gap(session):
    assert numbers(paging.events(session, 85, 184)) == list(range(85, 185))
    assert numbers(paging.events(session, 1, 3)) == [1, 2, 3]


def test_pages_before_meet_pages_after(session):
    assert numbers(paging.before(session, 85)) == list(range(1, 85))
    assert numbers(paging.before(session, 300, 50)) == list(range(250, 300))
    assert numbers(paging.before(session, 10**12)) == []  # nothing ends there
    assert paging.before(session, 1) == []


def test_walking_over_pages_meets_every_event_once(session):
    seen, after = [], 0
    while page := paging.events(session, after + 1, after + 100):
        seen += numbers(page)
        after = page[-1][0]
    assert seen == list(range(1, 601))


def test_a_page_reads_three_blocks_at_most_wherever_it_lies(session, django_assert_num_queries):
    for first in (1, 250, 590):
        with django_assert_num_queries(1):
            paging.events(session, first, first + 99)
    tiny = stored.session(long_log(40))
    blocks_of(tiny, 10)
    assert numbers(paging.events(tiny, 5, 104)) == list(range(5, 31)), "three blocks, and the page is shorter"
    assert numbers(paging.before(tiny, 31)) == list(range(1, 31))


def test_what_is_not_there_is_said(session):
    with pytest.raises(NotFound, match=f"Session {session.pk} has no event 601"):
        paging.event(session, 601)
    with pytest.raises(NotFound):
        paging.raw(session, 0)
    with pytest.raises(NotFound):
        paging.raw(session, 2**70)
    assert paging.events(session, 5, 4) == []


def test_a_sub_agents_log_is_its_own(session):
    assert paging.events(session, 1, 10, agent="other") == []


def test_the_raw_line_is_what_the_program_wrote(session):
    assert paging.raw(session, 14) == b'{"made": "up"}'


def test_a_record_that_was_not_kept_is_said(session):
    Block.objects.all().delete()
    session.log_files.update(events=0)
    log = Log().say("short")
    stored.grow(session, log.events)
    block = Block.objects.get()
    import zstandard

    payload = zstandard.ZstdDecompressor().decompress(bytes(block.payload)).split(b"\n")
    block.payload = zstandard.ZstdCompressor().compress(b"\n".join([payload[0], b""]))
    block.save()
    with pytest.raises(NotFound, match="longer than 4 MB"):
        paging.raw(session, 1)


def test_search_finds_words_in_texts_and_commands_whatever_their_case(session):
    found = paging.search(session, "STEP 17 OF")
    assert [(one.number, one.words) for one in found.found] == [(52, "Step 17 of")]
    assert found.found[0].after == " the work"
    assert [one.number for one in paging.search(session, "make part-33").found] == [101]
    assert not paging.search(session, "zebra").found


def test_search_goes_on_where_it_stopped(session):
    seen, after = [], 0
    while (found := paging.search(session, "is made", after=after, most=30)).found:
        seen += [one.number for one in found.found]
        after = found.upto
        if not found.goes_on:
            break
    assert seen == list(range(3, 601, 3))
