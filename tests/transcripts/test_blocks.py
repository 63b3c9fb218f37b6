"""Blocks give back what was put into them, also those that an older flower stored."""

from __future__ import annotations

from dataclasses import asdict, fields

import orjson
import pytest
import zstandard

from tests.transcripts import stored
from tests.transcripts.building import Log
from tests.transcripts.logs import Claude, dump, write
from transcripts import blocks, ingest, paging
from transcripts.events import Commit, Event, Kind, Status, Todo, Touch, Usage, Verb
from transcripts.models import Block, Session

FULL = Event(
    line=7, kind=Kind.CALL, key="k", text="a \\ \"b\"\n→", at=1_774_000_000_123, agent="a1", message="m1", model="opus",
    tool="Edit", call="t1", command="make", is_error=True, exit_code=2, touches=(Touch("/x", Verb.EDITED),),
    commits=(Commit("1a2b3c4", "Add it"),), todos=(Todo("one", Status.ACTIVE), Todo("two", Status.DONE)),
    plan_accepted=True, usage=Usage(1, 2, 3, 4), window=200_000, data={"images": 1, "description": "Try"},
)  # fmt: skip
EMPTY = Event(line=1, kind=Kind.PROMPT, key="p")


def payload(*events: Event) -> bytes:
    builder = blocks.Builder(1, 0, 1)
    for event in events:
        builder.add(event.line, b'{"raw": 1}', [event])
    return zstandard.ZstdCompressor().compress(builder.payload())


def old_payload(*events: Event) -> bytes:
    """As it was stored when each event was an object with names."""
    parts: list[bytes] = []
    for event in events:
        usage = event.usage and event.usage._asdict()
        parts += [orjson.dumps([{**asdict(event), "kind": event.kind.value, "usage": usage}]), b'{"raw": 1}']
    return zstandard.ZstdCompressor().compress(b"\n".join(parts))


def test_every_value_of_an_event_comes_back():
    assert all(getattr(FULL, each.name) != getattr(EMPTY, each.name) for each in fields(Event))
    (full, empty) = blocks.events_of(payload(FULL, EMPTY))
    assert (full, empty) == (FULL, EMPTY)
    assert [type(one) for one in (full.usage, full.touches[0].verb, full.todos[0].status)] == [Usage, Verb, Status]


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_comes_back(kind):
    assert blocks.events_of(payload(Event(1, kind, "k")))[0].kind is kind


def test_a_row_of_before_a_value_was_added_has_its_default():
    short = blocks.row_of(FULL)[:-1]
    assert blocks.event_of(list(short)).data == {}


def test_events_that_an_older_flower_stored_come_back():
    assert blocks.events_of(old_payload(FULL, EMPTY)) == [FULL, EMPTY]


@pytest.mark.django_db
def test_pages_and_searches_read_blocks_of_an_older_flower():
    log = Log().say("Step one of the work").run("make all", result="it is made")
    session = stored.session(log)
    new = [paging.events(session, 1, 10), paging.search(session, "step ONE"), paging.search(session, "make all")]
    Block.objects.update(payload=old_payload(*log.events))
    old = [paging.events(session, 1, 10), paging.search(session, "step ONE"), paging.search(session, "make all")]
    assert old == new
    assert [one.words for one in old[1].found] == ["Step one"]


@pytest.mark.django_db
def test_a_log_goes_on_in_a_block_of_an_older_flower(tmp_path):
    log = Claude()
    path = write(tmp_path, dump(log.prompt("one"), log.call("Bash", "t1", command="make")))
    ingest.take(path)
    block = Block.objects.get()
    before = blocks.events_of(block.payload)
    block.payload = old_payload(*before)
    block.save()
    with path.open("ab") as file:
        file.write(dump(log.result("t1", "made")))
    assert ingest.take(path).new_events == 1
    assert [event for _, event in paging.events(Session.objects.get(), 1, 2)] == before
    assert all(isinstance(row, list) for rows, _ in blocks.pairs_of(Block.objects.get().payload) for row in rows)
