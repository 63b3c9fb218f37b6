"""What was done or announced, as titles: subjects of commits, and the model's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from . import prose
from .outline import FEWEST
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
_AND_PAST: Final = re.compile(r"((?:,|,? and) )(\w+ed)\b")


def subjects(work: Work) -> Iterator[str]:
    """Subjects of commits that say something, the one with the most words first."""
    found = []
    for commit in work.commits:
        match = _PREFIX.match(commit.subject)
        subject = commit.subject[match.end() :] if match else commit.subject
        subject = re.sub(r"\s*\(#\d+\)$", "", subject)
        words = subject.split()
        if len(words) < FEWEST or _EMPTY_SUBJECT.match(subject):
            continue
        lead = _TYPES.get((match["type"] or "").lower(), "") if match else ""
        if words[0].endswith(":") and is_order(words[1]):  # "parser: Keep comments"
            words = words[1:]
            subject = " ".join(words)
        if words[0].endswith("ly") and is_order(words[1]):
            words = words[1:]
            subject = " ".join(words)
        if base_of(words[0]):
            first = base_of(words[0]) if is_past(words[0]) or words[0].endswith("s") else words[0]
            subject = f"{first} {' '.join(words[1:])}"
        elif lead:
            subject = f"{lead} {prose.decapitalised(subject)}"
        found.append(subject)
    yield from sorted(
        found, key=lambda subject: (not is_order(subject.split(" ", 1)[0]), -min(8, len(subject.split())))
    )


def deeds(work: Work) -> Iterator[str]:
    """What the model says it did, latest words first: "Added tests for …"."""
    for step in reversed(work.steps):
        for sentence in step.sentences[:12]:
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
        yield from filter(None, (intent_of(sentence.text.rstrip(":")) for sentence in step.statements[:3]))
