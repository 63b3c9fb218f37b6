"""What a step says that somebody may do is done by the services, and time's steps are done by time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from briefs import lifecycle
from briefs.models import Brief, Project, Proposal, Question
from briefs.services import briefs, proposals, questions, relations
from briefs.views.board_filters import needs_a_person
from core.errors import Refusal
from daemons.models import AgentProgram
from dispatch import board, claims, outlook, review, services  # noqa: F401  board declares what needs you
from dispatch import merge as merging
from dispatch.line import Line
from dispatch.models import ACTIVE, DispatchRequest, State
from dispatch.next_step import Code, NextStep, Who
from tests.dispatch.ways_out.world import World, summary
from tests.factories import agent, identity, operator

ROUNDS: Final = 12  # sweeps, 20 seconds apart, within which what flower does by itself must show


def signature(brief: Brief) -> tuple[Any, ...]:
    """All that a person or a tool is told of how a brief stands: when this changes, it has moved."""
    brief.refresh_from_db()
    rows = DispatchRequest.objects.filter(brief=brief).order_by("pk")
    requests = tuple(rows.values_list("pk", "state", "failure_class"))
    steps = tuple((step.code, step.dispatch, step.other, step.place) for step in outlook.steps(brief))
    return (brief.status, brief.project_id, brief.needs_approval, requests, steps)


def check(world: World, brief: Brief) -> None:
    """Every step that is told of a brief leads on. Raises AssertionError with the brief, the step and why not."""
    brief.refresh_from_db()
    steps = outlook.steps(brief)
    assert steps, f"nothing is next with {summary(brief)}"
    listed = Brief.objects.filter(needs_a_person(), pk=brief.pk).exists()
    assert listed == steps[0].needs_you, f"needs you: listed {listed}, told {steps[0]}, {summary(brief)}"
    before = signature(brief)
    for step in steps:
        assert step.sentence and step.payload()["code"] == step.code
        if not (step.who == Who.NOBODY and brief.is_terminal):
            _check_step(world, brief, step, before)
    _check_dispatch(world, brief)


def _check_step(world: World, brief: Brief, step: NextStep, before: tuple[Any, ...]) -> None:
    if step.code == Code.WAIT_FOR_BRIEF:
        assert not Brief.objects.get(pk=step.other).is_terminal, f"{summary(brief)} waits for one that has ended"
        return
    if step.code == Code.WAIT_FOR_PLACE:
        line = Line.now()  # whoever has a place has a step of its own
        assert line.running or line.waiting, f"{summary(brief)} waits for a place, and nobody has one"
        return
    with world.as_it_was():
        if step.who == Who.FLOWER or is_over(step):
            assert _moves_in_time(world, brief, before), f"time does not move {summary(brief)}: {step}"
            return
        try:
            ACTS[step.code](world, step)
        except Refusal as refusal:
            raise AssertionError(f"{step.code} is told of {summary(brief)} and refused: {refusal.sentence}") from None
        assert signature(brief) != before, f"{step.code} of {summary(brief)} changes nothing"


def is_over(step: NextStep) -> bool:
    """Whether the agent that is said to work has ended, which the next sweep sees."""
    if step.code != Code.WORK:
        return False
    request = _request(step)
    return request.program_id is not None and (request.process is None or request.process.has_ended)


def _moves_in_time(world: World, brief: Brief, before: tuple[Any, ...]) -> bool:
    world.be_kind()
    for _ in range(ROUNDS):
        world.pass_time()
        if signature(brief) != before:
            return True
    return False


def _check_dispatch(world: World, brief: Brief) -> None:
    """Whether a brief can be dispatched is said by ``obstacle``, and so it is."""
    brief = Brief.objects.get(pk=brief.pk)  # what was tried before is taken back, in the database
    found = outlook.obstacle(brief)
    with world.as_it_was():
        try:
            services.dispatch(Brief.objects.get(pk=brief.pk), actor=operator(), kind="fresh")
        except Refusal as refusal:
            assert found is not None, f"{summary(brief)} is said to be dispatchable: {refusal.sentence}"
        else:
            assert found is None or _gives_way(brief), f"{summary(brief)} was dispatched in spite of {found}"


def _gives_way(brief: Brief) -> bool:
    """Finished work whose merge was refused ends with the next dispatch; the page offers that as the rework."""
    return any(row.is_stuck for row in DispatchRequest.objects.filter(brief=brief, state=State.FINISHED))


# --- the acts ---------------------------------------------------------------------------------------------------------


def _brief(step: NextStep) -> Brief:
    return Brief.objects.select_related("project").get(pk=step.brief)


def _request(step: NextStep) -> DispatchRequest:
    return DispatchRequest.objects.select_related("brief", "project", "worktree", "process").get(pk=step.dispatch)


def _move(to: str) -> Callable[[World, NextStep], object]:
    return lambda _, step: lifecycle.move(_brief(step), to, actor=operator())


def _decide_plan(_: World, step: NextStep) -> None:
    plan = Proposal.objects.filter(brief=step.brief, state=Proposal.State.OPEN).first()
    assert plan is not None
    proposals.accept(plan, actor=operator(), base_version=_brief(step).spec_version)


def _review(_: World, step: NextStep) -> None:
    """The page offers the merge, or the rework, or the same merge once more: the first of these is taken."""
    request = _request(step)
    offer = review.of(request, identity(operator(), "operator"))
    assert offer is not None, f"no review of {request}"
    if offer.may_rework:
        services.retry(request, actor=operator())
    else:
        assert offer.may_merge or offer.may_run_again, f"the review of {request} offers nothing"
        merging.ask(request, actor=operator())


def _retry(_: World, step: NextStep) -> None:
    services.retry(_request(step), actor=operator())


def _choose_project(_: World, step: NextStep) -> None:
    briefs.set_project(_brief(step), Project.objects.order_by("pk").last(), actor=operator())


def _dispatch(_: World, step: NextStep) -> None:
    services.dispatch(_brief(step), actor=operator())


def _claim(_: World, step: NextStep) -> None:
    claims.claim(_request(step), actor=agent("claimant"))


def _work(world: World, step: NextStep) -> None:
    """Whoever holds it completes it; and whoever orchestrates may call it off, so that no idle agent keeps it."""
    request = _request(step)
    world.facts.commits[request.branch] = world.facts.commits.get(request.branch, 0) + 1
    if request.worktree is not None:
        world.facts.dirty.discard(request.worktree.path)
    assert request.claimed_by is not None
    services.complete(request, identity=identity(request.claimed_by))


def _choose_agent(_: World, step: NextStep) -> None:
    """An operator adds or switches on a program, or names one by dispatching once by hand."""
    AgentProgram.objects.update(enabled=False)
    AgentProgram.objects.filter(name="worker").update(enabled=True)


ACTS: Final[dict[Code, Callable[[World, NextStep], object]]] = {
    Code.SET_ASIDE: _move("planned"),
    Code.ANSWER: lambda _, step: questions.answer(Question.objects.get(pk=step.other), "That.", actor=operator()),
    Code.APPROVE: lambda _, step: proposals.approve(_brief(step), actor=operator()),
    Code.DECIDE_PLAN: _decide_plan,
    Code.START_WITHOUT: lambda _, step: relations.accept_missing(
        _brief(step), Brief.objects.get(pk=step.other), actor=operator()
    ),
    Code.REVIEW: _review,
    Code.MERGE_REFUSED: _review,
    Code.REWORK: _retry,
    Code.RETRY: _retry,
    Code.PLAN: _move("planned"),
    Code.CHOOSE_PROJECT: _choose_project,
    Code.CHOOSE_AGENT: _choose_agent,
    Code.DISPATCH: _dispatch,
    Code.DISPATCH_AGAIN: _dispatch,
    Code.DECIDE_STATUS: _move("planned"),
    Code.CLAIM: _claim,
    Code.WORK: _work,
}


# --- to the end -------------------------------------------------------------------------------------------------------


def finish(world: World, briefs_: list[Brief], most: int = 80) -> None:
    """Whoever does what is said, and waits where it says so, finishes everything. Raises AssertionError if not."""
    world.be_kind()
    for _ in range(most):
        left = [brief for brief in briefs_ if not Brief.objects.get(pk=brief.pk).is_terminal]
        if not left:
            return
        for brief in left:
            brief.refresh_from_db()
            step = outlook.next_step(brief)
            if step.code in ACTS and not is_over(step):
                ACTS[step.code](world, step)
        world.pass_time()
    told = "; ".join(f"{summary(brief)}: {outlook.next_step(brief).code}" for brief in left)
    raise AssertionError(f"not finished, though everybody did as they were told: {told}")


def call_off_all(briefs_: list[Brief]) -> None:
    """Free the places for the next example."""
    for request in DispatchRequest.objects.filter(brief__in=briefs_, state__in=ACTIVE):
        services.cancel(request, "the example is over", actor=operator())
