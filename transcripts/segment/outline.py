"""What a segment of a session is: the shape that storage, pages and commands share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from transcripts.events import Usage, Verb

from .steps import Phase


class Status(StrEnum):
    IN_PROGRESS = "in_progress"  # the log ends in the middle of a turn
    DONE = "done"
    PARTIAL = "partial"  # it ended with a failing check, an error, or an interruption after changes
    ABANDONED = "abandoned"  # interrupted before anything came of it


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence, and the number of the event that it was read from."""

    text: str
    event: int


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
    replaces: bool = False  # the last one of an earlier segment, in whose place it came: it counts there


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
    summary: str = ""
    outcome: Line | None = None
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
    """The commits of a session, each once, however often it was shown or amended. ``commits``: of all its segments."""
    known = set[str]()
    found: list[CommitMade] = []
    for commit in commits:
        if not (commit.sha and commit.sha in known) and not (commit.replaces and found):
            found.append(commit)
        known.add(commit.sha)
    return found


HORIZON: Final = 40  # steps after a segment's end from which on nothing that comes may change it
TITLE: Final = 80  # characters
FEWEST, MOST = 3, 12  # words of a title
OFFERED: Final = " (offered)"  # behind a next step that the model only offered
MOST_LINES: Final = 4  # of a kind in a segment: few and right rather than many
_WORDS: Final = re.compile(r"\w+")


def distinct(lines: Sequence[Line]) -> list[Line]:
    """The first few that do not say what another has said."""
    seen: list[set[str]] = []
    kept: list[Line] = []
    for line in lines:
        own = set(_WORDS.findall(line.text.lower())) or {line.text}
        if any(len(own & other) > 0.7 * min(len(own), len(other)) for other in seen):
            continue
        seen.append(own)
        kept.append(line)
    return kept[:MOST_LINES]
