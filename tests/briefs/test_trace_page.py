"""The trace on the page: filtered by its address, grouped, and as quick with ten thousand entries as with twenty."""

from __future__ import annotations

import asyncio
import html
import json
import re

import pytest
from asgiref.sync import async_to_sync
from channels.routing import URLRouter
from channels.testing import WebsocketCommunicator
from django.db import connection
from django.test.utils import CaptureQueriesContext

from briefs import consumers, lifecycle, routing, trace
from briefs.models import TraceEntry
from briefs.services import briefs, links
from core.threads import run_in_database_thread
from tests.factories import agent, identity, make_brief, operator

HTMX = {"HX-Request": "true"}


def body(response) -> str:
    return html.unescape(response.content.decode())


def seqs(page: str) -> list[int]:
    return [int(seq) for seq in re.findall(r'id="trace-(\d+)"', page)]


# --- filters ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_kind_and_actor_are_in_the_address(browser, project):
    brief = make_brief("Filter", project)
    note = briefs.note(brief, "by an agent", actor=agent())
    comment = briefs.note(brief, "a comment", actor=operator(), kind="comment")
    lifecycle.move(brief, "planned", actor=operator())
    address = brief.get_absolute_url()
    assert seqs(body(browser.get(f"{address}?kind=note"))) == [note]
    assert comment in seqs(body(browser.get(f"{address}?actor=operator:mike")))
    assert note not in seqs(body(browser.get(f"{address}?actor=operator:mike")))
    both = body(browser.get(f"{address}?kind=comment&actor=operator:mike"))
    assert seqs(both) == [comment]
    assert 'data-trace-query="kind=comment&actor=operator%3Amike"' in both
    assert "Only “comment” by operator:mike" in both and "Show all" in both
    assert "Nothing like this has happened yet." in body(browser.get(f"{address}?kind=gate"))
    assert len(seqs(body(browser.get(f"{address}?kind=<script>")))) == brief.trace_seq
    assert browser.get(f"{address}?actor=%00'\"<b>").status_code == 200


@pytest.mark.django_db
def test_earlier_pages_and_missed_entries_keep_the_filter(browser, project):
    brief = make_brief("Filter", project)
    for number in range(70):
        briefs.note(brief, f"note {number}", actor=agent(), kind="note" if number % 2 else "comment")
    for number in range(60):
        briefs.note(brief, f"more {number}", actor=agent())
    page = body(browser.get(f"{brief.get_absolute_url()}?kind=note"))
    first = seqs(page)
    earlier = re.search(r'hx-get="([^"]+)"[^>]*hx-target="closest li"', page)[1]
    assert "kind=note" in earlier
    second = seqs(body(browser.get(earlier, headers=HTMX)))
    assert len(first) == 50 and len(first) + len(second) == 95 and max(second) < min(first)
    missed = seqs(body(browser.get(f"/briefs/{brief.pk}/trace/?after=5&kind=comment", headers=HTMX)))
    kinds = TraceEntry.objects.filter(brief=brief, seq__in=missed).values_list("kind", flat=True)
    assert set(kinds) == {"comment"}


# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_run_says_how_many_of_what_and_unfolds(browser, project):
    brief = make_brief("Runs", project)
    for number in (351, 346, 344, 381, 386, 398, 399):
        links.add(brief, "scratchpad", str(number), actor=agent(), relation="execution")
    page = body(browser.get(brief.get_absolute_url()))
    assert "<b>7 links added</b>" in page
    assert "Scratchpads #399, #398, #386, #381, #344, #346, #351 · execution" in page
    assert seqs(page) == list(range(brief.trace_seq, 0, -1)), "each is there alone as well"


@pytest.mark.django_db
def test_an_entry_has_an_address_of_its_own(browser, project):
    brief = make_brief("Alone", project)
    seq = briefs.note(brief, "word " * 5000, actor=agent())
    page = body(browser.get(f"/briefs/{brief.pk}/trace/{seq}/"))
    assert page.count("word ") == 4999 and f"entry {seq}" in page
    assert TraceEntry.objects.get(brief=brief, seq=seq).hash in page
    assert f'href="/briefs/{brief.pk}/trace/{seq - 1}/"' in page


@pytest.mark.django_db
def test_whatever_an_entrys_data_is_its_line_is_made(browser, project):
    brief = make_brief("Odd", project)
    odd = {
        "from": "<b>", "to": {"a": 1}, "kind": "url", "target": "javascript:alert(1)", "label": "<i>",
        "depends_on": "x",
        "parent": [1], "into": "<script>", "by": "</li>", "question": {}, "version": "<", "title": None, "was": 3,
        "dispatch": "../..", "process": -1, "branch": "<b>", "commit": 5, "class": [], "worktree": {}, "role": "<u>",
    }  # fmt: skip
    for kind in trace.Kind.values:
        trace.append(brief, kind, actor=agent(), data=odd)
        for name, value in odd.items():
            trace.append(brief, kind, actor=agent(), data={name: value})
    page = ""
    before = brief.trace_seq + 1
    while before > 1:
        answer = browser.get(f"/briefs/{brief.pk}/trace/?before={before}", headers=HTMX).content.decode()
        page += answer
        before = min(seqs(answer))
    assert len(seqs(page)) == brief.trace_seq
    assert not re.search(r"<(script|i|u)>", page)
    assert 'href="javascript' not in page


# --- as quick as a short one ------------------------------------------------------------------------------------------


