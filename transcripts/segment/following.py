"""What is to be done next: what the last words of a segment say, offer or list, and what the facts demand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from . import prose
from .outline import Line, distinct
from .said import as_report
from .verbs import POINTING, is_order
from .work import Work

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
    r"|needs? to be (?:done|pushed|merged|committed|re-?run)|(?:in|as) a (?:separate|later|follow-?up) (?:pr|commit"
    r"|change|session|step)|(?:for|as) a follow-?up|left for later|has(?:n't| not) been (?:pushed|committed|merged"
    r"|tested))\b",
    re.I,
)


_OFFER: Final = re.compile(
    r"^(?:(?:do you )?(?:want|would you like) (?:me )?to|(?:should|shall) i(?: now| also)?"
    r"|ready (?:for me )?to) (?P<what>.+)\?$",
    re.I,
)
_OWN_ACT: Final = re.compile(r"(?:now )?(?:let me|i'?ll|i'?d|i'?m|i)\b", re.I)
_VAGUE: Final = re.compile(
    r"\S+ (?:it|this|that|them|these|those|both|all|so)(?:\?|$| (?:that way|now|for you|here|too|first|as well))", re.I
)
_OBJECTS: Final = frozenset(
    {"the", "a", "an", "your", "and", "when", "once", "to", "with", "again", "both", "all", "any"}
)


def next_steps(work: Work, *, is_last: bool) -> list[Line]:
    """What the last words say or offer, what is open on the agent's own list, and a check that fails."""
    found: list[Line] = []
    spoken = [step for step in work.steps if step.text.strip()]
    for step in spoken[-1:]:
        found += [Line(prose.ended(text), step.answer) for text in _announced(step.sentences)]
    if work.push and not work.push.went_through:
        why = f": {prose.clipped(work.push.why, 100)}" if work.push.why else ""
        text = f"Push {work.push.branch or 'the branch'} again, which was rejected{why}"
        found.append(Line(prose.ended(text), work.push.event))
    if check := work.failing:
        found.append(Line(f"Get {'the ' if check.what == 'build' else ''}{check.what} to pass again.", check.event))
    todos = work.open_todos if is_last else work.open_todos[:PASSED_ON]
    found += [Line(prose.ended(_shaped(prose.plain(todo.text))), work.todos_event) for todo in todos]
    return distinct(found)


def _announced(sentences: Sequence[prose.Sentence]) -> Iterator[str]:
    for place, sentence in enumerate(sentences):
        text = sentence.text
        if offer := _OFFER.match(text):
            what = offer["what"]
            if is_order(what.split(" ", 1)[0]) and len(what.split()) > 1 and not _VAGUE.match(what):
                yield _shaped(what.rstrip("?"))
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
