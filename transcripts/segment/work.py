"""What was done in a stretch of events, as facts: files, commits, checks, errors, tokens, the list of things to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from transcripts.events import Event, Kind, Todo, Usage, Verb
from transcripts.events import Status as TodoStatus

from .git import Push, push_of
from .history import commits_made
from .messages import body_of
from .outline import CommitMade, FileWork
from .reviews import reply_in, with_names, writers_in
from .shell import bare_command, is_running
from .steps import Phase, Step, checking_parts, is_test

_FAILED: Final = re.compile(
    r"^\s*(?:--- FAIL|FAIL\b|FAILED\b|ERROR\b.*(?:failed|exit status))|(?<![\w.])[1-9]\d* (?:tests? )?(?:failed"
    r"|failures?|failing)\b|exit status [1-9]",
    re.M,
)
_SHOWN: Final = ("<bash-stdout>", "<bash-stderr>")
_FILTERED: Final = re.compile(r"\|\s*(?:grep|rg|sed|jq|less)\b")
_COUNTED: Final = re.compile(r"\|\s*(?:wc|awk|cut|sort|uniq)\b")
_TOLD: Final = re.compile(
    r"\b(?:ok|pass(?:ed|es|ing)?|success(?:ful(?:ly)?)?|succeeded|done|0 (?:errors|issues|failures|failed))\b|[✓✔]",
    re.I,
)
_IGNORED: Final = re.compile(
    r"No files were processed|paths? (?:was|were) provided but ignored|no tests? (?:found|ran)\b", re.I
)
_REFUSED: Final = re.compile(
    r"The user doesn't want|\[Request interrupted|Permission|.{0,80}\b(?:rejected|denied|aborted)\b", re.I
)
_PULL: Final = re.compile(r"https?://[^\s/]+/[^\s]+/(?:pull|merge_requests)/(\d+)")
_OPENS_PULL: Final = re.compile(r"\b(?:gh pr|glab mr) create\b")
_MERGES_PULL: Final = re.compile(r"\bgh pr merge(?:\s+--?[\w-]+)*(?:\s+(\d+))?\b(?!.*--auto)")
_SESSION: Final = re.compile(r"\bsession ID (\d+)")
_ASKED_SESSION: Final = re.compile(r'"session_id":\s*"?(\d+)')
_BEFORE: Final = re.compile(r"^(?:(?:[A-Z_]+=\S+|env|time|sudo|timeout \d+\w?)\s+)+")
_KINDS: Final = (
    (r"\bfmt\b|\bformat\b|prettier|gofmt", "formatting"),
    (r"\b(?:py)?tests?\b|jest|mocha|rspec|phpunit|pest\b", "tests"),
    (r"\blint|ruff|clippy|\bvet\b|shellcheck|eslint", "lint"),
    (r"\bbuild\b|\bmake\b", "build"),
    (r"mypy|tsc\b|typecheck", "types"),
)
_STRENGTH: Final = {Verb.READ: 0, Verb.EDITED: 1, Verb.WRITTEN: 2, Verb.DELETED: 3}
_NOTHING: Final = Usage()
SHARE_OF_EDITS: Final = 0.12  # of all calls: an agent reads several files for each one that it changes


@dataclass(frozen=True, slots=True)
class Check:
    """One run of tests, lint, types or a build. ``passed`` is None where the log does not tell."""

    what: str  # tests, lint, types, build, formatting, checks; "lint and tests"
    command: str  # its first words: "go test"
    event: int
    passed: bool | None
    kinds: frozenset[str] = frozenset()  # all that the shell line checked
    by_person: bool = False  # in the program's own shell


@dataclass(slots=True)
class Work:
    """Facts of the events ``first`` to ``last`` (positions from 0, both included)."""

    events: Sequence[Event]
    steps: Sequence[Step]
    first: int
    last: int
    files: list[FileWork] = field(default_factory=list)
    commits: list[CommitMade] = field(default_factory=list)
    messages: list[tuple[str, int]] = field(default_factory=list)  # bodies of their messages, and the event
    checks: list[Check] = field(default_factory=list)
    todos: tuple[Todo, ...] = ()
    todos_event: int = 0
    edits: int = 0
    pull: tuple[str, int] | None = None  # number of a pull request that was opened here, and the event
    is_draft: bool = False  # that pull request
    merged: tuple[str, int] | None = None  # number of a pull request that was merged here, or empty, and the event
    push: Push | None = None  # the last one whose end is known
    rebased: int = 0  # event of a rebase that was finished
    replied: tuple[str, int] | None = None  # "replied to the review comments", and the event
    reviewers: list[str] = field(default_factory=list)  # who wrote the comments that were read here
    writes_as: set[str] = field(default_factory=set)  # in whose name the agent replied
    phase: Phase = Phase.OTHER
    usage: Usage = field(default_factory=Usage)
    by_model: dict[str, list[int]] = field(default_factory=dict)  # name -> its part of the usage
    errors: int = 0
    prompts: int = 0
    started_at: int | None = None
    ended_at: int | None = None

    @property
    def changed(self) -> list[FileWork]:
        return [file for file in self.files if file.verb is not Verb.READ]

    @property
    def standing(self) -> list[Check]:
        """The last known check of each kind, in order. One that failed stands until something shows that it was dealt
        with: a later check of its kind, or of everything, that passed, a commit, or a push."""
        settled = max([0, *(commit.event for commit in self.commits)])
        if self.push and self.push.went_through:
            settled = max(settled, self.push.event)
        passed = set[str]()  # kinds that passed later
        seen = set[str]()
        found: list[Check] = []
        for check in reversed(self.checks):
            if check.passed is None:
                continue
            is_settled = check.event <= settled or "checks" in passed or bool(passed & check.kinds)
            if check.what not in seen and (check.passed or not is_settled):
                found.append(check)
                seen.add(check.what)
            if check.passed:
                passed |= check.kinds
        return found[::-1]

    @property
    def failing(self) -> Check | None:
        return next((check for check in reversed(self.standing) if not check.passed), None)

    @property
    def last_check(self) -> Check | None:
        """The check that tells how the work stands: one that fails, else the last one."""
        return self.failing or next(reversed(self.standing), None)

    @property
    def open_todos(self) -> list[Todo]:
        return [todo for todo in self.todos if todo.status is not TodoStatus.DONE]


def work_of(events: Sequence[Event], steps: Sequence[Step], calls: dict[str, Event], until: int = 0) -> Work:
    """Facts of these steps, which lie one after another. ``calls`` finds a result's call by its id. What comes up to
    the event ``until`` (a position) may tell the ids of their commits better.
    """
    work = Work(events, steps, steps[0].first, steps[-1].end - 1)
    touched: dict[str, tuple[Verb, int]] = {}
    phases: Counter[Phase] = Counter()
    running: dict[str, str] = {}  # id of a terminal's session -> the command that runs in it
    work.commits, work.rebased = commits_made(events, work.first, work.last, max(until, work.last), calls)
    turned_down = {e.call for e in events[work.first : work.last + 1] if e.kind is Kind.RESULT and e.is_error}
    for number in range(work.first, work.last + 1):
        event = events[number]
        _count(work, event)
        _span(work, event)
        for touch in event.touches if event.call not in turned_down else ():
            verb, times = touched.get(touch.path, (touch.verb, 0))
            work.edits += touch.verb is not Verb.READ
            touched[touch.path] = (max(verb, touch.verb, key=_STRENGTH.__getitem__), times + 1)
        if event.todos:
            work.todos, work.todos_event = event.todos, number + 1
        if check := _of_person(events, number):
            work.checks.append(check)
        if event.kind is Kind.RESULT and (call := calls.get(event.call)):
            command = call.command or _continued(call, running)
            if match := _SESSION.search(event.text[:400]):
                running[match[1]] = command
            if command:
                _command(work, number + 1, command, event)
    for step in steps:
        phases.update({step.phase: max(1, len(step.calls))})
    if work.replied:
        work.replied = (with_names(work.replied[0], work.reviewers, work.writes_as), work.replied[1])
    work.phase = _phase(phases)
    work.files = [FileWork(path, verb, times) for path, (verb, times) in touched.items()]
    work.usage = Usage(*map(sum, zip(*work.by_model.values(), strict=True)))
    return work


def _count(work: Work, event: Event) -> None:
    work.prompts += event.kind in (Kind.PROMPT, Kind.COMMAND) and not event.agent
    work.errors += event.is_failure and event.kind in (Kind.RESULT, Kind.SYSTEM)
    if event.usage:
        had = work.by_model.get(event.model, _NOTHING)
        work.by_model[event.model] = [sum_ + more for sum_, more in zip(had, event.usage, strict=True)]


def _span(work: Work, event: Event) -> None:
    """Times in a log are not quite in order, hence least and greatest."""
    if event.at is not None:
        work.started_at = event.at if work.started_at is None else min(work.started_at, event.at)
        work.ended_at = event.at if work.ended_at is None else max(work.ended_at, event.at)


def is_in_the_middle(work: Work) -> bool:
    """Does the log end before the model closed its turn: at a prompt, a thought, a call or a result?"""
    for event in reversed(work.events[work.first : work.last + 1]):
        if event.agent or event.kind in (Kind.SYSTEM, Kind.TITLE, Kind.COMPACTION, Kind.INTERRUPTION):
            continue
        if event.kind is Kind.COMMAND and event.text.startswith("!"):  # in the person's shell: no turn of the model
            continue
        return event.kind is not Kind.ANSWER
    return False


def _continued(call: Event, running: dict[str, str]) -> str:
    """The command whose further output this call asks for."""
    match = _ASKED_SESSION.search(call.text) if running else None
    return running.get(match[1], "") if match else ""


def _of_person(events: Sequence[Event], number: int) -> Check | None:
    """A check that somebody ran in the program's own shell, with the output that follows it."""
    event = events[number]
    if event.kind is not Kind.COMMAND or not event.text.startswith("!") or number + 1 == len(events):
        return None
    command, shown = event.text[1:].strip(), events[number + 1]
    if shown.kind is not Kind.SYSTEM or not shown.text.startswith(_SHOWN) or not is_test(command):
        return None
    check = _check(command, number + 2, replace(shown, text=shown.text.partition(">")[2]))
    check = replace(check, by_person=True)
    return check if check.passed is False or _TOLD.search(shown.text[-6000:]) else None


