"""What was done or announced, as titles: subjects of commits, and the model's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from . import prose
from .lexical import words
from .outline import FEWEST
from .turns import talk_of, turns_of
from .verbs import NO_DEEDS, PASSIVE, POINTING, PRONOUNS, READING, base_of, is_order, is_past
from .work import Work

_PREFIX: Final = re.compile(r"^(?:fixup!|squash!|(?P<type>[a-z]+)(?:\([^)]*\))?!?:)\s*", re.I)
_TYPES: Final = {
    "fix": "Fix",
    "feat": "Add",
    "docs": "Document",
    "refactor": "Refactor",
    "test": "Test",
    "perf": "Speed up",
}
_EMPTY_SUBJECT: Final = re.compile(
    r"^(?:(?:wip|init(?:ial)?(?: commit)?|tmp|temp|updates?|changes|checkpoint|empty commit|save)\W*$|wip\b"
    r"|merge (?:branch|remote|pull|commit|origin)|merge\b.*\binto\b)",
    re.I,
)
_INTENT: Final = re.compile(
    r"^(?:now |next,? |first,? |ok(?:ay)?,? )*(?:let me|i'?ll|i will|i'm going to|let's|i need to)(?: now| also"
    r"| first| then| next)? (?P<what>.+)",
    re.I,
)
_OWN_WORDS: Final = re.compile(
    r"^(?:(?:done|great|good|perfect|all done|ok(?:ay)?)[.!,:—–-]*\s+)*(?:now )?(?:(?:i|we)(?:'ve| have)?(?: now"
    r"| also| just| successfully)? |successfully )?(?P<what>[A-Za-z-]+ .+)",
    re.I,
)
_LOOKING: Final = frozenset(
    {"verify", "examine", "analyze", "analyse", "inspect", "understand", "search", "pull", "confirm", "trace"}
)
CONTENT: Final = 2  # words with a meaning of their own in what was announced
_FIX_IS: Final = re.compile(
    r"\bthe fix (?:here )?is (?:to |(?:\w+ )?(?:simple|easy|small|clear)\W+(?:to )?)(?P<what>[a-z-]+ .+)", re.I
)
_OWN: Final = re.compile(r"^(?:\w+[.!,:—–-]*\s+){0,2}(?:i|we)(?:'ve)?\b", re.I)
_AND_PAST: Final = re.compile(r"((?:,|,? and) )(\w+ed)\b")


def subjects(work: Work) -> Iterator[str]:
    """Subjects of commits that say something, the one with the most parts first."""
    found = []
    for commit in work.commits:
        match = _PREFIX.match(commit.subject)
        subject = commit.subject[match.end() :] if match else commit.subject
        subject = re.sub(r"\s*\(#\d+\)$", "", subject)
        parts = subject.split()
        if len(parts) < FEWEST or _EMPTY_SUBJECT.match(subject):
            continue
        lead = _TYPES.get((match["type"] or "").lower(), "") if match else ""
        if parts[0].endswith(":") and is_order(parts[1]):  # "parser: Keep comments"
            parts = parts[1:]
            subject = " ".join(parts)
        if parts[0].endswith("ly") and is_order(parts[1]):
            parts = parts[1:]
            subject = " ".join(parts)
        if base_of(parts[0]):
            first = base_of(parts[0]) if is_past(parts[0]) or parts[0].endswith("s") else parts[0]
            subject = f"{first} {' '.join(parts[1:])}"
        elif lead:
            subject = f"{lead} {prose.decapitalised(subject)}"
        found.append(subject)
    yield from sorted(
        found, key=lambda subject: (not is_order(subject.split(" ", 1)[0]), -min(8, len(subject.split())))
    )


def deeds(work: Work) -> Iterator[str]:
    """What the model says it did, latest words first: "Added tests for …"."""
    talk = talk_of(turns_of(work.steps))
    for step in reversed(work.steps):
        for sentence in step.sentences[:12]:
            of_others = step.answer in talk or sentence.text[:1].islower()
            if sentence.heading or (of_others and not _OWN.match(sentence.text)):
                continue
            match = _OWN_WORDS.match(sentence.text)
            if not match or not FEWEST <= len(match["what"].split()) <= 30:
                continue
            first = match["what"].split(" ", 1)[0]
            if PASSIVE.match(match["what"]) or "n't" in match["what"]:
                continue
            if (
                is_past(first)
                and base_of(first) not in NO_DEEDS
                and not POINTING.match(match["what"].partition(" ")[2])
            ):
                yield _AND_PAST.sub(lambda m: f"{m[1]}{base_of(m[2])}" if is_past(m[2]) else m[0], match["what"])


def intent_of(text: str) -> str:
    """What a sentence announces ("Let me fix the lexer" → "fix the lexer"), if it names a change; else empty."""
    match = _INTENT.match(text)
    if match is None or match["what"].split(" ", 1)[0].lower() in READING | NO_DEEDS:
        return ""
    return match["what"] if is_order(match["what"].split(" ", 1)[0]) and not PRONOUNS.search(match["what"][:18]) else ""


def intents(work: Work) -> Iterator[str]:
    for step in work.steps:
        for sentence in step.statements[:3]:
            aim = intent_of(sentence.text.rstrip(":"))
            if aim and aim.split(" ", 1)[0].lower() not in _LOOKING and len(words(aim)) >= CONTENT:
                yield aim


def fixes(work: Work) -> Iterator[str]:
    """ "The fix is to close the file first" names a piece of work better than what was typed in despair."""
    for step in reversed(work.steps):
        for sentence in step.statements[:12]:
            match = _FIX_IS.search(sentence.text.rstrip(":"))
            if match and is_order(match["what"].split(" ", 1)[0]):
                yield match["what"]
