"""What a shell line did with git, by what git answered and not by what was typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from transcripts.events import Event

from .shell import bare_command, is_running

# git at the beginning of a part of a shell line, behind variables and one wrapper (rtk, time, sudo) at most
_GIT: Final = (
    r"(?:^|[;&|(\n])\s*(?:[A-Z_]+=\S*\s+)*(?!echo\b|printf\b|grep\b|rg\b|man\b|which\b|#)(?:[\w./-]+\s+)?"
    r"git\s+(?:-[cC]\s+\S+\s+|--[\w-]+(?:=\S+)?\s+)*"
)
_COMMIT: Final = re.compile(_GIT + r"commit\b(?!-)(?P<rest>[^;&|\n]*)(?P<after>.*)", re.S)
_PUSH: Final = re.compile(_GIT + r"push\b(?P<rest>[^;&|\n]*)")
_REBASE: Final = re.compile(_GIT + r"(?:rebase\b|pull\b[^;&|\n]*--rebase)")
_DRY: Final = re.compile(r"--dry-run\b|--help\b")
_CHAINED: Final = re.compile(r"\s*(?:&&[^;|]*)?[\s)]*")
_REDIRECTED: Final = re.compile(r"\s*\d?>(?:&\d|\s*/dev/null)")
_COUNTED: Final = re.compile(r"\b\d+ files? changed\b")
_REJECTED: Final = re.compile(
    r"^\s*(?:error|fatal):|(?<!\b0 )\bFAILED\b|nothing (?:added )?to commit|no changes added|\bAbort(?:ing|ed)\b"
    r"|exit(?:ed with)? (?:code|status) [1-9]|hook\b.{0,40}\b(?:failed|declined)",
    re.M,
)
_PUSH_REJECTED: Final = re.compile(
    r"\[(?:remote )?rejected\]|failed to push|\bGH\d{3}\b|fatal: (?:unable to access|could not read|Authentication"
    r"|The current branch|Could not read from remote)|Permission (?:to \S+ )?denied",
)
RANGE: Final = re.compile(r"^\s*[+*]?\s*([0-9a-f]{7,40})\.{2,3}([0-9a-f]{7,40})\s+(\S+)\s+->\s+(\S+)", re.M)
_NEW_BRANCH: Final = re.compile(r"^\s*\*\s*\[new branch\]\s+\S+\s+->\s+(\S+)", re.M)
_NOT_PUSHED: Final = re.compile(r"^\s*!\s*\[(?:remote )?rejected\]\s+(?:\S+\s+->\s+)?(\S+)(?:\s+->\s+(\S+))?", re.M)
_REASON: Final = re.compile(r"^remote:\s*-\s*(\S.*?)\s*$|\[(?:remote )?rejected\][^\n]*\(([^)\n]{4,120})\)", re.M)
REBASED: Final = re.compile(r"Successfully rebased and updated (?:refs/heads/)?([^\s.]\S*?)\.?(?:\s|$)")
LONGEST: Final = 20_000  # characters of an output, or of a command with a message, that are read
_HEREDOC: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n")
_MESSAGE: Final = re.compile(r"(?:-[a-z]*m|--message)[ =]\s*(\"(?:[^\"\\]|\\.)*\"|'[^']*')", re.S)


@dataclass(frozen=True, slots=True)
class Push:
    """How a push ended."""

    went_through: bool
    branch: str  # empty where neither the command nor git tells
    why: str  # of a rejected one, as far as it is told
    event: int


@lru_cache(maxsize=256)
def bare_git(command: str) -> str:
    return _REDIRECTED.sub("", bare_command(command)) if "git" in command else ""


def is_rebase(command: str) -> bool:
    return bool(_REBASE.search(bare_git(command)))


def is_amend(command: str) -> bool:
    match = _COMMIT.search(bare_git(command))
    return bool(match and "--amend" in match["rest"])


def quiet_commit(command: str, result: Event) -> str:
    """The subject of a commit that went through although git's line with its id is not in the output; else empty.

    A command that goes on after it (a pipe, ``;``, ``||``) may hide the failure: then git's count of files must show.
    """
    if "commit" not in command or result.is_error or result.exit_code or result.commits:
        return ""
    match = _COMMIT.search(bare_git(command))
    if match is None or _DRY.search(match["rest"]) or is_running(result.text):
        return ""
    said = result.text[:LONGEST]
    if _REJECTED.search(said) or not (_CHAINED.fullmatch(match["after"]) or _COUNTED.search(said)):
        return ""
    return subject_of(command)


def push_of(command: str, result: Event, number: int) -> Push | None:
    """How the push in this command ended; None if there is none, or if the log does not tell."""
    match = _PUSH.search(bare_git(command)) if "push" in command else None
    if match is None or "--dry-run" in match["rest"] or is_running(result.text):
        return None
    said = result.text[-LONGEST:]
    if _PUSH_REJECTED.search(said):
        found = _NOT_PUSHED.search(said)
        reasons = [first or second for first, second in _REASON.findall(said)]
        branch = (found[2] or found[1]) if found else ""
        return Push(False, branch or _target(match["rest"]), reasons[0] if reasons else "", number)
    if result.is_error or result.exit_code:
        return None  # something before it failed, or a person said no
    found = RANGE.search(said)
    new = _NEW_BRANCH.search(said)
    return Push(True, found[4] if found else new[1] if new else _target(match["rest"]), "", number)


def _target(arguments: str) -> str:
    """ "-u origin HEAD:main" pushes to main; a name that only the shell knows is none."""
    words = [word for word in arguments.split() if not word.startswith(("-", "2>", ">", "''"))]
    name = words[1].rsplit(":", 1)[-1].lstrip("+") if len(words) == 2 else ""
    return name.removeprefix("refs/heads/") if re.fullmatch(r"[\w./-]+", name) and name != "HEAD" else ""


def subject_of(command: str) -> str:
    """The first line of the message that a ``git commit`` is given; empty where the command does not hold it."""
    command = command[max(0, command.find("commit")) : LONGEST]
    if document := _HEREDOC.search(command):
        message = command[document.end() :]
    else:
        message = quoted[1][1:-1] if (quoted := _MESSAGE.search(command)) else ""
    subject = message.strip().partition("\n")[0]
    return "" if "$(" in subject else re.sub(r"\\([`\"$])", r"\1", " ".join(subject.split())[:500])
