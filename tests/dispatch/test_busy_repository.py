"""Somebody else is at work in the repository: that is waited for, or refused whole. Nothing ends or is halved by it."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager

import pytest

from dispatch import claims, machine, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest, MergeLock
from tests.factories import agent, git, identity, make_brief, operator
from worktrees import git as plumbing

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def finish(project, drive):
    def finish(name: str) -> DispatchRequest:
        request = services.dispatch(make_brief("Work", project), actor=operator())
        me = identity(agent(f"worker-{request.pk}"))
        claims.claim(request, actor=me.actor)
        drive(request, "running")
        (request.worktree.checkout / name).write_text("new\n")
        git(request.worktree.checkout, "add", ".")
        git(request.worktree.checkout, "commit", "-qm", "Work")
        return services.complete(request, identity=me)

    return finish


@pytest.fixture
def finished(finish) -> DispatchRequest:
    return finish("new.txt")


@pytest.fixture
def impatient(monkeypatch):
    """Nobody waits half a minute for the repository."""
    real = plumbing.Repository.lock
    monkeypatch.setattr(plumbing.Repository, "lock", lambda self, timeout=0.05: real(self, timeout))


@contextmanager
def held(project):
    """Another thread has the repository, as a long refresh of MAIN has it."""
    holding, release = threading.Event(), threading.Event()

    def hold():
        with plumbing.Repository(project.path).lock():
            holding.set()
            release.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    assert holding.wait(10)
    try:
        yield
    finally:
        release.set()
        thread.join()


def test_a_worktree_waits_for_a_busy_repository(project, drive, impatient):
    request = services.dispatch(make_brief("Work", project), actor=operator())
    claims.claim(request, actor=agent("worker"))
    with held(project):
        machine.advance(request.pk)
        machine.advance(request.pk)
        request.refresh_from_db()
        assert (request.state, request.worktree.failure) == ("preparing", "")
    drive(request, "running")


def test_a_merge_waits_for_a_busy_repository(project, finished, drive, impatient):
    merging.ask(finished, actor=operator())
    with held(project):
        machine.advance(finished.pk)
        finished.refresh_from_db()
        assert (finished.state, finished.failure) == ("merging", "")
    drive(finished, "done")
    assert (project.path / "new.txt").exists()


def test_cleaning_up_waits_for_a_busy_repository(project, finished, drive, impatient):
    merging.ask(finished, actor=operator())
    with pytest.MonkeyPatch.context() as patch:

        def busy(self, path):
            raise plumbing.LockBusy("busy")

        patch.setattr(plumbing.Repository, "remove_worktree", busy)
        drive(finished, "done")
        machine.advance(finished.pk)
    machine.advance(finished.pk)
    finished.worktree.refresh_from_db()
    assert (finished.worktree.state, finished.worktree.failure) == ("removed", "")


def test_while_a_person_commits_in_main_a_merge_is_refused_whole(project, finished, drive):
    before = git(project.path, "rev-parse", "main")
    lock = project.path / ".git" / "index.lock"  # `git commit` keeps it while its editor is open
    lock.touch()
    merging.ask(finished, actor=operator())
    drive(finished, "finished")
    assert finished.failure.startswith("The merge stopped: ")
    assert "index.lock" in finished.failure
    assert git(project.path, "rev-parse", "main") == before
    lock.unlink()
    assert git(project.path, "status", "--porcelain") == ""
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    assert (project.path / "new.txt").read_text() == "new\n"
    assert git(project.path, "status", "--porcelain") == ""


def test_a_merge_that_landed_is_finished_when_the_repository_allows_it(project, finished, drive, monkeypatch):
    """A worker was killed after it had moved the ref, and its successor cannot write MAIN's files yet."""
    real, stopped = plumbing.Repository.refresh, []

    def refresh(self, branch, old, new, *, resuming=False):
        stopped.append(resuming)
        if not resuming:
            raise KeyboardInterrupt  # stands for kill -9
        if len(stopped) < 4:
            raise plumbing.GitError("the disk is full")
        return real(self, branch, old, new, resuming=True)

    monkeypatch.setattr(plumbing.Repository, "refresh", refresh)
    merging.ask(finished, actor=operator())
    with pytest.raises(KeyboardInterrupt):
        machine.advance(finished.pk)
    machine.advance(finished.pk)
    finished.refresh_from_db()
    assert finished.state == "merging"
    assert "The disk is full" in finished.failure
    drive(finished, "done")
    assert (finished.failure, stopped) == ("", [False, True, True, True])
    assert (project.path / "new.txt").read_text() == "new\n"
    assert git(project.path, "status", "--porcelain") == ""
    assert finished.brief.trace.filter(kind="merge").count() == 1


def test_who_takes_over_the_turn_first_finishes_what_a_killed_merge_left(project, finish, drive, monkeypatch):
    """The ref had moved, MAIN's files had not, and for longer than a turn lasts nobody came to finish it."""
    first, second = finish("first.txt"), finish("second.txt")
    real = plumbing.Repository.refresh

    def killed(self, *args, **kwargs):
        raise KeyboardInterrupt  # stands for kill -9

    monkeypatch.setattr(plumbing.Repository, "refresh", killed)
    merging.ask(first, actor=operator())
    with pytest.raises(KeyboardInterrupt):
        machine.advance(first.pk)
    monkeypatch.setattr(plumbing.Repository, "refresh", real)
    MergeLock.objects.update(expires_at="2020-01-01T00:00Z")

    merging.ask(second, actor=operator())
    machine.advance(second.pk)
    second.refresh_from_db()
    assert second.state == "done"
    drive(first, "done")
    assert git(project.path, "status", "--porcelain") == ""
    assert {path.name for path in project.path.glob("*.txt")} == {"first.txt", "second.txt"}
    assert git(project.path, "rev-list", "--count", "--first-parent", "main") == "3"


def test_the_gates_of_an_overtaken_attempt_are_stopped_and_their_scratch_goes(project, finished, drive, home, tmp_path):
    """A person commits while a gate runs: the merge begins again on top of that, in a scratch worktree of its own."""
    project.gates = [f"until [ -e {tmp_path / 'go'} ]; do sleep 0.02; done"]
    project.save()
    merging.ask(finished, actor=operator())
    machine.advance(finished.pk)
    git(project.path, "commit", "-q", "--allow-empty", "-m", "Meanwhile")
    machine.advance(finished.pk)
    first, second = finished.gate_runs.order_by("attempt")
    assert {path.name for path in (home / "scratch").iterdir()} == {f"{finished.pk}-1", f"{finished.pk}-2"}
    deadline = time.monotonic() + 20
    while (home / "scratch" / f"{finished.pk}-1").exists() and time.monotonic() < deadline:
        machine.sweep()
        time.sleep(0.05)
    assert {path.name for path in (home / "scratch").iterdir()} == {f"{finished.pk}-2"}
    first.process.refresh_from_db()
    second.process.refresh_from_db()
    assert (first.process.reason, second.process.phase) == ("stopped", "running")
    (tmp_path / "go").touch()
    drive(finished, "done")
    machine.sweep()
    assert list((home / "scratch").iterdir()) == []
    assert len(git(project.path, "worktree", "list").splitlines()) <= 2
