"""How much the words change at each gap between two steps.

TextTiling (Hearst 1997) on words and file names, weighed by how rare they are in the session: the similarity of what
lies in a window before and after each gap, and how deep that similarity dips there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import log, sqrt
from typing import Final

from transcripts.paths import name_of

from .steps import Step

_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_HUMP: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")
TEXT: Final = 4000  # characters of a step that count; a pasted log says little more


def terms(step: Step) -> Counter[str]:
    """The step's words: what was said, and the files that it touched, each file twice as heavy as a word."""
    said = f"{step.prompt.text[:TEXT] if step.prompt else ''} {step.text[:TEXT]}"
    found = Counter(words(said))
    for path in step.read | step.aimed:
        name = name_of(path)
        found[f"/{name}"] += 2
        found.update(words(name))
    for call in step.calls:
        found.update(words(str(call.data.get("description", ""))))
    return found


def words(text: str) -> list[str]:
    """Lower-case words; ``camelCase`` and ``snake_case`` names by their parts, scripts without blanks by pairs."""
    found: list[str] = []
    for part in _WORD.findall(_HUMP.sub(" ", text)):
        if part[0] < "\u2e80":
            found += [part.lower()] if len(part) > 2 else []
        else:
            found += [part[at : at + 2] for at in range(len(part) - 1)]
    return found


def weighed(steps: Sequence[Step]) -> list[dict[str, float]]:
    """A vector for each step: 1 + log(count), times the log of how rare the word is among the steps."""
    counts = [terms(step) for step in steps]
    spread = Counter(word for count in counts for word in count)
    total = len(steps) + 1
    return [{w: (1 + log(n)) * log(total / (0.5 + spread[w])) for w, n in count.items()} for count in counts]


def similarities(vectors: Sequence[dict[str, float]], window: int) -> list[float]:
    """Cosine of the ``window`` steps before and after each gap; the gap i lies before the step i."""
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    for vector in vectors[:window]:
        _add(after, vector, 1)
    found = [1.0]
    for gap in range(1, len(vectors)):
        _add(before, vectors[gap - 1], 1)
        _add(after, vectors[gap - 1], -1)
        if gap - 1 - window >= 0:
            _add(before, vectors[gap - 1 - window], -1)
        if gap - 1 + window < len(vectors):
            _add(after, vectors[gap - 1 + window], 1)
        found.append(cosine(before, after))
    return found


def _add(total: dict[str, float], vector: dict[str, float], sign: int) -> None:
    for word, weight in vector.items():
        value = total.get(word, 0.0) + sign * weight
        if value > 1e-9:
            total[word] = value
        else:
            total.pop(word, None)


def cosine(left: dict[str, float], right: dict[str, float]) -> float:
    left, right = sorted((left, right), key=len)
    shared = sum(weight * right[word] for word, weight in left.items() if word in right)
    return shared and shared / sqrt(sum(w * w for w in left.values()) * sum(w * w for w in right.values()))


def depths(similarity: Sequence[float]) -> list[float]:
    """How far below its neighbouring peaks each similarity lies, 0 to 2."""
    found = [0.0] * len(similarity)
    for gap in range(1, len(similarity)):
        here = left = right = similarity[gap]
        at = gap - 1
        while at > 0 and similarity[at] >= left:
            left, at = similarity[at], at - 1
        at = gap + 1
        while at < len(similarity) and similarity[at] >= right:
            right, at = similarity[at], at + 1
        found[gap] = (left - here) + (right - here)
    return found
