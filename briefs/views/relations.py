"""What the Relationships panel does: epic, dependencies, merging; and the search that finds the other brief."""

from __future__ import annotations

from django import forms
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import read
from briefs.models import Brief
from briefs.services import recall, relations, searching
from briefs.views.brief import act, show_brief
from briefs.views.door import Refused, Request, show
from core.errors import Invalid, Refusal

FOUND = 8


class OtherForm(forms.Form):
    other = forms.CharField(required=False)
    remove = forms.BooleanField(required=False)
    sure = forms.BooleanField(required=False)
    accept = forms.BooleanField(required=False)


def _other(request: Request, text: str) -> Brief:
    """The brief that a field names: ``12``, ``#12``, or ``#12 its title`` as the search fills it in."""
    number = recall.number_in(text)
    if number is None:
        raise Invalid("Name the other brief by its number, such as #12.")
    return request.identity.find_brief(number)


@require_POST
def dependency(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def change() -> None:
        typed = read(OtherForm(request.POST))
        other = _other(request, typed["other"])
        if typed["accept"]:
            request.identity.require_orchestrator()
            relations.accept_missing(found, other, actor=request.identity.actor)
            return
        run = relations.remove_dependency if typed["remove"] else relations.add_dependency
        run(found, other, actor=request.identity.actor)

    return act(request, found, "relationships", change)


@require_POST
def parent(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def change() -> None:
        typed = read(OtherForm(request.POST))
        epic = None if typed["remove"] else _other(request, typed["other"])
        relations.set_parent(found, epic, actor=request.identity.actor)

    return act(request, found, "relationships", change)


@require_POST
def merge(request: Request, number: int) -> HttpResponse:
    """A whole page either way: one is led to the brief that is left."""
    found = request.identity.find_brief(number)
    try:
        typed = read(OtherForm(request.POST))
        into = _other(request, typed["other"])
        if not typed["sure"]:
            raise Invalid(f"Tick that #{number} is cancelled by this, then merge again.")
        kept = relations.merge(found, into, actor=request.identity.actor)
    except Refusal as refusal:
        found = request.identity.find_brief(number)
        return show_brief(request, found, refused=Refused.of(refusal, "merge", request), status=refusal.status_code)
    return redirect(kept)


@require_safe
def find(request: Request) -> HttpResponse:
    """``?q=``: briefs by number or by the words of their title, for search as you type. ``?but=``: not that one."""
    text = " ".join(request.GET.get("q", "").replace("\x00", "\ufffd").split())[:200]
    rows = recall.visible(request.identity).only("title", "status").order_by("-updated_at")
    but = recall.number_in(request.GET.get("but", ""))
    if but is not None:
        rows = rows.exclude(pk=but)
    number = recall.number_in(text)
    named = searching.in_titles(text) if text else Q()
    rows = rows.filter(named | Q(pk=number) if number is not None else named)
    shown = list(rows[:FOUND]) if text else []
    exact = [row for row in shown if row.pk == number]
    shown = exact + [row for row in shown if row.pk != number]
    return show(request, "briefs/_found.html", {"briefs": shown, "text": text})
