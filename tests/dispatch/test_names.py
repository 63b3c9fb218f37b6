"""Names that become refs: judged where they enter, the same for every door, and never taken for something else."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from briefs.models import Link, Project, Token
from briefs.services import links, projects
from core.errors import Invalid
from core.refnames import is_commit_id, why_no_branch
from dispatch import merge as merging
from dispatch import services, tools
from tests.factories import git, identity, make_brief, make_project, make_repository, operator
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)
BAD = ["refs/heads/main", "refs/x", "-d", "a..b", "a b", "a~1", "a:b", "x.lock/y", "/x", "x/", ".x", "HEAD", "f" * 40]


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_a_branch_is_refused_by_page_and_tool(project, browser, name):
    brief = make_brief("Work", project)
    with pytest.raises(Invalid):
        tools.brief_dispatch(identity(operator(), Token.Scope.OPERATOR), brief.pk, branch=name)
    answer = browser.post(f"/briefs/{brief.pk}/dispatch/", {"branch": name})
    assert answer.status_code == 400
    assert not brief.dispatch_requests.exists()


@pytest.mark.parametrize("name", ["main", "flower/12-fix", "ünïcode", "a.b/c-d", "v1", "abc123", "@x"])
def test_what_can_be_a_branch_is_taken(name):
    assert why_no_branch(name) == ""


def test_a_stray_branch_that_is_named_like_a_whole_ref_confuses_nothing(project, finished, drive):
    git(project.path, "update-ref", "refs/heads/refs/heads/main", "HEAD")
    git(project.path, "commit", "-q", "--allow-empty", "-m", "Meanwhile")
    tip = git(project.path, "rev-parse", "HEAD")
    repository = worktrees.repository(project)
    assert repository.resolve("refs/heads/main") == repository.resolve("main") == tip
    assert repository.resolve("refs/heads/main~1") == git(project.path, "rev-parse", f"{tip}~1")
    merging.ask(finished, actor=operator())
    drive(finished, "done")
    assert git(project.path, "status", "--porcelain") == ""
    git(project.path, "switch", "-q", "--detach")
    git(project.path, "update-ref", "-d", "refs/heads/main")
    assert not repository.has_branch("main"), "git alone would answer with the stray one"


@pytest.mark.parametrize(
    ("kind", "target"), [("commit", "HEAD; rm -rf /"), ("commit", "main"), ("commit", "abc"), ("branch", "refs/x y")]
)
def test_a_link_to_what_is_no_commit_or_branch_is_refused(project, kind, target):
    brief = make_brief("Work", project)
    with pytest.raises(Invalid):
        links.add(brief, kind, target, actor=operator())
    assert not brief.links.exists()


def test_a_commit_is_linked_by_its_id(project):
    link = links.add(make_brief("Work", project), Link.Kind.COMMIT, "ABCDEF1", actor=operator())
    assert link.target == "abcdef1"
    assert is_commit_id("0" * 40)


# --- the prefix of agents' branches -----------------------------------------------------------------------------------


def test_a_repository_with_a_branch_named_flower_gets_another_prefix(home, kicks, tmp_path, drive):
    path = make_repository(tmp_path / "taken")
    git(path, "branch", "flower")
    project = projects.add(str(path))
    assert project.branch_prefix == "flower-2"
    request = services.dispatch(make_brief("Work", project), actor=operator())
    assert request.branch.startswith(f"flower-2/{request.brief_id}-")


def test_a_branch_named_flower_that_appears_later_is_stepped_around(project):
    git(project.path, "branch", "flower")
    request = services.dispatch(make_brief("Work", project), actor=operator())
    project.refresh_from_db()
    assert project.branch_prefix == "flower-2"
    assert request.branch.startswith("flower-2/")
    with pytest.raises(Invalid, match="There is a branch flower, so git can have none named flower/x"):
        services.dispatch(make_brief("More", project), actor=operator(), branch="flower/x")


def test_the_prefix_is_chosen_on_page_and_command(browser, home, kicks, tmp_path):
    path = make_repository(tmp_path / "own")
    with pytest.raises(CommandError, match="is no name for a branch"):
        call_command("project_add", str(path), "--branch-prefix", "refs/heads", stderr=StringIO())
    call_command("project_add", str(path), "--branch-prefix", "agents", stdout=StringIO(), stderr=StringIO())
    project = Project.objects.get()
    assert project.branch_prefix == "agents"
    browser.post("/projects/own/", {"branch_prefix": "bots"})
    project.refresh_from_db()
    assert project.branch_prefix == "bots"
    assert b"refs/x" in browser.post("/projects/own/", {"branch_prefix": "refs/x"}).content
    project.refresh_from_db()
    assert project.branch_prefix == "bots"


def test_a_repository_that_does_not_know_who_commits_is_added_with_a_warning(browser, home, kicks, tmp_path):
    out, err = StringIO(), StringIO()
    call_command("project_add", str(make_repository(tmp_path / "nobody")), stdout=out, stderr=err)
    assert out.getvalue() == "nobody\n"
    assert "user.name and user.email are not set" in err.getvalue()
    path = make_repository(tmp_path / "half")
    git(path, "config", "user.name", "Ann")
    page = browser.post("/projects/add/", {"path": str(path)}, follow=True)
    assert b"user.email is not set" in page.content
    git(path, "config", "user.email", "ann@example.org")
    assert projects.warnings(Project.objects.get(slug="half")) == []


def test_the_main_branch_of_a_project_is_no_whole_ref(tmp_path):
    with pytest.raises(Invalid):
        make_project(tmp_path / "x", main_branch="refs/heads/main")
