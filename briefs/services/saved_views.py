"""Views of the board that people keep under a name. Each is its owner's: nobody else sees it."""

from __future__ import annotations

from typing import Final

from briefs import trace
from briefs.models import Actor, SavedView
from core.errors import Conflict, Invalid, NotFound

MOST: Final = 50


def save(actor: Actor, name: str, query: str) -> SavedView:
    """Keep a query under a name; the same name again replaces what it stood for."""
    name = _name(name)
    if len(query) > 1000:
        raise Invalid("This view has too many filters to be saved.")
    if SavedView.objects.filter(actor=actor).exclude(name=name).count() >= MOST:
        raise Conflict(f"You have {MOST} saved views; delete one first.")
    view, _ = SavedView.objects.update_or_create(actor=actor, name=name, defaults={"query": query})
    return view


def rename(view: SavedView, name: str) -> SavedView:
    name = _name(name)
    if SavedView.objects.filter(actor=view.actor_id, name=name).exclude(pk=view.pk).exists():
        raise Conflict(f"You have a view '{name}' already; choose another name.")
    view.name = name
    view.save(update_fields=["name"])
    return view


def delete(view: SavedView) -> None:
    view.delete()


def find(actor: Actor, number: int) -> SavedView:
    view = SavedView.objects.filter(actor=actor, pk=number).first()
    if view is None:
        raise NotFound("You have no such view.")
    return view


def _name(name: str) -> str:
    name = " ".join(trace.clean(name).split())
    if not name:
        raise Invalid("Give the view a name.")
    if len(name) > 60:
        raise Invalid("A view's name holds at most 60 characters.")
    return name
