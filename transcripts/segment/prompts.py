"""What kind of thing a prompt is: only some of them begin a new piece of work."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final


class Ask(StrEnum):
    TASK = "task"
    QUESTION = "question"
    CONSENT = "consent"  # "yes, go on", "both please", "1": an answer to the model
    CORRECTION = "correction"  # "no, I meant …": the same work, other way
    ERRAND = "errand"  # "commit and push": the end of the work before
    FOLLOW_UP = "follow-up"  # "also …", "and then …"


SHORT: Final = 12  # words
LONG: Final = 40

_CONSENT: Final = re.compile(
    r"(?:yes|yeah|yep|yup|ya|ok|okay|k|sure|go|continue|proceed|do (?:it|that|both|so|them|this)|please do|both"
    r"|all(?: (?:of (?:them|it)|\w+))?"
    r"|sounds? good|looks? good|great|nice|cool|perfect|thanks|thank you|lgtm|agreed?|correct|right|exactly"
    r"|approved?|fine|good"
    r"|(?:option |#)?[0-9a-d]\b|first|second|resume|keep going|next|y)\b[\s,.!:)]*",
    re.I,
)
_CORRECTION: Final = re.compile(
    r"(?:no\b(?! (?:need|rush))|nope|nah|not (?:that|what|the|quite|really)|i (?:mean|meant|said|thought|didn'?t"
    r"|don'?t (?:think|want|like|see))|i'?m not"
    r"|wait|hmm+|umm?|emm?|oh|actually|but\b|that(?:'s| is| does|'re)? ?(?:not|n't|wrong)|you (?:didn'?t|forgot"
    r"|missed|misunderst)"
    r"|still\b|this (?:one )?is still|it'?s still|wrong|sorry|instead|why (?:did|are|would) you|revert|undo"
    r"|never ?mind|stop\b|rather\b)",
    re.I,
)
_FOLLOW_UP: Final = re.compile(r"(?:also|and|then|so|plus|one more|another thing|additionally|while you)\b", re.I)
_ERRAND: Final = re.compile(
    r"\b(?:commit|push|amend|squash|merge it|open (?:a |the )?(?:draft )?pr|(?:make|create|draft) (?:a "
    r"|the )?(?:draft )?pr|ship it|deploy)\b",
    re.I,
)
_QUESTION: Final = re.compile(
    r"(?:q:|why|what|how|do|does|did|is|are|was|were|can (?!you)|could (?!you)|should|would|where|when|who|which"
    r"|any|has|have|have we|isn'?t|doesn'?t|wouldn'?t)\b",
    re.I,
)
_POLITE: Final = re.compile(
    r"^(?:(?:ok(?:ay)?|great|cool|nice|thanks|thank you|alright|right|perfect|good|hi|hey|hello|well|now|please|pls"
    r"|q|question)\b[\s,.!:;–-]+)+",
    re.I,
)


def kind_of(text: str) -> Ask:
    """The kind of one prompt, by its opening words and its length."""
    text = " ".join(text[:2000].split())
    length = len(text.split())
    if not text or text.startswith("/"):
        return Ask.TASK
    consent = _CONSENT.match(text)
    if consent and (
        length <= 5
        or (length <= SHORT and not _ERRAND.search(text) and text[consent.end() - 1 : consent.end()] in ",.!")
    ):
        return Ask.CONSENT
    if _ERRAND.search(text) and length <= SHORT:
        return Ask.ERRAND
    if _CORRECTION.match(text) and length <= LONG:
        return Ask.CORRECTION
    if _FOLLOW_UP.match(text) and length <= LONG:
        return Ask.FOLLOW_UP
    rest = _POLITE.sub("", text, count=1)
    if length <= LONG and (rest.endswith("?") or _QUESTION.match(rest)):
        return Ask.QUESTION
    return Ask.TASK


def without_greeting(text: str) -> str:
    return _POLITE.sub("", " ".join(text.split()), count=1) or text
