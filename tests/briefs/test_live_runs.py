"""What a page asks for when entries came one by one that are one line after a reload."""

from __future__ import annotations

import html
import re

import pytest

from briefs.services import briefs, links
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def linked(project):
    brief = make_brief("Runs", project)
    for number in range(4):
        links.add(brief, "url", f"https://example.org/{number}", actor=agent())
    briefs.note(brief, "between", actor=operator())
    brief.refresh_from_db()
    return brief


def lines(browser, brief, query: str) -> str:
    answer = browser.get(f"/briefs/{brief.pk}/trace/?{query}", headers=HTMX)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def test_a_range_of_entries_is_folded_as_the_page_folds_it(browser, linked):
    last = linked.trace_seq
    page = lines(browser, linked, f"from={last - 4}&to={last - 1}")
    assert "<b>4 links added</b>" in page
    assert re.findall(r'data-seq="(\d+)"', page) == [str(last - n) for n in range(1, 5)]
    assert page.count('class="entry run agent"') == 1 and "load earlier" not in page
    whole = html.unescape(browser.get(linked.get_absolute_url()).content.decode())
    (run,) = re.findall(r"<b>4 links added</b>.*?</summary>", whole, re.S)
    assert run in page, "the same line as on the whole page"


def test_only_what_a_page_may_fold_says_of_which_run_it_is(browser, linked):
    page = html.unescape(browser.get(linked.get_absolute_url()).content.decode())
    assert 'data-run="link_added flower-agent"' in page
    note = re.search(rf'<li [^>]*id="trace-{linked.trace_seq}"[^>]*>', page)[0]
    assert "data-run" not in note, "it has a body"


def test_the_range_keeps_the_filter_and_stays_within_the_brief(browser, linked):
    last = linked.trace_seq
    assert "between" not in lines(browser, linked, f"from=1&to={last}&kind=link_added")
    assert "data-seq" not in lines(browser, linked, "from=99999&to=999999")
    assert "data-seq" not in lines(browser, linked, f"from={last}&to=1")
    assert browser.get(f"/briefs/{linked.pk}/trace/?from=x&to=-1", headers=HTMX).status_code == 200
