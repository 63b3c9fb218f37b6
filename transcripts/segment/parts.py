"""The parts of a piece of work, as the headings of the model's closing words name them."""

from __future__ import annotations

import re
from collections.abc import Sequence
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


def parts(steps: Sequence[Step]) -> str:
    """ "Bug 1 (path mismatch); Bug 2 (…)", of the last words of a turn that changed files; empty without such heads."""
    changed = False
    last = ""
    for step in steps:
        changed = bool(step.changed) or (changed and step.prompt is None)
        heads = [sentence.text for sentence in step.statements if sentence.heading] if changed else []
        named = list(dict.fromkeys(_named(head) for head in heads if is_part(head)))
        if len(named) >= FEWEST:
            last = "; ".join(named[:MOST]) + (f"; and {len(named) - MOST} more" if len(named) > MOST else "")
    return last


def is_part(head: str) -> bool:
    return bool(_NUMBERED.match(head))


def _named(head: str) -> str:
    """Without the file at its end."""
    return prose.clipped(_WHERE.sub("", head).rstrip(" –—-:"), LENGTH)
