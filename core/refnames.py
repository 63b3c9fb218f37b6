"""What may be the name of a branch: asked wherever a name enters, whatever the door.

git's own rules (git-check-ref-format), and two more that keep a name from meaning something else: one that begins with
``refs/`` is a whole ref name, which stands for itself, and one of 40 or 64 hex digits is a commit.
"""

from __future__ import annotations

import re
from typing import Final

_FORBIDDEN: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]")
_COMMIT: Final = re.compile(r"[0-9a-f]{4,64}", re.ASCII)
_FULL_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


def why_no_branch(name: str) -> str:
    """Why ``name`` cannot be the name of a branch, as the end of a sentence ("it …"); empty when it can."""
    parts = name.split("/")
    if not name:
        return "it is empty"
    if name.startswith("refs/"):
        return "it begins with refs/, which makes it a whole ref name"
    if name == "HEAD" or _FULL_ID.fullmatch(name):
        return "git would take it for something else"
    if _FORBIDDEN.search(name) or not name.isprintable():
        return "it holds a character that git does not allow there"
    if name.startswith("-") or name == "@" or ".." in name or "@{" in name or name.endswith("."):
        return "git does not allow it"
    if any(not part or part.startswith(".") or part.endswith(".lock") for part in parts):
        return "git does not allow one of its parts"
    return ""


def is_commit_id(text: str) -> bool:
    """Whether ``text`` is a commit's id or the beginning of one: 4 to 64 hex digits."""
    return _COMMIT.fullmatch(text) is not None
