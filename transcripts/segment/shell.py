"""Shell lines as agents write them."""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"?")
_DOCUMENT: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?^\s*\1\b", re.S | re.M)
_RUNNING: Final = re.compile(
    r"(?:Process|Command) (?:is )?(?:still )?running|running in (?:the )?background|session ID \d+", re.I
)
COMMAND: Final = 4000  # characters of a command that are read


def bare_command(command: str) -> str:
    """Without what is only text in it: strings, and documents after ``<<``."""
    return _QUOTED.sub("''", _DOCUMENT.sub("", command[:COMMAND]).split("<<", 1)[0])


def is_running(text: str) -> bool:
    return bool(_RUNNING.search(text[:400]))
