from __future__ import annotations

from pathlib import Path

import pytest

from tests.worktrees import Place
from worktrees.git import GitError


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def path(place: Place) -> Path:
    path = place.worktree("wörk tree", branch="wörk")
    install(place, path)
    return path


def install(place: Place, path: Path, trailer: str = "Brief: #12") -> None:
    with place.repo.lock():
        place.repo.install_hook(path, trailer)


def body(place: Place, cwd: Path, rev: str = "HEAD") -> str:
    return place.git("log", "-1", "--format=%B", rev, cwd=cwd)


def trailers(place: Place, cwd: Path, rev: str = "HEAD") -> str:
    return place.git("log", "-1", "--format=%(trailers:key=Brief,valueonly)", rev, cwd=cwd).strip()


def hook(place: Place, name: str, script: str, folder: Path | None = None) -> None:
    file = (folder or place.main / ".git/hooks") / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\n" + script)
    file.chmod(0o755)


# -- the trailer -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "Fix it"], "Fix it\n\nBrief: #12\n"),
        (["-m", "Fix it", "-m", "Because."], "Fix it\n\nBecause.\n\nBrief: #12\n"),
        (["-m", "Fix it", "--no-verify"], "Fix it\n\nBrief: #12\n"),
        (["-m", "Fix it", "-m", "Brief: #12"], "Fix it\n\nBrief: #12\n"),
        (["-m", "Fix it\n\n#12 is a number, no comment"], "Fix it\n\n#12 is a number, no comment\n\nBrief: #12\n"),
        (["-m", "Fix it\n\nA line\n---\nafter a rule"], "Fix it\n\nA line\n---\nafter a rule\n\nBrief: #12\n"),
        (["-s", "-m", "Fix it"], "Fix it\n\nSigned-off-by: Ada <ada@example.org>\nBrief: #12\n"),
        (["-F", "message.md"], "From a file\n\nBrief: #12\n"),
        (["-C", "HEAD"], "first\n\nBrief: #12\n"),
        (["--fixup", "HEAD"], "fixup! first\n\nBrief: #12\n"),
        (["--amend", "--no-edit"], "first\n\nBrief: #12\n"),
        (["--amend", "-m", "Again"], "Again\n\nBrief: #12\n"),
    ],
)
def test_every_way_of_committing_adds_it_once(place: Place, path: Path, arguments: list[str], message: str) -> None:
    (path / "message.md").write_text("From a file\n")
    place.git("commit", "-q", "--allow-empty", *arguments, cwd=path)
    assert body(place, path) == message.rstrip("\n")
    assert trailers(place, path) == "#12"


@pytest.mark.parametrize(
    "editor",
    [
        "sed -i '1s/^/Subject/'",  # types into the first line
        "sh -c 'echo Subject > \"$1\"' -",  # writes a new file
        'sh -c \'{ echo Subject; echo; echo Body; cat "$1"; } > "$1.n" && mv "$1.n" "$1"\' -',
    ],
)
@pytest.mark.parametrize("options", [[], ["-v"]])
def test_an_editor_too(place: Place, path: Path, editor: str, options: list[str]) -> None:
    (path / "a.txt").write_text("changed\n")
    place.git("commit", "-q", "-a", *options, cwd=path, env={"GIT_EDITOR": editor})
    assert place.git("log", "-1", "--format=%s", cwd=path) == "Subject"
    assert body(place, path).count("Brief: #12") == 1
    assert trailers(place, path) == "#12"
    place.git("commit", "-q", "--amend", cwd=path, env={"GIT_EDITOR": "sed -i '1s/Subject/Other/'"})
    assert body(place, path).count("Brief: #12") == 1


@pytest.mark.parametrize("options", [[], ["-v"], ["-m", ""], ["-m", "  "]])
def test_an_empty_message_still_aborts(place: Place, path: Path, options: list[str]) -> None:
    (path / "a.txt").write_text("changed\n")
    done = place.run("git", "commit", "-q", "-a", *options, cwd=path, env={"GIT_EDITOR": "true"})
    assert done.returncode != 0
    assert "empty commit message" in done.stderr
    assert place.git("rev-parse", "HEAD", cwd=path) == place.first