def _command(work: Work, number: int, command: str, result: Event) -> None:
    if is_test(command):
        work.checks.append(_check(command, number, result))
    if push := push_of(command, result, number):
        work.push = push
    if result.is_error:
        return
    if any(commit.event == number for commit in work.commits) and (body := body_of(command)):
        work.messages.append((body, number))
    writers = writers_in(command, result)
    if reply := reply_in(command):
        work.replied = (reply, number)
        work.writes_as |= set(writers)
    else:
        work.reviewers += writers
    command = bare_command(command)
    if _OPENS_PULL.search(command) and (match := _PULL.search(result.text)):
        work.pull, work.is_draft = (match[1], number), "--draft" in command
    if match := _MERGES_PULL.search(command):
        work.merged = (match[1] or "", number)


def _passed(command: str, result: Event) -> bool | None:
    if _IGNORED.search(result.text[-6000:]):
        return None  # it looked at nothing
    if result.exit_code:
        return False
    if result.is_error and _REFUSED.match(result.text):
        return None
    if _FAILED.search(result.text[-6000:]):
        return False  # behind a pipe the exit code is that of `tail`
    if result.exit_code is None and (result.is_error or is_running(result.text)):
        return False if result.is_error else None
    if _COUNTED.search(command) or (_FILTERED.search(command) and not _TOLD.search(result.text[-6000:])):
        return None  # what was counted or picked out does not tell
    return True


