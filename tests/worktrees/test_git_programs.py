"""flower's git runs no program that configuration names, unless an operator allowed it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import FilterNotAllowed, Repository
from worktrees.git.programs import TEXT_MERGE, concerns, overrides, parameters

# Notes that it ran; a clean or smudge that swaps the case of one letter, a merge that takes our side.
PROGRAM = """#!/bin/sh
echo "$*" >> {ran}
case "$1" in clean) tr B b;; smudge) tr b B;; merge) exit 0;; esac
"""


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def evil(place: Place) -> str:
    program = place.folder / "evil.sh"
    program.write_text(PROGRAM.format(ran=place.folder / "ran"))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def ran(place: Place) -> list[str]:
    """What ran since this was asked last."""
    file = place.folder / "ran"
    said = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return said


def name_programs(place: Place, evil: str, cwd: Path | None = None, name: str = "evil") -> None:
    for key, value in {
        f"filter.{name}.clean": f"{evil} clean",
        f"filter.{name}.smudge": f"{evil} smudge",
        f"merge.{name}.driver": f"{evil} merge %A",
        "merge.default": name,
        "core.fsmonitor": f"{evil} fsmonitor",
        "core.hooksPath": str(place.folder / "hooks"),
        "diff.external": f"{evil} diff",
        f"diff.{name}.textconv": f"{evil} textconv",
        "protocol.ext.allow": "always",
    }.items():
        place.git("config", key, value, cwd=cwd)
    hooks = place.folder / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "post-merge"):
        (hooks / hook).write_text(f"#!/bin/sh\n{evil} hook {hook}\n")
        (hooks / hook).chmod(0o755)


def diverged(place: Place) -> tuple[str, str]:
    """Two commits that a true merge of one file is needed for."""
    lines = [f"line {number}\n" for number in range(9)]
    place.write({"b.txt": "".join(lines)})
    place.commit("base")
    place.git("checkout", "-q", "-b", "work")
    place.write({"b.txt": "".join([*lines, "theirs\n"])})
    theirs = place.commit("theirs")
    place.git("checkout", "-q", "main")
    place.write({"b.txt": "".join(["ours\n", *lines])})
    return place.commit("ours"), theirs


def test_the_attack_runs_nothing(place: Place, evil: str) -> None:
    """As an agent did it: everything configured, in the shared configuration and in an embedded repository's own."""
    ours, theirs = diverged(place)
    path = place.worktree("w")
    inner = path / "inner"
    place.git("init", "-q", "-b", "main", str(inner))
    place.write({"x.txt": "b\n"}, inner)
    place.git("add", "-A", cwd=inner)
    place.git("commit", "-qm", "inner", cwd=inner)
    place.git("add", "inner", cwd=path)
    place.git("commit", "-qm", "a gitlink", cwd=path)
    name_programs(place, evil)
    name_programs(place, evil, inner, name="in=ner")
    (inner / ".gitattributes").write_text("*.txt filter=in=ner\n")
    (inner / "x.txt").write_text("c\n")
    os.utime(inner / "x.txt", (1, 1))
    os.utime(path / "b.txt", (1, 1))
    ran(place)

    repo = place.repo
    assert repo.status(path).unstaged == ["inner"]  # what is dirty in it is still seen
    assert repo.status(place.main).clean
    merged = repo.merge_tree(ours, theirs)
    assert merged.conflicts == []
    assert "ours" in place.git("show", f"{merged.tree}:b.txt") and "theirs" in place.git("show", f"{merged.tree}:b.txt")
    assert "+theirs" in repo.diff(ours, theirs)
    with repo.lock():
        repo.capture(place.worktree("v"), "refs/flower/captured/v")
        assert repo.refresh("main", ours, ours)
    assert ran(place) == []


def test_a_plain_git_would_have_run_it(place: Place, evil: str) -> None:
    """The trial above is worth something: the same configuration, read by git as it is."""
    ours, theirs = diverged(place)
    name_programs(place, evil)
    place.git("merge-tree", "--write-tree", ours, theirs)
    assert any(line.startswith("merge") for line in ran(place))


