"""A session in a few thousand tokens: what a model needs to see of it, numbered, without secrets, one line an entry.

Prompts whole up to a limit, the first and last sentences of answers, a line for each call or for a run of like ones,
results only where they tell something: an error, a commit, the outcome of checks. Line breaks inside become spaces, so
no text of the session can look like an entry, and nothing here begins a line but the number and the sign of an entry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from transcripts.commands.shell import checks_of
from transcripts.events import Event, Kind, Status, Verb
from transcripts.paths import is_windows

from .grid import Grid
from .hiding import hide

SIGNS_A_TOKEN: Final = 3.6  # an estimate, for English with paths and code; the service's own count comes too late


def tokens_in(text: str) -> int:
    """About how many tokens a text has."""
    return ceil(len(text) / SIGNS_A_TOKEN)


class Limits(NamedTuple):
    """Characters that are kept of each kind of text."""

    prompt: int
    closing: int  # answers that end a turn; they tell what came of it
    answer: int  # the others, which mostly say what the agent is about to do
    command: int
    result: int
    plans: bool = True  # answers that only say what the next call does


LEVELS: Final = (
    Limits(prompt=700, closing=700, answer=400, command=140, result=180),
    Limits(prompt=500, closing=500, answer=200, command=100, result=120),
    Limits(prompt=360, closing=360, answer=120, command=72, result=90, plans=False),
    Limits(prompt=220, closing=180, answer=72, command=50, result=70, plans=False),
)
BASE: Final = 1_200  # tokens that a digest may have whatever the length of the session ...
EACH: Final = 6  # ... and so many more for each event: 4,200 for 500


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the digest. ``first`` is its event; ``start`` the one at which a segment would begin here, or 0."""

    first: int
    text: str
    start: int = 0

    def __str__(self) -> str:
        return f"{self.first}{'*' if self.start else ''} {self.text}"


def entries_of(grid: Grid, cwd: str = "") -> list[Entry]:
    """The lines of all open events, at the widest limits that keep the digest to its size."""
    events = sum(last - first + 1 for first, last in grid.stretches)
    found: list[Entry] = []
    for limits in LEVELS:
        found = list(_Condenser(grid, limits, cwd))
        if sum(tokens_in(f"{entry}\n") for entry in found) <= BASE + EACH * events:
            break
    return found


