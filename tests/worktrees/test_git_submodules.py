"""Submodules and other repositories inside a worktree, with real git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import GitError, SubmoduleFailed
from worktrees.git.submodules import relative_url

REFS = "refs/flower/captured-inner/7"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def library(place: Place) -> Path:
    """A repository elsewhere that is the submodule libs/sub of MAIN, checked out there."""
    path = place.folder / "library"
    path.mkdir()
    place.git("init", "-q", "-b", "main", cwd=path)
    place.git("config", "receive.denyCurrentBranch", "ignore", cwd=path)
    (path / "s.txt").write_text("one\n")
    place.commit("s1", path)
    place.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(path), "libs/sub")
    place.commit("with sub")
    return path


def ready(place: Place, name: str = "task") -> Path:
    path = place.worktree(name)
    assert place.repo.prepare_submodules(path) == ["libs/sub"]
    return path


def remove(place: Place, path: Path) -> list:
    repo = place.repo
    with repo.lock():
        inner = repo.inner_repositories(path)
        saved = repo.capture_inner(path, inner, REFS)
        repo.capture(path, "refs/flower/captured/7", merged_into="main", inside=[one.path for one in inner])
        repo.discard_inner(path, inner)
        repo.discard_changes(path)
        repo.remove_worktree(path)
    assert not path.exists()
    return saved


def test_a_submodule_is_made_ready_from_the_store_of_main_without_its_remote(place: Place, library: Path) -> None:
    before = (place.main / ".git/config").read_text()
    library.rename(place.folder / "gone")
    path = ready(place)
    assert (path / "libs/sub/s.txt").read_text() == "one\n"
    assert place.git("status", "--porcelain", cwd=path) == ""
    assert place.git("submodule", "status", cwd=path).startswith(" ")
    assert place.git("remote", "get-url", "origin", cwd=path / "libs/sub") == str(library)
    assert "submodule.libs/sub.url" not in before.replace("worktreeConfig", "")
    after = (place.main / ".git/config").read_text().replace("[extensions]\n\tworktreeConfig = true\n", "")
    assert after == before, "MAIN's settings are its own"
    place.repo.prepare_submodules(path)  # again, as after a crash


def test_a_submodule_that_nobody_has_here_fails_with_its_name(place: Place, library: Path) -> None:
    import shutil

    library.rename(place.folder / "gone")
    shutil.rmtree(place.main / ".git/modules")
    path = place.worktree("task")
    with pytest.raises(SubmoduleFailed, match="The submodule libs/sub could not be made ready") as failed:
        place.repo.prepare_submodules(path)
    assert failed.value.path == "libs/sub"


def test_a_clone_that_was_killed_is_made_again(place: Place, library: Path) -> None:
    path = place.worktree("task")
    store = place.main / ".git/worktrees/task/modules/libs/sub"
    (store / "objects").mkdir(parents=True)
    (store / "HEAD").write_text("ref: refs/heads/main\n")
    assert place.repo.prepare_submodules(path) == ["libs/sub"]
    assert (path / "libs/sub/s.txt").exists()


def test_submodules_in_submodules_come_too(place: Place, library: Path) -> None:
    deep = place.folder / "deep"
    deep.mkdir()
    place.git("init", "-q", "-b", "main", cwd=deep)
    (deep / "d.txt").write_text("deep\n")
    place.commit("d1", deep)
    allow = ("-c", "protocol.file.allow=always")
    place.git(*allow, "submodule", "--quiet", "add", "../deep", "deep", cwd=library)
    place.commit("with deep", library)
    place.git(*allow, "-C", "libs/sub", "pull", "-q", str(library), "main")
    place.commit("deeper")
    place.git(*allow, "submodule", "--quiet", "update", "--init", "--recursive")
    deep.rename(place.folder / "gone")
    path = place.worktree("task")
    assert place.repo.prepare_submodules(path) == ["libs/sub", "libs/sub/deep"]
    assert (path / "libs/sub/deep/d.txt").read_text() == "deep\n"
    assert place.git("submodule", "status", "--recursive", cwd=path).count("\n ") == 1
    (path / "libs/sub/deep/d.txt").write_text("changed\n")
    saved = remove(place, path)
    assert [one.path for one in saved] == ["libs/sub/deep"]


def test_a_gitlink_without_a_name_is_found(place: Place) -> None:
    path = place.worktree("task")
    place.git("init", "-q", "inner", cwd=path)
    (path / "inner/f").write_text("1")
    place.commit("i", path / "inner")
    head = place.commit("embed", path)
    assert place.repo.unnamed_gitlinks(place.first, head, "main") == ["inner"]
    assert place.repo.unnamed_gitlinks(head, head, "main") == []
    assert place.repo.unnamed_gitlinks(place.first, head, head) == [], "main has it already"


def test_a_moved_pointer_counts_as_lost_until_it_is_pushed(place: Place, library: Path) -> None:
    base = place.git("rev-parse", "main")
    path = ready(place)
    (path / "libs/sub/s.txt").write_text("two\n")
    sub = place.commit("s2", path / "libs/sub")
    head = place.commit("move sub", path)
    assert place.repo.unpublished_submodules(base, head, path) == ["libs/sub"]
    place.git("push", "-q", "origin", "HEAD:main", cwd=path / "libs/sub")
    assert place.repo.unpublished_submodules(base, head, path) == []
    assert place.repo.unpublished_submodules(base, head, None) == [], "the remote has it"
    place.repo.carry_submodules(base, head, path)
    library.rename(place.folder / "gone")
    assert place.repo.unpublished_submodules(base, head, None) == [], "MAIN's store has it"
    assert place.git("cat-file", "-t", sub, cwd=place.main / "libs/sub") == "commit"


@pytest.mark.parametrize("how", ["on a branch", "changed", "elsewhere", "filter"])
def test_a_submodule_of_main_that_somebody_works_in_is_left_alone(place: Place, library: Path, how: str) -> None:
    sub = place.main / "libs/sub"
    old = place.git("rev-parse", "main")
    (sub / "s.txt").write_text("two\n")
    place.commit("s2", sub)
    new = place.commit("moved")
    place.git("checkout", "-q", "--detach", "HEAD~1" if how != "elsewhere" else "HEAD", cwd=sub)
    if how == "on a branch":
        place.git("checkout", "-q", "-b", "mine", cwd=sub)
    if how == "changed":
        (sub / "s.txt").write_text("mine\n")
    if how == "filter":
        place.git("config", "filter.x.smudge", "false", cwd=sub)
    before = (sub / "s.txt").read_text()
    with place.repo.lock():
        assert place.repo.bring_submodules_along(old, new) == []
    assert (sub / "s.txt").read_text() == before


def test_a_submodule_of_main_that_nobody_works_in_comes_along(place: Place, library: Path) -> None:
    sub = place.main / "libs/sub"
    old = place.git("rev-parse", "main")
    (sub / "s.txt").write_text("two\n")
    place.commit("s2", sub)
    new = place.commit("moved")
    place.git("checkout", "-q", "--detach", "HEAD~1", cwd=sub)
    with place.repo.lock():
        assert place.repo.bring_submodules_along(old, new) == ["libs/sub"]
    assert place.git("status", "--porcelain") == ""


def test_a_worktree_with_a_submodule_goes_and_what_it_held_is_kept(place: Place, library: Path) -> None:
    path = ready(place)
    sub = path / "libs/sub"
    (sub / "s.txt").write_text("two\n")
    lost = place.commit("pushed nowhere", sub)
    (sub / "s.txt").write_text("three\n")
    (sub / "new.txt").write_text("new\n")
    saved = remove(place, path)
    assert [(one.path, one.git_dir) for one in saved] == [("libs/sub", place.main / ".git/modules/libs/sub")]
    store = place.main / "libs/sub"
    assert place.git("show", f"{saved[0].ref}:new.txt", cwd=store) == "new"
    assert place.git("show", f"{saved[0].ref}:s.txt", cwd=store) == "three"
    assert place.git("merge-base", "--is-ancestor", lost, saved[0].ref, cwd=store) == ""


def test_a_submodule_without_work_leaves_nothing_behind(place: Place, library: Path) -> None:
    assert remove(place, ready(place)) == []
    assert place.git("for-each-ref", "refs/flower") == ""


@pytest.mark.parametrize("committed", [True, False])
def test_an_inner_repository_goes_and_what_it_held_is_kept(place: Place, committed: bool) -> None:
    path = place.worktree("task")
    place.git("init", "-q", "-b", "main", "inner", cwd=path)
    (path / "inner/f").write_text("1")
    if committed:
        place.commit("i", path / "inner")
        place.git("branch", "idea", cwd=path / "inner")
        place.git("commit", "-q", "--amend", "--allow-empty", "-m", "amended", cwd=path / "inner")
    (path / "inner/g").write_text("2")
    (path / "own.txt").write_text("own\n")
    saved = remove(place, path)
    assert [one.path for one in saved] == ["inner"]
    assert place.git("show", f"{saved[0].ref}:g") == "2"
    assert place.git("show", f"{saved[0].ref}:f") == "1"
    assert place.git("ls-tree", "--name-only", "refs/flower/captured/7").split() == ["a.txt", "b.txt", "dir", "own.txt"]


def test_a_filter_that_an_inner_repository_names_is_not_run(place: Place) -> None:
    path = place.worktree("task")
    place.git("init", "-q", "inner", cwd=path)
    mark = place.folder / "ran"
    place.git("config", "filter.evil.clean", f"touch {mark}; cat", cwd=path / "inner")
    (path / "inner/.gitattributes").write_text("* filter=evil\n")
    (path / "inner/f").write_text("1")
    saved = remove(place, path)
    assert place.git("show", f"{saved[0].ref}:f") == "1"
    assert not mark.exists()


def test_an_inner_repository_that_cannot_be_captured_keeps_the_worktree(place: Place) -> None:
    path = place.worktree("task")
    place.git("init", "-q", "inner", cwd=path)
    place.git("config", "core.worktree", str(place.folder), cwd=path / "inner")
    with place.repo.lock():
        inner = place.repo.inner_repositories(path)
        with pytest.raises(GitError, match="Inner is a repository of its own, and what it holds could not be captured"):
            place.repo.capture_inner(path, inner, REFS)
        with pytest.raises(GitError, match="unsaved work"):
            place.repo.remove_worktree(path)
    assert (path / "inner").is_dir()


def test_a_submodule_is_no_project(place: Place, library: Path) -> None:
    from worktrees.git import Repository

    problems = Repository(place.main / "libs/sub").validate("main")
    assert problems == [f"{place.main}/libs/sub is a submodule of {place.main}: give that one, or a clone of its own"]


@pytest.mark.parametrize(
    ("origin", "url", "whole"),
    [
        ("https://host/team/app.git", "../lib.git", "https://host/team/lib.git"),
        ("git@host:team/app.git", "../lib.git", "git@host:team/lib.git"),
        ("git@host:app.git", "../lib.git", "git@host:lib.git"),
        ("/srv/app/", "./lib", "/srv/app/lib"),
        ("/srv/team/app", "../../lib", "/srv/lib"),
    ],
)
def test_relative_addresses_are_read_as_git_reads_them(origin: str, url: str, whole: str) -> None:
    assert relative_url(origin, url) == whole


def test_the_tests_need_no_allowance_for_files() -> None:
    """Else the tests above would prove nothing about what flower allows itself."""
    done = subprocess.run(["git", "config", "--get", "protocol.file.allow"], capture_output=True, text=True)
    assert done.stdout == ""
