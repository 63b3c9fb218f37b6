"""What the model reports to have done: sentences of its answers, told apart from plans, questions and chat."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from . import prose
from .lexical import words
from .steps import Step
from .verbs import is_past
from .work import Work

SHORTEST, LONGEST = 4, 45  # words of a sentence that reports something

_CHAT: Final = re.compile(
    r"^(?:(?:all )?done|great(?: (?:question|catch|point|news))?|perfect|excellent|good(?: (?:catch|point|question|news|call|idea))?|all green|yes|yeah|no|right|ok(?:ay)?|understood|exactly|sure|thanks"
    r"|you'?re (?:absolutely )?right|confirmed|fair (?:point|question|enough)|interesting|hmm|ah|oh|so|now|also|and|but|got it|makes sense|summary|result|outcome|fix(?:ed)?|note)(?:[.!:]+\s+|\s*[,—–]+\s*| - )",
    re.I,
)
_PLANS: Final = re.compile(
    r"^(?:(?:now|next|first|then|so|ok(?:ay)?|and)[, ]+)*(?:let me|let'?s|let us|i'?ll|i will|i'?m (?:going|about|now)|i (?:need|want|should|can|could|would|think|see|notice|understand|believe|suspect)|going to|we (?:should|could|can|need|will|might)|"
    r"now\b.{0,30}\bto\b|want(?: me)?|would you|shall|should (?:i|we)|do you|if you|let me know|feel free|you(?:'ll|'d| can| could| may| might| should| need| have)|please|here(?:'s| is| are)|looking at|i'?m)\b",
    re.I,
)
_FIRST_PERSON: Final = re.compile(r"^(?:(?:i|we)(?:'ve| have| had)?|(?:i|we))(?: (?:now|also|just|successfully|already|then))* (?=\w+)", re.I)
_STATE: Final = re.compile(
    r"\b(?:(?:is|are|was|were|been) (?:now |also |all |already |successfully )*(?:\w{2,}ed|done|fixed|gone|green|clean|complete|ready|live|built|written|merged|sent|up to date|in place|in sync|unblocked)"
    r"|now \w+s|no longer|pass(?:es|ed)?|succeeded|works|failed|works now|turned out|root cause|the (?:issue|problem|bug|cause|reason|fix|answer) (?:is|was))\b",
    re.I,
)
_GOES_ON: Final = re.compile(r"\b(?:i'm|let me|i'll|i will|want me|would you)\b", re.I)
_ROUTINE: Final = re.compile(r"\b(?:tests?|lint|checks|build|suite)\b.{0,40}\bpass|working tree|no conflicts|all (?:good|green|clean)", re.I)
_PRESENT_PASS: Final = (
    (re.compile(r"\b(tests|checks|suites|packages|builds|linters|jobs)(( now)? all)? pass\b", re.I), r"\1\2 passed"),
    (re.compile(r"\b((?:lint|build|suite|linting|test|ci|check|it|everything)\b(?: now)?) passes\b", re.I), r"\1 passed"),
    (re.compile(r"\b(is|are) (now )?(committed|pushed|merged|fixed|done|resolved|addressed|updated|complete|created|implemented|removed|opened)\b", re.I), None),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    text: str
    event: int  # counted from 1
    weight: float
    order: int
    closing: bool


def reports(work: Work) -> list[Report]:
    """Every sentence that reports something done or found, with how well it stands for the segment."""
    spoken = [step for step in work.steps if step.text.strip()]
    topic = _topic(work.steps)
    found: list[Report] = []
    for place, step in enumerate(reversed(spoken)):
        closing = place == 0 or (place == 1 and not found)
        for index, sentence in enumerate(prose.sentences(step.text)[:40]):
            if text := as_report(sentence.text):
                weight = (3.0 if closing else 1.0 / (1 + 0.2 * place)) + _weight(text, sentence, index, topic)
                found.append(Report(text, step.answer, weight, -1000 * place + index, closing))
    return sorted(found, key=lambda report: report.order)


def as_report(text: str) -> str:
    """The sentence in the past and without "I" and chat before it; empty if it reports nothing."""
    while (shorter := _CHAT.sub("", text, count=1)) != text:
        text = shorter
    if not SHORTEST <= len(text.split()) <= LONGEST or text.endswith("?") or _PLANS.match(text):
        return ""
    said = _FIRST_PERSON.sub("", text, count=1)
    is_deed = is_past(said.split(" ", 1)[0]) or said.lower().startswith("successfully ")
    if said != text and not is_deed:
        return ""
    if (not is_deed and not _STATE.search(said)) or _GOES_ON.search(said):
        return ""
    if not is_deed and not (said[0].isupper() or said[0].isdigit() or said[0] in "\"'“(/._-"):
        return ""
    return prose.ended(prose.sentence_case(in_past(said)))


def in_past(text: str) -> str:
    for pattern, instead in _PRESENT_PASS:
        if instead is not None:
            text = pattern.sub(instead, text)
        else:
            text = pattern.sub(lambda m: f"{'was' if m[1].lower() == 'is' else 'were'} {m[3]}", text)
    return text


def closing_statement(work: Work) -> tuple[str, int] | None:
    """The first whole statement of the last answer that has one, where nothing was reported: mostly an answer."""
    for step in reversed(work.steps):
        for sentence in prose.sentences(step.text)[:8]:
            text = sentence.text
            while (shorter := _CHAT.sub("", text, count=1)) != text:
                text = shorter
            if sentence.is_item or text.endswith("?") or _PLANS.match(text):
                continue
            if SHORTEST <= len(text.split()) <= LONGEST and text[0].isupper() and text[-1] in ".!":
                return text, step.answer
    return None


def _topic(steps: Sequence[Step]) -> set[str]:
    said = " ".join(step.prompt.text[:1500] for step in steps if step.prompt)
    names = " ".join(path.rsplit("/", 1)[-1] for step in steps for path in step.changed)
    return set(words(f"{said} {names}"))


def _weight(text: str, sentence: prose.Sentence, index: int, topic: set[str]) -> float:
    length = len(text.split())
    own = words(text)
    shared = len(topic.intersection(own)) / (4 + len(set(own)))
    return 2.0 * shared + (1.2 if is_past(text.split(" ", 1)[0]) else 0.0) - (1.0 if _ROUTINE.search(text) and length < 14 else 0.0) - 0.05 * index - 0.2 * sentence.is_item - 0.03 * max(0, length - 25) - 0.1 * max(0, 8 - length)


def chosen(found: Sequence[Report], count: int, room: int) -> Iterator[Report]:
    """The best ``count`` reports that fit into ``room`` characters and do not repeat each other, in their order."""
    taken: list[Report] = []
    used = 0
    for report in sorted(found, key=lambda r: -r.weight):
        own = set(words(report.text))
        repeats = any(len(own & set(words(t.text))) > 0.6 * max(1, min(len(own), len(set(words(t.text))))) for t in taken)
        if len(taken) < count and used + len(report.text) <= room and not repeats:
            taken.append(report)
            used += len(report.text) + 1
    yield from sorted(taken, key=lambda report: report.order)
