from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.diffs import File, parse


def one(text: str | bytes) -> File:
    (file,) = parse(text).files
    return file


def test_lines_are_numbered_on_both_sides() -> None:
    file = one(
        "diff --git a/x.py b/x.py\nindex 1..2 100644\n--- a/x.py\n+++ b/x.py\n"
        "@@ -10,3 +10,4 @@ def f():\n same\n--- looks like a header\n+++ this too\n+added\n same\n"
        "@@ -30 +31,0 @@\n-last\n\\ No newline at end of file\n"
    )
    first, second = file.hunks
    assert [(line.kind, line.old, line.new, line.text) for line in first.lines] == [
        ("context", 10, 10, "same"),
        ("deleted", 11, None, "-- looks like a header"),
        ("added", None, 11, "++ this too"),
        ("added", None, 12, "added"),
        ("context", 12, 13, "same"),
    ]
    assert first.heading == "def f():"
    assert [(line.old, line.new, line.no_newline) for line in second.lines] == [(30, None, True)]
    assert (file.path, file.status, file.added, file.deleted) == ("x.py", "modified", 2, 2)


def test_each_kind_of_change_from_real_git(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write({"run.sh": "echo\n", "both.sh": "echo\n", "bin": b"\0old", "move me.txt": "long\n" * 20, "empty": ""})
    old = place.commit("old")
    (place.main / "sub dir").mkdir()
    place.git("mv", "move me.txt", "sub dir/moved ü.txt")
    place.write(
        {"new file": "x\n", "a.txt": None, "bin": b"\0new", "both.sh": "echo 2\n", "empty": None, 'q"t\t': "x\n"}
    )
    for name in ("run.sh", "both.sh"):
        (place.main / name).chmod(0o755)
    (place.main / "link").symlink_to("b.txt")
    new = place.commit("new")
    diff = parse(place.repo.diff(old, new))
    files = {file.path: file for file in diff.files}
    assert {path: file.status for path, file in files.items()} == {
        "new file": "added",
        "a.txt": "deleted",
        "bin": "modified",
        "both.sh": "modified",
        "run.sh": "mode",
        "empty": "deleted",
        "link": "added",
        'q"t\t': "added",
        "sub dir/moved ü.txt": "renamed",
    }
    assert files["bin"].binary
    assert files["both.sh"].mode_changed and files["run.sh"].mode_changed
    assert (files["run.sh"].old_mode, files["run.sh"].new_mode) == ("100644", "100755")
    assert files["sub dir/moved ü.txt"].old_path == "move me.txt"
    assert files["a.txt"].deleted == 1
    counted = place.repo.changed_files(old, new)
    assert diff.added == sum(file.additions or 0 for file in counted)
    assert diff.deleted == sum(file.deletions or 0 for file in counted)
    assert diff.total_files == len(counted)
    assert not diff.cut


def test_quoted_names_are_read() -> None:
    file = one('diff --git "a/caf\\303\\251 \\"x\\"" "b/caf\\303\\251 \\"x\\""\nold mode 100644\nnew mode 100755\n')
    assert file.path == 'café "x"'
    assert one('diff --git a/plain "b/\\303\\251"\nrename from plain\nrename to "\\303\\251"\n').path == "é"


def test_names_without_any_clear_separator() -> None:
    assert one("diff --git a/x b/y b/x b/y\nold mode 100644\nnew mode 100755\n").path == "x b/y"


def test_plain_diffs_without_git() -> None:
    diff = parse(
        "--- old.txt\t2026-01-01\n+++ new.txt\t2026-01-02\n@@ -1 +1 @@\n-a\n+b\n--- x\n+++ y\n@@ -1 +1 @@\n-a\n+b\n"
    )
    assert [(file.old_path, file.path, file.added) for file in diff.files] == [("old.txt", "new.txt", 1), ("x", "y", 1)]


def test_only_newlines_end_lines() -> None:
    file = one("--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+one\x0c\u2028\x85still one\r\n+two\n")
    assert [line.text for line in file.hunks[0].lines] == ["one\x0c\u2028\x85still one\r", "two"]


def test_what_is_kept_is_bounded_and_still_counted() -> None:
    text = "".join(
        f"diff --git a/{n} b/{n}\n--- a/{n}\n+++ b/{n}\n@@ -0,0 +1,10 @@\n" + "+" + "x" * 50 + "\n" + "+y\n" * 9
        for n in range(5)
    )
    diff = parse(text, max_files=3, max_lines=15, max_line_length=20)
    assert [sum(len(hunk.lines) for hunk in file.hunks) for file in diff.files] == [10, 5, 0]
    assert (diff.total_files, diff.added, diff.cut) == (5, 50, True)
    assert [file.cut for file in diff.files] == [False, True, True]
    line = diff.files[0].hunks[0].lines[0]
    assert (line.text, line.cut) == ("x" * 20, True)


def test_a_cut_diff_says_so(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write({"big.txt": "line\n" * 1000})
    diff = parse(place.repo.diff(place.first, place.commit("big"), limit_bytes=500))
    assert diff.cut and diff.files[0].cut
    assert 0 < diff.added < 1000


@pytest.mark.parametrize("seed", range(20))
def test_any_bytes_parse(seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        b"diff --git ",
        b'"a/x',
        b"@@ -1,3 +1,2 @@",
        b"\n",
        b"+",
        b"-",
        b" ",
        b"--- ",
        b"+++ ",
        b"\xff\0",
        b"\\",
        b"rename to",
    ]
    pieces += [b"old mode 1", b"new file mode ", b"Binary files ", b"@@ -999999999,999999999 +0 @@"]
    diff = parse(b"".join(chance.choice(pieces) for _ in range(2000)))
    assert all(line.text is not None for file in diff.files for hunk in file.hunks for line in hunk.lines)


def test_nothing_is_nothing() -> None:
    assert parse("").files == []
    assert parse(b"\n\n").files == []
