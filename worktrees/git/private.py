"""What is true in one worktree only: its commit trailer and the files that git should not see there.

Both need git's per-worktree configuration (`extensions.worktreeConfig`), which is switched on once for the repository.
Its known trap: core.bare and core.worktree in the shared file would then hold for every worktree, so they are moved to
the main checkout's own file first; and a config.worktree that was lying there unused would come alive, so that is
refused. The main checkout's own settings and commits are not touched.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from .base import Base, _same
from .errors import GitError

HOOKS_FOLDER = "flower-hooks"
EXCLUDE_FILE = "flower-exclude"
_TRAILER = re.compile(r"[A-Za-z][A-Za-z0-9-]*: \S.*")
_OURS = "# -- flower: only in this worktree"

# Every hook name of git 2.39 but fsmonitor-watchman (found by its own setting).
_HOOKS = """
    applypatch-msg pre-applypatch post-applypatch pre-commit pre-merge-commit prepare-commit-msg commit-msg
    post-commit pre-rebase post-checkout post-merge pre-push pre-receive update post-receive post-update
    reference-transaction pre-auto-gc post-rewrite sendemail-validate post-index-change
    p4-changelist p4-prepare-changelist p4-post-changelist p4-pre-submit
""".split()  # noqa: SIM905 - a list of words reads better as words
_MESSAGE_HOOKS = ("applypatch-msg", "prepare-commit-msg", "commit-msg")
# These change what git does by being there at all, so they are only delegated where the repository has them.
_LOUD_HOOKS = ("push-to-checkout", "proc-receive")

# The repository's hook is looked up when it runs: husky and its like set core.hooksPath long after we were here.
_FIND = r"""#!/bin/sh
# Written by flower for this worktree only; do not edit. It runs the repository's own hook of the same name.
here=$(dirname -- "$0")
name=$(basename -- "$0")
folder=
if [ -s "$here/flower-next" ]; then
    IFS= read -r folder < "$here/flower-next"
else
    tab=$(printf '\t')
    folder=$(git config --show-scope --type=path --get-all core.hooksPath 2>/dev/null </dev/null |
        while IFS="$tab" read -r scope value; do
            case $scope in system | global | local) printf '%s\n' "$value" ;; esac
        done | tail -n 1)
    [ -n "$folder" ] || folder=$(git rev-parse --git-common-dir)/hooks
fi
next=$folder/$name
if [ "$folder" -ef "$here" ] || [ ! -f "$next" ] || [ ! -x "$next" ]; then next=; fi
"""

_DELEGATE = (
    _FIND
    + r"""[ -n "$next" ] || exit 0
exec "$next" "$@"
"""
)

# prepare-commit-msg runs in every way of committing, also with --no-verify; commit-msg repairs what an editor took
# away, and applypatch-msg is what `git am` has. A message without any words is left without a trailer or, from an
# editor, refused again, so that "empty message aborts the commit" stays true.
_MESSAGE = (
    _FIND
    + r"""if [ -n "$next" ]; then
    "$next" "$@" || exit $?
fi
file=$1
IFS= read -r trailer < "$here/flower-trailer" || [ -n "$trailer" ] || exit 0
# Several agents may work here, each on a brief of its own: a number in its environment wins.
case $FLOWER_BRIEF in '' | *[!0-9]*) ;; *) trailer="Brief: #$FLOWER_BRIEF" ;; esac
# The words of the message: no comments, nothing below the scissors of `commit -v`.
words() { sed '/^. -* >8 -*$/,$d' "$file" | git stripspace --strip-comments; }
if [ "$name" = commit-msg ]; then
    said=$(words)
    [ -n "$said" ] || exit 0
    if [ "$said" = "$trailer" ]; then
        echo 'Aborting commit due to empty commit message.' >&2
        exit 1
    fi
elif [ "$name" = prepare-commit-msg ] && [ "$2" = message ]; then
    grep -q '[^[:space:]]' "$file" || exit 0
    # A message from -m or -F keeps its lines that begin with "#": they are no comments here.
    if ! grep -q '^. -* >8 -*$' "$file"; then
        exec git -c core.commentChar="$(printf '\001')" -c trailer.separators=: interpret-trailers --in-place \
            --no-divider --where end --if-exists doNothing --if-missing add --trailer "$trailer" "$file"
    fi
elif [ "$name" = prepare-commit-msg ] && [ -z "$(words)" ]; then
    # An editor will open on an empty message: leave the first lines free for the subject.
    { printf '\n\n%s\n' "$trailer" && cat "$file"; } > "$file.flower" && mv -f "$file.flower" "$file"
    exit $?
fi
exec git -c trailer.separators=: interpret-trailers --in-place \
    --no-divider --where end --if-exists doNothing --if-missing add --trailer "$trailer" "$file"