def _phase(phases: Counter[Phase]) -> Phase:
    total = sum(phases.values())
    if phases[Phase.EDIT] >= SHARE_OF_EDITS * total and phases[Phase.EDIT]:
        return Phase.EDIT
    working = Counter({phase: n for phase, n in phases.items() if phase not in (Phase.ASK, Phase.OTHER)})
    return (working or phases).most_common(1)[0][0]


def _check(command: str, number: int, result: Event) -> Check:
    parts = [part.strip() for part in checking_parts(command)]
    kinds = [_kind(part) for part in parts]
    place = next((place for place, kind in enumerate(kinds) if kind != "formatting"), 0)
    told = list(dict.fromkeys(kind for kind in kinds if kind != "formatting")) or kinds[:1]
    what = " and ".join(told) if len(told) < 3 else "checks"
    return Check(what, _name(parts[place]), number, _passed(bare_command(command), result), frozenset(kinds))


def _kind(part: str) -> str:
    return next((noun for cue, noun in _KINDS if re.search(cue, part)), "checks")


def _name(part: str) -> str:
    """The words of a command that tell which check it is, without options and paths."""
    part = re.sub(r"\s*(?:\d?>&?\s*\S+|2>&1)", "", _BEFORE.sub("", part))
    said = [word for word in part.split() if not word.startswith(("-", ".", "''", "$")) and "/" not in word][:3]
    return " ".join(said)
