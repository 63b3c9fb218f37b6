"""Events by their numbers, in the time that a page takes and not the session.

A page reads at most ``BLOCKS`` rows, found by the blocks' own numbers; how many lie before or after costs nothing.
Where events are so large that three blocks hold fewer than a page, the page is shorter.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet

from core.errors import NotFound
from transcripts import blocks
from transcripts.events import Event, Kind
from transcripts.models import Block, Session

AT_ONCE: Final = 100  # events of a page
BLOCKS: Final = 3
LARGEST: Final = 2**31 - 1  # of a number that a column holds

Numbered = tuple[int, Event]


@dataclass(frozen=True, slots=True)
class Found:
    """An event with words in it: its number, and the words around."""

    number: int
    kind: str
    tool: str
    before: str
    words: str
    after: str


def events(session: Session, first: int, last: int, agent: str = "") -> list[Numbered]:
    """The events ``first`` to ``last`` of a session's log, or of a sub-agent's own, in order and without a gap.

    Ends earlier where three blocks do not reach that far.
    """
    first, last = max(1, first), min(last, LARGEST)
    rows = _blocks(session, agent).filter(last__gte=first, first__lte=last).order_by("first")
    return list(_within(list(rows[:BLOCKS]), first, last)) if first <= last else []


def before(session: Session, number: int, count: int = AT_ONCE, agent: str = "") -> list[Numbered]:
    """The events that end before ``number``: the nearest ``count``, in order."""
    last = min(number, LARGEST) - 1
    first = max(1, last - count + 1)
    if last < 1:
        return []
    rows = _blocks(session, agent).filter(last__gte=first, first__lte=last).order_by("-first")
    return list(_within(list(rows[:BLOCKS])[::-1], first, last))


def event(session: Session, number: int, agent: str = "") -> Event:
    """One event. Raises NotFound."""
    found = events(session, number, number, agent)
    if not found:
        raise NotFound(f"Session {session.pk} has no event {number}.")
    return found[0][1]


def raw(session: Session, number: int, agent: str = "") -> bytes:
    """The line of the log that an event was read from, as the program wrote it. Raises NotFound."""
    block = _blocks(session, agent).filter(first__lte=min(number, LARGEST), last__gte=min(number, LARGEST)).first()
    at = block.first if block is not None else 0
    for rows, line in blocks.pairs_of(block.payload) if block is not None else ():
        if at <= number < at + len(rows):
            if not line:
                limit = blocks.RAW_LIMIT // 1024**2
                raise NotFound(f"The record of event {number} is longer than {limit} MB and was not kept.")
            return line
        at += len(rows)
    raise NotFound(f"Session {session.pk} has no event {number}.")


# --- search -----------------------------------------------------------------------------------------------------------

AROUND: Final = 70  # characters on either side of what was found
LOOKED_AT: Final = 24  # blocks in one search: about a hundredth of a second each


@dataclass(frozen=True, slots=True)
class Search:
    """``upto``: the last event that was looked at; ``goes_on`` when there are later ones."""

    found: list[Found]
    upto: int
    goes_on: bool


def search(session: Session, text: str, *, after: int = 0, most: int = 30, agent: str = "") -> Search:
    """The next events after ``after`` that hold some words, whatever their case."""
    wanted = text.casefold()
    found: list[Found] = []
    upto = after
    rows = _blocks(session, agent).filter(last__gt=min(after, LARGEST)).order_by("first")
    looked_at = list(rows[: LOOKED_AT + 1].values_list("pk", flat=True))
    for pk in looked_at[:LOOKED_AT]:  # one at a time: a payload is half a megabyte, and the first may suffice
        block = Block.objects.only("first", "last", "payload").get(pk=pk)
        for number, row in _rows(block):
            if number <= after or (one := blocks.event_of(row)).kind is Kind.TITLE:
                continue
            if place := _place(one, wanted):
                found.append(_found(number, one, *place))
                if len(found) == most:
                    return Search(found, number, number < block.last or pk != looked_at[-1])
        upto = block.last
    return Search(found, upto, len(looked_at) > LOOKED_AT)


def _place(one: Event, wanted: str) -> tuple[str, int, int] | None:
    text = one.text
    at = text.casefold().find(wanted)
    if at < 0 and (text := one.command or one.tool):
        at = text.casefold().find(wanted)
    return (text, min(at, len(text)), len(wanted)) if at >= 0 else None


def _found(number: int, one: Event, text: str, at: int, length: int) -> Found:
    start, end = max(0, at - AROUND), at + length + AROUND
    head, tail = text[start:at], text[at + length : end]
    return Found(
        number,
        one.kind,
        one.tool,
        f"{'…' if start else ''}{' '.join(head.split())}{' ' if head[-1:].isspace() else ''}",
        " ".join(text[at : at + length].split()),
        f"{' ' if tail[:1].isspace() else ''}{' '.join(tail.split())}{'…' if end < len(text) else ''}",
    )


# --- blocks -----------------------------------------------------------------------------------------------------------


def _blocks(session: Session, agent: str) -> QuerySet[Block]:
    return Block.objects.filter(file__session=session.pk, file__agent=agent).only("first", "last", "payload")


def _rows(block: Block) -> Iterator[tuple[int, blocks.Row]]:
    number = block.first
    for rows, _ in blocks.pairs_of(block.payload):
        for row in rows:
            yield number, row
            number += 1


def _within(rows: list[Block], first: int, last: int) -> Iterator[Numbered]:
    for block in rows:
        for number, row in _rows(block):
            if number > last:
                return
            if number >= first:
                yield number, blocks.event_of(row)
