"""The command palette's briefs and saved views. Pages and actions it finds on the page that it stands on."""

from __future__ import annotations

from typing import Final

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from briefs.models import SavedView
from briefs.models.brief import BriefQuerySet
from briefs.services import searching
from briefs.services.recall import visible
from briefs.views.door import Request, show

MOST: Final = 8


@require_safe
def palette(request: Request) -> HttpResponse:
    """By number, by words of the title in any order, or by what a spec says; without any those that changed last."""
    text = request.GET.get("q", "").replace("\x00", "\ufffd").strip()[:100]
    rows = _matching(visible(request.identity).order_by("-updated_at", "-pk"), text)
    views = SavedView.objects.filter(actor=request.identity.actor, name__icontains=text)[:MOST] if text else []
    briefs = list(rows.only("title", "status")[:MOST])
    if len(briefs) < MOST and text:
        said = visible(request.identity).filter(searching.in_specs(text, visible(request.identity), MOST))
        more = said.exclude(pk__in=[brief.pk for brief in briefs]).order_by("-updated_at", "-pk")
        briefs += list(more.only("title", "status")[: MOST - len(briefs)])
    exact = text.removeprefix("#")
    briefs.sort(key=lambda brief: str(brief.pk) != exact)
    return show(request, "components/_palette_found.html", {"briefs": briefs, "views": views})


def _matching(rows: BriefQuerySet, text: str) -> BriefQuerySet:
    return rows.filter(searching.in_titles(text) | searching.numbered(text)) if text else rows
