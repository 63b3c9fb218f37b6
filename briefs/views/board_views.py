"""Saving the board's filters under a name, and giving saved ones up."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from briefs.services import saved_views
from briefs.views.board import show_board
from briefs.views.board_filters import Filters
from briefs.views.door import Refused, Request
from core.errors import Refusal


@require_POST
def save(request: Request) -> HttpResponse:
    """``query`` is the board's address as it is, of which only what the board understands is kept."""
    filters = Filters.of(QueryDict(request.POST.get("query", "")[:2000].partition("?")[2]))
    filters = Filters.of(QueryDict(filters.but().partition("?")[2]))  # on its first page
    try:
        view = saved_views.save(request.identity.actor, request.POST.get("name", ""), filters.query)
    except Refusal as refusal:
        return _refuse(request, refusal)
    messages.success(request, f"Saved this view as “{view.name}”.")
    return redirect(filters.address)


@require_POST
def view(request: Request, number: int) -> HttpResponse:
    """Rename a saved view, or delete it."""
    try:
        found = saved_views.find(request.identity.actor, number)
        if "delete" in request.POST:
            saved_views.delete(found)
            messages.success(request, f"Deleted the view “{found.name}”.")
        else:
            saved_views.rename(found, request.POST.get("name", ""))
    except Refusal as refusal:
        return _refuse(request, refusal)
    return redirect(f"{reverse('board')}?{found.query}" if found.query else reverse("board"))


def _refuse(request: Request, refusal: Refusal) -> HttpResponse:
    refused = Refused.of(refusal, "views", request)
    return show_board(request, refused=refused, status=refusal.status_code)
