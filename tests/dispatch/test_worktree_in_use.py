"""A worktree stays while a request works in it; one whose worktree went all the same is failed, with a sentence."""

from __future__ import annotations

import pytest

from core.errors import Conflict
from daemons.services import processes, programs
from dispatch import claims, machine, services
from dispatch.models import DispatchRequest
from tests.factories import agent, git, make_brief, operator
from tests.system.running import until
from worktrees import services as worktrees
from worktrees import tasks
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_is_removed(monkeypatch):
    monkeypatch.setattr(tasks.remove, "delay", lambda number: None)


@pytest.fixture
def held(project, drive) -> DispatchRequest:
    """A request that an agent of somebody else's works on, in its worktree."""
    request = services.dispatch(make_brief("One", project), actor=operator())
    claims.claim(request, actor=agent())
    return drive(request, "running")


def test_a_worktree_is_not_removed_under_a_claim(held):
    with pytest.raises(Conflict, match=rf"^Dispatch {held.pk}, which is running, works in worktree "):
        worktrees.ask_removal(held.worktree, actor=operator())
    with pytest.raises(Conflict):
        worktrees.remove(held.worktree, actor=operator())
    held.worktree.refresh_from_db()
    assert held.worktree.state == "ready"
    assert held.worktree.checkout.is_dir()
    services.cancel(held, "no", actor=operator())
    worktrees.remove(held.worktree, actor=operator())
    assert not held.worktree.checkout.exists()


def test_a_worktree_whose_request_was_called_off_before_it_was_ready_can_be_removed(project, drive):
    project.setup_command = "sleep 60"
    project.save()
    request = services.dispatch(make_brief("One", project), actor=operator())
    claims.claim(request, actor=agent())
    machine.advance(request.pk)
    request.refresh_from_db()
    services.cancel(request, "no", actor=operator())
    worktree = Worktree.objects.get(pk=request.worktree_id)
    assert worktree.state == "preparing"
    setup = worktree.setup_process
    with pytest.raises(Conflict, match=f"^Process {setup.pk} still runs in worktree "):
        worktrees.ask_removal(worktree, actor=operator())
    processes.stop(setup)
    until(lambda: processes.observe(setup).has_ended, "the setup command is stopped")
    worktrees.remove(worktree, actor=operator())
    assert not worktree.checkout.exists()


def test_a_worktree_that_was_only_planned_can_be_removed(project, drive):
    request = services.dispatch(make_brief("One", project), actor=operator())
    planned = machine._plan_worktree(request)
    services.cancel(request, "no", actor=operator())
    worktrees.remove(planned, actor=operator())
    assert planned.state == "removed"


@pytest.mark.parametrize("state", ["removing", "removed"])
def test_a_dispatch_into_a_worktree_that_goes_meanwhile_fails(held, project, drive, state):
    worktree = held.worktree
    services.fail(held, "no", actor=operator())
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    second = services.dispatch(
        make_brief("Two", project), actor=operator(), agent="worker", worktree=Worktree.objects.get(pk=worktree.pk)
    )
    Worktree.objects.filter(pk=worktree.pk).update(state=state)  # asked for in the same moment
    machine.advance(second.pk)
    second.refresh_from_db()
    assert (second.state, second.failure_class) == ("failed", "worktree")
    assert f"Worktree {worktree.name} was removed before the work in it began" in second.failure


def test_a_worktree_that_became_a_link_to_another_takes_nothing_of_it_away(held, project, drive, tmp_path):
    other = services.dispatch(make_brief("Two", project), actor=operator())
    claims.claim(other, actor=agent("other"))
    drive(other, "running")
    (other.worktree.checkout / "work.txt").write_text("not committed\n")
    checkout = held.worktree.checkout
    checkout.rename(tmp_path / "moved")
    checkout.symlink_to(other.worktree.checkout)
    services.fail(held, "no", actor=operator())
    with pytest.raises(Conflict, match="is a link to another folder, not a worktree: it was left alone"):
        worktrees.remove(held.worktree, actor=operator())
    assert (other.worktree.checkout / "work.txt").exists()

    checkout.unlink()
    (tmp_path / "moved").rename(checkout)
    held.worktree.refresh_from_db()
    assert held.worktree.state == "removing"
    assert held.worktree.failure.startswith(f"Worktree {held.worktree.name} was not removed: ")
    worktrees.ask_removal(held.worktree, actor=operator())  # asked again, now that the reason is gone
    held.worktree.refresh_from_db()
    assert held.worktree.failure == ""
    tasks.remove(held.worktree.pk)
    held.worktree.refresh_from_db()
    assert held.worktree.state == "removed"


def test_work_in_a_reused_worktree_names_the_brief_that_it_is_for(held, project, drive):
    """Also when it goes back to the first one."""
    seen = []
    for brief in (make_brief("Two", project), held.brief):
        services.cancel(DispatchRequest.objects.latest("pk"), "next", actor=operator())
        worktree = Worktree.objects.get(pk=held.worktree_id)
        request = services.dispatch(brief, actor=operator(), worktree=worktree)
        claims.claim(request, actor=agent())
        drive(request, "running")
        git(worktree.checkout, "commit", "-q", "--allow-empty", "-m", "Work")
        seen.append(git(worktree.checkout, "log", "-1", "--format=%(trailers:key=Brief,valueonly)"))
        assert seen[-1] == f"#{brief.pk}"
    assert len(set(seen)) == 2
