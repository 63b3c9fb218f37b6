"""What a brief's page says is true of its status: approval, merging, waiting, what can be switched."""

from __future__ import annotations

import re

import pytest

from briefs import lifecycle, trace
from briefs.models import Brief, TraceEntry
from briefs.services import briefs, proposals, questions, relations
from briefs.templatetags.flower import with_links
from core.errors import Conflict, Forbidden
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def page_of(browser, brief: Brief) -> str:
    return browser.get(brief.get_absolute_url()).content.decode()


def panel_of(page: str, name: str) -> str:
    return page[page.index(f'id="{name}"') :].split("</section>")[0]


def test_a_question_is_numbered_and_what_waits_for_it_leads_there(browser, project):
    brief = make_brief("Asked", project)
    asked = questions.ask(brief, "Which one?", actor=agent(), blocking=True)
    page = page_of(browser, brief)
    assert f'<a class="n" href="#question-{asked.pk}">Q{asked.pk}</a>' in page and f'id="question-{asked.pk}"' in page
    link = f'an answer to <a href="#question-{asked.pk}">question {asked.pk}</a>'
    for name in ("head", "dispatch", "relationships"):
        assert link in page[page.index(f'id="{name}"') :].split("</section>")[0], name
    assert f"Q{asked.pk} · blocking" in page[page.index('id="trace"') :]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("#5 A & B", '<a href="/briefs/5/">#5 A &amp; B</a>'),
        ("an operator's approval", "an operator&#x27;s approval"),
        (
            "Brief #7 is blocked: it waits for #5 <b>, an answer to question 2.",
            'Brief #7 is blocked: it waits for <a href="/briefs/5/">#5</a> &lt;b&gt;, '
            'an answer to <a href="#question-2">question 2</a>.',
        ),
        ("Dispatch 3 of brief #7 is running already", "Dispatch 3 of brief #7 is running already"),
        ("question 2 of the title", "question 2 of the title"),
    ],
)
def test_what_is_waited_for_is_a_link(said, shown):
    assert with_links(said) == shown


@pytest.mark.parametrize(
    ("status", "relations_say", "dispatch_says"),
    [
        ("idea", "No dependencies — dispatchable once planned.", "No dispatch requests yet — dispatch above"),
        ("planned", "No dependencies — dispatchable once planned.", "No dispatch requests yet — dispatch above"),
        ("in_progress", "No dependencies — dispatchable once planned.", "No dispatch requests yet — dispatch above"),
        ("deferred", "No dependencies — dispatchable once planned.", "No dispatch requests yet."),
        ("complete", "No dependencies.", "It was never dispatched."),
        ("cancelled", "No dependencies.", "It was never dispatched."),
    ],
)
def test_panels_are_worded_by_status(browser, project, status, relations_say, dispatch_says):
    brief = make_brief("Worded", project)
    Brief.objects.filter(pk=brief.pk).update(status=status)
    page = page_of(browser, brief)
    assert relations_say in panel_of(page, "relationships")
    assert dispatch_says in panel_of(page, "dispatch")
    assert ("dispatchable once planned" in page) == (relations_say != "No dependencies.")
    switches = re.findall(r'<button class="sw"[^>]*>', page)
    assert [" disabled" in switch for switch in switches] == [status in {"complete", "cancelled"}] * 2


def test_a_brief_that_has_ended_is_not_switched_on(project):
    brief = make_brief("Done", project)
    briefs.set_flag(brief, "auto_dispatch", True, actor=operator())
    lifecycle.move(brief, "cancelled", actor=operator())
    with pytest.raises(Conflict, match=r"is cancelled; reopen it first\. Design-loop stays off\."):
        briefs.set_flag(brief, "design_loop", True, actor=operator())
    assert briefs.set_flag(brief, "auto_dispatch", False, actor=operator()).auto_dispatch is False


# --- approval ---------------------------------------------------------------------------------------------------------


def test_an_agents_own_idea_says_that_it_needs_approval(browser, project):
    brief = make_brief("Own idea", project, needs_approval=True)
    page = page_of(browser, brief)
    head = page[page.index('id="head"') : page.index("</header>", page.index('id="head"'))]
    assert "needs approval" in head and ">blocked<" not in head and "Approve</button>" in head
    relations.add_dependency(brief, make_brief("First", project), actor=operator())
    assert ">blocked<" in page_of(browser, brief), "it waits for something else, too"


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_it_is_refused_with_a_reason(browser, project, headers):
    brief = make_brief("Own idea", project, needs_approval=True)
    address = f"/briefs/{brief.pk}/approval/refusal/"
    assert browser.post(address, {"why": " Not now. "}, headers=headers).status_code == (200 if headers else 302)
    brief.refresh_from_db()
    last = TraceEntry.objects.filter(brief=brief, kind=trace.Kind.STATUS_CHANGE).latest("seq")
    assert (brief.status, last.body) == ("cancelled", "Not now.")
    assert "Approve</button>" not in page_of(browser, brief)


def test_only_an_operator_refuses_it_and_only_while_it_waits(browser, project):
    brief = make_brief("Own idea", project, needs_approval=True)
    with pytest.raises(Forbidden):
        proposals.disapprove(brief, actor=agent())
    proposals.approve(brief, actor=operator())
    refused = browser.post(f"/briefs/{brief.pk}/approval/refusal/", {"why": "No."})
    assert refused.status_code == 409 and "was approved meanwhile" in refused.content.decode()
    brief.refresh_from_db()
    assert brief.status == "idea"


# --- merged -----------------------------------------------------------------------------------------------------------


def test_a_merged_brief_says_where_it_went(browser, project):
    away, into = make_brief("Twice", project), make_brief("Once & for all", project)
    relations.merge(away, into, actor=operator())
    assert f">merged into #{into.pk} Once &amp; for all</a>" in page_of(browser, away)
    assert "merged into" not in page_of(browser, into).split('id="spec"')[0]
    lifecycle.move(away, "refining", actor=operator())
    lifecycle.move(away, "cancelled", actor=operator())
    assert "merged into #" not in page_of(browser, away).split('id="spec"')[0], "cancelled for another reason by now"
