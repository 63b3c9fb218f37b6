"""Events as the transcript shows them: results under their calls, sub-agents folded, segment titles between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from transcripts import telling
from transcripts.events import Event, Kind
from transcripts.models import LogFile, Segment
from transcripts.paging import Numbered
from transcripts.storing import time_of
from transcripts.telling import Shown, Told
from transcripts.views import standing

SHOWN: Final = 20_000  # characters of one text on a page; the rest is on the event's own
LONG: Final = {Kind.PROMPT: 2_500, Kind.ANSWER: 9_000}  # characters from which a text is folded
QUIET: Final = frozenset(
    {
        "edit",
        "multiedit",
        "write",
        "notebookedit",
        "todowrite",
        "taskcreate",
        "taskupdate",
        "update_plan",
        "exitplanmode",
    }
)  # fmt: skip - their results say "done", in many words


@dataclass(slots=True)
class Item:
    """One event, with what hangs on it. ``what`` names its template: prompt, answer, call, result, aside …"""

    what: str
    number: int
    event: Event
    at: datetime | None
    told: Told | None = None  # of a call
    shown: Shown | None = None  # of a result
    text: str = ""
    is_cut: bool = False
    is_long: bool = False
    is_quiet: bool = False
    is_whole: bool = False
    prefix: str = ""  # of its anchor, where events of two logs stand on one page
    lasted: str = ""  # from a call to its result
    answers: list[Item] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)  # of sub-agents in the same log, that a call started
    helpers: list[LogFile] = field(default_factory=list)  # logs of the sub-agents that a call started
    images: list[int] = field(default_factory=list)

    @property
    def anchor(self) -> str:
        return f"{self.prefix}e{self.number}"

    @property
    def is_bad(self) -> bool:
        return self.event.is_error or bool(self.event.exit_code)

    @property
    def failed(self) -> bool:
        return any(answer.is_bad for answer in self.answers)


@dataclass(slots=True)
class Run:
    """What a sub-agent did whose events stand in the main log."""

    agent: str
    items: list[Item] = field(default_factory=list)
    what: str = "run"
    errors: int = 0

    def add(self, made: Item) -> None:
        self.items.append(made)
        self.errors += made.is_bad

    @property
    def number(self) -> int:
        return self.items[0].number

    @property
    def title(self) -> str:
        first = self.items[0].event
        return telling.one_line(first.text, 120) if first.kind == Kind.PROMPT else ""


@dataclass(slots=True)
class Heading:
    """Where a segment begins."""

    segment: Segment
    is_continued: bool = False  # it began before the page
    is_live: bool = True  # the session
    what: str = "heading"

    @property
    def title(self) -> str:
        return str(self.segment.shown("title")) or f"Segment {self.segment.position}"

    @property
    def status(self) -> str:
        return standing.status(self.segment, self.is_live)

    @property
    def status_label(self) -> str:
        return standing.label(self.segment, self.is_live)


Node = Item | Run | Heading


def arrange(
    events: Sequence[Numbered],
    *,
    segments: Sequence[Segment] = (),
    helpers: Sequence[LogFile] = (),
    cwd: str = "",
    agent: str = "",
    prefix: str = "",
    opens: bool = True,
    is_nested: bool = True,
    is_live: bool = True,
) -> list[Node]:
    """A page's events in reading order.

    ``opens``: the page begins with the title of the segment that it begins in. ``is_nested`` False leaves each result
    by itself: whoever shows it puts it in place.
    """
    begins = {segment.first: segment for segment in segments}
    nodes: list[Node] = []
    calls: dict[str, Item] = {}
    runs: dict[str, Run] = {}
    if opens and events:
        around = [segment for segment in segments if segment.first < events[0][0] <= segment.last]
        nodes += [Heading(segment, True, is_live) for segment in around[-1:]]
    for number, event in events:
        if segment := begins.get(number):
            nodes.append(Heading(segment, is_live=is_live))
        if event.kind == Kind.TITLE:
            continue
        made = item(number, event, cwd)
        made.prefix = prefix
        if event.kind == Kind.CALL and event.call:
            calls[event.call] = made
        if event.kind == Kind.RESULT:
            made.helpers = [log for log in helpers if _started(log, event)]
            if is_nested and (call := calls.get(event.call)) is not None:
                _answer(call, made)
                continue
        if event.agent and event.agent != agent:
            if not is_nested and not (nodes and isinstance(nodes[-1], Run) and nodes[-1].agent == event.agent):
                runs.clear()  # told one after the other: the page puts together what belongs together
            if event.agent not in runs:
                runs[event.agent] = run = Run(event.agent)
                call = calls.get(event.data.get("call", "")) if is_nested else None
                (call.runs if call is not None else nodes).append(run)
            runs[event.agent].add(made)
        else:
            nodes.append(made)
    return nodes


def item(number: int, event: Event, cwd: str = "", *, whole: bool = False) -> Item:
    """One event by itself. ``whole``: nothing of it is cut."""
    made = Item(_WHAT.get(event.kind, "aside"), number, event, time_of(event.at), is_whole=whole)
    if event.kind == Kind.CALL:
        made.told = telling.call(event, cwd)
    elif event.kind == Kind.RESULT:
        made.shown = _result(event, whole)
        made.is_quiet = not made.is_bad and event.tool.casefold() in QUIET and not event.data.get("images")
    else:
        made.text = event.text if whole else event.text[:SHOWN]
        made.is_cut = len(made.text) < len(event.text)
        made.is_quiet = event.kind == Kind.ANSWER and not event.text.strip()
        made.is_long = not whole and len(made.text) > LONG.get(event.kind, SHOWN)
    pictures = event.data.get("images")
    made.images = list(range(min(pictures, 20))) if isinstance(pictures, int) else []
    return made


_WHAT: Final = {
    Kind.PROMPT: "prompt", Kind.COMMAND: "command", Kind.ANSWER: "answer", Kind.THINKING: "thinking",
    Kind.CALL: "call", Kind.RESULT: "result", Kind.COMPACTION: "compaction", Kind.INTERRUPTION: "interruption",
}  # fmt: skip


def _result(event: Event, whole: bool) -> Shown:
    if whole:
        return telling.clipped(event.text, 10**9, 10**9)
    return telling.error(event) if event.is_error or event.exit_code else telling.result(event)


def _answer(call: Item, result: Item) -> None:
    call.answers.append(result)
    if call.event.at and result.event.at:
        seconds = (result.event.at - call.event.at) / 1000
        call.lasted = f"{seconds:.0f} s" if 2 <= seconds < 120 else f"{seconds / 60:.0f} min" if seconds >= 120 else ""


def _started(log: LogFile, result: Event) -> bool:
    """Was this log's sub-agent started by the call that this is the result of?"""
    told: Any = result.data.get("agent")
    return told == log.agent or (not told and result.tool == "spawn_agent" and log.agent in result.text)
