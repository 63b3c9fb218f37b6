from __future__ import annotations

from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import GitError

REF = "refs/flower/captured/w"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def capture(place: Place, path: Path, merged_into: str | None = None) -> str | None:
    with place.repo.lock():
        return place.repo.capture(path, REF, merged_into)


def test_everything_is_kept_and_nothing_is_touched(place: Place) -> None:
    path = place.worktree("w")
    place.write({"done.txt": "committed\n"}, path)
    tip = place.commit("never merged", path)
    place.write({".gitignore": "*.log\n", "x.log": "ignored\n", "-dash ü": "new\n", "a.txt": "staged\n"}, path)
    place.git("add", "a.txt", cwd=path)
    place.write({"a.txt": "staged, then changed\n", "b.txt": None, "dir/c.txt": "changed\n"}, path)
    (path / "link").symlink_to("nowhere")
    before = place.picture(path)
    del before["refs"]
    sha = capture(place, path)
    after = place.picture(path)
    del after["refs"]
    assert after == before
    assert sha == place.git("rev-parse", REF)
    assert place.git("rev-parse", f"{sha}^1") == tip
    files = place.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", str(sha)).splitlines()
    assert files == ["-dash ü", ".gitignore", "a.txt", "dir/c.txt", "done.txt", "link"]
    assert place.git("show", f"{sha}:a.txt") == "staged, then changed"
    assert place.git("show", f"{sha}^2:a.txt") == "staged"
    assert capture(place, path) == sha  # again, after a crash
    assert place.git("log", "-g", "--format=%gs", REF) == "flower capture"


def test_nothing_to_lose_is_none(place: Place) -> None:
    path = place.worktree("w")
    assert capture(place, path) is None
    assert capture(place, path, "main") is None
    assert place.git("for-each-ref", "refs/flower") == ""


def test_commits_that_were_never_merged_are_kept(place: Place) -> None:
    path = place.worktree("w")
    place.write({"done.txt": "x\n"}, path)
    tip = place.commit("never merged", path)
    assert capture(place, path) is None  # the branch still has them
    assert capture(place, path, "main") == tip
    place.git("checkout", "-q", "--detach", cwd=path)
    place.write({"more.txt": "x\n"}, path)
    lone = place.commit("on no branch", path)
    assert capture(place, path) == lone
    assert place.repo.is_ancestor(tip, REF)


def test_commits_on_a_detached_head_that_was_left_are_kept(place: Place) -> None:
    path = place.worktree("w")
    place.git("checkout", "-q", "--detach", cwd=path)
    place.write({"one.txt": "x\n"}, path)
    place.commit("one", path)
    place.write({"two.txt": "x\n"}, path)
    two = place.commit("two", path)
    place.git("checkout", "-q", place.first, cwd=path)
    place.write({"three.txt": "x\n"}, path)
    three = place.commit("three", path)
    place.git("checkout", "-q", "w", cwd=path)
    sha = capture(place, path, "main")
    assert sha
    assert set(place.git("rev-parse", f"{sha}^@").split()) == {place.first, two, three}
    assert place.git("rev-parse", f"{sha}^{{tree}}") == place.git("rev-parse", f"{place.first}^{{tree}}")
    assert capture(place, path, "main") == sha  # again, after a crash
    place.write({"new.txt": "x\n"}, path)
    again = capture(place, path, "main")
    assert again and again != sha
    assert place.repo.is_ancestor(sha, again)


def test_amended_and_rebased_commits_are_no_find(place: Place) -> None:
    path = place.worktree("w")
    place.write({"one.txt": "x\n"}, path)
    place.commit("one", path)
    place.git("commit", "-q", "--amend", "-m", "one, amended", cwd=path)
    onto = place.commit_aside({"b.txt": "theirs\n"})
    place.git("rebase", "-q", onto, cwd=path)
    place.git("reset", "-q", "--hard", place.first, cwd=path)
    assert capture(place, path, "main") is None


