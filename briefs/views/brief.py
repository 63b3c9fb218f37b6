"""The brief page: what it is (spec, trace) on the left, what one does and checks on the right.

Every form on it posts here, calls one service, and leads back to the page; with htmx the panels come back instead,
the refused one with its sentence and with everything that was typed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from briefs import lifecycle
from briefs.forms import FlagForm, NoteForm, StatusForm, TitleForm, read
from briefs.models import Brief, TraceEntry
from briefs.models.blocker import BlockerCode
from briefs.models.status import Status
from briefs.services import briefs, recall
from briefs.views.door import Refused, Request, show
from briefs.views.rail import rail_context
from briefs.views.trace import choices, trace_context
from core.errors import Refusal

Kind = TraceEntry.Kind


@require_safe
def brief(request: Request, number: int) -> HttpResponse:
    return show_brief(request, request.identity.find_brief(number))


@require_safe
def panels(request: Request, number: int) -> HttpResponse:
    """Every panel but the trace, for a page that was told that its brief changed."""
    found = request.identity.find_brief(number)
    return show(request, "briefs/_panels.html", {**brief_context(request, found, None), "oob": True})


def show_brief(request: Request, found: Brief, *, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    context = brief_context(request, found, refused)
    if request.htmx:
        return show(request, "briefs/_panels.html", {**context, "oob": True}, status)
    return show(request, "briefs/brief.html", {**context, **trace_context(request, found), **choices(found)}, status)


def act(request: Request, found: Brief, panel: str, run: Callable[[], object]) -> HttpResponse:
    """Do what a form of the brief page asks for, and show the page again; a refusal stands in ``panel``."""
    try:
        run()
    except Refusal as refusal:
        found.refresh_from_db()
        refused = Refused.of(refusal, panel, request)
        response = show_brief(request, found, refused=refused, status=refusal.status_code)
        response["Flower-Refused"] = quote(refusal.sentence[:1000])  # said elsewhere if its panel is gone by now
        return response
    if request.htmx:
        return show_brief(request, request.identity.find_brief(found.pk))
    return redirect(f"{found.get_absolute_url()}#{panel}")


def brief_context(request: Request, found: Brief, refused: Refused | None) -> dict[str, Any]:
    blockers = found.blockers()
    return {
        "brief": found,
        "refused": refused,
        "moves": [Status(to) for to in lifecycle.possible_moves(found, request.identity.actor)],
        "blocked": [blocker.phrase for blocker in blockers],
        "missing": [blocker for blocker in blockers if blocker.code == BlockerCode.MISSING_WORK],
        "merged_into": _merged_into(request, found),
        "now": _now(found),
        **rail_context(request, found, refused),
    }


def _now(found: Brief) -> TraceEntry | None:
    """What the agent at work said last; nothing when none is, or when it has said nothing yet."""
    if found.status != Status.IN_PROGRESS:
        return None
    said = (Kind.PROGRESS, Kind.CLAIMED, Kind.COMPLETED, Kind.FAILED)
    last = TraceEntry.objects.filter(brief=found, kind__in=said).order_by("-seq").first()
    return last if last and last.kind == Kind.PROGRESS else None


def _merged_into(request: Request, found: Brief) -> Brief | None:
    """The brief that a cancelled one went on in: its last move was the merge. Without a title where one may not see."""
    if found.status != Status.CANCELLED:
        return None
    rows = TraceEntry.objects.filter(brief=found, kind__in=(Kind.STATUS_CHANGE, Kind.MERGED)).order_by("-seq")
    last = rows.defer("body").first()
    number = recall.number_in(str(last.data.get("into", ""))) if last and last.kind == Kind.MERGED else None
    if number is None:
        return None
    return recall.visible(request.identity).filter(pk=number).only("title").first() or Brief(pk=number)


# --- what the forms do ------------------------------------------------------------------------------------------------


@require_POST
def note(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    actor = request.identity.actor
    made: list[int] = []

    def add() -> None:
        made.append(briefs.note(found, read(NoteForm(request.POST))["body"], actor=actor))

    response = act(request, found, "note", add)
    if made:
        response["Flower-Entry"] = str(made[0])  # for a page whose filter hides it
    return response


@require_POST
def title(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    actor = request.identity.actor
    return act(
        request, found, "title", lambda: briefs.rename(found, read(TitleForm(request.POST))["title"], actor=actor)
    )


@require_POST
def status(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def move() -> None:
        typed = read(StatusForm(request.POST))
        lifecycle.move(found, typed["status"], actor=request.identity.actor, why=typed["why"])

    return act(request, found, "status", move)


@require_POST
def flag(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    actor = request.identity.actor
    return act(request, found, "dispatch", lambda: briefs.set_flag(found, **read(FlagForm(request.POST)), actor=actor))
