"""The board: what its address shows, what is done to briefs on it, and to whom none of that is open."""

from __future__ import annotations

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from briefs import lifecycle
from briefs.models import Brief, Link, Project, SavedView, Token, TraceEntry
from briefs.services import actors, briefs, proposals, questions, relations, saved_views
from briefs.views.board_rows import Rollup
from core.errors import Conflict
from daemons.services import programs
from dispatch import lifecycle as dispatching
from dispatch import tasks
from dispatch.models import DispatchRequest, State
from dispatch.services import dispatch
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db

JSON = {"Accept": "application/json"}
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _nothing_is_kicked(monkeypatch):
    monkeypatch.setattr(tasks.advance, "delay", lambda *_: None)


def body(response) -> str:
    return response.content.decode()


def shown(browser, query: str = "") -> list[int]:
    """The numbers of the briefs on the board, in order; lines that only point at a part do not count."""
    page = body(browser.get(f"/briefs/{query}"))
    return [int(number) for number in re.findall(r'<article class="brief[^"]*" id="brief-(\d+)"', page)]


def moved(title: str, status: str, project: Project | None = None, **options) -> Brief:
    """A brief in a status, also in those that otherwise follow from dispatching."""
    brief = make_brief(title, project, **options)
    way = {
        "dispatched": ["dispatched"],
        "in_progress": ["dispatched", "in_progress"],
        "in_review": ["dispatched", "in_progress", "in_review"],
        "complete": ["dispatched", "in_progress", "complete"],
    }
    for step in way.get(status, [] if status == "idea" else [status]):
        lifecycle.roll_up(brief, step, actor=operator())
    return brief


# --- filters ----------------------------------------------------------------------------------------------------------


