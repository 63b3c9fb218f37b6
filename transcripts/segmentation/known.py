"""What was done in a stretch of events, as facts: files, commits, checks, pushes, what people turned down, tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from transcripts.commands.git import Push, push_of
from transcripts.commands.shell import SESSION, bare_command, checks_of, checks_run, continued, ended_by_output
from transcripts.events import Event, Kind, Todo, Usage, Verb

from .history import commits_made
from .outline import CommitMade, FileWork, Line
from .people import is_refusal, ordered_by_model
from .steps import Phase, Step, steps_of
from .templates import counted, fact, named_files, times

_SHOWN: Final = ("<bash-stdout>", "<bash-stderr>")
_PULL: Final = re.compile(r"https?://[^\s/]+/[^\s]{1,200}?/(?:pull|merge_requests)/(\d+)")
_OPENS_PULL: Final = re.compile(r"\b(?:gh pr|glab mr) create\b")
_MERGES_PULL: Final = re.compile(r"\bgh pr merge(?:\s+--?[\w-]+)*(?:\s+(\d+))?\b(?!.*--auto)")
_STRENGTH: Final = {Verb.READ: 0, Verb.EDITED: 1, Verb.WRITTEN: 2, Verb.DELETED: 3}
_NOTHING: Final = Usage()
SHARE_OF_EDITS: Final = 0.12  # of all calls: an agent reads several files for each one that it changes
HELPERS: Final = ("Task", "Agent")
ENDS: Final = {True: "passed", False: "failed", None: "how it ended is not told"}
COUNTED: Final = {True: "passed", False: "failed", None: "not told"}


class Log:
    """A session's events with what is asked of all of them at once."""

    def __init__(self, events: Sequence[Event], steps: Sequence[Step] | None = None) -> None:
        self.events = events
        self.steps = steps_of(events) if steps is None else steps
        self.calls = {event.call: event for event in events if event.kind is Kind.CALL and event.call}
        self.numbers = {e.call: number for number, e in enumerate(events, 1) if e.kind is Kind.CALL and e.call}
        self.by_model = ordered_by_model(events)


class CheckRun(NamedTuple):
    """One run of tests, lint, types or a build. ``passed`` is None where the log does not tell."""

    what: str  # "lint and tests"
    name: str  # its first words: "go test"
    event: int
    passed: bool | None
    kinds: frozenset[str] = frozenset()  # all that the shell line checked
    by_person: bool = False  # in the program's own shell


@dataclass(slots=True)
class Work:
    """Facts of the events ``first`` to ``last`` (positions from 0, both included)."""

    log: Log
    steps: Sequence[Step]
    first: int
    last: int
    files: list[FileWork] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)  # path -> the event that touched it last
    commits: list[CommitMade] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    todos: tuple[Todo, ...] = ()
    todos_event: int = 0
    edits: int = 0
    opened: tuple[str, int] | None = None  # number of a pull request that was opened here, and the event
    merged: tuple[str, int] | None = None  # number of a pull request that was merged here, or empty, and the event
    push: Push | None = None  # the last one whose end is known
    rebased: int = 0  # event of a rebase that was finished
    phase: Phase = Phase.OTHER
    usage: Usage = field(default_factory=Usage)
    by_model: dict[str, list[int]] = field(default_factory=dict)  # name -> its part of the usage
    errors: int = 0
    prompts: int = 0
    started_at: int | None = None
    ended_at: int | None = None

    def numbered(self) -> Iterator[tuple[int, Event]]:
        """Its events with their numbers, from 1; those of sub-agents are left out."""
        for number in range(self.first, self.last + 1):
            if not self.log.events[number].agent:
                yield number + 1, self.log.events[number]

    @property
    def changed(self) -> list[FileWork]:
        return [file for file in self.files if file.verb is not Verb.READ]

    @property
    def standing(self) -> list[CheckRun]:
        """The last known check of each kind, in order. One that failed stands until something shows that it was dealt
        with: a later check of its kind that passed, a commit, or a push."""
        settled = max([0, *(commit.event for commit in self.commits)])
        if self.push and self.push.went_through:
            settled = max(settled, self.push.event)
        passed, seen = set[str](), set[str]()
        found: list[CheckRun] = []
        for check in reversed(self.checks):
            if check.passed is None:
                continue
            is_settled = check.event <= settled or bool(passed & check.kinds)
            if check.what not in seen and (check.passed or not is_settled):
                found.append(check)
                seen.add(check.what)
            if check.passed:
                passed |= check.kinds
        return found[::-1]

    @property
    def failing(self) -> CheckRun | None:
        return next((check for check in reversed(self.standing) if not check.passed), None)


