from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import git as gitpython
import pytest

from tests.worktrees import Place
from worktrees.git import GitError, LockBusy, Repository
from worktrees.git.command import run


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# -- validate ----------------------------------------------------------------------------------------------------------


def test_a_good_repository_has_no_complaints(place: Place) -> None:
    assert place.repo.validate("main") == []


def test_what_cannot_be_used_is_refused_with_a_sentence(place: Place) -> None:
    (place.folder / "plain").mkdir()
    (place.folder / "file").write_text("x")
    place.git("init", "-q", "--bare", str(place.folder / "bare.git"))
    place.git("init", "-q", "-b", "main", str(place.folder / "empty"))
    place.git("worktree", "add", "-q", "-b", "w", str(place.folder / "linked"))
    said = {
        name: Repository(place.folder / name).validate("main")
        for name in ("missing", "file", "plain", "bare.git", "empty", "linked", "main/dir", "main/.git")
    }
    assert "does not exist" in said["missing"][0]
    assert "not a folder" in said["file"][0]
    assert "not a git repository" in said["plain"][0]
    assert "bare" in said["bare.git"][0]
    assert "no commit" in said["empty"][0]
    assert f"linked worktree of {place.main}" in said["linked"][0]
    assert f"inside the repository {place.main}" in said["main/dir"][0]
    assert "inside the git folder" in said["main/.git"][0]


