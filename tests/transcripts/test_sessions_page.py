"""The list of sessions, and what briefs and processes say of theirs."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from briefs.identity import Identity, Scope
from briefs.models import Link, Token
from briefs.services import actors, links
from core import live
from core.format import tokens
from daemons.models import Process
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log, piece
from tests.transcripts.logs import Claude, dump, write
from transcripts import ingest, naming
from transcripts.events import Usage
from transcripts.models import Segment, Session, Taking
from transcripts.services import outlining, recalling

pytestmark = pytest.mark.django_db


def body(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def make(*topics: str, **fields) -> Session:
    log = Log()
    for topic in topics or ("parser",):
        piece(log, topic)
    made = stored.session(log)
    Session.objects.filter(pk=made.pk).update(**fields)
    outlining.refresh(made.pk)
    made.refresh_from_db()
    return made


# --- the list ---------------------------------------------------------------------------------------------------------


def test_an_empty_list_says_how_sessions_get_here(browser):
    html = body(browser, "/sessions/")
    assert "No session yet." in html and "FLOWER_TRANSCRIPT_ROOTS" in html


def test_a_row_says_what_one_looks_for(browser, project):
    brief = factories.make_brief("The brief of it", project)
    made = make(
        "parser", "billing", branch="feature/quotes", project=project, brief=brief, model="opus", context=50_000,
        window=200_000, tokens_input=1_200_000, title="Work on quotes",
    )  # fmt: skip
    html = body(browser, "/sessions/")
    for words in ("Work on quotes", "feature/quotes", "The brief of it", "1.2 M", "25 %", "claude", "opus", "live"):
        assert words in html, words
    assert f"now: {made.segments.last().shown('title')}" in html


def test_old_ones_are_retired(browser):
    make(active_at=timezone.now() - timedelta(hours=1))
    html = body(browser, "/sessions/")
    assert '<span class="pill">retired</span>' in html and "now:" not in html


def test_one_whose_process_runs_is_live_however_long_it_thinks(browser):
    process = Process.objects.create(command="claude", cwd="/w", phase=Process.Phase.RUNNING)
    ended = Process.objects.create(command="claude", cwd="/w", phase=Process.Phase.EXITED)
    long_ago = timezone.now() - timedelta(hours=1)
    thinking = make(process=process.pk, active_at=long_ago, title="It thinks")
    gone = make(process=ended.pk, active_at=timezone.now(), title="It ended")
    live, retired = body(browser, "/sessions/?state=live"), body(browser, "/sessions/?state=retired")
    assert thinking.title in live and gone.title not in live
    assert gone.title in retired and thinking.title not in retired


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=quotes", {"Quotes"}),
        ("q=release%2F", {"Harbour"}),
        ("q=nothing+like+it", set()),
        ("program=codex", {"Harbour"}),
        ("program=claude", {"Quotes"}),
        ("project=sample", {"Quotes"}),
        ("project=nowhere", set()),
        ("state=live", {"Quotes"}),
        ("q=lexer.py", {"Quotes"}),
        ("page=99", {"Quotes", "Harbour"}),
    ],
)
def test_filters(browser, project, query, found):
    quotes = make("parser", title="Quotes", project=project)
    make("map", title="Harbour", program="codex", branch="release/2", active_at=timezone.now() - timedelta(days=2))
    quotes.touched.create(
        file=quotes.log_files.get(),
        path="/w/src/lexer.py",
        path_key="k",
        name="lexer.py",
        verb="edited",
        first=1,
        last=1,
    )
    html = body(browser, f"/sessions/?{query}")
    table = html.partition("<tbody>")[2].partition("</tbody>")[0]
    assert {title for title in ("Quotes", "Harbour") if f">{title}</a>" in table} == found
    assert found or "No session is like that." in html


def test_by_brief(browser):
    one, other = factories.make_brief("One"), factories.make_brief("Other")
    make(title="For one", brief=one)
    make(title="For other", brief=other)
    html = body(browser, f"/sessions/?brief={one.pk}")
    assert "For one" in html and "For other" not in html
    assert "For one" not in body(browser, "/sessions/?brief=99999")


def test_pages_of_fifty(browser):
    Session.objects.bulk_create(
        Session(
            program="claude", session_id=f"s{n}", title=f"Number {n}.", active_at=timezone.now() - timedelta(hours=n)
        )
        for n in range(60)
    )
    first, second = body(browser, "/sessions/"), body(browser, "/sessions/?page=2")
    assert "Number 0." in first and "Number 50." not in first
    assert "Number 50." in second and "Number 0." not in second


def test_it_costs_the_same_however_many_they_are(browser):
    make()
    body(browser, "/sessions/")
    counts = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            body(browser, "/sessions/")
        counts.append(len(queries))
        for _ in range(3):
            make("billing")
    assert counts[0] == counts[1]


def test_a_limited_token_sees_its_projects_sessions(client, agent, project):
    make(title="Mine", project=project)
    make(title="Not mine")
    secret = actors.issue_token(agent, Token.Scope.READONLY, project=project)[0]
    html = client.get(
        "/sessions/", headers={"Authorization": f"Bearer {secret}", "Accept": "text/html"}
    ).content.decode()
    assert "Mine</a>" in html and "Not mine" not in html


def test_titles_are_data(browser):
    make(title="<script>alert(1)</script>", branch="<img src=x>")
    html = body(browser, "/sessions/")
    assert "<script>alert" not in html and "<img src=x>" not in html


# --- whose are read ---------------------------------------------------------------------------------------------------


def test_a_project_asks_for_its_sessions_here(browser, project):
    assert "Read them" in body(browser, "/sessions/")
    assert browser.post(f"/sessions/taking/{project.slug}/", {"on": "1", "days": "7"}).status_code == 302
    taking = Taking.objects.get(project=project)
    assert (taking.is_on, taking.days) == (True, 7)
    browser.post(f"/sessions/taking/{project.slug}/", {"on": ""})
    taking.refresh_from_db()
    assert not taking.is_on


@pytest.mark.parametrize("days", ["0", "x", "99999", "-1"])
def test_a_wrong_age_is_refused_where_it_was_typed(browser, project, days):
    answer = browser.post(f"/sessions/taking/{project.slug}/", {"on": "1", "days": days})
    assert answer.status_code == 400 and f'value="{days}"' in answer.content.decode()
    assert not Taking.objects.filter(is_on=True).exists()


# --- on other pages ---------------------------------------------------------------------------------------------------


def test_a_brief_shows_its_sessions_and_what_is_done_now(browser, operator):
    brief = factories.make_brief("With a session")
    assert 'id="sessions"' in body(browser, f"/briefs/{brief.pk}/")
    made = make("parser", "billing", brief=brief, title="On quotes")
    links.add(brief, Link.Kind.SESSION, str(made.pk), actor=operator, relation=Link.Relation.EXECUTION)
    html = body(browser, f"/briefs/{brief.pk}/")
    assert f"now: {made.segments.last().shown('title')}"[:60] in html
    assert f'<a href="/sessions/{made.pk}/">Session #{made.pk}</a> <small>On quotes</small>' in html


def test_a_process_says_what_its_agent_is_at(browser):
    process = Process.objects.create(command="claude", cwd="/w", phase=Process.Phase.RUNNING)
    made = make("parser", "billing", process=process.pk, title="On quotes")
    html = body(browser, f"/processes/{process.pk}/")
    assert "now:" in html and str(made.segments.last().shown("title")) in html
    assert f'href="/sessions/{made.pk}/"' in html


def test_people_see_their_own_words(browser):
    made = make("parser", "billing")
    last = made.segments.last()
    Segment.objects.filter(pk=last.pk).update(edits={"title": "My own words"})
    assert "now: My own words" in body(browser, "/sessions/")


def test_pages_that_say_now_hear_when_an_agent_begins_something_else(monkeypatch, django_capture_on_commit_callbacks):
    brief = factories.make_brief("It follows")
    made = make("parser", brief=brief, process=77)
    log = Log()
    for topic in ("parser", "billing", "map"):
        piece(log, topic)
    heard = []
    monkeypatch.setattr(live, "_send", lambda group, message: heard.append((group, message["type"])))
    stored.grow(made, log.events)
    with django_capture_on_commit_callbacks(execute=True):
        outlining.refresh(made.pk)
    assert (live.brief_group(brief.pk), "brief.changed") in heard
    assert (live.process_group(77), "process.changed") in heard


def test_a_brief_that_one_may_not_see_is_not_named(client, agent, project):
    made = make(title="Mine", project=project, brief=factories.make_brief("Secret plan"))
    secret = actors.issue_token(agent, Token.Scope.READONLY, project=project)[0]
    for path in ("/sessions/", f"/sessions/{made.pk}/"):
        answer = client.get(path, headers={"Authorization": f"Bearer {secret}", "Accept": "text/html"})
        assert answer.status_code == 200 and b"Secret plan" not in answer.content


def test_the_same_numbers_stand_on_every_page_and_in_the_answers_of_tools(browser, operator, tmp_path):
    """Tokens, errors, and how full the context is: each has one meaning."""
    log = Claude(cwd="/src/shop")
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 600, "output_tokens": 90}
    said = [log.said(f"Part {number}.") for number in (1, 2)]
    for record, seen in zip(said, (250_000, 137_000), strict=True):
        record["message"]["usage"] = {**usage, "cache_read_input_tokens": seen}
    records = [log.prompt("Do both parts"), *said, log.call("Bash", "toolu_1", command="false"),
               log.result("toolu_1", "no", is_error=True), log.prompt("[Request interrupted by user]")]  # fmt: skip
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(*records))).session)
    outlining.refresh(session.pk)
    pages = {name: browser.get(f"/sessions/{name}").content.decode() for name in
             ("", f"{session.pk}/", f"{session.pk}/segments/")}  # fmt: skip
    told = recalling.sessions(Identity(operator, Scope.OPERATOR))["sessions"][0]
    fresh = session.tokens_input + session.tokens_cache_written + session.tokens_output
    assert told["tokens"] == fresh == session.tokens and told["tokens_from_cache"] == session.tokens_cache_read
    assert told["window"] == 1_000_000, "more than 200,000 were seen once"
    for text in pages.values():
        assert f">{tokens(fresh)}" in text and "outside of its cache" in text
        assert f"{session.context_share} %" in text
    assert session.errors == 1
    assert "1 error" in pages[f"{session.pk}/"]
    assert "1 error, 1 interruption" in pages[f"{session.pk}/segments/"]


def test_what_was_read_before_learns_its_largest_context(db):
    log = Log().ask("Go")
    log.say("Done.")
    log.events[-1].usage = Usage(input=250_000)
    log.say("And again.")
    log.events[-1].usage = Usage(input=9_000)
    session = stored.session(log)
    look_up = import_module("transcripts.migrations.0005_context_most").look_up
    look_up(apps, None)
    session.refresh_from_db()
    assert session.context_most == 250_000


def test_what_an_agent_is_at_is_its_newest_prompt_until_something_follows(project, operator, tmp_path, monkeypatch):
    log = Claude(cwd="/src/shop")
    records = [log.prompt("Rewrite the tokenizer of the parser"), log.said("Rewritten.")]
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(*records))).session)
    Session.objects.filter(pk=session.pk).update(brief=factories.make_brief("The parser", project), process=7)
    outlining.refresh(session.pk)
    title = naming.now(session)
    told = []
    monkeypatch.setattr(live, "publish", lambda group, kind, **data: told.append(kind))
    prompt = log.prompt("Now  write the\nrelease notes of version nine" + " and more" * 40)
    ingest.take(write(tmp_path, dump(*records, prompt)))
    assert {"brief.changed", "process.changed"} <= set(told)
    assert naming.now(session).startswith("Now write the release notes of version nine and more")
    assert len(naming.now(session)) <= 200
    outlining.refresh(session.pk)
    assert naming.now(session) != title, "also when the outline has it in its last segment"
    assert recalling.sessions(Identity(operator, Scope.OPERATOR))["sessions"][0]["now"].startswith("Now write the")
    told.clear()
    ingest.take(write(tmp_path, dump(*records, prompt, log.said("I look first."))))
    outlining.refresh(session.pk)
    last = session.segments.order_by("position").last()
    assert naming.now(session) == last.title and "brief.changed" in told


def test_an_agent_that_was_only_asked_so_far_is_at_that(tmp_path):
    log = Claude(cwd="/src/shop")
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(log.prompt("Rewrite the parser")))).session)
    assert naming.now(session) == "Rewrite the parser"