def test_merges_picks_reverts_rebases_and_mail(place: Place, path: Path) -> None:
    other = place.commit_aside({"other.txt": "x\n"}, "theirs")
    place.write({"own.txt": "x\n"}, path)
    place.git("add", "-A", cwd=path)
    place.git("commit", "-q", "-m", "own", cwd=path)
    place.git("merge", "-q", "--no-edit", other, cwd=path)
    assert trailers(place, path) == "#12"
    place.git("revert", "--no-edit", "-m", "1", "HEAD", cwd=path)
    assert trailers(place, path) == "#12"
    place.git("cherry-pick", place.commit_aside({"picked.txt": "x\n"}, "pick me"), cwd=path)
    assert body(place, path).strip() == "pick me\n\nBrief: #12"
    place.git("cherry-pick", place.commit_aside({"p2.txt": "x\n"}, "of another\n\nBrief: #7"), cwd=path)
    assert trailers(place, path) == "#7"
    patch = place.git("format-patch", "--stdout", "-1", place.commit_aside({"mail.txt": "x\n"}, "by mail"))
    (place.folder / "patch").write_text(patch + "\n")
    place.git("am", "-q", str(place.folder / "patch"), cwd=path)
    assert trailers(place, path) == "#12"
    place.git("rebase", "-q", "--force-rebase", "HEAD~2", cwd=path)
    assert body(place, path).count("Brief: #12") == 1


def test_the_main_checkout_and_other_worktrees_get_none(place: Place, path: Path) -> None:
    other = place.worktree("other")
    for cwd in (place.main, other):
        place.git("commit", "-q", "--allow-empty", "-m", "own", cwd=cwd)
        assert body(place, cwd).strip() == "own"
    install(place, other, "Brief: #13")
    for cwd, number in ((path, "#12"), (other, "#13")):
        place.git("commit", "-q", "--allow-empty", "-m", "own", cwd=cwd)
        assert trailers(place, cwd) == number
    place.git("commit", "-q", "--allow-empty", "-m", "own")
    assert body(place, place.main).strip() == "own"
    with place.repo.lock(), pytest.raises(GitError, match="main checkout"):
        place.repo.install_hook(place.main, "Brief: #1")


@pytest.mark.parametrize(
    "trailer", ["", "Brief", "Brief:#1", "Bri ef: 1", "Brief: #1\nX: y", "-x: y", "Brief: $(id)\0"]
)
def test_bad_trailers_are_refused(place: Place, path: Path, trailer: str) -> None:
    with pytest.raises(GitError, match="trailer"):
        install(place, path, trailer)


def test_a_trailer_is_never_shell(place: Place, path: Path) -> None:
    install(place, path, "Brief: $(touch owned) `touch owned` \\n '\" %s")
    place.git("commit", "-q", "--allow-empty", "-m", "x", cwd=path)
    assert trailers(place, path) == "$(touch owned) `touch owned` \\n '\" %s"
    assert not (path / "owned").exists()


# -- the repository's own hooks ----------------------------------------------------------------------------------------


def test_existing_hooks_run_with_arguments_status_and_input(place: Place, path: Path) -> None:
    log = place.folder / "log"
    hook(place, "pre-commit", f"echo pre-commit >> {log}; [ ! -e deny ]")
    hook(place, "prepare-commit-msg", f'echo "prepare $2" >> {log}; echo "and more" >> "$1"')
    hook(place, "commit-msg", f'echo commit-msg >> {log}; ! grep -q forbidden "$1"')
    hook(place, "post-commit", f"echo post-commit >> {log}")
    hook(place, "reference-transaction", f'[ "$1" = committed ] && cat >> {log}; exit 0')
    hook(place, "pre-push", f'echo "$0 $1" >> {log}; cat >> {log}; exit 0')
    place.git("commit", "-q", "--allow-empty", "-m", "hello", cwd=path)
    head = place.git("rev-parse", "HEAD", cwd=path)
    assert body(place, path).strip() == "hello\nand more\n\nBrief: #12"
    said = log.read_text()
    assert [word for word in said.split("\n") if " " not in word and word] == [
        "pre-commit",
        "commit-msg",
        "post-commit",
    ]
    assert "prepare message" in said
    assert f"{place.first} {head} refs/heads/wörk" in said
    place.git("init", "-q", "--bare", str(place.folder / "remote.git"))
    place.git("push", "-q", str(place.folder / "remote.git"), "HEAD:refs/heads/x", cwd=path)
    assert f"{place.main}/.git/hooks/pre-push {place.folder}/remote.git" in log.read_text()
    assert f"HEAD {head} refs/heads/x" in log.read_text()
    for trouble in ("forbidden", "fine"):
        if trouble == "fine":
            (path / "deny").touch()
        done = place.run("git", "commit", "-q", "--allow-empty", "-m", trouble, cwd=path)
        assert done.returncode == 1
    assert place.git("rev-parse", "HEAD", cwd=path) == head


