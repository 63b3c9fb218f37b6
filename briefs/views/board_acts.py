"""What one does to briefs on the board: move one, let one dispatch itself, do a thing to many.

The page's scripts ask for JSON and say the sentence where the hand was; without them a form leads back to the board.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from briefs import lifecycle
from briefs.forms import StatusForm, read
from briefs.models import Brief
from briefs.models.status import Status
from briefs.services import briefs
from briefs.views import rooms
from briefs.views.board import show_board
from briefs.views.capture import BY_HAND
from briefs.views.door import Refused, Request, show
from core.errors import Conflict, Invalid, Refusal
from core.lifecycle import words

AT_ONCE: Final = 200
Act = Callable[[Brief], object]


@require_safe
def moves(request: Request, number: int) -> HttpResponse:
    """Where a brief may be moved by hand: a page of its own, or the board's menu."""
    return _show_moves(request, request.identity.find_brief(number))


def _show_moves(request: Request, found: Brief, refusal: Refusal | None = None) -> HttpResponse:
    context = {
        "brief": found,
        "moves": [Status(to) for to in lifecycle.possible_moves(found, request.identity.actor)],
        "refused": refusal,
        "back": _back(request),
    }
    template = "briefs/_moves.html" if request.htmx else "briefs/moves.html"
    return show(request, template, context, refusal.status_code if refusal else 200)


@require_POST
def move(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    was = found.status
    try:
        typed = read(StatusForm(request.POST))
        lifecycle.move(found, typed["status"], actor=request.identity.actor, why=typed["why"])
    except Refusal as refusal:
        if _wants_json(request):
            raise
        found.refresh_from_db()
        return _show_moves(request, found, refusal)
    moved = f"#{number} moved from {words(was)} to {words(found.status)}."
    return _done(request, moved if was != found.status else f"#{number} is {words(was)} already.")


@require_POST
def auto(request: Request, number: int) -> HttpResponse:
    """Auto-dispatch on or off, from the brief's row."""
    found = request.identity.find_brief(number)
    on = request.POST.get("on") == "1"
    briefs.set_flag(found, "auto_dispatch", on, actor=request.identity.actor)
    return _done(request, f"Auto-dispatch of #{number} is {'on' if on else 'off'}.")


def _done(request: Request, said: str) -> HttpResponse:
    if _wants_json(request):
        return JsonResponse({"said": said})
    messages.success(request, said)
    return redirect(_back(request))


def _back(request: Request) -> str:
    """The board as it was looked at. Only addresses of this board: a form's field, or a header, could say anything."""
    came_from = urlsplit(request.headers.get("Referer", ""))
    wanted = request.POST.get("next") or request.GET.get("next") or f"{came_from.path}?{came_from.query}"
    here = reverse("board")
    path, _, query = wanted.partition("?")
    return f"{here}?{query}" if path == here and query else here


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("Accept", "")


# --- many at once -----------------------------------------------------------------------------------------------------


@dataclass
class Result:
    """What became of each chosen brief. A refused one is as it was, whatever happened to the others."""

    what: str
    done: list[int] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)

    @property
    def said(self) -> str:
        count = len(self.done) + len(self.refused)
        if not self.refused:
            return f"{count} {'brief' if count == 1 else 'briefs'}: {self.what}."
        return f"{len(self.done)} of {count}: {self.what}. {len(self.refused)} refused."


@require_POST
def bulk(request: Request) -> HttpResponse:
    try:
        numbers = _numbers(request)
        what, act = _act_of(request)
    except Refusal as refusal:
        if _wants_json(request):
            raise
        return show_board(request, refused=Refused.of(refusal, "bulk", request), status=refusal.status_code)
    result = Result(what)
    for number in numbers:
        try:
            act(request.identity.find_brief(number))
            result.done.append(number)
        except Refusal as refusal:
            result.refused.append((number, refusal.sentence))
    if _wants_json(request):
        refused = [{"brief": number, "sentence": sentence} for number, sentence in result.refused]
        return JsonResponse({"said": result.said, "done": result.done, "refused": refused})
    if result.refused:
        return show_board(request, result=result)
    messages.success(request, result.said)
    return redirect(_back(request))


def _numbers(request: Request) -> list[int]:
    typed = request.POST.getlist("brief")
    numbers = [int(number) for number in typed if number.isascii() and number.isdigit() and len(number) < 12]
    if not numbers:
        raise Invalid("Choose some briefs first: the boxes at the left of their rows.")
    if len(numbers) > AT_ONCE:
        raise Invalid(f"At most {AT_ONCE} briefs at once.")
    return list(dict.fromkeys(numbers))


def _act_of(request: Request) -> tuple[str, Act]:
    """``do`` is move:planned, project:slug, auto:on, dispatch:agent or cancel."""
    do, _, value = request.POST.get("do", "").partition(":")
    actor = request.identity.actor
    if do == "move":
        if value not in Status.values:
            raise Invalid(f"'{value}' is no brief status; it is one of {', '.join(Status.values)}.")
        return f"moved to {words(value)}", lambda brief: _move(brief, value, request)
    if do == "cancel":
        return "cancelled", lambda brief: _move(brief, Status.CANCELLED, request)
    if do == "project":
        project = request.identity.find_project(value)
        if project is None and request.identity.project is not None:
            raise Conflict("This token is limited to one project; it cannot take briefs out of it.")
        said = f"now in {value}" if value else "now in no project"
        return said, lambda brief: briefs.set_project(brief, project, actor=actor)
    if do == "auto":
        on = value == "on"
        return f"auto-dispatch {'on' if on else 'off'}", lambda brief: briefs.set_flag(
            brief, "auto_dispatch", on, actor=actor
        )
    if do == "dispatch":
        agent = "" if value == BY_HAND else value
        return "dispatched", lambda brief: rooms.hand_over(brief, request.identity, agent)
    raise Invalid("Choose what to do with these briefs.")


def _move(brief: Brief, to: str, request: Request) -> Any:
    if brief.status == to:
        raise Conflict(f"Brief #{brief.pk} is {words(to)} already.")
    return lifecycle.move(brief, to, actor=request.identity.actor)
