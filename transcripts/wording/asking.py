"""Asking the model about a session: in one question, or in parts when it is long; each answer is read and may be
repaired once.

A part ends at a step. The segment that is open where it ends is carried into the next one in the model's own words, and
may go on there; so are the titles so far.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from core import llm
from core.llm import LlmError, Spent, Why
from transcripts.events import Facts
from transcripts.segmentation import Segment

from . import prompt
from .digest import Entry, tokens_in
from .grid import Grid
from .reading import SCHEMA, Asked, Words, read

PART_TOKENS: Final = 24_000  # by our estimate; a digest that is larger is asked about in parts
LEAST_TOKENS: Final = 1_500  # a part is not made smaller when an answer was cut off, or did not fit
HALVINGS: Final = 2
MAX_TOKENS: Final = 12_000  # of an answer: forty segments of 300 tokens, or fewer and a model that thinks first
MAX_CHARACTERS: Final = 100_000  # of an answer; more is no answer to this question
SECONDS: Final = 180.0  # for one question and its answer
DENSEST: Final = 12  # events that a segment has at least, taken over a whole part


class Unusable(Exception):
    """Answered, but not with what can be used, not even after the repair. The text is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the wording has come, for whoever waits: events that are worded, of how many, characters just now."""

    done: int
    total: int
    characters: int


class Asking:
    """One run over a session. ``spent``, ``calls`` and ``model`` tell what it took, also when it fails half-way."""

    def __init__(
        self,
        grid: Grid,
        facts: Facts,
        drafts: Sequence[Segment],
        entries: Sequence[Entry],
        goes_on: Callable[[Progress], bool],
    ) -> None:
        self.grid = grid
        self.facts = facts
        self.drafts = drafts
        self.entries = entries
        self.goes_on = goes_on
        self.spent: list[Spent] = []
        self.calls = 0
        self.model = ""

    def words(self) -> list[Words]:
        """For all open events. Raises LlmError, Unusable, llm.Cancelled."""
        end = self.grid.stretches[-1].last
        at: int | None = self.grid.stretches[0].first
        found: list[Words] = []
        open_: Words | None = None
        limit, halvings = PART_TOKENS, 0
        while at is not None:
            last = self._end_of_part(at, limit)
            part = self._part(at, last, found, open_)
            try:
                words = self._ask(part)
            except LlmError as error:
                size = sum(tokens_in(f"{entry}\n") for entry in part.entries)
                if error.why not in (Why.CUT_OFF, Why.TOO_LONG) or halvings == HALVINGS or size < LEAST_TOKENS:
                    raise
                limit, halvings = size // 2, halvings + 1
                continue
            if open_ and words[0].first != open_.first:
                found.append(open_)
            open_ = None
            if last < end and self._is_open(last + 1):
                open_ = words.pop()
            found += words
            at = self._next_open(last)
        return found

    def _ask(self, part: prompt.Part) -> list[Words]:
        messages = prompt.messages_for(part, self.facts)
        asked = self._asked(part, "\n".join(message["content"] for message in messages[1:]))
        answer = self._call(messages, part)
        first = read(answer.text, asked)
        if not first.faults:
            return first.words
        try:
            answer = self._call(prompt.repair(messages, answer.text, first.faults), part)
        except LlmError:
            if first.words:  # only too long, and cut
                return first.words
            raise
        second = read(answer.text, asked)
        words = second.words or first.words
        if not words:
            raise Unusable(f"The model's answer could not be used: {second.faults[0]}")
        return words

    def _call(self, messages: Sequence[llm.Message], part: prompt.Part) -> llm.Answer:
        done, total = self._counted(part.first - 1), self._counted(len(self.grid.events))
        self.calls += 1
        try:
            answer = llm.ask(
                messages,
                max_tokens=MAX_TOKENS,
                goes_on=lambda characters: self.goes_on(Progress(done, total, characters)),
                schema=SCHEMA,
                max_characters=MAX_CHARACTERS,
                seconds=SECONDS,
                retries=0,  # the SDK would wait as long as the service asks for; the task comes again later
            )
        except LlmError as error:
            self.spent.append(error.spent)
            raise
        self.spent.append(answer.spent)
        self.model = answer.model
        return answer

    def _asked(self, part: prompt.Part, sent: str) -> Asked:
        starts = sum(part.first <= start <= part.last for start in self.grid.starts)
        opened = sum(s.last >= part.first and s.first <= part.last for s in self.grid.stretches)
        drafts, events = len(part.drafts), part.last - part.first + 1
        return Asked(
            grid=self.grid,
            first=part.first,
            last=part.last,
            goes_on=part.goes_on.first if part.goes_on else 0,
            most=min(starts, max(4, 3 * drafts, events // DENSEST) + opened) + bool(part.goes_on),
            least=opened,
            sent=sent,
        )

    def _part(self, first: int, last: int, found: Sequence[Words], open_: Words | None) -> prompt.Part:
        fixed = {id(one) for one in self.grid.fixed}
        return prompt.Part(
            first=first,
            last=last,
            entries=[entry for entry in self.entries if first <= entry.first <= last],
            drafts=[one for one in self.drafts if first <= one.first <= last and id(one) not in fixed],
            fixed=[one for one in self.grid.fixed if one.first <= last],
            titles=[words.title for words in found],
            goes_on=open_,
            is_end=last == len(self.grid.events),
        )

    def _end_of_part(self, first: int, limit: int) -> int:
        """The last event of the part that begins at ``first``: as much as fits, but one step at least.

        A border of the draft in its last third is a better place than the last step that fits.
        """
        size, last = 0, self.grid.stretches[-1].last
        for entry in self.entries:
            if entry.first < first:
                continue
            size += tokens_in(f"{entry}\n")
            if size > limit:
                break
        else:
            return last
        starts = self.grid.starts
        begun = starts[bisect_right(starts, entry.first) - 1]
        following = begun if begun > first else next((start for start in starts if start > first), last + 1)
        good = [one.first for one in self.drafts if first + 2 * (following - first) / 3 < one.first <= following]
        cut = max((n for n in good if n in starts), default=following)
        return max(s.last if s.last < cut else cut - 1 for s in self.grid.stretches if s.first < cut)

    def _is_open(self, event: int) -> bool:
        return any(stretch.first <= event <= stretch.last for stretch in self.grid.stretches)

    def _next_open(self, last: int) -> int | None:
        if self._is_open(last + 1):
            return last + 1
        return next((stretch.first for stretch in self.grid.stretches if stretch.first > last), None)

    def _counted(self, last: int) -> int:
        """Open events up to ``last``."""
        return sum(max(0, min(last, s.last) - s.first + 1) for s in self.grid.stretches)
