"""Lifecycle: states, and what may follow what, as a table.

Each kind of thing has one table of its own, beside its move: lock -> check -> save -> trace -> announce on commit.
Nothing else assigns a state.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from core.errors import Conflict, Invalid


@dataclass(frozen=True)
class Table:
    """Legal moves of one kind of thing: ``moves[state]`` are the states that may follow it."""

    noun: str
    moves: Mapping[str, frozenset[str]]
    by_itself: frozenset[str] = frozenset()  # states that follow from something else: nobody is told to choose them

    @property
    def states(self) -> frozenset[str]:
        return frozenset(self.moves)

    def may(self, old: str, new: str) -> bool:
        return new in self.moves[old]

    def sources(self, new: str) -> list[str]:
        """The states from which ``new`` is legal: what a conditional UPDATE filters on."""
        return sorted(state for state, targets in self.moves.items() if new in targets)

    def check(self, name: str, old: str, new: str, possible: Collection[str] | None = None) -> None:
        """Refuse an unknown state or an illegal move, naming what is ``possible`` (default: what would be legal)."""
        if possible is None:
            possible = self.moves[old] - self.by_itself
        legal = _or(words(state) for state in sorted(possible))
        rest = f"from here it may become {legal}" if legal else "that is its end"
        if new not in self.moves:
            raise Invalid(f"'{new}' is no {self.noun} status; {name} is {words(old)}, {rest}.")
        if not self.may(old, new):
            raise Conflict(f"{name} is {words(old)} and cannot become {words(new)}; {rest}.")


def table(noun: str, moves: Mapping[str, Iterable[str]], by_itself: Iterable[str] = ()) -> Table:
    return Table(noun, {state: frozenset(targets) for state, targets in moves.items()}, frozenset(by_itself))


def _or(choices: Iterable[str]) -> str:
    *others, last = list(choices) or [""]
    return f"{', '.join(others)} or {last}" if others else last


def words(state: str) -> str:
    """A state as people read it: ``in_progress`` -> ``in progress``."""
    return state.replace("_", " ")