def test_every_filter_is_in_the_address(browser, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    bug = moved("A bug", "planned", project, kind="bug")
    mcp = moved("From an agent", "refining", project, origin="mcp")
    far = make_brief("Elsewhere", other)
    briefs.note(far, "I was here", actor=agent())
    assert shown(browser, "?kind=bug") == [bug.pk]
    assert shown(browser, "?origin=mcp") == [mcp.pk]
    assert shown(browser, "?project=other") == [far.pk]
    assert shown(browser, "?actor=flower-agent") == [far.pk]
    assert set(shown(browser, "?actor=me")) == {bug.pk, mcp.pk, far.pk}
    assert set(shown(browser, "?status=planned&status=refining")) == {bug.pk, mcp.pk}
    assert shown(browser, "?status=planned&kind=bug&project=other") == []


def test_chips_say_what_is_on_and_lead_to_the_board_without_it(browser, project):
    make_brief("Red apple", project)
    page = body(browser.get("/briefs/?q=apple&status=idea&status=planned&needs=me"))
    chips = re.findall(r'<a class="tag" href="([^"]+)" data-go aria-label="Without the filter ([^"]+)"', page)
    assert [label for _, label in chips] == ["“apple”", "idea", "planned", "needs me"]
    assert chips[1][0] == "/briefs/?q=apple&amp;status=planned&amp;needs=me"


@pytest.mark.parametrize(
    ("sort", "order"), [("changed", "bca"), ("number", "cba"), ("age", "abc"), ("title", "cab"), ("nonsense", "bca")]
)
def test_the_order_is_in_the_address(browser, project, sort, order):
    made = {
        "a": make_brief("Middle", project),
        "b": make_brief("Zebra", project),
        "c": make_brief("Apple", project),
    }
    briefs.note(made["b"], "changed last", actor=operator())
    assert shown(browser, f"?sort={sort}") == [made[letter].pk for letter in order]


@pytest.mark.parametrize(
    "query",
    ["?status=<x>&status=", "?view=x&sort=%00&epic=-1", "?epic=99999999999999&page=99999999999", "?kind='&actor=%00'"],
)
def test_nonsense_in_the_address_counts_as_not_said(browser, project, query):
    make_brief("Here", project)
    assert browser.get(f"/briefs/{query}").status_code == 200


def test_needs_me_is_all_that_waits_for_a_person_and_agrees_with_the_bar(browser, project):
    asked, planned, approval, finished, failed, again, going = (
        make_brief(title, project)
        for title in ("Asked", "Proposed", "Approval", "Finished", "Failed", "Failed once", "Going")
    )
    make_brief("Nothing to do", project)
    questions.ask(asked, "Which?", actor=agent())
    proposals.propose(planned, "# Plan", actor=agent())
    Brief.objects.filter(pk=approval.pk).update(needs_approval=True)
    for brief, states in (
        (finished, [State.CLAIMED, State.RUNNING, State.FINISHED]),
        (failed, [State.FAILED]),
        (again, [State.FAILED]),
        (going, [State.CLAIMED]),
    ):
        request = dispatch(brief, actor=operator())
        for state in states:
            dispatching.move(request, state, actor=operator())
    dispatch(again, actor=operator())
    waiting = {asked.pk, planned.pk, approval.pk, finished.pk, failed.pk}
    assert set(shown(browser, "?needs=me")) == waiting
    assert f"{len(waiting)}<span" in body(browser.get("/projects/"))
    lifecycle.move(failed, "refining", actor=operator())
    assert set(shown(browser, "?needs=me")) == waiting - {failed.pk}


def test_dispatchable_is_what_dispatch_would_take(browser, project):
    free, homeless = make_brief("Free", project), make_brief("No project")
    blocked, out = make_brief("Blocked", project), make_brief("Out", project)
    done = moved("Done", "complete", project)
    relations.add_dependency(blocked, free, actor=operator())
    dispatch(out, actor=operator())
    assert shown(browser, "?dispatchable=1") == [free.pk]
    assert {homeless.pk, done.pk}.isdisjoint(shown(browser, "?dispatchable=1"))


# --- saved views ------------------------------------------------------------------------------------------------------


def test_a_view_is_saved_applied_renamed_and_deleted(browser, project):
    make_brief("Red apple", project)
    saved = browser.post("/briefs/views/", {"name": " My  plans ", "query": "?status=planned&page=3&sort=title&x=y"})
    assert saved.headers["Location"] == "/briefs/?status=planned&sort=title"
    view = SavedView.objects.get()
    assert (view.name, view.query) == ("My plans", "status=planned&sort=title")
    assert 'href="/briefs/?status=planned&amp;sort=title" data-go>My plans</a>' in body(browser.get("/briefs/"))
    browser.post("/briefs/views/", {"name": "My plans", "query": "?needs=me"})
    assert SavedView.objects.get().query == "needs=me", "the same name again stands for the new filters"
    browser.post(f"/briefs/views/{view.pk}/", {"name": "Mine"})
    assert SavedView.objects.get().name == "Mine"
    browser.post(f"/briefs/views/{view.pk}/", {"delete": "1"})
    assert not SavedView.objects.exists()


def test_a_view_without_a_name_is_refused_where_the_hand_was(browser, project):
    make_brief("Red apple", project)
    response = browser.post("/briefs/views/", {"name": " ", "query": "?status=planned"})
    assert response.status_code == 400
    assert "Give the view a name." in body(response)


def test_nobody_sees_or_changes_the_views_of_others(browser, project):
    make_brief("Red apple", project)
    theirs = saved_views.save(operator("other"), "Secret plans", "needs=me")
    assert "Secret plans" not in body(browser.get("/briefs/"))
    assert browser.post(f"/briefs/views/{theirs.pk}/", {"delete": "1"}).status_code == 404
    assert SavedView.objects.filter(pk=theirs.pk).exists()
    saved_views.save(operator("other"), "Other", "")
    with pytest.raises(Conflict):
        saved_views.rename(theirs, "Other")


# --- epics ------------------------------------------------------------------------------------------------------------


def test_parts_stand_below_their_epic_with_how_far_they_are(browser, project):
    epic = make_brief("The epic", project, kind="epic")
    near = make_brief("Near", project, parent=epic)
    moved("Done", "complete", project, parent=epic)
    going = moved("Going", "in_progress", project, parent=epic)
    moved("Dropped", "cancelled", project, parent=epic)
    page = body(browser.get("/briefs/"))
    assert 'aria-label="1 of 3 complete, 1 in progress"' in page
    assert ">1/3</span>" in page
    parts = page[page.index(f'id="parts-{epic.pk}"') :]
    assert f'id="brief-{near.pk}"' in parts, "a part of the same status is a whole row there"
    assert f'id="part-{going.pk}"' in parts, "one of another status is a line there"
    assert f'id="brief-{going.pk}"' in page, "and a row of its own"
    assert page.count(f'id="brief-{near.pk}"') == 1


def test_what_was_folded_stays_folded(browser, project):
    epic = make_brief("The epic", project)
    make_brief("Part", project, parent=epic)
    box = f'data-fold="{epic.pk}" aria-label="Fold the 1 parts of #{epic.pk}"'
    assert f"{box}>" in body(browser.get("/briefs/"))
    browser.cookies["flower_folded"] = f"7.{epic.pk}.x."
    assert f"{box} checked>" in body(browser.get("/briefs/"))


def test_an_epic_of_epics_shows_every_brief_once(browser, project):
    top = make_brief("Top", project)
    middle = make_brief("Middle", project, parent=top)
    low = make_brief("Low", project, parent=middle)
    assert sorted(shown(browser)) == [top.pk, middle.pk, low.pk]


def test_a_ring_of_parents_that_somebody_forced_loses_no_brief(browser, project):
    one = make_brief("One", project)
    two = make_brief("Two", project, parent=one)
    Brief.objects.filter(pk=one.pk).update(parent=two)
    assert sorted(shown(browser)) == [one.pk, two.pk]


@pytest.mark.parametrize(
    ("statuses", "words", "widths"),
    [
        ([], "0 of 0 complete", (0, 0)),
        (["complete", "idea", "dispatched"], "1 of 3 complete, 1 in progress", (33, 34)),
        (["complete", "abandoned"], "1 of 1 complete", (100, 0)),
    ],
)
def test_a_rollup_counts_what_is_still_a_part(statuses, words, widths):
    rollup = Rollup()
    for status in statuses:
        rollup.add(status)
    assert (rollup.words, (rollup.done_width, rollup.going_width)) == (words, widths)


# --- columns and moves ------------------------------------------------------------------------------------------------


def test_columns_say_from_where_a_card_may_come(browser, project):
    moved("Going", "in_progress", project)
    page = body(browser.get("/briefs/?view=columns"))
    sources = dict(re.findall(r'data-status="(\w+)" data-from="([^"]*)"', page))
    assert list(sources)[:4] == ["idea", "refining", "planned", "dispatched"]
    assert "idea" in sources["planned"].split() and "complete" not in sources["planned"].split()
    assert sources["dispatched"] == sources["in_progress"] == ""
    assert page.count("follows from dispatching") == 2
    assert set(sources) >= {"deferred", "cancelled", "abandoned"}


def test_a_move_from_the_board_is_the_lifecycles(browser, project):
    brief = make_brief("Move me", project)
    answer = browser.post(f"/briefs/{brief.pk}/move/", {"status": "planned"}, headers=JSON)
    assert answer.json() == {"said": f"#{brief.pk} moved from idea to planned."}
    brief.refresh_from_db()
    assert brief.status == "planned"
    entry = TraceEntry.objects.get(brief=brief, kind="status_change")
    assert (entry.actor_ref, entry.data) == ("operator:mike", {"from": "idea", "to": "planned"})


@pytest.mark.parametrize(
    ("to", "why"), [("in_progress", "follows from dispatching"), ("complete", "cannot become"), ("x", "no")]
)
def test_an_illegal_move_is_a_sentence_and_changes_nothing(browser, project, to, why):
    brief = make_brief("Stay", project)
    answer = browser.post(f"/briefs/{brief.pk}/move/", {"status": to}, headers=JSON)
    assert answer.status_code in {400, 409} and why in answer.json()["error"]
    page = browser.post(f"/briefs/{brief.pk}/move/", {"status": to})
    assert page.status_code in {400, 409} and why in body(page), "without a script it stands on the page of moves"
    brief.refresh_from_db()
    assert brief.status == "idea"


def test_a_brief_with_an_active_dispatch_says_why_it_stays(browser, project):
    brief = make_brief("Out", project)
    dispatch(brief, actor=operator())
    answer = browser.post(f"/briefs/{brief.pk}/move/", {"status": "planned"}, headers=JSON)
    assert f"The status of brief #{brief.pk} follows from that" in answer.json()["error"]


def test_the_menu_of_moves_offers_what_is_legal_and_leads_back(browser, project):
    brief = make_brief("Move me", project)
    page = body(browser.get(f"/briefs/{brief.pk}/moves/?next=/briefs/?q=move"))
    legal = ["refining", "planned", "deferred", "cancelled", "abandoned"]
    assert re.findall(r'name="status" value="(\w+)"', page) == legal
    assert "<html" not in body(browser.get(f"/briefs/{brief.pk}/moves/", headers=HTMX))
    done = browser.post(f"/briefs/{brief.pk}/move/", {"status": "planned", "next": "/briefs/?q=move"})
    assert done.headers["Location"] == "/briefs/?q=move"
    for elsewhere in ("https://evil.example/briefs/", "//evil.example/briefs/", "/admin/", "/briefs/../admin/"):
        away = browser.post(f"/briefs/{brief.pk}/move/", {"status": "planned", "next": elsewhere})
        assert away.headers["Location"] == "/briefs/"


def test_auto_dispatch_is_switched_from_a_planned_row(browser, project):
    brief = moved("Plan", "planned", project)
    assert f'formaction="/briefs/{brief.pk}/auto/" name="on" value="1" role="switch" aria-checked="false"' in body(
        browser.get("/briefs/")
    )
    browser.post(f"/briefs/{brief.pk}/auto/", {"on": "1"}, headers=JSON)
    brief.refresh_from_db()
    assert brief.auto_dispatch
    assert 'aria-checked="true"' in body(browser.get("/briefs/"))


def test_a_reading_token_is_shown_no_controls_and_may_use_none(client, project):
    brief = moved("Read me", "planned", project)
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY, project=project)
    bearer = {"Authorization": f"Bearer {secret}"}
    for query in ("", "?view=columns"):
        page = body(client.get(f"/briefs/{query}", headers=bearer))
        assert "Read me" in page
        assert not re.search(r'class="pick"|class="dots"|formaction|id="bulk"|id="capture"|draggable="true"', page)
    for path, data in (
        (f"{brief.pk}/move/", {"status": "deferred"}),
        (f"{brief.pk}/auto/", {"on": "1"}),
        ("bulk/", {"brief": brief.pk, "do": "cancel"}),
        ("views/", {"name": "x"}),
    ):
        assert client.post(f"/briefs/{path}", data, headers=bearer).status_code == 403
    brief.refresh_from_db()
    assert (brief.status, brief.auto_dispatch) == ("planned", False)


