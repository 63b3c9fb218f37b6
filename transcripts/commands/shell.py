"""Shell lines as agents write them, and which of them check the work (exceptions.toml)."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from transcripts.events import Event

DATA: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("exceptions.toml").read_text())
COMMAND: Final = 4000  # characters of a command that are read
OUTPUT: Final = 6000  # characters at the end of an output that tell how a check ended
NAMED: Final = 2  # words behind a program that name a check
MANY: Final = 3  # kinds of checks in one line that are called "checks"

_QUOTED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"?")
_DOCUMENT: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?^\s*\1\b", re.S | re.M)
_RUNNING: Final = re.compile(
    r"(?:Process|Command) (?:is )?(?:still )?running|running in (?:the )?background|session ID \d+", re.I
)
_APART: Final = re.compile(r"&&|\|\||[;|\n]")
_REDIRECTED: Final = re.compile(r"\d?>(?:&\d|>?\s*\S+)")
_LETTERS: Final = re.compile(r"[a-z]+")
_OUTPUT: Final = {name: re.compile(pattern, re.M) for name, pattern in DATA["output"].items()}
_PROGRAMS: Final[dict[str, str]] = {name: kind for kind, names in DATA["programs"].items() for name in names}
_WORDS: Final[dict[str, str]] = {name: kind for kind, names in DATA["words"].items() for name in names}
_RUNNERS: Final = frozenset(DATA["runners"]["names"])
_WRAPPERS: Final = frozenset(DATA["wrappers"]["names"])


class Check(NamedTuple):
    """A shell line that checks the work."""

    kinds: tuple[str, ...]  # tests, lint, types, build, formatting
    name: str  # its words without options and paths: "go test"

    @property
    def what(self) -> str:
        told = [kind for kind in self.kinds if kind != "formatting"] or list(self.kinds)
        return " and ".join(told) if len(told) < MANY else "checks"


@lru_cache(maxsize=256)
def bare_command(command: str) -> str:
    """Without what is only text in it: strings, and documents after ``<<``."""
    return _QUOTED.sub("''", _DOCUMENT.sub("", command[:COMMAND]).split("<<", 1)[0])


def is_running(text: str) -> bool:
    return bool(_RUNNING.search(text[:400]))


@lru_cache(maxsize=256)
def check_of(command: str) -> Check | None:
    """What a shell line checks; None where it checks nothing."""
    found = [
        (kind, part)
        for part in _APART.split(_REDIRECTED.sub("", bare_command(command)))
        if (kind := _kind(part.split()))
    ]
    if not found:
        return None
    named = next((part for kind, part in found if kind != "formatting"), found[0][1])
    return Check(tuple(dict.fromkeys(kind for kind, _ in found)), _name(named.split()))


def _program(words: list[str]) -> int:
    """The place of the program, behind variables and wrappers."""
    at = 0
    while at < len(words) - 1:
        word = words[at].lstrip("(")
        if not ("=" in word or word in _WRAPPERS or word.lstrip("-").rstrip("smh").isdigit()):
            break
        at += 1
    return at


def _kind(words: list[str]) -> str:
    if not words:
        return ""
    at = _program(words)
    program = words[at].lstrip("(").rpartition("/")[2]
    given = [
        word for word in words[at + 1 : at + 6] if not ("/" in word or "=" in word or word[0] in "-." or _is_file(word))
    ]
    if program in _RUNNERS:
        for piece in (piece for word in given for piece in _LETTERS.findall(word)):
            if piece in _WORDS:
                return _WORDS[piece]
    if program.endswith(".sh"):
        return next((_WORDS[piece] for piece in _LETTERS.findall(program) if piece in _WORDS), "")
    return _PROGRAMS.get(program, "")


def _is_file(word: str) -> bool:
    """ "build.go" and "test.yaml" are looked at or run; "check.all" may be a task, but nobody calls one so."""
    stem, dot, ending = word.rpartition(".")
    return bool(stem and dot and ending.isalnum())


def _name(words: list[str]) -> str:
    """The program, and of a runner the words up to the one that says what it checks."""
    words = [word.lstrip("(") for word in words[_program(words) :]]
    program, found = words[0].rpartition("/")[2], list[str]()
    for word in words[1:] if program in _RUNNERS else ():
        found += [word] if "/" not in word and word[0] not in "-.$'" else []
        if any(piece in _WORDS for piece in _LETTERS.findall(word)):
            return " ".join([program, *found[-NAMED:]])
    return program


def ended(command: str, result: Event) -> bool | None:
    """Did the check in a command pass? None where the log does not tell."""
    shown = result.text[-OUTPUT:]
    if _OUTPUT["nothing"].search(shown):
        return None  # it looked at nothing
    if result.exit_code:
        return False
    if result.is_error and not result.is_failure:
        return None  # it was refused
    if _OUTPUT["failed"].search(shown):
        return False  # behind a pipe the exit code is that of `tail`
    if result.exit_code is None and (result.is_error or is_running(result.text)):
        return False if result.is_error else None
    command = bare_command(command)
    if _OUTPUT["counted"].search(command) or (_OUTPUT["picked"].search(command) and not says_passed(shown)):
        return None  # what was counted or picked out does not tell
    return True


def says_passed(shown: str) -> bool:
    return bool(_OUTPUT["passed"].search(shown[-OUTPUT:]))
