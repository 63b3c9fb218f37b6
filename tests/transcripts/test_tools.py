"""The tools that recall sessions, called by the official client at a real daphne; what they say is on the pages too.

The answers that depend on made-up outlines are looked at without a server below.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import timezone
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from briefs.models import Token
from core.errors import Invalid, NotFound
from core.toolbox import ANSWER_BUDGET
from flower.env import BASE_DIR
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log, piece
from tests.web import WebProcess
from transcripts.models import Segment, SegmentUse, Session, SessionCommit
from transcripts.services import outlines, outlining, recalling

TOOLS = ("recall_sessions", "recall_segments", "recall_resume", "recall_open_loops", "recall_touching")


# --- by the official client -------------------------------------------------------------------------------------------

MAKE = """
import json
from pathlib import Path
from briefs.models import Project
from transcripts import ingest
from transcripts.services import outlining
log, project = Path({path!r}), Project.objects.get(slug={project!r})
taken = ingest.take(log, project=project)
outlining.refresh(taken.session)
print(taken.session)
"""


def records() -> list[dict[str, Any]]:
    """A short session as Claude Code writes it: a task, a change, a commit, and a question at its end."""
    said: list[tuple[str, Any]] = [("user", "Make the parser survive nested quotes")]

    def call(number: int, name: str, given: dict[str, Any], result: str) -> None:
        said.append(("assistant", [{"type": "tool_use", "id": f"t{number}", "name": name, "input": given}]))
        said.append(("user", [{"type": "tool_result", "tool_use_id": f"t{number}", "content": result}]))

    call(1, "Read", {"file_path": "/w/src/lexer.py"}, "1\tdef lex(): ...")
    call(2, "Edit", {"file_path": "/w/src/lexer.py", "old_string": "a", "new_string": "b"}, "updated")
    call(3, "Bash", {"command": "git commit -am 'Nested quotes survive'"}, "[main 1a2b3c4] Nested quotes survive")
    said.append(("assistant", [{"type": "text", "text": "Nested quotes survive now. Next: document the grammar."}]))
    return [
        {
            "type": role, "uuid": f"00000000-0000-4000-8000-{number:012}", "sessionId": "recalled", "cwd": "/w",
            "gitBranch": "quotes", "version": "2.1.0", "timestamp": f"2026-03-01T10:{number:02}:00.000Z",
            "message": {"role": role, "content": content, **({"id": f"m{number}"} if role == "assistant" else {})},
        }
        for number, (role, content) in enumerate(said)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def recorded(web_process: WebProcess) -> int:
    """A session in the web process's database."""
    log = web_process.home / "recalled.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records()))
    source = MAKE.format(path=str(log), project=web_process.scene["project"])
    own = {"FLOWER_HOME": str(web_process.home), "DJANGO_SETTINGS_MODULE": "flower.settings"}
    environment = {**os.environ, "DATABASE_URL": "", "REDIS_URL": "", **own}
    argv = [sys.executable, "manage.py", "shell", "-v", "0", "-c", source]
    done = subprocess.run(argv, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


@pytest.fixture
def tool(web_process: WebProcess) -> Callable[..., Any]:
    def use(name: str, /, scope: str = "agent", **arguments: Any) -> Any:
        async def talk() -> Any:
            headers = {"Authorization": f"Bearer {web_process.token(scope)}"}
            async with create_mcp_http_client(headers=headers) as http:
                transport = streamable_http_client(f"{web_process.url}/mcp", http_client=http)
                async with Client(transport) as client:
                    if not name:
                        return [each.name for each in (await client.list_tools()).tools]
                    return await client.call_tool(name, arguments)

        answer = async_to_sync(talk)()
        if not name:
            return answer
        text = answer.content[0].text
        if answer.is_error:
            raise AssertionError(text)
        assert len(text.encode()) <= ANSWER_BUDGET and json.loads(text) == answer.structured_content
        return answer.structured_content

    return use


@pytest.fixture
def page(web_process: WebProcess) -> Callable[[str], str]:
    def read(path: str) -> str:
        headers = {"Authorization": f"Bearer {web_process.token('operator')}", "Accept": "text/html"}
        status, _, body = web_process.request(path, **headers)
        assert status == 200, path
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body.decode())).split())

    return read


