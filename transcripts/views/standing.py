"""How a segment stands, in words: its status as its reader should hear it, and why, with the event that says so.

From facts that are stored: the kinds of its events, the check that its next steps name, the call that was broken off.
Where no fact tells a reason, none is made up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from transcripts.blocks import Index
from transcripts.models import Segment

Status = Segment.Status
LEFT: Final = "Left unfinished"
_CHECK: Final = re.compile(r"([A-Z][a-z ]+) failed when last run: ")  # as segmentation/templates.py has it
_PARTS: Final = re.compile(r"[|;&\n]")  # of a shell line
_GIT: Final = re.compile(r"\bgit\b")
_PUSH: Final = re.compile(r"\bpush\b")
_ASIDE: Final = " snSx"  # events that are no turn of the person's or the agent's


@dataclass(frozen=True, slots=True)
class Reason:
    words: str
    event: int


def is_left(segment: Segment, is_live: bool) -> bool:
    """In progress by its log, in a session that does not go on. What a person said stays."""
    return not is_live and "status" not in segment.edits and segment.status == Status.IN_PROGRESS


def label(segment: Segment, is_live: bool) -> str:
    shown = str(segment.shown("status"))
    if is_left(segment, is_live):
        return LEFT
    return str(Status(shown).label) if shown in Status.values else shown


def status(segment: Segment, is_live: bool) -> str:
    """Whose colours it has: nothing moves any more in what was left."""
    return str(Status.PARTIAL if is_left(segment, is_live) else segment.shown("status"))


def kinds_of(blocks: Iterable[tuple[int, Index]]) -> str:
    """A letter for each event: its kind, ``S`` for an error of the service, a blank for what a sub-agent did."""
    parts = []
    for _, index in blocks:
        letters = list(index.kinds)
        for place in index.errors:
            if letters[place] == "s":
                letters[place] = "S"
        for place in index.agents:
            letters[place] = " "
        parts.append("".join(letters))
    return "".join(parts)


def reason(segment: Segment, kinds: str, is_live: bool, command: Callable[[int], str]) -> Reason | None:
    """Why it is not done. ``kinds``: of all events. ``command``: of the call at an event."""
    if "status" in segment.edits:
        return None
    own = kinds[segment.first - 1 : segment.last]
    if segment.status == Status.IN_PROGRESS:
        return _waiting(segment, own, is_live)
    if segment.status in (Status.PARTIAL, Status.ABANDONED):
        return _interrupted(segment, own, command) or _check(segment) or _service(segment, own)
    return None


def _waiting(segment: Segment, own: str, is_live: bool) -> Reason | None:
    turns = own.rstrip(_ASIDE)
    at = segment.first + len(turns) - 1
    if turns[-1:] in ("p", "o"):
        return Reason("not answered yet" if is_live else "never answered", at)
    if is_live or not turns:
        return None
    return Reason("stopped during a call" if turns[-1] == "c" else "stopped before an answer", at)


def _interrupted(segment: Segment, own: str, command: Callable[[int], str]) -> Reason | None:
    at = own.rfind("i")
    if at < 0 or set(own[at + 1 :]) & set("acp"):
        return None
    call = own.rfind("c", 0, at)
    during = command(segment.first + call) if call >= 0 and "a" not in own[call:at] else ""
    what = "push interrupted" if _is_push(during) else "interrupted by the person"
    return Reason(what, segment.first + at)


def _is_push(command: str) -> bool:
    parts = _PARTS.split(command)
    return any((git := _GIT.search(part)) and _PUSH.search(part, git.end()) for part in parts)


def _check(segment: Segment) -> Reason | None:
    for line in segment.next_steps:
        if line.get("reason") == "failing" and (match := _CHECK.match(line["text"])):
            return Reason(f"{match[1].lower()} failing", line["event"])
    return None


def _service(segment: Segment, own: str) -> Reason | None:
    at = own.rfind("S")
    return None if at < 0 or set(own[at + 1 :]) & set("acrp") else Reason("an error of the service", segment.first + at)
