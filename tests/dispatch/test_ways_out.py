"""No state without a way out: wherever a brief is, time moves it, or somebody is told what to do and can do that.

A state machine of hypothesis takes the services through what people, agents, git and time can do to a few briefs. After
each step it asks ``dispatch/outlook.py`` what is next with each, and does that: a person's act must be accepted and
change something, and flower's must come about by sweeps alone. At the end everybody does as told until all is finished.

``FLOWER_EXAMPLES`` is how many ways are tried. Each dead end that was found has a test of its own (test_outlook.py).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from briefs import lifecycle
from briefs.models import Brief, Project, Proposal, Question
from briefs.models.status import Status
from briefs.services import briefs, proposals, questions, relations
from core.errors import Refusal
from daemons.models import AgentProgram, Process
from daemons.services import programs
from dispatch import claims, machine, outlook, services
from dispatch import merge as merging
from dispatch.line import Line
from dispatch.models import ACTIVE, HELD, DispatchRequest, State
from tests.dispatch.ways_out import acts
from tests.dispatch.ways_out.world import OUTCOMES, Facts, World
from tests.factories import agent, identity, make_project, operator
from worktrees import services as worktrees
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)
EXAMPLES: Final = int(os.environ.get("FLOWER_EXAMPLES", "8"))
STEPS: Final = 30
MOST: Final = 3  # briefs of one example
KINDS: Final = ("", *DispatchRequest.Kind.values)
# What happens, with its weight; and what must be there for it: states of requests, a worktree, a process that runs.
WHAT_HAPPENS: Final = [
    *["as_told"] * 10,
    *["edit"] * 5,
    *["dispatch", "merge", "time_passes"] * 3,
    *["move_by_hand", "relate", "work", "complete", "give_up", "retry", "agent_ends", "the_machine_is"] * 2,
    *["create", "claim", "worktree_goes", "settings_change", "main_moves"],
]
NEEDS: Final[dict[str, set[str]]] = {
    **{act: set(HELD) for act in ("work", "complete")},
    **{act: set(ACTIVE) for act in ("give_up", "the_machine_is")},
    **{act: {State.FINISHED} for act in ("merge", "main_moves")},
    "claim": {State.QUEUED},
    "retry": set(State),
    "agent_ends": {"process"},
    "worktree_goes": {"worktree"},
}
RELATIONS: Final = (
    *(relations.add_dependency, relations.remove_dependency, relations.accept_missing),
    *(relations.merge, relations.set_parent),
)
ON_THE_BOARD: Final = ("auto_dispatch", "design_loop", "project", "approve", "ask", "answer", "propose", "decide")
Number = st.integers(0, 9)
YesNo = st.booleans()


@pytest.fixture
def world(db, settings, tmp_path, monkeypatch) -> World:
    make_project(tmp_path / "sample", slug="sample")
    programs.register("worker", ["/bin/sh"])
    return World(monkeypatch, settings, tmp_path / "home")


class Briefs(RuleBasedStateMachine):
    """What can happen to a few briefs of one project."""

    world: World
    checked: set[tuple[Any, ...]]  # how a brief stood where all was checked already

    def __init__(self) -> None:
        super().__init__()
        self.world.facts = Facts(seconds=self.world.facts.seconds, main=self.world.facts.main)
        self.numbers: list[int] = []
        self.there: set[str] = set()  # what there is, so that no step is spent on what cannot happen
        self.project = Project.objects.get()
        Project.objects.update(auto_merge=False)
        AgentProgram.objects.update(enabled=True)

    # --- what there is ------------------------------------------------------------------------------------------------

    def brief(self, number: int) -> Brief:
        return Brief.objects.select_related("project").get(pk=self.numbers[number % len(self.numbers)])

    def request(self, number: int, *states: str) -> DispatchRequest | None:
        rows = DispatchRequest.objects.filter(brief__in=self.numbers, state__in=states or State.values)
        found = list(rows.select_related("brief", "project", "worktree", "process", "claimed_by", "program"))
        return found[number % len(found)] if found else None

    def worktree(self, number: int) -> Worktree | None:
        found = list(Worktree.objects.filter(brief__in=self.numbers).select_related("project", "brief").order_by("pk"))
        return found[number % len(found)] if found else None

    # --- what happens -------------------------------------------------------------------------------------------------

    @initialize(captured=YesNo, auto=YesNo, plan=YesNo)
    def begin(self, captured: bool, auto: bool, plan: bool) -> None:
        self.create(0, 1, captured)
        if auto:
            attempt(briefs.set_flag, self.brief(0), "auto_dispatch", True, actor=operator())
        if plan:
            attempt(lifecycle.move, self.brief(0), "planned", actor=operator())

    # One rule for all: hypothesis leaves rules out of whole examples, and what is not done as told leads nowhere soon.
    @rule(act=st.sampled_from(WHAT_HAPPENS), number=Number, choice=st.integers(0, 99), yes=YesNo)
    def happens(self, act: str, number: int, choice: int, yes: bool) -> None:
        """``choice`` is which of several ways; what cannot happen now does not, and somebody does as told instead."""
        if act not in NEEDS or NEEDS[act] & self.there:
            getattr(self, act)(number, choice, yes)
        else:
            self.as_told(number, choice, yes)

    def as_told(self, number: int, choice: int, yes: bool) -> None:
        for _ in range(1 + choice % 3):
            brief = self.brief(number)
            step = outlook.next_step(brief)
            if step.code in acts.ACTS and not acts.is_over(step):
                acts.ACTS[step.code](self.world, step)
            self.world.pass_time(5)

    def create(self, number: int, choice: int, yes: bool) -> None:
        if len(self.numbers) < MOST:
            project = self.project if choice % 4 else None
            made = briefs.capture(f"Brief {number}", actor=operator(), project=project, needs_approval=yes)
            self.numbers.append(made.pk)

    def move_by_hand(self, number: int, choice: int, yes: bool) -> None:
        brief, to = self.brief(number), pick(Status.values, choice)
        possible = lifecycle.possible_moves(brief, operator())
        moved = attempt(lifecycle.move, brief, to, actor=operator())
        assert moved == (to in possible or to == brief.status), f"{to} of {possible}: {moved}"

    def edit(self, number: int, choice: int, yes: bool) -> None:
        brief, me = self.brief(number), operator()
        act = pick(ON_THE_BOARD, choice)
        if act in {"auto_dispatch", "design_loop"}:
            attempt(briefs.set_flag, brief, act, yes, actor=me)
        elif act == "project":
            attempt(briefs.set_project, brief, self.project if yes else None, actor=me)
        elif act == "approve":
            attempt(proposals.approve if yes else proposals.disapprove, brief, actor=me)
        elif act == "ask":
            attempt(questions.ask, brief, "Which?", actor=agent("asker"), blocking=yes)
        elif act == "answer" and (asked := Question.objects.filter(brief=brief, answered_at=None).first()):
            attempt(questions.answer, asked, "That.", actor=me)
        elif act == "propose":
            newest = DispatchRequest.objects.filter(brief=brief).exclude(claimed_by=None).first()
            attempt(proposals.propose, brief, "A plan.", actor=newest.claimed_by if newest else agent("planner"))
        elif act == "decide" and (plan := Proposal.objects.filter(brief=brief, state=Proposal.State.OPEN).first()):
            if yes:
                attempt(proposals.accept, plan, actor=me, base_version=brief.spec_version)
            else:
                attempt(proposals.refuse, plan, actor=me)

    def relate(self, number: int, choice: int, yes: bool) -> None:
        act = pick(RELATIONS, choice // 3)
        attempt(act, self.brief(number), self.brief(choice), actor=operator())

    def dispatch(self, number: int, choice: int, yes: bool) -> None:
        worktree = self.worktree(choice) if choice % 5 == 0 else None
        options = {"kind": pick(KINDS, choice), "worktree": worktree, "beside": choice % 7 == 0}
        attempt(services.dispatch, self.brief(number), actor=operator(), agent="worker" if yes else "", **options)

    def claim(self, number: int, choice: int, yes: bool) -> None:
        if (request := self.request(number, State.QUEUED)) is not None:
            attempt(claims.claim, request, actor=agent("claimant"))

    def work(self, number: int, choice: int, yes: bool) -> None:
        request = self.request(number, *HELD)
        if request is None or request.worktree is None:
            return
        facts = self.world.facts
        facts.commits[request.branch] = facts.commits.get(request.branch, 0) + choice % 2
        (facts.dirty.add if yes else facts.dirty.discard)(request.worktree.path)

    def complete(self, number: int, choice: int, yes: bool) -> None:
        request = self.request(number, *HELD)
        if request is not None and request.claimed_by is not None:
            attempt(services.complete, request, identity=identity(request.claimed_by), no_changes=yes)

    def give_up(self, number: int, choice: int, yes: bool) -> None:
        if (request := self.request(number, *ACTIVE)) is not None:
            attempt(services.cancel if yes else services.fail, request, "no more", actor=operator())

    def retry(self, number: int, choice: int, yes: bool) -> None:
        if (request := self.request(number)) is not None:
            attempt(services.retry, request, actor=operator(), fresh=yes)

    def merge(self, number: int, choice: int, yes: bool) -> None:
        """The merge is asked for, and this comes of it."""
        if (request := self.request(number, State.FINISHED)) is not None:
            self.world.facts.merge = pick(OUTCOMES, choice)
            attempt(merging.ask, request, actor=operator())
            if yes:
                self.world.pass_time(5)

    def agent_ends(self, number: int, choice: int, yes: bool) -> None:
        request = self.request(number, *HELD)
        if request is not None and request.process is not None:
            if yes:
                machine.processes.stop(request.process, actor=operator())
            else:
                self.world.end(request.process, pick(sorted(Process.ENDED), choice))

    def the_machine_is(self, number: int, choice: int, yes: bool) -> None:
        facts = self.world.facts
        facts.setup, facts.spawns = pick(["ready", "ready", "failed", "preparing"], choice), choice % 5 != 0
        facts.agents_linger, facts.merge = yes, pick(OUTCOMES, choice // 4)

    def worktree_goes(self, number: int, choice: int, yes: bool) -> None:
        if (worktree := self.worktree(number)) is None:
            return
        facts = self.world.facts
        if choice % 2:
            facts.removal = "stuck" if yes else "removed"
            attempt(worktrees.ask_removal, worktree, actor=operator())
        else:
            (facts.missing.add if yes else facts.missing.discard)(worktree.path)

    def settings_change(self, number: int, choice: int, yes: bool) -> None:
        Project.objects.update(auto_merge=yes)
        AgentProgram.objects.update(enabled=choice % 3 != 0)
        self.project.refresh_from_db()

    def main_moves(self, number: int, choice: int, yes: bool) -> None:
        self.world.move_main(self.project)

    def time_passes(self, number: int, choice: int, yes: bool) -> None:
        if yes:
            self.world.follow_kicks()
        self.world.pass_time(pick([5, 60, 700, 90_000], choice))

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def each_brief_has_a_way_on(self) -> None:
        rows = DispatchRequest.objects.filter(brief__in=self.numbers)
        self.there = set(rows.values_list("state", flat=True))
        if rows.exclude(worktree=None).exists():
            self.there.add("worktree")
        if rows.filter(process__phase__in=[Process.Phase.STARTING, Process.Phase.RUNNING]).exists():
            self.there.add("process")
        for number in self.numbers:
            brief = Brief.objects.select_related("project").get(pk=number)
            stands = self.stands(brief)
            if stands not in self.checked:
                acts.check(self.world, brief)
                self.checked.add(stands)

    def stands(self, brief: Brief) -> tuple[Any, ...]:
        """What decides what is next, without the numbers of rows: where all was checked once, it is not again."""
        rows = DispatchRequest.objects.filter(brief=brief).select_related("worktree", "process")
        facts = self.world.facts

        def of(row: DispatchRequest) -> tuple[Any, ...]:
            tree = row.worktree
            place = (tree.state, tree.failure != "") if tree else ()
            disk = (tree.path in facts.missing, tree.path in facts.dirty) if tree else ()
            process = (row.process.phase, row.process.stopped_by_id) if row.process else ()
            work = facts.commits.get(row.branch, 0) > 0
            beside = row.only_active is None
            told = (row.state, row.kind, row.failure_class, row.no_changes, row.program_id, bool(row.head_sha))
            return (*told, beside, work, place, disk, process, row.target_sha == self.world.main_sha(self.project))

        own = (brief.status, brief.project_id, brief.needs_approval, brief.auto_dispatch, brief.design_loop)
        asked = frozenset(brief.questions.filter(answered_at=None).values_list("blocking", flat=True))
        waits = frozenset(brief.dependencies.values_list("depends_on__status", "accepted_by"))
        plans = Proposal.objects.filter(brief=brief, state=Proposal.State.OPEN).count()
        line = Line.now()
        places = (line.running >= line.cap, bool(line.waiting))
        setting = (self.project.auto_merge, AgentProgram.objects.filter(enabled=True).exists())
        return (*own, asked, waits, plans, places, setting, tuple(of(row) for row in rows[:3]))

    def teardown(self) -> None:
        rows = list(Brief.objects.filter(pk__in=self.numbers))
        try:
            AgentProgram.objects.update(enabled=True)
            acts.finish(self.world, rows)
        finally:
            self.world.be_kind()
            acts.call_off_all(rows)
            self.world.pass_time()


def pick(choices: Sequence[Any], choice: int) -> Any:
    return choices[choice % len(choices)]


def attempt(act: Callable[..., object], *arguments: Any, **options: Any) -> bool:
    """Whether the service did it; refusing is its right."""
    with contextlib.suppress(Refusal):
        act(*arguments, **options)
        return True
    return False


def test_every_state_has_a_way_out(world):
    class ThisWorld(Briefs):
        pass

    ThisWorld.world, ThisWorld.checked = world, set()
    quiet = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    budget = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=quiet,
    )
    run_state_machine_as_test(ThisWorld, settings=budget)
    assert len(ThisWorld.checked) > 30, "the ways lead to many places"
