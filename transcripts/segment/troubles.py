"""Why checks failed on the way, in the words of the model that found out and went on."""

from __future__ import annotations

import re
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
_BACK: Final = re.compile(r"(?:that|this|it|they|these|those|which|there|here|let me|i'll|but|and)\b", re.I)


def troubles(work: Work) -> list[str]:
    """The causes that were named after a check had failed, where all was well in the end; the last one is the best."""
    failed = [check.event for check in work.checks if check.passed is False]
    found: dict[str, None] = {}
    for event in failed if not work.failing and any(check.passed for check in work.checks) else ():
        spoken = [step for step in work.steps if step.answer > event and step.text.strip()][:REACH]
        text = next((text for step in spoken for one in step.sentences if (text := _cause(one.text))), "")
        if text:
            found.pop(text, None)
            found[text] = None
    return list(found)


def _cause(text: str) -> str:
    text = _LEAD.sub("", text, count=1)
    if not SHORTEST <= len(text.split()) <= LONGEST or text.endswith("?") or _BACK.match(text):
        return ""
    if not _CAUSE.search(text) or _GUESS.search(text):
        return ""
    return prose.ended(prose.clipped(prose.sentence_case(text), LENGTH))
