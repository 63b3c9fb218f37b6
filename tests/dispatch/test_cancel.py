"""Calling a request off: whatever runs for it is stopped, nothing is left that cannot be removed."""

from __future__ import annotations

import time

import pytest

from core.errors import Conflict
from dispatch import claims, machine, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest, MergeLock
from tests.factories import agent, git, make_brief, operator
from worktrees import git as plumbing
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)


def sweep_until(reached, *rows) -> None:
    """Sweep until something is so that no state of the request tells."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for row in rows:
            row.refresh_from_db()
        if reached():
            return
        machine.sweep()
        for number in machine.unfinished():
            machine.advance(number)
        time.sleep(0.01)
    pytest.fail("it did not come to that within 20 s")


def test_during_the_setup_command_stops_it_and_the_worktree_can_be_removed(project, drive):
    project.setup_command = "sleep 9999"
    project.save()
    request = services.dispatch(make_brief("A", project), actor=operator())
    claims.claim(request, actor=agent())
    drive(request, "preparing")
    worktree = request.worktree
    sweep_until(lambda: worktree.setup_process and worktree.setup_process.pid, worktree)
    services.cancel(request, "it hangs", actor=operator())
    sweep_until(lambda: worktree.state == "failed", worktree)
    assert worktree.failure == f"Dispatch {request.pk} ended (cancelled) before the worktree was ready."
    assert (worktree.setup_process.phase, worktree.setup_process.reason) == ("exited", "stopped")
    assert request.pk not in machine.unfinished()
    worktrees.remove(worktree, actor=operator())
    assert (worktree.state, worktree.checkout.exists()) == ("removed", False)


def test_a_merge_whose_gate_hangs_is_called_off_with_nothing_merged(project, finished, drive, home):
    project.gates = ["echo begun; sleep 9999", "touch never"]
    project.save()
    before = git(project.path, "rev-parse", "main")
    merging.ask(finished, actor=operator())
    machine.advance(finished.pk)
    run = finished.gate_runs.get()
    assert run.process.phase == "running"
    services.cancel(finished, "its gate hangs", actor=operator())
    assert (finished.state, finished.failure, finished.failure_class) == ("cancelled", "its gate hangs", "cancelled")
    sweep_until(lambda: run.passed is False, run)
    assert (run.why, run.process.reason) == ("was stopped by operator:mike", "stopped")
    assert "begun" in run.tail
    sweep_until(lambda: not list((home / "scratch").iterdir()))
    assert finished.gate_runs.count() == 1
    assert finished.pk not in machine.unfinished()
    assert MergeLock.objects.get().request is None
    assert git(project.path, "rev-parse", "main") == before
    assert git(project.path, "status", "--porcelain") == ""
    finished.brief.refresh_from_db()
    assert finished.brief.status == "planned"


@pytest.mark.parametrize("moment", ["refresh_would_overwrite", "compare_and_swap", "refresh"])
def test_a_merge_is_called_off_until_its_ref_moves_and_not_after(project, finished, drive, monkeypatch, moment):
    """The cancel comes from somewhere else, in the middle of the last step."""
    real, refused = getattr(plumbing.Repository, moment), []

    def meanwhile(self, *arguments, **options):
        try:
            services.cancel(DispatchRequest.objects.get(pk=finished.pk), "too late?", actor=operator())
        except Conflict as refusal:
            refused.append(refusal.sentence)
        return real(self, *arguments, **options)

    before = git(project.path, "rev-parse", "main")
    monkeypatch.setattr(plumbing.Repository, moment, meanwhile)
    merging.ask(finished, actor=operator())
    drive(finished, "done", "cancelled")
    if moment == "refresh_would_overwrite":
        assert (finished.state, refused) == ("cancelled", [])
        assert git(project.path, "rev-parse", "main") == before
        assert not (project.path / "new.txt").exists()
    else:
        assert finished.state == "done"
        assert "it is too late to call it off" in refused[0]
        assert (project.path / "new.txt").exists()
    assert git(project.path, "status", "--porcelain") == ""
    assert finished.brief.trace.filter(kind="failed").count() == (finished.state == "cancelled")