def test_somebody_without_login_changes_nothing(client, project):
    brief = make_brief("Mine", project)
    for path in (f"{brief.pk}/move/", f"{brief.pk}/auto/", "bulk/", "views/"):
        assert client.post(f"/briefs/{path}", {"status": "planned"}).status_code == 302
    assert client.post(f"/briefs/{brief.pk}/move/", {"status": "planned"}, headers=JSON).status_code == 401
    assert client.get("/palette/?q=Mine").status_code == 302
    assert client.get("/briefs/duplicates/?q=Mine").status_code == 302
    brief.refresh_from_db()
    assert brief.status == "idea"


# --- many at once -----------------------------------------------------------------------------------------------------


def test_many_are_changed_and_each_refusal_is_told_by_its_number(browser, project):
    good, done = make_brief("Good", project), moved("Done", "complete", project)
    data = {"brief": [good.pk, done.pk, 999], "do": "move:planned"}
    answer = browser.post("/briefs/bulk/", data, headers=JSON).json()
    assert answer["done"] == [good.pk]
    assert [(one["brief"], one["sentence"].split(";")[0]) for one in answer["refused"]] == [
        (done.pk, f"Brief #{done.pk} is complete and cannot become planned"),
        (999, "There is no brief #999 for you."),
    ]
    assert answer["said"] == "1 of 3: moved to planned. 2 refused."
    page = body(browser.post("/briefs/bulk/", {"brief": [good.pk, done.pk], "do": "move:planned"}))
    assert "0 of 2: moved to planned. 2 refused." in page and f">#{done.pk}</a>" in page