@pytest.mark.slow
class TestByTheClient:
    def test_they_are_offered_to_agents_and_orchestrators(self, tool):
        for scope in ("agent", "orchestrator", "readonly", "operator"):
            assert set(TOOLS) <= set(tool("", scope=scope))
        assert not set(TOOLS) & set(tool("", scope="run"))

    def test_sessions(self, tool, page, recorded, web_process):
        found = tool("recall_sessions", project=web_process.scene["project"])["sessions"]
        (one,) = (row for row in found if row["session"] == recorded)
        assert (one["program"], one["branch"], one["state"], one["events"]) == ("claude", "quotes", "retired", 8)
        shown = page("/sessions/")
        assert one["title"] in shown and "quotes" in shown
        assert tool("recall_sessions", live=True)["sessions"] == []

    def test_segments(self, tool, page, recorded):
        told = tool("recall_segments", session=recorded)
        shown = page(f"/sessions/{recorded}/segments/")
        assert told["segments"] and told["cursor"] is None and told["truncated"] == []
        for segment in told["segments"]:
            assert segment["title"] in shown
        assert "1a2b3c4" in {commit["sha"] for segment in told["segments"] for commit in segment["commits"]}
        transcript = page(f"/sessions/{recorded}/")
        assert "Make the parser survive nested quotes" in transcript and "/w" in transcript

    def test_resume_open_loops_and_touching(self, tool, page, recorded):
        resumed = tool("recall_resume")
        assert set(resumed) >= {"segment", "session", "commits_since", "others"}
        loops = tool("recall_open_loops")
        shown = page(f"/sessions/{recorded}/segments/")
        for loop in loops["loops"]:
            assert loop["session"] == recorded and loop["text"] in shown
        for path in ("/w/src/lexer.py", "src/lexer.py", "lexer.py", "src", "/w/src/"):
            (touched,) = tool("recall_touching", path=path)["sessions"]
            assert touched["session"] == recorded and touched["verbs"] == {"read": 1, "edited": 1}
            assert touched["segments"], path
        assert tool("recall_touching", path="exer.py")["sessions"] == []


# --- what they answer -------------------------------------------------------------------------------------------------


@pytest.fixture
def caller(operator):
    return factories.identity(operator, Token.Scope.OPERATOR)


def make(*topics: str, **fields: Any) -> Session:
    log = Log()
    for topic in topics:
        piece(log, topic)
    made = stored.session(log)
    Session.objects.filter(pk=made.pk).update(**fields)
    outlining.refresh(made.pk)
    made.refresh_from_db()
    return made


def steps(session: Session, position: int = 1, **fields: Any) -> Segment:
    segment = session.segments.get(position=position)
    for name, value in fields.items():
        setattr(segment, name, value)
    segment.save()
    return segment


