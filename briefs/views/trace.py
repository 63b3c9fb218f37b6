"""The trace on the brief page: the newest fifty entries, the earlier ones on demand, one alone by its number.

``?kind=…&actor=…`` show what is asked for and nothing else; a page without them costs the same however long the trace
is: fifty rows by the index on (brief, seq), and the choices come from the participants, never from all entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from briefs import telling
from briefs.models import Brief, TraceEntry
from briefs.services import references
from briefs.views.door import Request, show
from core.errors import NotFound

ON_A_PAGE: Final = 50
RUN: Final = 3  # so many entries of one kind and actor without a body, one after another, are one line
MOST_IN_A_RUN: Final = 200  # that a page folds as they come; a longer one goes on in a new line
CLIPPED: Final = 700  # characters of a body that are shown as they are; longer ones are clipped
FETCHED: Final = 20_000  # longer ones come in part, and as a whole when they are asked for
ACTORS: Final = 100


@dataclass(frozen=True)
class Filter:
    """What of the trace is asked for."""

    kind: str = ""
    actor: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Filter:
        kind, actor = request.GET.get("kind", ""), request.GET.get("actor", "")
        return cls(kind if kind in TraceEntry.Kind.values else "", actor.replace("\x00", "")[:120])

    def __bool__(self) -> bool:
        return bool(self.kind or self.actor)

    @property
    def conditions(self) -> dict[str, str]:
        said = {"kind": self.kind, "actor_ref": self.actor}
        return {name: value for name, value in said.items() if value}

    @property
    def query(self) -> str:
        """As part of an address: ``kind=note&actor=system``, or empty."""
        return urlencode({name: value for name, value in (("kind", self.kind), ("actor", self.actor)) if value})


@dataclass(frozen=True)
class Run:
    """Entries that say the same thing of several things, newest first."""

    entries: list[TraceEntry]

    @property
    def newest(self) -> TraceEntry:
        return self.entries[0]

    @property
    def oldest(self) -> TraceEntry:
        return self.entries[-1]

    @property
    def title(self) -> str:
        return telling.many(self.entries)

    @property
    def preview(self) -> str:
        return telling.names(self.entries)[:160]


def fold(entries: list[TraceEntry]) -> list[TraceEntry | Run]:
    """Put runs of entries that say little by themselves together."""
    folded: list[TraceEntry | Run] = []
    for (_, _, body), same in groupby(entries, key=lambda entry: (entry.kind, entry.actor_ref, bool(entry.body))):
        run = list(same)
        folded += run if body or len(run) < RUN else [Run(run)]
    return folded


@require_safe
def trace(request: Request, number: int) -> HttpResponse:
    """``?before=SEQ``: the next page of earlier entries. ``?after=SEQ``: what a page without a socket has missed.
    ``?from=SEQ&to=SEQ``: these, newest first and folded, for a page on which a run came one by one; with
    ``&aside=1`` they are shown in spite of the page's filter, and say so."""
    found = request.identity.find_brief(number)
    first, last = _number(request, "from"), _number(request, "to")
    if first is not None and last is not None:
        context = {"brief": found, "aside": "aside" in request.GET, **_between(request, found, first, last)}
        return show(request, "briefs/_entries.html", context)
    after = _number(request, "after")
    if after is None:
        return show(request, "briefs/_entries.html", {"brief": found, **trace_context(request, found)})
    rows = TraceEntry.objects.filter(brief=found, seq__gt=after, **Filter.of(request).conditions)
    missed = list(rows.order_by("seq")[: ON_A_PAGE * 10])
    context = {"brief": found, "entries": missed, "names": _names(request, found, missed), "live": True}
    return show(request, "briefs/_entries.html", context)


@require_safe
def entry(request: Request, number: int, seq: int) -> HttpResponse:
    """One entry with all of its body, however long."""
    found = request.identity.find_brief(number)
    one = TraceEntry.objects.filter(brief=found, seq=seq).first() if seq < 10**12 else None
    if one is None:
        raise NotFound(f"The trace of brief #{number} has no entry {seq}.")
    template = "briefs/_entry.html" if request.htmx else "briefs/entry.html"
    names = references.resolve(request.identity, found, [one.body])
    around = {"earlier": seq - 1 or None, "later": seq + 1 if seq < found.trace_seq else None}
    return show(request, template, {"brief": found, "entry": one, "whole": True, "names": names, **around})


def _between(request: Request, found: Brief, first: int, last: int) -> dict[str, Any]:
    rows = TraceEntry.objects.filter(brief=found, seq__gte=first, seq__lte=last, **Filter.of(request).conditions)
    entries = list(rows.order_by("-seq")[:MOST_IN_A_RUN])
    return {"entries": fold(entries), "names": _names(request, found, entries)}


def trace_context(request: Request, found: Brief) -> dict[str, Any]:
    before, chosen = _number(request, "before"), Filter.of(request)
    rows = TraceEntry.objects.filter(brief=found, **chosen.conditions).order_by("-seq")
    if before is not None:
        rows = rows.filter(seq__lt=before)
    entries = list(rows[: ON_A_PAGE + 1])
    shown = entries[:ON_A_PAGE]
    return {
        "entries": fold(shown),
        "names": _names(request, found, shown),
        "before": before,
        "earlier": shown[-1].seq if len(entries) > ON_A_PAGE else None,
        "last_seq": found.trace_seq if chosen or before is not None or not shown else shown[0].seq,
        "chosen": chosen,
        "count": TraceEntry.objects.filter(brief=found, **chosen.conditions).count() if chosen else found.trace_seq,
    }


def choices(found: Brief) -> dict[str, Any]:
    """What the trace may be filtered by."""
    actors = list(found.participants.values_list("actor__ref", flat=True)[:ACTORS])
    return {"kinds": TraceEntry.Kind.choices, "actors": [*actors, "system"]}


def _names(request: Request, found: Brief, entries: Sequence[TraceEntry]) -> Any:
    return references.resolve(request.identity, found, [entry.body for entry in entries if len(entry.body) <= FETCHED])


def _number(request: Request, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None
