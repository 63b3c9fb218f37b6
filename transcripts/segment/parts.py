"""The parts of a piece of work, as the headings of the model's closing words name them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from . import prose
from .steps import Step

FEWEST, MOST = 2, 5  # parts that are told
LENGTH: Final = 90  # characters of one
_NUMBERED: Final = re.compile(
    r"(?:(?:bug|fix|issue|problem|comment|finding|thread|change|root cause|task) ?#?\d|#\d"
    r"|follow-?(?:on|up) (?:fix|change|bug)\b)",
    re.I,
)
_WHERE: Final = re.compile(r"\s+(?:[–—-]\s+)?[(]?[\w./-]+\.\w{1,4}(?::[\d-]+)?(?:\s*\([^)]*\))?[)]?$")


def parts(steps: Sequence[Step]) -> list[str]:
    """The heads ("Bug 1 (path mismatch) — `map.py`") in the last words of a turn that changed files; none where there
    are fewer than two.
    """
    changed = False
    last: list[str] = []
    for step in steps:
        changed = bool(step.changed) or (changed and step.prompt is None)
        heads = [sentence.text for sentence in step.statements if sentence.heading] if changed else []
        found = {name_of(head): head for head in reversed(heads) if is_part(head)}
        if len(found) >= FEWEST:
            last = list(found.values())[::-1]
    return last


def is_part(head: str) -> bool:
    return bool(_NUMBERED.match(head))


def name_of(head: str) -> str:
    """Without the file at its end."""
    return prose.clipped(_WHERE.sub("", head).rstrip(" –—-:"), LENGTH)


def listed(heads: Sequence[str], deeds: Mapping[str, Sequence[str]]) -> str:
    """The parts: as a list in Markdown with what was done in each, if that is told of most; else in one sentence."""
    shown, more = heads[:MOST], len(heads) - MOST
    if sum(bool(deeds.get(head)) for head in shown) * 2 <= len(shown):
        names = [name_of(head) for head in shown]
        return prose.ended(f"In parts: {'; '.join(names)}{f'; and {more} more' if more > 0 else ''}")
    lines = [
        f"- {name_of(head)}: {' '.join(deeds[head])}" if deeds.get(head) else f"- {name_of(head)}" for head in shown
    ]
    return "\n".join([*lines, f"- and {more} more"] if more > 0 else lines)