def lengthen(brief, count: int) -> None:
    """Many entries at once; their hashes do not matter here."""
    start, now = brief.trace_seq, TraceEntry.objects.filter(brief=brief).latest("seq").at
    writer = agent()
    rows = [
        TraceEntry(
            brief=brief, seq=start + n, kind="note", source="agent", actor=writer, actor_ref=writer.ref,
            body=f"note {n}", data={}, at=now, hash="x" * 64,
        )
        for n in range(1, count + 1)
    ]  # fmt: skip
    TraceEntry.objects.bulk_create(rows, batch_size=500)
    brief.trace_seq = start + count
    brief.save(update_fields=["trace_seq"])


@pytest.mark.django_db
def test_a_long_trace_costs_no_query_and_no_byte_more(browser, project):
    brief = make_brief("Long", project, spec="plan")
    lengthen(brief, 60)

    def load() -> tuple[int, int]:
        browser.get(brief.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            response = browser.get(brief.get_absolute_url())
        return len(queries), len(response.content)

    few, small = load()
    lengthen(brief, 3000)
    many, large = load()
    assert many == few
    assert large < small * 1.1


# --- live -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_filtered_page_gets_its_own_entries_and_how_far_the_trace_goes():
    consumers.renderings.clear()
    brief, who = make_brief("Live"), identity(operator(), "operator")

    @async_to_sync
    async def watch() -> None:
        path = f"/ws/briefs/{brief.pk}/?after={brief.trace_seq}&kind=comment&actor=flower-agent"
        socket = WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), path)
        socket.scope["identity"] = who
        assert (await socket.connect(timeout=5))[0]

        async def note(kind: str, actor) -> int:
            return await run_in_database_thread(lambda: briefs.note(brief, "words", actor=actor, kind=kind))

        passed = await note("note", agent_)
        assert json.loads(await socket.receive_from(timeout=5)) == {"type": "trace.reached", "seq": passed}
        wanted = await note("comment", agent_)
        assert seqs(await socket.receive_from(timeout=5)) == [wanted]
        other = await note("comment", mike)
        assert json.loads(await socket.receive_from(timeout=5)) == {"type": "trace.reached", "seq": other}
        await socket.disconnect()

    agent_, mike = agent(), operator()
    watch()
    consumers.renderings.clear()


@pytest.mark.django_db(transaction=True)
def test_a_limited_reader_is_not_told_the_titles_of_other_briefs(project):
    consumers.renderings.clear()
    secret = make_brief("A secret title")
    brief = make_brief("Mine", project)
    all_, limited = identity(operator(), "operator"), identity(operator("other"), "readonly", project=project.pk)

    @async_to_sync
    async def watch() -> list[str]:
        said = []
        sockets = []
        for who in (all_, limited):
            socket = WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), f"/ws/briefs/{brief.pk}/")
            socket.scope["identity"] = who
            assert (await socket.connect(timeout=5))[0]
            sockets.append(socket)
        await run_in_database_thread(lambda: briefs.note(brief, f"see #{secret.pk} now", actor=operator()))
        for socket in sockets:
            said.append(await socket.receive_from(timeout=5))
            await socket.disconnect()
        return said

    everything, little = watch()
    assert "A secret title" in everything
    assert "A secret title" not in little and f"see #{secret.pk} now" in little
    consumers.renderings.clear()


@pytest.mark.django_db(transaction=True)
def test_what_is_written_once_a_socket_is_open_is_sent_also_without_a_number(monkeypatch):
    consumers.renderings.clear()
    brief, who = make_brief("Live"), identity(operator(), "operator")
    really = consumers.BriefConsumer.end_of_trace

    async def slow(self) -> int:
        await asyncio.sleep(0.3)
        return await really(self)

    monkeypatch.setattr(consumers.BriefConsumer, "end_of_trace", slow)

    @async_to_sync
    async def watch() -> str:
        socket = WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), f"/ws/briefs/{brief.pk}/")
        socket.scope["identity"] = who
        assert (await socket.connect(timeout=5))[0]
        await run_in_database_thread(lambda: briefs.note(brief, "at once", actor=operator()))
        said = await socket.receive_from(timeout=5)
        await socket.disconnect()
        return said

    assert "at once" in watch()
    consumers.renderings.clear()


@pytest.mark.django_db(transaction=True)
def test_two_hundred_who_look_on_cost_one_rendering(monkeypatch):
    consumers.renderings.clear()
    brief, who = make_brief("Watched"), identity(operator(), "operator")
    rendered: list[int] = []
    render = consumers.rendered

    def counted(number: int, rows: list[TraceEntry]):
        rendered.extend(row.seq for row in rows)
        return render(number, rows)

    monkeypatch.setattr(consumers, "rendered", counted)

    @async_to_sync
    async def watch() -> None:
        path = f"/ws/briefs/{brief.pk}/?after={brief.trace_seq}"
        sockets = [WebsocketCommunicator(URLRouter(routing.websocket_urlpatterns), path) for _ in range(200)]
        for socket in sockets:
            socket.scope["identity"] = who
            assert (await socket.connect(timeout=30))[0]
        for _ in range(3):
            seq = await run_in_database_thread(lambda: briefs.note(brief, "for all", actor=operator()))
            found = await asyncio.gather(*(socket.receive_from(timeout=30) for socket in sockets))
            assert all(seqs(one) == [seq] for one in found)
        assert rendered == list(range(seq - 2, seq + 1))
        for socket in sockets:
            await socket.disconnect()

    watch()
    consumers.renderings.clear()
