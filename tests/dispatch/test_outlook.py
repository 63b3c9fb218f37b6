"""What happens next with a brief: one answer with a code, and who does it."""

from __future__ import annotations

import dataclasses

import pytest

from briefs import lifecycle
from briefs.models import Brief
from briefs.services import briefs, questions, relations
from briefs.views.board_filters import needs_a_person
from core.errors import Conflict
from daemons.services import programs
from dispatch import board, claims, outlook, services  # noqa: F401  board declares what needs you
from dispatch import lifecycle as requests
from dispatch import merge as merging
from dispatch.line import Line
from dispatch.next_step import Code, Who
from tests.factories import agent, identity, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)


def code(brief) -> tuple[Code, Who]:
    brief.refresh_from_db()
    step = outlook.next_step(brief)
    assert step.sentence and step.payload()["code"] == step.code
    listed = Brief.objects.filter(needs_a_person(), pk=brief.pk).exists()
    assert listed == step.needs_you, step
    return step.code, step.who


def test_each_stage_of_a_brief_names_who_is_next(project, drive):
    brief = make_brief("Work", project)
    assert code(brief) == (Code.PLAN, Who.OPERATOR)
    lifecycle.move(brief, "planned", actor=operator())
    assert code(brief) == (Code.DISPATCH, Who.ORCHESTRATOR)
    request = services.dispatch(brief, actor=operator())
    assert code(brief) == (Code.CLAIM, Who.AGENT)
    me = identity(agent("worker"))
    claims.claim(request, actor=me.actor)
    assert code(brief) == (Code.PREPARE, Who.FLOWER)
    drive(request, "running")
    assert code(brief) == (Code.WORK, Who.AGENT)
    asked = questions.ask(brief, "Which?", actor=me.actor)
    assert code(brief) == (Code.ANSWER, Who.OPERATOR)
    assert [step.code for step in outlook.steps(brief)] == [Code.ANSWER, Code.WORK]
    questions.answer(asked, "That.", actor=operator())
    services.fail(request, "it broke", actor=me.actor)
    assert code(brief) == (Code.RETRY, Who.ORCHESTRATOR)


def test_finished_work_is_worded_as_what_is_next(finished):
    brief = finished.brief
    assert code(brief) == (Code.REVIEW, Who.ORCHESTRATOR)
    found = outlook.obstacle(brief)
    assert found.code == outlook.ObstacleCode.ACTIVE
    assert found.sentence == f"Work is finished and waits for you: review or merge dispatch {finished.pk}."
    with pytest.raises(Conflict) as refused:
        lifecycle.move(brief, "planned", actor=operator())
    assert refused.value.sentence.startswith(found.sentence)


def test_a_question_that_is_answered_after_the_merge_completes_the_brief(finished, drive):
    brief = finished.brief
    asked = questions.ask(brief, "Also the other file?", actor=agent("worker"))
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    brief.refresh_from_db()
    assert brief.status == "in_review" and code(brief) == (Code.ANSWER, Who.OPERATOR)
    questions.answer(asked, "No.", actor=operator())
    brief.refresh_from_db()
    assert brief.status == "complete"


def test_one_that_was_left_in_review_by_an_older_flower_is_completed_by_the_sweep(finished, drive, monkeypatch):
    brief = finished.brief
    asked = questions.ask(brief, "Also the other file?", actor=agent("worker"))
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    type(asked).objects.filter(pk=asked.pk).update(answer="No.", answered_at=asked.asked_at)
    assert code(brief) == (Code.ROLL_UP, Who.FLOWER)
    assert requests.sweep() == [brief.pk]
    brief.refresh_from_db()
    assert brief.status == "complete" and requests.sweep() == []


def test_who_waits_at_the_cap_is_told_why_and_the_place_in_line(project, drive, settings, browser):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, max_concurrent=1)
    programs.register("sleeper", ["/bin/sleep", "60"])
    first, second, third = (
        services.dispatch(make_brief(title, project), actor=operator(), agent="sleeper") for title in ("A", "B", "C")
    )
    assert code(first.brief) == (Code.START, Who.FLOWER)
    drive(first, "running")
    steps = [outlook.of_request(request) for request in (second, third)]
    assert [(step.code, step.running, step.cap, step.place) for step in steps] == [
        (Code.WAIT_FOR_PLACE, 1, 1, 1),
        (Code.WAIT_FOR_PLACE, 1, 1, 2),
    ]
    said = "1 of 1 agents run; 2nd in line"
    for address in (f"/dispatches/{third.pk}/", third.brief.get_absolute_url(), "/dispatches/", "/briefs/"):
        assert said in browser.get(address).content.decode(), address
    services.cancel(first, "no", actor=operator())
    assert not Line.now().may_start(third.pk) and Line.now().may_start(second.pk)


