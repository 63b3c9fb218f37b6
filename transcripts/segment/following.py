"""What is to be done next: what the last words of a segment say, offer or list, and what the facts demand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from . import prose
from .outline import OFFERED, Line, distinct
from .prompts import Ask, kind_of
from .said import as_report
from .steps import Step
from .turns import turns_of
from .verbs import POINTING, is_order
from .wishes import said
from .work import Work, is_in_the_middle

LENGTH: Final = 240  # characters of a line
PASSED_ON: Final = 1  # of the list of things to do, where another segment follows and goes on with it
CLOSING: Final = 3  # sentences at the end of the last words in which an order is meant for the reader

_NEXT_SECTION: Final = re.compile(
    r"^(?:(?:recommended |suggested |possible |immediate )?next(?: steps?)?\s*$|next steps?\b|remaining(?: work"
    r"| steps| issues"
    r"| items)?|still (?:to do|open|missing|needed)|to-?dos?|follow[- ]?ups?|what(?:'s| is) (?:left|next|remaining)"
    r"|not done(?: yet)?|left to do|outstanding|pending|future work|action items?)\b",
    re.I,
)
_NEXT: Final = re.compile(
    r"^(?:(?:the )?next(?: steps?)?(?: is| are| would be|:|,)|remaining\b|still (?:needs?|to do|missing)|what(?:'s"
    r"| is) (?:left|next)|todo\b|follow[- ]?up\b|(?:the )?only (?:thing|step) left|you(?:'ll"
    r"| will)? (?:still )?need to"
    r"|(?:you|we) (?:should|can) (?:now|then|also)\b|after (?:that"
    r"|merging"
    r"|the merge|restart)|to (?:finish|complete|apply|activate|test|verify|try) (?:this|it|the)?\b|run )",
    re.I,
)
_LATER: Final = re.compile(
    r"\b(?:still needs? to|remains? to be|not yet (?:done|implemented|pushed|committed|merged|tested)"
    r"|needs? to be (?:done|pushed|merged|committed|re-?run)"
    r"|(?:in|as) a (?:separate|later|follow-?up) (?:pr|commit|change|session|step)"
    r"|(?:for|as|is) a (?:good |great )?follow-?up|(?:for|is) a separate (?:pr|issue|commit|change)"
    r"|(?:not|n't) (?:been )?(?:fixed|implemented|tested|covered|handled) yet"
    r"|(?:left|leave|keep) (?:\w+ ){1,4}for (?:later|now|a later|another)"
    r"|(?:revisit|look at|handle|address|do) (?:\w+ ){1,4}later|left for later"
    r"|has(?:n't| not) been (?:pushed|committed|merged|tested))\b",
    re.I,
)


_NOT_NOW: Final = re.compile(
    r"\b(?:we|i|you|let'?s)(?:'ll| will| can)? (?:look (?:at|into)|do|fix|handle|address|deal with|come back to|tackle"
    r"|revisit|discuss|leave|skip) (?:it|that|this|those|these|them) (?:later|another (?:time|day)|next time|tomorrow"
    r"|for (?:now|later))\b|^(?:leave|skip|park|defer) (?:it|that|this|those|these|them)(?: for)? (?:now|later)\b",
    re.I,
)
_OFFER: Final = re.compile(
    r"^(?:(?:do you )?(?:want|would you like) (?:me )?to|(?:should|shall) i(?: now| also)?"
    r"|ready (?:for me )?to) (?P<what>.+)\?$",
    re.I,
)
_NOTES: Final = re.compile(
    r"(?:file|open|create|raise|log|add|write)\b.{0,40}\b(?:ticket|issue|bug report|task|to-?do)\b", re.I
)
_FOR_IT: Final = re.compile(r" (?:for|about|on) (?:it|this|that|them|these|those)$", re.I)
_IT_AS_PULL: Final = re.compile(r"(mark|merge|open|close|request|make) (?:it|this) ?(.*)", re.I)
_AND: Final = re.compile(r"^(?:(?:and|also|so|yes|no|plus)\b,?\s+)+", re.I)
_BACK: Final = re.compile(r"(?:but|that|this|it|they|these|those|which|there)(?:'s|\b)", re.I)
_OWN_ACT: Final = re.compile(r"(?:now )?(?:let me|i'?ll|i'?d|i'?m|i)\b", re.I)
_VAGUE: Final = re.compile(
    r"\S+ (?:it|this|that|them|these|those|both|all|so)"
    r"(?:\?|$| (?:that way|now|for you|here|too|first|as well|ready|up|in|on|and|with|to)\b)",
    re.I,
)
_OBJECTS: Final = frozenset(
    {"the", "a", "an", "your", "and", "when", "once", "to", "with", "again", "both", "all", "any"}
)


def next_steps(work: Work, *, is_last: bool) -> list[Line]:
    """What the last words say or offer, what is open on the agent's own list, and a check that fails."""
    found: list[Line] = []
    spoken = [step for step in work.steps if step.text.strip()]
    if is_last and (asked := _last_asked(work))[1]:
        found.append(Line(f"Finish what was asked last: “{prose.clipped(asked[0], 140)}”.", asked[1]))
    number = _number(work, spoken)
    for step in spoken[-1:]:
        found += [Line(prose.ended(text), step.answer) for text in _announced(step.sentences, number)]
    found += _put_off_by_people(work)
    for turn, following in pairwise(turns_of(work.steps)):
        for step in [step for step in turn if step.text.strip()][-1:]:
            found += [Line(prose.ended(text), step.answer) for text in _put_off(step.sentences)]
            if following[0].prompt and kind_of(following[0].prompt.text) is not Ask.CONSENT:
                found += [Line(prose.ended(text), step.answer) for text in _offers_to_note(step.sentences)]
    if work.push and not work.push.went_through:
        why = f": {prose.clipped(work.push.why, 100)}" if work.push.why else ""
        text = f"Push {work.push.branch or 'the branch'} again, which was rejected{why}"
        found.append(Line(prose.ended(text), work.push.event))
    if check := work.failing:
        found.append(Line(f"Get {'the ' if check.what == 'build' else ''}{check.what} to pass again.", check.event))
    todos = work.open_todos if is_last else work.open_todos[:PASSED_ON]
    found += [Line(prose.ended(_shaped(prose.plain(todo.text))), work.todos_event) for todo in todos]
    return distinct(found)