def work_of(log: Log, steps: Sequence[Step], until: int = 0) -> Work:
    """Facts of these steps, which lie one after another. What comes up to the event ``until`` (a position) may tell the
    ids of their commits better.
    """
    events, calls = log.events, log.calls
    work = Work(log, steps, steps[0].first, steps[-1].end - 1)
    files: dict[str, tuple[Verb, int]] = {}
    begun: dict[str, int] = {}  # command that runs in a terminal -> the event that told so last
    running: dict[str, str] = {}  # id of a terminal's session -> the command that runs in it
    work.commits, work.rebased = commits_made(events, work.first, work.last, max(until, work.last), calls)
    turned_down = {e.call for e in events[work.first : work.last + 1] if e.kind is Kind.RESULT and e.is_error}
    for number in range(work.first, work.last + 1):
        event = events[number]
        _count(work, event)
        for touch in event.touches if event.call not in turned_down else ():
            verb, count = files.get(touch.path, (touch.verb, 0))
            work.edits += touch.verb is not Verb.READ
            files[touch.path] = (max(verb, touch.verb, key=_STRENGTH.__getitem__), count + 1)
            work.touched[touch.path] = number + 1
        if event.todos:
            work.todos, work.todos_event = event.todos, number + 1
        if event.kind is Kind.COMMAND and (check := _of_person(events, number)):
            work.checks.append(check)
        if event.kind is Kind.RESULT and (call := calls.get(event.call)):
            command = call.command or continued(call, running)
            if command and not call.command:  # the same run: how it began tells nothing more
                work.checks = [check for check in work.checks if check.event != begun.get(command)]
            if match := SESSION.search(event.text[:400]):
                running[match[1]], begun[command] = command, number + 1
            if command:
                _command(work, number + 1, command, event)
    work.phase = _phase(steps)
    work.files = [FileWork(path, verb, count) for path, (verb, count) in files.items()]
    work.usage = Usage(*map(sum, zip(*work.by_model.values(), strict=True)))
    return work


def _count(work: Work, event: Event) -> None:
    work.prompts += event.kind in (Kind.PROMPT, Kind.COMMAND) and not event.agent
    work.errors += event.is_failure and event.kind in (Kind.RESULT, Kind.SYSTEM)
    if event.usage:
        had = work.by_model.get(event.model, _NOTHING)
        work.by_model[event.model] = [sum_ + more for sum_, more in zip(had, event.usage, strict=True)]
    if event.at is not None:  # times in a log are not quite in order, hence least and greatest
        work.started_at = event.at if work.started_at is None else min(work.started_at, event.at)
        work.ended_at = event.at if work.ended_at is None else max(work.ended_at, event.at)


def _of_person(events: Sequence[Event], number: int) -> CheckRun | None:
    """A check that somebody ran in the program's own shell, with the output that follows it."""
    event = events[number]
    if not event.text.startswith("!") or number + 1 == len(events):
        return None
    command, shown = event.text[1:].strip(), events[number + 1]
    named = checks_of(command)
    if shown.kind is not Kind.SYSTEM or not shown.text.startswith(_SHOWN) or len(named) != 1:
        return None
    check, passed = named[0], ended_by_output(shown.text.partition(">")[2].partition("</bash-")[0])
    if passed is None:
        return None
    return CheckRun(check.what, check.name, number + 2, passed, frozenset(check.kinds), by_person=True)


def _command(work: Work, number: int, command: str, result: Event) -> None:
    for check in checks_run(command, result):
        work.checks.append(CheckRun(check.what, check.name, number, check.passed, frozenset(check.kinds)))
    if push := push_of(command, result, number):
        work.push = push
    if result.is_error:
        return
    command = bare_command(command)
    if _OPENS_PULL.search(command) and (match := _PULL.search(result.text)):
        work.opened = (match[1], number)
    if match := _MERGES_PULL.search(command):
        work.merged = (match[1] or "", number)


