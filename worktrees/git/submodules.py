"""Submodules: made ready in a worktree, and what a commit says of them.

A worktree's submodules have stores of their own (`.git/worktrees/<name>/modules/…`), which go with it. They are cloned
from the store that MAIN has of them, or the caller names, wherever that has the commit: no network then. Nothing is
written to the shared configuration: a submodule that MAIN does not use stays unused there.

What a submodule's configuration names is never run: no filter, no transport but files for what is fetched from a store,
no `update = !command`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from .command import QUICK, SLOW, Output, readable
from .errors import GitError
from .private import Private

GITLINK = "160000"
_FILES_ONLY = {"GIT_ALLOW_PROTOCOL": "file"}
_CARRIED = "refs/flower/carried/"  # in MAIN's store of a submodule: commits that came from a worktree's
_ASK_SECONDS = 20.0  # how long a submodule's remote may take to say what it has


@dataclass(frozen=True, slots=True)
class Submodule:
    """One submodule of a commit: `path` below the top, `url` as `.gitmodules` has it, `sha` where the commit points."""

    name: str
    path: str
    url: str
    sha: str
    update: str = ""


@dataclass(frozen=True, slots=True)
class _Level:
    """One repository whose submodules are made ready: where it is checked out and which stores may have them."""

    checkout: Path
    git_dir: Path
    stores: tuple[Path, ...]  # folders that hold a store for each submodule, by name
    origin: str
    scope: str  # of the configuration that says where a submodule comes from


class SubmoduleFailed(GitError):
    """A submodule could not be made ready; `path` is the submodule's."""

    def __init__(self, path: str, error: GitError) -> None:
        self.path = path
        super().__init__(
            f"the submodule {path} could not be made ready: {error.message}", argv=error.argv, stderr=error.stderr
        )