def _last_asked(work: Work) -> tuple[str, int]:
    """The last prompt of the log, while the model is still at it or has not begun: its first words, and its event."""
    step = next((step for step in reversed(work.steps) if step.prompt is not None), None)
    opens = step is work.steps[0] and any(one.text for one in work.steps)  # then the title says it
    if step is None or opens or step.prompt is None or not is_in_the_middle(work) or step.prompt.text.startswith("/"):
        return "", 0
    said = prose.plain(step.prompt.text[:1500]).rstrip(".")
    if len(said) > 140:
        said = next((one.text for one in prose.sentences(step.prompt.text) if len(one.text.split()) > 2), said)
    return said, step.first_number if said and not said.endswith("?") else 0


def _put_off_by_people(work: Work) -> Iterator[Line]:
    """ "We'll look at it later": what the prompt before was about."""
    subject = ""
    for step in work.steps:
        if step.prompt is None:
            continue
        typed = prose.sentences(said(step.prompt))
        if any(_NOT_NOW.search(one.text) for one in typed):
            if subject:
                yield Line(f"Come back to what was put off: “{subject}”.", step.first_number)
        elif kind_of(step.prompt.text) not in (Ask.CONSENT, Ask.ERRAND):
            subject = prose.clipped(next((one.text for one in typed if len(one.text.split()) > 2), ""), 140)


def _number(work: Work, spoken: Sequence[Step]) -> str:
    """What "it" may be: the pull request of this work."""
    if work.pull:
        return f"PR #{work.pull[0]}"
    found = re.findall(r"\b(?:PR|pull request) #(\d+)|/pull/(\d+)", spoken[-1].text) if spoken else []
    return f"PR #{found[-1][0] or found[-1][1]}" if found else ""


def _put_off(sentences: Sequence[prose.Sentence]) -> Iterator[str]:
    """What the closing words of an earlier turn leave for later."""
    for sentence in sentences:
        text = _AND.sub("", sentence.text)
        is_whole = 4 <= len(text.split()) <= 40 and not text.endswith("?") and not _BACK.match(text)
        if is_whole and _LATER.search(text) and not _OWN_ACT.match(text):
            yield _order(text)


def _offers_to_note(sentences: Sequence[prose.Sentence]) -> Iterator[str]:
    """ "Want me to file a ticket for that?" at the end of a turn, with the sentence before, which says for what."""
    offer = _OFFER.match(_AND.sub("", sentences[-1].text)) if sentences else None
    if offer and _NOTES.match(offer["what"]):
        what, pointed = _FOR_IT.subn("", offer["what"])
        before = sentences[-2].text if pointed and len(sentences) > 1 else ""
        yield f"{_shaped(what)}{OFFERED}" + (f": “{prose.clipped(before, 160)}”" if before else "")


def _announced(sentences: Sequence[prose.Sentence], number: str) -> Iterator[str]:
    for place, sentence in enumerate(sentences):
        text = _AND.sub("", sentence.text)
        if offer := _OFFER.match(text):
            what = offer["what"]
            if number and (meant := _IT_AS_PULL.match(what)):
                what = f"{meant[1]} {number} {meant[2]}"
            if is_order(what.split(" ", 1)[0]) and len(what.split()) > 1 and not _VAGUE.match(what):
                yield _shaped(what.rstrip("?")) + OFFERED
            continue
        if text.endswith("?") or as_report(text) or not 3 <= len(text.split()) <= 40 or _OWN_ACT.match(text):
            continue
        section = bool(_NEXT_SECTION.match(sentence.section))
        if section or _NEXT.match(text) or _LATER.search(text) or _is_for_reader(sentence, len(sentences) - place):
            yield _order(text)


def _is_for_reader(sentence: prose.Sentence, from_end: int) -> bool:
    """ "Install the new binary and try again." at the end of the last words."""
    first, _, rest = sentence.text.partition(" ")
    if from_end > CLOSING or sentence.is_item or not is_order(first) or POINTING.match(rest):
        return False
    return rest.split(" ", 1)[0].lower() in _OBJECTS  # "Commit created" is no order


def _shaped(text: str) -> str:
    return prose.sentence_case(prose.clipped(text, LENGTH))


def _order(text: str) -> str:
    text = re.sub(
        r"^(?:(?:the )?next(?: steps?)?(?: is| are| would be)?(?: to)?[:,]?|remaining(?: work)?:|todo:?|what(?:'s"
        r"| is) (?:left|next):?|you(?:'ll| will)? (?:still )?need to|(?:you|we) (?:should|can) (?:now|then|also))\s+",
        "",
        text,
        count=1,
        flags=re.I,
    )
    return _shaped(text)
