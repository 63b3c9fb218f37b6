"""Shell lines as agents write them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_QUOTED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"?")
_DOCUMENT: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?^\s*\1\b", re.S | re.M)
_RUNNING: Final = re.compile(
    r"(?:Process|Command) (?:is )?(?:still )?running|running in (?:the )?background|session ID \d+", re.I
)
COMMAND: Final = 4000  # characters of a command that are read


@lru_cache(maxsize=256)
def bare_command(command: str) -> str:
    """Without what is only text in it: strings, and documents after ``<<``."""
    return _QUOTED.sub("''", _DOCUMENT.sub("", command[:COMMAND]).split("<<", 1)[0])


# Programs that only look, at the beginning of each part of a shell line.
_LOOKS: Final = re.compile(
    r"\(*\s*(?:rg|grep|egrep|ls|cat|head|tail|find(?!.*-(?:delete|exec))|wc|pwd|which|jq|nl|sort|uniq|cut|awk|echo|printf"
    r"|test|cd|tree|file|stat|du|date|type|man|true|sed (?!-i)|less|diff|env$|printenv|ps|sleep"
    r"|git (?:-C \S+ |--no-pager )?(?:log|show|diff|status|branch(?! -[dDmM])|rev-parse|rev-list|ls-files|ls-tree"
    r"|ls-remote|blame|grep|remote|fetch|merge-base|cat-file|config --get|describe|reflog|stash list|worktree list)"
    r"|gh (?:pr|issue|run|repo|release|workflow|search) (?:view|list|diff|status|checks|issues|prs|code)"
    r"|gh (?:api (?!.*(?:\s-[fFX]\b|--field|--method))|auth status)|''|\))\S*(?:\s|$)"
)
_PARTS: Final = re.compile(r"\s*(?:&&|\|\||;|\||\n)\s*")


def is_looking(command: str) -> bool:
    """Does it only look, and change nothing?"""
    parts = [part for part in _PARTS.split(bare_command(command).strip()) if part]
    return all(_LOOKS.match(part) for part in parts)


def is_running(text: str) -> bool:
    return bool(_RUNNING.search(text[:400]))
