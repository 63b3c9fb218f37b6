"""Which programs of a repository's configuration flower's git may run: none, but those that an operator allowed.

git runs what configuration names: filters when it writes or reads files, merge drivers when it merges. Agents can
write that configuration (the shared one, a worktree's own, that of a repository inside their worktree), so flower
overrides what it finds there, for each call that looks at files:

- A filter that is not allowed stays *required* and gets no command. Then git itself fails at the first file that has
  the filter, instead of writing files without it in silence; a name that no file has costs nothing.
- A merge driver that is not allowed is git's own text merge (a driver without a command would end the merge).
- What is allowed was kept with its commands when the operator allowed it, and these are what runs: an agent that writes
  another command under an allowed name changes nothing.
- Git LFS is allowed everywhere, by its well-known commands, where `git lfs install` was done. Without git-lfs on PATH
  its pointers stay as they are.

Diff drivers and textconv never run (history.py), hooks and fsmonitor neither (command.py). The `status` that git starts
inside of submodules obeys the same overrides, so the names that *their* configuration has are overridden, too.

A configuration that changes between the look and the call is not caught: whoever can do that at the right moment is a
program that runs as flower's user anyway (docs/security.md).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from .errors import GitError

# Commands that look at no file's content and merge nothing: for these nothing is asked.
_HARMLESS: Final = frozenset(
    {
        *("rev-parse", "symbolic-ref", "for-each-ref", "show-ref", "check-ref-format", "merge-base", "rev-list"),
        *("update-ref", "commit-tree", "write-tree", "config", "version", "--version", "log", "reflog", "ls-tree"),
        *("ls-files", "diff-tree", "branch", "tag", "hash-object", "mktree", "fsck", "count-objects"),
    }
)
_HARMLESS_WORKTREE: Final = frozenset({"list", "lock", "unlock", "prune"})
_NO_SUBMODULES: Final = frozenset({"merge-tree", "cat-file"})  # commands that start no git inside of submodules
_FILTER: Final = ("clean", "smudge", "process")
_LFS: Final = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}
# Exit codes above 128 would be a failure of the merge (a binary file is 255); it is a conflict.
TEXT_MERGE: Final = "git merge-file --marker-size=%L -L ours -L base -L theirs %A %O %B || exit 1"
_MOST_REPOSITORIES: Final = 500  # submodules whose configuration is read for one call

# The words of git when a required filter has no command.
_FAILED: Final = re.compile(r"(?:clean|smudge) filter '?([^\n]{1,200}?)'? failed")

Ask = Callable[[Path, Sequence[str]], bytes]  # git in a folder -> its output; raises GitError


def concerns(arguments: Sequence[str]) -> bool:
    """Whether this git command could run a filter or a merge driver."""
    verb, rest = arguments[0], arguments[1:]
    if verb == "worktree" and rest:
        return not (rest[0] in _HARMLESS_WORKTREE or (rest[0] == "add" and "--no-checkout" in rest))
    if verb == "cat-file":
        return "--filters" in rest or "--textconv" in rest
    return verb not in _HARMLESS


def overrides(arguments: Sequence[str], cwd: Path, allowed: Mapping[str, str], ask: Ask) -> dict[str, str]:
    """The settings that must go before those of the configuration that git will read in `cwd`: key to value.

    `allowed` holds the commands that operators allowed, by their configuration key ("filter.x.clean").
    """
    here = set(_keys(cwd, ask))
    settings = dict(_overriding(here, allowed))
    if arguments[0] not in _NO_SUBMODULES:
        inner = {key for inside in _submodules(cwd, ask) for key in _keys(inside, ask)}
        # Only `status` runs in there, and it writes nothing: without a filter a file shows as changed, at worst.
        settings = dict(_overriding(inner, allowed, required="false")) | settings
    return settings


def found(cwd: Path, ask: Ask) -> dict[str, str]:
    """The commands of filters and merge drivers that the configuration names, by key."""
    named: dict[str, str] = {}
    for entry in ask(cwd, ("config", "--list", "-z")).decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        if _program(key) and key.rpartition(".")[2] in (*_FILTER, "driver", "required"):
            named[key] = value
    return named


def refused_filter(stderr: str) -> str | None:
    """The filter for which git has failed, by its words; None when it failed for something else."""
    match = _FAILED.search(stderr)
    return match[1] if match else None


def parameters(settings: Mapping[str, str]) -> str:
    """The settings as git hands them on in GIT_CONFIG_PARAMETERS: `-c` cannot say a name that holds "="."""
    return " ".join(f"{_quoted(key)}={_quoted(value)}" for key, value in settings.items())


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''").replace("!", "'\\!'") + "'"


def _keys(cwd: Path, ask: Ask) -> Iterator[str]:
    for key in ask(cwd, ("config", "--list", "--name-only", "-z")).decode("utf-8", "surrogateescape").split("\0"):
        if _program(key):
            yield key


def _program(key: str) -> tuple[str, str] | None:
    """("filter", "x") of "filter.x.clean", ("merge", "x") of "merge.x.driver"; None for any other key."""
    section, _, rest = key.partition(".")
    name, dot, _ = rest.rpartition(".")
    return (section, name) if dot and section in ("filter", "merge") else None


def _overriding(
    keys: Iterable[str], allowed: Mapping[str, str], *, required: str = "true"
) -> Iterator[tuple[str, str]]:
    keys = set(keys)
    for section, name in sorted({program for key in keys if (program := _program(key))}):
        prefix = f"{section}.{name}."
        kept = {
            key: value for key, value in allowed.items() if key.startswith(prefix) and "." not in key[len(prefix) :]
        }
        if section == "merge":
            yield f"{prefix}driver", kept.get(f"{prefix}driver") or TEXT_MERGE
            continue
        needed = kept.get(f"{prefix}required", "false") if kept else required
        if name == "lfs" and not kept:
            kept = _LFS if shutil.which("git-lfs") else {}
            needed = "true" if kept else "false"
        process = f"{prefix}process"
        if kept and process in keys and process not in kept:
            needed = required  # git asks nobody else where there is a process: somebody added one after it was allowed
        for word in _FILTER if process in keys or not kept else _FILTER[:2]:
            yield prefix + word, kept.get(prefix + word, "")
        yield f"{prefix}required", needed


def _submodules(cwd: Path, ask: Ask) -> Iterator[Path]:
    """The checkouts of repositories inside `cwd` that its index knows, and those inside of them."""
    waiting, seen = [cwd], 0
    while waiting:
        top = waiting.pop()
        for line in ask(top, ("ls-files", "--stage", "-z")).split(b"\0"):
            if not line.startswith(b"160000 "):
                continue
            inside = top / line.partition(b"\t")[2].decode("utf-8", "surrogateescape")
            if (inside / ".git").exists():
                seen += 1
                if seen > _MOST_REPOSITORIES:
                    raise GitError(f"{cwd} holds more than {_MOST_REPOSITORIES} repositories inside of it")
                waiting.append(inside)
                yield inside
