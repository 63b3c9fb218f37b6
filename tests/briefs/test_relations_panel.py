"""Relationships on the brief page: epic, dependencies, merging, and the search for the other brief."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from briefs.models import Dependency, Project, Token
from briefs.services import actors, relations
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def body(response) -> str:
    return response.content.decode()


def test_a_dependency_is_added_by_number_or_by_what_the_search_fills_in(browser, project):
    brief, one, two = (make_brief(title, project) for title in ("Waits", "One", "Two"))
    browser.post(f"/briefs/{brief.pk}/dependencies/", {"other": str(one.pk)})
    browser.post(f"/briefs/{brief.pk}/dependencies/", {"other": f"#{two.pk} Two"}, headers=HTMX)
    page = body(browser.get(brief.get_absolute_url()))
    assert "Blocked — dispatch is gated" in page and f"#{one.pk} One" in page and f"#{two.pk} Two" in page
    assert "needed by" in body(browser.get(one.get_absolute_url()))
    browser.post(f"/briefs/{brief.pk}/dependencies/", {"other": str(one.pk), "remove": "1"})
    assert list(Dependency.objects.values_list("depends_on", flat=True)) == [two.pk]


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_circle_is_refused_with_its_path(browser, project, headers):
    one, two, three = (make_brief(title, project) for title in ("One", "Two", "Three"))
    relations.add_dependency(one, two, actor=operator())
    relations.add_dependency(two, three, actor=operator())
    refused = browser.post(f"/briefs/{three.pk}/dependencies/", {"other": f"#{one.pk}"}, headers=headers)
    assert refused.status_code == 400
    path = f"#{three.pk} -&gt; #{one.pk} -&gt; #{two.pk} -&gt; #{three.pk}"
    assert path in body(refused) and f'value="#{one.pk}"' in body(refused)
    assert Dependency.objects.count() == 2


@pytest.mark.parametrize("typed", ["", "words only", "#0", "999999", "99999999999999999999", "-1"])
def test_what_names_no_brief_is_a_sentence(browser, project, typed):
    brief = make_brief("One", project)
    for path in ("dependencies", "parent", "merge"):
        response = browser.post(f"/briefs/{brief.pk}/{path}/", {"other": typed, "sure": "1"})
        assert response.status_code in {400, 404} and 'class="refused"' in body(response)


def test_an_epic_shows_how_far_its_parts_are(browser, project):
    from briefs import lifecycle

    epic, done, open_ = (make_brief(title, project) for title in ("Epic", "Done", "Open"))
    for part in (done, open_):
        browser.post(f"/briefs/{part.pk}/parent/", {"other": f"#{epic.pk}"})
    lifecycle.roll_up(done, "dispatched", actor=operator())
    page = body(browser.get(epic.get_absolute_url()))
    assert "0 of 2 complete" in page and "1 in progress" in page and f"#{open_.pk} Open" in page
    browser.post(f"/briefs/{open_.pk}/parent/", {"remove": "1"})
    open_.refresh_from_db()
    assert open_.parent is None


def test_merging_needs_a_yes_and_leads_to_what_is_left(browser, project):
    brief, into = make_brief("Twice", project), make_brief("Once", project)
    refused = browser.post(f"/briefs/{brief.pk}/merge/", {"other": str(into.pk)})
    assert refused.status_code == 400 and "Tick that" in body(refused)
    merged = browser.post(f"/briefs/{brief.pk}/merge/", {"other": str(into.pk), "sure": "1"})
    assert merged.headers["Location"] == into.get_absolute_url()
    brief.refresh_from_db()
    assert brief.status == "cancelled"


def test_the_search_finds_by_number_and_words_and_only_what_one_may_see(browser, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    mine, theirs = make_brief("Green <b>apples</b>", project), make_brief("Green pears", other)
    found = body(browser.get("/briefs/find/?q=green"))
    assert f"#{mine.pk}" in found and f"#{theirs.pk}" in found and "<b>apples" not in found
    assert "pears" not in body(browser.get(f"/briefs/find/?q=green&but={theirs.pk}"))
    assert re.search(rf'data-value="#{mine.pk} ', body(browser.get(f"/briefs/find/?q=%23{mine.pk}")))
    assert "Nothing is called like that." in body(browser.get("/briefs/find/?q=zebra"))
    assert "Nothing is called like that." in body(browser.get("/briefs/find/?q=%00"))
    secret, _ = actors.issue_token(agent(), Token.Scope.READONLY, project=project)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert "pears" not in body(reader.get("/briefs/find/?q=green"))
    assert reader.post(f"/briefs/{mine.pk}/dependencies/", {"other": str(theirs.pk)}).status_code == 403


def test_one_cannot_relate_to_what_one_cannot_see(project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    mine, theirs = make_brief("Mine", project), make_brief("Theirs", other)
    secret, _ = actors.issue_token(operator(), Token.Scope.OPERATOR, project=project)
    limited = Client(headers={"Authorization": f"Bearer {secret}"})
    response = limited.post(f"/briefs/{mine.pk}/dependencies/", {"other": str(theirs.pk)})
    assert response.status_code == 404 and not Dependency.objects.exists()


def test_somebody_without_login_relates_nothing(client, project):
    brief = make_brief("Mine", project)
    for path in ("dependencies", "parent", "merge"):
        assert client.post(f"/briefs/{brief.pk}/{path}/", {"other": "1"}).status_code == 302
    assert client.get("/briefs/find/?q=mine").status_code == 302
