"""What holds a brief back, as values. Derived from the rows each time that it is asked for: never stored."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BlockerCode(StrEnum):
    """Why a brief is not dispatched."""

    DEPENDENCY = "dependency"  # another brief has not ended yet
    MISSING_WORK = "missing_work"  # another brief has ended without its work, and nobody said to go on without it
    QUESTION = "question"  # a blocking question has no answer
    APPROVAL = "approval"  # an agent captured it on its own


@dataclass(frozen=True)
class Blocker:
    """One reason. ``number`` is the other brief's, or the question's; ``status`` how a prerequisite ended."""

    code: BlockerCode
    number: int = 0
    title: str = ""
    status: str = ""

    @property
    def phrase(self) -> str:
        """What follows "it waits for"."""
        if self.code == BlockerCode.DEPENDENCY:
            return f"#{self.number} {self.title}"
        if self.code == BlockerCode.MISSING_WORK:
            return f"a decision about #{self.number} {self.title}, which is {self.status}: its work is not there"
        if self.code == BlockerCode.QUESTION:
            return f"an answer to question {self.number}"
        return "an operator's approval"