@pytest.mark.parametrize("branch", ["nope", "-d", "--help", "a..b", "", "@{-1}", "x\0y", "HEAD", "a b"])
def test_a_branch_that_is_not_there_is_refused(place: Place, branch: str) -> None:
    (sentence,) = place.repo.validate(branch)
    assert "branch" in sentence


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_hostile_environment_changes_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    other = place.folder / "other"
    place.git("init", "-q", "-b", "evil", str(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nonexistent")
    monkeypatch.setenv("GIT_NAMESPACE", "evil")
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("LANGUAGE", "de")
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    assert place.repo.validate("main") == []
    path = place.worktree("w")
    assert place.repo.status(path).clean
    assert place.repo.head_branch() == "main"
    assert not (other / "a.txt").exists()


def test_a_persons_configuration_does_not_change_what_we_read(place: Place) -> None:
    for setting in ("color.ui=always", "diff.noprefix=true", "log.showSignature=true", "diff.external=false"):
        place.git("config", *setting.split("="))
    place.write({"a.txt": "uno\n"})
    second = place.commit("second")
    diff = place.repo.diff(place.first, second)
    assert "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+uno\n" in diff
    assert [commit.subject for commit in place.repo.commits(place.first, second)] == ["second"]


def test_resolve(place: Place) -> None:
    repo = place.repo
    place.write({"a.txt": "uno\n"})
    second = place.commit("second")
    place.git("tag", "main", place.first)
    place.git("tag", "-a", "-m", "x", "v1", place.first)
    assert repo.resolve("main") == second  # the branch, not the tag
    assert repo.resolve("v1") == place.first
    assert repo.resolve("HEAD~1") == place.first
    assert repo.resolve(second) == second
    for bad in ("nope", "-h", "--all", "", "a\nb", "x\0", "f" * 40, "main:a.txt"):
        with pytest.raises(GitError, match="No branch, tag or commit named"):
            repo.resolve(bad)


def test_history_agrees_with_gitpython(place: Place) -> None:
    place.write({"ü ñ.txt": "x\n", "-dash.txt": "y\n", "bin": b"\0\1", "b.txt": None})
    place.git("add", "-A")
    place.git("mv", "a.txt", "dir/renamed.txt")
    place.git("commit", "-q", "-m", "subject\n\nA body: yes.\n\nBrief: #12\nReviewed-by: Bob <b@example.org>")
    head = place.git("rev-parse", "HEAD")
    repo = place.repo
    (commit,) = repo.commits(place.first, "main")
    with gitpython.Repo(place.main) as reader:
        expected = reader.head.commit
        assert (commit.sha, commit.author, commit.email) == (expected.hexsha, "Ada", "ada@example.org")
        assert commit.date == expected.authored_datetime
        assert commit.trailers == tuple(expected.trailers_list)
    assert commit.subject == "subject"
    assert commit.body.startswith("A body: yes.")
    assert commit.parents == (place.first,)
    assert repo.count_commits(place.first, head) == 1
    assert repo.is_ancestor(place.first, head)
    assert not repo.is_ancestor(head, place.first)
    assert repo.merge_base(place.first, head) == place.first
    files = {file.path: file for file in repo.changed_files(place.first, head)}
    assert set(files) == {"ü ñ.txt", "-dash.txt", "bin", "b.txt", "dir/renamed.txt"}
    assert (files["dir/renamed.txt"].status, files["dir/renamed.txt"].old_path) == ("R", "a.txt")
    assert (files["bin"].additions, files["bin"].deletions) == (None, None)
    assert (files["b.txt"].status, files["b.txt"].deletions) == ("D", 1)
    assert "-dash.txt" in repo.diff(place.first, head, "-dash.txt")
    assert "bin" not in repo.diff(place.first, head, "-dash.txt")
    assert repo.branches() == {"main": head}


def test_names_that_are_no_utf8_are_readable(place: Place) -> None:
    with open(os.fsencode(place.main) + b"/caf\xe9.txt", "wb") as stream:
        stream.write(b"x\n")
    head = place.commit("latin")
    assert [file.path for file in place.repo.changed_files(place.first, head)] == ["caf\\xe9.txt"]
    (place.main / "a.txt").write_text("x")
    assert place.repo.status(place.main).unstaged == ["a.txt"]


def test_a_long_diff_is_cut_after_a_whole_line_and_says_so(place: Place) -> None:
    place.write({"a.txt": "x" * 50 + "\n" + "line\n" * 5000})
    head = place.commit("big")
    diff = place.repo.diff(place.first, head, limit_bytes=1000)
    assert len(diff) < 1100
    assert diff.splitlines()[-1].startswith("\\ diff cut after ")
    assert diff.splitlines()[-2] == "+line"


def test_a_command_that_takes_too_long_is_ended_with_its_children(place: Place) -> None:
    began = time.monotonic()
    with pytest.raises(GitError, match=r"within 0\.5 seconds"):
        run(["x"], cwd=place.main, config=["alias.x=!sleep 987.5; true"], timeout=0.5)
    assert time.monotonic() - began < 5
    assert subprocess.run(["pgrep", "-f", "sleep 987.5"], capture_output=True).stdout == b""


def test_too_much_output_is_an_error_unless_it_may_be_cut(place: Place) -> None:
    config = ["alias.x=!yes"]
    with pytest.raises(GitError, match="more than 1000 bytes"):
        run(["x"], cwd=place.main, config=config, limit=1000)
    assert run(["x"], cwd=place.main, config=config, limit=1000, cut=True).stdout == b"y\n" * 500


def test_git_never_looks_for_a_repository_above(place: Place) -> None:
    inside = place.main / "dir"
    with pytest.raises(GitError, match="not a worktree"):
        place.repo.status(inside)


# -- the lock ----------------------------------------------------------------------------------------------------------


def test_writing_needs_the_lock_of_this_object_and_thread(place: Place) -> None:
    repo, path, sha = place.repo, place.folder / "w", place.first
    writes = [
        lambda: repo.create_branch("x", sha, "o"),
        lambda: repo.delete_branch("x", sha),
        lambda: repo.add_worktree(path, "main", "o"),
        lambda: repo.remove_worktree(path),
        lambda: repo.add_scratch(path, sha),
        lambda: repo.remove_scratch(path),
        lambda: repo.compare_and_swap("refs/heads/main", sha, sha, "r"),
        lambda: repo.refresh("main", sha, sha),
        lambda: repo.capture(path, "refs/flower/x"),
        lambda: repo.install_hook(path, "Brief: #1"),
        lambda: repo.exclude(path, "x"),
    ]
    with place.repository().lock():
        for write in writes:
            with pytest.raises(RuntimeError, match="lock"):
                write()
    seen: list[BaseException] = []

    def other_thread() -> None:
        try:
            repo.create_branch("x", sha, "o")
        except RuntimeError as error:
            seen.append(error)

    with repo.lock():
        thread = threading.Thread(target=other_thread)
        thread.start()
        thread.join()
    assert len(seen) == 1
    with pytest.raises(RuntimeError):
        repo.create_branch("x", sha, "o")


def test_the_lock_excludes_others_and_may_be_nested(place: Place) -> None:
    repo, other = place.repo, place.repository()
    with repo.lock(), repo.lock():
        with pytest.raises(LockBusy, match="busy"), other.lock(timeout=0.05):
            pass
        repo.create_branch("x", place.first, "o")
    with other.lock(timeout=0.05):
        other.create_branch("y", place.first, "o")


def test_a_forked_child_does_not_keep_the_lock(place: Place) -> None:
    with place.repo.lock():
        pid = os.fork()
        if pid == 0:
            try:
                place.repo.create_branch("child", place.first, "o")
            except RuntimeError:
                time.sleep(30)  # still alive when the parent gives the lock back
            finally:
                os._exit(0)
    try:
        with place.repository().lock(timeout=1):
            assert "child" not in place.repo.branches()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_an_orphaned_git_keeps_the_lock_until_it_has_ended(place: Place) -> None:
    started, finish = place.folder / "started", place.folder / "finish"
    script = f"""
import sys
from worktrees.git import Repository
from pathlib import Path
repo = Repository({str(place.main)!r})
with repo.lock():
    wait = "alias.x=!touch {started}; while [ ! -e {finish} ]; do sleep 0.02; done"
    repo._git("x", config=[wait])
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    try:
        _wait_for(started.exists)
        process.kill()  # -9: nothing of ours runs any more, but its git child does
        process.wait()
        with pytest.raises(LockBusy), place.repo.lock(timeout=0.3):
            pass
        finish.touch()
        with place.repo.lock(timeout=5):
            pass
    finally:
        finish.touch()
        process.kill()
        process.wait()


def _wait_for(ready: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)
