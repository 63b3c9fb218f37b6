"""What may come back: the schema of an answer, and the reading of one, which believes nothing.

Checked by hand and not by the SDK or its models: each fault becomes a sentence that the model is shown once, so that it
can repair exactly that. Lengths are the one thing that is forgiven: after the repair they are cut.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from core.llm import Schema
from transcripts.segmentation import Line, Status

from .digest import clipped, one_line
from .grid import Grid
from .hiding import hide


@dataclass(frozen=True)
class Lengths:
    """Characters, and lines of a list."""

    title: int = 72
    summary: int = 800
    line: int = 300
    lines: int = 6


LENGTHS: Final = Lengths()
FAULTS: Final = 12  # that the model is shown; the rest follow from them, or are like them
LISTS: Final = ("next_steps", "key_decisions", "open_questions")
FIELDS: Final = ("first", "title", "status", "summary", "outcome", *LISTS)


def _schema() -> dict[str, Any]:
    line = _object({"text": {"type": "string"}, "event": {"type": "integer"}})
    segment = {
        "first": {"type": "integer"},
        "title": {"type": "string"},
        "status": {"type": "string", "enum": [status.value for status in Status]},
        "summary": {"type": "string"},
        "outcome": {"anyOf": [line, {"type": "null"}]},
        **{name: {"type": "array", "items": line} for name in LISTS},
    }
    return _object({"segments": {"type": "array", "items": _object(segment)}})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """As the strict mode wants them: everything required, nothing else allowed."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


SCHEMA: Final = Schema("segments", _schema())