def test_a_filter_that_is_not_allowed_stops_the_checkout_and_never_corrupts_one(place: Place, evil: str) -> None:
    place.write({".gitattributes": "*.txt filter=evil\n", "b.txt": "b\n"})
    head = place.commit("filtered")
    name_programs(place, evil)  # optional, as git calls it: without the override files would be written unfiltered
    ran(place)
    repo = place.repo
    path = place.folder / "w"
    with repo.lock():
        repo.create_branch("w", head, owner="t")
        repo.add_worktree(path, "w", owner="t")
    with pytest.raises(FilterNotAllowed) as refused:
        repo.fill_worktree(path, head)
    assert (refused.value.filter, ran(place)) == ("evil", [])
    assert not (path / "b.txt").exists()

    allowing = Repository(place.main, lock_folder=place.folder / "locks", allowed=repo.configured_programs())
    allowing.fill_worktree(path, head)
    assert (path / "b.txt").read_text() == "B\n"
    assert {line.split()[0] for line in ran(place)} >= {"smudge"}


def test_what_was_allowed_is_the_command_and_not_the_name(place: Place, evil: str) -> None:
    ours, theirs = diverged(place)
    name_programs(place, evil)
    allowed = {"merge.evil.driver": f"{evil} merge allowed %A"}
    Repository(place.main, allowed=allowed).merge_tree(ours, theirs)
    assert {line.split()[1] for line in ran(place)} == {"allowed"}
    place.git("config", "merge.evil.driver", f"{evil} merge another")
    Repository(place.main, allowed=allowed).merge_tree(ours, theirs)
    assert {line.split()[1] for line in ran(place)} == {"allowed"}


def test_a_merge_by_a_driver_that_is_not_allowed_is_gits_text_merge(place: Place, evil: str) -> None:
    place.write({".gitattributes": "*.txt merge=evil\n", "a.bin": b"\0one"})
    base = place.commit("base")
    name_programs(place, evil)
    place.git("checkout", "-q", "-b", "work")
    place.write({"a.txt": "theirs\n", "a.bin": b"\0two"})
    theirs = place.commit("theirs")
    place.git("checkout", "-q", "-B", "main", base)
    place.write({"a.txt": "ours\n", "a.bin": b"\0three"})
    ours = place.commit("ours")
    ran(place)
    assert sorted(place.repo.merge_tree(ours, theirs).conflicts) == ["a.bin", "a.txt"]
    assert ran(place) == []


def test_lfs_pointers_stay_where_git_lfs_is_not_installed(place: Place, evil: str, monkeypatch) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    place.write({".gitattributes": "*.iso filter=lfs\n", "b.iso": pointer})
    head = place.commit("a large file")
    for word in ("clean", "smudge", "process"):
        place.git("config", f"filter.lfs.{word}", f"{evil} {word}")  # not what `git lfs install` writes
    place.git("config", "filter.lfs.required", "true")
    monkeypatch.setattr("worktrees.git.programs.shutil.which", lambda _: None)
    ran(place)
    path = place.worktree("w", base=head)
    assert (path / "b.iso").read_text() == pointer
    assert (place.repo.status(path).clean, ran(place)) == (True, [])
    monkeypatch.setattr("worktrees.git.programs.shutil.which", lambda name: f"/usr/bin/{name}")
    settings = overrides(("status",), place.main, {}, lambda _, arguments: b"filter.lfs.clean\0")
    assert settings["filter.lfs.smudge"] == "git-lfs smudge -- %f"


def test_nothing_is_overridden_where_nothing_is_named(place: Place) -> None:
    assert overrides(("status",), place.main, {}, lambda *_: b"core.bare\0merge.conflictstyle\0user.name\0") == {}


def test_names_may_hold_what_they_like(place: Place) -> None:
    settings = overrides(("status",), place.main, {}, lambda *_: b"merge.a=b 'c' .d!.driver\0")
    assert settings == {"merge.a=b 'c' .d!.driver": TEXT_MERGE}
    shown = place.git(
        "config", "--get", "merge.a=b 'c' .d!.driver", env={"GIT_CONFIG_PARAMETERS": parameters(settings)}
    )
    assert shown == TEXT_MERGE


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("status --porcelain", True),
        ("worktree add --no-checkout -- x", False),
        ("worktree remove x", True),
        ("worktree list", False),
        ("cat-file -p x", False),
        ("cat-file --filters x", True),
        ("merge-tree --write-tree a b", True),
        ("rev-parse HEAD", False),
        ("some-new-command", True),
    ],
)
def test_every_command_that_is_not_known_to_be_harmless_is_asked_about(words: str, asked: bool) -> None:
    assert concerns(words.split()) == asked
