"""Questions that nobody answered: of the model, which the next prompt passes over, and of people at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Final

from transcripts.events import Event, Kind

from . import prose
from .lexical import words
from .outline import Line, distinct
from .prompts import Ask, kind_of
from .work import Work

LENGTH: Final = 240  # characters of a line
SHARED: Final = 0.12  # of the question's words in the next prompt: it speaks to the question
_IDLE: Final = re.compile(
    r"^(?:(?:is there )?anything else|what(?:'s| is) next|make sense|sound good|does (?:this|that) (?:help"
    r"|(?:explanation |approach )?make sense)|any (?:concerns|questions|thoughts)|ready to|how (?:can|may) i help"
    r"|what would you like (?:me )?to (?:do|work))\b",
    re.I,
)
_OFFER: Final = re.compile(r"^(?:do you )?(?:want|would you like|shall|should i|like)\b", re.I)


def open_questions(work: Work, following: Event | None) -> list[Line]:
    """Questions of the model that the next prompt does not answer, and a last prompt that nobody answered."""
    found: list[Line] = []
    steps = work.steps
    for at, step in enumerate(steps):
        last = at == len(steps) - 1
        reply = following if last else steps[at + 1].prompt
        if not step.text or (reply is None and not last):
            continue  # the model went on by itself
        for sentence in step.sentences[-6:]:
            text = sentence.text
            if not text.endswith("?") or not 4 <= len(text.split()) <= 45 or _IDLE.match(text):
                continue
            if reply is None or (last and not _answers(reply, text)):
                found.append(Line(prose.sentence_case(prose.clipped(text, LENGTH).rstrip("?") + "?"), step.answer))
    if following is None and steps[-1].prompt is not None and steps[-1].prompt.text.rstrip().endswith("?"):
        found.append(Line(prose.clipped(prose.plain(steps[-1].prompt.text[-400:]), LENGTH), steps[-1].first_number))
    found += _unanswered(work)
    return distinct(found)


def _answers(reply: Event, question: str) -> bool:
    kind = kind_of(reply.text)
    if kind in (Ask.CONSENT, Ask.CORRECTION, Ask.FOLLOW_UP):
        return True
    if _OFFER.match(question) and kind is Ask.ERRAND:
        return True
    asked, given = set(words(question)), set(words(reply.text[:1500]))
    if not asked or len(asked & given) >= SHARED * len(asked):
        return True
    # a short order in reply to an offer settles it: another thing was wanted
    return bool(_OFFER.match(question))


def _unanswered(work: Work) -> Iterator[Line]:
    """Questions put by a tool whose call was turned down."""
    calls = {
        e.call: e
        for e in work.events[work.first : work.last + 1]
        if e.kind is Kind.CALL and e.tool == "AskUserQuestion"
    }
    for number in range(work.first, work.last + 1):
        event = work.events[number]
        if event.kind is Kind.RESULT and event.is_error and (call := calls.get(event.call)):
            for question in _questions_of(call):
                yield Line(prose.clipped(prose.plain(question), LENGTH), number + 1)


def _questions_of(call: Event) -> list[str]:
    try:
        given = json.loads(call.text)
    except ValueError:
        return []
    asked = given.get("questions") if isinstance(given, dict) else None
    return [str(q["question"]) for q in asked or [] if isinstance(q, dict) and q.get("question")]
