from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import GitError, RefMoved


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds that stale.py waits are for real hosts."""
    monkeypatch.setattr("worktrees.git.stale.YOUNG", 0.3)
    monkeypatch.setattr("worktrees.git.stale.PATIENCE", 0.3)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- branches ----------------------------------------------------------------------------------------------------------


def test_a_branch_is_made_once_and_its_owner_may_ask_again(place: Place) -> None:
    repo = place.repo
    other = place.commit("second")
    with repo.lock():
        repo.create_branch("task", place.first, "worktree 7")
        repo.create_branch("task", place.first, "worktree 7")  # after a crash
        before = place.picture()
        with pytest.raises(GitError, match="is there already"):
            repo.create_branch("task", place.first, "worktree 8")
        with pytest.raises(GitError, match="is there already"):
            repo.create_branch("task", other, "worktree 7")
        with pytest.raises(GitError, match="is there already"):
            repo.create_branch("main", other, "worktree 7")
        with pytest.raises(GitError, match="cannot"):
            repo.create_branch("task/sub", other, "worktree 7")
        assert place.picture() == before
        place.git("update-ref", "refs/heads/task", other)
        with pytest.raises(GitError, match="is there already"):
            repo.create_branch("task", place.first, "worktree 7")  # it has moved on: somebody worked there


@pytest.mark.parametrize("name", ["-d", "--force", "a b", "a..b", "x.lock", "", "HEAD", "@{-1}", "a\nb"])
def test_bad_branch_names_are_refused(place: Place, name: str) -> None:
    with place.repo.lock(), pytest.raises(GitError, match="is no name for a branch"):
        place.repo.create_branch(name, place.first, "o")


def test_a_branch_is_deleted_only_where_it_is_expected(place: Place) -> None:
    other = place.commit("second")
    repo = place.repo
    with repo.lock():
        repo.create_branch("täsk", place.first, "o")
        with pytest.raises(RefMoved):
            repo.delete_branch("täsk", other)
        with pytest.raises(GitError, match="checked out"):
            repo.delete_branch("main", other)
        repo.delete_branch("täsk", place.first)
        assert list(repo.branches()) == ["main"]
        repo.delete_branch("täsk", place.first)  # again: gone is gone


# -- making and filling ------------------------------------------------------------------------------------------------


def test_eight_threads_at_once_all_get_whole_worktrees(place: Place) -> None:
    barrier = threading.Barrier(8)

    def make(number: int) -> Path:
        repo = place.repository()
        path = place.folder / f"parent{number}" / "same-name"
        barrier.wait()
        with repo.lock(timeout=30):
            repo.create_branch(f"task-{number}", place.first, f"o{number}")
            repo.add_worktree(path, f"task-{number}", f"o{number}")
            repo.install_hook(path, f"Brief: #{number}")
        repo.fill_worktree(path, place.first)
        return path

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(make, range(8)))
    for number, path in enumerate(paths):
        status = place.repo.status(path)
        assert (status.clean, status.branch, status.head) == (True, f"task-{number}", place.first)
        assert (path / "dir/c.txt").read_text() == "three\n"
    assert len(place.repo.worktrees()) == 9


def test_eight_processes_at_once_all_get_whole_worktrees(place: Place) -> None:
    script = """
import sys
from pathlib import Path
from worktrees.git import Repository
main, path, name, sha, locks = sys.argv[1:]
repo = Repository(main, lock_folder=Path(locks))
sys.stdin.read()
with repo.lock():
    repo.create_branch(name, sha, name)
    repo.add_worktree(Path(path), name, name)
    repo.exclude(Path(path), "packet.md")