def _phase(steps: Sequence[Step]) -> Phase:
    phases: Counter[Phase] = Counter()
    for step in steps:
        phases[step.phase] += max(1, len(step.calls))
    if phases[Phase.EDIT] >= SHARE_OF_EDITS * sum(phases.values()) and phases[Phase.EDIT]:
        return Phase.EDIT
    working = Counter({phase: n for phase, n in phases.items() if phase not in (Phase.ASK, Phase.OTHER)})
    return (working or phases).most_common(1)[0][0]


def is_in_the_middle(work: Work) -> bool:
    """Does the log end before the model closed its turn: at a prompt, a thought, a call or a result?"""
    for _, event in reversed(list(work.numbered())):
        if event.kind in (Kind.SYSTEM, Kind.TITLE, Kind.COMPACTION, Kind.INTERRUPTION):
            continue
        if event.kind is Kind.COMMAND and event.text.startswith("!"):  # in the person's shell: no turn of the model
            continue
        return event.kind is not Kind.ANSWER
    return False


# --- in sentences -----------------------------------------------------------------------------------------------------


def deeds(work: Work) -> list[Line]:
    """All that was done, a sentence for each kind of deed, in the order of their last events."""
    found = [*_files(work), *_checks(work), *_others(work), *published(work)]
    return sorted(found, key=lambda line: line.event)


def _files(work: Work) -> Iterator[Line]:
    for verb, name in ((Verb.WRITTEN, "written"), (Verb.EDITED, "edited"), (Verb.DELETED, "deleted")):
        paths = [file.path for file in work.files if file.verb is verb]
        if paths:
            yield fact(name, max(work.touched[path] for path in paths), files=named_files(paths))
    if work.files and not work.changed:
        paths = [file.path for file in work.files]
        yield fact("read", max(work.touched.values()), files=named_files(paths))


def _checks(work: Work) -> Iterator[Line]:
    runs: dict[tuple[str, bool], list[CheckRun]] = {}
    for check in work.checks:
        runs.setdefault((check.name, check.by_person), []).append(check)
    for (name, by_person), own in runs.items():
        ends = Counter(check.passed for check in own)
        end, event = ENDS[own[-1].passed], own[-1].event
        if by_person or len(own) == 1:
            yield fact("persons check" if by_person else "check", event, name=name, end=end)
        else:
            told = ", ".join(f"{ends[each]} {word}" for each, word in COUNTED.items() if ends[each])
            template, given = "checks untold" if ends[None] else "checks", {"name": name, "times": times(len(own))}
            yield fact(template, event, ends=told, failures=ends[False] or "none", end=end, **given)


def _others(work: Work) -> Iterator[Line]:
    found: dict[str, list[int]] = {}
    for number, event in work.numbered():
        if event.kind is Kind.CALL and event.tool in HELPERS:
            found.setdefault("helpers", []).append(number)
        elif is_refusal(event):
            found.setdefault("refused", []).append(number)
        elif event.kind is Kind.COMPACTION:
            found.setdefault("compacted", []).append(number)
        elif event.kind is Kind.INTERRUPTION:
            found.setdefault("interrupted", []).append(number)
    for name, at in found.items():
        count = len(at)
        said = {"agents": counted(count, "sub-agent"), "calls": counted(count, "call"), "times": times(count)}
        yield fact(name, at[-1], **said)
    if work.rebased:
        yield fact("rebased", work.rebased)


def published(work: Work) -> list[Line]:
    """Commits, the last push, pull requests: what others can see of the work."""
    found = []
    for commit in work.commits:
        sha = f"{commit.sha[:9]} " if commit.sha else ""
        name = "amended" if commit.replaces else "commit"
        found.append(fact(name, commit.event, sha=sha, subject=commit.subject))
    if push := work.push:
        name = "pushed" if push.went_through else "rejected"
        found.append(fact(name if push.branch else f"{name} somewhere", push.event, branch=push.branch))
    if work.opened:
        found.append(fact("opened", work.opened[1], number=work.opened[0]))
    if work.merged:
        number, event = work.merged
        found.append(fact("merged" if number else "merged one", event, number=number))
    return sorted(found, key=lambda line: line.event)
