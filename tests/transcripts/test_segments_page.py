"""The segment page: what it shows, what its forms do, who may see it, and what it costs."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from briefs.models import Brief, Question, Token, TraceEntry
from briefs.services import actors
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts.events import Kind
from transcripts.models import Segment, SegmentComment, Session
from transcripts.services import outlines, outlining

pytestmark = pytest.mark.django_db

NASTY = "<script>alert(1)</script> [x](javascript:alert(2)) <img src=x onerror=alert(3)> \"'`& {{ 7|add:7 }}"


def line(text: str, event: int | None = 2) -> dict[str, object]:
    return {"text": text, "event": event}


def make_session(count: int = 3, **fields) -> Session:
    """``count`` segments of two events each, by hand."""
    log = Log()
    for number in range(count):
        log.ask(f"Do part {number + 1}").say(f"Did part {number + 1}.")
    session = stored.session(log, prompts=count, **fields)
    session.started_at = timezone.now() - timedelta(hours=5)
    session.active_at = session.started_at + timedelta(hours=2, minutes=41)
    session.save()
    for number in range(1, count + 1):
        Segment.objects.create(
            session=session, key=f"k{2 * number - 1}", position=number, first=2 * number - 1, last=2 * number,
            first_line=2 * number - 1, last_line=2 * number, title=f"Part {number}", summary=f"Part {number} was done.",
            started_at=session.started_at, ended_at=session.started_at + timedelta(minutes=2), is_settled=True,
            usage={"input": 1200, "cache_written": 800, "cache_read": 900_000, "output": 300}, prompts=1,
        )  # fmt: skip
    return session


def page_of(browser, session: Session, query: str = "", **headers) -> str:
    answer = browser.get(f"/sessions/{session.pk}/segments/{query}", headers=headers)
    assert answer.status_code == 200
    return answer.content.decode()


def part(text: str, position: int) -> str:
    """The HTML of one segment."""
    start = text.index(f'id="segment-{position}"')
    end = text.find('<details class="seg', start)
    return text[start : end if end > 0 else len(text)]


def words(text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def have(session: Session) -> str:
    return ",".join(f"{one.pk}.{2 * one.revision}" for one in session.segments.all())


# --- reading ----------------------------------------------------------------------------------------------------------


def test_the_head_says_what_the_session_was(browser, project):
    brief = factories.make_brief("Shorten the spawn command", project)
    session = make_session(
        3, title="Reset the orchestrator", branch="main", brief=brief, project=project, commits=3, tokens_output=41_000
    )
    head = words(page_of(browser, session).split("</header>")[1])
    for said in (
        "review · segments", "Reset the orchestrator", "retired", "claude", "6 events", "3 segments", "main", "sample",
        f"#{brief.pk} Shorten the spawn command", "2 h 41 min · 3 commits · 41 k tokens", "Transcript", "Mark reviewed",
    ):  # fmt: skip
        assert said in head
    assert "$" not in head


def test_costs_are_shown_where_the_model_has_a_price(browser, settings):
    session = make_session(2, model="big-20260101", tokens_input=1_000_000, tokens_output=100_000)
    session.segments.filter(position=1).update(usage={"input": 400_000, "output": 20_000})
    assert "$" not in words(page_of(browser, session)) and "$" not in browser.get("/sessions/").content.decode()
    settings.LLM_PRICES = {"big": (3.0, 15.0)}
    page = page_of(browser, session)
    assert "$4.50" in words(page)
    assert "$1.50" in words(part(page, 1))
    assert "$4.50" in browser.get("/sessions/").content.decode()


def test_a_session_is_live_for_a_while_after_its_last_event(browser):
    session = make_session()
    Session.objects.filter(pk=session.pk).update(active_at=timezone.now())
    text = page_of(browser, session)
    assert ">live</span>" in text
    assert "data-live-until" in text


def test_each_segment_shows_all_that_is_known_of_it(browser):
    session = make_session(2)
    first = session.segments.get(position=1)
    first.status, first.errors = "partial", 2
    first.outcome = line("The command was `short`.", 2)
    first.key_decisions = [line("Deliver it by file.", 1), line("A person's own.", None)]
    first.next_steps, first.open_questions = [line("Merge it.")], [line("Is it global?")]
    first.files = [
        {"path": "/repo/README.md", "verb": "read", "times": 1},
        {"path": "/repo/src/a.py", "verb": "edited", "times": 3},
    ]
    first.commits = [{"sha": "1a2b3c4d5e6f", "subject": "Shorten it", "event": 2}]
    first.save()
    Session.objects.filter(pk=session.pk).update(cwd="/repo")
    shown = part(page_of(browser, session), 1)
    said = words(shown)
    assert "1 /2 Part 1 Partial" in said
    assert "Part 1 was done." in said
    assert "The command was <code>short</code>." in shown
    assert f'href="/sessions/{session.pk}/?event=1#e1"' in shown
    assert said.count("none") == 0
    assert "A person's own. → trace" in said, "without evidence"
    assert (
        "2 events 1 prompt 2 errors 1 file changed · 1 read edited src/a.py 3× read README.md 1 commit 2.3 k tokens"
        in said
    )
    assert "1a2b3c4d5 Shorten it" in said
    assert words(part(page_of(browser, session), 2)).count("none") == 4


def outlined(log: Log, *, is_live: bool = False) -> Session:
    """A session whose outline was made by the rules."""
    session = stored.session(log)
    outlining.refresh(session.pk)
    if not is_live:
        Session.objects.filter(pk=session.pk).update(active_at=timezone.now() - timedelta(hours=1))
    return Session.objects.get(pk=session.pk)


def begun() -> Log:
    return Log().ask("Rewrite the parser so that nested quotes survive").edit("src/parser.py")


@pytest.mark.parametrize(
    ("log", "status", "why"),
    [
        (begun().run("git push origin main", result="no", code=1).interrupt(), "Partial", "push interrupted e6"),
        (begun().interrupt(), "Partial", "interrupted by the person e4"),
        (begun().run("pytest -q", code=1, result="1 failed").say("It fails."), "Partial", "tests failing e5"),
        (begun().say("Done.").ask("And now the docs"), "Left unfinished", "never answered e5"),
        (begun(), "Left unfinished", "stopped before an answer e3"),
        (begun().say("It is done."), "Done", ""),
    ],
)
def test_what_is_not_done_says_why(browser, log, status, why):
    session = outlined(log)
    said, _, number = why.rpartition(" ")
    title = words(page_of(browser, session).rsplit("<h2>", 1)[1].split("</summary>")[0])
    assert f" {status} {said}".rstrip() in title
    assert not why or f" {why[0].upper()}{why[1:]} " in words(page_of(browser, session))
    assert not why or f"?event={number[1:]}#{number}" in page_of(browser, session)


def test_what_waits_says_so_while_the_session_goes_on_and_is_left_afterwards(browser):
    session = outlined(begun().say("Done.").ask("And now the docs"), is_live=True)
    text = page_of(browser, session)
    assert "Not answered yet e5" in words(text)
    had = re.findall(r'data-segment="(\d+)" data-revision="(\d+)"', text)
    query = "?have=" + ",".join(".".join(pair) for pair in had)
    assert "data-had" in page_of(browser, session, query, **{"HX-Request": "true"})
    Session.objects.filter(pk=session.pk).update(active_at=timezone.now() - timedelta(hours=1))
    text = page_of(browser, session, query, **{"HX-Request": "true"})
    assert "Left unfinished never answered" in words(text), "the page that has it as it was is told"
    assert "is-in_progress" not in text, "nothing moves in the picture"
    assert "left unfinished" in words(browser.get(f"/sessions/{session.pk}/").content.decode())


def test_what_a_person_said_needs_no_reason(browser, operator):
    session = outlined(begun())
    outlines.edit(session.segments.get(), "status", "partial", actor=operator)
    assert "stopped" not in page_of(browser, session)


def test_the_picture_is_drawn_with_links(browser):
    session = make_session(2)
    text = page_of(browser, session)
    assert browser.get(f"/sessions/{session.pk}/?event=3").status_code == 200
    picture = text[text.index('<figure class="timeline"') : text.index("</figure>")]
    assert 'href="#segment-2"' in picture
    assert "<title>Segment 2/2 Part 2 · Done · 2 events</title>" in picture
    assert f'href="/sessions/{session.pk}/?event=3#e3"' in picture
    assert 'aria-label="2 segments over 2 h 41 min; 2 prompts"' in picture
    assert "style=" not in picture


def test_text_of_agents_is_data(browser):
    session = make_session(1, title=NASTY, branch=NASTY[:200])
    row = session.segments.get()
    row.title, row.summary, row.outcome = NASTY, f"# {NASTY}\n\n{NASTY}", line(NASTY)
    row.key_decisions = row.next_steps = row.open_questions = [line(NASTY)]
    row.files = [{"path": NASTY, "verb": NASTY, "times": 1}]
    row.commits = [{"sha": NASTY[:40], "subject": NASTY, "event": 1}]
    row.save()
    actor = factories.operator()
    outlines.comment(row, NASTY, actor=actor)
    outlines.edit(row, "title", NASTY[:190], actor=actor)
    for query in ("", "?open=all"):
        text = page_of(browser, session, query)
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert 'href="javascript:' not in text
        assert "{{ 7|add:7 }}" in text, "not evaluated"
        assert "style=" not in text and " onclick" not in text
    for address in ("edit/title", "edit/open_questions", "split", "comments", "uses/next_steps"):
        text = browser.get(f"/sessions/{session.pk}/segments/{row.pk}/{address}/", {"line": NASTY}).content.decode()
        assert "<script>alert" not in text and "<img src=x" not in text


def test_names_in_a_summary_keep_their_signs_and_what_people_write_is_markdown(browser):
    session = make_session(1)
    row = session.segments.get()
    row.summary = "- Part 1: wrote __init__.py\n- Part 2: *args"
    row.save()
    shown = page_of(browser, session, "?open=all")
    assert "<li>Part 1: wrote __init__.py</li>" in shown and "<li>Part 2: *args</li>" in shown
    outlines.edit(row, "summary", "In *my* words", actor=factories.operator())
    assert "In <em>my</em> words" in page_of(browser, session, "?open=all")


def test_a_log_without_an_outline_says_so(browser):
    session = stored.session(Log().ask("Do it").say("Done."), prompts=1)
    assert "The log has 2 events and no outline yet." in words(page_of(browser, session))


def test_a_session_without_a_conversation_says_so(browser):
    log = Log()
    log.add("system", "hello")  # type: ignore[arg-type]
    session = Session.objects.create(program="claude", session_id="empty")
    assert "No events yet." in page_of(browser, session)
    Session.objects.filter(pk=session.pk).update(events=4)
    assert "no conversation" in page_of(browser, session)


# --- folding ----------------------------------------------------------------------------------------------------------


def opened(text: str) -> list[int]:
    return [int(found) for found in re.findall(r'id="segment-(\d+)"[^>]* open>', text)]


def test_a_short_outline_is_shown_whole(browser):
    assert opened(page_of(browser, make_session(8))) == list(range(1, 9))


def test_a_long_run_of_quiet_segments_is_one_line(browser):
    session = make_session(16)
    session.segments.filter(position=12).update(open_questions=[line("Is it global?")])
    text = page_of(browser, session)
    assert re.findall(r'<span class="n">(\d+–\d+)</span>', text) == ["3–11"]
    assert "9 more: Part 3 · Part 4" in words(text)
    assert text.count('<details class="run-of-segments"') == 1
    assert 'class="run-of-segments" data-run=' in text and "open>" in text
    assert re.search(r'class="run-of-segments"[^>]* open>', page_of(browser, session, "?open=5"))


def test_reviewed_segments_fold(browser, operator):
    session = make_session(3)
    outlines.review(session.segments.get(position=2), True, actor=operator)
    assert opened(page_of(browser, session)) == [1, 3]
    assert opened(page_of(browser, session, "?open=all")) == [1, 2, 3]
    assert opened(page_of(browser, session, "?open=none")) == []
    assert opened(page_of(browser, session, "?open=none,,x,99999999999999999")) == [1, 3]


# --- who --------------------------------------------------------------------------------------------------------------


def test_nobody_without_a_login_sees_it(client):
    session = make_session(1)
    assert client.get(f"/sessions/{session.pk}/segments/").status_code == 302


@pytest.mark.parametrize("number", [0, 987_654_321, 2**63, 10**30])
def test_what_is_not_there_is_not_found(browser, number):
    session = make_session(1)
    assert browser.get(f"/sessions/{number}/segments/").status_code == 404
    for act in ("edit/title", "split", "comments", "uses/next_steps"):
        assert browser.get(f"/sessions/{session.pk}/segments/{number}/{act}/").status_code == 404
    for act in ("merge", "review", "made/title"):
        assert browser.post(f"/sessions/{session.pk}/segments/{number}/{act}/").status_code == 404


def test_a_segment_of_another_session_is_not_found_here(browser):
    one, other = make_session(1), make_session(1)
    address = f"/sessions/{one.pk}/segments/{other.segments.get().pk}/merge/"
    assert browser.post(address).status_code == 404


def test_a_token_of_another_project_sees_nothing(client, project, tmp_path):
    other = factories.make_project(tmp_path / "other")
    session = make_session(1, project=project)
    actor = factories.operator()
    _, row = token = actors.issue_token(actor, Token.Scope.READONLY, project=other)
    assert row
    answer = client.get(f"/sessions/{session.pk}/segments/", headers={"Authorization": f"Bearer {token[0]}"})
    assert answer.status_code == 404


def test_a_read_only_token_reads_and_changes_nothing(client):
    session = make_session(1)
    secret, _ = actors.issue_token(factories.operator(), Token.Scope.READONLY)
    headers = {"Authorization": f"Bearer {secret}"}
    assert client.get(f"/sessions/{session.pk}/segments/", headers=headers).status_code == 200
    row = session.segments.get()
    answer = client.post(f"/sessions/{session.pk}/segments/{row.pk}/review/", {"on": "1"}, headers=headers)
    assert answer.status_code == 403
    assert session.segments.get().reviewed_at is None


# --- acting, without a script -----------------------------------------------------------------------------------------


def post(browser, segment: Segment, act: str, **data):
    return browser.post(f"/sessions/{segment.session_id}/segments/{segment.pk}/{act}/", data)


@pytest.mark.parametrize(
    ("field", "typed", "kept"),
    [
        ("title", "  A better  title ", "A better title"),
        ("status", "abandoned", "abandoned"),
        ("summary", "In *my* words", "In *my* words"),
        ("outcome", "It works.", line("It works.", None)),
        ("next_steps", "One\n\n Two ", [line("One", None), line("Two", None)]),
    ],
)
def test_a_field_is_edited_on_a_page_of_its_own(browser, field, typed, kept):
    row = make_session(2).segments.get(position=1)
    form = browser.get(f"/sessions/{row.session_id}/segments/{row.pk}/edit/{field}/").content.decode()
    base = re.search(r'name="base" value="(\w+)"', form)
    assert base
    answer = post(browser, row, f"edit/{field}", value=typed, base=base[1])
    assert answer.headers["Location"] == f"/sessions/{row.session_id}/segments/?open=1#segment-1"
    row.refresh_from_db()
    assert row.shown(field) == kept
    said = words(part(page_of(browser, row.session), 1))
    assert f"edited by operator:mike now : {field.replace('_', ' ')} undo" in said
    post(browser, row, f"made/{field}")
    row.refresh_from_db()
    assert row.edits == {}


def test_a_refused_edit_keeps_what_was_typed(browser):
    row = make_session(1).segments.get()
    answer = post(browser, row, "edit/title", value="x" * 201)
    assert answer.status_code == 400
    text = answer.content.decode()
    assert "at most 200 characters" in text
    assert "x" * 201 in text


def test_two_people_do_not_overwrite_each_other_unseen(browser, operator):
    row = make_session(1).segments.get()
    form = browser.get(f"/sessions/{row.session_id}/segments/{row.pk}/edit/summary/").content.decode()
    base = re.search(r'name="base" value="(\w+)"', form)
    assert base
    outlines.edit(row, "summary", "Theirs", actor=operator)
    answer = post(browser, row, "edit/summary", value="Mine", base=base[1])
    assert answer.status_code == 409
    text = answer.content.decode()
    assert "changed meanwhile by operator:mike" in text and "Theirs" in text and "Mine" in text
    again = re.search(r'name="base" value="(\w+)"', text)
    assert again
    assert post(browser, row, "edit/summary", value="Mine", base=again[1]).status_code == 302
    row.refresh_from_db()
    assert row.shown("summary") == "Mine"


def test_an_unknown_field_is_not_found(browser):
    row = make_session(1).segments.get()
    assert browser.get(f"/sessions/{row.session_id}/segments/{row.pk}/edit/session_id/").status_code == 404
    assert post(browser, row, "edit/reviewed_by", value="1").status_code == 404
    assert post(browser, row, "uses/summary", line="x").status_code == 404


def test_segments_are_reviewed_one_by_one_and_all_at_once(browser):
    session = make_session(3)
    row = session.segments.get(position=1)
    post(browser, row, "review", on="1")
    assert "1 of 3 reviewed" in words(page_of(browser, session))
    post(browser, row, "review", on="0")
    row.refresh_from_db()
    assert row.reviewed_at is None
    browser.post(f"/sessions/{session.pk}/segments/review/", {"on": "1"})
    assert session.segments.filter(reviewed_at=None).count() == 0
    assert "3 of 3 reviewed" in words(page_of(browser, session))


def test_a_comment_stands_with_its_segment(browser):
    row = make_session(1).segments.get()
    assert post(browser, row, "comments", body="").status_code == 400
    post(browser, row, "comments", body="Look at **this** again")
    assert SegmentComment.objects.get().actor.ref == "operator:mike"
    assert "Look at <strong>this</strong> again" in part(page_of(browser, row.session), 1)


def test_a_comment_cites_what_its_reader_may_see(browser, used):
    post(browser, used, "comments", body=f"See #{used.session.brief_id} and #99999")
    shown = part(page_of(browser, used.session), 1)
    assert f'href="/briefs/{used.session.brief_id}/" title="The main thing">#{used.session.brief_id}</a>' in shown
    assert "/briefs/99999/" not in shown


def real_session() -> Session:
    log = Log()
    for number in range(6):
        log.ask(f"Please add the file number {number}").say("I will.").edit(f"src/f{number}.py").say("Added it.")
    session = stored.session(log, prompts=6)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    return session


def test_segments_are_split_and_merged(browser):
    session = real_session()
    before = session.segments.count()
    row = session.segments.get(position=1)
    form = browser.get(f"/sessions/{session.pk}/segments/{row.pk}/split/").content.decode()
    events = [int(found) for found in re.findall(r'name="event" value="(\d+)"', form)]
    assert events and row.first not in events
    assert "prompt</b> Please add" in form or "answer</b>" in form
    assert post(browser, row, "split", event=events[0]).status_code == 302
    assert session.segments.count() == before + 1
    assert session.segments.get(position=2).first == events[0]
    assert post(browser, session.segments.get(position=1), "merge").status_code == 302
    assert session.segments.count() == before
    last = session.segments.order_by("position").last()
    assert last
    answer = post(browser, last, "merge")
    assert answer.status_code == 409
    assert "last segment" in answer.content.decode()
    assert post(browser, row, "split", event="x").status_code == 400


# --- one click --------------------------------------------------------------------------------------------------------


@pytest.fixture
def used(project) -> Segment:
    brief = factories.make_brief("The main thing", project)
    row = make_session(2, brief=brief, project=project).segments.get(position=1)
    row.next_steps, row.open_questions, row.key_decisions = [line("Step")], [line("Why?")], [line("So it is.")]
    row.save()
    return row


def test_a_merge_is_taken_back_with_one_click(browser, operator):
    session = make_session(3)
    first, second = session.segments.order_by("position")[:2]
    outlines.edit(second, "summary", "What I think.", actor=operator)
    browser.post(f"/sessions/{session.pk}/segments/{first.pk}/merge/")
    text = part(page_of(browser, session), 1)
    assert "Part 1 was done." in text and "What I think." in text
    assert "merged with “Part 2”" in words(text)
    action, event = re.search(r'formaction="(\S+/split/)" name="event" value="(\d+)"', text).groups()
    browser.post(action, {"event": event})
    assert [row.shown("summary") for row in session.segments.order_by("position")] == [
        "Part 1 was done.", "What I think.", "Part 3 was done.",
    ]  # fmt: skip
    assert "merged with" not in page_of(browser, session)


def test_a_next_step_becomes_a_brief_once(browser, used):
    before = Brief.objects.count()
    for _ in range(2):
        assert post(browser, used, "uses/next_steps", line="Step").status_code == 302
    assert Brief.objects.count() == before + 1
    made = Brief.objects.latest("pk")
    shown = part(page_of(browser, used.session), 1)
    assert f'<a class="made" href="/briefs/{made.pk}/">→ #{made.pk}</a>' in shown
    assert "uses/next_steps" not in shown, "not twice"


def test_a_question_and_a_decision_go_to_the_brief(browser, used):
    post(browser, used, "uses/open_questions", line="Why?")
    post(browser, used, "uses/key_decisions", line="So it is.")
    question = Question.objects.get()
    assert question.brief_id == used.session.brief_id
    entry = TraceEntry.objects.filter(brief=used.session.brief_id).latest("seq")
    assert "So it is." in entry.body
    shown = part(page_of(browser, used.session), 1)
    assert f'href="/briefs/{question.brief_id}/#question-{question.pk}"' in shown
    assert f'href="/briefs/{question.brief_id}/#trace-{entry.seq}"' in shown


def test_without_a_brief_one_says_which(browser):
    row = make_session(1).segments.get()
    row.open_questions = [line("Why so?")]
    row.save()
    assert "uses/open_questions/?line=Why%20so%3F" in page_of(browser, row.session)
    form = browser.get(f"/sessions/{row.session_id}/segments/{row.pk}/uses/open_questions/", {"line": "Why so?"})
    assert "belongs to no brief" in form.content.decode()
    assert post(browser, row, "uses/open_questions", line="Why so?").status_code == 409
    assert post(browser, row, "uses/open_questions", line="Why so?", brief="twelve").status_code == 400
    assert post(browser, row, "uses/open_questions", line="Why so?", brief="9999").status_code == 404
    brief = factories.make_brief()
    assert post(browser, row, "uses/open_questions", line="Why so?", brief=f"#{brief.pk}").status_code == 302
    assert brief.questions.get().body == "Why so?"


# --- for scripts ------------------------------------------------------------------------------------------------------

SCRIPT = {"HX-Request": "true", "Accept": "application/json"}


def empty_places(text: str) -> list[tuple[str, int]]:
    """Of what the page has already: the first and the last number, and the position of the first."""
    return [(had, int(at)) for had, at in re.findall(r'<div data-had="([\d-]+)" data-at="(\d+)"></div>', text)]


def test_the_page_asks_only_for_what_it_does_not_have(browser, operator):
    session = make_session(4)
    said = have(session)
    outlines.edit(session.segments.get(position=2), "title", "Renamed", actor=operator)
    text = page_of(browser, session, f"?have={said}", **{"HX-Request": "true"})
    assert "<html" not in text
    one, _, three, four = session.segments.order_by("position").values_list("pk", flat=True)
    assert empty_places(text) == [(f"{one}-{one}", 1), (f"{three}-{four}", 3)]
    assert "Renamed" in part(text, 2)
    assert "Part 3 was done." not in text
    session.refresh_from_db()
    assert f'id="segments" data-revision="{session.outline_revision}"' in text


def test_what_a_page_has_is_said_in_ranges_and_answered_by_one_empty_place(browser):
    session = make_session(30)
    rows = list(session.segments.order_by("position"))
    said = f"{rows[0].pk}-{rows[-1].pk}.{2 * rows[0].revision}"
    text = page_of(browser, session, f"?have={said}&open=all", **{"HX-Request": "true"})
    assert 'data-total="30"' in text
    places = empty_places(text)
    assert [at for _, at in places] == sorted(at for _, at in places)
    assert len(places) <= 3, "also within a run that is folded"
    assert sum(int(last) - int(first) + 1 for first, last in (had.split("-") for had, _ in places)) == 30


@pytest.mark.parametrize(
    "nonsense",
    ["", "x", "5-1.2", "1-999999999999999.1", "1-.2", "1", "1.", ".1", "1.1.1", "9" * 400, "1.99999999999999", "\x00"],
)
def test_nonsense_about_what_it_has_gets_everything(browser, nonsense):
    session = make_session(1)
    answer = browser.get(f"/sessions/{session.pk}/segments/", {"have": nonsense}, headers={"HX-Request": "true"})
    assert answer.status_code == 200


def test_an_act_answers_with_what_changed(browser):
    session = make_session(3)
    row = session.segments.get(position=2)
    answer = browser.post(
        f"/sessions/{session.pk}/segments/{row.pk}/review/", {"on": "1", "have": have(session)}, headers=SCRIPT
    )
    text = answer.content.decode()
    assert answer.status_code == 200
    assert [at for _, at in empty_places(text)] == [1, 3]
    assert "1 of 3 reviewed" in words(text)


def test_a_refusal_for_a_script_is_a_sentence(browser):
    row = make_session(1).segments.get()
    address = f"/sessions/{row.session_id}/segments/{row.pk}"
    answer = browser.post(f"{address}/edit/title/", {"value": ""}, headers=SCRIPT)
    assert (answer.status_code, answer.json()) == (400, {"error": "A segment needs a title."})
    assert browser.post(f"{address}/merge/", headers=SCRIPT).json()["error"].startswith("This is the last segment")
    form = browser.get(f"{address}/edit/title/", headers=SCRIPT).content.decode()
    assert form.strip().startswith("<form")


# --- cost -------------------------------------------------------------------------------------------------------------


def test_the_number_of_queries_does_not_depend_on_the_segments(browser, operator):
    def cost(count: int) -> int:
        session = make_session(count)
        for row in session.segments.all()[:6]:
            row.next_steps = [line(f"Step {row.pk}")]
            row.save()
            outlines.comment(row, "Hm.", actor=operator)
            outlines.use(row, "next_steps", f"Step {row.pk}", actor=operator)
            outlines.edit(row, "title", "Mine", actor=operator)
            outlines.review(row, True, actor=operator)
        page_of(browser, session)
        with CaptureQueriesContext(connection) as found:
            page_of(browser, session)
        return len(found)

    few, many = cost(16), cost(200)
    assert few == many
    assert few <= 14


# --- whose it is ------------------------------------------------------------------------------------------------------


def test_a_session_without_a_brief_is_given_one(browser, operator, project):
    session = make_session(1)
    brief = factories.make_brief("Reset the orchestrator", project)
    for page in ("", "segments/"):
        assert "choose a brief" in browser.get(f"/sessions/{session.pk}/{page}").content.decode()
    address = f"/sessions/{session.pk}/segments/brief/"
    for nonsense, status in (("", 400), ("twelve", 400), ("99999", 404)):
        assert browser.post(address, {"brief": nonsense}).status_code == status
    assert browser.post(address, {"brief": f"#{brief.pk}"}).status_code == 302
    session.refresh_from_db()
    assert (session.brief, session.project, session.is_probable) == (brief, project, False)
    assert brief.links.get(kind="session").target == str(session.pk)
    assert TraceEntry.objects.filter(brief=brief, actor=operator).exists(), "on the trace, by whom"
    text = page_of(browser, session)
    assert "choose a brief" not in text and f"#{brief.pk} Reset" in text
    other = factories.make_brief("Another", project)
    answer = browser.post(address, {"brief": str(other.pk)}, headers=SCRIPT)
    assert answer.status_code == 409 and "is known" in answer.json()["error"]


def test_what_was_guessed_can_be_put_right(browser, project):
    session = make_session(1, brief=factories.make_brief("A guess", project), is_probable=True)
    assert "another brief" in page_of(browser, session)
    brief = factories.make_brief("The right one", project)
    browser.post(f"/sessions/{session.pk}/segments/brief/", {"brief": str(brief.pk)})
    session.refresh_from_db()
    assert session.brief == brief and not session.is_probable


def test_a_brief_of_a_session_without_a_project_is_in_the_one_that_is_meant(browser, project, tmp_path):
    session = make_session(2)
    first, second = session.segments.order_by("position")
    for row in (first, second):
        row.next_steps = [line("Deliver the packet by file")]
        row.save()
    assert 'name="line" value="Deliver' in page_of(browser, session), "there is only one project"
    browser.post(f"/sessions/{session.pk}/segments/{first.pk}/uses/next_steps/", {"line": "Deliver the packet by file"})
    assert Brief.objects.get().project == project
    other = factories.make_project(tmp_path / "other")
    assert 'name="line" value="Deliver' not in page_of(browser, session), "one is asked"
    address = f"/sessions/{session.pk}/segments/{second.pk}/uses/next_steps/"
    form = browser.get(address, {"line": "Deliver the packet by file"}).content.decode()
    assert f'value="{project.slug}"' in form and f'value="{other.slug}"' in form
    browser.post(address, {"line": "Deliver the packet by file", "project": other.slug})
    assert Brief.objects.get(project=other).title == "Deliver the packet by file"


def test_an_empty_session_that_is_over_promises_nothing(browser):
    session = Session.objects.create(program="claude", session_id="empty", active_at=timezone.now())
    assert "appear here as the agent works" in page_of(browser, session)
    Session.objects.update(active_at=timezone.now() - timedelta(hours=1))
    assert "nobody writes it any more" in page_of(browser, session)


def test_an_address_of_mail_in_a_summary_is_no_link(browser):
    session = make_session(1)
    session.segments.update(summary="Signed off by Al <al@example.org>, see <https://example.org/a>.")
    text = part(page_of(browser, session), 1)
    assert "mailto" not in text and "al@example.org" in text and 'href="https://example.org/a"' in text


# --- where the words are from -----------------------------------------------------------------------------------------


def worked() -> Log:
    log = begun().run("pytest -q", result="3 passed").commit("Keep nested quotes")
    return log.say("Nested quotes **survive** now. They did not before.")


def test_each_sentence_shows_whether_it_is_a_quote_or_a_fact(browser):
    text = page_of(browser, outlined(worked()))
    shown = part(text, 1)
    assert "quoted from the log; person where a person speaks, else the model counted in it" in words(text)
    quote = shown[shown.index('<blockquote class="from-quote">') : shown.index("</blockquote>")]
    assert words(quote) == "person : Rewrite the parser so that nested quotes survive e1"
    assert 'title="Quoted from event 1: why: the prompt that began it"' in quote
    facts = shown[shown.index('<p class="from-fact">') : shown.index("</p>", shown.index('<p class="from-fact">'))]
    assert words(facts) == ("Edited parser.py. e2 Ran pytest : passed. e5 Committed 1a2b3c4d “Keep nested quotes”. e7")
    assert "Counted from the events; the last is 5" in facts
    assert '<li class="from-quote">Nested quotes survive now. They did not before.' in shown
    assert '<li class="from-fact">Ran <code>pytest</code>: passed.' in shown


def test_a_title_says_why_it_is_the_title(browser, operator):
    session = outlined(worked())
    shown = words(part(page_of(browser, session), 1))
    assert "why this title Quoted from event 1: the prompt that began it e1" in shown
    outlines.edit(session.segments.get(), "title", "My own words", actor=operator)
    assert "why this title" not in page_of(browser, session)


def test_what_a_person_wrote_is_theirs_and_no_quote(browser, operator):
    session = outlined(worked())
    outlines.edit(session.segments.get(), "outcome", "It works.", actor=operator)
    outlines.edit(session.segments.get(), "summary", "I saw it.", actor=operator)
    shown = part(page_of(browser, session), 1)
    assert '<li class="from-person">It works.' in shown
    assert "I saw it." in shown and "from-fact" not in shown and "blockquote" not in shown


def test_what_a_model_wrote_is_said_to_be_a_models(browser):
    session = outlined(worked())
    session.segments.update(how="model", sentences={}, outcome=line("It works.", 4))
    text = page_of(browser, session)
    assert '<li class="from-model">It works.' in text and "by a model" in words(text)
    assert "quoted from the log" not in words(text)


def test_where_nothing_can_be_quoted_the_way_to_a_model_is_told(browser, settings):
    log = Log()
    log.add(Kind.SYSTEM, "hello")
    session = outlined(log)
    said = words(page_of(browser, session))
    assert "Nothing here could be quoted, and no model is configured" in said
    assert "FLOWER_LLM_BASE_URL and FLOWER_LLM_MODEL name one" in said
    settings.FLOWER = replace(settings.FLOWER, llm_base_url="http://127.0.0.1:1/v1", llm_model="m")
    assert "Nothing here could be quoted" not in words(page_of(browser, session))
