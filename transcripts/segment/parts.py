"""The parts of a piece of work, as the headings of the model's closing words name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from . import prose
from .steps import Step

FEWEST, MOST = 2, 5  # parts that are told
LENGTH: Final = 90  # characters of the name of one
FEWEST_WORDS, MOST_WORDS = 5, 40  # of the sentence before what was done
_NUMBERED: Final = re.compile(
    r"(?:(?:bug|fix|issue|problem|comment|finding|thread|change|root cause|task) ?#?\d|#\d"
    r"|follow-?(?:on|up) (?:fix|change|bug)\b)",
    re.I,
)
_WHERE: Final = re.compile(r"\s+(?:[–—-]\s+)?[(]?[\w./-]+\.\w{1,4}(?::[\d-]+)?(?:\s*\([^)]*\))?[)]?$")


@dataclass(frozen=True, slots=True)
class Part:
    head: str  # "Bug 1 (path mismatch) — `map.py`"
    before: str  # the first sentence below it, which mostly says what was wrong; empty where that is none

    @property
    def name(self) -> str:
        """Without the file at its end."""
        return prose.clipped(_WHERE.sub("", self.head).rstrip(" –—-:"), LENGTH)


def parts(steps: Sequence[Step]) -> list[Part]:
    """Those of the last words of a turn that changed files; none where there are fewer than two."""
    changed = False
    last: list[Part] = []
    for step in steps:
        changed = bool(step.changed) or (changed and step.prompt is None)
        found: dict[str, Part] = {}
        for head in [one.text for one in step.statements if one.heading and is_part(one.text)] if changed else []:
            part = Part(head, _before(head, step))
            found.setdefault(part.name, part)
        if len(found) >= FEWEST:
            last = list(found.values())
    return last


def _before(head: str, step: Step) -> str:
    first = next((one for one in step.statements if one.section == head and not one.heading), None)
    is_whole = first and not first.is_item and FEWEST_WORDS <= len(first.text.split()) <= MOST_WORDS
    return first.text if first and is_whole and first.text.endswith(".") else ""


def is_part(head: str) -> bool:
    return bool(_NUMBERED.match(head))


def listed(found: Sequence[Part], deeds: Mapping[str, Sequence[str]]) -> str:
    """The parts: as a list in Markdown with what was done in each, if that is told of most; else in one sentence."""
    shown, more = found[:MOST], len(found) - MOST
    if sum(bool(deeds.get(part.head)) for part in shown) * 2 <= len(shown):
        return prose.ended(
            f"In parts: {'; '.join(part.name for part in shown)}{f'; and {more} more' if more > 0 else ''}"
        )
    lines = [f"- {part.name}: {' '.join(deeds.get(part.head, ()))}".rstrip(": ") for part in shown]
    return "\n".join([*lines, f"- and {more} more"] if more > 0 else lines)
