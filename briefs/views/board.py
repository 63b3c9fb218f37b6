"""The board's page: what the filters let through, as a list or in columns, and the box that captures a thought.

The rest of it is beside this file: board_filters (the address), board_rows (what is shown), board_acts (what one does
to briefs here), board_views (saved views), capture.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import unquote

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from briefs.identity import Identity
from briefs.models import Actor, Brief, SavedView
from briefs.models.status import Status
from briefs.services.recall import visible
from briefs.views import rooms
from briefs.views.board_filters import SORTS, Filters, waiting_for_a_person
from briefs.views.board_rows import aside, beside, shown
from briefs.views.capture import capture_brief, capture_context, projects_of, refuse_capture, show_captures_on
from briefs.views.door import Refused, Request, show

__all__ = ["Filters", "capture_brief", "refuse_capture", "waiting_for_a_person"]

FOLDED: Final = "flower_folded"  # the cookie that remembers which epics are folded: 12.34.56
ACTORS: Final = 50


@require_safe
def board(request: Request) -> HttpResponse:
    return show_board(request)


def show_board(
    request: Request, *, refused: Refused | None = None, project: str = "", status: int = 200, **more: Any
) -> HttpResponse:
    """The board, with a refused form where there is one; a fragment's request gets the list alone."""
    filters = Filters.of(request.GET)
    context = board_context(request, filters) | more
    if request.htmx and refused is None:
        return show(request, "briefs/_list.html", context)
    context |= capture_context(request, refused, project or filters.project)
    context |= {"refused": refused, "actors": _actors(request.identity)}
    return show(request, "briefs/board.html", context, status)


show_captures_on(show_board)


def board_context(request: Request, filters: Filters) -> dict[str, Any]:
    found = shown(request.identity, filters, folded_in(request))
    views = _saved(request.identity, filters)
    return {
        "filters": filters,
        "groups": found.groups,
        "pages": found.page,
        "aside": aside(found, filters),
        "statuses": Status.choices,
        "kinds": Brief.Kind.values,
        "origins": Brief.Origin.values,
        "sorts": [(name, words) for name, (words, _) in SORTS.items()],
        "projects": projects_of(request.identity),
        "views": views,
        "here_view": next((view["name"] for view in views if view["here"]), ""),
        "agents": rooms.agent_names(),
        "may_write": request.identity.may_write,
        "moves": [status for status in Status if status not in {Status.DISPATCHED, Status.IN_PROGRESS}],
        "aside_groups": beside(found, filters),
        "is_empty": not filters.any and not visible(request.identity).exists(),
    }


def folded_in(request: Request) -> frozenset[int]:
    numbers = unquote(request.COOKIES.get(FOLDED, ""))[:2000].split(".")
    return frozenset(int(number) for number in numbers if number.isascii() and number.isdigit() and len(number) < 12)


def _saved(identity: Identity, filters: Filters) -> list[dict[str, Any]]:
    rows = SavedView.objects.filter(actor=identity.actor).values_list("pk", "name", "query")[:50]
    return [{"pk": pk, "name": name, "query": query, "here": query == filters.query} for pk, name, query in rows]


def _actors(identity: Identity) -> list[str]:
    """Names to choose from, people first. A caller who is limited to a project is told of nobody beyond it."""
    if identity.project is not None:
        return []
    rows = Actor.objects.exclude(kind=Actor.Kind.SYSTEM).order_by("-kind", "-pk").values_list("ref", flat=True)
    return sorted(rows[:ACTORS])
