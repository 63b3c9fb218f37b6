"""The transcript: readable, complete, in constant time, and nobody else's."""

from __future__ import annotations

import base64
import io
import json
import re

import pytest
from asgiref.sync import async_to_sync
from channels.testing import WebsocketCommunicator
from django.test import Client
from PIL import Image

from briefs.models import Token
from briefs.services import actors
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log
from tests.transcripts.test_paging import blocks_of, long_log
from transcripts import ingest
from transcripts.events import Kind
from transcripts.models import Session
from transcripts.services import outlines, outlining

pytestmark = pytest.mark.django_db


def numbers(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'id="e(\d+)"', html)]


def body(client: Client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.content[:300]
    return answer.content.decode()


def part(client: Client, path: str) -> str:
    return body(client, path, **{"HX-Request": "true"})


@pytest.fixture
def session():
    log = Log()
    log.ask("Please **rename** the thing").think("Where is it?").say("I look at `it` first.")
    log.run("git status", result="nothing to commit")
    log.call(
        "Edit",
        json.dumps({"file_path": "/w/a.py", "old_string": "one\n", "new_string": "two\nthree\n"}),
        result="The file was updated.",
    )
    log.run("make test", result="\n".join(f"failure {n}" for n in range(30)), code=1)
    log.add(Kind.COMPACTION, "What happened before: everything.", data={"tokens_before": 150_000})
    log.interrupt()
    log.add(Kind.SYSTEM, "<b>Overloaded</b>", is_error=True)
    return stored.session(log, cwd="/w", title="Rename the thing")


# --- what it looks like -----------------------------------------------------------------------------------------------


def test_every_event_is_there_once_and_in_order(browser, session):
    found = numbers(body(browser, f"/sessions/{session.pk}/"))
    assert found == list(range(1, session.events + 1))


def test_prose_calls_diffs_and_errors(browser, session):
    html = body(browser, f"/sessions/{session.pk}/")
    assert "<strong>rename</strong>" in html
    assert '<code class="line">git status</code>' in html
    assert '<span class="plus">+2</span>' in html and '<span class="minus">−1</span>' in html
    assert '<tr class="added"><td class="text" data-sign="+">three</td></tr>' in html
    assert "exit 1" in html and "failure 3\n" in html, "the first lines of an error stand on the page"
    assert "context compacted" in html and "150 k tokens" in html
    assert "&lt;b&gt;Overloaded" in html


def test_a_result_stands_under_its_call_even_when_calls_overlap(browser):
    log = Log()
    for name in "ab":
        log.add(Kind.CALL, json.dumps({"command": f"run {name}"}), tool="Bash", call=name)
    for name in "ab":
        log.add(Kind.RESULT, f"of {name}", tool="Bash", call=name)
    html = body(browser, f"/sessions/{stored.session(log).pk}/")
    assert [int(n) for n in re.findall(r'id="e(\d+)"', html)] == [1, 3, 2, 4]


def test_what_a_sub_agent_did_is_folded_under_its_call(browser):
    log = Log()
    log.ask("Go").add(Kind.CALL, json.dumps({"description": "Look", "prompt": "x"}), tool="Task", call="t")
    log.add(Kind.PROMPT, "Your orders", agent="abc", data={"call": "t"})
    for word in ("one", "two"):
        log.add(Kind.ANSWER, f"sub {word}", agent="abc")
    log.add(Kind.RESULT, "found", tool="Task", call="t")
    html = body(browser, f"/sessions/{stored.session(log).pk}/")
    assert html.count('class="event run"') == 1 and "3 events" in html
    assert numbers(html) == [1, 2, 3, 4, 5, 6]
    assert (
        html.index('id="e2"') < html.index('class="answers"') < html.index('class="event run"') < html.index('id="e3"')
    )


def test_titles_of_segments_stand_where_they_begin(browser, session):
    outlining.refresh(session.pk)
    segment = session.segments.get(position=1)
    html = body(browser, f"/sessions/{session.pk}/")
    assert html.index('id="segment-1"') < html.index('id="e1"')
    assert f'data-event="{segment.first}"' in html


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def long_session():
    made = stored.session(long_log(400))
    blocks_of(made, 100)
    Session.objects.filter(pk=made.pk).update(active_at="2026-01-01T00:00:00Z")
    return made


def test_a_page_says_what_is_before_and_after_it(browser, long_session):
    address = f"/sessions/{long_session.pk}/"
    first = body(browser, address)
    assert sorted(numbers(first)) == list(range(1, 101)) and "load later · 1100 more" in first
    assert "load earlier" not in first
    middle = body(browser, f"{address}?event=600")
    assert sorted(numbers(middle)) == list(range(588, 688))
    assert "load earlier · 587 more" in middle and "load later · 513 more" in middle
    assert max(numbers(body(browser, f"{address}?end=1"))) == 1200


def test_what_is_loaded_meets_what_is_there(browser, long_session):
    address = f"/sessions/{long_session.pk}/"
    assert sorted(numbers(part(browser, f"{address}?before=588"))) == list(range(488, 588))
    assert sorted(numbers(part(browser, f"{address}?after=687"))) == list(range(688, 788))
    assert "load earlier" not in part(browser, f"{address}?after=687")


@pytest.mark.parametrize(
    "query", ["event=0", "event=99999999", "event=x", "before=0", "after=5000", "before=-1", "q=%00"]
)
def test_odd_numbers_give_a_page(browser, long_session, query):
    assert browser.get(f"/sessions/{long_session.pk}/?{query}").status_code == 200


def test_a_long_session_costs_as_many_queries_as_a_short_one(
    browser, session, long_session, django_assert_max_num_queries
):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    body(browser, f"/sessions/{session.pk}/")
    counts = []
    for address in (
        f"/sessions/{session.pk}/",
        f"/sessions/{long_session.pk}/",
        f"/sessions/{long_session.pk}/?event=700",
    ):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            body(browser, address)
        counts.append(len(queries))
        assert sum("payload" in query["sql"] for query in queries) == 1
    assert counts[0] == counts[1] == counts[2] <= 9


# --- search, raw, whole -----------------------------------------------------------------------------------------------


def test_search_marks_what_it_found_with_and_without_a_script(browser, long_session):
    address = f"/sessions/{long_session.pk}/"
    fragment = part(browser, f"{address}search/?q=part+333")
    assert "<mark>part 333</mark>" in fragment and "event=1002#e1002" in fragment
    assert "<mark>part 333</mark>" in body(browser, f"{address}?q=part+333")
    assert "Nothing in this session says" in part(browser, f"{address}search/?q=zebra")
    assert "&lt;script&gt;" in part(browser, f"{address}search/?q=%3Cscript%3E")


def test_the_raw_record_is_text(browser, session):
    answer = browser.get(f"/sessions/{session.pk}/events/4/raw/")
    assert answer.content == b'{"made": "up"}'
    assert answer["Content-Type"] == "text/plain; charset=utf-8" and answer["X-Content-Type-Options"] == "nosniff"
    assert browser.get(f"/sessions/{session.pk}/events/400/raw/").status_code == 404


def test_an_event_has_a_page_with_all_of_it(browser, session):
    text = "\n".join(f"failure {n}" for n in range(30))
    html = body(browser, f"/sessions/{session.pk}/events/9/")
    assert text in html
    assert text in part(browser, f"/sessions/{session.pk}/events/9/?part=text")


# --- pictures ---------------------------------------------------------------------------------------------------------


def picture_session(tmp_path, data: bytes) -> Session:
    block = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": base64.b64encode(data).decode()},
    }
    record = {
        "type": "user", "uuid": "00000000-0000-4000-8000-000000000001", "sessionId": "pictures", "cwd": "/w",
        "timestamp": "2026-01-02T03:04:05.000Z",
        "message": {"role": "user", "content": [{"type": "text", "text": "Look at this"}, block]},
    }  # fmt: skip
    log = tmp_path / "pictures.jsonl"
    log.write_text(json.dumps(record) + "\n")
    return Session.objects.get(pk=ingest.take(log).session)