repo.fill_worktree(Path(path), sha)
"""
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                script,
                place.main,
                place.folder / f"w{n}",
                f"task-{n}",
                place.first,
                place.folder / "l",
            ],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
        )
        for n in range(8)
    ]
    for process in processes:
        assert process.stdin
        process.stdin.close()
    assert [process.wait(60) for process in processes] == [0] * 8
    assert all(place.repo.status(place.folder / f"w{n}").clean for n in range(8))


def test_names_with_spaces_and_unicode(place: Place) -> None:
    path = place.worktree("wörk tree -x", branch="täsk/--odd'name")
    entry = place.repo.worktrees()[1]
    assert (entry.path, entry.branch, entry.lock_reason) == (path, "täsk/--odd'name", "flower test")
    assert place.repo.status(path).clean
    with place.repo.lock():
        place.repo.remove_worktree(path)
    assert not path.exists()


def test_a_collision_is_refused_and_changes_nothing(place: Place) -> None:
    repo = place.repo
    theirs = place.worktree("theirs")
    place.write({"note.txt": "keep me"}, place.folder / "occupied")
    (place.folder / "a file").write_text("x")
    (place.folder / "dangling").symlink_to(place.folder / "nowhere")
    with repo.lock():
        repo.create_branch("task", place.first, "me")
        before = place.picture(place.main, theirs)
        for name in ("occupied", "a file", "dangling", "theirs", "main"):
            with pytest.raises(GitError, match=r"already|is there"):
                repo.add_worktree(place.folder / name, "task", "me")
        with pytest.raises(GitError, match="already checked out"):
            repo.add_worktree(place.folder / "new", "theirs", "me")
        with pytest.raises(GitError, match="no branch named"):
            repo.add_worktree(place.folder / "new", "nope", "me")
        with pytest.raises(GitError, match="absolute"):
            repo.add_worktree(Path("relative"), "task", "me")
    assert place.picture(place.main, theirs) == before
    assert (place.folder / "occupied/note.txt").read_text() == "keep me"
    assert not (place.folder / "new").exists()


def test_our_own_half_made_worktree_is_continued(place: Place) -> None:
    repo, path = place.repo, place.folder / "w"
    with repo.lock():
        repo.create_branch("task", place.first, "me")
        repo.add_worktree(path, "task", "me")
        repo.add_worktree(path, "task", "me")
        with pytest.raises(GitError, match="already a worktree"):
            repo.add_worktree(path, "task", "somebody else")
    repo.fill_worktree(path, place.first)
    with repo.lock():
        repo.add_worktree(path, "task", "me")
    repo.fill_worktree(path, place.first)
    assert repo.status(path).clean


@pytest.mark.parametrize("stage", ["folder only", "no .git", "no HEAD", "folder gone"])
def test_a_worktree_whose_making_was_killed_very_early_is_made_again(place: Place, stage: str) -> None:
    repo, path = place.repo, place.folder / "w"
    with repo.lock():
        repo.create_branch("task", place.first, "me")
        if stage == "folder only":
            path.mkdir()
        else:
            repo.add_worktree(path, "task", "me")
            admin = place.main / ".git/worktrees/w"
            if stage == "no HEAD":
                (admin / "HEAD").write_text("0" * 40 + "\n")
            else:
                (path / ".git").unlink()
            if stage == "folder gone":
                path.rmdir()
        repo.add_worktree(path, "task", "me")
    repo.fill_worktree(path, place.first)
    assert repo.status(path).branch == "task"
    assert len(repo.worktrees()) == 2


def test_a_killed_fill_is_filled_again(place: Place) -> None:
    marker = place.folder / "marker"
    place.write({f"f{n}.txt": "text\n" for n in range(50)} | {".gitattributes": "f25.txt filter=slow\n"})
    place.git("config", "filter.slow.clean", "cat")
    sha = place.commit("many")
    place.git("config", "filter.slow.smudge", f"sh -c 'touch {marker}; sleep 60; cat'")
    repo, path = place.repo, place.folder / "w"
    with repo.lock():
        repo.create_branch("task", sha, "me")
        repo.add_worktree(path, "task", "me")
    locks = place.folder / "locks"
    script = f"""
from pathlib import Path
from worktrees.git import Repository
repo = Repository({str(place.main)!r}, lock_folder=Path({str(locks)!r}))
repo.allowed = repo.configured_programs()
repo.fill_worktree(Path({str(path)!r}), {sha!r}, workers=1)
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    _wait_for(marker.exists)
    process.kill()
    process.wait()
    place.git("config", "filter.slow.smudge", "cat")
    repo.allowed = repo.configured_programs()
    with pytest.raises(GitError, match="being filled by somebody else"):  # the orphan is still at it
        repo.fill_worktree(path, sha, timeout=0.3)
    with repo.lock(), pytest.raises(GitError, match="being filled"):
        repo.remove_worktree(path)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _works_in(entry, path):
            os.killpg(os.getpgid(int(entry.name)), signal.SIGKILL)
            break
    assert (place.main / ".git/worktrees/w/index.lock").exists()
    assert 0 < len(list(path.glob("f*.txt"))) < 50
    repo.fill_worktree(path, sha)
    assert repo.status(path).clean


