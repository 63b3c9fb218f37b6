"""What texts refer to: ``#12`` a brief, ``@operator:mike`` (or ``@mike``) an actor; only what the reader may see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db.models import Q
from django.urls import reverse

from briefs.identity import Identity
from briefs.models import Actor, Brief, Participant
from briefs.services import searching
from briefs.services.recall import visible
from core import markdown

OFFERED: Final = 8
_OPERATOR: Final = "operator:"


def resolve(identity: Identity | None, brief: Brief, texts: Iterable[str]) -> markdown.Names:
    """What the references in some texts of a brief's page lead to: one query for briefs, one for actors, at most.

    Without an identity everything is known: for what is rendered once for many readers, and cut for the limited ones.
    """
    numbers, names = markdown.references(texts)
    if not numbers and not names:
        return markdown.NOBODY
    rows = visible(identity) if identity else Brief.objects.all()
    titles = dict(rows.filter(pk__in=numbers).values_list("pk", "title")) if numbers else {}
    page = reverse("brief", args=[brief.pk])
    actors = {name: (f"{page}?actor={ref}#trace-panel", ref) for name, ref in _actors(names).items()}
    return markdown.Names(titles, actors)


def mentioned(text: str) -> list[str]:
    """The refs of the actors whom a text mentions, in no order that matters: kept on the trace with the text."""
    return sorted(set(_actors(markdown.references([text])[1]).values()))


def _actors(names: Iterable[str]) -> dict[str, str]:
    """The ref of each name that is an actor's; ``mike`` is ``operator:mike`` where no actor is called just that."""
    wanted = {*names, *(f"{_OPERATOR}{name}" for name in names)}
    refs = set(Actor.objects.filter(ref__in=wanted).values_list("ref", flat=True)) if names else set()
    found = {name: name if name in refs else f"{_OPERATOR}{name}" for name in names}
    return {name: ref for name, ref in found.items() if ref in refs}


@dataclass(frozen=True)
class Offer:
    """A completion: what is written, and the words that explain it."""

    written: str
    words: str


def offers(identity: Identity, brief: Brief, typed: str) -> list[Offer]:
    """What ``#…`` or ``@…`` may become, best first; at most OFFERED, and nothing that the caller may not see."""
    sign, rest = typed[:1], typed[1:81].replace("\x00", "")
    if sign == "#":
        return _briefs(identity, brief, rest)
    return _people(identity, brief, rest) if sign == "@" else []


def _briefs(identity: Identity, brief: Brief, typed: str) -> list[Offer]:
    named = searching.in_titles(typed) if typed else Q()
    if typed.isascii() and typed.isdigit() and len(typed) < 10:
        named |= Q(pk=int(typed))
    rows = visible(identity).exclude(pk=brief.pk).filter(named).order_by("-updated_at")
    found = list(rows.values_list("pk", "title")[:OFFERED])
    found.sort(key=lambda row: str(row[0]) != typed)
    return [Offer(f"#{pk}", title) for pk, title in found]


def _people(identity: Identity, brief: Brief, typed: str) -> list[Offer]:
    rows = Actor.objects.filter(ref__icontains=typed).exclude(kind=Actor.Kind.SYSTEM)
    if identity.project is not None or identity.brief is not None:
        seen = Participant.objects.filter(brief__in=visible(identity))
        rows = rows.filter(Q(kind=Actor.Kind.OPERATOR) | Q(pk__in=seen.values("actor")))
    here = set(Participant.objects.filter(brief=brief).values_list("actor__ref", flat=True)[:200])
    # Those at work on this brief first: they are looked for among all, the others among the newest.
    found = [*rows.filter(ref__in=here)[:OFFERED], *rows.exclude(ref__in=here).order_by("-pk")[:OFFERED]]
    return [Offer(f"@{actor.ref}", actor.kind) for actor in found[:OFFERED]]
