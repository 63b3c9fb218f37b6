"""What higher rooms add to the board and the brief page. They register here; this room never imports them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q

from briefs.identity import Identity
from briefs.models import Brief, Project
from briefs.views.door import Refused, Request


@dataclass(frozen=True)
class Now:
    """What matters now about a brief on the board: a state for the pill, a tag beside it, a line under the title."""

    state: str = ""
    label: str = ""
    tag: str = ""
    line: str = ""


@dataclass(frozen=True)
class Named:
    """A linked thing as people know it: its name and its page; ``gone`` when there is none any more."""

    title: str = ""
    address: str = ""
    gone: bool = False


Names = Callable[[Identity, list[str]], dict[str, Named]]
NamesIn = Callable[[Project, list[str]], dict[str, Named]]
Panel = Callable[[Request, Brief, Refused | None], dict[str, Any]]
Nows = Callable[[list[int]], dict[int, Now]]
Sieve = Callable[[], Q]
HandOff = Callable[[Brief, Identity, str], object]
_panels: dict[str, Panel] = {}
_nows: list[Nows] = []
_needs: list[Sieve] = []
_held: list[Sieve] = []
_agents: list[Callable[[], list[str]]] = []
_hand_offs: list[HandOff] = []
_names: dict[str, Names] = {}
_names_in: dict[str, NamesIn] = {}


def panel(name: str) -> Callable[[Panel], Panel]:
    """Register what the panel ``name`` of the brief page is rendered from: ``(request, brief, refused) -> context``."""

    def register(fill: Panel) -> Panel:
        _panels[name] = fill
        return fill

    return register


def on_board(tell: Nows) -> Nows:
    """Register ``(brief numbers) -> what matters now about each``; it must cost a fixed number of queries."""
    _nows.append(tell)
    return tell


def panels(request: Request, brief: Brief, refused: Refused | None) -> dict[str, Any]:
    return {name: fill(request, brief, refused) for name, fill in _panels.items()}


def nows(briefs: list[int]) -> dict[int, Now]:
    found: dict[int, Now] = {}
    for tell in _nows:
        found |= tell(briefs)
    return found


def names(kind: str) -> Callable[[Names], Names]:
    """Register who knows the names of linked things of a kind: ``(identity, targets) -> name and page of each``."""

    def register(tell: Names) -> Names:
        _names[kind] = tell
        return tell

    return register


def names_in(kind: str) -> Callable[[NamesIn], NamesIn]:
    """The same for what is looked for in the repository of the brief itself: ``(project, targets)``."""

    def register(tell: NamesIn) -> NamesIn:
        _names_in[kind] = tell
        return tell

    return register


def named(identity: Identity, kind: str, targets: list[str], project: Project | None = None) -> dict[str, Named]:
    if kind in _names_in:
        return _names_in[kind](project, targets) if project is not None and targets else {}
    return _names[kind](identity, targets) if kind in _names and targets else {}


def waiting(sieve: Sieve) -> Sieve:
    """Register ``() -> Q``: the briefs that cannot go on without a person, for the filter and the bar's count."""
    _needs.append(sieve)
    return sieve


def held(sieve: Sieve) -> Sieve:
    """Register ``() -> Q``: the briefs that somebody is at already, so that they cannot be handed off again."""
    _held.append(sieve)
    return sieve


def agents(tell: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Register the names of the programs that a brief can be handed to, the likeliest first."""
    _agents.append(tell)
    return tell


def hand_off(run: HandOff) -> HandOff:
    """Register ``(brief, identity, agent)``, which hands a brief to an agent or refuses. Empty agent: one claims it."""
    _hand_offs.append(run)
    return run


def waiting_for_a_person() -> Q:
    found = Q(pk__in=[])
    for sieve in _needs:
        found |= sieve()
    return found


def held_by_somebody() -> Q:
    found = Q(pk__in=[])
    for sieve in _held:
        found |= sieve()
    return found


def agent_names() -> list[str]:
    return [name for tell in _agents for name in tell()]


def hand_over(brief: Brief, identity: Identity, agent: str) -> None:
    for run in _hand_offs:
        run(brief, identity, agent)
