"""Steps: the grid on which a session is cut.

A step is one prompt, or one answer of the model with the tool calls after it, twelve at most. Every event belongs to
exactly one step: thinking opens the answer that it leads to, results and notices stay with the step that they follow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final

from transcripts.events import Event, Kind, Status, Verb

from .git import REBASED, is_rebase, quiet_commit
from .prose import Sentence, statements
from .shell import bare_command

MAX_CALLS: Final = 12  # a longer run of silent calls would hide every change of work inside it


class Phase(StrEnum):
    """What a stretch of work mostly is; the colour of its band."""

    ASK = "ask"  # talk, without tools
    EXPLORE = "explore"
    PLAN = "plan"
    EDIT = "edit"
    TEST = "test"
    VCS = "vcs"
    OTHER = "other"


_PLANNING: Final = frozenset(
    {"TodoWrite", "update_plan", "EnterPlanMode", "ExitPlanMode", "TaskCreate", "TaskUpdate", "TaskList"}
)
_VCS: Final = re.compile(r"(?:^|[;&|(\n]\s*)(?:git|gh|glab|hub)\s+(?!diff|log|show|status|grep|blame|ls-files)")
# At the beginning of a part of a shell line, after what may stand before a program; "rg pytest" checks nothing.
_TEST: Final = re.compile(
    r"(?:(?:[A-Z_]+=\S*|env|time|sudo|timeout|-?\d+\w?|npx|bunx|uvx?|poetry|pipenv|run|exec|bundle|docker|compose"
    r"|python3?|-m)\s+)*"
    r"(?:\S*/)?(?:"
    r"(?:pytest|unittest|tox|nox|jest|vitest|mocha|rspec|phpunit|pest|ctest|ruff|mypy|eslint|golangci-lint|tsc"
    r"|shellcheck"
    r"|actionlint|prettier|biome|pre-commit)\b(?!\.)"
    r"|(?:go|cargo|npm|pnpm|yarn|bun|deno|mix|dotnet|swift|gradlew?|mvn|make|just|mise|task|rake|artisan|composer"
    r"|manage\.py)"
    r"\s[^;&|\n]{0,40}?\b(?:test|tests|lint|check|vet|clippy|build|typecheck|verify|fmt)\b(?![./\w-]*\.(?:py|go|js"
    r"|ts|md)\b)"
    r"|[\w.-]*(?:test|lint|check)[\w-]*\.sh\b)"
)
_APART: Final = re.compile(r"\s*(?:&&|\|\||;|\||\n)\s*")


@dataclass(slots=True)
class Step:
    """``first`` and ``end`` are positions in the events, from 0; ``end`` is not included."""

    first: int
    end: int = 0
    prompt: Event | None = None
    text: str = ""  # what the model said
    calls: list[Event] = field(default_factory=list)
    read: set[str] = field(default_factory=set)  # paths
    aimed: set[str] = field(default_factory=set)  # meant to be changed: what the step is about, whatever came of it
    changed: set[str] = field(default_factory=set)
    commits: int = 0
    todo_done: bool = False  # an item of the agent's list was ticked off
    plan_accepted: bool = False
    compacted: bool = False  # the context was summarised just before
    interrupted: bool = False
    answer: int = 0  # number of the event that holds ``text``, from 1
    said: list[Sentence] | None = None  # of ``text``, once somebody asked
    at: int | None = None
    until: int | None = None

    @property
    def statements(self) -> list[Sentence]:
        if self.said is None:
            self.said = statements(self.text)
        return self.said

    @property
    def sentences(self) -> list[Sentence]:
        return [sentence for sentence in self.statements if not sentence.leads]

    @property
    def first_number(self) -> int:
        """Of the first event, counted from 1."""
        return self.first + 1

    @property
    def phase(self) -> Phase:
        found = [kind for call in self.calls if (kind := phase_of(call)) is not Phase.OTHER]
        for phase in (Phase.EDIT, Phase.TEST, Phase.VCS, Phase.PLAN):
            if phase in found:
                return phase
        return found[0] if found else Phase.OTHER if self.calls else Phase.ASK


def phase_of(call: Event) -> Phase:
    if any(touch.verb is not Verb.READ for touch in call.touches):
        return Phase.EDIT
    if call.tool in _PLANNING:
        return Phase.PLAN
    if call.command:
        return command_phase(call.command)
    if call.touches or call.tool in ("Grep", "Glob", "LS", "WebFetch", "WebSearch", "Task", "Agent", "Read"):
        return Phase.EXPLORE
    return Phase.OTHER


@lru_cache(maxsize=256)
def command_phase(command: str) -> Phase:
    if _VCS.search(bare_command(command)):
        return Phase.VCS
    return Phase.TEST if is_test(command) else Phase.EXPLORE


def is_test(command: str) -> bool:
    """Does this command check the work: tests, lint, types, build?"""
    return bool(checking_parts(command))


@lru_cache(maxsize=256)
def checking_parts(command: str) -> tuple[str, ...]:
    """The parts of a shell line that check the work."""
    return tuple(part for part in _APART.split(bare_command(command)) if _TEST.match(part.lstrip("( ")))


def steps_of(events: Sequence[Event]) -> list[Step]:
    """The steps that tile the events. What comes before the first step belongs to it."""
    steps = list(_Grid(events))
    for step, following in pairwise(steps):
        step.end = following.first
    if steps:
        steps[0].first, steps[-1].end = 0, len(events)
    elif events:
        steps = [Step(0, len(events))]
    return steps


class _Grid:
    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.calls: dict[str, Event] = {}
        self.went_through = {event.call for event in events if event.kind is Kind.RESULT and not event.is_error}
        self.opening: int | None = None  # where thinking began that the next answer belongs to
        self.compacted = False
        self.done: set[str] = set()
        self.step: Step | None = None

    def __iter__(self) -> Iterator[Step]:
        for number, event in enumerate(self.events):
            if event.agent:  # a sub-agent's work is part of the step that called it
                continue
            if self._opens(number, event):
                if self.step:
                    yield self.step
                self.step = Step(number if self.opening is None else self.opening, compacted=self.compacted)
                self.opening, self.compacted = None, False
            self._take(number, event)
        if self.step:
            yield self.step

    def _opens(self, number: int, event: Event) -> bool:
        if event.kind is Kind.PROMPT or _is_order(self.events, number):
            self.opening = None
            return True
        if event.kind is Kind.ANSWER:
            return bool(event.text.strip())
        if event.kind is Kind.CALL:
            return self.step is None or self.step.prompt is not None or len(self.step.calls) >= MAX_CALLS
        return False

    def _take(self, number: int, event: Event) -> None:
        match event.kind:
            case Kind.THINKING:
                self.opening = number if self.opening is None else self.opening
            case Kind.COMPACTION:
                self.compacted = True
        if (step := self.step) is None:
            return
        if event.at is not None:
            step.at = event.at if step.at is None else step.at
            step.until = event.at
        step.plan_accepted |= event.plan_accepted
        match event.kind:
            case Kind.PROMPT | Kind.COMMAND if step.prompt is None and step.first == number:
                step.prompt = event
            case Kind.ANSWER:
                step.text, step.answer = event.text, number + 1
            case Kind.CALL:
                self.opening = None
                step.calls.append(event)
                self.calls[event.call] = event
                self._touch(step, event)
            case Kind.RESULT:
                step.commits += self._commits(event)
            case Kind.INTERRUPTION:
                step.interrupted = True

    def _touch(self, step: Step, call: Event) -> None:
        for touch in call.touches:
            (step.read if touch.verb is Verb.READ else step.aimed).add(touch.path)
        if not call.call or call.call in self.went_through:  # else refused, failed, or not answered yet
            step.changed |= step.aimed & {touch.path for touch in call.touches}
        if call.todos:
            done = {todo.text for todo in call.todos if todo.status is Status.DONE}
            step.todo_done |= bool(done - self.done)
            self.done = done

    def _commits(self, result: Event) -> int:
        """Those that were made here. A rebase makes older ones anew, and is one act, once it is finished."""
        call = self.calls.get(result.call)
        command = call.command if call else ""
        if result.commits:
            return len(result.commits) if not is_rebase(command) else REBASED.search(result.text) is not None
        return bool(command and quiet_commit(command, result))


def _is_order(events: Sequence[Event], number: int) -> bool:
    """Is it a slash command on which the model acted? The client answers others, such as /clear, itself."""
    if events[number].kind is not Kind.COMMAND or not events[number].text.startswith("/"):
        return False
    for event in events[number + 1 : number + 12]:
        if event.kind in (Kind.ANSWER, Kind.CALL, Kind.THINKING):
            return True
        if event.kind in (Kind.PROMPT, Kind.COMMAND):
            return False
    return False
