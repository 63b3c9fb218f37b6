"""The box that captures a thought, and the briefs that may say the same already while it is typed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import CaptureForm, read
from briefs.identity import Identity
from briefs.models import Brief, Project
from briefs.services import capturing, duplicates
from briefs.views import rooms
from briefs.views.door import Refused, Request, show
from core.errors import Invalid, Refusal

BY_HAND: Final = "-"  # no agent program is started: some agent claims it

_show_board: list[Callable[..., HttpResponse]] = []


def show_captures_on(page: Callable[..., HttpResponse]) -> None:
    """The page that shows the box, and so a refusal of it where there is no script. It imports us: hence this way."""
    _show_board.append(page)


def projects_of(identity: Identity) -> list[Project]:
    rows = Project.objects.only("slug")
    return list(rows if identity.project is None else rows.filter(pk=identity.project))


def capture_context(request: Request, refused: Refused | None = None, project: str = "") -> dict[str, Any]:
    typed = refused.typed if refused and refused.panel == "capture" else {}
    if not project:
        project = _last_project(request.identity)
    return {
        "projects": projects_of(request.identity),
        "agents": rooms.agent_names(),
        "agent": typed.get("agent", ""),
        "refused": refused,
        "chosen": typed.get("project", project),
        "body": typed.get("body", ""),
    }


def _last_project(identity: Identity) -> str:
    """The project of the brief that the caller captured last: where the next thought most likely belongs."""
    mine = Brief.objects.filter(created_by=identity.actor).order_by("-pk").values_list("project__slug", flat=True)
    return mine.first() or ""


@require_POST
def capture(request: Request) -> HttpResponse:
    try:
        told = _capture(request)
    except Refusal as refusal:
        return refuse_capture(request, refusal)
    if not request.htmx:
        messages.success(request, told)
        return redirect(reverse("board"))
    context = capture_context(request, project=request.POST.get("project", ""))
    response = show(request, "briefs/_capture.html", {**context, "told": told, "oob": True})
    response["HX-Trigger"] = "board:changed"
    return response


def _capture(request: Request) -> SafeString:
    """Capture, or one of the ways that a found duplicate offers; returns what was done."""
    how, _, number = request.POST.get("beside", "").partition(":")
    if not how:
        brief = capture_brief(request)
        return _told("Captured {}.", brief)
    typed = read(CaptureForm(request.POST))
    if not (number.isascii() and number.isdigit() and len(number) < 12):
        raise Invalid("Say which brief is meant, by its number.")
    other = request.identity.find_brief(int(number))
    project = request.identity.find_project(typed["project"])
    made = capturing.beside(typed["body"], how, other, actor=request.identity.actor, project=project)
    return _told(capturing.TOLD[how], made, other)


def _told(words: str, *briefs: Brief) -> SafeString:
    links = [format_html('<a href="{}">#{} {}</a>', one.get_absolute_url(), one.pk, one.title) for one in briefs]
    return format_html(words, *links)


def capture_brief(request: Request) -> Brief:
    typed = read(CaptureForm(request.POST))
    project = request.identity.find_project(typed["project"])
    return capturing.capture(typed["body"], actor=request.identity.actor, project=project)


def refuse_capture(request: Request, refusal: Refusal) -> HttpResponse:
    """The capture box again, with the sentence and with everything that was typed."""
    refused = Refused.of(refusal, "capture", request)
    if request.htmx:
        context = {**capture_context(request, refused), "oob": True}
        return show(request, "briefs/_capture.html", context, refusal.status_code)
    return _show_board[0](request, refused=refused, status=refusal.status_code)


@require_safe
def found(request: Request) -> HttpResponse:
    """The open briefs that the typed text may repeat; empty for a short text."""
    text = request.GET.get("q", "")[:2000].replace("\x00", "")
    slug = request.GET.get("project", "")
    project = next((one for one in projects_of(request.identity) if one.slug == slug), None)
    hits = duplicates.search(request.identity, text, project=project)
    return show(request, "briefs/_duplicates.html", {"hits": hits})