class _Condenser:
    def __init__(self, grid: Grid, limits: Limits, cwd: str) -> None:
        self.events = grid.events
        self.grid = grid
        self.limits = limits
        slash = "\\" if is_windows(cwd) else "/"
        self.folder = cwd.rstrip("/\\") + slash if cwd else ""
        self.results = {event.call: event for event in grid.events if event.kind is Kind.RESULT and event.call}
        self.closing = _closing(grid.events)
        self.run: _Run | None = None

    def __iter__(self) -> Iterator[Entry]:
        marked = 0
        for first, last in self.grid.stretches:
            for number in range(first, last + 1):
                event = self.events[number - 1]
                start = self.grid.start_of(number) or 0
                text, joins = self._line(event)
                if not text:
                    continue
                if self.run and start == marked and self.run.takes(joins, text):
                    continue
                yield from self._flush()
                entry = Entry(number, text, start if start != marked else 0)
                marked = start
                if joins:
                    self.run = _Run(entry, joins)
                else:
                    yield entry
            yield from self._flush()

    def _flush(self) -> Iterator[Entry]:
        if self.run:
            yield self.run.entry()
        self.run = None

    def _line(self, event: Event) -> tuple[str, str]:
        """The text of an event, empty when it tells nothing, and the name of the run that it may join."""
        limits = self.limits
        if event.agent:  # a sub-agent's work is told by the call that started it, and by what it committed
            return (self._commits(event), "")
        match event.kind:
            case Kind.PROMPT:
                return f"PERSON: {ends(clean(event.text), limits.prompt)}", ""
            case Kind.COMMAND:
                return f"PERSON runs: {clipped(clean(event.text or event.command), limits.command)}", ""
            case Kind.ANSWER:
                text = clean(event.text)
                if event.key in self.closing:
                    text = ends(text, limits.closing)
                else:
                    said = _PLAN.sub("", text).rstrip()
                    text = sentences(said or (text if limits.plans else ""), limits.answer)
                return (f"AGENT: {text}" if text else ""), ""
            case Kind.CALL:
                return self._call(event)
            case Kind.RESULT if not event.call:
                return self._result(event, is_check=False), ""
            case Kind.INTERRUPTION:
                return "INTERRUPTED by the person", ""
            case Kind.COMPACTION:
                return "(the agent's context was summarised)", ""
            case Kind.SYSTEM if event.is_error:
                return f"SERVICE ERROR: {clipped(clean(event.text), limits.result)}", ""
        return "", ""

    def _call(self, call: Event) -> tuple[str, str]:
        result = self.results.get(call.call) if call.call else None
        is_check = bool(call.command) and bool(checks_of(call.command))
        notes = [self._result(result, is_check=is_check) if result else ""]
        if call.plan_accepted or (result and result.plan_accepted):
            notes.append("the person accepted the plan")
        if call.todos:
            done = sum(todo.status is Status.DONE for todo in call.todos)
            active = next((clean(todo.text) for todo in call.todos if todo.status is Status.ACTIVE), "")
            notes.append(f"{done} of {len(call.todos)} done" + (f", now: {clipped(active, 60)}" if active else ""))
        note = "; ".join(part for part in notes if part)
        about = self._about(call)
        if note:
            return f"{call.tool}: {about} → {note}" if about else f"{call.tool} → {note}", ""
        return f"{call.tool}: {about}", call.tool if not call.command else ""

    def _about(self, call: Event) -> str:
        if call.command:
            return clipped(clean(self._short(call.command)), self.limits.command)
        if call.touches and not call.todos:
            paths = dict.fromkeys(self._short(touch.path) for touch in call.touches)
            made = " (new)" if any(touch.verb is Verb.WRITTEN for touch in call.touches) else ""
            return clipped(clean(", ".join(paths)), self.limits.command) + made
        return clipped(clean(_argument(call)), self.limits.command)

    def _short(self, text: str) -> str:
        return text.replace(self.folder, "") if self.folder else text

    def _commits(self, event: Event) -> str:
        made = [f"committed {commit.sha[:10]} “{clipped(clean(commit.subject), 72)}”" for commit in event.commits]
        return ", ".join(made)

    def _result(self, result: Event, *, is_check: bool) -> str:
        """What a result tells beside that it went well: its exit code, the line of the error, commits, checks."""
        parts = []
        if result.exit_code:
            parts.append(f"exit {result.exit_code}")
        if result.is_error or result.exit_code:
            parts.append(f"ERROR {clipped(_telling(hide(result.text)), self.limits.result)}")
        elif is_check:
            parts.append(clipped(_last_line(hide(result.text[-8000:])), self.limits.result))
        parts.append(self._commits(result))
        return ", ".join(part for part in parts if part)


def _closing(events: Sequence[Event]) -> set[str]:
    """Keys of the answers after which a person speaks, or the log ends."""
    found, last = set(), ""
    for event in events:
        if event.agent:
            continue
        if event.kind in (Kind.PROMPT, Kind.COMMAND, Kind.INTERRUPTION) and last:
            found.add(last)
        last = event.key if event.kind is Kind.ANSWER else "" if event.kind is Kind.CALL else last
    return found | {last} if last else found


# The last sentence of an answer in the middle of a turn: the calls that follow say the same.
_PLAN: Final = re.compile(
    r"(?:(?<=[.!?:*] )|^)(?:(?:now|so|next|then),? )?(?:let me|let's|i'll|i will|i need to)\b[^.!?]*[.:!]?$", re.I
)


