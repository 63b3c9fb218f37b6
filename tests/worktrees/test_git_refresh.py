from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import GitError, InTheWay, Refresh

OLD = {
    "a.txt": "old a\n" * 20,
    "b.txt": "old b\n",
    "gone.txt": "old gone\n",
    "dir/c.txt": "old c\n",
    "same.txt": "same\n",
}
NEW = {"a.txt": "new a\n" * 30, "b.txt": "new b\n", "gone.txt": None, "dir/c.txt": "new c\n", "add/d.txt": "new d\n"}


class Main(Place):
    """The branch has moved from `old` to `new`; the main checkout has not."""

    def move(self, old: dict[str, str | bytes | None], new: dict[str, str | bytes | None]) -> None:
        self.write(old)
        self.old = self.commit("old")
        self.new = self.commit_aside(new, "new")
        with self.repo.lock():
            self.repo.compare_and_swap("refs/heads/main", self.new, self.old, "flower")

    def refresh(self, resuming: bool = False) -> Refresh:
        with self.repo.lock():
            return self.repo.refresh("main", self.old, self.new, resuming=resuming)

    def is_at_new(self) -> bool:
        return self.git("status", "--porcelain") == ""


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """The seconds that stale.py waits are for real hosts."""
    monkeypatch.setattr("worktrees.git.stale.YOUNG", 0.3)
    monkeypatch.setattr("worktrees.git.stale.PATIENCE", 0.3)


@pytest.fixture
def place(tmp_path: Path) -> Main:
    place = Main(tmp_path)
    place.move(dict(OLD), dict(NEW))
    return place


def test_a_quiet_checkout_arrives(place: Main) -> None:
    assert place.repo.main_is_behind(place.old, place.new)
    assert place.repo.refresh_would_overwrite(place.old, place.new) == []
    assert place.refresh() is Refresh.DONE
    assert place.is_at_new()
    assert not place.repo.main_is_behind(place.old, place.new)
    assert place.refresh() is Refresh.ALREADY
    assert place.refresh(resuming=True) is Refresh.ALREADY


def test_another_branch_or_a_detached_head_has_nothing_to_refresh(place: Main) -> None:
    place.git("symbolic-ref", "HEAD", "refs/heads/other")
    place.git("update-ref", "refs/heads/other", place.old)
    before = place.picture()
    assert place.refresh() is Refresh.NOT_CHECKED_OUT
    place.git("checkout", "-q", "--detach")
    assert place.refresh() is Refresh.NOT_CHECKED_OUT
    assert not place.repo.main_is_behind(place.old, place.new)
    assert place.git("rev-parse", "other") in str(before["refs"])


def test_work_elsewhere_survives(place: Main) -> None:
    place.write({"same.txt": "edited\n", "untracked.txt": "mine\n", "staged.txt": "mine\n"})
    place.git("add", "staged.txt")
    (place.main / "a.txt").touch()  # only the time differs: not an edit
    assert place.refresh() is Refresh.DONE
    assert (place.main / "same.txt").read_text() == "edited\n"
    seen = place.git("status", "--porcelain").splitlines()
    assert sorted(seen) == [" M same.txt", "?? untracked.txt", "A  staged.txt"]


@pytest.mark.parametrize(
    ("edits", "staged", "files"),
    [
        ({"a.txt": "mine\n", "dir/c.txt": "mine\n"}, [], ["a.txt", "dir/c.txt"]),
        ({"b.txt": "mine\n"}, ["b.txt"], ["b.txt"]),
        ({"gone.txt": "mine\n"}, [], ["gone.txt"]),
        ({"add/d.txt": "mine\n"}, [], ["add/d.txt"]),
        ({"add": "a file where a folder comes\n"}, [], ["add"]),
        ({"add/d.txt": "mine\n", "a.txt": "mine\n"}, [], ["a.txt", "add/d.txt"]),
        ({".gitignore": "add/\n", "add/d.txt": "ignored, but mine\n"}, [], ["add/d.txt"]),
        ({"add/d.txt": "staged\n"}, ["add/d.txt"], ["add/d.txt"]),
    ],
)
@pytest.mark.parametrize("resuming", [False, True])
def test_anything_in_the_way_refuses_the_whole(
    place: Main, edits: dict[str, str | bytes | None], staged: list[str], files: list[str], resuming: bool
) -> None:
    place.write(edits)
    if staged:
        place.git("add", "--", *staged)
    before = place.picture()
    assert place.repo.refresh_would_overwrite(place.old, place.new) == files
    assert place.picture() == before  # not even the index was refreshed
    with pytest.raises(InTheWay) as caught:
        place.refresh(resuming)
    assert caught.value.files == files
    assert files[0] in str(caught.value)
    after = place.picture()
    del before[f"index {place.main}"], after[f"index {place.main}"]
    assert after == before
    assert place.repo.main_is_behind(place.old, place.new)


