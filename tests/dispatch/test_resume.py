"""Going on where a run stopped: in its worktree, on its branch, once its agent is gone. Real git, real agents."""

from __future__ import annotations

import json
import os
import signal

import pytest

from daemons.holder import process_stat
from daemons.models import Process
from daemons.services import programs
from daemons.terminal import facts
from dispatch import claims, leftovers, machine, outlook, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from dispatch.next_step import Code, Who
from tests.factories import agent, git, identity, make_brief, operator
from tests.system.running import until

pytestmark = pytest.mark.django_db(transaction=True)
# Leaves a commit and two changed files, then goes on; TERM and HUP do not impress it.
STUBBORN = """
trap '' TERM HUP
echo one > committed.txt; git add committed.txt; git commit -qm "The first half"
echo changed >> README.md; echo new > new.txt; touch ../ready-$FLOWER_DISPATCH
while true; do sleep 0.1; done
"""


def begin(project, drive, script: str) -> DispatchRequest:
    programs.register("worker", ["/bin/sh", "-c", script])
    request = services.dispatch(make_brief("Work", project), actor=operator(), agent="worker")
    drive(request, "running")
    ready = request.worktree.checkout.parent / f"ready-{request.pk}"
    until(ready.exists, "the agent has done its half")
    return request


def test_a_resume_waits_until_the_cancelled_runs_agent_is_gone(project, drive, browser):
    first = begin(project, drive, STUBBORN)
    services.cancel(first, "not like this", actor=operator())
    second = services.retry(first, actor=operator())
    assert (second.kind, second.worktree_id) == ("resume", first.worktree_id)
    drive(second, "preparing")
    for _ in range(3):
        machine.advance(first.pk)
        machine.advance(second.pk)
    second.refresh_from_db()
    assert (second.state, second.process) == ("preparing", None)
    step = outlook.of_request(second)
    assert (step.code, step.who, step.other) == (Code.WAIT_FOR_STOP, Who.FLOWER, first.pk)
    assert step.waits and f"The agent of dispatch {first.pk} is being stopped" in step.sentence
    assert "is being stopped" in browser.get(second.get_absolute_url()).content.decode()
    drive(second, "running")
    old, new = Process.objects.get(pk=first.process_id), Process.objects.get(pk=second.process_id)
    assert (old.phase, old.exit_signal) == ("exited", signal.SIGKILL)
    assert old.ended_at <= new.started_at
    assert outlook.of_request(second).code == Code.WORK


def test_who_claims_by_hand_waits_for_it_too(project, drive):
    first = begin(project, drive, STUBBORN)
    services.cancel(first, "not like this", actor=operator())
    second = services.dispatch(first.brief, actor=operator())
    assert second.kind == "resume"
    claims.claim(second, actor=agent("by-hand"))
    machine.advance(second.pk)
    second.refresh_from_db()
    assert (second.state, outlook.of_request(second).code) == ("preparing", Code.WAIT_FOR_STOP)
    drive(second, "running")
    assert Process.objects.get(pk=first.process_id).has_ended


def test_an_agent_that_outlives_its_holder_is_ended_before_the_next_begins(project, drive):
    first = begin(project, drive, STUBBORN)
    pid = first.process.pid
    holder = _holder(first)
    os.kill(holder, signal.SIGKILL)
    drive(first, "failed")
    assert first.failure_class == "lost" and facts(first.process.run_dir).phase == "lost"
    assert is_alive(pid), "a hang-up does not end it"
    second = services.retry(first, actor=operator())
    drive(second, "running")
    assert not is_alive(pid)
    (entry,) = first.brief.trace.filter(kind="process", data__state="stopped")
    assert (entry.data["process"], entry.actor_ref) == (first.process_id, "system")


def test_a_request_that_is_called_off_in_the_midst_of_its_start_starts_nothing(project, drive, monkeypatch):
    programs.register("worker", ["/bin/sleep", "60"])
    request = services.dispatch(make_brief("Work", project), actor=operator(), agent="worker")
    real = machine._plan_process

    def cancelled_before(row, worktree):
        services.cancel(DispatchRequest.objects.get(pk=row.pk), "no", actor=operator())
        return real(row, worktree)

    monkeypatch.setattr(machine, "_plan_process", cancelled_before)
    drive(request, "cancelled")
    assert request.process is None and not Process.objects.exists()


# --- the whole way ----------------------------------------------------------------------------------------------------

FINISHES = """
git add -A; git commit -qm "The second half"; touch ../ready-$FLOWER_DISPATCH; sleep 60
"""


@pytest.mark.parametrize("end", ["lost", "failed", "cancelled"])
def test_a_run_that_stopped_half_way_is_gone_on_with_and_merged(project, drive, end):
    project.gates = ["test -f committed.txt && test -f new.txt"]
    project.save()
    first = begin(project, drive, STUBBORN.replace("trap '' TERM HUP", ""))
    if end == "lost":
        os.kill(_holder(first), signal.SIGKILL)
    elif end == "failed":
        os.kill(first.process.pid, signal.SIGKILL)
    else:
        services.cancel(first, "it takes too long", actor=operator())
    drive(first, {"lost": "failed"}.get(end, end), until=lambda row: _process(row).has_ended)
    assert first.failure_class == {"failed": "exited"}.get(end, end)
    left = leftovers.of_run(first)
    assert (left.commits, left.changed, left.untracked) == (1, ("README.md",), ("new.txt",))
    first.brief.refresh_from_db()
    assert first.brief.status == "planned"

    programs.register("worker", ["/bin/sh", "-c", FINISHES])
    second = services.retry(first, actor=operator())
    assert (second.kind, second.branch, second.base_sha) == ("resume", first.branch, first.base_sha)
    assert second.worktree_id == first.worktree_id
    half = git(first.worktree.checkout, "rev-parse", "HEAD")
    for told in ("The first half", half[:12], "`README.md`", "`new.txt`", f"dispatch {first.pk}"):
        assert told in second.packet, told
    drive(second, "running")
    until((second.worktree.checkout.parent / f"ready-{second.pk}").exists, "the second agent has committed")
    run = identity(second.claimed_by, "run", brief=second.brief_id, run=second.pk)
    services.complete(second, identity=run, summary="Both halves.")
    assert second.state == "finished"
    merging.ask(second, actor=operator())
    drive(second, "done")

    subjects = git(project.path, "log", "--format=%s", "main").splitlines()
    assert {"The first half", "The second half"} <= set(subjects)
    trailers = git(project.path, "log", "--no-merges", "--format=%(trailers:key=Brief,valueonly)", "main~1..main")
    assert set(trailers.split()) == {f"#{first.brief_id}"}
    assert (project.path / "new.txt").read_text() == "new\n"
    assert (project.path / "README.md").read_text().endswith("changed\n")
    assert git(project.path, "status", "--porcelain") == ""
    second.brief.refresh_from_db()
    first.refresh_from_db()
    assert (second.brief.status, first.merge_sha) == ("complete", "")
    assert second.brief.trace.filter(kind="dispatched", data__resumes=first.pk).exists()


def is_alive(pid: int) -> bool:
    try:
        return process_stat(pid)[0] not in "ZX"  # nobody may be there who reaps it
    except OSError:
        return False


def _process(request: DispatchRequest) -> Process:
    return Process.objects.get(pk=request.process_id)


def _holder(request: DispatchRequest) -> int:
    return int(json.loads((request.process.run_dir / "pid.json").read_text())["holder_pid"])
