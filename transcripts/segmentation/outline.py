"""What a segment of a session is: the shape that storage, pages and commands share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from transcripts.events import Usage, Verb

from .steps import Phase

HORIZON: Final = 40  # steps after a segment's end from which on nothing that comes may change it


class Status(StrEnum):
    IN_PROGRESS = "in_progress"  # the log ends in the middle of a turn
    DONE = "done"
    PARTIAL = "partial"  # it ended with a failing check, an error, or an interruption after changes
    ABANDONED = "abandoned"  # interrupted before anything came of it


class Source(StrEnum):
    """Where a sentence comes from. There is no fifth way."""

    QUOTE = "quote"  # whole sentences as they stand in the event
    FACT = "fact"  # counted from events, in a sentence of templates.py
    MODEL = "model"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, the number of the event that it was read from, and what kind of sentence it is.

    ``reason``: of a quote, why it stands here; of a fact, its template. Lines of a model have neither.
    """

    text: str
    event: int
    source: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FileWork:
    path: str  # as the log has it
    verb: Verb  # the strongest: written or edited before read
    times: int


@dataclass(frozen=True, slots=True)
class CommitMade:
    sha: str  # as git printed it; empty where it did not, or where a rebase has made it void
    subject: str
    event: int
    is_amended: bool = False  # after it had been made here
    replaces: bool = False  # the last one of an earlier segment, in whose place it came: it counts here


@dataclass(slots=True)
class Segment:
    """Events ``first`` to ``last``, both counted from 1, and what happened in them."""

    key: str  # of the first event: the segment's identity when the log grows
    first: int
    last: int
    first_line: int
    last_line: int
    settled: bool = False  # so far from the end that its borders and words stay as they are
    title: str = ""
    status: Status = Status.DONE
    summary: str = ""  # a paragraph for each kind of sentence
    outcome: Line | None = None
    sentences: dict[str, list[Line]] = field(default_factory=dict)  # of title, summary and outcome, one by one
    next_steps: list[Line] = field(default_factory=list)
    key_decisions: list[Line] = field(default_factory=list)
    open_questions: list[Line] = field(default_factory=list)
    started_at: int | None = None  # milliseconds since 1970
    ended_at: int | None = None
    phase: Phase = Phase.OTHER
    files: list[FileWork] = field(default_factory=list)
    commits: list[CommitMade] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    by_model: dict[str, list[int]] = field(default_factory=dict)  # name -> its part of the usage, where it is told
    changes: int = 0  # how much came of it: edits, and commits, which weigh more
    errors: int = 0
    prompts: int = 0

    @property
    def tokens(self) -> int:
        """All that the model wrote and all that it read and was not in the cache."""
        return self.usage.input + self.usage.cache_written + self.usage.output


def distinct_commits(commits: Iterable[CommitMade]) -> list[CommitMade]:
    """The commits of a session, each once, where it ended: one that was amended counts where that was done last.

    ``commits``: of all its segments, in order.
    """
    known = set[str]()
    found: list[CommitMade] = []
    for commit in commits:
        if commit.sha and commit.sha in known:
            continue
        if commit.replaces and found:
            found.pop()
        found.append(commit)
        known.add(commit.sha)
    return found
