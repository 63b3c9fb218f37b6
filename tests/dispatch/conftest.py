"""A flower without its processes: kicks are only noted, and the tests drive the machine the way the sweep does."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemons.models import Process
from daemons.services import processes
from dispatch import claims, machine, services, tasks
from dispatch.merge import mainline
from dispatch.models import DispatchRequest
from tests.factories import GIT_ENV, agent, git, identity, make_brief, make_project, operator


@pytest.fixture
def home(tmp_path: Path, settings, monkeypatch) -> Path:
    """A state folder of the test's own; agents started in it are ended with the test."""
    for name, value in GIT_ENV.items():
        monkeypatch.setenv(name, value)
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "home", max_concurrent=4)
    settings.FLOWER.home.mkdir()
    return settings.FLOWER.home


@pytest.fixture
def looks(monkeypatch) -> set[int]:
    """The projects whose main branch is to be looked at; nothing runs by itself."""
    noted: set[int] = set()
    monkeypatch.setattr(tasks.look_at_main, "delay", noted.add)
    return noted


@pytest.fixture
def kicks(monkeypatch, looks) -> list[int]:
    """The numbers that were kicked; nothing runs by itself."""
    noted: list[int] = []
    monkeypatch.setattr(tasks.advance, "delay", noted.append)
    return noted


@pytest.fixture
def project(db, home, kicks, tmp_path: Path):
    return make_project(tmp_path / "sample", slug="sample")


@pytest.fixture
def drive(db, home, kicks, looks) -> Iterator[Callable[..., DispatchRequest]]:
    """``drive(request, "running")``: sweep until the request is in that state; fails after 20 s, saying where it is."""

    def until_state(
        request: DispatchRequest,
        *states: str,
        seconds: float = 20,
        until: Callable[[DispatchRequest], object] = lambda _: True,
    ) -> DispatchRequest:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            request.refresh_from_db()
            if request.state in states and until(request):
                return request
            machine.sweep()
            for number in sorted(looks):
                mainline.look(number)
            looks.clear()
            for number in sorted({*kicks, *machine.unfinished()}):  # the oldest first, as the sweep does
                machine.advance(number)
            kicks.clear()
            time.sleep(0.01)
        pytest.fail(f"dispatch {request.pk} is {request.state} ({request.failure}), not {states}")

    yield until_state
    for process in Process.objects.exclude(phase__in=Process.ENDED):
        processes.stop(process)


@pytest.fixture
def finished(project, drive) -> DispatchRequest:
    """A request whose work, a new file, is committed and complete."""
    request = services.dispatch(make_brief("Work", project), actor=operator())
    me = identity(agent("worker"))
    claims.claim(request, actor=me.actor)
    drive(request, "running")
    (request.worktree.checkout / "new.txt").write_text("new\n")
    git(request.worktree.checkout, "add", ".")
    git(request.worktree.checkout, "commit", "-qm", "Work")
    return services.complete(request, identity=me)
