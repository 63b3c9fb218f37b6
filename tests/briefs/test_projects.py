"""Adding repositories: what cannot be worked on is refused with a sentence."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from briefs.models import Project
from briefs.services import projects
from core.errors import Conflict, Invalid
from tests.factories import git, make_repository, operator
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db


def test_a_repository_is_added_with_what_it_says_of_itself(tmp_path):
    make_repository(tmp_path / "My Project")
    out = StringIO()
    call_command("project_add", str(tmp_path / "My Project"), "--gate", "make test", "--gate", "true", stdout=out)
    project = Project.objects.get()
    assert out.getvalue().strip() == project.slug == "my-project"
    assert (project.main_branch, project.gates, project.auto_merge) == ("main", ["make test", "true"], False)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        ("missing", "does not exist"),
        ("plain", "not a git repository"),
        ("empty", "no commit yet"),
        ("bare", "bare"),
        ("subfolder", "is a folder inside the repository"),
        ("branch", "no branch named 'trunk'"),
        ("relative", "not an absolute path"),
        ("detached", "no branch checked out"),
    ],
)
def test_what_cannot_be_worked_on_is_refused(tmp_path, prepare, words):
    path, branch = tmp_path / "x", ""
    if prepare == "plain":
        path.mkdir()
    elif prepare == "empty":
        path.mkdir()
        git(path, "init", "-q", "-b", "main")
    elif prepare == "bare":
        path.mkdir()
        git(path, "init", "-q", "--bare")
    elif prepare == "subfolder":
        path = make_repository(path) / "src"
    elif prepare == "branch":
        branch = "trunk"
        make_repository(path)
    elif prepare == "detached":
        git(make_repository(path), "checkout", "-q", "--detach")
    text = "x" if prepare == "relative" else str(path)
    with pytest.raises(Invalid, match=words):
        projects.add(text, main_branch=branch)
    assert not Project.objects.exists()


def test_the_same_repository_or_name_twice_is_refused(tmp_path):
    make_repository(tmp_path / "a")
    make_repository(tmp_path / "b")
    projects.add(str(tmp_path / "a"), slug="one")
    with pytest.raises(Conflict, match="is project 'one' already"):
        projects.add(str(tmp_path / "a"), slug="two")
    with pytest.raises(Conflict, match="a project 'one' already"):
        projects.add(str(tmp_path / "b"), slug="one")
    with pytest.raises(CommandError, match="no project name"):
        call_command("project_add", str(tmp_path / "b"), "--slug", "Bad Name")


def test_what_a_script_left_empty_is_refused(tmp_path):
    make_repository(tmp_path / "a")
    with pytest.raises(CommandError, match="The path is empty"):
        call_command("project_add", "")
    with pytest.raises(CommandError, match="A gate is empty"):
        call_command("project_add", str(tmp_path / "a"), "--gate", "true", "--gate", " ")
    assert not Project.objects.exists()


def test_who_types_a_project_s_address_is_led_to_its_place_on_the_page(browser, project):
    answer = browser.get(f"/projects/{project.slug}/")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/projects/#project-{project.slug}")
    assert browser.get("/projects/nowhere/").status_code == 404


# --- programs that git may run ----------------------------------------------------------------------------------------


def test_an_operator_allows_a_filter_by_name_with_the_commands_of_that_moment(tmp_path, browser):
    root = make_repository(tmp_path / "sample")
    git(root, "config", "filter.strip.clean", "strip --all")
    git(root, "config", "merge.npm.driver", "npm-merge %A")
    project = projects.add(str(root), slug="sample")
    assert project.git_programs == {}

    with pytest.raises(Invalid, match=r"'nothing'.*npm, strip"):
        projects.configure(project, git_programs=["nothing"], actor=operator())
    form = {"setup_command": "", "gates": "", "branch_prefix": "flower"}
    assert browser.post("/projects/sample/", {**form, "git_programs": "strip, npm"}).status_code == 302
    project.refresh_from_db()
    assert project.git_programs == {"filter.strip.clean": "strip --all", "merge.npm.driver": "npm-merge %A"}

    git(root, "config", "filter.strip.clean", "evil")
    browser.post("/projects/sample/", {**form, "gates": "true", "git_programs": "strip"})
    project.refresh_from_db()
    assert project.git_programs == {"filter.strip.clean": "strip --all"}
    assert worktrees.repository(project).allowed == project.git_programs
    browser.post("/projects/sample/", {**form, "git_programs": ""})
    browser.post("/projects/sample/", {**form, "git_programs": "strip"})
    project.refresh_from_db()
    assert project.git_programs == {"filter.strip.clean": "evil"}
    assert b"filter.strip.clean = evil" in browser.get("/projects/").content