def test_a_persons_link_to_where_the_folder_was_moved_stays(place: Main) -> None:
    (place.main / "dir").rename(place.folder / "elsewhere")
    (place.main / "dir").symlink_to(place.folder / "elsewhere")
    before = place.picture()
    assert place.repo.refresh_would_overwrite(place.old, place.new) == ["dir"]
    with pytest.raises(InTheWay, match="dir"):
        place.refresh()
    assert place.picture() == before
    assert (place.folder / "elsewhere/c.txt").read_text() == "old c\n"


def test_unmerged_files_in_the_main_checkout_refuse(place: Main) -> None:
    place.git("read-tree", place.old)
    one, two = place.git("rev-parse", f"{place.old}:a.txt"), place.git("rev-parse", f"{place.new}:a.txt")
    lines = f"0 {'0' * 40}\tsame.txt\n100644 {one} 2\tsame.txt\n100644 {two} 3\tsame.txt\n"
    subprocess.run(["git", "update-index", "--index-info"], cwd=place.main, input=lines, text=True, check=True)
    with pytest.raises(InTheWay, match=r"same\.txt"):
        place.refresh()


# -- after a kill ------------------------------------------------------------------------------------------------------


def stale_lock(place: Place) -> Path:
    lock = place.main / ".git" / "index.lock"
    lock.write_bytes(b"half an index")
    os.utime(lock, (time.time() - 60,) * 2)
    return lock


def test_half_the_files_written_one_cut_short_and_a_stale_lock(place: Main) -> None:
    lock = stale_lock(place)
    place.write({"b.txt": "new b\n", "gone.txt": None, "add/d.txt": "new", "a.txt": ("new a\n" * 30)[:37]})
    place.write({"same.txt": "a person's edit\n"})
    (place.main / "dir/c.txt").unlink()
    with pytest.raises(GitError):
        place.refresh()  # not told that something was killed: refuses
    assert place.refresh(resuming=True) is Refresh.DONE
    assert not lock.exists()
    assert place.git("status", "--porcelain") == " M same.txt"
    assert place.git("diff", "--cached", "--stat", "HEAD") == ""


