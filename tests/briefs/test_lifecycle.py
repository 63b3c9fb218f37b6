"""A brief's states: what may follow what, who may, and what is derived."""

from __future__ import annotations

import pytest

from briefs import lifecycle
from briefs.services import questions, relations
from core.errors import Conflict, Invalid
from tests.factories import agent, complete_brief, make_brief, operator

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "way",
    [
        ["refining", "planned", "deferred", "idea", "cancelled", "refining"],
        ["planned", "abandoned", "refining", "idea"],
        ["deferred", "planned", "refining"],
    ],
)
def test_legal_ways(way):
    brief = make_brief()
    for status in way:
        before = brief.status
        lifecycle.move(brief, status, actor=operator(), why="because")
        entry = brief.trace.last()
        assert (entry.kind, entry.body, entry.data) == ("status_change", "because", {"from": before, "to": status})


@pytest.mark.parametrize(
    ("start", "to", "words"),
    [
        ([], "complete", "is idea and cannot become complete"),
        ([], "dispatched", "not set by hand"),
        (["planned"], "in_progress", "is planned and cannot become in progress"),
        (["deferred"], "dispatched", "cannot become"),
        ([], "flying", "'flying' is no brief status"),
    ],
)
def test_illegal_moves_are_refused_and_change_nothing(start, to, words):
    brief = make_brief()
    for status in start:
        lifecycle.move(brief, status, actor=operator())
    before = (brief.status, brief.trace.count())
    with pytest.raises((Conflict, Invalid), match=words):
        lifecycle.move(brief, to, actor=operator())
    brief.refresh_from_db()
    assert (brief.status, brief.trace.count()) == before


def test_only_an_operator_reopens():
    brief = make_brief()
    lifecycle.move(brief, "cancelled", actor=operator())
    with pytest.raises(Conflict, match="only an operator"):
        lifecycle.move(brief, "refining", actor=agent())
    lifecycle.move(brief, "refining", actor=operator())


def test_moving_to_the_same_status_is_nothing():
    brief = make_brief()
    count = brief.trace.count()
    lifecycle.move(brief, "idea", actor=operator())
    assert brief.trace.count() == count


def test_blocked_is_derived():
    from briefs.models import Brief

    brief, other = make_brief("One"), make_brief("Other")
    relations.add_dependency(brief, other, actor=operator())
    question = questions.ask(brief, "Which?", actor=agent(), blocking=True)
    assert brief.waits_for() == [f"#{other.pk} Other", f"an answer to question {question.pk}"]
    assert Brief.objects.with_blocked().get(pk=brief.pk).is_blocked
    questions.answer(question, "This one", actor=operator())
    complete_brief(other)
    assert brief.trace.last().kind == "unblocked"
    assert not Brief.objects.with_blocked().get(pk=brief.pk).is_blocked
    with pytest.raises(Conflict, match="answered already"):
        questions.answer(question, "That one", actor=operator())
