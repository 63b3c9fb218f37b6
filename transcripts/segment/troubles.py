"""Why checks failed on the way, in the words of the model that found out and went on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from . import prose
from .work import Work

LENGTH: Final = 200  # characters of one
SHORTEST, LONGEST = 6, 45  # words
REACH: Final = 4  # answers after a failed check in which its cause is looked for
_CAUSE: Final = re.compile(
    r"\b(?:the (?:real |actual |only |remaining |underlying )?(?:issue|problem|bug|cause|root cause|culprit|failure"
    r"|reason) (?:is|was|comes)|root cause|caused by|turn(?:s|ed) out|because)\b",
    re.I,
)
_GUESS: Final = re.compile(r"\b(?:might|may|maybe|could|perhaps|probably|likely|seems?|possibl[ey]|if)\b", re.I)
_LEAD: Final = re.compile(
    r"^(?:(?:looking at [^,]{1,60}, |so |now |ah,? |i see[.,:]? |ok(?:ay)?,? )*)(?=\w)|^(?:root cause|cause): ", re.I
)
_OWN: Final = re.compile(
    r"\b(?:with|by|from|after|since|because of) (?:my|our) (?:\w+ )?(?:fix|change|edit|refactor)\w*\b", re.I
)
_AS_MEANT: Final = re.compile(
    r"\bfail(?:s|ed|ing)? (?:\w+ )?(?:as|like) (?:\w+ )?(?:expected|intended|planned|they should|it should)\b"
    r"|\bred phase\b",
    re.I,
)
_BACK: Final = re.compile(r"(?:that|this|it|they|these|those|which|there|here|let me|i'll|but|and)\b", re.I)


def troubles(work: Work) -> list[str]:
    """The causes that were named after a check had failed, where all was well in the end; the last one is the best."""
    failed = [check.event for check in work.checks if check.passed is False]
    found: dict[str, None] = {}
    for event in failed if not work.failing and any(check.passed for check in work.checks) else ():
        spoken = [step for step in work.steps if step.answer > event and step.text.strip()][:REACH]
        text = next((text for step in spoken if (text := _cause_in([one.text for one in step.sentences]))), "")
        if text:
            found.pop(text, None)
            found[text] = None
    return list(found)


def tests_first(work: Work) -> str:
    """What the model said when checks had failed as they were meant to; empty if that was not so."""
    failed = [check.event for check in work.checks if check.passed is False]
    for step in work.steps if failed else ():
        if step.answer <= failed[0] or any(failed[0] < event < step.answer for event in failed[1:]):
            continue
        text = next((one.text for one in step.sentences if _AS_MEANT.search(one.text)), "")
        return prose.ended(prose.clipped(text, LENGTH)) if 0 < len(text.split()) <= LONGEST else ""
    return ""


def _cause_in(said: Sequence[str]) -> str:
    """The first sentence that names a cause; with the one soon after it that finds it in what was done here."""
    for place, text in enumerate(said):
        if cause := _cause(text):
            own = next((_own(one) for one in said[place + 1 : place + 3] if _own(one)), "")
            return f"{cause} {own}".strip()
    return ""


def _own(text: str) -> str:
    is_own = _OWN.search(text) and not _GUESS.search(text) and SHORTEST <= len(text.split()) <= LONGEST
    return prose.ended(prose.clipped(text, LENGTH)) if is_own else ""


def _cause(text: str) -> str:
    text = _LEAD.sub("", text, count=1)
    if not SHORTEST <= len(text.split()) <= LONGEST or text.endswith("?") or _BACK.match(text):
        return ""
    if not _CAUSE.search(text) or _GUESS.search(text):
        return ""
    return prose.ended(prose.clipped(prose.sentence_case(text), LENGTH))
