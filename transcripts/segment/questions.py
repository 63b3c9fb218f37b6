"""Questions that nobody answered: of the model, which the next prompt passes over, and of people at the end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from transcripts.events import Event, Kind

from . import prose
from .lexical import words
from .outline import Line, distinct
from .prompts import Ask, kind_of
from .steps import Step
from .work import Work

LENGTH: Final = 240  # characters of a line
SHARED: Final = 0.12  # of the question's words in the next prompt: it speaks to the question
_IDLE: Final = re.compile(
    r"^(?:(?:is there )?anything else|what(?:'s| is) next|make sense|sound good|does (?:this|that) (?:help"
    r"|(?:explanation |approach )?make sense)|any (?:concerns|questions|thoughts)|ready to|how (?:can|may) i help"
    r"|what would you like (?:me )?to (?:do|work))\b",
    re.I,
)
_OR: Final = re.compile(r"^(?:or|and|but|so)\b,? (?=\w)", re.I)
_OF_IT: Final = re.compile(r"^(?:is|are|was|were|does|do|did) (?:this|that|it|they)\b", re.I)  # nobody knows of what
_PICK: Final = re.compile(
    r"^(?:so,? )?(?:which|what (?:do|would) you (?:think|prefer)"
    r"|how (?:do|would|should) (?:you|we|i) (?:want|like|prefer|proceed))\b(?=(?:\W+\w+){0,7}\?$)",
    re.I,
)
_WAYS: Final = re.compile(
    r"\b(?:options?|alternatives|choices|ways? forward|approaches|(?:two|three|four|several) ways)\b[^.]{0,30}$", re.I
)
_BACK: Final = re.compile(r"(?:this|that|it|they|then|but|also)\b", re.I)  # a second sentence of an item
_OPTION_LABEL: Final = re.compile(r"^\**(?:option )?(?:[0-9]|[A-D])\**[.):]\**\s+", re.I)
_PASSES_OVER: Final = re.compile(r"(?:also|and|then|another thing|one more|btw|by the way)\b", re.I)
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
        replies = [later.prompt for later in steps[at + 1 :] if later.prompt is not None]
        replies += [following] if following is not None else []
        options = list(_options(step))
        asked = [one.text for one in step.sentences[-6:] if one.text.endswith("?") and len(one.text.split()) <= 45]
        if not asked and options:
            asked = ["Which of these?"]
        for text in asked:
            text = _OR.sub("", text)
            if _IDLE.match(text) or _OF_IT.match(text):
                continue
            if is_pick := bool(_PICK.match(text)):
                if not options or (reply is not None and not _PASSES_OVER.match(reply.text)):
                    continue  # without its options nobody knows what is asked
                text = f"{text.rstrip('? ')}: {_listed(options)}?"
            if len(text.split()) < 4:
                continue
            if reply is None or not any(_answers(one, text) for one in replies) or is_pick:
                found.append(Line(prose.sentence_case(prose.clipped(text, LENGTH).rstrip("?") + "?"), step.answer))
    if following is None and steps[-1].prompt is not None and steps[-1].prompt.text.rstrip().endswith("?"):
        found.append(Line(prose.clipped(prose.plain(steps[-1].prompt.text[-400:]), LENGTH), steps[-1].first_number))
    found += _unanswered(work)
    return distinct(found[::-1])[::-1]  # the last ones: who asks again asks better


def _options(step: Step) -> Iterator[str]:
    """The items of a list of ways to go on, at the end of an answer."""
    found = [one for one in step.statements if one.is_item and not one.heading and _WAYS.search(one.section)]
    found = [one for one in found if not _BACK.match(one.text)]
    for one in found[:4]:
        yield prose.clipped(_OPTION_LABEL.sub("", one.text).rstrip(".:"), 60)


def _listed(options: Sequence[str]) -> str:
    said = [prose.decapitalised(one) for one in options]
    return f"{', '.join(said[:-1])}, or {said[-1]}" if len(said) > 1 else "".join(said)


def _answers(reply: Event, question: str) -> bool:
    kind = kind_of(reply.text)
    if kind in (Ask.CONSENT, Ask.CORRECTION):
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
