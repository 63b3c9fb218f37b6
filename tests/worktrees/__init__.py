"""Real git repositories for the tests of `worktrees`."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from worktrees.git import Repository

ENV = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C.UTF-8",
}


class Place:
    """A folder with one repository in it, and a person who works there with plain git."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.main = folder / "main"
        self.home = folder / "home"
        self.home.mkdir()
        shutil.copytree(_template(), self.main)
        self.repo = self.repository()
        self.first = self.git("rev-parse", "HEAD")

    def repository(self) -> Repository:
        """Another object for the same repository, as another process would have."""
        return Repository(self.main, lock_folder=self.folder / "locks")

    def run(
        self, *argv: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        full = clean | ENV | {"HOME": str(self.home)} | (env or {})
        return subprocess.run(argv, cwd=cwd or self.main, env=full, capture_output=True, text=True, timeout=60)

    def git(self, *args: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
        done = self.run("git", *args, cwd=cwd, env=env)
        assert done.returncode == 0, f"git {args}: {done.stdout}{done.stderr}"
        return done.stdout.rstrip("\n")

    def write(self, files: dict[str, str | bytes | None], top: Path | None = None) -> None:
        for name, content in files.items():
            path = (top or self.main) / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, message: str, cwd: Path | None = None) -> str:
        self.git("add", "-A", cwd=cwd)
        self.git("commit", "-q", "--allow-empty", "-m", message, cwd=cwd)
        return self.git("rev-parse", "HEAD", cwd=cwd)

    def worktree(self, name: str, branch: str | None = None, base: str | None = None) -> Path:
        """A filled worktree, made the way flower does."""
        path = self.folder / name
        base = base or self.git("rev-parse", "main")
        with self.repo.lock():
            self.repo.create_branch(branch or name, base, "test")
            self.repo.add_worktree(path, branch or name, "test")
        self.repo.fill_worktree(path, base)
        return path

    def commit_aside(self, files: dict[str, str | bytes | None], message: str = "aside", base: str = "main") -> str:
        """A commit on top of `base` that nothing points to, made without touching the main checkout."""
        aside = self.folder / "aside"
        self.git("worktree", "add", "-q", "--detach", str(aside), base)
        self.write(files, aside)
        sha = self.commit(message, aside)
        self.git("worktree", "remove", "--force", str(aside))
        return sha

    def picture(self, *tops: Path) -> dict[str, object]:
        """Everything that a refused act must leave as it was: refs, HEADs, register, indexes, files."""
        tops = tops or (self.main,)
        seen: dict[str, object] = {
            "refs": self.git("for-each-ref"),
            "worktrees": self.git("worktree", "list", "--porcelain"),
        }
        for top in tops:
            index = Path(self.git("rev-parse", "--path-format=absolute", "--git-path", "index", cwd=top))
            seen[f"index {top}"] = index.read_bytes() if index.exists() else None
            for path in sorted(top.rglob("*")):
                if ".git" in path.relative_to(top).parts:
                    continue
                if path.is_symlink():
                    seen[str(path)] = os.readlink(path)
                elif path.is_file():
                    seen[str(path)] = (path.read_bytes(), path.stat().st_mode, path.stat().st_mtime_ns)
                else:
                    seen[str(path)] = "folder"
        return seen


@cache
def _template() -> Path:
    """One commit, made once: copying it is much quicker than making it again for each test."""
    folder = Path(tempfile.mkdtemp(prefix="flower-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, text in {"a.txt": "one\n", "b.txt": "two\n", "dir/c.txt": "three\n"}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")} | ENV
    for argv in (["init", "-q", "-b", "main", "--template="], ["add", "-A"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *argv], cwd=folder, env=kept, check=True)
    return folder