def test_everything_that_can_be_done_to_many(browser, project):
    programs.register("worker", ["/bin/true"])
    one, two = make_brief("One"), make_brief("Two")
    both = [one.pk, two.pk]
    for do in (f"project:{project.slug}", "auto:on", "dispatch:worker"):
        response = browser.post("/briefs/bulk/", {"brief": both, "do": do, "next": "/briefs/?q=o"})
        assert (response.status_code, response.headers.get("Location")) == (302, "/briefs/?q=o"), do
    assert (
        list(Brief.objects.order_by("pk").values_list("project", "auto_dispatch", "status"))
        == [(project.pk, True, "dispatched")] * 2
    )
    assert {request.program.name for request in DispatchRequest.objects.all()} == {"worker"}
    three = make_brief("Three", project)
    browser.post("/briefs/bulk/", {"brief": [three.pk], "do": "cancel"})
    browser.post("/briefs/bulk/", {"brief": [three.pk], "do": "auto:off"})
    three.refresh_from_db()
    assert three.status == "cancelled"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"do": "cancel"}, "Choose some briefs first"),
        ({"brief": ["x", "-1"], "do": "cancel"}, "Choose some briefs first"),
        ({"brief": [1], "do": ""}, "Choose what to do"),
        ({"brief": [1], "do": "move:nowhere"}, "is no brief status"),
        ({"brief": [1], "do": "project:nowhere"}, "There is no project"),
        ({"brief": list(range(1, 300)), "do": "cancel"}, "At most 200"),
    ],
)
@pytest.mark.parametrize("headers", [JSON, {}])
def test_a_change_of_many_that_makes_no_sense_is_refused_whole(browser, project, data, sentence, headers):
    brief = make_brief("Stay", project)
    response = browser.post("/briefs/bulk/", data, headers=headers)
    assert response.status_code in {400, 404}
    assert sentence in (response.json()["error"] if headers else body(response))
    brief.refresh_from_db()
    assert brief.status == "idea"


