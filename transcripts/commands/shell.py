"""Shell lines as agents write them, which of their parts check the work (exceptions.toml), and how those ended."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, NamedTuple

from transcripts.events import Event

DATA: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("exceptions.toml").read_text())
COMMAND: Final = 4000  # characters of a command that are read
OUTPUT: Final = 6000  # characters at the end of an output that are read
LAST: Final = 8  # lines at its end that may tell how a check ended
NAMED: Final = 2  # words behind a program that name a check

_QUOTED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"?")
_DOCUMENT: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?.*?^\s*\1\b", re.S | re.M)
_RUNNING: Final = re.compile(
    r"(?:Process|Command) (?:is )?(?:still )?running|running in (?:the )?background|session ID \d+", re.I
)
SESSION: Final = re.compile(r"\bsession ID (\d+)")  # of a terminal in which a command goes on
_ASKED_SESSION: Final = re.compile(r'"session_id":\s*"?(\d+)')
_APART: Final = re.compile(r"(&&|\|\||\|&|[;|&\n])")
_REDIRECTED: Final = re.compile(r"[&\d]?>(?:&\d|>?\s*[^\s;|&]+)")
_LETTERS: Final = re.compile(r"[a-z]+")
_OUTPUT: Final = {name: re.compile(pattern, re.M) for name, pattern in DATA["output"].items()}
_PROGRAMS: Final[dict[str, str]] = {name: kind for kind, names in DATA["programs"].items() for name in names}
_WORDS: Final[dict[str, str]] = {name: kind for kind, names in DATA["words"].items() for name in names}
_RUNNERS: Final = frozenset(DATA["runners"]["names"])
_WRAPPERS: Final = frozenset(DATA["wrappers"]["names"])
_UNFAILING: Final = frozenset(DATA["unfailing"]["names"])
_WHOLE: Final = frozenset(DATA["whole"]["names"])
_CONTROL: Final = frozenset(DATA["control"]["names"])


class Check(NamedTuple):
    """A part of a shell line that checks the work; or several, joined by ``&&``, of which one failed."""

    kinds: tuple[str, ...]  # tests, lint, types, build, formatting
    name: str  # its words without options and paths: "go test"
    passed: bool | None = None  # None where the log does not tell

    @property
    def what(self) -> str:
        return "a check" if " && " in self.name else self.kinds[0]


class _Pipe(NamedTuple):
    """Programs that are joined by ``|``; the exit code is that of the last one."""

    joined: str  # what stands before it: "", "&&", "||", ";", "&"
    parts: tuple[tuple[str, ...], ...]  # words of each

    @property
    def cannot_fail(self) -> bool:
        return _program_of(self.parts[-1]) in _UNFAILING


class _Shell(NamedTuple):
    """A shell line, read as far as its exit code tells something."""

    pipes: tuple[_Pipe, ...]
    is_plain: bool  # no branch, loop, group or substitution: which parts ran follows from what joins them
    stops: bool  # "set -e": at the first part that fails
    joins: bool  # "pipefail": a pipe fails with any of its programs


@lru_cache(maxsize=256)
def bare_command(command: str) -> str:
    """Without what is only text in it: strings, and documents after ``<<``."""
    return _QUOTED.sub("''", _DOCUMENT.sub("", command[:COMMAND]).split("<<", 1)[0])


def is_running(text: str) -> bool:
    return bool(_RUNNING.search(text[:400]))


def continued(call: Event, running: dict[str, str]) -> str:
    """The command whose further output this call asks for."""
    match = _ASKED_SESSION.search(call.text) if running else None
    return running.get(match[1], "") if match else ""


@lru_cache(maxsize=256)
def checks_of(command: str) -> tuple[Check, ...]:
    """What a shell line checks, part by part; whether all of it ran is another question."""
    return tuple(check for pipe in _read(command).pipes if (check := _check_in(pipe)))


def checks_run(command: str, result: Event) -> list[Check]:
    """The checks of a line that surely ran, with how they ended; see docs/segments.md.

    The exit code is the line's: of its last program, unless ``&&`` joins what came before. Where it is not that of a
    check, the last lines of the output may tell how the line's only check ended.
    """
    shown = result.text[-OUTPUT:]
    named = checks_of(command)
    if not named or _OUTPUT["nothing"].search(_last(shown)) or _is_unbegun(result):
        return []  # it looked at nothing, or was not run at all
    line = _read(command)
    found = [_joint(found)] if (found := _chain_failed(line, result)) else list(_ended(line, result))
    is_followed = any(not pipe.cannot_fail for pipe in _behind(line))
    if len(named) == 1 and not is_followed and not is_running(result.text) and (not found or found[0].passed is None):
        end = ended_by_output(shown, is_whole=_is_whole(line))
        return [named[0]._replace(passed=end)] if found or end is not None else []
    return found


def ended_by_output(shown: str, *, is_whole: bool = True) -> bool | None:
    """How a check ended by the last lines of its output. ``is_whole``: nothing was picked from before its end."""
    lines = [line for line in _last(shown).split("\n") if _OUTPUT["failed"].search(line) or _is_good(line)]
    if lines and _OUTPUT["failed"].search(lines[-1]):
        return False
    if not lines or not is_whole:  # before the whole output is searched: of most it takes as long as all the rest
        return None
    is_doubtful = _OUTPUT["failed"].search(shown[-OUTPUT:]) or _OUTPUT["doubt"].search(shown[-OUTPUT:])
    return None if is_doubtful else True


def _code(result: Event) -> int | None:
    """The exit code of the line. Old logs of Claude Code only tell that it was none of success."""
    return 1 if result.is_error and result.exit_code is None else result.exit_code


def _is_unbegun(result: Event) -> bool:
    return result.is_error and result.exit_code is None and (not result.is_failure or result.text.startswith("<"))


def _is_good(line: str) -> bool:
    return bool(_OUTPUT["passed"].search(line))


def _last(shown: str) -> str:
    return "\n".join(shown.rstrip().split("\n")[-LAST:])


# --- which parts ran, and how they ended ------------------------------------------------------------------------------


def _segments(line: _Shell) -> list[list[_Pipe]]:
    """What ``;`` parts: a part of it runs whatever the one before came to."""
    found: list[list[_Pipe]] = []
    for pipe in line.pipes:
        if not found or (pipe.joined in (";", "&") and not line.stops):
            found.append([])
        found[-1].append(pipe)
    return found


def _ended(line: _Shell, result: Event) -> Iterator[Check]:
    segments = _segments(line) if line.is_plain else []
    for at, pipes in enumerate(segments):
        code = _code(result) if at == len(segments) - 1 and not is_running(result.text) else None
        passed = _all_passed(pipes) if code == 0 else []
        failed = _only_failed(pipes, result) if code else None
        for place, pipe in enumerate(pipes):
            check = _check_in(pipe)
            if check is None:
                continue
            is_own = line.joins or _kind(pipe.parts[-1]) != ""  # is the exit code that of the check?
            if pipe in passed:
                yield check._replace(passed=True if is_own else None)
            elif pipe is failed:
                yield check._replace(passed=False if _kind(pipe.parts[-1]) else None)
            elif _is_begun(pipes[: place + 1], result):
                yield check  # it began, and how it ended is not told


def _is_begun(pipes: Sequence[_Pipe], result: Event) -> bool:
    """Did the last of these surely run?"""
    before = pipes[:-1]
    return (
        all(pipe.joined != "||" for pipe in pipes)
        and all(pipe.cannot_fail for pipe in before)
        and _is_silent(before, result)
    )


def _is_silent(pipes: Sequence[_Pipe], result: Event) -> bool:
    """Did those that hardly fail say nothing of it? They would begin with their name: "cd: no such file"."""
    return not any(f"{_program_of(pipe.parts[-1])}: " in result.text for pipe in pipes if pipe.cannot_fail)


def _all_passed(pipes: Sequence[_Pipe]) -> list[_Pipe]:
    """Those that exit code 0 of a chain is told of: all that ``&&`` joins with its end."""
    found: list[_Pipe] = []
    for pipe in reversed(pipes):
        if pipe.joined == "||":
            break
        found.append(pipe)
    return found


def _only_failed(pipes: Sequence[_Pipe], result: Event) -> _Pipe | None:
    """The one part of a chain that can have failed."""
    able = [pipe for pipe in pipes if not pipe.cannot_fail]
    if len(able) != 1 or any(pipe.joined == "||" for pipe in pipes):
        return None
    return able[0] if _is_silent(pipes, result) else None


def _chain_failed(line: _Shell, result: Event) -> list[Check]:
    """All checks of a chain, where one of them failed and the exit code does not tell which."""
    segments = _segments(line) if line.is_plain else []
    if len(segments) != 1 or not _code(result) or any(pipe.joined == "||" for pipe in line.pipes):
        return []
    able = [pipe for pipe in line.pipes if not pipe.cannot_fail]
    found = [check for pipe in able if len(pipe.parts) == 1 and (check := _check_in(pipe))]
    return found if len(found) == len(able) > 1 and _is_silent(line.pipes, result) else []


def _joint(checks: Sequence[Check]) -> Check:
    kinds = tuple(dict.fromkeys(kind for check in checks for kind in check.kinds))
    return Check(kinds, " && ".join(check.name for check in checks), passed=False)


def _behind(line: _Shell) -> Sequence[_Pipe]:
    """What comes after the last check."""
    return list(takewhile(lambda pipe: _check_in(pipe) is None, reversed(line.pipes)))


def _is_whole(line: _Shell) -> bool:
    """Does the end of the check's output stand at the end of what is shown?"""
    for pipe in line.pipes:
        at = next((at for at, words in enumerate(pipe.parts) if _kind(words)), None)
        if at is not None and any(_program_of(words) not in _WHOLE for words in pipe.parts[at + 1 :]):
            return False
    return True


