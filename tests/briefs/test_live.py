"""What the sockets send: every entry, in order, once; and to nobody who may not read it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator

from briefs import consumers, routing, trace
from briefs.identity import Identity
from briefs.models import Actor, Brief, Project, Token, TraceEntry
from briefs.services import briefs
from core import live
from core.threads import run_in_database_thread
from tests.factories import agent, identity, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _nothing_is_rendered_yet():
    consumers.renderings.clear()
    yield
    consumers.renderings.clear()


class Page:
    """A page's socket: what it was sent."""

    def __init__(self, path: str, who: Identity) -> None:
        self.socket = WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), path)
        self.socket.scope["identity"] = who

    async def opens(self) -> bool:
        connected, _ = await self.socket.connect(timeout=5)
        return bool(connected)

    async def entries(self, upto: int) -> list[int]:
        """The numbers of the entries that came, until ``upto`` did."""
        found: list[int] = []
        while not found or found[-1] < upto:
            message = await self.socket.receive_from(timeout=5)
            found += [int(seq) for seq in re.findall(r'<li [^>]*id="trace-(\d+)"', message)]
        return found

    async def message(self) -> dict[str, Any]:
        return json.loads(await self.socket.receive_from(timeout=5))

    async def hears_nothing(self) -> bool:
        return bool(await self.socket.receive_nothing(timeout=0.1))

    async def leaves(self) -> None:
        await self.socket.disconnect()


def with_notes(count: int, project: Project | None = None) -> Brief:
    brief = make_brief("Watched", project)
    for number in range(count):
        briefs.note(brief, f"note {number}", actor=agent())
    brief.refresh_from_db()
    return brief


def reader(actor: Actor | None = None) -> Identity:
    return identity(actor or operator(), Token.Scope.OPERATOR)


async def note(brief: Brief, body: str) -> int:
    return await run_in_database_thread(lambda: briefs.note(brief, body, actor=agent()))


def test_a_page_gets_all_that_came_after_its_last_number_in_order():
    brief, who = with_notes(250), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/?after=7", who)
        assert await page.opens()
        assert await page.entries(brief.trace_seq) == list(range(8, brief.trace_seq + 1))
        seq = await note(brief, "one more")
        assert await page.entries(seq) == [seq]
        assert await page.hears_nothing()
        await page.leaves()

    watch()


def test_a_page_without_a_number_gets_what_comes_from_now_on():
    brief, who = with_notes(3), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/", who)
        assert await page.opens()
        assert await page.hears_nothing()
        seq = await note(brief, "new")
        assert await page.entries(seq) == [seq]
        await page.leaves()

    watch()


@pytest.mark.parametrize("after", ["-1", "x", "99999999999999999999", "%00", ""])
def test_a_strange_number_is_no_number(after):
    brief, who = with_notes(1), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/?after={after}", who)
        assert await page.opens()
        assert await page.hears_nothing()
        await page.leaves()

    watch()


def test_a_reconnect_has_neither_gap_nor_duplicate():
    brief, who = with_notes(5), reader()

    @async_to_sync
    async def watch() -> None:
        seen: list[int] = []
        for _ in range(3):
            page = Page(f"/ws/briefs/{brief.pk}/?after={seen[-1] if seen else 0}", who)
            assert await page.opens()
            seq = await note(brief, "while connected")
            seen += await page.entries(seq)
            await page.leaves()
            await note(brief, "while away")
        assert seen == list(range(1, seen[-1] + 1))

    watch()


def test_hints_that_come_twice_late_or_never_change_nothing():
    brief, who = with_notes(2), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/?after={brief.trace_seq}", who)
        assert await page.opens()
        first = await note(brief, "first")
        assert await page.entries(first) == [first]
        layer = get_channel_layer()
        for seq in (first, 1, first):
            await layer.group_send(
                live.brief_group(brief.pk), {"type": "trace.grew", "brief": brief.pk, "seq": seq, "at": 0}
            )
        await layer.group_send(live.brief_group(brief.pk), {"type": "never.heard.of", "at": 0})
        assert await page.hears_nothing()
        await run_in_database_thread(append_silently, brief)  # its hint is lost
        assert await page.hears_nothing()
        await page.socket.send_to("{}")  # the page's heartbeat finds it
        assert await page.entries(first + 1) == [first + 1]
        await page.leaves()

    watch()


def append_silently(brief: Brief) -> None:
    kept = live.publish
    trace.live.publish = lambda *_, **__: None
    try:
        trace.append(brief, trace.Kind.NOTE, actor=agent(), body="silent")
    finally:
        trace.live.publish = kept


def test_an_entry_is_rendered_once_however_many_look_on(monkeypatch):
    brief, who = with_notes(20), reader()
    rendered: list[int] = []
    render = consumers.rendered

    def counted(number: int, rows: list[TraceEntry]) -> list[tuple[int, str]]:
        rendered.extend(row.seq for row in rows)
        return render(number, rows)

    monkeypatch.setattr(consumers, "rendered", counted)

    @async_to_sync
    async def watch() -> None:
        pages = [Page(f"/ws/briefs/{brief.pk}/?after=0", who) for _ in range(8)]
        assert all(await asyncio.gather(*(page.opens() for page in pages)))
        seq = await note(brief, "for all")
        for found in await asyncio.gather(*(page.entries(seq) for page in pages)):
            assert found == list(range(1, seq + 1))
        assert sorted(rendered) == list(range(1, seq + 1))
        for page in pages:
            await page.leaves()

    watch()


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(consumers, "KEPT_CHARACTERS", 5_000)
    monkeypatch.setattr(consumers, "AT_ONCE", 10)
    brief, who = with_notes(60), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/?after=0", who)
        assert await page.opens()
        assert await page.entries(brief.trace_seq) == list(range(1, brief.trace_seq + 1))
        await page.leaves()

    watch()
    assert len(consumers.renderings.kept) <= 20
    assert consumers.renderings.characters == sum(map(len, consumers.renderings.kept.values()))


