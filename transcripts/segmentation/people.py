"""Whose words they are. What a program or the model itself put in a person's place is nobody's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from transcripts.events import Event, Kind

AHEAD: Final = 400  # events in which a queued text comes again, as a prompt of its own
ASKING: Final = frozenset({"AskUserQuestion", "request_user_input"})  # tools whose calls are questions to people
_SAID: Final = re.compile(r"\bthe user said:\s*(\S.*)", re.S)
_AFTERWARD: Final = "\n\nNote: The user's next message"  # what Claude Code puts behind their words


def ordered_by_model(events: Sequence[Event]) -> frozenset[str]:
    """Texts that the model gave a tool as a later prompt: for a wake-up, a schedule, a sub-agent."""
    found = set[str]()
    for event in events:
        if event.kind is Kind.CALL and '"prompt"' in event.text:
            given = arguments(event).get("prompt")
            found.add(given.strip() if isinstance(given, str) else "")
    return frozenset(found - {""})


def arguments(call: Event) -> dict[str, object]:
    """What a call was given; empty where that is no JSON object."""
    try:
        given = json.loads(call.text)
    except (ValueError, RecursionError):
        return {}
    return given if isinstance(given, dict) else {}


def is_persons(event: Event, by_model: frozenset[str]) -> bool:
    """Did a person type this prompt? ``by_model``: as ``ordered_by_model`` has it."""
    if event.kind is not Kind.PROMPT or event.agent or event.data.get("injected"):
        return False
    return not _is_markup(event.text) and event.text.strip() not in by_model


def _is_markup(text: str) -> bool:
    """A notice of the program: a tag, a record, or nothing at all."""
    return text.lstrip()[:1] in ("<", "{", "[", "")


def said_meanwhile(events: Sequence[Event], number: int, by_model: frozenset[str]) -> bool:
    """Was this queued while the model was at work, and given to it within its turn? No later prompt repeats it."""
    event = events[number]
    text = event.text.strip()
    if event.kind is not Kind.SYSTEM or not event.data.get("queued") or _is_markup(text) or text.startswith(("/", "!")):
        return False
    later = events[number + 1 : number + 1 + AHEAD]
    if text in by_model or any(one.kind in (Kind.PROMPT, Kind.COMMAND) and one.text.strip() == text for one in later):
        return False
    return any(one.kind in (Kind.ANSWER, Kind.CALL) for one in later)


def is_refusal(event: Event) -> bool:
    """Did a person turn this call down?"""
    return event.kind is Kind.RESULT and event.is_error and not event.is_failure and not event.agent


def said_with_refusal(event: Event) -> str:
    """The words that somebody gave a refused call along; what the program itself says in their place is none."""
    if not is_refusal(event) or event.tool in ASKING:
        return ""
    match = _SAID.search(event.text[:4000])
    return match[1].partition(_AFTERWARD)[0].strip() if match else ""


def questions_of(call: Event) -> list[str]:
    """The questions that a call puts to people, as they were written."""
    asked = arguments(call).get("questions") if call.tool in ASKING else None
    rows = asked if isinstance(asked, list) else []
    return [text for row in rows if isinstance(row, dict) and isinstance(text := row.get("question"), str) and text]


def answers_to(call: Event, result: Event) -> dict[str, str]:
    """What a person answered to the questions of a call, each as it stands in the result; unanswered ones are left out.

    The questions are known from the call, so quotation marks inside of them or of an answer tear nothing.
    """
    asked, found = questions_of(call), dict[str, str]()
    places = [(result.text.find(f'"{question}"="'), question) for question in asked]
    known = sorted((at, at + len(question) + 4, question) for at, question in places if at >= 0)
    for place, (_, begin, question) in enumerate(known):
        until = known[place + 1][0] if place + 1 < len(known) else len(result.text)
        rest = result.text[begin:until]
        ends = [at for stop in ('" selected preview', '" user notes') if (at := rest.find(stop)) >= 0]
        if said := rest[: min(ends) if ends else rest.rfind('"')].strip():
            found[question] = said
    return found or _answers_by_id(call, result)


def _answers_by_id(call: Event, result: Event) -> dict[str, str]:
    """Codex gives answers as JSON, by the question's id."""
    given = arguments(Event(0, Kind.RESULT, "-", result.text)).get("answers")
    asked = arguments(call).get("questions")
    if not isinstance(given, dict) or not isinstance(asked, list):
        return {}
    found = {}
    for row in asked:
        answer = given.get(row.get("id")) if isinstance(row, dict) else None
        told = answer.get("answers") if isinstance(answer, dict) else None
        texts = [text for text in told if isinstance(text, str) and text] if isinstance(told, list) else []
        if texts and isinstance(row.get("question"), str):
            found[row["question"]] = texts[0]
    return found