# --- reading a line ---------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _read(command: str) -> _Shell:
    bare = _REDIRECTED.sub("", bare_command(command).replace("\\\n", " "))
    pieces = ["", *_APART.split(bare)]
    pipes, joined = list[_Pipe](), ""
    for sign, piece in zip(pieces[::2], pieces[1::2], strict=True):
        joined = joined or {"\n": ";", "|&": "|"}.get(sign, sign)
        words = tuple(piece.split())
        if not words or words[0].startswith("#"):
            continue
        if joined == "|" and pipes:
            pipes[-1] = pipes[-1]._replace(parts=(*pipes[-1].parts, words))
        else:
            pipes.append(_Pipe(joined if pipes else "", (words,)))
        joined = ""
    all_words = [words for pipe in pipes for words in pipe.parts]
    settings = [word for words in all_words if words[0] == "set" for word in words[1:]]
    is_plain = not any(words[0] in _CONTROL or "(" in "".join(words) or "`" in "".join(words) for words in all_words)
    stops = any(word[0] == "-" and "e" in word for word in settings)
    return _Shell(tuple(pipes), is_plain and joined != "&", stops, "pipefail" in settings)


def _check_in(pipe: _Pipe) -> Check | None:
    for words in pipe.parts:
        if kind := _kind(words):
            return Check((kind,), _name(words))
    return None


def _program_of(words: Sequence[str]) -> str:
    return words[_program(words)].strip("()").rpartition("/")[2]


def _program(words: Sequence[str]) -> int:
    """The place of the program, behind variables and wrappers."""
    at = 0
    while at < len(words) - 1:
        word = words[at].lstrip("(")
        if not ("=" in word or word in _WRAPPERS or word.lstrip("-").rstrip("smh").isdigit()):
            break
        at += 1
    return at


def _kind(words: Sequence[str]) -> str:
    if not words or "--help" in words or "--version" in words:
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


def _name(words: Sequence[str]) -> str:
    """The program, and of a runner the words up to the one that says what it checks."""
    words = [word.lstrip("(") for word in words[_program(words) :]]
    program, found = words[0].rpartition("/")[2], list[str]()
    for word in words[1:] if program in _RUNNERS else ():
        found += [word] if "/" not in word and word[0] not in "-.$'" else []
        if any(piece in _WORDS for piece in _LETTERS.findall(word)):
            return " ".join([program, *found[-NAMED:]])
    return program
