"""The pages of the board: what they show, to whom, and that nothing typed is lost."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from briefs import lifecycle, trace
from briefs.models import Brief, Link, Project, Question, Token
from briefs.services import actors, briefs, links, questions, recall, relations, specs
from daemons.services import programs
from dispatch import tasks
from dispatch.models import DispatchRequest
from dispatch.services import dispatch
from tests.factories import agent, make_brief, make_repository, operator

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
PAGES = ("/briefs/", "/projects/", "/dispatches/", "/worktrees/")


@pytest.fixture(autouse=True)
def _nothing_is_kicked(monkeypatch):
    monkeypatch.setattr(tasks.advance, "delay", lambda *_: None)


def body(response) -> str:
    return response.content.decode()


# --- who gets in ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [*PAGES, "/briefs/1/", "/briefs/1/panels/", "/briefs/1/trace/", "/processes/1/"])
def test_a_person_without_login_is_led_to_it(client, address):
    response = client.get(address)
    assert response.status_code == 302
    assert response.headers["Location"].startswith("/login/?next=")


def test_a_form_of_somebody_without_login_changes_nothing(client):
    assert client.post("/briefs/capture/", {"body": "mine"}).status_code == 302
    assert not Brief.objects.exists()


def test_an_agents_token_opens_no_page(client):
    make_brief()
    secret, _ = actors.issue_token(agent(), Token.Scope.AGENT)
    assert client.get("/briefs/", headers={"Authorization": f"Bearer {secret}"}).status_code == 403


def test_a_reading_token_reads_its_own_project_only(client, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    mine, theirs = make_brief("Mine", project), make_brief("Theirs", other)
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY, project=project)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    page = body(reader.get("/briefs/"))
    assert "Mine" in page and "Theirs" not in page
    assert reader.get(f"/briefs/{mine.pk}/").status_code == 200
    assert reader.get(f"/briefs/{theirs.pk}/").status_code == 404
    assert reader.post(f"/briefs/{mine.pk}/note/", {"body": "hello"}).status_code == 403


# --- every page stands ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", PAGES)
def test_empty_pages_say_what_to_do_next(browser, address):
    response = browser.get(address)
    assert response.status_code == 200
    assert 'class="blank"' in body(response)


def test_the_root_leads_to_the_board(browser):
    assert browser.get("/").headers["Location"] == "/briefs/"


def test_no_page_has_inline_code_or_style(browser, project):
    brief = make_brief("Everything", project, spec="# Plan")
    questions.ask(brief, "Which?", actor=agent(), options=["a", "b"])
    for address in [*PAGES, f"/briefs/{brief.pk}/"]:
        page = body(browser.get(address))
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|javascript:", page), address
        assert not re.search(r"<script(?![^>]*\ssrc=)", page), address


def test_every_input_has_a_name_for_those_who_do_not_see_it(browser, project):
    brief = make_brief("Everything", project)
    questions.ask(brief, "Which?", actor=agent())
    for address in ["/briefs/", "/projects/", f"/briefs/{brief.pk}/"]:
        page = body(browser.get(address))
        labelled = set(re.findall(r'<label[^>]* for="([^"]+)"', page))
        for field in re.findall(r"<(?:input|select|textarea)\b[^>]*>", page):
            kind = re.search(r'type="(\w+)"', field)
            if kind and kind[1] in {"hidden", "checkbox", "radio"}:
                continue  # those two stand inside their labels
            name = re.search(r'\sid="([^"]+)"', field)
            assert "aria-label=" in field or (name and name[1] in labelled), field


# --- the board --------------------------------------------------------------------------------------------------------


def test_the_board_groups_by_status_and_says_what_is_waited_for(browser, project):
    first, second = make_brief("First", project), make_brief("Second", project)
    lifecycle.move(second, "planned", actor=operator())
    relations.add_dependency(second, first, actor=operator())
    page = body(browser.get("/briefs/"))
    assert page.index("planned") < page.index("Second") < page.index("First")
    assert f"waits for #{first.pk} First" in page
    assert "blocked" in page


def test_filters_are_in_the_address(browser, project):
    make_brief("Red apple", project)
    lifecycle.move(make_brief("Green pear", project), "planned", actor=operator())
    numbered = make_brief("Blue plum")
    assert "Red apple" not in body(browser.get("/briefs/?status=planned"))
    assert "Green pear" not in body(browser.get("/briefs/?q=APPLE"))
    assert "Blue plum" in body(browser.get(f"/briefs/?q=%23{numbered.pk}"))
    assert "Blue plum" not in body(browser.get(f"/briefs/?project={project.slug}"))
    assert "Nothing matches." in body(browser.get("/briefs/?q=zebra"))
    nonsense = "/briefs/?status=<script>&page=-1&q=%00&project='&needs=x"
    assert browser.get(nonsense).status_code == 200


def test_htmx_gets_the_list_alone(browser, project):
    make_brief("Alone", project)
    response = browser.get("/briefs/", headers=HTMX)
    assert body(response).lstrip().startswith('<div id="list">')
    assert 'id="capture"' not in body(response)
    assert "HX-Request" in response.headers["Vary"]


def test_the_number_of_queries_does_not_grow_with_the_briefs(browser, project):
    def fill(count: int) -> None:
        for number in range(count):
            brief = make_brief(f"Brief {number}", project, parent=Brief.objects.first())
            if number % 2:
                lifecycle.move(brief, "planned", actor=operator())
            if number % 3 == 0:
                questions.ask(brief, "Which?", actor=agent(), blocking=True)

    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert browser.get("/briefs/").status_code == 200
        return len(queries)

    fill(5)
    few = count()
    fill(45)
    assert count() == few
    assert few < 25


def test_a_long_group_shows_its_newest_and_leads_to_the_others(browser, project):
    for number in range(30):
        make_brief(f"Thought {number:02}", project)
    page = body(browser.get("/briefs/"))
    assert page.count('class="brief') == 25
    assert "5 more" in page
    assert body(browser.get("/briefs/?status=idea")).count('class="brief') == 30


def test_the_bar_counts_what_waits_for_a_person(browser, project):
    brief = make_brief("Ask me", project)
    assert "needs=me" not in body(browser.get("/projects/"))
    questions.ask(brief, "Which **colour**?", actor=agent())
    assert "?needs=me" in body(browser.get("/projects/"))
    page = body(browser.get("/briefs/?needs=me"))
    assert "asks: Which colour?" in page


# --- capture ----------------------------------------------------------------------------------------------------------


def test_a_thought_becomes_a_brief_without_a_script(browser, project):
    response = browser.post("/briefs/capture/", {"body": "Tidy up\n\nall of it", "project": project.slug}, follow=True)
    brief = Brief.objects.get()
    assert (brief.title, brief.project, brief.status) == ("Tidy up", project, "idea")
    assert response.redirect_chain == [("/briefs/", 302)]
    assert f"#{brief.pk} Tidy up" in body(response)


def test_with_htmx_the_box_comes_back_empty_and_tells(browser, project):
    response = browser.post("/briefs/capture/", {"body": "Tidy up", "project": project.slug}, headers=HTMX)
    assert response.headers["HX-Trigger"] == "board:changed"
    assert "Captured <a" in body(response)
    assert "<html" not in body(response)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refused_capture_keeps_what_was_typed(browser, project, headers):
    typed = "Keep <this> & that"
    response = browser.post("/briefs/capture/", {"body": typed, "project": "nowhere"}, headers=headers)
    assert response.status_code == 404
    assert "There is no project &#x27;nowhere&#x27; for you." in body(response)
    assert "Keep &lt;this&gt; &amp; that</textarea>" in body(response)
    assert not Brief.objects.exists()


def test_capture_and_dispatch_is_one_step(browser, project):
    programs.register("worker", ["/bin/true"])
    response = browser.post("/briefs/capture-and-dispatch/", {"body": "Do it now", "project": project.slug})
    request = DispatchRequest.objects.get()
    assert (request.brief.title, request.program.name) == ("Do it now", "worker")
    assert response.headers["Location"] == f"/briefs/{request.brief_id}/"


def test_what_cannot_be_dispatched_is_captured_all_the_same(browser):
    response = browser.post("/briefs/capture-and-dispatch/", {"body": "Where?"})
    brief = Brief.objects.get()
    assert response.headers["Location"] == f"/briefs/{brief.pk}/#dispatch"
    assert "belongs to no project" in body(browser.get(f"/briefs/{brief.pk}/"))


# --- the brief page ---------------------------------------------------------------------------------------------------


def test_the_panels_have_the_words_of_the_seed_page(browser, project):
    page = body(browser.get(make_brief("Words", project).get_absolute_url()))
    for words in (
        "canonical · plan", "hand-off · dispatch", "provenance · append-only", "epic · dependencies", "agents · waves",
        "trace · graph", "dogfood · read-only", "Auto-dispatch", "when it reaches planned", "Design-loop",
        "design pass before build", "Relationships", "epic parent", "depends on", "Participants", "Links", "Projects",
        "No dependencies — dispatchable once planned.", "Agent’s-eye view", "primary",
        "No dispatch requests yet — dispatch above to generate a copy-paste packet.",
    ):  # fmt: skip
        assert words in page, words


def test_a_brief_that_is_not_there_is_a_sentence(browser):
    response = browser.get("/briefs/999/")
    assert response.status_code == 404
    assert "There is no brief #999 for you." in body(response)


def test_text_from_agents_is_shown_and_never_executed(browser, project):
    hostile = "<script>alert(1)</script> <img src=x onerror=alert(2)> [x](javascript:alert(3)) **bold**"
    brief = make_brief("<script>alert('title')</script>", project)
    specs.update(brief, hostile, base_version=0, actor=agent())
    briefs.note(brief, hostile, actor=agent())
    questions.ask(brief, hostile, actor=agent(), options=["<b>x</b>"])
    Link.objects.create(brief=brief, kind="url", target="javascript:alert(4)", actor=agent(), label="<i>x</i>")
    trace.append(brief, "link_added", actor=agent(), data={"kind": "url", "target": "javascript:alert(5)"})
    links.add(brief, "url", "https://example.org/?a=1&b=<2>", actor=agent())
    for address in ("/briefs/", f"/briefs/{brief.pk}/"):
        page = body(browser.get(address))
        assert "<script>alert" not in page
        assert not re.search(r"<[^>]+\sonerror", page)
        assert not re.search(r'href="\s*javascript', page, re.IGNORECASE)
        assert "<b>x</b>" not in page and "<i>x</i>" not in page
    assert "<strong>bold</strong>" in page
    assert 'href="https://example.org/?a=1&amp;b=&lt;2&gt;"' in page


def test_the_agents_view_is_the_tools_answer(browser, project):
    import html
    import json

    brief = make_brief("See", project, spec="Plan <b>")
    page = body(browser.get(f"{brief.get_absolute_url()}?payload=agent&as=json"))
    shown = re.search(r'<pre class="output" id="payload-text"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert json.loads(html.unescape(shown[1])) == recall.brief_payload(brief)


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_stale_spec_keeps_the_typed_text(browser, project, headers):
    brief = make_brief("Plan", project, spec="one")
    specs.update(brief, "two", base_version=1, actor=agent())
    response = browser.post(
        f"/briefs/{brief.pk}/spec/", {"spec": "mine <&>", "base_version": "1", "why": "because"}, headers=headers
    )
    assert response.status_code == 409
    page = body(response)
    assert "Somebody else changed the spec" in page
    assert "mine &lt;&amp;&gt;</textarea>" in page
    assert 'value="because"' in page
    assert 'name="base_version" value="2"' in page, "a second save is on top of what is shown now"
    brief.refresh_from_db()
    assert brief.spec == "two"
    browser.post(f"/briefs/{brief.pk}/spec/", {"spec": "mine", "base_version": "2"})
    brief.refresh_from_db()
    assert (brief.spec, brief.spec_version) == ("mine", 3)


@pytest.mark.parametrize("version", ["", "x", "-1", "99999999999999999999"])
def test_a_spec_without_a_version_is_refused_with_a_sentence(browser, project, version):
    brief = make_brief("Plan", project, spec="one")
    response = browser.post(f"/briefs/{brief.pk}/spec/", {"spec": "two", "base_version": version})
    assert response.status_code in {400, 409}
    assert 'class="refused"' in body(response)
    brief.refresh_from_db()
    assert brief.spec == "one"


def test_forms_lead_back_to_the_page(browser, project):
    brief = make_brief("Forms", project)
    question = questions.ask(brief, "Which?", actor=agent(), blocking=True)
    address = f"/briefs/{brief.pk}/"
    for path, data, anchor in (
        ("note/", {"body": "a note"}, "note"),
        ("title/", {"title": "Other words"}, "title"),
        ("flag/", {"flag": "auto_dispatch", "on": "1"}, "dispatch"),
        (f"questions/{question.pk}/answer/", {"answer": " ", "option": "the first"}, f"question-{question.pk}"),
        ("status/", {"status": "planned", "why": "ready"}, "status"),
    ):
        response = browser.post(address + path, data)
        assert (response.status_code, response.headers.get("Location")) == (302, f"{address}#{anchor}"), path
    brief.refresh_from_db()
    assert (brief.title, brief.auto_dispatch, brief.status) == ("Other words", True, "planned")
    assert Question.objects.get().answer == "the first"
    assert trace.verify(brief)[1] is None


@pytest.mark.parametrize(
    ("path", "data", "sentence"),
    [
        ("note/", {"body": " "}, "Write something first."),
        ("title/", {"title": ""}, "A brief needs a title."),
        ("status/", {"status": "complete"}, "cannot become complete"),
        ("status/", {"status": "dispatched"}, "it is not set by hand"),
        ("status/", {}, "is no brief status"),
        ("flag/", {"flag": "draft", "on": "1"}, "is no switch of a brief"),
        ("dispatch/", {"agent": "nobody"}, "There is no agent program"),
        ("dispatch/", {"base": "no-such-branch"}, "no-such-branch"),
    ],
)
def test_a_refusal_stands_on_the_page_and_changes_nothing(browser, project, path, data, sentence):
    brief = make_brief("Refused", project)
    before = brief.trace_seq
    for headers in ({}, HTMX):
        response = browser.post(f"/briefs/{brief.pk}/{path}", data, headers=headers)
        assert response.status_code in {400, 404, 409}
        assert sentence in body(response)
        assert ("<html" in body(response)) == (not headers)
    brief.refresh_from_db()
    assert brief.trace_seq == before


def test_the_status_menu_offers_legal_moves_only(browser, project):
    brief = make_brief("Moves", project)
    offered = re.findall(r'name="status" value="(\w+)"', body(browser.get(brief.get_absolute_url())))
    assert set(offered) == {"refining", "planned", "deferred", "cancelled", "abandoned"}
    lifecycle.move(brief, "cancelled", actor=operator())
    offered = re.findall(r'name="status" value="(\w+)"', body(browser.get(brief.get_absolute_url())))
    assert offered == ["refining"]


def test_an_open_question_is_answered_on_the_page(browser, project):
    brief = make_brief("Asked", project)
    question = questions.ask(brief, "Which?", actor=agent(), options=["left", "right"])
    page = body(browser.get(brief.get_absolute_url()))
    assert "async · awaiting you" in page and 'value="right"' in page
    other = make_brief("Other", project)
    assert browser.post(f"/briefs/{other.pk}/questions/{question.pk}/answer/", {"answer": "x"}).status_code == 404
    browser.post(f"/briefs/{brief.pk}/questions/{question.pk}/answer/", {"answer": "", "option": "right"})
    assert "async · awaiting you" not in body(browser.get(brief.get_absolute_url()))


def test_dispatching_from_the_page(browser, project):
    programs.register("worker", ["/bin/true"])
    brief = make_brief("Go", project)
    page = body(browser.get(brief.get_absolute_url()))
    assert "<option>worker</option>" in page
    browser.post(f"/briefs/{brief.pk}/dispatch/", {"agent": "worker", "branch": "try/it"})
    request = DispatchRequest.objects.get()
    assert (request.program.name, request.branch, request.created_by.ref) == ("worker", "try/it", "operator:mike")
    page = body(browser.get(brief.get_absolute_url()))
    assert f"/dispatches/{request.pk}/" in page and "queued" in page
    refused = browser.post(f"/briefs/{brief.pk}/dispatch/", {"agent": "worker"})
    assert refused.status_code == 409 and "One agent at a time works on a brief" in body(refused)


# --- the trace --------------------------------------------------------------------------------------------------------


def test_the_trace_shows_its_newest_and_loads_the_earlier(browser, project):
    brief = make_brief("Long", project)
    for number in range(120):
        briefs.note(brief, f"note {number}", actor=agent())
    brief.refresh_from_db()
    end = brief.trace_seq
    page = body(browser.get(brief.get_absolute_url()))
    seqs = [int(seq) for seq in re.findall(r'id="trace-(\d+)"', page)]
    assert seqs == list(range(end, end - 50, -1))
    assert f"?before={end - 49}" in page
    earlier = body(browser.get(f"/briefs/{brief.pk}/trace/?before={end - 49}", headers=HTMX))
    assert re.findall(r'id="trace-(\d+)"', earlier)[0] == str(end - 50)
    assert "<html" not in earlier
    without_script = body(browser.get(f"/briefs/{brief.pk}/?before={end - 49}"))
    assert f'id="trace-{end - 50}"' in without_script and f'id="trace-{end}"' not in without_script
    missed = body(browser.get(f"/briefs/{brief.pk}/trace/?after={end - 2}", headers=HTMX))
    assert re.findall(r'id="trace-(\d+)"', missed) == [str(end - 1), str(end)]


def test_runs_of_the_same_are_one_line(browser, project):
    brief = make_brief("Links", project)
    for number in range(7):
        links.add(brief, "scratchpad", f"#{number}", actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    assert "7 links added" in page
    assert len(re.findall(r'id="trace-\d', page)) == Brief.objects.get(pk=brief.pk).trace_seq


def test_long_bodies_are_clipped_and_very_long_ones_are_fetched(browser, project):
    brief = make_brief("Sizes", project)
    briefs.note(brief, "a word " * 300, actor=agent())
    huge = briefs.note(brief, "a word " * 30_000, actor=agent())
    response = browser.get(brief.get_absolute_url())
    assert "show all · 2.1 KB" in body(response)
    assert "show all · 210.0 KB" in body(response)
    assert len(response.content) < 120_000
    whole = browser.get(f"/briefs/{brief.pk}/trace/{huge}/", headers=HTMX)
    assert len(whole.content) > 200_000
    assert browser.get(f"/briefs/{brief.pk}/trace/{huge}/").status_code == 200
    assert browser.get(f"/briefs/{brief.pk}/trace/999/").status_code == 404


def test_every_kind_of_entry_can_be_shown(browser, project):
    brief, other = make_brief("Kinds", project), make_brief("Other", project)
    for kind in trace.Kind.values:
        trace.append(brief, kind, actor=agent(), data={})
        trace.append(brief, kind, actor=operator(), body="words", data={"dispatch": 1, "process": 2, "by": other.pk})
    assert browser.get(brief.get_absolute_url()).status_code == 200


# --- projects ---------------------------------------------------------------------------------------------------------


def test_a_project_is_added_with_its_gates(browser, tmp_path, monkeypatch):
    path = make_repository(tmp_path / "thing")
    data = {"path": str(path), "slug": "", "gates": "make test\r\n\r\nmake lint", "auto_merge": "on"}
    assert browser.post("/projects/add/", data).headers["Location"] == "/briefs/"
    made = Project.objects.get()
    assert (made.slug, made.gates, made.auto_merge, made.main_branch) == (
        "thing",
        ["make test", "make lint"],
        True,
        "main",
    )
    browser.post("/projects/thing/", {"setup_command": "make venv", "gates": "make check"})
    made.refresh_from_db()
    assert (made.setup_command, made.gates, made.auto_merge) == ("make venv", ["make check"], False)


def test_a_refused_project_keeps_what_was_typed(browser, tmp_path):
    response = browser.post("/projects/add/", {"path": str(tmp_path / "nothing"), "slug": "kept", "gates": "a\nb"})
    assert response.status_code == 400
    page = body(response)
    assert 'class="refused"' in page and 'value="kept"' in page and "a\nb</textarea>" in page
    assert not Project.objects.exists()


# --- dispatches, worktrees, processes ---------------------------------------------------------------------------------


def test_a_dispatch_shows_its_packet_and_can_be_cancelled(browser, project):
    programs.register("worker", ["/bin/true"])
    request = dispatch(make_brief("<b>Go</b>", project), actor=operator(), agent="worker")
    page = body(browser.get(request.get_absolute_url()))
    assert 'aria-current="step"' in page and "&lt;b&gt;Go" in page and "<b>Go" not in page
    assert request.branch in body(browser.get("/dispatches/"))
    assert "None is done." in body(browser.get("/dispatches/?state=done"))
    assert browser.post(f"/dispatches/{request.pk}/merge/").status_code == 409
    response = browser.post(f"/dispatches/{request.pk}/cancel/", {"why": "not now"})
    assert response.headers["Location"] == request.get_absolute_url()
    request.refresh_from_db()
    assert (request.state, request.failure) == ("cancelled", "not now")
    retried = browser.post(f"/dispatches/{request.pk}/retry/")
    assert retried.headers["Location"] == f"/dispatches/{request.pk + 1}/"
    assert browser.get("/dispatches/999/").status_code == 404
    assert browser.get("/processes/999/").status_code == 404


def test_the_work_of_a_dispatch_is_shown_as_a_diff(browser, project):
    from tests.factories import git

    request = dispatch(make_brief("Work", project), actor=operator())
    assert "yet." in body(browser.get(f"/dispatches/{request.pk}/diff/", headers=HTMX))
    git(project.path, "checkout", "-q", "-b", request.branch)
    (project.path / "x.html").write_text("<script>alert(1)</script>\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-q", "-m", "Add <b>x</b>")
    git(project.path, "checkout", "-q", "main")
    page = body(browser.get(f"/dispatches/{request.pk}/diff/", headers=HTMX))
    assert "x.html" in page and "&lt;script&gt;alert(1)" in page and "Add &lt;b&gt;x" in page
    assert "<script>alert" not in page


# --- login ------------------------------------------------------------------------------------------------------------


def test_the_login_page_says_what_was_wrong_and_keeps_the_name(client, person):
    assert 'name="next" value="/projects/"' in body(client.get("/login/?next=/projects/"))
    refused = client.post("/login/", {"username": "mike", "password": "wrong", "next": "/projects/"})
    assert "correct username and password" in body(refused) and 'value="mike"' in body(refused)
    done = client.post("/login/", {"username": "mike", "password": "a long password", "next": "/projects/"})
    assert done.headers["Location"] == "/projects/"


def test_one_logs_out_by_a_form(browser):
    assert 'action="/logout/"' in body(browser.get("/briefs/"))
    browser.post("/logout/")
    assert browser.get("/briefs/").status_code == 302
