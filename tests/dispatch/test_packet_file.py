"""The packet's file is written into a checkout whose content others decide: it goes nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from briefs.models import Project
from briefs.services import projects
from dispatch import claims, machine, services
from dispatch.models import DispatchRequest
from tests.factories import agent, git, make_brief, make_repository, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def repository(home, kicks, tmp_path: Path) -> Path:
    return make_repository(tmp_path / "sample")


def prepared(repository: Path) -> DispatchRequest:
    """A claimed request on what the repository holds now, as far as the machine brings it."""
    git(repository, "add", "-f", ".")
    git(repository, "commit", "-q", "--allow-empty", "-m", "What somebody committed")
    project: Project = projects.add(str(repository))
    request = services.dispatch(make_brief("One", project), actor=operator())
    claims.claim(request, actor=agent())
    for _ in range(3):
        machine.advance(request.pk)
    request.refresh_from_db()
    return request


@pytest.mark.parametrize("name", ["packet.tmp", "packet.md"])
def test_a_link_in_the_folder_is_not_written_through(repository, tmp_path, drive, name):
    victim = tmp_path / "victim.txt"
    victim.write_text("precious\n")
    (repository / ".flower").mkdir()
    (repository / ".flower" / name).symlink_to(victim)
    request = prepared(repository)
    assert request.state == "running"
    assert victim.read_text() == "precious\n"
    packet = request.worktree.checkout / ".flower/packet.md"
    assert not packet.is_symlink()
    assert packet.read_text() == request.packet


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_that_is_none_ends_the_request_with_a_sentence(repository, drive, kind):
    if kind == "link":
        (repository / ".flower").symlink_to(repository / "src")
    else:
        (repository / ".flower").write_text("a file\n")
    request = prepared(repository)
    assert (request.state, request.failure_class) == ("failed", "worktree")
    assert request.failure.startswith("The packet cannot be written to ")
    assert git(repository, "status", "--porcelain") == ""
    assert [path.name for path in (repository / "src").iterdir()] == ["app.py"]


def test_a_worktree_that_became_a_link_gets_no_packet(repository, tmp_path, drive):
    first = prepared(repository)
    checkout = first.worktree.checkout
    checkout.rename(tmp_path / "moved")
    checkout.symlink_to(repository)
    services.fail(first, "Enough.", actor=operator())
    second = services.dispatch(make_brief("Two", first.project), actor=operator(), worktree=first.worktree)
    claims.claim(second, actor=agent())
    machine.advance(second.pk)
    second.refresh_from_db()
    assert (second.state, second.failure_class) == ("failed", "worktree")
    assert not (repository / ".flower").exists()