@pytest.mark.django_db
def test_pages_of_sessions_meet(caller):
    now = timezone.now()
    made = [make("parser", prompts=1, active_at=None if n == 0 else now - timedelta(hours=n // 2)) for n in range(7)]
    seen, cursor = [], None
    while True:
        answer = recalling.sessions(caller, limit=3, cursor=cursor)
        seen += [row["session"] for row in answer["sessions"]]
        if not (cursor := answer["cursor"]):
            break
    assert sorted(seen) == [row.pk for row in made] and seen[-1] == made[0].pk
    with pytest.raises(Invalid):
        recalling.sessions(caller, cursor="99999")
    with pytest.raises(Invalid):
        recalling.sessions(caller, limit=0)


@pytest.mark.django_db
def test_a_limited_token_sees_its_project_only(agent, project):
    mine, other = make("parser", project=project), make("billing")
    for session in (mine, other):
        steps(session, status="in_progress", open_questions=[{"text": "Why?", "event": 1}])
        session.touched.create(
            file=session.log_files.get(),
            path="/w/a.py",
            path_key=f"{session.pk}",
            name="a.py",
            verb="edited",
            first=1,
            last=1,
        )
    caller = factories.identity(agent, Token.Scope.AGENT, project=project.pk)
    assert [row["session"] for row in recalling.sessions(caller)["sessions"]] == [mine.pk]
    assert recalling.resume(caller)["session"] == mine.pk
    assert {loop["session"] for loop in recalling.open_loops(caller)["loops"]} == {mine.pk}
    assert [row["session"] for row in recalling.touching(caller, "a.py")["sessions"]] == [mine.pk]
    with pytest.raises(NotFound):
        recalling.segments(caller, other.pk)
    with pytest.raises(NotFound):
        recalling.sessions(caller, project="elsewhere")


@pytest.mark.django_db
def test_segments_stay_under_the_budget_and_say_so(caller):
    made = make("parser")
    first = made.segments.get(position=1)
    long = [{"text": "語" * 5_000, "event": n} for n in range(40)]
    for position in range(1, 40):
        first.pk, first.key, first.position = None if position > 1 else first.pk, f"k{position}", position
        first.title, first.summary = f"Part {position}", "概" * 20_000
        first.next_steps = first.key_decisions = first.open_questions = long
        first.save()
    seen, cursor = [], None
    while True:
        answer = recalling.segments(caller, made.pk, cursor=cursor)
        assert len(json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode()) <= ANSWER_BUDGET
        seen += [row["segment"] for row in answer["segments"]]
        if not (cursor := answer["cursor"]):
            break
        assert "ask again with the cursor" in answer["truncated"][0]
    assert seen == list(range(1, 40))
    assert any("summary" in cut for cut in answer["segments"][0]["cut"])


@pytest.mark.django_db
def test_people_are_quoted_in_their_own_words(caller, operator):
    made = make("parser")
    outlines.edit(made.segments.get(position=1), "title", "My own words", actor=operator)
    (segment,) = [row for row in recalling.segments(caller, made.pk)["segments"] if row["segment"] == 1]
    assert segment["title"] == "My own words" and segment["edited"] == ["title"]


@pytest.mark.django_db
def test_resume_is_the_newest_unfinished_segment_and_what_came_since(caller, operator, project):
    now = timezone.now()
    old = make("parser", project=project)
    Segment.objects.all().update(status="done")
    steps(old, status="partial", ended_at=now - timedelta(hours=3), next_steps=[{"text": "Document it", "event": 4}])
    later = make("billing", project=project)
    later.segments.update(status="done", ended_at=now)
    SessionCommit.objects.all().delete()
    log = later.log_files.get()
    for sha, at in (("aaaaaaa", now - timedelta(hours=1)), ("bbbbbbb", now - timedelta(hours=5))):
        SessionCommit.objects.create(session=later, file=log, sha=sha, subject=f"Commit {sha}", event=1, at=at)
    told = recalling.resume(caller)
    assert told["session"] == old.pk and told["segment"]["next_steps"] == [{"text": "Document it", "event": 4}]
    assert [commit["sha"] for commit in told["commits_since"]] == ["aaaaaaa"]
    outlines.edit(old.segments.get(position=1), "status", "done", actor=operator)
    assert recalling.resume(caller)["segment"] is None


@pytest.mark.django_db
def test_what_was_used_is_no_open_loop(caller, operator):
    brief = factories.make_brief("For the loops")
    made = make("parser", brief=brief)
    last = made.segments.last()
    steps(
        made, last.position,
        next_steps=[{"text": "Document it", "event": 4}, {"text": "Release it", "event": 5}],
        open_questions=[{"text": "Which  grammar?", "event": 6}], status="done",
    )  # fmt: skip
    assert [(loop["kind"], loop["text"], loop["event"]) for loop in recalling.open_loops(caller)["loops"]] == [
        ("question", "Which  grammar?", 6), ("next step", "Document it", 4), ("next step", "Release it", 5)
    ]  # fmt: skip
    outlines.use(made.segments.last(), "next_steps", "Document it", actor=operator)
    outlines.use(made.segments.last(), "open_questions", "Which grammar?", actor=operator)
    assert SegmentUse.objects.count() == 2
    assert [loop["text"] for loop in recalling.open_loops(caller)["loops"]] == ["Release it"]


@pytest.mark.django_db
def test_a_step_of_a_finished_segment_is_taken_for_done_once_the_session_went_on(caller):
    made = make("parser", "billing", "map")
    made.segments.update(status="done", next_steps=[{"text": "Go on", "event": 1}], open_questions=[])
    assert [loop["segment"] for loop in recalling.open_loops(caller)["loops"]] == [made.segments.count()]


@pytest.mark.django_db
def test_what_was_put_off_is_told_until_a_later_segment_speaks_of_it(caller, operator):
    """A finished segment's other steps are not: the session went on."""
    made = make("parser")
    made.segments.all().delete()
    for position, title in enumerate(("Rewrite the parser", "Charge the customers"), 1):
        Segment.objects.create(
            session=made, key=f"k{position}", position=position, first=position, last=position, first_line=position,
            last_line=position, title=title, status="done",
        )  # fmt: skip
    first, second = made.segments.order_by("position")
    texts = [
        "Mark it ready for review.",
        "Streaming tests can be added in a separate effort.",
        "Consider backpressure.",
    ]
    first.next_steps = [{"text": text, "event": 1} for text in texts]
    first.save()
    told = lambda: [loop["text"] for loop in recalling.open_loops(caller)["loops"]]  # noqa: E731
    assert told() == texts[1:]
    outlines.edit(first, "next_steps", [*texts, "Call the customer"], actor=operator)
    assert told() == [*texts[1:], "Call the customer"], "nor does a person's own get lost"
    Segment.objects.filter(pk=second.pk).update(summary="Added streaming tests, in an effort that was separate.")
    assert told() == [texts[2], "Call the customer"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("path", "is_found"),
    [
        ("/w/src/Lexer.py", True), ("src/Lexer.py", True), ("Lexer.py", True), ("/w/src", True), ("/w/src/", True),
        ("src", True), ("./src/Lexer.py", True), ("lexer.py", False), ("exer.py", False), ("/src", False),
        ("sr", False), ("/w/src/Lexer.py/x", False), ("%", False), ("Lexer_py", False),
    ],
)  # fmt: skip
def test_paths_are_meant_whole_or_by_their_end_or_as_folders(caller, path, is_found):
    from transcripts.storing import key_of

    made = make("parser")
    made.touched.all().delete()
    made.touched.create(
        file=made.log_files.get(), path="/w/src/Lexer.py", path_key=key_of("/w/src/Lexer.py"), name="Lexer.py",
        verb="edited", times=3, first=2, last=9, at=timezone.now(),
    )  # fmt: skip
    found = recalling.touching(caller, path)["sessions"]
    assert [row["verbs"] for row in found] == ([{"edited": 3}] if is_found else [])


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["", "/", ".", "  "])
def test_no_path_is_refused(caller, path):
    with pytest.raises(Invalid, match="Say a path"):
        recalling.touching(caller, path)


def test_lines_say_whether_they_are_quotes_or_facts(caller):
    log = Log().ask("Rewrite the parser so that nested quotes survive").say("On it.").edit("src/parser.py")
    session = stored.session(log.run("pytest -q", code=1, result="1 failed").say("Half of it.\n\n- [ ] Write the docs"))
    outlining.refresh(session.pk)
    (told,) = recalling.segments(caller, session.pk)["segments"]
    assert [(line["text"], line["source"]) for line in told["next_steps"]] == [
        ("Write the docs", "quote"),
        ("Tests failed when last run: `pytest`.", "fact"),
    ]