@dataclass(frozen=True, slots=True)
class Words:
    """What the model says of the segment that begins at ``first``; the rest is facts, and not its business."""

    first: int
    last: int
    title: str
    status: Status
    summary: str
    outcome: Line | None = None
    next_steps: list[Line] = field(default_factory=list)
    key_decisions: list[Line] = field(default_factory=list)
    open_questions: list[Line] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question was about, against which its answer is held."""

    grid: Grid
    first: int  # of the events of this part of the log
    last: int
    goes_on: int = 0  # first event of the segment that was open before this part; it may begin with it. 0: none was
    most: int = 40  # segments
    least: int = 1
    sent: str = ""  # all that the model was shown, to tell what it made up


@dataclass(frozen=True, slots=True)
class Reading:
    """Words, and what is wrong with them. With ``grave`` faults there are no words; ``slight`` ones were cut."""

    words: list[Words] = field(default_factory=list)
    grave: list[str] = field(default_factory=list)
    slight: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        return [*self.grave, *self.slight][:FAULTS]


def read(text: str, asked: Asked) -> Reading:
    """The words of an answer, or its faults. Raises nothing, whatever the text is."""
    try:
        data = json.loads(bare(text), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        what = str(error)[:120] if isinstance(error, json.JSONDecodeError) else "it cannot be read"
        return Reading(grave=[f"The answer is no JSON object: {what}."])
    return _Reader(asked).read(data)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


_THOUGHTS: Final = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.S)
_FENCE: Final = re.compile(r"```[a-zA-Z]*[^\S\n]*\n(.*?)```", re.S)


def bare(text: str) -> str:
    """The JSON without what models put around it: thoughts, a code fence, a sentence before or after."""
    text = _THOUGHTS.sub("", text).strip()
    if not text.startswith("{") and (fenced := _FENCE.search(text)):
        text = fenced[1].strip()
    start, end = text.find("{"), text.rfind("}")
    return text[start : end + 1] if 0 <= start < end else text


class _Reader:
    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.sent = asked.sent.casefold()
        self.grave: list[str] = []
        self.slight: list[str] = []

    def read(self, data: Any) -> Reading:
        rows = data.get("segments") if isinstance(data, dict) else None
        if not isinstance(rows, list) or not rows:
            return Reading(grave=['The answer must be {"segments": [...]} with at least one segment.'])
        if unknown := sorted(set(data) - {"segments"}):
            self.grave.append(f"Unknown fields beside segments: {_named(unknown)}.")
        if not all(isinstance(row, dict) for row in rows):
            return Reading(grave=["Each segment must be an object."])
        asked = self.asked
        if not asked.least <= len(rows) <= asked.most:
            self.grave.append(f"There are {len(rows)} segments; give {asked.least} to {asked.most}.")
            return Reading(grave=self.grave)
        firsts = self._tiling(rows)
        if self.grave:
            return Reading(grave=self.grave)
        words = [
            self._words(f"segments[{n}]", row, first, self._last(first, following))
            for n, (row, (first, following)) in enumerate(zip(rows, pairwise([*firsts, None]), strict=True))
            if first is not None
        ]
        self._distinct(words)
        return Reading([] if self.grave else words, self.grave, self.slight)

    def _last(self, first: int | None, following: int | None) -> int:
        return self.asked.grid.last_of(first or 0, following, self.asked.last)

    def _tiling(self, rows: Sequence[dict[str, Any]]) -> list[int]:
        """Where each begins, moved to the first event of its step; faults when they do not tile what was asked."""
        asked, starts = self.asked, []
        for n, row in enumerate(rows):
            given = row.get("first")
            if type(given) is not int:  # bool is an int, too
                self.grave.append(f"segments[{n}].first must be the number of an event, not {_shown(given)}.")
                continue
            if n == 0 and given == asked.goes_on and given:
                starts.append(given)
                continue
            start = asked.grid.start_of(given) if asked.first <= given <= asked.last else None
            if start is None:
                self.grave.append(
                    f"segments[{n}].first is {given}; it must be an open event from {asked.first} to {asked.last}."
                )
                continue
            starts.append(max(start, asked.first))
        if self.grave:
            return starts
        for left, right in pairwise(starts):
            if left >= right:
                self.grave.append(
                    f"Segments must rise and begin at different events with a *: {right} comes after {left}."
                )
        opening = [
            max(first, asked.first)
            for first, last in asked.grid.stretches
            if last >= asked.first and first <= asked.last
        ]
        if starts[0] not in (opening[0], asked.goes_on or opening[0]):
            also = f" or, to go on with the open segment, at {asked.goes_on}" if asked.goes_on else ""
            self.grave.append(f"The first segment must begin at event {opening[0]}{also}, not at {starts[0]}.")
        missing = set(opening[1:]) - set(starts)
        self.grave += [f"A segment must begin at event {one}, after a fixed one." for one in sorted(missing)]
        return starts

    def _words(self, where: str, row: dict[str, Any], first: int, last: int) -> Words:
        if missing := [name for name in FIELDS if name not in row]:
            self.grave.append(f"{where} lacks {_named(missing)}.")
        if unknown := sorted(set(row) - set(FIELDS)):
            self.grave.append(f"{where} has the unknown fields {_named(unknown)}.")
        lines = {name: self._lines(f"{where}.{name}", row.get(name, []), first, last) for name in LISTS}
        outcome = row.get("outcome")
        return Words(
            first=first,
            last=last,
            title=self._title(f"{where}.title", row.get("title", "")),
            status=self._status(f"{where}.status", row.get("status", Status.DONE.value)),
            summary=self._text(f"{where}.summary", row.get("summary", ""), LENGTHS.summary),
            outcome=None if outcome is None else self._line(f"{where}.outcome", outcome, first, last),
            **lines,
        )

    def _title(self, where: str, value: Any) -> str:
        text = self._text(where, value, LENGTHS.title).rstrip(".")
        if _EMPTY.match(text):
            self.grave.append(f"{where} says nothing: {_shown(text)}; say what was done.")
        return text

    def _distinct(self, words: Sequence[Words]) -> None:
        seen: set[str] = set()
        for one in words:
            if one.title and one.title.casefold() in seen:
                self.grave.append(f"The title {_shown(one.title)} is given twice; say what differs.")
            seen.add(one.title.casefold())

    def _status(self, where: str, value: Any) -> Status:
        try:
            return Status(value)
        except ValueError:
            self.grave.append(f"{where} must be one of {', '.join(Status)}, not {_shown(value)}.")
            return Status.DONE

    def _lines(self, where: str, value: Any, first: int, last: int) -> list[Line]:
        if not isinstance(value, list):
            self.grave.append(f"{where} must be a list, not {_shown(value)}.")
            return []
        if len(value) > LENGTHS.lines:
            self.slight.append(f"{where} has {len(value)} lines; give at most {LENGTHS.lines}.")
        found = [self._line(f"{where}[{n}]", item, first, last) for n, item in enumerate(value[: LENGTHS.lines])]
        return [line for line in found if line is not None]

    def _line(self, where: str, value: Any, first: int, last: int) -> Line | None:
        if not isinstance(value, dict) or set(value) != {"text", "event"}:
            self.grave.append(f'{where} must be {{"text": "…", "event": number}}, not {_shown(value)}.')
            return None
        event = value["event"]
        if type(event) is not int or not first <= event <= last:
            self.grave.append(
                f"{where}.event is {_shown(event)}; it must be an event of its segment, {first} to {last}."
            )
            return None
        return Line(self._text(f"{where}.text", value["text"], LENGTHS.line), event)

    def _text(self, where: str, value: Any, limit: int) -> str:
        if not isinstance(value, str):
            self.grave.append(f"{where} must be a text, not {_shown(value)}.")
            return ""
        text = one_line(value)
        if not text:
            self.grave.append(f"{where} is empty.")
        if len(text) > limit:
            self.slight.append(f"{where} has {len(text)} characters; at most {limit} are allowed.")
        for made_up in self._made_up(text):
            self.grave.append(f"{where} names {_shown(made_up)}, which is not in the log.")
        return clipped(hide(text[: 4 * limit]), limit)

    def _made_up(self, text: str) -> list[str]:
        """Commits and numbers (#12) that the model was never shown. They would look like facts."""
        return [name for name in _NAMES.findall(text[:4000]) if name.casefold() not in self.sent] if self.sent else []


_NAMES: Final[re.Pattern[str]] = re.compile(
    r"(?<![\w#&-])(?:#\d+|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40})(?![\w-])"
)
_EMPTY: Final = re.compile(
    r"(?i)^(?:(?:segment|part|step|phase|section|task|title)?[\s#:]*\d*|untitled|setup|misc(?:ellaneous)?|"
    r"various(?: \w+)?|work|other|continued?|initial(?: \w+)?|n/?a|none|init|wip)$"
)


def _shown(value: Any) -> str:
    """A value of the model's in a fault: short, on one line, never whole."""
    try:
        return clipped(one_line(hide(repr(value)[:300])), 60)
    except (RecursionError, ValueError):  # nested too deeply, or a number of thousands of digits
        return "what it is"


def _named(names: Sequence[Any]) -> str:
    return ", ".join(_shown(name) for name in names[:6])
