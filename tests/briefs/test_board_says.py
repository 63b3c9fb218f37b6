"""What the board says of what it leaves out: empty projects, parts that do not match, specs that say the word."""

from __future__ import annotations

import pytest

from briefs import lifecycle
from briefs.models import Brief
from briefs.services import relations
from briefs.services.recall import visible
from briefs.services.searching import in_specs
from core.errors import Conflict
from tests.factories import identity, make_brief, operator

pytestmark = pytest.mark.django_db


def page_of(browser, query: str) -> str:
    return browser.get(f"/briefs/?{query}").content.decode()


def test_a_project_without_briefs_says_how_to_begin(browser, project):
    page = page_of(browser, f"project={project.slug}")
    assert f"No brief in {project.slug} yet." in page and "Capture the first above." in page
    assert "Nothing matches." in page_of(browser, f"project={project.slug}&kind=bug")
    lifecycle.move(make_brief("Done", project), "cancelled", actor=operator())
    assert f"Nothing is open in {project.slug}." in page_of(browser, f"project={project.slug}")


def test_parts_that_do_not_match_are_a_number_with_a_link(browser, project):
    epic = make_brief("The epic", project)
    for title in ("One part", "Another part", "Wanted part"):
        relations.set_parent(make_brief(title, project), epic, actor=operator())
    found = page_of(browser, f"q=%23{epic.pk}")
    assert f'<a class="more" href="/briefs/?epic={epic.pk}" data-go>3 parts</a>' in found and "One part" not in found
    both = page_of(browser, "q=part")
    assert "Wanted part" in both and "Another part" in both
    some = page_of(browser, "q=The+epic")
    assert "3 parts</a>" in some
    lifecycle.move(Brief.objects.get(title="One part"), "planned", actor=operator())
    ideas = page_of(browser, "status=idea")
    assert "Another part" in ideas and "One part" not in ideas and "1 more part</a>" in ideas
    assert "One part" in page_of(browser, ""), "without a filter an epic names its parts of other statuses"


def test_a_word_is_found_in_specs_too(browser, project):
    said, other = make_brief("First", project, spec="It mentions Zebras."), make_brief("Second", project)
    page = page_of(browser, "q=zebra")
    assert f'id="brief-{said.pk}"' in page and f'id="brief-{other.pk}"' not in page
    assert f'id="brief-{said.pk}"' not in page_of(browser, "q=ze"), "two letters stand in nearly every spec"
    palette = browser.get("/palette/?q=zebra").content.decode()
    assert f'data-href="/briefs/{said.pk}/"' in palette and f'data-href="/briefs/{other.pk}/"' not in palette


def test_what_specs_say_is_bounded_and_looked_for_once(project, django_assert_num_queries):
    for number in range(4):
        make_brief(f"Brief {number}", project, spec="the same words")
    me = identity(operator(), "operator")
    with django_assert_num_queries(1):
        few = in_specs("same words", visible(me), 3)
    assert Brief.objects.filter(few).count() == 3


def test_a_refused_move_names_in_words_what_can_be_chosen(project):
    brief = make_brief("Working", project)
    with pytest.raises(Conflict) as refused:
        lifecycle.move(brief, "complete", actor=operator())
    end = "from here it may become abandoned, cancelled, deferred, planned or refining."
    assert refused.value.sentence.endswith(end)
    Brief.objects.filter(pk=brief.pk).update(status="in_progress")
    with pytest.raises(Conflict, match="deferred, in review, planned or refining"):
        lifecycle.move(brief, "idea", actor=operator())
