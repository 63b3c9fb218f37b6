"""What tools tell of the queue, and of one brief: codes, whose turn it is, and no more than the caller may see."""

from __future__ import annotations

import dataclasses

import pytest

from briefs import lifecycle
from briefs.models import Brief, Token
from briefs.services import questions, relations
from core.errors import Conflict, Invalid, NotFound
from core.toolbox import ANSWER_BUDGET, as_text
from daemons.services import programs
from dispatch import claims, recalling, services, tools
from dispatch import merge as merging
from dispatch.models import DispatchRequest, MergeLock
from flower.mcp import registry
from tests.factories import agent, git, identity, make_brief, make_project, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def orchestrator(db):
    return identity(agent("orchestrator"), Token.Scope.ORCHESTRATOR)


def test_the_queue_says_what_runs_what_waits_and_why_the_first_does_not_start(project, drive, settings, orchestrator):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, max_concurrent=1)
    programs.register("sleeper", ["/bin/sleep", "60"])
    first, second, third = (
        services.dispatch(make_brief(title, project), actor=operator(), agent="sleeper") for title in ("A", "B", "C")
    )
    by_hand = services.dispatch(make_brief("D", project), actor=operator())
    drive(first, "running")
    told = tools.recall_dispatch_queue(orchestrator)
    assert [(row["dispatch"], row["state"], row["next"]["code"]) for row in told["dispatches"]] == [
        (first.pk, "running", "work"),
        (second.pk, "queued", "wait_for_place"),
        (third.pk, "queued", "wait_for_place"),
        (by_hand.pk, "queued", "claim"),
    ]
    assert [row["next"].get("place") for row in told["dispatches"]] == [None, 1, 2, None]
    assert (told["cap"], told["running"], told["waiting"]) == (1, 1, 2)
    assert told["states"] == {"running": 1, "queued": 3} and told["cursor"] is None
    assert told["first"] == {
        "dispatch": second.pk,
        "brief": second.brief_id,
        "why": "It waits for a free place: 1 of 1 agents run; 1st in line.",
        "places_taken_by": [first.pk],
    }
    assert told["dispatches"][1]["agent"] == "sleeper" and told["dispatches"][0]["claimed_by"]


def test_the_queue_is_told_page_by_page(project, orchestrator):
    made = [services.dispatch(make_brief(f"Brief {n}", project), actor=operator()).pk for n in range(5)]
    found, cursor = [], None
    while True:
        told = tools.recall_dispatch_queue(orchestrator, limit=2, cursor=cursor)
        found.append([row["dispatch"] for row in told["dispatches"]])
        if (cursor := told["cursor"]) is None:
            break
    assert found == [made[:2], made[2:4], made[4:]]
    for limit in (0, 201):
        with pytest.raises(Invalid, match="1 to 200"):
            tools.recall_dispatch_queue(orchestrator, limit=limit)


def test_an_answer_stays_under_its_budget(project, orchestrator):
    for number in range(80):
        services.dispatch(make_brief(f"{number} " + "long " * 38, project), actor=operator())
    told = tools.recall_dispatch_queue(orchestrator, limit=200)
    assert len(as_text(told).encode()) <= ANSWER_BUDGET
    assert len(told["dispatches"]) < 80 and told["cursor"] == str(told["dispatches"][-1]["dispatch"])


def test_what_auto_dispatch_does_next_is_told_with_the_reason(project, orchestrator):
    brief = make_brief("By itself", project)
    Brief.objects.filter(pk=brief.pk).update(auto_dispatch=True, status="planned")
    (row,) = tools.recall_dispatch_queue(orchestrator)["by_itself"]
    assert (row["brief"], row["next"]["code"], row["next"]["who"]) == (brief.pk, "choose_agent", "operator")
    programs.register("true", ["/bin/true"])
    (row,) = tools.recall_dispatch_queue(orchestrator)["by_itself"]
    assert (row["next"]["code"], row["next"]["who"]) == ("auto_dispatch", "flower")


def test_merges_to_one_branch_tell_whose_turn_it_is(finished, project, drive, orchestrator):
    other = services.dispatch(make_brief("Other", project), actor=operator())
    me = identity(agent("other"))
    claims.claim(other, actor=me.actor)
    drive(other, "running")
    (other.worktree.checkout / "other.txt").write_text("other\n")
    git(other.worktree.checkout, "add", ".")
    git(other.worktree.checkout, "commit", "-qm", "Other")
    services.complete(other, identity=me)
    for request in (finished, other):
        merging.ask(request, actor=operator())
    MergeLock.objects.create(
        project=project, branch="main", request=finished, fence=1, expires_at="2100-01-01T00:00:00Z"
    )
    rows = tools.recall_dispatch_queue(orchestrator)["dispatches"]
    assert [(row["next"]["code"], row["next"].get("other")) for row in rows] == [
        ("merge", None),
        ("wait_for_turn", finished.pk),
    ]
    drive(finished, "done")
    drive(other, "done")


