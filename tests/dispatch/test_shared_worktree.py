"""Two agents in one worktree: each has its packet and its trailer, and a merge waits for the other."""

from __future__ import annotations

import pytest

from daemons.services import programs
from dispatch import claims, machine, outlook, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from dispatch.next_step import Code
from tests.factories import agent, git, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)


def beside(project, first: DispatchRequest, drive, program: str = "") -> DispatchRequest:
    brief = make_brief("Another piece of work", project)
    made = services.dispatch(brief, actor=operator(), worktree=first.worktree, agent=program)
    if not program:
        claims.claim(made, actor=agent("other"))
    return drive(made, "running")


def test_each_has_its_own_packet(project, finished, drive):
    second = beside(project, finished, drive)
    folder = finished.worktree.checkout / ".flower"
    assert (folder / f"packet-{finished.pk}.md").read_text() == finished.packet
    assert (folder / f"packet-{second.pk}.md").read_text() == second.packet
    assert git(finished.worktree.checkout, "status", "--porcelain") == ""


@pytest.mark.parametrize(("told", "trailer"), [("77", "#77"), ("7; rm -rf /", None), ("", None)])
def test_commits_name_the_brief_of_whoever_makes_them(project, finished, drive, monkeypatch, told, trailer):
    monkeypatch.setenv("FLOWER_BRIEF", told)
    tree = finished.worktree.checkout
    (tree / "more.txt").write_text("more\n")
    git(tree, "add", ".")
    git(tree, "commit", "-qm", "More")
    found = git(tree, "log", "-1", "--format=%(trailers:key=Brief,valueonly)")
    assert found == (trailer or f"#{finished.brief_id}")


def test_a_merge_waits_for_a_run_on_the_same_branch_and_goes_on_by_itself(project, finished, drive):
    programs.register("idler", ["/bin/sleep", "60"])
    second = beside(project, finished, drive, "idler")
    merging.ask(finished, actor=operator())
    for _ in range(3):
        machine.advance(finished.pk)
    finished.refresh_from_db()
    assert finished.state == "merging" and not finished.merge_sha
    step = outlook.of_request(finished)
    assert (step.code, step.other) == (Code.WAIT_FOR_RUN, second.pk)
    services.cancel(second, "no need", actor=operator())
    assert drive(finished, "done").merge_sha


def test_its_own_run_does_not_hold_a_merge_up(project, finished, drive):
    merging.ask(finished, actor=operator())
    assert drive(finished, "done").merge_sha
