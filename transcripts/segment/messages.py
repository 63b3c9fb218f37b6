"""What a commit's own message says: the most careful account of the work that a session holds."""

from __future__ import annotations

import re
from typing import Final

_HEREDOC: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n")
_QUOTED: Final = re.compile(r"(?:-[a-z]*m|--message)[ =]\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*')", re.S)
_TRAILER: Final = re.compile(
    r"^(?:[A-Z][\w-]+-[Bb]y|[A-Z][\w]+(?:-[A-Z]\w+)+|Brief|Refs?|Closes|Fixes):? .*$|^.*Generated with .*$", re.M
)
_COMMIT: Final = re.compile(r"\bgit\b[^|;&\n]{0,200}?\bcommit\b")
LONGEST: Final = 20_000  # characters of a command that are read


def body_of(command: str) -> str:
    """The message of a ``git commit`` below its subject; empty where there is none."""
    _, _, body = _message(command).partition("\n")
    return _TRAILER.sub("", body).strip()


def subject_of(command: str) -> str:
    """The first line of the message that a ``git commit`` is given; empty where the command does not hold it."""
    subject, _, _ = _message(command).partition("\n")
    return "" if "$(" in subject else re.sub(r"\\([`\"$])", r"\1", " ".join(subject.split())[:500])


def _message(command: str) -> str:
    command = command[:LONGEST]
    if not (match := _COMMIT.search(command)):
        return ""
    rest = command[match.start() :]
    if document := _HEREDOC.search(rest):
        end = re.compile(rf"^\s*{re.escape(document[1])}\b", re.M).search(rest, document.end())
        message = rest[document.end() : end.start() if end else len(rest)]
    else:
        message = "\n\n".join(quoted[1:-1] for quoted in _QUOTED.findall(rest))
    return message.strip()
