"""Scratchpads on pages: the list with its search, one with its text and revisions, written, added to, compared."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import Words, read
from briefs.identity import Identity
from briefs.models import Link
from briefs.services import recall, specs
from briefs.views import rooms
from briefs.views.door import Refused, Request, show
from core.errors import Refusal
from daemons.models import Scratchpad
from daemons.services import scratchpads

ON_A_PAGE: Final = 50


class ScratchpadForm(forms.Form):
    name = forms.CharField(required=False)
    content = Words()
    revision = forms.IntegerField(required=False, min_value=0)
    project = forms.CharField(required=False)


@rooms.names(Link.Kind.SCRATCHPAD)
def names(identity: Identity, targets: list[str]) -> dict[str, rooms.Named]:
    """The names behind the numbers that briefs link to."""
    numbers = {target: number for target in targets if (number := recall.number_in(target)) is not None}
    rows = scratchpads.visible(identity).filter(pk__in=numbers.values()).only("name")
    found = {pad.pk: rooms.Named(pad.name, pad.get_absolute_url()) for pad in rows}
    return {target: found.get(number, rooms.Named(gone=True)) for target, number in numbers.items()}


@require_safe
def listed(request: Request) -> HttpResponse:
    return show_list(request)


def show_list(request: Request, *, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    query = " ".join(request.GET.get("q", "").replace("\x00", "\ufffd").split())[:200]
    rows = scratchpads.visible(request.identity).select_related("project", "updated_by").order_by("-updated_at", "-pk")
    if query:
        number = recall.number_in(query)
        same = Q(pk=number) if number is not None else Q()
        rows = rows.filter(Q(name__icontains=query) | Q(content__icontains=query) | same)
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    context = {"page": page, "query": query, "refused": refused}
    return show(request, "daemons/scratchpads.html", context, status)


@require_POST
def create(request: Request) -> HttpResponse:
    try:
        typed = read(ScratchpadForm(request.POST))
        project = request.identity.find_project(typed["project"])
        pad = scratchpads.create(typed["name"], typed["content"], actor=request.identity.actor, project=project)
    except Refusal as refusal:
        return show_list(request, refused=Refused.of(refusal, "create", request), status=refusal.status_code)
    return redirect(pad)


@require_safe
def scratchpad(request: Request, number: int) -> HttpResponse:
    return show_scratchpad(request, scratchpads.find(request.identity, number))


def show_scratchpad(
    request: Request, pad: Scratchpad, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    return show(request, "daemons/scratchpad.html", {**_context(request, pad), "refused": refused}, status)


def _context(request: Request, pad: Scratchpad) -> dict[str, Any]:
    """``?revision=N`` shows an earlier text, ``?from=N&to=M`` what changed in between."""
    old, new = (recall.number_in(request.GET.get(name, "")) for name in ("from", "to"))
    shown = recall.number_in(request.GET.get("revision", ""))
    targets = [str(pad.pk), f"#{pad.pk}"]
    links = Link.objects.filter(kind=Link.Kind.SCRATCHPAD, target__in=targets).values("brief")
    return {
        "pad": pad,
        "content": scratchpads.text_of(pad, shown) if shown else pad.content,
        "shown": shown if shown and shown != pad.revision else None,
        "revisions": list(pad.revisions.select_related("actor").defer("content")[:100]),
        "compared": specs.compare(scratchpads.text_of(pad, old), scratchpads.text_of(pad, new))
        if old and new
        else None,
        "old": old,
        "new": new,
        "briefs": list(recall.visible(request.identity).filter(pk__in=links).only("title", "status")[:50]),
    }


@require_POST
def write(request: Request, number: int) -> HttpResponse:
    """A refused text stays in the form; the revision that it is on top of becomes the one that is shown now."""
    pad = scratchpads.find(request.identity, number)
    try:
        typed = read(ScratchpadForm(request.POST))
        revision = typed["revision"] or 0
        scratchpads.write(pad, typed["content"], revision=revision, actor=request.identity.actor, name=typed["name"])
    except Refusal as refusal:
        pad = scratchpads.find(request.identity, number)
        refused = Refused.of(refusal, "write", request)
        return show_scratchpad(request, pad, refused=refused, status=refusal.status_code)
    return redirect(pad)


@require_POST
def append(request: Request, number: int) -> HttpResponse:
    pad = scratchpads.find(request.identity, number)
    try:
        scratchpads.append(pad, read(ScratchpadForm(request.POST))["content"], actor=request.identity.actor)
    except Refusal as refusal:
        refused = Refused.of(refusal, "append", request)
        return show_scratchpad(request, pad, refused=refused, status=refusal.status_code)
    return redirect(f"{reverse('scratchpad', args=[pad.pk])}#append")