def test_a_hook_that_is_not_executable_or_not_there_is_skipped(place: Place, path: Path) -> None:
    hook(place, "pre-commit", "exit 1")
    (place.main / ".git/hooks/pre-commit").chmod(0o644)
    place.git("commit", "-q", "--allow-empty", "-m", "x", cwd=path)
    assert trailers(place, path) == "#12"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("scope", ["--local", "--global"])
def test_a_hooks_path_set_before_or_later_keeps_working(place: Place, when: str, scope: str) -> None:
    place.write({".husky/pre-commit": f"#!/bin/sh\npwd > {place.folder}/ran\n"})
    (place.main / ".husky/pre-commit").chmod(0o755)
    place.commit("husky")
    hook(place, "pre-commit", "exit 1")  # not in force
    path = place.worktree("w")
    if when == "before":
        place.git("config", scope, "core.hooksPath", ".husky")
    install(place, path)
    if when == "after":
        place.git("config", scope, "core.hooksPath", ".husky")
    place.git("commit", "-q", "--allow-empty", "-m", "x", cwd=path)
    assert (place.folder / "ran").read_text().strip() == str(path)  # as git runs it: in the worktree
    assert trailers(place, path) == "#12"


def test_a_worktrees_own_hooks_path_keeps_working(place: Place, path: Path) -> None:
    other = place.worktree("other")
    hook(place, "pre-commit", f"touch {place.folder}/ran", place.folder / "own hooks")
    place.git("config", "--worktree", "core.hooksPath", str(place.folder / "own hooks"), cwd=other)
    install(place, other)
    install(place, other)
    place.git("commit", "-q", "--allow-empty", "-m", "x", cwd=other)
    assert (place.folder / "ran").exists()
    assert trailers(place, other) == "#12"


# -- the extension -----------------------------------------------------------------------------------------------------


def test_the_main_checkouts_core_worktree_is_moved_not_shared(place: Place) -> None:
    path = place.worktree("w")
    place.git("config", "core.worktree", str(place.main))
    install(place, path)
    assert place.git("config", "--file", ".git/config.worktree", "core.worktree") == str(place.main)
    assert place.run("git", "config", "--file", ".git/config", "core.worktree").returncode == 1
    assert place.git("rev-parse", "--show-toplevel") == str(place.main)
    assert place.git("rev-parse", "--show-toplevel", cwd=path) == str(path)
    assert place.repo.status(place.main).clean


def test_settings_that_would_come_alive_are_refused(place: Place) -> None:
    path = place.worktree("w")
    file = place.main / ".git/config.worktree"
    file.write_text("[core]\n\tbare = true\n")
    config = (place.main / ".git/config").read_bytes()
    with pytest.raises(GitError, match="switched off"):
        install(place, path)
    assert (place.main / ".git/config").read_bytes() == config
    file.unlink()
    place.git("config", "core.bare", "true")
    with pytest.raises(GitError, match="bare"):
        install(place, path)


# -- exclude -----------------------------------------------------------------------------------------------------------


def test_a_file_is_hidden_in_this_worktree_only(place: Place, path: Path) -> None:
    place.write({".config/git/ignore": "*.global"}, place.home)
    place.git("config", "--global", "user.nonsense", "1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(place.home))
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        with place.repo.lock():
            place.repo.exclude(path, "/packet.md")
            place.repo.exclude(path, "/packet.md")
            place.repo.exclude(path, "*.tmp")
        place.write({".config/git/ignore": "*.global\n*.later\n"}, place.home)
        with place.repo.lock():
            place.repo.exclude(path, "*.tmp")
    for top in (path, place.main):
        place.write({"packet.md": "x", "y.tmp": "x", "z.global": "x", "z.later": "x", "seen.md": "x"}, top)
    assert place.git("status", "--porcelain", cwd=path) == "?? seen.md"
    assert place.git("status", "--porcelain") == "?? packet.md\n?? seen.md\n?? y.tmp"
    (file,) = (place.main / ".git/worktrees").glob("*/flower-exclude")
    assert file.read_text().splitlines().count("/packet.md") == 1


def test_a_persons_own_excludes_file_stays_in_force(place: Place, path: Path) -> None:
    place.write({"my ignores": "*.mine\n"}, place.folder)
    place.git("config", "core.excludesFile", str(place.folder / "my ignores"))
    with place.repo.lock():
        place.repo.exclude(path, "packet.md")
        with pytest.raises(GitError, match="one line"):
            place.repo.exclude(path, "a\nb")
    place.write({"x.mine": "x", "packet.md": "x"}, path)
    assert place.git("status", "--porcelain", cwd=path) == ""
