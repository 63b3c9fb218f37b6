"""What the commits of a branch bring, compared with where it left the main branch."""

from __future__ import annotations

from worktrees import git


def left_at(repository: git.Repository, base: str, head: str, main_branch: str) -> str:
    """The commit id that work at ``head`` is compared with. Raises GitError.

    That is where it left the main branch, not the base that it began from: an agent that merged or rebased onto a newer
    main did not write what came from there. Work that is on the main branch already is compared with ``base``.
    """
    found = repository.merge_base(main_branch, head) or base
    return base if found == head else found
