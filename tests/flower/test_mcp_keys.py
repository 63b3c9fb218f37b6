"""Writes with a key: whoever repeats a call is answered as before, and nothing is written twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from briefs.models import Brief, KeyedCall, Question, Token, TraceEntry
from briefs.services import keyed_calls
from core.errors import Conflict, Invalid, NotFound
from daemons.models import Scratchpad
from dispatch import claims, services
from flower.mcp import registry
from tests.briefs.test_relation_races import at_once
from tests.factories import agent, identity, make_brief, operator

KEYED = {
    "brief_append",
    "brief_ask",
    "brief_create",
    "brief_dispatch_progress",
    "scratchpad_append",
    "scratchpad_write",
}


@pytest.fixture
def caller(db: None) -> Any:
    return identity(agent(), Token.Scope.AGENT)


def perform(caller: Any, tool: str, **arguments: Any) -> dict[str, Any]:
    return registry.catalogue()[tool].perform(caller, arguments)[0]


def test_what_writes_something_new_takes_a_key():
    keyed = {name for name, served in registry.catalogue().items() if served.tool.keyed}
    assert keyed >= KEYED
    for name in keyed:
        assert registry.catalogue()[name].entry["inputSchema"]["properties"]["key"]["type"] == "string"
    assert "key" not in registry.catalogue()["recall_brief"].arguments


def test_a_repeated_call_is_answered_as_the_first(caller):
    made = perform(caller, "brief_create", body="Once", key="k")
    assert perform(caller, "brief_create", body="Once", key="k") == made
    assert Brief.objects.count() == 1
    noted = perform(caller, "brief_append", brief=made["brief"], body="A note", key="k")
    assert perform(caller, "brief_append", brief=f"#{made['brief']}", body="A note", key="k") == noted
    assert TraceEntry.objects.filter(kind="note").count() == 1
    assert perform(caller, "brief_append", brief=made["brief"], body="A note")["seq"] == noted["seq"] + 1
    asked = perform(caller, "brief_ask", brief=made["brief"], question="Which?", key="k")
    assert perform(caller, "brief_ask", brief=made["brief"], question="Which?", key="k") == asked
    assert Question.objects.count() == 1
    pad = perform(caller, "scratchpad_write", name="n", content="c", key="k")
    assert perform(caller, "scratchpad_write", name="n", content="c", key="k") == pad
    more = perform(caller, "scratchpad_append", scratchpad=pad["scratchpad"], content="d", key="k")
    assert perform(caller, "scratchpad_append", scratchpad=pad["scratchpad"], content="d", key="k") == more
    assert Scratchpad.objects.get().content == "c\n\nd\n"


def test_progress_is_reported_once(caller, project):
    request = services.dispatch(make_brief("Work", project), actor=operator())
    claims.claim(request, actor=caller.actor)
    said = perform(caller, "brief_dispatch_progress", note="Half of it.", key="half")
    assert perform(caller, "brief_dispatch_progress", note="Half of it.", key="half") == said
    assert TraceEntry.objects.filter(kind="progress").count() == 1


def test_a_key_is_one_actors_one_tools_and_exact(caller):
    other = identity(agent("another"), Token.Scope.AGENT)
    made = perform(caller, "brief_create", body="Mine", key="k")["brief"]
    assert perform(other, "brief_create", body="Mine", key="k")["brief"] != made
    assert perform(caller, "brief_create", body="Mine", key="K")["brief"] != made
    assert perform(caller, "brief_create", body="Mine", key="k ")["brief"] != made
    assert perform(caller, "brief_append", brief=made, body="Mine", key="k")["brief"] == made


def test_the_same_key_with_other_arguments_is_refused(caller):
    perform(caller, "brief_create", body="Once", key="k")
    with pytest.raises(Conflict) as refused:
        perform(caller, "brief_create", body="Once more", key="k")
    assert refused.value.sentence.startswith("The key 'k' was used for another call of brief_create")
    assert Brief.objects.count() == 1
    with pytest.raises(Invalid, match="at most 200"):
        perform(caller, "brief_create", body="Once", key="k" * 201)


def test_a_refused_call_leaves_its_key_free(caller):
    with pytest.raises(NotFound):
        perform(caller, "brief_append", brief=1, body="too early", key="k")
    assert KeyedCall.objects.count() == 0
    brief = make_brief("Late")
    assert perform(caller, "brief_append", brief=brief.pk, body="in time", key="k")["brief"] == brief.pk


def test_keys_are_forgotten_after_a_week(caller):
    old = perform(caller, "brief_create", body="Once", key="k")["brief"]
    KeyedCall.objects.update(at=timezone.now() - keyed_calls.KEPT - timedelta(seconds=1))
    perform(caller, "brief_create", body="Something else", key="new")
    assert KeyedCall.objects.count() == 1
    assert perform(caller, "brief_create", body="Once", key="k")["brief"] != old


@pytest.mark.django_db(transaction=True)
def test_calls_that_race_are_one():
    caller = identity(agent(), Token.Scope.AGENT)
    brief = make_brief("Raced for")
    answers: list[tuple[int, int]] = []

    def repeat(round_: int) -> None:
        made = perform(caller, "brief_create", body=f"Round {round_}", key=f"r{round_}")
        noted = perform(caller, "brief_append", brief=brief.pk, body=f"Round {round_}", key=f"r{round_}")
        answers.append((made["brief"], noted["seq"]))

    for round_ in range(4):
        answers.clear()
        assert at_once(*[lambda round_=round_: repeat(round_)] * 8) == ["ok"] * 8
        assert len(answers) == 8 and len(set(answers)) == 1
    assert Brief.objects.count() == 5
    assert TraceEntry.objects.filter(brief=brief, kind="note").count() == 4


def test_a_new_brief_is_told_its_look_alikes(caller):
    first = perform(caller, "brief_create", body="The board loses my filter when I come back")
    assert first["look_alikes"] == []
    again = perform(caller, "brief_create", body="The board loses my filter after I come back")
    assert again["look_alikes"] == [
        {"brief": first["brief"], "title": "The board loses my filter when I come back", "status": "idea"}
    ]
