"""Is this brief there already? A search over the open briefs while somebody types.

Cheap by design: the words of the title, weighed by how rare they are among the candidates; no index beyond the
database's. When the search room is there, it may register a better one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from math import log
from typing import Final

from django.db.models import Q

from briefs.identity import Identity
from briefs.models import Project
from briefs.models.status import TERMINAL, Status
from briefs.services import recall

SHORTEST: Final = 8  # characters before a search makes sense
CANDIDATES: Final = 400
_WORD: Final = re.compile(r"[\w-]{3,}", re.UNICODE)
_COMMON: Final = frozenset(
    [
        "and",
        "are",
        "but",
        "can",
        "for",
        "from",
        "has",
        "have",
        "into",
        "its",
        "not",
        "one",
        "out",
        "should",
        "that",
        "the",
        "then",
        "this",
        "was",
        "were",
        "when",
        "will",
        "with",
        "you",
        "your",
        "add",
        "fix",
        "make",
        "new",
        "use",
    ]
)


@dataclass(frozen=True)
class Hit:
    """An open brief that may be the same: ``score`` from 0 to 1."""

    number: int
    title: str
    status: str
    score: float

    @property
    def status_words(self) -> str:
        return str(Status(self.status).label)


def search(identity: Identity, text: str, *, project: Project | None = None, limit: int = 5) -> list[Hit]:
    """The open briefs that a text may repeat, likeliest first; empty for a text that is too short."""
    line = next((part for part in text.strip().splitlines() if part.strip()), "")
    wanted = _words(line)
    if len(line.strip()) < SHORTEST or not wanted:
        return []
    longest = sorted(wanted, key=len, reverse=True)[:6]
    words = Q()
    for word in longest:
        words |= Q(title__icontains=_stem(word))
    rows = recall.visible(identity).filter(words).exclude(status__in=TERMINAL)
    if project is not None:
        rows = rows.filter(Q(project=project) | Q(project=None))  # a thought that nobody placed yet may be the same
    found = [
        (pk, title, state, _words(title)) for pk, title, state in rows.values_list("pk", "title", "status")[:CANDIDATES]
    ]
    return _ranked(found, wanted)[:limit]


def _ranked(found: list[tuple[int, str, str, set[str]]], wanted: set[str]) -> list[Hit]:
    seen = Counter(_stem(word) for *_, words in found for word in words)
    weigh = {stem: log(2 + len(found) / (1 + seen[stem])) for stem in {*map(_stem, wanted), *seen}}
    asked = {_stem(word) for word in wanted}
    hits = []
    for pk, title, state, words in found:
        theirs = {_stem(word) for word in words}
        shared = sum(weigh[stem] for stem in asked & theirs)
        score = shared / max(1e-9, sum(weigh[stem] for stem in asked | theirs))
        if score >= 0.2:
            hits.append(Hit(pk, title, state, round(score, 2)))
    return sorted(hits, key=lambda hit: (-hit.score, -hit.number))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)} - _COMMON


def _stem(word: str) -> str:
    """A rough stem: 'worktrees' and 'worktree' are one word."""
    for ending in ("ing", "es", "s", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
