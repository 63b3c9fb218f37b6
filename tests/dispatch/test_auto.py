"""Auto-dispatch and the design-loop: what two switches do by themselves, and that they never run in a circle."""

from __future__ import annotations

import pytest

from briefs import lifecycle, trace
from briefs.models import Proposal
from briefs.services import briefs, proposals, questions, relations, specs
from daemons.services import programs
from dispatch import auto, outlook, services, tasks
from dispatch.models import DispatchRequest
from dispatch.next_step import Code
from tests.dispatch.test_main_job import complete_when_committed
from tests.factories import agent, git, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)

DESIGN = "mkdir -p docs && echo plan > docs/plan.md && git add . && git commit -qm Design && sleep 60"


@pytest.fixture
def looked_at(monkeypatch) -> list[int]:
    """The briefs that were kicked."""
    noted: list[int] = []
    monkeypatch.setattr(tasks.auto_dispatch, "delay", noted.append)
    return noted


@pytest.fixture
def worker(db):
    return programs.register("worker", ["/bin/sleep", "60"])


def flagged(project, title="Build it"):
    return briefs.set_flag(make_brief(title, project), "auto_dispatch", True, actor=operator())


def plan(brief):
    return lifecycle.move(brief, "planned", actor=operator())


def test_reaching_planned_dispatches_at_once(project, worker, looked_at):
    brief = flagged(project)
    assert not looked_at
    plan(brief)
    assert looked_at == [brief.pk]
    tasks.auto_dispatch(brief.pk)
    request = DispatchRequest.objects.get()
    assert (request.program.name, request.kind, request.created_by.ref) == ("worker", "fresh", "system")
    assert auto.consider(brief.pk) is None, "once is enough"


def test_flagging_a_planned_one_does_too(project, worker, looked_at):
    brief = plan(make_brief("Later", project))
    briefs.set_flag(brief, "auto_dispatch", True, actor=operator())
    assert looked_at == [brief.pk]


def test_the_sweep_finds_what_a_lost_kick_left(project, worker, looked_at):
    brief = plan(flagged(project))
    plan(make_brief("Not flagged", project))
    assert auto.sweep() == [DispatchRequest.objects.get(brief=brief).pk]
    assert auto.sweep() == []


def test_what_is_blocked_waits_and_goes_when_it_is_not(project, worker, looked_at):
    first = make_brief("First", project)
    second = flagged(project)
    relations.add_dependency(second, first, actor=operator())
    plan(second)
    assert auto.consider(second.pk) is None and "First" in outlook.next_step(second).sentence
    looked_at.clear()
    relations.remove_dependency(second, first, actor=operator())
    assert looked_at == [second.pk]
    assert auto.consider(second.pk) is not None


def test_after_a_failure_somebody_must_touch_it_first(project, worker, looked_at):
    brief = plan(flagged(project))
    request = auto.consider(brief.pk)
    services.cancel(request, "not so", actor=operator())
    brief.refresh_from_db()
    assert brief.status == "planned"
    assert auto.sweep() == []
    step = outlook.next_step(brief)
    assert (step.code, step.dispatch) == (Code.DISPATCH_AGAIN, request.pk)
    briefs.note(brief, "only a note", actor=operator())
    assert auto.sweep() == []
    specs.update(brief, "a better plan", base_version=brief.spec_version, actor=operator())
    assert len(auto.sweep()) == 1


@pytest.mark.parametrize("touch", ["moved", "switched", "answered"])
def test_moving_switching_and_answering_are_touching(project, worker, looked_at, touch):
    brief = plan(flagged(project))
    request = auto.consider(brief.pk)
    services.fail(request, "it broke", actor=agent())
    brief.refresh_from_db()
    assert auto.consider(brief.pk) is None
    if touch == "moved":
        lifecycle.move(brief, "refining", actor=operator())
        plan(brief)
    elif touch == "switched":
        briefs.set_flag(brief, "auto_dispatch", False, actor=operator())
        briefs.set_flag(brief, "auto_dispatch", True, actor=operator())
    else:
        questions.answer(questions.ask(brief, "Why?", actor=agent()), "So.", actor=operator())
    assert auto.consider(brief.pk) is not None


def test_the_cap_is_respected(project, worker, looked_at, settings):
    import dataclasses

    settings.FLOWER = dataclasses.replace(settings.FLOWER, max_concurrent=1)
    one, two = plan(flagged(project, "One")), plan(flagged(project, "Two"))
    assert len(auto.sweep()) == 1
    step = outlook.next_step(two)
    assert (step.code, step.running, step.cap) == (Code.WAIT_FOR_PLACE, 1, 1)
    services.cancel(DispatchRequest.objects.get(brief=one), "no", actor=operator())
    assert [DispatchRequest.objects.get(pk=pk).brief_id for pk in auto.sweep()] == [two.pk]


