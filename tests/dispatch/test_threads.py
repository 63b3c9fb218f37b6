"""Long work never takes all of the worker's threads: who finds no place gives its thread back and comes again."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from briefs.services import projects, refining
from briefs.tasks import refine
from dispatch import claims, machine, services
from dispatch.models import DispatchRequest
from flower import celery, up
from tests.factories import agent, git, make_brief, operator
from worktrees import git as plumbing
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def claimed(project) -> DispatchRequest:
    request = services.dispatch(make_brief("Work", project), actor=operator())
    return claims.claim(request, actor=agent("worker"))


@contextmanager
def slots_taken(project, monkeypatch, folder: Path):
    """Two checkouts of somebody else have the host's slots, which are this test's own."""
    monkeypatch.setattr(plumbing.locks, "private_folder", lambda: folder)
    other = plumbing.Repository(project.path)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(other._fill_slot(1))
        yield


def test_a_step_does_not_wait_for_the_slow_checkouts_of_others(project, claimed, drive, monkeypatch, tmp_path):
    with slots_taken(project, monkeypatch, tmp_path / "slots"):
        begun = time.monotonic()
        machine.advance(claimed.pk)
        assert time.monotonic() - begun < 20  # it was 600
        claimed.refresh_from_db()
        assert (claimed.state, claimed.worktree.failure, claimed.stumbles) == ("preparing", "", 0)
    drive(claimed, "running")
    assert (claimed.worktree.checkout / "README.md").is_file()


def test_a_process_works_on_two_checkouts_or_removals_at_once(project, claimed, drive):
    with ExitStack() as stack:
        for _ in range(worktrees.LONG_AT_ONCE):
            stack.enter_context(worktrees.long_work())
        begun = time.monotonic()
        machine.advance(claimed.pk)
        assert time.monotonic() - begun < 20
        claimed.refresh_from_db()
        assert (claimed.state, claimed.worktree.failure) == ("preparing", "")
    drive(claimed, "running")


def test_while_checkouts_are_slow_the_rest_goes_on(project, claimed, drive, tmp_path):
    """Two checkouts that hang hold two threads; a third one's step, and the sweep, are quick."""
    go = tmp_path / "go"
    (project.path / ".gitattributes").write_text("README.md filter=slow\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Slow to check out")
    git(project.path, "config", "filter.slow.clean", "cat")
    git(project.path, "config", "filter.slow.smudge", f"sh -c 'until [ -e {go} ]; do sleep 0.05; done; cat'")
    projects.configure(project, git_programs=["slow"], actor=operator())
    slow = [services.dispatch(make_brief(f"Slow {number}", project), actor=operator()) for number in range(3)]
    for request in slow:
        claims.claim(request, actor=agent(f"worker-{request.pk}"))
    threads = [threading.Thread(target=machine.advance, args=(request.pk,), daemon=True) for request in slow[:2]]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 20
        while worktrees._long._value and time.monotonic() < deadline:
            time.sleep(0.02)
        begun = time.monotonic()
        machine.advance(slow[2].pk)
        machine.sweep()
        assert time.monotonic() - begun < 30
        assert all(thread.is_alive() for thread in threads)
    finally:
        go.touch()
        for thread in threads:
            thread.join(30)
    drive(slow[2], "running")


def test_questions_to_a_model_leave_threads_free(monkeypatch):
    release, asked = threading.Event(), []

    def work(number: int) -> None:
        asked.append(number)
        release.wait(20)

    monkeypatch.setattr(refining, "work", work)
    threads = [threading.Thread(target=refine, args=(number,)) for number in range(celery.ASKING_AT_ONCE)]
    for thread in threads:
        thread.start()
    try:
        deadline = time.monotonic() + 10
        while len(asked) < len(threads) and time.monotonic() < deadline:
            time.sleep(0.01)
        refine(99)  # dropped: its sweep kicks it again
    finally:
        release.set()
        for thread in threads:
            thread.join()
    assert 99 not in asked
    refine(100)
    assert 100 in asked


def test_the_worker_has_threads_left_for_what_is_short():
    assert worktrees.LONG_AT_ONCE + celery.ASKING_AT_ONCE <= up.WORKER_THREADS - 2