class Submodules(Private):
    """Submodules of one repository."""

    def submodules(self, commit: str, cwd: Path | None = None) -> list[Submodule]:
        """The submodules that the `.gitmodules` of a commit names and that the commit has."""
        if not self._git("ls-tree", "-z", commit, "--", ".gitmodules", cwd=cwd).fields:
            return []
        listed = self._git("config", "--blob", f"{commit}:.gitmodules", "-z", "--list", cwd=cwd).fields
        named: dict[str, dict[str, str]] = {}
        for line in listed:
            key, _, value = line.partition("\n")
            section, _, rest = key.partition(".")
            name, _, variable = rest.rpartition(".")
            if section == "submodule" and name:
                named.setdefault(name, {})[variable] = value
        paths = [values["path"] for values in named.values() if values.get("path")]
        links = self._gitlinks(commit, paths, cwd) if paths else {}
        return [
            Submodule(name, values["path"], values.get("url", ""), links[values["path"]], values.get("update", ""))
            for name, values in named.items()
            if values.get("path") in links
        ]

    def has_submodules(self, worktree_path: Path) -> bool:
        """Whether the commit that a checkout is at names submodules and has them."""
        return bool(self.submodules("HEAD", cwd=worktree_path))

    def _gitlinks(self, commit: str, paths: Sequence[str], cwd: Path | None = None) -> dict[str, str]:
        """Which of `paths` are gitlinks in a commit, and where they point."""
        found = self._git("ls-tree", "-z", "--full-tree", commit, "--", *paths, cwd=cwd).fields
        rows = (line.partition("\t") for line in found)
        return {path: meta.split(" ")[2] for meta, _, path in rows if meta.startswith(GITLINK)}

    def changed_gitlinks(self, base: str, head: str) -> dict[str, str]:
        """The paths that `head` has as gitlinks, unlike `base`, and the commits that they point to."""
        wanted = ("diff-tree", "-r", "-z", "--raw", "--no-renames", base, head)
        fields = self._git(*wanted, timeout=SLOW).fields
        changed = zip(fields[::2], fields[1::2], strict=True)
        return {path: meta.split(" ")[3] for meta, path in changed if meta.split(" ")[1] == GITLINK}

    def unnamed_gitlinks(self, base: str, head: str, main: str) -> list[str]:
        """Repositories that `base`..`head` records without a word in `.gitmodules`: nobody could fetch their files.

        What `main` has in the same way was not brought by this work.
        """
        changed = self.changed_gitlinks(base, head)
        named = {one.path for one in self.submodules(head)} if changed else set()
        unnamed = [path for path in changed if path not in named]
        there = self._gitlinks(main, unnamed) if unnamed else {}
        return [readable(path) for path in unnamed if there.get(path) != changed[path]]

    def unpublished_submodules(self, base: str, head: str, worktree: Path | None) -> list[str]:
        """Submodules whose pointer `base`..`head` moves to a commit that only the worktree has, if anybody has it.

        Known is what MAIN's store of the submodule has, what the worktree's store has from a remote, and what the
        submodule's remote answers as the tip of a branch or tag.
        """
        changed = self.changed_gitlinks(base, head)
        moved = [one for one in self.submodules(head) if one.path in changed] if changed else []
        known = {(one.name, one.url) for one in self.submodules(base)} if moved else set()
        return [
            readable(one.path)
            for one in moved
            if not self._is_in_reach(one, worktree) and not ((one.name, one.url) in known and self._is_remote_tip(one))
        ]

    def _is_in_reach(self, one: Submodule, worktree: Path | None) -> bool:
        if self._has(self.common_dir / "modules" / one.name, one.sha):
            return True
        checkout = worktree / one.path if worktree else None
        if checkout and (store := self._store_of(checkout)):
            wanted = ("for-each-ref", "--count=1", "--contains", one.sha, "refs/remotes/")
            if self._has(store, one.sha) and self._in_store(store, *wanted).text:
                return True
        return False

    def _is_remote_tip(self, one: Submodule) -> bool:
        """Asked in MAIN, where the operator's configuration counts and not the submodule's."""
        try:
            said = self._git("ls-remote", "--", self._address(one, self.path), timeout=_ASK_SECONDS).text
        except GitError:
            return False
        return any(line.startswith(f"{one.sha}\t") for line in said.splitlines())

    def carry_submodules(self, base: str, head: str, worktree: Path) -> None:
        """Bring the submodule commits that `base`..`head` points to from the worktree's stores into MAIN's.

        Then MAIN and later worktrees need no network for them, and they do not go with the worktree.
        """
        changed = self.changed_gitlinks(base, head)
        for one in self.submodules(head) if changed else []:
            target = self.common_dir / "modules" / one.name
            source = self._store_of(worktree / one.path)
            if one.path not in changed or source is None or not target.is_dir() or self._has(target, one.sha):
                continue
            if self._has(source, one.sha):
                self.take(target, source, one.sha, f"{_CARRIED}{one.sha}")

    def take(self, target: Path, source: Path, sha: str, ref: str) -> None:
        """Fetch the commit `sha` from the git folder `source` into the git folder `target`, as its ref `ref`."""
        wanted = ("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        asked = (*wanted, "--", str(source), f"+{sha}:{ref}")
        self._in_store(target, *asked, env=_FILES_ONLY, config=("protocol.version=2",), timeout=SLOW)

    def _store_of(self, checkout: Path) -> Path | None:
        """The git folder of a populated submodule or inner repository; None when there is none of its own."""
        if checkout.is_symlink() or not (checkout / ".git").exists():
            return None
        try:
            wanted = ("rev-parse", "--path-format=absolute", "--git-common-dir")
            return Path(self._git(*wanted, cwd=checkout).text)
        except GitError:
            return None

    def _has(self, store: Path, sha: str) -> bool:
        if not (store / "objects").is_dir():
            return False
        return self._in_store(store, "cat-file", "-e", f"{sha}^{{commit}}", ok=(0, 1, 128)).returncode == 0

    def _in_store(self, store: Path, *arguments: str, env: Mapping[str, str] | None = None, **how: Any) -> Output:
        """Run git in a git folder without its files: a submodule's, or another repository's."""
        return self._git(*arguments, cwd=store, env={"GIT_DIR": str(store), **(env or {})}, **how)

    # -- MAIN's own --------------------------------------------------------------------------------------------------

    def bring_submodules_along(self, old: str, new: str) -> list[str]:
        """Check out in MAIN the submodules whose pointer `old`..`new` moves; returns their paths. Needs the lock.

        Only those that stand, detached and clean, where `old` has them, whose store has the commit already, and that
        name no filter: everything else is left as it is, and git shows it as changed, as after a pull.
        """
        self._require_lock()
        changed = self.changed_gitlinks(old, new)
        before = self._gitlinks(old, list(changed)) if changed else {}
        brought = []
        for one in self.submodules(new) if before else []:
            checkout = self.path / one.path
            if one.path not in before or not self._stands_at(checkout, before[one.path]):
                continue
            if self._has(self.common_dir / "modules" / one.name, one.sha):
                wanted = ("submodule", "--quiet", "update", "--checkout", "--no-fetch", "--", one.path)
                self._git(*wanted, timeout=SLOW)
                brought.append(one.path)
        return brought

    def _stands_at(self, checkout: Path, sha: str) -> bool:
        if self._store_of(checkout) is None:
            return False
        filters = ("config", "--local", "--includes", "--name-only", "--get-regexp", r"^filter\.")
        if self._git(*filters, cwd=checkout, ok=(0, 1)).text:
            return False
        if self._git("symbolic-ref", "-q", "HEAD", cwd=checkout, ok=(0, 1)).returncode == 0:
            return False  # somebody works on a branch there
        if self._commit_of("HEAD", cwd=checkout) != sha:
            return False
        return not self._git("status", "--porcelain", "--untracked-files=no", cwd=checkout, timeout=SLOW).text

    # -- made ready ------------------------------------------------------------------------------------------------

    def prepare_submodules(
        self, worktree_path: Path, *, beside: Path | None = None, patience: float = 30.0, timeout: float = SLOW
    ) -> list[str]:
        """Check out the submodules of a filled worktree, recursively; returns their paths. Without the lock.

        They are taken from MAIN's stores, or from those of the worktree `beside`. Only what neither has is fetched from
        the network. May be repeated after any crash, while nobody works there.
        Raises SubmoduleFailed. `timeout` in seconds for each git command.
        """
        if not self.has_submodules(worktree_path):
            return []
        git_dir = self._linked_git_dir(worktree_path)
        with self.lock(patience):
            self._enable_worktree_config()
        sources = [self.common_dir, *([self._linked_git_dir(beside)] if beside else [])]
        stores = tuple(folder / "modules" for folder in sources)
        origin = self._setting("remote.origin.url", self.path) or str(self.path)
        top = _Level(worktree_path, git_dir, stores, origin, "--worktree")
        return list(self._prepare_level(top, "", timeout))

    def _prepare_level(self, level: _Level, above: str, timeout: float) -> Iterator[str]:
        for one in self.submodules("HEAD", cwd=level.checkout):
            path = f"{above}{one.path}"
            try:
                if self._is_wanted(one, level.checkout):
                    yield path
                    inner = self._prepare_one(one, level, timeout)
                    yield from self._prepare_level(inner, f"{path}/", timeout)
            except SubmoduleFailed:
                raise
            except GitError as error:
                raise SubmoduleFailed(path, error) from error

    def _is_wanted(self, one: Submodule, checkout: Path) -> bool:
        """Whether nobody has switched it off: `update = none`, or `active = false` in the configuration."""
        update = self._setting(f"submodule.{one.name}.update", checkout) or one.update
        return update != "none" and self._setting(f"submodule.{one.name}.active", checkout) != "false"

    def _prepare_one(self, one: Submodule, level: _Level, timeout: float) -> _Level:
        if "=" in one.name or not one.name.isprintable() or ".." in PurePosixPath(one.name).parts:
            raise GitError(f"'{readable(one.name)}' is no name that flower uses for a submodule")
        store = level.git_dir / "modules" / one.name
        if store.is_dir() and not (store / "index").exists():
            shutil.rmtree(store)  # left by a killed clone: nobody has worked in it
        stores = [folder / one.name for folder in level.stores]
        local = next((found for found in stores if self._has(found, one.sha)), None)
        address = self._address(one, level.checkout, level.origin)
        config = [f"submodule.{one.name}.url={local or address}", f"submodule.{one.name}.active=true"]
        if local is not None:
            config.append("protocol.file.allow=always")  # a store of this repository, not what a url says
        reference = next((found for found in stores if (found / "objects").is_dir()), None) if local is None else None
        borrowed = ("--reference", str(reference), "--dissociate") if reference else ()
        self._git(
            *("submodule", "--quiet", "update", "--checkout", *borrowed, "--", one.path),
            cwd=level.checkout,
            config=config,
            timeout=timeout,
        )
        if local is not None:
            self._like_a_clone(store, local, address)
        for name, value in ((f"submodule.{one.name}.url", address), (f"submodule.{one.name}.active", "true")):
            self._git("config", level.scope, name, value, cwd=level.checkout)
        inner = tuple(folder / one.name / "modules" for folder in level.stores)
        return _Level(level.checkout / one.path, store, inner, address, "--local")

    def _like_a_clone(self, store: Path, local: Path, address: str) -> None:
        """Have a clone of MAIN's store say what one of the remote would: its address, and the branches seen there."""
        refs = "+refs/remotes/origin/*:refs/remotes/origin/*"
        wanted = ("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        self._in_store(store, *wanted, "--", str(local), refs, env=_FILES_ONLY, timeout=SLOW)
        self._in_store(store, "config", "remote.origin.url", address)

    def _address(self, one: Submodule, checkout: Path, origin: str = "") -> str:
        """Where a submodule comes from: what the configuration says, else its url (a relative one beside `origin`)."""
        if configured := self._setting(f"submodule.{one.name}.url", checkout):
            return configured
        if not one.url.startswith(("./", "../")):
            return one.url
        return relative_url(origin or self._setting("remote.origin.url", self.path) or str(self.path), one.url)

    def _setting(self, name: str, cwd: Path) -> str:
        return self._git("config", "--get", name, cwd=cwd, ok=(0, 1), timeout=QUICK).text


def relative_url(origin: str, url: str) -> str:
    """`url` ("../lib.git") beside `origin`, as git reads it: "git@host:team/app.git" gives "git@host:team/lib.git"."""
    base, rest = origin.rstrip("/"), url
    while rest.startswith(("./", "../")):
        if rest.startswith("../"):
            cut = max(base.rfind("/"), base.rfind(":"))
            if cut < 0:
                raise GitError(f"the address '{readable(url)}' leads above '{readable(origin)}'")
            separator, base = base[cut], base[:cut]
            rest = rest[3:]
            if separator == ":" and not rest.startswith("../"):
                return f"{base}:{rest.rstrip('/')}"
        else:
            rest = rest[2:]
    return f"{base}/{rest}".rstrip("/")