def test_the_agent_is_the_projects_last_or_the_only_one(project, looked_at):
    brief = plan(flagged(project))
    assert "no agent program" in outlook.next_step(brief).sentence
    programs.register("one", ["/bin/sleep", "1"])
    assert outlook.next_step(brief).agent == "one"
    programs.register("two", ["/bin/sleep", "1"])
    assert not outlook.next_step(brief).now and "several" in outlook.next_step(brief).sentence
    services.cancel(
        services.dispatch(make_brief("Other", project), actor=operator(), agent="two"), "x", actor=operator()
    )
    assert outlook.next_step(brief).agent == "two"
    programs.register("two", ["/no/such/program"])
    assert "not installed" in outlook.next_step(brief).sentence and auto.consider(brief.pk) is None


def test_a_design_pass_comes_before_the_build(project, drive, looked_at):
    programs.register("designer", ["/bin/sh", "-c", DESIGN])
    brief = make_brief("Build it", project, spec="Roughly this.")
    briefs.set_flag(brief, "design_loop", True, actor=operator())
    plan(flagged_again(brief))
    design = auto.consider(brief.pk)
    assert design.kind == "design"
    assert f"docs/design/{brief.pk}-build-it.md" in design.packet and "do not build it" in design.packet
    drive(design, "running")
    assert "design pass" in outlook.next_step(brief).sentence
    proposals.propose(brief, "The plan, thought through.", actor=design.claimed_by)
    complete_when_committed(design, summary="Thought through.")
    drive(design, "done")
    brief.refresh_from_db()
    assert (brief.design_loop, brief.spec) == (False, "The plan, thought through.")
    build = DispatchRequest.objects.filter(brief=brief).exclude(pk=design.pk).first() or auto.consider(brief.pk)
    assert (build.kind, build.base, build.base_sha) == ("fresh", design.branch, design.head_sha)
    assert git(project.path, "show", f"{build.base_sha}:docs/plan.md") == "plan"
    assert "The plan, thought through." in build.packet
    brief.refresh_from_db()
    assert trace.verify(brief)[1] is None
    services.cancel(build, "enough", actor=operator())


def flagged_again(brief):
    return briefs.set_flag(brief, "auto_dispatch", True, actor=operator())


def test_without_auto_dispatch_the_plan_waits_for_a_person(project, drive, looked_at):
    programs.register("designer", ["/bin/sh", "-c", DESIGN])
    brief = make_brief("Build it", project)
    briefs.set_flag(brief, "design_loop", True, actor=operator())
    design = services.dispatch(brief, actor=operator(), agent="designer")
    drive(design, "running")
    proposals.propose(brief, "A plan.", actor=design.claimed_by)
    complete_when_committed(design)
    drive(design, "done")
    brief.refresh_from_db()
    assert (brief.status, brief.design_loop, brief.spec) == ("planned", False, "")
    assert Proposal.objects.get().state == "open"
    flagged_again(brief)
    assert outlook.next_step(brief).code == Code.DECIDE_PLAN
    proposals.accept(Proposal.objects.get(), actor=operator(), base_version=0)
    assert outlook.next_step(Proposal.objects.get().brief).agent == "designer"


def test_a_plan_never_overwrites_what_a_person_wrote_meanwhile(project, looked_at):
    brief = flagged(project)
    plan_ = proposals.propose(brief, "A plan.", actor=agent())
    specs.update(brief, "mine", base_version=0, actor=operator())
    assert proposals.adopt(plan_, actor=operator()) is None
    brief.refresh_from_db()
    assert brief.spec == "mine"


def test_waves_are_the_requests_that_were_out_together(project, looked_at):
    from dispatch.lifecycle import waves

    brief = make_brief("Waves", project)
    first = services.dispatch(brief, actor=operator())
    beside = services.dispatch(brief, actor=operator(), beside=True)
    for request in (first, beside):
        services.cancel(request, "done", actor=operator())
    third = services.dispatch(brief, actor=operator())
    assert waves(brief.pk) == {first.pk: 1, beside.pk: 1, third.pk: 2}


def test_who_claimed_takes_part_and_leaves(project, worker, looked_at):
    from dispatch import claims

    brief = make_brief("Part", project)
    request = services.dispatch(brief, actor=operator(), agent="worker")
    claims.claim(request, actor=agent(), by_flower=True)
    part = brief.participants.get(actor=agent())
    assert (part.role, part.wave, part.left_at) == ("worker", 1, None)
    services.fail(request, "no", actor=agent())
    part.refresh_from_db()
    assert not part.is_active