def test_a_cancelled_prerequisite_asks_before_its_dependant_starts(project, browser):
    first, second = make_brief("First", project), make_brief("Second", project)
    relations.add_dependency(second, first, actor=operator())
    lifecycle.move(second, "planned", actor=operator())
    assert code(second) == (Code.WAIT_FOR_BRIEF, Who.BRIEF)
    with pytest.raises(Conflict):
        relations.accept_missing(second, first, actor=operator())
    lifecycle.move(first, "cancelled", actor=operator())
    assert code(second) == (Code.START_WITHOUT, Who.OPERATOR)
    assert second.trace.order_by("-seq").first().data["blocker"] == "missing_work"
    assert outlook.obstacle(second).code == outlook.ObstacleCode.BLOCKED
    assert Brief.objects.filter(pk=second.pk).unblocked().count() == 0
    page = browser.get(second.get_absolute_url()).content.decode()
    assert "Start without it" in page
    answer = browser.post(f"/briefs/{second.pk}/dependencies/", {"other": first.pk, "accept": "1"})
    assert answer.status_code == 302
    assert code(second) == (Code.DISPATCH, Who.ORCHESTRATOR)
    edge = second.dependencies.get()
    assert edge.accepted_by == operator()
    assert services.dispatch(second, actor=operator()).state == "queued"


def test_a_complete_prerequisite_asks_nothing(project, finished, drive):
    second = make_brief("Second", project)
    relations.add_dependency(second, finished.brief, actor=operator())
    lifecycle.move(second, "planned", actor=operator())
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    assert code(second) == (Code.DISPATCH, Who.ORCHESTRATOR)
    briefs.note(second, "fine", actor=operator())


# --- dead ends that tests/dispatch/test_ways_out.py found ------------------------------------------------------------


def failed(project) -> Brief:
    """A planned brief whose last run gave up."""
    brief = make_brief("Work", project)
    lifecycle.move(brief, "planned", actor=operator())
    request = services.dispatch(brief, actor=operator())
    services.fail(request, "it broke", actor=operator())
    assert code(brief) == (Code.RETRY, Who.ORCHESTRATOR)
    return brief


def test_no_retry_is_told_while_another_brief_comes_first(project):
    brief, other = failed(project), make_brief("Other", project)
    relations.add_dependency(brief, other, actor=operator())
    assert code(brief) == (Code.WAIT_FOR_BRIEF, Who.BRIEF)
    relations.remove_dependency(brief, other, actor=operator())
    assert code(brief) == (Code.RETRY, Who.ORCHESTRATOR)


def test_no_retry_is_told_before_a_blocking_question_is_answered(project):
    brief = failed(project)
    questions.ask(brief, "Which?", actor=agent("worker"), blocking=True)
    assert [step.code for step in outlook.steps(brief)] == [Code.ANSWER]
    assert code(brief) == (Code.ANSWER, Who.OPERATOR)


def test_no_retry_is_told_without_a_project(project):
    brief = failed(project)
    briefs.set_project(brief, None, actor=operator())
    assert code(brief) == (Code.CHOOSE_PROJECT, Who.OPERATOR)


def test_work_without_changes_needs_nobody(project, drive):
    """flower closes it within seconds; the board listed it as waiting for a person meanwhile."""
    request = services.dispatch(make_brief("Work", project), actor=operator())
    me = identity(agent("worker"))
    claims.claim(request, actor=me.actor)
    drive(request, "running")
    services.complete(request, identity=me, no_changes=True)
    assert code(request.brief) == (Code.CLOSE, Who.FLOWER)


def test_a_run_that_failed_beside_one_that_goes_on_needs_nobody(project):
    brief = make_brief("Work", project)
    first = services.dispatch(brief, actor=operator())
    second = services.dispatch(brief, actor=operator(), beside=True)
    services.fail(second, "it broke", actor=operator())
    assert code(brief) == (Code.CLAIM, Who.AGENT)
    services.cancel(first, "no", actor=operator())
    assert code(brief) == (Code.RETRY, Who.ORCHESTRATOR)
