"""What an agent is told: complete, inside its budget, and only what it may see."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from briefs.models import Token
from briefs.services import actors, briefs, links, questions, recall, relations
from core.errors import Invalid, NotFound, TooLarge
from tests.factories import agent, identity, make_brief, make_project, operator

pytestmark = pytest.mark.django_db
KEYS = {"brief", "title", "status", "blocked", "spec", "spec_version", "questions", "dispatches", "trace"} | {
    "participants", "links", "relations", "projects", "truncated"
}  # fmt: skip


def size(payload: dict) -> int:
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode())


def test_every_section_is_there():
    brief = make_brief(spec="# Plan")
    links.add(brief, "url", "https://example.org", actor=operator())
    payload = recall.brief_payload(brief)
    assert set(payload) == KEYS
    assert payload["trace"][0] | {"at": ""} == {
        "seq": 3, "kind": "link_added", "source": "operator", "actor": "operator:mike", "body": "", "at": "",
        "data": {"kind": "url", "target": "https://example.org", "relation": "reference", "label": ""},
    }  # fmt: skip
    assert payload["truncated"] == []


@pytest.mark.parametrize("budget", [2_000, 6_000, 24_000, 60_000])
def test_answers_stay_under_the_budget_and_say_what_was_cut(budget):
    brief = make_brief(spec="ünïcode " * 6_000)
    for number in range(120):
        briefs.note(brief, f"{number} " + "x" * 3_000, actor=agent(f"agent-{number % 20}"))
    payload = recall.brief_payload(brief, budget=budget)
    assert size(payload) <= budget
    assert payload["trace"][0]["seq"] == brief.trace.last().seq
    assert any(line.startswith("trace:") for line in payload["truncated"])


def test_long_questions_fit_into_the_smallest_budget():
    brief = make_brief(spec="x" * 5_000)
    for other in range(30):
        relations.add_dependency(brief, make_brief("A long title of something else " * 2), actor=operator())
        if other < 3:
            questions.ask(
                brief, "\N{CHERRY BLOSSOM}" * questions.MAX_QUESTION, actor=agent(), options=["yes" * 60] * 12
            )
    assert size(recall.brief_payload(brief, budget=8_000)) <= 8_000
    with pytest.raises(TooLarge, match="at most 8,000 characters"):
        questions.ask(brief, "x" * 8_001, actor=agent())
    with pytest.raises(TooLarge, match="at most 8,000 characters"):
        questions.answer(brief.questions.first(), "x" * 8_001, actor=operator())
    assert brief.questions.filter(answered_at=None).count() == 3


def test_a_caller_of_one_project_is_told_no_title_of_another(project, tmp_path, browser, client):
    mine = make_brief("Mine", project)
    for number, change in enumerate((relations.add_dependency, relations.set_parent)):
        change(
            mine,
            make_brief(f"Secret plan {number}", make_project(tmp_path / f"x{number}", slug=f"x{number}")),
            actor=operator(),
        )
    relations.add_dependency(make_brief("Secret plan 2"), mine, actor=operator())
    everything = json.dumps(recall.brief_payload(mine, include=["relations"]))
    assert all(f"Secret plan {number}" in everything for number in range(3))
    limited = recall.brief_payload(mine, include=["relations"], project=project.pk)
    assert "Secret" not in json.dumps(limited) and recall.HIDDEN_TITLE in limited["blocked"][0]
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY, project=project)
    reader = {"Authorization": f"Bearer {secret}"}
    assert "Secret plan 0" in browser.get(f"/briefs/{mine.pk}/").content.decode()
    page = Client().get(f"/briefs/{mine.pk}/", headers=reader).content.decode()
    rail = page[page.index('id="relationships"') :] if 'id="relationships"' in page else page
    assert recall.HIDDEN_TITLE in rail


def test_sections_and_budgets_are_checked():
    brief = make_brief()
    assert set(recall.brief_payload(brief, include=["spec"])) == {
        "brief", "title", "status", "blocked", "spec_version", "spec", "truncated"
    }  # fmt: skip
    with pytest.raises(Invalid, match="no section 'secrets'"):
        recall.brief_payload(brief, include=["secrets"])
    with pytest.raises(Invalid, match="budget is a number"):
        recall.brief_payload(brief, budget=10)


def test_limits_of_a_token_hold():
    mine, other = make_brief("Mine"), make_brief("Other")
    run = identity(agent(), Token.Scope.RUN, brief=mine.pk, run=1)
    assert run.find_brief(None) == mine
    for number in (other.pk, 999, 0, -1, 2**70):
        with pytest.raises(NotFound, match="for you"):
            run.find_brief(number)
    with pytest.raises(Invalid, match="which brief"):
        identity(agent()).find_brief(None)
    listed = recall.briefs_payload(run)["briefs"]
    assert [row["brief"] for row in listed] == [mine.pk]


def test_lists_go_on_with_a_cursor():
    made = [make_brief(f"Brief {number}").pk for number in range(7)]
    everyone = identity(operator(), Token.Scope.OPERATOR)
    seen, cursor = [], None
    while True:
        answer = recall.briefs_payload(everyone, limit=3, cursor=cursor)
        seen += [row["brief"] for row in answer["briefs"]]
        cursor = answer["cursor"]
        if cursor is None:
            break
    assert seen == made[::-1]
    with pytest.raises(Invalid, match="cursor"):
        recall.briefs_payload(everyone, cursor="x")
    with pytest.raises(Invalid, match="'x' is no brief status"):
        recall.briefs_payload(everyone, status="x")
