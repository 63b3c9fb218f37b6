"""Questions on the brief page: asked, answered where they stand, counted in the bar."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from briefs import lifecycle
from briefs.models import Participant, Question, Token
from briefs.services import actors, questions
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def body(response) -> str:
    return response.content.decode()


def test_an_open_question_stands_above_dispatch_and_offers_its_answers(browser, project):
    brief = make_brief("Asked", project)
    questions.ask(brief, "Which **one**?", actor=agent(), options=["left", "right"], blocking=True)
    page = body(browser.get(brief.get_absolute_url()))
    assert page.index("async · awaiting you") < page.index("hand-off · dispatch")
    assert "Open questions" in page and "<strong>one</strong>" in page and "blocking" in page
    assert re.search(r'<button[^>]*name="option" value="right"', page)


def test_without_one_there_is_no_panel_and_still_a_way_to_ask(browser, project):
    page = body(browser.get(make_brief("Quiet", project).get_absolute_url()))
    assert "async · awaiting you" not in page and "Ask a question" in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_person_asks_with_options_and_blocks(browser, project, headers):
    brief = make_brief("Ask", project)
    data = {"question": "Red or blue?", "options": "red\r\n\r\nblue", "blocking": "on"}
    response = browser.post(f"/briefs/{brief.pk}/questions/", data, headers=headers)
    assert response.status_code == (200 if headers else 302)
    asked = Question.objects.get()
    assert (asked.options, asked.blocking, asked.asked_by.ref) == (["red", "blue"], True, "operator:mike")
    assert brief.waits_for()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_empty_question_is_refused_where_it_was_written(browser, project, headers):
    brief = make_brief("Ask", project)
    data = {"question": " ", "options": "kept <1>"}
    response = browser.post(f"/briefs/{brief.pk}/questions/", data, headers=headers)
    assert response.status_code == 400
    page = body(response)
    assert "Write the question first." in page and "kept &lt;1&gt;</textarea>" in page
    assert not Question.objects.exists()


def test_the_answer_reaches_who_asked_by_the_trace_and_folds_away(browser, project):
    brief = make_brief("Asked", project)
    question = questions.ask(brief, "Which?", actor=agent(), options=["left", "right"], blocking=True)
    assert Participant.objects.filter(brief=brief, actor=agent()).exists()
    browser.post(f"/briefs/{brief.pk}/questions/{question.pk}/answer/", {"option": "right"})
    entry = brief.trace.get(kind="answer")
    assert (entry.body, entry.data["asker"], entry.data["asked"]) == ("right", "flower-agent", "Which?")
    assert brief.trace.filter(kind="unblocked").exists()
    page = body(browser.get(brief.get_absolute_url()))
    assert "1 answered question" in page and "async · awaiting you" not in page


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_second_answer_is_refused_and_keeps_what_was_typed(browser, project, headers):
    brief = make_brief("Asked", project)
    question, other = (questions.ask(brief, text, actor=agent()) for text in ("One?", "Two?"))
    refused = browser.post(f"/briefs/{brief.pk}/questions/{other.pk}/answer/", {"answer": ""}, headers=headers)
    assert refused.status_code == 400 and "Write the answer first." in body(refused)
    questions.answer(question, "first", actor=operator())
    refused = browser.post(f"/briefs/{brief.pk}/questions/{question.pk}/answer/", {"answer": "late"}, headers=headers)
    assert refused.status_code == 409
    assert Question.objects.get(pk=question.pk).answer == "first"


def test_the_bar_counts_what_the_list_shows(browser, project):
    asked, approval, quiet = make_brief("Asked", project), make_brief("Approve", project), make_brief("Quiet", project)
    questions.ask(asked, "One?", actor=agent())
    questions.ask(asked, "Two?", actor=agent())
    approval.needs_approval = True
    approval.save()
    ended = make_brief("Ended", project)
    questions.ask(ended, "Three?", actor=agent())
    lifecycle.move(ended, "cancelled", actor=operator())
    pill = body(browser.get("/needs-you/"))
    count = int(re.search(r'needs=me">(\d+)', pill)[1])
    shown = body(browser.get("/briefs/?needs=me", headers=HTMX))
    assert count == len(set(re.findall(r'href="(/briefs/\d+/)"', shown))) == 2
    assert "Quiet" not in shown and quiet.pk


def test_nobody_without_access_asks_or_answers(client, project):
    brief = make_brief("Mine", project)
    question = questions.ask(brief, "Which?", actor=agent())
    path = f"/briefs/{brief.pk}/questions/"
    assert client.post(path, {"question": "x"}).status_code == 302
    secret, _ = actors.issue_token(agent(), Token.Scope.READONLY)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert reader.post(path, {"question": "x"}).status_code == 403
    assert reader.post(f"{path}{question.pk}/answer/", {"answer": "x"}).status_code == 403
    assert Question.objects.count() == 1 and Question.objects.get().is_open
