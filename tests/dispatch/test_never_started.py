"""Processes that were never started, or whose folder went: they hold up neither requests nor cleaning."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta

import pytest

from briefs.models import Token
from core.errors import Conflict
from daemons.models import Process
from daemons.services import processes, programs
from dispatch import claims, machine, services
from dispatch import merge as merging
from tests.factories import agent, git, identity, make_brief, operator
from tests.system.running import until
from worktrees import services as worktrees
from worktrees import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def nothing_is_removed(monkeypatch):
    monkeypatch.setattr(tasks.remove, "delay", lambda number: None)


@pytest.fixture
def broken(home, settings):
    """``broken(True)``: a file stands where the holders' sockets belong, so that none can be started."""

    def set_to(so: bool) -> None:
        if so:
            settings.FLOWER.run.write_text("")
        else:
            settings.FLOWER.run.unlink(missing_ok=True)

    yield set_to
    if settings.FLOWER.run.is_file():
        settings.FLOWER.run.unlink()


@pytest.fixture
def later(monkeypatch):
    """``later()``: the half minute is over in which a holder may still be coming."""
    return lambda: monkeypatch.setattr(processes, "STARTS_WITHIN", timedelta(0))


def test_an_agent_whose_holder_cannot_be_started_lets_its_worktree_go(project, drive, broken, later):
    broken(True)
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    request = services.dispatch(make_brief("One", project), actor=operator(), agent="worker")
    drive(request, "failed")
    assert request.failure_class == "spawn"
    assert request.failure.startswith("The holder cannot be started: ")
    machine.sweep()
    with pytest.raises(Conflict, match=r"may be starting in worktree .*; stop it first, or wait\."):
        worktrees.ask_removal(request.worktree, actor=operator())
    later()
    machine.sweep()
    request.process.refresh_from_db()
    assert request.process.state == "not started"
    assert request.process.error == request.failure
    assert machine.unfinished() == []
    worktrees.remove(request.worktree, actor=operator())
    assert not request.worktree.checkout.exists()


def test_an_agent_that_is_called_off_before_its_start_lets_its_worktree_go(project, drive, later, monkeypatch):
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    request = services.dispatch(make_brief("One", project), actor=operator(), agent="worker")

    def killed(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(processes, "launch", killed)  # stands for kill -9 of the worker between the row and the start
        machine.advance(request.pk)
    request.refresh_from_db()
    machine.sweep()
    assert request.process.phase == "starting", "a successor goes on"
    services.cancel(request, "no", actor=operator())
    later()
    machine.advance(request.pk)
    request.process.refresh_from_db()
    assert request.process.state == "not started"
    processes.launch(request.process, ["/bin/true"])
    assert not request.process.run_dir.exists(), "what has ended is not started"
    worktrees.ask_removal(request.worktree, actor=operator())


def test_a_setup_command_that_cannot_be_started_fails_the_request(project, drive, broken):
    broken(True)
    project.setup_command = "true"
    project.save()
    request = services.dispatch(make_brief("One", project), actor=operator())
    claims.claim(request, actor=agent())
    drive(request, "failed")
    assert request.failure_class == "worktree"
    assert request.failure.startswith("The setup command was not started: The holder cannot be started: ")


def test_a_gate_that_cannot_be_started_refuses_the_merge_and_leaves_no_scratch(project, drive, home, broken, later):
    project.gates = ["true"]
    project.save()
    request = services.dispatch(make_brief("One", project), actor=operator())
    me = identity(agent(), Token.Scope.AGENT)
    claims.claim(request, actor=me.actor)
    drive(request, "running")
    (request.worktree.checkout / "new.txt").write_text("new\n")
    git(request.worktree.checkout, "add", ".")
    git(request.worktree.checkout, "commit", "-qm", "Work")
    services.complete(request, identity=me)
    broken(True)
    merging.ask(request, actor=operator())
    drive(request, "finished")
    assert request.failure.startswith("The merge stopped: The holder cannot be started: ")
    broken(False)
    later()
    until(lambda: machine.sweep() == [] and not list((home / "scratch").iterdir()), "the scratch worktree goes")
    assert Process.objects.get(purpose="gate").state == "not started"
    merging.ask(request, actor=operator())
    drive(request, "done")


def test_a_run_whose_folder_was_deleted_is_lost_when_it_has_ended(project, drive):
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    request = services.dispatch(make_brief("One", project), actor=operator(), agent="worker")
    drive(request, "running")
    process = request.process
    processes.sweep()
    process.refresh_from_db()
    away = process.run_dir.with_name("away")
    process.run_dir.rename(away)
    machine.sweep()
    process.refresh_from_db()
    assert process.phase == "running", "it lives"
    os.killpg(os.getpgid(process.pid), 9)
    until(lambda: not processes._is_alive(process.pid), "it ends")
    process.run_dir.parent.rename(process.run_dir.parent.with_name("unmounted"))
    assert processes.observe(process).phase == "running", "the disk may come back"
    process.run_dir.parent.with_name("unmounted").rename(process.run_dir.parent)
    shutil.rmtree(away)
    drive(request, "failed")
    process.refresh_from_db()
    assert (request.failure_class, process.phase) == ("lost", "lost")


def test_a_process_that_cannot_be_read_does_not_hide_the_others(project, drive):
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    one, two = [
        services.dispatch(make_brief(title, project), actor=operator(), agent="worker") for title in ("One", "Two")
    ]
    drive(one, "running")
    drive(two, "running")
    (one.process.run_dir / "exit.json").write_text("{")
    os.killpg(os.getpgid(two.process.pid), 9)
    until(lambda: (two.process.run_dir / "exit.json").exists(), "the holder has written the end")
    assert processes.sweep() == 2
    two.process.refresh_from_db()
    assert two.process.state == "killed (9)"
    (one.process.run_dir / "exit.json").unlink()
