"""What people said besides prompts: with the refusal of a call, and while the model was at work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from transcripts.events import Event, Kind

_SAID: Final = re.compile(r"\bthe user said:\s*(\S.*)", re.S | re.I)
_NOTICE: Final = re.compile(r"\s*(?:[{\[</!]|$)")  # of the program: a task that ended; or a command
SOON: Final = 6  # events between a refusal and the words to it
AHEAD: Final = 400  # events in which a queued text comes again, as a prompt of its own


def said_with_refusal(event: Event) -> str:
    """The words that somebody gave a refused call along."""
    if event.kind is not Kind.RESULT or not event.is_error or event.agent:
        return ""
    match = _SAID.search(event.text[:2000])
    return match[1].strip() if match else ""


def said_after_refusal(events: Sequence[Event], number: int) -> str:
    """The first line of the prompt that somebody typed right after turning a call down without a word."""
    event = events[number]
    if event.kind is not Kind.RESULT or not event.is_error or event.is_failure or event.agent:
        return ""
    for later in events[number + 1 : number + 1 + SOON]:
        if later.kind is Kind.PROMPT:
            return next((line.strip() for line in later.text.splitlines() if line.strip()), "")
        if later.kind in (Kind.ANSWER, Kind.CALL):
            break
    return ""


def said_meanwhile(events: Sequence[Event], number: int) -> str:
    """A text that was queued and that the model then got within its turn: no later prompt repeats it."""
    event = events[number]
    if event.kind is not Kind.SYSTEM or not event.data.get("queued") or _NOTICE.match(event.text):
        return ""
    text = event.text.strip()
    later = events[number + 1 : number + 1 + AHEAD]
    if any(one.kind in (Kind.PROMPT, Kind.COMMAND) and one.text.strip() == text for one in later):
        return ""
    return text if any(one.kind in (Kind.ANSWER, Kind.CALL) for one in later) else ""
