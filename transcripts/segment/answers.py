"""Questions of people that the model answered: what was asked, and the sentence that answers it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from . import prose
from .lexical import words
from .prompts import without_greeting
from .steps import Step
from .turns import turns_of
from .wishes import is_log, said
from .work import Work

QUESTION: Final = 160  # characters of a question that is quoted
ANSWER: Final = 320
SHORTEST, LONGEST = 3, 45  # words of a sentence that answers
SHARED: Final = 2  # words that an answer which is not marked as one has in common with its question
_ASKS_TO_KNOW: Final = re.compile(
    r"(?:(?:so|and|but|also|or|then|hm+|wait|q)\b[\s,:–-]*)*"
    r"(?:why|how come|what|where|when|which|who|how (?!about)"
    r"|(?:is|are|was|were|do|does|did|has|have|had|should|will|would|could|can)(?:n'?t)? (?!you\b|we (?:please|just)\b)"
    r"|any\b)",
    re.I,
)
_REQUEST: Final = re.compile(
    r"(?:can|could|would|will|should|shall) (?:we|i) (?:also |now |please |just )*(?:\w+ )?"
    r"(?:it|this|that|them|these|those|all)\b|(?:what|how) about\b",
    re.I,
)
_WHY: Final = re.compile(r"\bwhy\b|\bhow come\b|\bwhat(?:'s| is) (?:the (?:reason|cause|issue|problem)|wrong)\b", re.I)
_LABEL: Final = re.compile(
    r"(?:the )?(?:short answer|answer|reason|cause|root cause|explanation|in short|tl;?dr|verdict|bottom line)"
    r"(?: (?:is|here))?(?: that)?\s*(?::|,| [–—-] |(?<=is )|(?<=that ))\s*(?=\S)",
    re.I,
)
_EXPLAINS: Final = re.compile(r"(?:the )?(?:reason|cause|explanation)\b", re.I)  # what was said just before
_REASON: Final = re.compile(r"\b(?:because|due to|caused by|the (?:reason|cause|culprit) (?:is|was))\b", re.I)
_VERDICT: Final = re.compile(r"(?:yes|no|yep|nope|not (?:yet|quite|really|any more|anymore|directly))\b", re.I)
_BACK: Final = re.compile(r"(?:that|this|it|they|these|those|he|she|which|there|here)(?:'s|'re)?\b", re.I)
_LEAD: Final = re.compile(r"^(?:and|so|but|now)\b,? (?=\w)", re.I)
_PLANS: Final = re.compile(r"(?:now |first |so )*(?:let me|let's|i'?ll|i will|i'?m going|i need|looking)\b", re.I)


@dataclass(frozen=True, slots=True)
class Answer:
    question: str
    text: str
    event: int  # where the answer stands, counted from 1


def answers(work: Work) -> list[Answer]:
    """The questions of this work's prompts that its turns answer, in order; the last one of each prompt."""
    found = []
    for turn in turns_of(work.steps):
        question = _question(turn[0])
        if question and (answer := _answer(question, turn)):
            found.append(answer)
    return found


def _question(step: Step) -> str:
    """What a prompt wants to know: its last question; empty where there is none."""
    if step.prompt is None:
        return ""
    typed = "\n".join(line for line in said(step.prompt).splitlines() if not is_log(line))
    for sentence in reversed(prose.sentences(typed)):
        text = re.sub(r"^[\W_]+", "", without_greeting(sentence.text))
        is_question = text.endswith("?") and len(text.split()) > SHORTEST and len(text) <= QUESTION
        if is_question and _ASKS_TO_KNOW.match(text) and not _REQUEST.match(text):
            return text
    return ""


def _answer(question: str, turn: Sequence[Step]) -> Answer | None:
    spoken = [step for step in reversed(turn) if step.text.strip()]
    for tell in (_labelled, _reason if _WHY.search(question) else _yes_or_no, _about):
        for step in spoken if tell is not _about else spoken[:1]:
            if text := tell(question, step):
                text = prose.sentence_case(_LEAD.sub("", text))
                return Answer(question, prose.ended(prose.clipped(text, ANSWER)), step.answer)
    return None


def _labelled(question: str, step: Step) -> str:
    """ "Short answer: …", "The reason: …"."""
    before = ""
    for sentence in step.sentences:
        label = _LABEL.match(sentence.text)
        if label and _is_whole(text := sentence.text[label.end() :]):
            explains = _EXPLAINS.match(label[0]) and before and _is_whole(before)
            return f"{before} {sentence.text}" if explains else text
        before = sentence.text
    return ""


def _reason(question: str, step: Step) -> str:
    for sentence in step.sentences:
        if _REASON.search(sentence.text) and _is_whole(sentence.text) and _shares(question, sentence.text, 1):
            return sentence.text
    return ""


def _yes_or_no(question: str, step: Step) -> str:
    for sentence in step.sentences[:4]:
        if _VERDICT.match(sentence.text) and _is_whole(sentence.text):
            return sentence.text
    return ""


def _about(question: str, step: Step) -> str:
    """The first sentence that speaks of what was asked."""
    for sentence in step.sentences[:8]:
        if _is_whole(sentence.text) and not sentence.is_item and _shares(question, sentence.text, SHARED):
            return sentence.text
    return ""


def _is_whole(text: str) -> bool:
    return (
        SHORTEST <= len(text.split()) <= LONGEST
        and text[-1] in ".!)"
        and not (text.endswith("?") or _BACK.match(text) or _PLANS.match(text))
    )


def _shares(question: str, text: str, count: int) -> bool:
    return len(set(words(question)) & set(words(text))) >= count
