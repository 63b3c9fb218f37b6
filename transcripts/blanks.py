"""Endless blanks in what is read: most expressions of the rules take the square of their length."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from transcripts.events import Event

MOST: Final = 64  # blanks in a row that stay; nobody indents further
_BLANKS: Final = re.compile(r"\s{65,}")


def squeezed(events: Sequence[Event]) -> Sequence[Event]:
    """The same events; those with longer runs of blanks in text or command are copies, with a line end or a blank."""
    return [_squeezed(event) for event in events]


def _squeezed(event: Event) -> Event:
    text, command = squeeze(event.text), squeeze(event.command)
    if text is event.text and command is event.command:
        return event
    return replace(event, text=text, command=command)


def squeeze(text: str) -> str:
    """``text`` itself where there is nothing to squeeze."""
    if len(text) <= MOST or not _BLANKS.search(text):
        return text
    return _BLANKS.sub(lambda run: "\n\n" if "\n" in run[0] else " ", text)