# --- capture beside what is there -------------------------------------------------------------------------------------


def test_what_is_there_already_is_offered_while_one_types(browser, project):
    brief = make_brief("Worktree preparation before a first turn", project)
    typed = {"q": "prepare worktrees for the first turn", "project": project.slug}
    found = body(browser.get("/briefs/duplicates/", typed))
    assert f"#{brief.pk}" in found and f'value="merge:{brief.pk}"' in found
    assert body(browser.get("/briefs/duplicates/", {"q": "Worktre"})).strip() == "", "too short"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_thought_goes_where_its_brief_is(browser, project, headers):
    there = make_brief("Worktree preparation", project)

    def capture(how: str, text: str):
        return browser.post(
            "/briefs/capture/", {"body": text, "project": project.slug, "beside": f"{how}:{there.pk}"}, headers=headers
        )

    assert capture("continue", "One more word on it").status_code in {200, 302}
    assert TraceEntry.objects.get(brief=there, kind="note").body == "One more word on it"
    assert Brief.objects.count() == 1
    capture("child", "Its first part")
    assert Brief.objects.get(title="Its first part").parent == there
    capture("follow", "What comes next")
    follower = Brief.objects.get(title="What comes next")
    assert set(Link.objects.values_list("brief", "kind", "target")) == {
        (follower.pk, "brief", str(there.pk)),
        (there.pk, "brief", str(follower.pk)),
    }
    capture("merge", "The same in other words")
    same = Brief.objects.get(title="The same in other words")
    assert same.status == "cancelled"
    assert TraceEntry.objects.filter(brief=there, kind="merged").exists()


@pytest.mark.parametrize("beside", ["merge:999", "child:x", "what:1", "merge:"])
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_refused_way_keeps_the_text_and_captures_nothing(browser, project, beside, headers):
    make_brief("There", project)
    response = browser.post("/briefs/capture/", {"body": "Keep <this>", "beside": beside}, headers=headers)
    assert response.status_code in {400, 404}
    assert "Keep &lt;this&gt;</textarea>" in body(response)
    assert Brief.objects.count() == 1


def test_nothing_is_merged_into_what_is_done(browser, project):
    done = moved("Done", "complete", project)
    response = browser.post("/briefs/capture/", {"body": "More", "beside": f"merge:{done.pk}"})
    assert response.status_code == 409
    assert Brief.objects.count() == 1


