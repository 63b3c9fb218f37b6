from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import git as gitpython
import pytest

from tests.worktrees import Place
from worktrees.git import Conflict, GitError, RefMoved


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_clean_merge_becomes_a_commit_without_touching_the_checkout(place: Place) -> None:
    source = place.commit_aside({"new.txt": "new\n"})
    place.write({"a.txt": "uno\n"})
    target = place.commit("on main")
    before = place.picture()
    repo = place.repo
    merged = repo.merge_tree(target, source)
    assert merged.clean
    ada = gitpython.Actor("Ada Löve", "ada@example.org")
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    sha = repo.commit_tree(merged.require_clean(), [target, source], "Merge brief\n\nBrief: #1", author=ada, date=when)
    assert place.picture() == before
    with gitpython.Repo(place.main) as reader:
        commit = reader.commit(sha)
        assert [parent.hexsha for parent in commit.parents] == [target, source]
        assert commit.author == ada
        assert commit.committer.name == "flower"
        assert commit.authored_datetime == when
        assert {blob.path for blob in commit.tree.blobs} == {"a.txt", "b.txt", "new.txt"}
    # Both times and names are given: the same commit again is the same id.
    assert sha == repo.commit_tree(merged.tree, [target, source], "Merge brief\n\nBrief: #1\n", author=ada, date=when)


def test_a_conflict_names_its_files_and_touches_nothing(place: Place) -> None:
    source = place.commit_aside({"a.txt": "theirs\n", "dir/ü 1.txt": "theirs\n", "b.txt": "fine\n"})
    place.write({"a.txt": "ours\n", "dir/ü 1.txt": "ours\n"})
    target = place.commit("ours")
    place.write({"local.txt": "mine"})
    before = place.picture()
    merged = place.repo.merge_tree(target, source)
    assert sorted(merged.conflicts) == ["a.txt", "dir/ü 1.txt"]
    assert "CONFLICT (content): Merge conflict in a.txt" in merged.messages
    with pytest.raises(Conflict, match=r"Merge conflict in a\.txt") as caught:
        merged.require_clean()
    assert sorted(caught.value.files) == ["a.txt", "dir/ü 1.txt"]
    assert place.picture() == before


def test_unrelated_histories_are_an_error_with_a_sentence(place: Place) -> None:
    place.git("checkout", "-q", "--orphan", "lone")
    lone = place.commit("lone")
    with pytest.raises(GitError, match="unrelated histories"):
        place.repo.merge_tree(place.first, lone)


def test_the_swap_moves_the_ref_and_says_why(place: Place) -> None:
    new = place.commit_aside({"a.txt": "uno\n"})
    with place.repo.lock():
        place.repo.compare_and_swap("refs/heads/main", new, place.first, "flower: brief 12")
    assert place.git("rev-parse", "main") == new
    assert place.git("reflog", "-1", "--format=%gs", "main") == "flower: brief 12"


def test_a_lost_swap_says_where_the_ref_is_and_changes_nothing(place: Place) -> None:
    new = place.commit_aside({"a.txt": "uno\n"})
    moved = place.commit("somebody was faster")
    before = place.picture()
    with place.repo.lock():
        with pytest.raises(RefMoved) as caught:
            place.repo.compare_and_swap("refs/heads/main", new, place.first, "flower")
        assert (caught.value.expected, caught.value.found) == (place.first, moved)
        with pytest.raises(RefMoved) as caught:
            place.repo.compare_and_swap("refs/heads/gone", new, place.first, "flower")
        assert caught.value.found is None
    assert place.picture() == before


def test_a_branch_that_another_worktree_has_is_not_moved(place: Place) -> None:
    new = place.commit_aside({"a.txt": "uno\n"})
    path = place.worktree("w")
    before = place.picture(place.main, path)
    with place.repo.lock(), pytest.raises(GitError, match="checked out in the worktree"):
        place.repo.compare_and_swap("refs/heads/w", new, place.first, "flower")
    assert place.picture(place.main, path) == before
    # Also while it is detached only because it is being rebased.
    place.write({"a.txt": "w\n"}, path)
    tip = place.commit("w", path)
    other = place.commit_aside({"a.txt": "other\n"}, base=place.first)
    assert place.run("git", "rebase", other, cwd=path).returncode != 0
    with place.repo.lock():
        with pytest.raises(GitError, match="checked out in the worktree"):
            place.repo.compare_and_swap("refs/heads/w", new, tip, "flower")
        with pytest.raises(GitError, match="checked out in"):
            place.repo.delete_branch("w", tip)


@pytest.mark.parametrize("what", ["rebase", "merge", "bisect", "cherry-pick"])
def test_a_branch_is_not_moved_under_somebody_who_is_in_the_middle_of_something_on_it(place: Place, what: str) -> None:
    theirs = place.commit_aside({"a.txt": "theirs\n"})
    place.write({"a.txt": "ours\n"})
    ours = place.commit("ours")
    new = place.commit_aside({"b.txt": "new\n"})
    commands = {
        "rebase": ["rebase", theirs],
        "merge": ["merge", theirs],
        "bisect": ["bisect", "start", "main", place.first],
        "cherry-pick": ["cherry-pick", theirs],
    }
    place.run("git", *commands[what])
    before = place.picture()
    with (
        place.repo.lock(),
        pytest.raises(GitError, match=f"A {what} on main is under way in .*: finish or abort it there, then try again"),
    ):
        place.repo.compare_and_swap("refs/heads/main", new, ours, "flower")
    assert place.picture() == before
    place.git(*(["bisect", "reset"] if what == "bisect" else [what, "--abort"]))
    with place.repo.lock():
        place.repo.compare_and_swap("refs/heads/main", new, ours, "flower")


def test_what_is_under_way_on_another_branch_holds_nothing_up(place: Place) -> None:
    theirs, new = place.commit_aside({"a.txt": "theirs\n"}), place.commit_aside({"b.txt": "new\n"})
    place.git("switch", "-qc", "mine")
    place.write({"a.txt": "ours\n"})
    place.commit("ours")
    assert place.run("git", "rebase", theirs).returncode == 1
    with place.repo.lock():
        place.repo.compare_and_swap("refs/heads/main", new, place.first, "flower")


@pytest.mark.parametrize("ref", ["main", "HEAD", "-d", "refs/heads/..", "refs/heads/a\nb", "refs/heads/-x y"])
def test_bad_refs_are_refused(place: Place, ref: str) -> None:
    with place.repo.lock(), pytest.raises(GitError, match="not a full ref name"):
        place.repo.compare_and_swap(ref, place.first, place.first, "r")


def test_a_symbolic_ref_is_not_moved(place: Place) -> None:
    place.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    with place.repo.lock(), pytest.raises(GitError, match="points to another"):
        place.repo.compare_and_swap("refs/heads/alias", place.first, place.first, "r")
