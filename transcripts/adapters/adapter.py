"""What both adapters share: numbers, counts, what is said once, and a state that survives the process.

An adapter is fed line by line. It never goes back: what a later record changes about an event that was already given
out (the tokens of a message go to its last event; a digest follows its compaction) is an ``Amendment``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Final, NamedTuple

from transcripts.adapters.records import Keys, Record, records_of
from transcripts.events import Event, Facts, Kind, Usage

OPEN_CALLS: Final = 256  # calls whose result is still awaited; an older one's result is shown without its tool
OPEN_MESSAGES: Final = 32
_COUNTED: Final = frozenset({Kind.PROMPT, Kind.COMPACTION})
_OWN_WORK: Final = frozenset({Kind.PROMPT, Kind.ANSWER, Kind.CALL, Kind.RESULT})


@dataclass(slots=True)
class Counts:
    """Of one file. Tokens count each model message once, main chain and sub-agents together."""

    lines: int = 0
    records: int = 0  # lines that are not blank
    invalid: int = 0  # lines that are no whole record
    unknown: int = 0  # records of a kind that this version does not know
    odd: int = 0  # records of a known kind with values of a wrong type
    repeated: int = 0  # records that told what another had told
    events: int = 0
    prompts: int = 0  # of the main chain
    errors: int = 0
    compactions: int = 0
    forks: int = 0  # prompts that went back to an earlier place
    copied: int = 0  # events that another session has too; their tokens are counted there
    left_out: int = 0  # records of a sub-agent's log that were copied from its parent's; they give no events
    input: int = 0
    cache_written: int = 0
    cache_read: int = 0
    output: int = 0
    by_model: dict[str, list[int]] = field(default_factory=dict)  # name -> its part of the tokens, as in a Usage
    context: int = 0  # tokens that the model saw last on the main chain
    window: int = 0  # of the model, 0 where the log does not tell
    first_at: int | None = None  # milliseconds since 1970; the least and the greatest, for times are not in order
    last_at: int | None = None


class Amendment(NamedTuple):
    """Of an event that was given out before: ``number`` is its own, from 1."""

    number: int
    changes: dict[str, Any]


@dataclass(slots=True)
class Message:
    """A model message whose records are still coming."""

    number: int  # of its last event
    usage: Usage


_NOTHING: Final = Usage()
_NO_USAGE: Final[dict[str, Any]] = {"usage": None}


Parsed = tuple[list[Record], bool] | None  # whether the line was whole; None for a blank one


class Adapter:
    """``name`` is the file's, without its folder: it may tell the session's id. ``state`` is what ``state()`` gave."""

    program: ClassVar[str]
    has_ids: ClassVar[bool] = True  # keys are the program's own ids; else they may be equal in unrelated sessions

    def __init__(self, name: str = "", state: dict[str, Any] | None = None, keys: Keys | None = None) -> None:
        state = state or {}
        self.name = name
        self.keys = keys if keys is not None else Keys()
        self.counts = Counts(**_known(Counts, state.get("counts")))
        self.counts.by_model = dict(self.counts.by_model)  # its own: the state's tells what was counted before
        self.facts = Facts(**({"program": self.program} | _known(Facts, state.get("facts"))))
        self.amended: list[Amendment] = []  # since they were last taken
        self.calls: dict[str, list[str]] = state.get("calls") or {}  # id -> tool, command
        self.messages = {name: Message(row[0], Usage(*row[1:])) for name, row in (state.get("messages") or {}).items()}
        self.more: dict[str, Any] = state.get("more") or {}  # the program's own
        # A resumed session may begin with a copy of another's events. Asked with the first event's key, this gives that
        # session's keys; events that they hold are marked, and their tokens are not counted again.
        self.find_original: Callable[[str], Keys | None] | None = None
        self.inherited: Keys | None = None
        self.find_parent: Callable[[], Keys | None] | None = None  # the keys of the log that started this sub-agent
        self._is_copy = False  # the event that was given out last
        self._out: list[Event] = []

    def state(self) -> dict[str, Any]:
        """Plain JSON, from which an equal adapter is made. ``keys`` are many, and kept with the events instead."""
        return {
            "counts": asdict(self.counts),
            "facts": asdict(self.facts),
            "calls": self.calls,
            "messages": {name: [m.number, *m.usage] for name, m in self.messages.items()},
            "more": self.more,
        }

    def feed(self, line: int, raw: bytes) -> list[Event]:
        """The new events of one line, without its newline. Never fails: what cannot be read is counted."""
        return self.tell(line, self.parse(raw))

    def parse(self, raw: bytes) -> Parsed:
        """The records of one line; the first half of ``feed``, which neither knows nor changes anything."""
        return None if not raw or raw.isspace() else records_of(raw)

    def tell(self, line: int, parsed: Parsed) -> list[Event]:
        """The second half of ``feed``, for each line in its turn."""
        counts = self.counts
        counts.lines += 1
        if parsed is None:
            return []
        counts.records += 1
        records, is_whole = parsed
        if not is_whole:
            counts.invalid += 1
        out: list[Event] = []
        self._out = out
        for record in records:
            try:
                self.take(line, record)
            except (TypeError, ValueError, AttributeError, KeyError, IndexError, RecursionError):
                # A value of a wrong type at a place that nobody foresaw costs the rest of its record, no more.
                counts.odd += 1
        return out

    def take(self, line: int, record: Record) -> None:
        raise NotImplementedError

    # --- for the adapters

    def give(self, event: Event) -> int:
        """Give an event out, and count it; its number."""
        counts = self.counts
        counts.events += 1
        kind = event.kind
        if kind in _COUNTED:
            if kind == "compaction":
                counts.compactions += 1
            elif not event.agent:
                counts.prompts += 1
        if event.is_error and event.is_failure:
            counts.errors += 1
        if counts.events == 1 and self.find_original is not None:
            self.inherited = self.find_original(event.key)
        if self.inherited is not None:
            self._is_copy = event.key in self.inherited
            if self._is_copy:
                counts.copied += 1
                event.data["copied"] = True
            elif counts.copied and kind in _OWN_WORK and not event.agent:
                self.inherited = None  # the copy is over
                self.more.pop("original", None)
        at = event.at
        if at is not None:
            if counts.first_at is None or at < counts.first_at:
                counts.first_at = at
            if counts.last_at is None or at > counts.last_at:
                counts.last_at = at
        self._out.append(event)
        return counts.events

    def amend(self, number: int, **changes: Any) -> None:
        self.amended.append(Amendment(number, changes))

    def spend(self, name: str, number: int, usage: Usage, event: Event | None, model: str) -> None:
        """Note the tokens of a message, so far. The last word counts, and it is shown on the message's last event."""
        messages = self.messages
        known = messages.pop(name, None)
        if known is None:
            before = _NOTHING
            if len(messages) >= OPEN_MESSAGES:
                del messages[next(iter(messages))]
        else:
            before = known.usage
            if known.number != number:
                self.amended.append(Amendment(known.number, _NO_USAGE))
            known.number, known.usage = number, usage
        if event is not None:
            event.usage = usage
        else:
            self.amend(number, usage=usage)
        messages[name] = known or Message(number, usage)  # the newest last
        if self._is_copy:
            return
        counts = self.counts
        counts.input += usage.input - before.input
        counts.cache_written += usage.cache_written - before.cache_written
        counts.cache_read += usage.cache_read - before.cache_read
        counts.output += usage.output - before.output
        if usage != before:
            had = counts.by_model.get(model) or _NOTHING
            counts.by_model[model] = [sum_ + now - then for sum_, now, then in zip(had, usage, before, strict=True)]

    def called(self, call: str, tool: str, command: str) -> None:
        self.calls[call] = [tool, command[:2000]]
        if len(self.calls) > OPEN_CALLS:
            del self.calls[next(iter(self.calls))]


def _known(kind: type, values: Any) -> dict[str, Any]:
    """Only the fields that this version has: a state may be of an older or a newer one."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in (values or {}).items() if name in names}


@dataclass(slots=True)
class Transcript:
    """A whole log, read."""

    facts: Facts
    counts: Counts
    events: list[Event] = field(default_factory=list)


def read_whole(adapter: Adapter, lines: Iterable[bytes]) -> Transcript:
    """Feed every line; the amendments are made at once, since every event is at hand."""
    events: list[Event] = []
    for number, raw in enumerate(lines, 1):
        events += adapter.feed(number, raw)
        if adapter.amended:
            for amendment in adapter.amended:
                for name, value in amendment.changes.items():
                    setattr(events[amendment.number - 1], name, value)
            adapter.amended.clear()
    return Transcript(adapter.facts, adapter.counts, events)
