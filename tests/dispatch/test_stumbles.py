"""What nobody foresaw: it is logged and tried again, and after a few tries it ends with a sentence. Nothing hangs."""

from __future__ import annotations

import shutil

import pytest

from core.errors import Invalid
from dispatch import claims, machine, services
from dispatch import merge as merging
from dispatch.merge import record as records
from tests.factories import agent, make_brief, operator
from worktrees import git as plumbing
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_worktree_whose_folder_is_gone_is_refused_at_dispatch(project, finished, drive):
    merging.ask(finished, actor=operator())
    Worktree.objects.update(keep=Worktree.Keep.LANE)
    drive(finished, "done")
    finished.worktree.refresh_from_db()
    shutil.rmtree(finished.worktree.path)
    with pytest.raises(Invalid, match=r"The folder of worktree .* is gone"):
        services.dispatch(make_brief("More", project), actor=operator(), worktree=finished.worktree)


def test_a_folder_that_goes_before_the_start_fails_the_request_with_a_sentence(project, finished, drive):
    """Somebody deletes it between the dispatch and the claim."""
    merging.ask(finished, actor=operator())
    Worktree.objects.update(keep=Worktree.Keep.LANE)
    drive(finished, "done")
    worktree = Worktree.objects.get()
    request = services.dispatch(make_brief("More", project), actor=operator(), worktree=worktree)
    moved = worktree.checkout.with_name("moved")
    worktree.checkout.rename(moved)
    claims.claim(request, actor=agent("worker"))
    for _ in range(machine.TRIES - 1):
        machine.advance(request.pk)
    request.refresh_from_db()
    assert (request.state, request.stumbles) == ("preparing", machine.TRIES - 1)
    moved.rename(worktree.checkout)  # a disk that comes back in time heals it
    drive(request, "running")
    assert request.stumbles == 0
    services.cancel(request, "again", actor=operator())

    request = services.dispatch(make_brief("Yet more", project), actor=operator(), worktree=worktree)
    shutil.rmtree(worktree.path)
    claims.claim(request, actor=agent("worker"))
    drive(request, "failed")
    assert request.failure_class == "internal"
    assert request.failure == (
        f"flower could not go on, {machine.TRIES} times: "
        f"The folder of worktree {worktree.name} is gone: {worktree.path}."
    )
    assert request.brief.trace.filter(kind="failed").get().body == request.failure
    request.brief.refresh_from_db()
    assert request.brief.status == "planned"


def test_an_unexpected_error_of_a_merge_refuses_it_and_the_next_one_has_its_turn(project, finished, drive, caplog):
    project.gates = 7  # as a hand on the database leaves it
    project.save()
    merging.ask(finished, actor=operator())
    drive(finished, "finished")
    assert finished.failure_class == "internal"
    assert "TypeError: 'int' object is not" in finished.failure
    assert finished.brief.trace.last().kind == "refused"
    assert sum("a step failed" in record.getMessage() for record in caplog.records) == machine.TRIES
    assert any(record.exc_info for record in caplog.records)
    project.gates = ["true"]
    project.save()
    merging.ask(finished, actor=operator())
    drive(finished, "done")


def test_a_hiccup_while_merging_repairs_itself(project, finished, drive, monkeypatch):
    real, calls = plumbing.Repository.merge_tree, []

    def merge_tree(self, *arguments):
        calls.append(arguments)
        if len(calls) < machine.TRIES:
            raise OSError(28, "No space left on device")
        return real(self, *arguments)

    monkeypatch.setattr(plumbing.Repository, "merge_tree", merge_tree)
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    assert (finished.failure, finished.stumbles) == ("", 0)


def test_an_unexpected_error_after_the_merge_landed_refuses_nothing(project, finished, drive):
    def record(*_, **__):
        raise RuntimeError("no record today")

    merging.ask(finished, actor=operator())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "done", record)
        for _ in range(machine.TRIES + 2):
            machine.advance(finished.pk)
    finished.refresh_from_db()
    assert finished.state == "merging"
    assert finished.failure.startswith("The merge has landed")
    machine.advance(finished.pk)
    finished.refresh_from_db()
    assert (finished.state, finished.failure) == ("done", "")


def test_a_scratch_folder_that_git_made_and_did_not_register_is_its_first_instant(project, finished, drive, home):
    """git was killed between its mkdir and its registration."""
    project.gates = ["test -f new.txt"]
    project.save()
    merging.ask(finished, actor=operator())
    (home / "scratch" / f"{finished.pk}-{finished.merge_attempt}").mkdir(parents=True)
    drive(finished, "done", "finished")
    assert (finished.state, finished.failure) == ("done", "")