def _works_in(entry: Path, path: Path) -> bool:
    try:
        return (entry / "comm").read_text() == "git\n" and (entry / "cwd").readlink() == path
    except OSError:
        return False


def test_fill_leaves_a_stale_lock_while_somebody_is_there(place: Place) -> None:
    repo, path = place.repo, place.folder / "w"
    with repo.lock():
        repo.create_branch("task", place.first, "me")
        repo.add_worktree(path, "task", "me")
    lock = place.main / ".git/worktrees/w/index.lock"
    lock.touch()
    visitor = subprocess.Popen(["sleep", "60"], cwd=path)
    try:
        with pytest.raises(GitError, match=f"process {visitor.pid}"):
            repo.fill_worktree(path, place.first)
    finally:
        visitor.kill()
        visitor.wait()
    repo.fill_worktree(path, place.first)
    assert not lock.exists()


def test_a_filled_worktree_with_work_in_it_is_never_filled_again(place: Place) -> None:
    path = place.worktree("w")
    place.write({"a.txt": "work\n", "new.txt": "work\n"}, path)
    before = place.picture(path)
    with pytest.raises(GitError, match=r"does not hold exactly .*: a\.txt, new\.txt"):
        place.repo.fill_worktree(path, place.first)
    assert place.picture(path) == before
    place.commit("work", path)
    with pytest.raises(GitError, match="not filled"):
        place.repo.fill_worktree(path, place.first)
    with pytest.raises(GitError, match="main checkout"):
        place.repo.fill_worktree(place.main, place.first)


def test_a_worktree_without_its_git_file_never_becomes_the_main_checkout(place: Place) -> None:
    path = place.main / ".flower/w"
    with place.repo.lock():
        place.repo.create_branch("task", place.first, "me")
        place.repo.add_worktree(path, "task", "me")
    (path / ".git").unlink()
    place.write({"a.txt": "a person's\n"})
    for act in (place.repo.fill_worktree,):
        with pytest.raises(GitError, match="not a worktree"):
            act(path, place.first)
    assert (place.main / "a.txt").read_text() == "a person's\n"


def test_two_fills_at_once_on_one_host(place: Place) -> None:
    repo, path = place.repo, place.folder / "w"
    with repo.lock():
        repo.create_branch("task", place.first, "me")
        repo.add_worktree(path, "task", "me")
    other = place.repository()
    with other._fill_slot(1), other._fill_slot(1), pytest.raises(GitError, match="filling 2 other"):
        repo.fill_worktree(path, place.first, timeout=0.2)
    repo.fill_worktree(path, place.first)


# -- status ------------------------------------------------------------------------------------------------------------


def test_status_tells_kinds_apart(place: Place) -> None:
    path = place.worktree("w")
    place.write({"a.txt": "changed\n", "new ü.txt": "x", "-dash": "x", "b.txt": None, "folder/deep.txt": "x"}, path)
    place.git("add", "--", "-dash", "b.txt", cwd=path)
    found = place.repo.status(path)
    assert found.staged == ["-dash", "b.txt"]
    assert found.unstaged == ["a.txt"]
    assert found.untracked == ["folder/deep.txt", "new ü.txt"]
    assert (found.clean, found.branch, found.detached, found.in_progress) == (False, "w", False, None)
    place.git("checkout", "-q", "--detach", cwd=path)
    assert place.repo.status(path).detached


def test_status_sees_a_merge_and_a_rebase(place: Place) -> None:
    path = place.worktree("w")
    other = place.commit_aside({"a.txt": "theirs\n"})
    place.write({"a.txt": "ours\n"}, path)
    place.commit("ours", path)
    assert place.run("git", "merge", other, cwd=path).returncode == 1
    found = place.repo.status(path)
    assert (found.in_progress, found.unmerged, found.clean) == ("merge", ["a.txt"], False)
    place.git("merge", "--abort", cwd=path)
    assert place.run("git", "rebase", other, cwd=path).returncode == 1
    assert place.repo.status(path).in_progress == "rebase"