def test_an_earlier_capture_stays_reachable(place: Place) -> None:
    path = place.worktree("w")
    place.write({"new.txt": "one\n"}, path)
    one = capture(place, path)
    place.write({"new.txt": "two\n"}, path)
    two = capture(place, path)
    assert one and two and one != two
    assert place.repo.is_ancestor(one, two)


def test_a_stopped_rebase_and_a_conflict_are_kept(place: Place) -> None:
    path = place.worktree("w")
    other = place.commit_aside({"a.txt": "theirs\n"})
    place.write({"a.txt": "ours\n"}, path)
    tip = place.commit("ours", path)
    assert place.run("git", "rebase", other, cwd=path).returncode == 1
    before = place.picture(path)
    del before["refs"]
    sha = capture(place, path)
    after = place.picture(path)
    del after["refs"]
    assert after == before
    assert sha
    assert place.repo.is_ancestor(tip, sha)
    assert "<<<<<<<" in place.git("show", f"{sha}:a.txt")


@pytest.mark.parametrize(
    "marks", [["--assume-unchanged"], ["--skip-worktree"], ["--skip-worktree", "--assume-unchanged"]]
)
def test_edits_that_git_was_told_not_to_see_are_seen(place: Place, marks: list[str]) -> None:
    path = place.worktree("w")
    for mark in marks:
        place.git("update-index", mark, "a.txt", cwd=path)
    place.write({"a.txt": "hidden edit\n"}, path)
    before = place.git("ls-files", "-v", cwd=path)
    sha = capture(place, path)
    assert place.git("show", f"{sha}:a.txt") == "hidden edit"
    assert place.git("ls-files", "-v", cwd=path) == before


def test_work_outside_of_a_sparse_checkout_is_kept_and_lets_the_worktree_go(place: Place) -> None:
    path = place.worktree("w")
    place.git("sparse-checkout", "set", "--no-cone", "/a.txt", cwd=path)
    assert not (path / "b.txt").exists()
    place.write({"b.txt": "written anew\n", "dir/new.txt": "new\n"}, path)
    sha = capture(place, path)
    assert place.git("diff", "--name-status", place.first, str(sha)).split() == ["M", "b.txt", "A", "dir/new.txt"]
    with place.repo.lock():
        place.repo.discard_changes(path)
        place.repo.remove_worktree(path)
    assert not path.exists()


def test_a_half_filled_worktree_has_no_deletions(place: Place) -> None:
    path = place.folder / "w"
    with place.repo.lock():
        place.repo.create_branch("w", place.first, "o")
        place.repo.add_worktree(path, "w", "o")
        assert place.repo.capture(path, REF) is None
        place.write({"a.txt": "one\n", "mine.txt": "mine\n"}, path)
        sha = place.repo.capture(path, REF)
    assert place.git("diff", "--name-status", place.first, str(sha)) == "A\tmine.txt"
    assert not (place.main / ".git/worktrees/w/index").exists()


def test_a_repository_inside_is_said_aloud(place: Place) -> None:
    path = place.worktree("w")
    place.git("init", "-q", str(path / "inner"))
    place.write({"inner/x": "x\n"}, path)
    place.commit("inner", path / "inner")
    place.write({"new.txt": "new\n"}, path)
    place.git("init", "-q", str(path / "unborn"))
    place.write({"unborn/x": "x\n"}, path)
    with pytest.raises(GitError, match=r"inner/, unborn/: repositories of their own.*the rest is saved as"):
        capture(place, path)
    assert place.git("show", f"{REF}:new.txt") == "new"


@pytest.mark.parametrize("ref", ["refs/heads/x", "refs/flower", "x", "refs/flower/..", "-d"])
def test_only_private_refs(place: Place, ref: str) -> None:
    with place.repo.lock(), pytest.raises(GitError):
        place.repo.capture(place.main, ref)
