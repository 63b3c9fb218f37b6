"""Plans, questions, relations, merging two briefs: the refinement loop's services."""

from __future__ import annotations

import pytest

from briefs.models import Brief, Link
from briefs.services import briefs, proposals, questions, relations, specs
from core.errors import Conflict, Forbidden, Invalid, NotFound
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db


def test_a_proposed_plan_waits_for_a_person_and_overwrites_nothing():
    brief = make_brief(spec="mine")
    proposal = proposals.propose(brief, "## Goal\nDo it", actor=agent())
    brief.refresh_from_db()
    assert (brief.spec, brief.status) == ("mine", "refining")
    assert brief.trace.get(seq=proposal.entry).kind == "plan_proposed"
    with pytest.raises(Forbidden):
        proposals.accept(proposal, actor=agent(), base_version=1)
    proposals.accept(proposal, actor=operator(), base_version=1)
    brief.refresh_from_db()
    assert (brief.spec, brief.spec_version) == ("## Goal\nDo it", 2)
    with pytest.raises(Conflict, match="accepted already"):
        proposals.refuse(proposal, actor=operator())


def test_an_accepted_plan_never_overwrites_what_a_person_wrote_meanwhile():
    brief = make_brief(spec="first")
    proposal = proposals.propose(brief, "plan", actor=agent())
    specs.update(brief, "written meanwhile", base_version=1, actor=operator())
    with pytest.raises(specs.StaleSpec) as stale:
        proposals.accept(proposal, actor=operator(), base_version=1)
    assert (stale.value.current, stale.value.version) == ("written meanwhile", 2)
    proposal.refresh_from_db()
    brief.refresh_from_db()
    assert (proposal.state, brief.spec) == ("open", "written meanwhile")
    proposals.accept(proposal, actor=operator(), base_version=2, plan="plan, edited")
    brief.refresh_from_db()
    assert brief.spec == "plan, edited"


def test_a_second_plan_of_the_same_agent_supersedes_its_first():
    brief = make_brief()
    first = proposals.propose(brief, "one", actor=agent())
    second = proposals.propose(brief, "two", actor=agent())
    first.refresh_from_db()
    assert (first.state, second.state) == ("superseded", "open")
    proposals.refuse(second, actor=operator(), why="too large")
    assert brief.trace.last().body == "too large"


def test_versions_are_listed_read_compared_and_restored():
    brief = make_brief(spec="one\nsame\n")
    specs.update(brief, "two words here\nsame\n", base_version=1, actor=agent("a"), why="clearer")
    specs.update(brief, "two other words here\nsame\nmore\n", base_version=2, actor=operator())
    listed = specs.versions(brief)
    assert [(version.number, version.actor, version.why) for version in listed] == [
        (3, "operator:mike", ""), (2, "a", "clearer"), (1, "operator:mike", "captured")
    ]  # fmt: skip
    assert specs.read(brief, 1) == "one\nsame\n"
    with pytest.raises(NotFound, match="no version 9"):
        specs.read(brief, 9)
    (hunk,) = specs.compare(specs.read(brief, 2), specs.read(brief, 3))
    assert [(line.mark, "".join(piece.text for piece in line.pieces)) for line in hunk] == [
        ("removed", "two words here"), ("added", "two other words here"), ("same", "same"), ("added", "more")
    ]  # fmt: skip
    assert [piece.text for piece in hunk[1].pieces if piece.changed] == [" other"]
    specs.restore(brief, 1, actor=operator())
    brief.refresh_from_db()
    assert (brief.spec, brief.spec_version) == ("one\nsame\n", 4)
    assert specs.compare("same", "same") == []


def test_a_long_spec_loses_nothing_in_its_snapshot():
    long = "x" * specs.MAX_SPEC
    brief = make_brief(spec=long)
    specs.update(brief, "short", base_version=1, actor=operator())
    assert specs.read(brief, 1) == long


def test_questions_hold_a_brief_back_and_tell_the_asker():
    brief = make_brief()
    question = questions.ask(brief, "Which?", actor=agent("asker"), options=["A", "B", " "], blocking=True)
    assert question.options == ["A", "B"]
    assert questions.waiting_count() == 1
    questions.answer(question, "A", actor=operator())
    entry = brief.trace.filter(kind="answer").get()
    assert entry.data["asker"] == "asker"
    assert questions.waiting_count() == 0
    with pytest.raises(Invalid, match="at most 12"):
        questions.ask(brief, "Which?", actor=agent(), options=[str(n) for n in range(13)])


def test_parents_and_circles_of_epics():
    epic, child, grandchild = make_brief("Epic"), make_brief("Child"), make_brief("Grandchild")
    relations.set_parent(child, epic, actor=operator())
    relations.set_parent(grandchild, child, actor=operator())
    with pytest.raises(Invalid, match=f"circle of epics: #{epic.pk} -> #{grandchild.pk} -> #{child.pk} -> #{epic.pk}"):
        relations.set_parent(epic, grandchild, actor=operator())
    with pytest.raises(Invalid, match="circle"):
        relations.set_parent(epic, epic, actor=operator())
    relations.set_parent(child, None, actor=operator())
    child.refresh_from_db()
    assert child.parent is None


def test_a_dependency_that_goes_unblocks():
    brief, other = make_brief("One"), make_brief("Other")
    relations.add_dependency(brief, other, actor=operator())
    relations.remove_dependency(brief, other, actor=operator())
    assert brief.trace.last().kind == "unblocked"
    count = brief.trace.count()
    relations.remove_dependency(brief, other, actor=operator())
    assert brief.trace.count() == count


def test_merging_two_briefs_keeps_both_traces_and_points_both_ways():
    one, into, child, waiting = make_brief("One"), make_brief("Into"), make_brief("Child"), make_brief("Waiting")
    briefs.note(one, "worth keeping", actor=agent())
    relations.set_parent(child, one, actor=operator())
    relations.add_dependency(waiting, one, actor=operator())
    relations.merge(one, into, actor=operator())
    one.refresh_from_db()
    child.refresh_from_db()
    assert (one.status, child.parent) == ("cancelled", into)
    assert waiting.waits_for() == [f"#{into.pk} Into"]
    assert one.trace.filter(kind="merged").get().data["into"] == into.pk
    assert into.trace.filter(kind="merged").get().data["from"] == one.pk
    assert Link.objects.get(brief=one, kind="brief").target == str(into.pk)
    assert Link.objects.get(brief=into, kind="brief").target == str(one.pk)
    assert one.trace.filter(body="worth keeping").exists()
    with pytest.raises(Conflict, match="nothing to merge"):
        relations.merge(one, into, actor=operator())
    with pytest.raises(Invalid, match="into itself"):
        relations.merge(into, into, actor=operator())


def test_what_an_agent_made_on_its_own_waits_for_approval():
    brief = briefs.capture("Rewrite it all", actor=agent(), needs_approval=True)
    assert brief.waits_for() == ["an operator's approval"]
    with pytest.raises(Forbidden):
        proposals.approve(brief, actor=agent())
    proposals.approve(brief, actor=operator())
    assert Brief.objects.get(pk=brief.pk).waits_for() == []