def test_a_picture_is_served_as_we_encoded_it(browser, tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(out, "PNG")
    made = picture_session(tmp_path, out.getvalue() + b"<script>")
    address = f"/sessions/{made.pk}/events/1/images/0/"
    assert address in body(browser, f"/sessions/{made.pk}/")
    answer = browser.get(address)
    assert answer["Content-Type"] == "image/png" and b"<script>" not in answer.content
    assert Image.open(io.BytesIO(answer.content)).size == (20, 10)
    assert browser.get(f"/sessions/{made.pk}/events/1/images/1/").status_code == 404


def test_what_is_no_picture_is_refused(browser, tmp_path):
    made = picture_session(tmp_path, b"<svg onload=alert(1)>")
    answer = browser.get(f"/sessions/{made.pk}/events/1/images/0/")
    assert answer.status_code == 400 and b"no picture" in answer.content


# --- logs of sub-agents -----------------------------------------------------------------------------------------------


def test_a_sub_agents_own_log_is_loaded_under_its_call(browser, tmp_path):
    def record(number: int, role: str, content, **more) -> str:
        made = {
            "type": role, "uuid": f"00000000-0000-4000-8000-{number:012}", "sessionId": "parent", "cwd": "/w",
            "timestamp": f"2026-01-02T03:04:{number:02}.000Z",
            "message": {"role": role, "content": content, "id": f"m{number}"},
        }  # fmt: skip
        return json.dumps(made | more) + "\n"

    given = {"description": "Look around", "prompt": "Look", "subagent_type": "Explore"}
    result = [{"type": "tool_result", "tool_use_id": "t", "content": "Found it"}]
    main, sub = tmp_path / "parent.jsonl", tmp_path / "agent-abc123.jsonl"
    main.write_text(
        record(1, "user", "Go")
        + record(2, "assistant", [{"type": "tool_use", "id": "t", "name": "Task", "input": given}])
        + record(3, "user", result, toolUseResult={"agentId": "abc123"})
    )
    side = {"isSidechain": True, "agentId": "abc123"}
    sub.write_text(
        record(4, "user", "Look", **side) + record(5, "assistant", [{"type": "text", "text": "I looked"}], **side)
    )
    session = ingest.take(main).session
    assert ingest.take(sub).session == session

    html = body(browser, f"/sessions/{session}/")
    assert "Look around" in html and "I looked" not in html and "2 events" in html
    folded = part(browser, f"/sessions/{session}/?agent=abc123&part=helper")
    assert "I looked" in folded and 'id="abc123-e2"' in folded
    own = body(browser, f"/sessions/{session}/?agent=abc123")
    assert "I looked" in own and numbers(own) == [1, 2] and f"/sessions/{session}/events/2/raw/?agent=abc123" in own
    assert b"I looked" in browser.get(f"/sessions/{session}/events/2/raw/?agent=abc123").content
    assert "<mark>looked</mark>" in part(browser, f"/sessions/{session}/search/?agent=abc123&q=looked")
    assert browser.get(f"/sessions/{session}/?agent=nobody").status_code == 404


# --- who may see it ---------------------------------------------------------------------------------------------------


PAGES = ["", "search/?q=a", "events/1/", "events/1/raw/", "events/1/images/0/"]


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_the_login(client, session, path):
    answer = client.get(f"/sessions/{session.pk}/{path}")
    assert answer.status_code in {302, 401} and b"rename" not in answer.content


@pytest.mark.parametrize("path", PAGES)
def test_a_token_of_another_project_finds_nothing(client, agent, session, project, path):
    secret = actors.issue_token(agent, Token.Scope.READONLY, project=project)[0]
    headers = {"Authorization": f"Bearer {secret}", "Accept": "text/html"}
    assert client.get(f"/sessions/{session.pk}/{path}", headers=headers).status_code == 404
    Session.objects.filter(pk=session.pk).update(project=project)
    assert client.get(f"/sessions/{session.pk}/", headers=headers).status_code == 200


# --- live -------------------------------------------------------------------------------------------------------------


def connected(number: int, last: int, identity) -> WebsocketCommunicator:
    from channels.routing import URLRouter

    from transcripts.routing import websocket_urlpatterns

    application = URLRouter(websocket_urlpatterns)
    talk = WebsocketCommunicator(application, f"/ws/sessions/{number}/?after={last}")
    talk.scope["identity"] = identity
    return talk


@pytest.mark.django_db(transaction=True)
def test_later_events_come_in_order_without_a_gap_and_once(operator):
    log = long_log(60)
    made = stored.session(log)
    identity = factories.identity(operator, Token.Scope.OPERATOR)

    async def look_on() -> list[int]:
        talk = connected(made.pk, 5, identity)
        assert (await talk.connect())[0]
        got: list[int] = []

        async def listen(upto: int) -> None:
            while not got or got[-1] < upto:
                text = await talk.receive_from(5)
                if not text.startswith("{"):
                    got.extend(numbers(text))

        await listen(180)
        from asgiref.sync import sync_to_async
        from channels.layers import get_channel_layer

        for word in ("more", "and more"):
            log.run(word, result=f"{word} done")
            await sync_to_async(stored.grow)(made, log.events)
            hint = {"type": "session.grew", "session": made.pk, "last": len(log.events), "at": 0.0}
            for _ in range(2):  # hints come twice
                await get_channel_layer().group_send(f"session.{made.pk}", hint)
        await listen(184)
        while not await talk.receive_nothing(0.3):
            text = await talk.receive_from(1)
            got.extend([] if text.startswith("{") else numbers(text))
        await talk.disconnect()
        return got

    assert async_to_sync(look_on)() == list(range(6, 185))


@pytest.mark.django_db(transaction=True)
def test_the_socket_is_closed_to_others(agent, project):
    made = stored.session(long_log(2))
    identity = factories.identity(agent, Token.Scope.AGENT, project=project.pk)

    async def knock() -> bool:
        talk = connected(made.pk, 0, identity)
        return bool((await talk.connect())[0])

    assert not async_to_sync(knock)()


@pytest.mark.django_db(transaction=True)
def test_a_log_that_was_rewritten_is_shown_anew(operator):
    made = stored.session(long_log(2))
    identity = factories.identity(operator, Token.Scope.OPERATOR)

    async def look_on() -> list[str]:
        talk = connected(made.pk, 900, identity)
        assert (await talk.connect())[0]
        said = [json.loads(await talk.receive_from(5))["type"] for _ in range(2)]
        await talk.disconnect()
        return said

    assert async_to_sync(look_on)() == ["outline.revision", "transcript.anew"]


def test_what_stands_around_the_events_is_asked_for_anew(browser, operator):
    log = Log()
    log.ask("Write the release notes").edit("NOTES.md").say("The release notes are written.")
    session = stored.session(log)
    outlining.refresh(session.pk)
    row = session.segments.get()
    outlines.edit(row, "status", "partial", actor=operator)
    text = browser.get(f"/sessions/{session.pk}/?part=beside", headers={"HX-Request": "true"}).content.decode()
    session.refresh_from_db()
    assert f'id="transcript-head" data-revision="{session.outline_revision}" data-events="4"' in text
    chapters = text.split('id="chapters"')[1]
    assert 'data-first="1"' in chapters and "partial" in chapters
    assert 'class="seek"' not in text, "what somebody types there stays"
    assert 'class="event' not in text