class _Run:
    """Calls of one tool, one after another, of which nothing is told but what they were for."""

    MOST: Final = 6

    def __init__(self, entry: Entry, name: str) -> None:
        self.first = entry
        self.name = name
        self.more: dict[str, None] = {}

    def takes(self, name: str, text: str) -> bool:
        if name != self.name or not name:
            return False
        self.more[text.removeprefix(f"{name}: ")] = None
        return True

    def entry(self) -> Entry:
        texts = [text for text in self.more if text and not self.first.text.endswith(text)]
        shown = "; ".join([self.first.text, *texts[: self.MOST - 1]])
        rest = len(texts) - self.MOST + 1
        return Entry(self.first.first, f"{shown} and {rest} more" if rest > 0 else shown, self.first.start)


_KEYS: Final = (
    "description",
    "subject",
    "query",
    "pattern",
    "url",
    "path",
    "file_path",
    "skill",
    "name",
    "prompt",
    "text",
)


def _argument(call: Event) -> str:
    """The argument that says most of what a call was for."""
    if said := call.data.get("description"):
        return str(said)
    if call.todos:
        return ""
    try:
        given = json.loads(call.text)
    except (ValueError, RecursionError):
        return call.text[:400]
    if not isinstance(given, dict):
        return str(given)[:400]
    found = [given[key] for key in _KEYS if isinstance(given.get(key), str)]
    found += [value for value in given.values() if isinstance(value, str | int)]
    return str(found[0])[:400] if found else ""


_ERROR: Final = re.compile(r"error|fail|exception|denied|refused|not found|no such|cannot|fatal|rejected|invalid", re.I)


def _telling(text: str) -> str:
    """The line of an output that best says what went wrong: the last that speaks of an error, else the last."""
    lines = [line for line in text[-8000:].splitlines() if line.strip()]
    return clean(next((line for line in reversed(lines) if _ERROR.search(line)), lines[-1] if lines else ""))


_IDLE: Final = re.compile(r"[\s=_.-]*$|Shell cwd was reset to ")  # the second is the program's note, not the command's


def _last_line(text: str) -> str:
    return clean(next((line for line in reversed(text.splitlines()) if not _IDLE.match(line)), ""))


# Controls, lone surrogates, marks that turn the direction of text, zero-width signs, and the invisible "tags" in which
# instructions can be hidden from people.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)
_SPACE: Final = re.compile(r"\s+")


def clean(text: str) -> str:
    """``text`` on one line, without secrets and without signs that nobody sees."""
    return one_line(hide(text))


def one_line(text: str) -> str:
    return _SPACE.sub(" ", _UNSEEN.sub("", text)).strip()


def clipped(text: str, limit: int) -> str:
    """At most ``limit`` characters, cut between words where that costs little."""
    if len(text) <= limit:
        return text
    head = text[: limit - 1]
    cut = head.rpartition(" ")[0]
    return f"{(cut if len(cut) > 0.7 * limit else head).rstrip(' ,;:')}…"


def ends(text: str, limit: int) -> str:
    """The beginning and, if it is long, some of the end: people put the order before or after what they paste."""
    if len(text) <= limit:
        return text
    tail = limit // 4
    return f"{clipped(text[: limit - tail], limit - tail - 3)} … {text[-tail:].partition(' ')[2]}"


_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])")


def sentences(text: str, limit: int) -> str:
    """The whole text if it is short, else its first and its last sentence."""
    if len(text) <= limit:
        return text
    parts = _SENTENCE.split(text[: 4 * limit]), _SENTENCE.split(text[-4 * limit :])
    first, last = parts[0][0], parts[1][-1]
    if first == last or len(text) - len(last) < len(first):
        return clipped(text, limit)
    return f"{clipped(first, limit // 2)} […] {clipped(last, limit // 2)}"