# -- removing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [{"a.txt": "changed\n"}, {"new.txt": "untracked\n"}])
def test_a_worktree_with_work_is_not_removed(place: Place, work: dict[str, str | bytes | None]) -> None:
    path = place.worktree("w")
    place.write(work, path)
    before = place.picture(path)
    with place.repo.lock(), pytest.raises(GitError, match="unsaved work"):
        place.repo.remove_worktree(path)
    assert place.picture(path) == before  # it is still locked, too


def test_only_what_is_ours_is_removed(place: Place) -> None:
    path = place.worktree("w")
    place.git("worktree", "unlock", str(path))
    place.git("worktree", "lock", "--reason", "a person's", str(path))
    (place.folder / "strange").mkdir()
    with place.repo.lock():
        with pytest.raises(GitError, match="locked by somebody: a person's"):
            place.repo.remove_worktree(path)
        with pytest.raises(GitError, match="main checkout"):
            place.repo.remove_worktree(place.main)
        with pytest.raises(GitError, match="left alone"):
            place.repo.remove_worktree(place.folder / "strange")
    assert path.exists()


@pytest.mark.parametrize("how", ["link", "git file", "moved"])
def test_a_folder_that_leads_into_another_worktree_is_left_alone(place: Place, how: str) -> None:
    repo, mine, other = place.repo, place.folder / "mine", place.folder / "other"
    with repo.lock():
        for path in (mine, other):
            repo.create_branch(path.name, place.first, f"worktree {path.name}")
            repo.add_worktree(path, path.name, f"worktree {path.name}")
    for path in (mine, other):
        repo.fill_worktree(path, place.first)
    place.write({"work.txt": "not committed\n"}, other)
    with repo.lock():
        repo.check_owner(mine, "worktree mine")
        with pytest.raises(GitError, match="is the worktree of worktree mine, not of worktree 7: it was left alone"):
            repo.check_owner(mine, "worktree 7")
        if how == "link":
            mine.rename(place.folder / "away")
            mine.symlink_to(other)
        elif how == "git file":
            (mine / ".git").write_text((other / ".git").read_text())
        else:
            mine.rename(place.folder / "away")
            other.rename(mine)
        before = place.picture()
        acts = [lambda: repo.check_owner(mine, "worktree mine")]
        if how == "link":
            acts += [lambda: repo.discard_changes(mine), lambda: repo.remove_worktree(mine)]
        for act in acts:
            with pytest.raises(GitError, match="it was left alone"):
                act()
        assert place.picture() == before
    assert (mine / "work.txt" if how == "moved" else other / "work.txt").exists()


def test_a_missing_folder_takes_only_its_own_entry_away(place: Place) -> None:
    mine, other = place.worktree("mine"), place.worktree("other")
    place.git("worktree", "unlock", str(other))  # prunable, if anybody pruned
    for path in (mine, other):
        subprocess.run(["rm", "-r", str(path)], check=True)
    with place.repo.lock():
        place.repo.remove_worktree(mine)
        place.repo.remove_worktree(mine)
    (entry,) = [entry for entry in place.repo.worktrees() if not entry.is_main]
    assert entry.path == other
    assert entry.prunable


def test_scratch_worktrees_come_and_go_with_whatever_is_in_them(place: Place) -> None:
    repo, path = place.repo, place.folder / "scratch"
    with repo.lock():
        repo.add_scratch(path, place.first)
        repo.add_scratch(path, place.first)  # after a crash
    repo.fill_worktree(path, place.first)
    assert repo.status(path).detached
    place.write({"a.txt": "changed\n", "out/deep/file": "x"}, path)
    (path / "out/deep").chmod(0o500)
    task = place.worktree("task")
    with repo.lock():
        with pytest.raises(GitError, match="not a scratch"):
            repo.remove_scratch(task)
        with pytest.raises(GitError, match="not a scratch"):
            repo.remove_scratch(place.main)
        repo.remove_scratch(path)
        repo.remove_scratch(path)
    assert not path.exists()
    assert [entry.path for entry in repo.worktrees()] == [place.main, task]


def _wait_for(ready: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