"""
)


class Private(Base):
    """Settings of single worktrees."""

    def install_hook(self, worktree_path: Path, trailer: str) -> None:
        """Give every commit made in this worktree the line `trailer` ("Brief: #12") once. Needs the lock.

        A commit that already has a trailer of that key keeps its own (a rebased or picked one). The repository's
        own hooks go on running, with their arguments, standard input and exit status. May be repeated.
        """
        self._require_lock()
        if not trailer.isprintable() or not _TRAILER.fullmatch(trailer):
            raise GitError(f"a trailer looks like 'Brief: #12', not {trailer!r}")
        git_dir = self._linked_git_dir(worktree_path)
        self._enable_worktree_config()
        folder = git_dir / HOOKS_FOLDER
        folder.mkdir(exist_ok=True)
        before = self._worktree_value(worktree_path, "core.hooksPath")
        if before and not _same(before, folder):
            _write(folder / "flower-next", before + "\n")
        _write(folder / "flower-trailer", trailer + "\n")
        own = Path(self._value_elsewhere("core.hooksPath") or self.common_dir / "hooks")
        for name in (*_HOOKS, *(name for name in _LOUD_HOOKS if (worktree_path / own / name).exists())):
            _write(folder / name, _MESSAGE if name in _MESSAGE_HOOKS else _DELEGATE, mode=0o755)
        # Last: until here, the hooks that were in force stay in force.
        self._git("config", "--worktree", "--replace-all", "core.hooksPath", str(folder), cwd=worktree_path)

    def exclude(self, worktree_path: Path, pattern: str) -> None:
        """Hide files that match `pattern` (as in .gitignore) from git in this worktree only. Needs the lock.

        `.git/info/exclude` is shared by all worktrees, and git reads only one core.excludesFile: so this worktree gets
        its own, which begins with a copy of the one that was in force (a person's global ignores), taken anew at
        each call. A folder that holds a `.gitignore` of "*" hides itself without any of this.
        """
        self._require_lock()
        self._line(pattern, "a pattern")
        git_dir = self._linked_git_dir(worktree_path)
        self._enable_worktree_config()
        file = git_dir / EXCLUDE_FILE
        ours = _text(file).partition(_OURS + "\n")[2].splitlines()
        before = self._worktree_value(worktree_path, "core.excludesFile")
        if not before or _same(before, file):
            before = self._value_elsewhere("core.excludesFile") or default_excludes()
        inherited = _text(worktree_path / before).rstrip("\n")
        lines = [*([inherited] if inherited else []), _OURS, *dict.fromkeys([*ours, pattern])]
        _write(file, "\n".join(lines) + "\n")
        self._git("config", "--worktree", "--replace-all", "core.excludesFile", str(file), cwd=worktree_path)

    def _linked_git_dir(self, worktree_path: Path) -> Path:
        git_dir = self._git_dir_of(worktree_path)
        if _same(git_dir, self.common_dir):
            raise GitError(f"{worktree_path} is the main checkout: flower changes no settings there")
        return git_dir

    def _worktree_value(self, worktree_path: Path, name: str) -> str | None:
        wanted = ("config", "--worktree", "--type=path", "--get", name)
        return self._git(*wanted, cwd=worktree_path, ok=(0, 1)).text or None

    def _value_elsewhere(self, name: str) -> str | None:
        """What would hold without any per-worktree setting: system, global and shared configuration."""
        output = self._git("config", "--show-scope", "-z", "--type=path", "--get-all", name, ok=(0, 1)).fields
        scoped = zip(output[::2], output[1::2], strict=True)
        values = [value for scope, value in scoped if scope in ("system", "global", "local")]
        return values[-1] if values else None

    def _enable_worktree_config(self) -> None:
        shared = ("config", "--file", str(self.common_dir / "config"))
        if self._git(*shared, "--type=bool", "--get", "extensions.worktreeConfig", ok=(0, 1)).text == "true":
            return
        if self._git(*shared, "--type=bool", "--get", "core.bare", ok=(0, 1)).text == "true":
            raise GitError(f"{self.path} is marked as bare (core.bare), so its worktrees cannot have own settings")
        moved = self._git(*shared, "--get", "core.worktree", ok=(0, 1)).text
        main_file = self.common_dir / "config.worktree"
        own = ("config", "--file", str(main_file))
        sleeping = [main_file, *self.common_dir.glob("worktrees/*/config.worktree")]
        for file in sleeping:
            listed = self._git("config", "--file", str(file), "--list", "-z").fields if file.exists() else []
            if listed and not (file == main_file and listed == [f"core.worktree\n{moved}"]):
                raise GitError(
                    f"{file} holds settings that are switched off today (extensions.worktreeConfig); flower needs to "
                    "switch them on: look at that file, remove it or switch the extension on yourself"
                )
        # In this order: whenever we are killed, the main checkout knows its worktree.
        if moved:
            self._git(*own, "core.worktree", moved)
        self._git(*shared, "extensions.worktreeConfig", "true")
        if moved:
            self._git(*shared, "--unset-all", "core.worktree")


def default_excludes() -> str:
    """Where git looks for a person's ignores when no setting says."""
    home = os.environ.get("XDG_CONFIG_HOME") or str(Path(os.environ.get("HOME", "/")) / ".config")
    return str(Path(home) / "git" / "ignore")


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _write(file: Path, text: str, mode: int = 0o644) -> None:
    """All or nothing: a hook that runs at this moment sees the old file or the new one."""
    descriptor, temporary = tempfile.mkstemp(prefix=".flower-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode("utf-8", "surrogateescape"))
        path = Path(temporary)
        path.chmod(mode)
        path.replace(file)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
