"""Worktrees that were left behind: all that hold nothing go in one act, whatever holds work stays."""

from __future__ import annotations

import shutil

import pytest

from briefs.models import Token
from briefs.services import actors
from dispatch import claims, services
from dispatch.models import DispatchRequest
from tests.factories import agent, git, make_brief, make_project, operator
from worktrees import services as worktrees
from worktrees import tasks
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def left(project, drive):
    """``left()``: a worktree whose request was called off."""

    def make() -> Worktree:
        request = services.dispatch(make_brief("Work", project), actor=operator())
        claims.claim(request, actor=agent(f"worker-{request.pk}"))
        drive(request, "running")
        services.cancel(request, "not so", actor=operator())
        return request.worktree

    return make


def going() -> set[int]:
    return set(Worktree.objects.filter(state__in=["removing", "removed"]).values_list("pk", flat=True))


def test_what_holds_nothing_goes_and_what_holds_work_stays(project, left, drive):
    empty, dirty, untracked, committed, merged, captured, missing, lane, unmade = (left() for _ in range(9))
    (dirty.checkout / "README.md").write_text("# Mine\n")
    (untracked.checkout / "new.txt").write_text("new\n")
    for worktree in (committed, merged, captured):
        git(worktree.checkout, "commit", "-q", "--allow-empty", "-m", f"In {worktree.pk}")
    git(project.path, "merge", "-q", merged.branch)
    Worktree.objects.filter(pk=captured.pk).update(captured_sha=git(captured.checkout, "rev-parse", "HEAD"))
    shutil.rmtree(missing.path)
    Worktree.objects.filter(pk=lane.pk).update(keep=Worktree.Keep.LANE)
    shutil.rmtree(unmade.path)
    Worktree.objects.filter(pk=unmade.pk).update(state="failed", failure="no such branch")
    held = services.dispatch(make_brief("More", project), actor=operator())
    claims.claim(held, actor=agent("busy"))
    drive(held, "running")

    tidied = worktrees.remove_empty(Worktree.objects.all(), actor=operator())
    assert going() == {empty.pk, merged.pk, captured.pk, unmade.pk}
    assert (tidied.going, tidied.kept, tidied.unseen) == (4, 4, 0)
    for number in going():
        tasks.remove(number)
    assert set(Worktree.objects.filter(state="removed").values_list("pk", flat=True)) == going()
    assert not empty.checkout.exists()
    assert git(project.path, "branch", "--list", empty.branch)
    assert (untracked.checkout / "new.txt").exists()
    assert held.worktree.checkout.is_dir()


def test_what_there_was_no_time_for_is_told(left):
    left(), left()
    assert worktrees.remove_empty(Worktree.objects.all(), actor=operator(), seconds=-1) == worktrees.Tidied(0, 0, 2)
    assert going() == set()


def test_the_page_offers_it_and_says_what_came_of_it(project, left, browser):
    assert "Remove all that hold nothing" not in browser.get("/worktrees/").content.decode()
    empty, dirty = left(), left()
    (dirty.checkout / "new.txt").write_text("new\n")
    page = browser.get("/worktrees/").content.decode()
    assert 'action="/worktrees/remove-empty/" data-confirm="Remove all worktrees' in page
    answer = browser.post("/worktrees/remove-empty/", follow=True).content.decode()
    assert "1 worktree that held nothing is removed; the branches stay. 1 holds work and stays." in answer
    assert going() == {empty.pk}


def test_it_is_for_who_orchestrates_and_within_the_limits_of_the_token(project, left, client, tmp_path):
    empty = left()
    other = make_project(tmp_path / "other", slug="other")
    for scope, limit, status in (
        (Token.Scope.READONLY, None, 403),
        (Token.Scope.OPERATOR, other, 302),
    ):
        token = actors.issue_token(operator(), scope, project=limit)[0]
        answer = client.post("/worktrees/remove-empty/", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == status, scope
        assert going() == set()
    token = actors.issue_token(operator(), Token.Scope.OPERATOR, project=project)[0]
    client.post("/worktrees/remove-empty/", headers={"authorization": f"Bearer {token}"})
    assert going() == {empty.pk}
    assert DispatchRequest.objects.count() == 1
