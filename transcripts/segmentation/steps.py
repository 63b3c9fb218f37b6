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
from itertools import pairwise, takewhile
from typing import Final

from transcripts.commands.git import REBASED, is_rebase, quiet_commit
from transcripts.commands.shell import bare_command, checks_of
from transcripts.events import Event, Kind, Verb

MAX_CALLS: Final = 12  # a longer run of silent calls would hide every change of work inside it
AHEAD: Final = 12  # events in which a notice or a slash command must have led to something


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
_LOOKING: Final = frozenset({"Grep", "Glob", "LS", "WebFetch", "WebSearch", "Task", "Agent", "Read"})
_VCS: Final = re.compile(r"(?:^|[;&|(\n]\s*)(?:git|gh|glab|hub)\s+(?!diff|log|show|status|grep|blame|ls-files)")
_MODEL: Final = (Kind.ANSWER, Kind.CALL, Kind.THINKING)


@dataclass(slots=True)
class Step:
    """``first`` and ``end`` are positions in the events, from 0; ``end`` is not included."""

    first: int
    end: int = 0
    prompt: Event | None = None  # of a person, or what woke the model: a signal, a task that ended
    text: str = ""  # what the model said
    calls: list[Event] = field(default_factory=list)
    read: set[str] = field(default_factory=set)  # paths
    aimed: set[str] = field(default_factory=set)  # meant to be changed: what the step is about, whatever came of it
    changed: set[str] = field(default_factory=set)
    commits: int = 0
    interrupted: bool = False
    answer: int = 0  # number of the event that holds ``text``, from 1
    at: int | None = None
    until: int | None = None

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
    return Phase.EXPLORE if call.touches or call.tool in _LOOKING else Phase.OTHER


@lru_cache(maxsize=256)
def command_phase(command: str) -> Phase:
    if _VCS.search(bare_command(command)):
        return Phase.VCS
    return Phase.TEST if checks_of(command) else Phase.EXPLORE


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


def turn_of(steps: Sequence[Step], at: int) -> list[Step]:
    """The step ``at`` and those up to the next prompt."""
    return [steps[at], *takewhile(lambda step: step.prompt is None, steps[at + 1 :])]


def is_errand(turn: Sequence[Step]) -> bool:
    """Was nothing done but git's work, or nothing at all?"""
    return not any(step.calls and step.phase is not Phase.VCS for step in turn)


class _Grid:
    def __init__(self, events: Sequence[Event]) -> None:
        self.events = events
        self.calls: dict[str, Event] = {}
        self.went_through = {event.call for event in events if event.kind is Kind.RESULT and not event.is_error}
        self.opening: int | None = None  # where thinking began that the next answer belongs to
        self.is_over = False  # the last thing in the conversation was an answer
        self.step: Step | None = None

    def __iter__(self) -> Iterator[Step]:
        for number, event in enumerate(self.events):
            if event.agent:  # a sub-agent's work is part of the step that called it
                continue
            if self._opens(number, event):
                if self.step:
                    yield self.step
                self.step = Step(number if self.opening is None else self.opening)
                self.opening = None
            self._take(number, event)
        if self.step:
            yield self.step

    def _opens(self, number: int, event: Event) -> bool:
        if event.kind is Kind.PROMPT or self._wakes(number, event):
            self.opening = None
            return True
        if event.kind is Kind.ANSWER:
            return bool(event.text.strip())
        if event.kind is Kind.CALL:
            return self.step is None or self.step.prompt is not None or len(self.step.calls) >= MAX_CALLS
        return False

    def _wakes(self, number: int, event: Event) -> bool:
        """A slash command or a notice on which the model acted, though nobody asked: a turn begins there, too."""
        if event.kind is Kind.COMMAND:
            return event.text.startswith("/") and _acts(self.events, number)
        is_notice = event.kind is Kind.SYSTEM and event.data.get("injected") and self.is_over
        return bool(is_notice) and _acts(self.events, number)

    def _take(self, number: int, event: Event) -> None:
        if event.kind is Kind.THINKING:
            self.opening = number if self.opening is None else self.opening
        if event.kind in (Kind.PROMPT, Kind.COMMAND, Kind.CALL, Kind.RESULT, Kind.ANSWER):
            self.is_over = event.kind is Kind.ANSWER
        if (step := self.step) is None:
            return
        if event.at is not None:
            step.at = event.at if step.at is None else step.at
            step.until = event.at
        match event.kind:
            case Kind.PROMPT | Kind.COMMAND | Kind.SYSTEM if step.prompt is None and step.first == number:
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

    def _commits(self, result: Event) -> int:
        """Those that were made here. A rebase makes older ones anew, and is one act, once it is finished."""
        call = self.calls.get(result.call)
        command = call.command if call else ""
        if result.commits:
            return len(result.commits) if not is_rebase(command) else REBASED.search(result.text) is not None
        return bool(command and quiet_commit(command, result))


def _acts(events: Sequence[Event], number: int) -> bool:
    """Did the model do something after this event, before anybody said anything else?"""
    for event in events[number + 1 : number + AHEAD]:
        if event.kind in _MODEL and not event.agent:
            return True
        if event.kind in (Kind.PROMPT, Kind.COMMAND):
            return False
    return False