def test_the_agent_is_chosen_with_capture_and_dispatch(browser, project):
    for name in ("first", "second"):
        programs.register(name, ["/bin/true"])
    post = {"project": project.slug}
    browser.post("/briefs/capture-and-dispatch/", {**post, "body": "With the second", "agent": "second"})
    browser.post("/briefs/capture-and-dispatch/", {**post, "body": "By hand", "agent": "-"})
    newest, older = DispatchRequest.objects.all()
    assert (newest.program, older.program.name) == (None, "second")


# --- the palette ------------------------------------------------------------------------------------------------------


def test_the_palette_finds_briefs_by_number_and_by_words_in_any_order(browser, project):
    first = make_brief("Spawn heuristic and opt-in flag", project)
    second = make_brief(f"About brief {first.pk}", project)
    assert re.findall(r'data-href="/briefs/(\d+)/"', body(browser.get(f"/palette/?q=%23{first.pk}"))) == [str(first.pk)]
    both = re.findall(r'data-href="/briefs/(\d+)/"', body(browser.get(f"/palette/?q={first.pk}")))
    assert both == [str(first.pk), str(second.pk)], "the number itself first"
    assert f"/briefs/{first.pk}/" in body(browser.get("/palette/?q=FLAG spawn"))
    saved_views.save(operator(), "My spawns", "q=spawn")
    assert 'data-href="/briefs/?q=spawn"' in body(browser.get("/palette/?q=spawns"))
    assert body(browser.get("/palette/?q=nothing%00like")).strip() == ""


def test_the_palette_tells_nobody_of_briefs_that_are_not_theirs(client, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    hidden = make_brief("Hidden", other)
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY, project=project)
    for address in (f"/palette/?q={hidden.pk}", "/palette/?q=hidden", "/briefs/duplicates/?q=Hidden away"):
        assert "Hidden" not in body(client.get(address, headers={"Authorization": f"Bearer {secret}"}))


# --- speed ------------------------------------------------------------------------------------------------------------


def test_the_number_of_queries_is_the_same_for_20_and_200_briefs(browser, project):
    views = ("", "?view=columns", "?needs=me", "?status=planned", "?dispatchable=1&actor=me")

    def fill(count: int) -> None:
        for number in range(count):
            statuses = ("idea", "planned", "refining", "in_progress", "complete")
            brief = moved(f"Brief {number}", statuses[number % 5], project, parent=Brief.objects.first())
            if number % 5 == 1:
                relations.add_dependency(brief, make_brief("Before", project), actor=operator())
                questions.ask(brief, "Which?", actor=agent())
            if number % 5 == 0:
                dispatch(brief, actor=operator())

    def count() -> dict[str, int]:
        counted = {}
        for view in views:
            with CaptureQueriesContext(connection) as queries:
                assert browser.get(f"/briefs/{view}").status_code == 200
            counted[view] = len(queries)
        return counted

    fill(20)
    count()  # what is asked once a process, whichever view comes first
    few = count()
    fill(180)
    assert count() == few
    assert max(few.values()) <= 30


def test_a_kept_row_says_what_is_true_now(browser, project):
    """Rendered rows are kept per process: whatever a row shows must be in what it is kept by."""
    epic = make_brief("The epic", project)
    brief = moved("Before", "planned", project, parent=epic)

    def row() -> str:
        page = body(browser.get("/briefs/"))
        begin = page.index(f'id="brief-{brief.pk}"')
        return page[begin : page.index("</article>", begin)]

    seen = [row()]
    questions_ = questions.ask(brief, "Which?", actor=agent())
    seen.append(row())
    questions.answer(questions_, "This", actor=operator())
    relations.add_dependency(brief, epic, actor=operator())
    seen.append(row())
    briefs.rename(epic, "Other words", actor=operator())
    seen.append(row())
    briefs.set_flag(brief, "auto_dispatch", True, actor=operator())
    seen.append(row())
    assert len(set(seen)) == len(seen)
    assert json.dumps(seen[3]).count("Other words") >= 1


def test_a_search_for_what_nothing_holds_shows_nothing(browser, project):
    """NUL is in no text; to leave it out of the question would find everything."""
    make_brief("Here it is", project)
    assert "Here it is" in browser.get("/briefs/?q=Here").text
    assert "Here it is" not in browser.get("/briefs/?q=%00").text