def test_every_prefix_of_the_work_comes_to_a_right_end(place: Main) -> None:
    order: list[tuple[str, str | None]] = sorted(NEW.items())
    for done in range(len(order) + 1):
        for part in ("missing", "empty", "half"):
            place.git("reset", "-q", "--hard", place.old)
            place.git("clean", "-qfdx")
            place.git("update-ref", "refs/heads/main", place.new)
            for name, text in order[:done]:
                place.write({name: text})
            if done < len(order) and order[done][1] is not None:
                name, text = order[done][0], str(order[done][1])
                place.write({name: {"missing": "x", "empty": "", "half": text[: len(text) // 2]}[part]})
                if part == "missing":
                    (place.main / name).unlink()
            assert place.refresh(resuming=True) is Refresh.DONE, (done, part)
            assert place.is_at_new()


def test_a_killed_take_back_is_taken_back_too(place: Main) -> None:
    place.write({"a.txt": ("old a\n" * 20)[:13], "b.txt": "new b\n"})
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.is_at_new()


def test_a_persons_edit_among_the_leftovers_refuses_and_loses_nothing(place: Main) -> None:
    place.write({"b.txt": "new b\n", "a.txt": "new a\nand a line by a person\n", "gone.txt": None})
    before = place.picture()
    with pytest.raises(InTheWay) as caught:
        place.refresh(resuming=True)
    assert caught.value.files == ["a.txt"]
    assert place.picture() == before
    place.write({"a.txt": OLD["a.txt"]})  # they put it back
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.is_at_new()


def test_everything_written_but_the_index(place: Main) -> None:
    place.write(dict(NEW))
    stale_lock(place)
    assert place.repo.main_is_behind(place.old, place.new)
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.is_at_new()


def test_a_lock_that_a_living_git_holds_is_left_alone(place: Main) -> None:
    lock = stale_lock(place)
    person = subprocess.Popen(["git", "-c", "alias.x=!sleep 60", "x"], cwd=place.main, start_new_session=True)
    try:
        deadline = time.monotonic() + 10
        while b"git" not in Path(f"/proc/{person.pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
        with pytest.raises(GitError, match="process"):
            place.refresh(resuming=True)
        assert lock.exists()
    finally:
        os.killpg(person.pid, signal.SIGKILL)
        person.wait()
    assert place.refresh(resuming=True) is Refresh.DONE


def test_an_open_lock_file_is_left_alone(place: Main) -> None:
    lock = stale_lock(place)
    with lock.open("rb") as stream:
        holder = subprocess.Popen(["sleep", "60"], stdin=stream, cwd="/")
    try:
        with pytest.raises(GitError, match=f"process {holder.pid}"):
            place.refresh(resuming=True)
    finally:
        holder.kill()
        holder.wait()
    assert lock.exists()


def test_folders_files_links_modes_and_odd_names(tmp_path: Path) -> None:
    place = Main(tmp_path)
    place.write({"to-folder": "a file\n", "to-file/x": "x\n", "to-file/y": "y\n", "run.sh": "echo\n", "text": "text\n"})
    (place.main / "link").symlink_to("a.txt")
    (place.main / "to-text").symlink_to("a.txt")
    place.old = place.commit("old")
    aside = place.folder / "make"
    place.git("worktree", "add", "-q", "--detach", str(aside))
    for gone in ("to-folder", "to-file/x", "to-file/y", "link", "to-text", "text"):
        (aside / gone).unlink()
    (aside / "to-file").rmdir()
    new = {"to-folder/in/x": "in x\n", "to-folder/y": "y\n", "to-file": "now a file\n", "to-text": "now text\n"}
    place.write(new | {"-n ü\t.txt": "odd\n", 'q"uote\n.txt': "odd\n"}, aside)
    (aside / "link").symlink_to("b.txt")
    (aside / "text").symlink_to("a.txt")
    (aside / "run.sh").chmod(0o755)
    place.new = place.commit("new", aside)
    place.git("update-ref", "refs/heads/main", place.new)

    def behind() -> None:
        place.git("reset", "-q", "--hard", place.old)
        place.git("clean", "-qfdx")
        place.git("update-ref", "refs/heads/main", place.new)

    assert place.refresh() is Refresh.DONE
    assert place.is_at_new()

    behind()  # everything is written, the index is not
    place.git("read-tree", "--reset", "-u", place.new)
    place.git("read-tree", place.old)
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.is_at_new()

    behind()  # in the middle: the file is a folder already, the folder is gone, a link is missing
    (place.main / "to-folder").unlink()
    place.write({"to-folder/in/x": "in"})
    for gone in ("to-file/x", "to-file/y", "link"):
        (place.main / gone).unlink()
    (place.main / "to-file").rmdir()
    place.write({"to-file": "now a"})
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.is_at_new()

    behind()  # a person's file is in the folder that takes the file's place
    (place.main / "to-folder").unlink()
    place.write({"to-folder/in/x": "in x\n", "to-folder/mine": "mine\n"})
    before = place.picture()
    with pytest.raises(InTheWay) as caught:
        place.refresh(resuming=True)
    assert caught.value.files == ["to-folder/mine"]
    assert place.picture() == before

    (place.main / "to-folder/mine").unlink()
    assert place.refresh(resuming=True) is Refresh.DONE
    behind()  # an ignored file is in the folder that becomes a file
    place.write({".git/info/exclude": "*.o\n", "to-file/mine.o": "mine\n"})
    with pytest.raises(InTheWay) as caught:
        place.refresh()
    assert caught.value.files == ["to-file/mine.o"]

    (place.main / "to-file/mine.o").unlink()
    behind()  # a person's symlink where a folder comes
    (place.main / "to-folder").unlink()
    (place.main / "to-folder").symlink_to("/tmp")
    with pytest.raises(InTheWay):
        place.refresh(resuming=True)
    assert (place.main / "to-folder").is_symlink()


def test_line_ends_and_filters_are_seen_as_git_sees_them(tmp_path: Path) -> None:
    place = Main(tmp_path)
    place.git("config", "filter.shout.clean", "tr A-Z a-z")
    place.git("config", "filter.shout.smudge", "tr a-z A-Z")
    place.repo.allowed = place.repo.configured_programs()
    place.write({".gitattributes": "*.crlf text eol=crlf\n*.loud filter=shout\n"})
    place.commit("attributes")
    place.move(
        {"x.crlf": "old\r\nold\r\n", "y.loud": "OLD\n"}, {"x.crlf": "new\r\nnew\r\nnew\r\n", "y.loud": "NEW NEW\n"}
    )
    place.write({"x.crlf": "new\r\nne", "y.loud": "NEW NEW\n"})
    assert place.git("show", f"{place.new}:y.loud") == "new new"
    assert place.refresh(resuming=True) is Refresh.DONE
    assert (place.main / "x.crlf").read_bytes() == b"new\r\nnew\r\nnew\r\n"
    assert (place.main / "y.loud").read_text() == "NEW NEW\n"
    assert place.is_at_new()


def test_a_real_kill_in_the_middle_of_writing(tmp_path: Path) -> None:
    place = Main(tmp_path)
    names = [f"f{number:03}.txt" for number in range(60)]
    marker = place.folder / "marker"
    place.write({".gitattributes": "f030.txt filter=slow\n"})
    place.git("config", "filter.slow.smudge", "cat")
    place.git("config", "filter.slow.clean", "cat")
    place.commit("attributes")
    place.move(dict.fromkeys(names, "old\n" * 50), dict.fromkeys(names, "new\n" * 60) | {"zzz.txt": "z\n"})
    place.git("config", "filter.slow.smudge", f"sh -c 'touch {marker}; sleep 60; cat'")
    script = f"""
from worktrees.git import Repository
repo = Repository({str(place.main)!r})
repo.allowed = repo.configured_programs()
with repo.lock():
    repo.refresh("main", {place.old!r}, {place.new!r})
"""
    process = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    deadline = time.monotonic() + 20
    while not marker.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    killed = _kill_group_of_git_in(place.main)
    assert killed
    place.git("config", "filter.slow.smudge", "cat")
    place.repo.allowed = place.repo.configured_programs()
    states = {(place.main / name).read_text()[:3] for name in names if (place.main / name).exists()}
    assert states == {"old", "new"}  # it was in the middle
    assert (place.main / ".git" / "index.lock").exists()
    assert place.repo.main_is_behind(place.old, place.new)
    place.write({"b.txt": "a person's edit\n"})
    assert place.refresh(resuming=True) is Refresh.DONE
    assert place.git("status", "--porcelain") == " M b.txt"
    assert {(place.main / name).read_text()[:3] for name in names} == {"new"}


def _kill_group_of_git_in(folder: Path) -> int:
    """kill -9 of the orphaned git and its filter: they share a process group of their own."""
    for entry in Path("/proc").iterdir():
        try:
            if (
                entry.name.isdigit()
                and (entry / "comm").read_text() == "git\n"
                and (entry / "cwd").readlink() == folder
            ):
                group = os.getpgid(int(entry.name))
                os.killpg(group, signal.SIGKILL)
                return group
        except OSError:
            continue
    return 0


def test_a_refresh_that_git_cannot_finish_leaves_the_files_at_old(tmp_path: Path) -> None:
    place = Main(tmp_path)
    place.write({".gitattributes": "f5.txt filter=bad\n"})
    place.git("config", "filter.bad.clean", "cat")
    place.git("config", "filter.bad.smudge", "cat")
    place.commit("attributes")
    names = [f"f{number}.txt" for number in range(9)]
    place.move(dict.fromkeys(names, "old\n"), dict.fromkeys(names, "new\n"))
    place.git("config", "filter.bad.required", "true")
    smudge = place.folder / "smudge"
    smudge.write_text('#!/bin/sh\ntext=$(cat)\ncase $text in new*) exit 1 ;; esac\necho "$text"\n')
    smudge.chmod(0o755)
    place.git("config", "filter.bad.smudge", str(smudge))
    place.repo.allowed = place.repo.configured_programs()
    with pytest.raises(GitError, match="git filter 'bad'"):
        place.refresh()
    assert {(place.main / name).read_text() for name in names} == {"old\n"}
    assert place.repo.main_is_behind(place.old, place.new)
    place.git("config", "filter.bad.smudge", "cat")
    place.repo.allowed = place.repo.configured_programs()
    assert place.refresh() is Refresh.DONE
