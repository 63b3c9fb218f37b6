"""Scratchpads on pages: found, read, written on top of what one read, added to, compared."""

from __future__ import annotations

import pytest
from django.test import Client

from briefs.models import Project, Token
from briefs.services import actors, links
from daemons.models import Scratchpad
from daemons.services import scratchpads
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db


def body(response) -> str:
    return response.content.decode()


@pytest.fixture
def pad(db):
    return scratchpads.create("Findings <b>", "# One\n\n**first** <script>alert(1)</script>", actor=agent())


def test_the_list_is_searched_by_words_and_number(browser, pad):
    scratchpads.create("Other", "about pears", actor=agent())
    found = body(browser.get("/scratchpads/?q=PEARS"))
    assert "Other" in found and "Findings" not in found
    assert "Findings" in body(browser.get(f"/scratchpads/?q=%23{pad.pk}"))
    assert "Nothing matches." in body(browser.get("/scratchpads/?q=zebra%00"))


def test_an_empty_list_says_what_they_are(browser):
    assert "No scratchpads yet." in body(browser.get("/scratchpads/"))


def test_the_page_shows_it_rendered_and_which_briefs_link_to_it(browser, pad, project):
    links.add(make_brief("Linked here", project), "scratchpad", f"#{pad.pk}", actor=agent())
    page = body(browser.get(pad.get_absolute_url()))
    assert "<strong>first</strong>" in page and "<script>alert" not in page and "Linked here" in page


def test_it_is_made_written_and_added_to(browser):
    made = browser.post("/scratchpads/new/", {"name": "Mine", "content": "one"})
    pad = Scratchpad.objects.get()
    assert made.headers["Location"] == pad.get_absolute_url()
    browser.post(f"/scratchpads/{pad.pk}/write/", {"name": "Mine", "content": "two", "revision": "1"})
    browser.post(f"/scratchpads/{pad.pk}/append/", {"content": "three"})
    pad.refresh_from_db()
    assert (pad.content, pad.revision, pad.updated_by.ref) == ("two\n\nthree\n", 3, "operator:mike")
    assert "one" in body(browser.get(f"/scratchpads/{pad.pk}/?revision=1"))


def test_a_stale_text_is_refused_and_kept_to_be_saved_on_top(browser, pad):
    scratchpads.write(pad, "theirs", revision=1, actor=agent())
    refused = browser.post(f"/scratchpads/{pad.pk}/write/", {"name": "x", "content": "mine <&>", "revision": "1"})
    assert refused.status_code == 409
    page = body(refused)
    assert "is at revision 2" in page and "mine &lt;&amp;&gt;</textarea>" in page and 'value="2"' in page
    assert Scratchpad.objects.get(pk=pad.pk).content == "theirs"


@pytest.mark.parametrize(
    ("path", "data"), [("write", {"name": "", "content": "x", "revision": "x"}), ("append", {"content": " "})]
)
def test_nonsense_is_a_sentence(browser, pad, path, data):
    refused = browser.post(f"/scratchpads/{pad.pk}/{path}/", data)
    assert refused.status_code in {400, 409} and 'class="refused"' in body(refused)
    pad.refresh_from_db()
    assert pad.revision == 1


def test_two_revisions_are_compared(browser, pad):
    scratchpads.write(pad, "# One\n\nsecond", revision=1, actor=agent())
    page = body(browser.get(f"/scratchpads/{pad.pk}/?from=1&to=2"))
    assert 'class="deleted"' in page and 'class="added"' in page and "<script>alert" not in page
    assert browser.get(f"/scratchpads/{pad.pk}/?from=1&to=9").status_code == 404
    assert browser.get(f"/scratchpads/{pad.pk}/?revision=9").status_code == 404


def test_another_projects_scratchpad_is_not_there(client, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    theirs = scratchpads.create("Theirs", "x", actor=agent(), project=other)
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY, project=project)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert reader.get(f"/scratchpads/{theirs.pk}/").status_code == 404
    assert "Theirs" not in body(reader.get("/scratchpads/"))
    assert reader.post(f"/scratchpads/{theirs.pk}/append/", {"content": "x"}).status_code == 403
    assert client.get("/scratchpads/").status_code == 302
