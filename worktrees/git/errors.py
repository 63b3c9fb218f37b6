"""What can go wrong with a repository. `str()` of each is one sentence that a person can be shown.

They descend from GitPython's base error, so that code which also uses GitPython needs one `except`.
"""

from __future__ import annotations

from collections.abc import Sequence

from git.exc import GitError as GitPythonError


class GitError(GitPythonError):
    """git refused or failed.

    `argv` is what was run (empty when nothing was), `returncode` git's exit status (None: not run, or killed
    by us after its time limit), `stderr` what git said.
    """

    def __init__(
        self, message: str, *, argv: Sequence[str] = (), returncode: int | None = None, stderr: str = ""
    ) -> None:
        super().__init__(message)
        self.message = message
        self.argv = tuple(argv)
        self.returncode = returncode
        self.stderr = stderr

    def __str__(self) -> str:
        """`message` as a sentence: a capital at its beginning, a stop at its end."""
        return f"{self.message[:1].upper()}{self.message[1:]}".rstrip(".") + "."


class FilterNotAllowed(GitError):
    """Files pass through a filter that git may not run here, or that has failed. `filter` is its name."""

    def __init__(self, name: str, *, argv: Sequence[str] = (), returncode: int | None = None, stderr: str = "") -> None:
        self.filter = name
        super().__init__(
            f"files of this repository pass through the git filter '{name}', which did not run: either it is not "
            "allowed (an operator allows it on the project page, at Programs that git may run) or its program failed",
            argv=argv,
            returncode=returncode,
            stderr=stderr,
        )


class LockBusy(GitError):
    """Somebody else held a lock for the whole time that we were ready to wait."""


class Conflict(GitError):
    """Two sides cannot be merged by git alone. `files` are the paths in conflict."""

    def __init__(self, files: Sequence[str], messages: str = "") -> None:
        self.files = list(files)
        super().__init__(f"merge conflict in {named(self.files)}", returncode=1, stderr=messages)


class RefMoved(GitError):
    """A compare-and-swap lost: the ref is not where the caller thought. `found` is None when it is gone."""

    def __init__(self, ref: str, expected: str, found: str | None) -> None:
        self.ref = ref
        self.expected = expected
        self.found = found
        where = f"at {found[:12]}" if found else "gone"
        super().__init__(f"the ref {ref} has moved: it was expected at {expected[:12]} but is {where}")


class InTheWay(GitError):
    """Local changes or untracked files in the main checkout that a refresh would overwrite. Nothing was changed."""

    def __init__(self, files: Sequence[str], stderr: str = "") -> None:
        self.files = list(files)
        super().__init__(
            f"local changes in the main checkout are in the way: {named(self.files)}; "
            "commit, move or discard them, then try again",
            stderr=stderr,
        )


def named(files: Sequence[str], most: int = 5) -> str:
    """The first few of `files` for a sentence: "a, b and 3 more"."""
    shown = ", ".join(files[:most])
    return f"{shown} and {len(files) - most} more" if len(files) > most else shown
