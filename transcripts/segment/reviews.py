"""Comments on a pull request: who wrote those that were read, and whether they were answered. From `gh`'s answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from transcripts.events import Event

from . import prose
from .shell import bare_command
from .steps import Step

_REPLY: Final = re.compile(
    r"\bgh (?:pr (?:comment|review)|issue comment|api\b(?=.*(?:replies|comments))(?=.*\s(?:-f|-F|--field"
    r"|--raw-field|--input)\b))",
    re.S,
)
_MUTATION: Final = re.compile(
    r"\bgh api graphql\b.*\badd(?:Comment|PullRequestReview(?:Thread)?(?:Reply|Comment))\b", re.S
)
_READS: Final = re.compile(r"\bgh (?:api\b.*(?:comments|reviews|reviewThreads)|pr view\b.*(?:comments|reviews))", re.S)
_LOGIN: Final = re.compile(r'"(?:login|(?:last_)?author|user|reviewer)":\s*"([A-Za-z0-9][\w.-]*(?:\[bot\])?)"')
_COMMENT: Final = re.compile(
    r"(?:review )?(?:thread|comment|finding|remark|point|suggestion)s? #?\d[\d,&+ and]*"
    r"(?:\([^)]{1,60}\))?\s*(?::|[–—-] )",
    re.I,
)
NAMED: Final = 3
MOST: Final = 6  # comments that are told
LENGTH: Final = 220  # characters of one
COMMAND: Final = (
    4_000  # characters of a shell line that are read: a search for two words in order is slow in a long one
)
LONGEST: Final = 200_000  # of an answer


def reply_in(command: str) -> str:
    """What this shell line answered: "replied to the review comments", "commented on the issue"; else empty."""
    command = command[:COMMAND]
    if "gh " not in command:
        return ""
    bare = bare_command(command)
    if not _REPLY.search(bare) and not _MUTATION.search(command):
        return ""
    return "commented on the issue" if "issue comment" in bare else "replied to the review comments"


def writers_in(command: str, result: Event) -> list[str]:
    """Who wrote the comments that this shell line shows."""
    reads = "gh " in command and _READS.search(command[:COMMAND])
    return _LOGIN.findall(result.text[:LONGEST]) if reads else []


def objections(steps: Sequence[Step]) -> list[str]:
    """The comments of reviewers as the model took them up, one by one: "Thread 1 (Copilot): Only update …"."""
    for step in steps:
        found = [one.text for one in step.sentences if _COMMENT.match(one.text)]
        if len(found) > 1:
            more = [f"and {len(found) - MOST} more"] if len(found) > MOST else []
            return [prose.clipped(text, LENGTH) for text in found[:MOST]] + more
    return []


def with_names(reply: str, writers: Iterable[str], own: Iterable[str]) -> str:
    """ "replied to the review comments of Copilot"; those in ``own`` are the people for whom the agent wrote."""
    others = list(dict.fromkeys(name for name in writers if name not in set(own)))
    if not others or "review" not in reply:
        return reply
    names = others if len(others) <= NAMED else [*others[: NAMED - 1], f"{len(others) - NAMED + 1} others"]
    return f"{reply} of {', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else f"{reply} of {names[0]}"