def test_hostile_text_comes_as_text():
    brief, who = with_notes(0), reader()
    briefs.note(brief, "<script>alert(1)</script> [x](javascript:alert(2))", actor=agent())

    @async_to_sync
    async def watch() -> str:
        page = Page(f"/ws/briefs/{brief.pk}/?after=0", who)
        assert await page.opens()
        html = ""
        while "alert(1)" not in html:
            html += await page.socket.receive_from(timeout=5)
        await page.leaves()
        return html

    html = watch()
    assert "<script" not in html and 'href="javascript' not in html
    assert "&lt;script&gt;alert(1)" in html


# --- who may look on ------------------------------------------------------------------------------------------------


def test_nobody_opens_a_brief_that_is_not_theirs(tmp_path):
    brief, other = with_notes(1), make_brief("Other")
    elsewhere = Project.objects.create(slug="elsewhere", root=str(tmp_path), main_branch="main")
    run = identity(agent(), Token.Scope.RUN, brief=other.pk, run=1)
    limited = identity(agent(), Token.Scope.AGENT, project=elsewhere.pk)

    @async_to_sync
    async def knock() -> None:
        for who in (run, limited):
            assert not await Page(f"/ws/briefs/{brief.pk}/?after=0", who).opens()
        assert not await Page("/ws/briefs/999/?after=0", run).opens()

    knock()


def test_a_run_may_look_at_its_own_brief():
    brief = with_notes(1)
    run = identity(agent(), Token.Scope.RUN, brief=brief.pk, run=1)

    @async_to_sync
    async def watch() -> None:
        page = Page(f"/ws/briefs/{brief.pk}/?after=0", run)
        assert await page.opens()
        assert await page.entries(brief.trace_seq) == list(range(1, brief.trace_seq + 1))
        await page.leaves()

    watch()


# --- the board ------------------------------------------------------------------------------------------------------


def test_the_board_is_told_which_brief_changed():
    brief, who = with_notes(0), reader()

    @async_to_sync
    async def watch() -> None:
        page = Page("/ws/board/", who)
        assert await page.opens()
        await note(brief, "changed")
        assert await page.message() == {"type": "brief.changed", "brief": brief.pk}
        await page.leaves()

    watch()


def test_a_limited_caller_hears_of_its_own_briefs_only(tmp_path):
    mine = Project.objects.create(slug="mine", root=str(tmp_path), main_branch="main")
    own, other = make_brief("Own", mine), make_brief("Other")
    limited = identity(agent(), Token.Scope.AGENT, project=mine.pk)

    @async_to_sync
    async def watch() -> None:
        page = Page("/ws/board/", limited)
        assert await page.opens()
        await note(other, "not for you")
        await note(own, "for you")
        assert await page.message() == {"type": "brief.changed", "brief": own.pk}
        assert await page.hears_nothing()
        await page.leaves()

    watch()


# --- a process's output -----------------------------------------------------------------------------------------------


@pytest.fixture
def process(db, tmp_path, settings, monkeypatch):
    """A process that says two lines, one second apart at most."""
    import dataclasses

    from daemons.services import processes

    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "home")
    settings.FLOWER.home.mkdir()
    made = processes.create("agent", command="sh", cwd=tmp_path, brief=make_brief("Loud"))
    processes.launch(made, ["/bin/sh", "-c", "printf 'one\\n'; sleep 0.3; printf 'two\\n'"])
    yield made
    processes.stop(made)


def test_output_comes_as_bytes_from_the_offset_on(process):
    who = reader()

    @async_to_sync
    async def watch(offset: int) -> bytes:
        from daemons import routing as doors

        socket = WebsocketCommunicator(
            URLRouter(doors.websocket_urlpatterns), f"/ws/processes/{process.pk}/?offset={offset}"
        )
        socket.scope["identity"] = who
        assert (await socket.connect(timeout=5))[0]
        received = b""
        while not received.endswith(b"two\r\n"):
            frame = await socket.receive_output(timeout=5)
            assert frame["type"] == "websocket.send"
            received += frame.get("bytes") or b""
        await socket.disconnect()
        return received

    assert watch(0) == b"one\r\ntwo\r\n"
    assert watch(3) == b"\r\ntwo\r\n"


def test_nobody_sees_the_output_of_a_brief_that_is_not_theirs(process):
    from daemons import routing as doors

    stranger = identity(agent(), Token.Scope.RUN, brief=make_brief("Other").pk, run=1)

    @async_to_sync
    async def knock() -> bool:
        socket = WebsocketCommunicator(URLRouter(doors.websocket_urlpatterns), f"/ws/processes/{process.pk}/")
        socket.scope["identity"] = stranger
        return bool((await socket.connect(timeout=5))[0])

    assert not knock()
