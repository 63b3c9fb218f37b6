"""Calling a request off: whatever runs for it is stopped, nothing is left that cannot be removed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from dispatch import claims, machine, services
from tests.factories import agent, make_brief, make_project, operator
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def project(db, home, kicks, tmp_path: Path):
    return make_project(tmp_path / "sample", slug="sample")


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
