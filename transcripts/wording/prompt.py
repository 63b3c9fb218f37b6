"""What the model is sent: the rules of the task, and one part of the log between two fences of a random word.

The word is drawn anew for each question, so nothing in a log can close the fence. The prompt has a version, which is
stored with each result: change a word of the template or of the schema, and it changes by itself.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final

from django.template.loader import get_template, render_to_string

from core.llm import Message
from transcripts.events import Facts
from transcripts.segmentation import Segment

from .digest import Entry, clean, clipped
from .reading import LENGTHS, LISTS, SCHEMA, Words

TEMPLATE: Final = "prompts/segments.md"
FORMAT: Final = 1  # of the digest; raise it when its lines come to mean something else
FIXED: Final = 20  # segments before a part that are told by title; titles so far as well


@cache
def version() -> str:
    """Twelve hexadecimal digits of all that decides what an answer looks like, but the log and the model."""
    source = get_template(TEMPLATE).template.source  # type: ignore[attr-defined]  # Django's own engine has it
    parts = [str(FORMAT), source, json.dumps(SCHEMA.body, sort_keys=True), repr(LENGTHS)]
    return sha256("\0".join(parts).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the log: the open events ``first`` to ``last``, and what is told along with them."""

    first: int
    last: int
    entries: Sequence[Entry]
    drafts: Sequence[Segment]  # rule-made ones that begin in this part
    fixed: Sequence[Segment]  # in and before this part
    titles: Sequence[str] = ()  # that the model gave in the parts before
    goes_on: Words | None = None  # was open where the part before ended
    is_end: bool = True  # of the log


def messages_for(part: Part, facts: Facts) -> list[Message]:
    nonce = secrets.token_hex(8)
    log = "\n".join(_lines(part))
    while nonce in log:
        nonce = secrets.token_hex(8)
    asked = f"Review the events {part.first} to {part.last}" + ("." if part.is_end else "; the log goes on after them.")
    return [
        {"role": "system", "content": render_to_string(TEMPLATE, {"nonce": nonce, "limits": LENGTHS})},
        {"role": "user", "content": f"{_head(facts)}\n<log {nonce}>\n{log}\n</log {nonce}>\n{asked} {_opening(part)}"},
    ]


def repair(messages: Sequence[Message], answer: str, faults: Sequence[str]) -> list[Message]:
    """The same question with the faulty answer and what is wrong with it."""
    told = "\n".join(f"- {fault}" for fault in faults)
    again = f"That answer cannot be used:\n{told}\nAnswer once more with the whole JSON object, these faults repaired."
    return [*messages, {"role": "assistant", "content": answer}, {"role": "user", "content": again}]


def _head(facts: Facts) -> str:
    """Names come from the log, too, hence cleaned and short."""
    told = {"program": facts.program, "model": facts.model, "branch": facts.branch, "title": facts.title}
    named = [f"{name} {clipped(clean(value), 80)}" for name, value in told.items() if value]
    return f"A session of {', '.join(named)}." if named else "A session."


def _opening(part: Part) -> str:
    if part.goes_on is None:
        return "The first segment begins with the first of them."
    return (
        f"The first segment begins at event {part.goes_on.first}, if the open segment goes on here: then write it anew "
        "as a whole. Otherwise it begins with the first of them, and the open one stays as it is."
    )


def _lines(part: Part) -> list[str]:
    drafts = {one.first: one for one in part.drafts}
    fixed = {one.first: one for one in part.fixed}
    before = [n for n in sorted(fixed) if n < part.first]
    lines = [_fixed(fixed[n]) for n in before[-FIXED:]]
    lines += [f"## title so far: {title}" for title in part.titles[-FIXED:]]
    if part.goes_on:
        lines.append(f"## open segment, begun at event {part.goes_on.first}: {_words(part.goes_on)}")
    places = sorted([n for n in fixed if n >= part.first] + list(drafts))
    entries = iter(part.entries)
    entry = next(entries, None)
    for place in [*places, part.last + 1]:
        while entry and entry.first < place:
            lines.append(str(entry))
            entry = next(entries, None)
        if place in fixed:
            lines.append(_fixed(fixed[place]))
        elif place in drafts:
            lines.append(_draft(drafts[place]))
    return lines


def _draft(one: Segment) -> str:
    made = f", {len(one.commits)} commits" if one.commits else ""
    return f"## draft: events {one.first} to {one.last}, {one.status}{made}: {clean(one.title)}"


def _fixed(one: Segment) -> str:
    outcome = f" — {clipped(clean(one.outcome.text), 160)}" if one.outcome else ""
    return f"## fixed: events {one.first} to {one.last}, {one.status}: {clipped(clean(one.title), 200)}{outcome}"


def _words(words: Words) -> str:
    """The open segment as the model itself wrote it, in the form in which it is to write it anew."""
    lines = {name: [{"text": o.text, "event": o.event} for o in getattr(words, name)] for name in LISTS}
    outcome = {"text": words.outcome.text, "event": words.outcome.event} if words.outcome else None
    told = {"title": words.title, "summary": words.summary, "outcome": outcome, **lines}
    return json.dumps(told, ensure_ascii=False)