def test_one_brief_is_explained_at_each_stage(project, drive, orchestrator):
    brief = make_brief("Work", project)

    def told() -> dict:
        return tools.dispatch_explain(orchestrator, brief.pk)

    assert told()["dispatchable"] and told()["obstacle"] is None
    assert told()["would"] == {
        "kind": "fresh",
        "goes_on_from": None,
        "worktree": None,
        "agent": None,
        "why_no_agent": "There is no agent program; add one with manage.py agent_add.",
    }
    asked = questions.ask(brief, "Which?", actor=agent(), blocking=True)
    answer = told()
    assert answer["obstacle"]["code"] == "blocked" and answer["would"] is None
    assert answer["blockers"] == [
        {"code": "question", "number": asked.pk, "waits_for": f"an answer to question {asked.pk}"}
    ]
    assert [(step["code"], step["who"]) for step in answer["next"]] == [("answer", "operator"), ("plan", "operator")]
    questions.answer(asked, "That.", actor=operator())
    lifecycle.move(brief, "planned", actor=operator())
    request = services.dispatch(brief, actor=operator())
    worker = identity(agent("worker"))
    claims.claim(request, actor=worker.actor)
    drive(request, "running")
    answer = told()
    assert answer["obstacle"]["code"] == "active" and answer["moves"] == []
    assert answer["next"][0]["dispatch"] == request.pk and answer["next"][0]["who"] == "agent"
    (request.worktree.checkout / "half.txt").write_text("half\n")
    services.fail(request, "it broke", actor=worker.actor)
    answer = told()
    assert (answer["next"][0]["code"], answer["next"][0]["who"]) == ("retry", "orchestrator")
    assert answer["last"]["class"] == "agent" and answer["last"]["failure"] == "it broke"
    assert answer["would"]["kind"] == "resume" and answer["would"]["goes_on_from"] == request.pk
    assert answer["would"]["left"]["files"] == ["half.txt"]
    lifecycle.move(brief, "cancelled", actor=operator())
    assert [(step["code"], step["who"]) for step in told()["next"]] == [("ended", "nobody")]
    assert told()["moves"] == [] and told()["obstacle"]["code"] == "ended"


def test_many_questions_are_counted_and_the_first_are_named(project, orchestrator):
    brief = make_brief("Asked", project)
    for number in range(recalling.STEPS + 5):
        questions.ask(brief, f"{number}?", actor=agent(), blocking=True)
    told = tools.dispatch_explain(orchestrator, brief.pk)
    assert len(told["next"]) == len(told["blockers"]) == recalling.STEPS
    assert told["more"] == 6


def test_a_limited_caller_is_told_of_its_project_alone(project, tmp_path):
    other = make_project(tmp_path / "other", slug="other")
    hidden, mine = make_brief("Secret title", other), make_brief("Mine", project)
    relations.add_dependency(mine, hidden, actor=operator())
    services.dispatch(hidden, actor=operator())
    limited = identity(agent("limited"), Token.Scope.AGENT, project=project.pk)
    assert tools.recall_dispatch_queue(limited)["dispatches"] == []
    with pytest.raises(NotFound):
        tools.dispatch_explain(limited, hidden.pk)
    told = tools.dispatch_explain(limited, mine.pk)
    assert told["blockers"][0]["number"] == hidden.pk and told["next"][0]["other"] == hidden.pk
    assert "Secret title" not in as_text(told)
    assert "Secret title" in as_text(tools.dispatch_explain(identity(operator(), "operator"), mine.pk))


def test_agents_and_orchestrators_have_both_tools_and_workers_neither():
    for name in ("recall_dispatch_queue", "dispatch_explain"):
        tool = registry.catalogue()[name].tool
        offered = [scope for scope in ("run", "agent", "orchestrator", "readonly") if tool.is_offered_to(scope)]
        assert offered == ["agent", "orchestrator", "readonly"] and tool.read_only


# --- the moves that are possible --------------------------------------------------------------------------------------


def refusal(brief: Brief, status: str, scope: str = "orchestrator", who: str = "orchestrator") -> str:
    caller = identity(operator() if scope == "operator" else agent(who), scope)
    with pytest.raises((Conflict, Invalid)) as refused:
        registry.catalogue()["brief_update_status"].perform(caller, {"brief": brief.pk, "status": status})
    return str(refused.value.sentence)


def test_a_refused_move_names_only_what_is_possible_from_where_the_brief_is(project, finished):
    brief = make_brief("Work", project)
    possible = "from here it may become abandoned, cancelled, deferred, planned or refining."
    assert refusal(brief, "nope") == f"'nope' is no brief status; Brief #{brief.pk} is idea, {possible}"
    lifecycle.move(brief, "deferred", actor=operator())
    assert refusal(brief, "complete").endswith("it may become abandoned, cancelled, idea, planned or refining.")
    lifecycle.move(brief, "cancelled", actor=operator())
    assert refusal(brief, "planned") == f"Brief #{brief.pk} is cancelled; only an operator may reopen it."
    assert refusal(brief, "planned", scope="operator").endswith("from here it may become refining.")
    for status in ("nope", "planned", "in_progress"):  # a dispatch is active: its status follows from that
        said = refusal(finished.brief, status)
        assert f"cancel dispatch {finished.pk} first" in said and "may become" not in said, status


def test_the_possible_moves_are_those_that_are_then_accepted(project, finished, drive, browser):
    merging.ask(finished, actor=operator())
    asked = questions.ask(finished.brief, "And?", actor=agent())
    assert "cancel dispatch" in refusal(finished.brief, "planned")
    page = browser.get(f"/briefs/{finished.brief_id}/").content.decode()
    assert "Its status follows from its dispatches." in page
    drive(finished, "done")
    brief = Brief.objects.get(pk=finished.brief_id)
    moves = lifecycle.possible_moves(brief, operator())
    assert brief.status == "in_review" and "complete" not in moves and "planned" in moves
    assert "complete" not in refusal(brief, "idea")
    questions.answer(asked, "No.", actor=operator())
    brief.refresh_from_db()
    assert lifecycle.possible_moves(brief, agent()) == [] and lifecycle.possible_moves(brief, operator()) == [
        "refining"
    ]
    assert DispatchRequest.objects.get(pk=finished.pk).state == "done"
