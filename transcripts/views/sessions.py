"""The list of sessions, and what this room adds to pages of briefs: names of links, and what an agent is at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.core.paginator import Paginator
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from briefs.identity import Identity
from briefs.models import Brief, Link, Project
from briefs.services import recall
from briefs.views import rooms
from briefs.views.door import Refused, Request, show
from core.errors import Invalid, Refusal
from transcripts import costs, liveness, naming
from transcripts.models import Session, Taking
from transcripts.services import access, taking

ON_A_PAGE: Final = 50
ON_A_BRIEF: Final = 6
SEARCHED: Final = 200
STATES: Final = ("live", "retired")


@dataclass(frozen=True)
class Row:
    """A session in a list."""

    session: Session
    title: str
    now: str
    is_live: bool
    segments: int
    brief: Brief | None  # as far as the reader may see it

    @property
    def cost(self) -> float | None:
        """In dollars, where its model has a price."""
        return costs.of_session(self.session)


def rows_of(identity: Identity, sessions: QuerySet[Session]) -> list[Row]:
    """In four queries, however many they are; in one where there are none."""
    found = list(sessions.select_related("project", "brief").defer("brief__spec").annotate(parts=Count("segments")))
    if not found:
        return []
    titles = naming.outlined(session.pk for session in found)
    runs = liveness.processes()
    rows = []
    for session in found:
        outlined = titles.get(session.pk, naming.Outlined())
        name = naming.title(session, outlined.main)
        brief = session.brief if session.brief is not None and identity.may_see(session.brief) else None
        rows.append(Row(session, name, outlined.now, liveness.is_live(session, runs), session.parts, brief))
    return rows


# --- the page ---------------------------------------------------------------------------------------------------------


@require_safe
def sessions(request: Request) -> HttpResponse:
    return show_sessions(request)


def show_sessions(request: Request, *, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    chosen = {name: request.GET.get(name, "")[:SEARCHED] for name in ("q", "project", "program", "state", "brief")}
    visible = access.listed(access.visible(request.identity))
    found = matching(visible, **chosen).order_by(*_ORDER)
    page = Paginator(found, ON_A_PAGE).get_page(request.GET.get("page"))
    shown = visible.filter(pk__in=[row.pk for row in page.object_list]).order_by(*_ORDER)
    projects = _projects(request.identity)
    context = {
        "page": page,
        "rows": rows_of(request.identity, shown),
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "projects": projects,
        "programs": sorted(set(visible.order_by().values_list("program", flat=True).distinct())),
        "states": STATES,
        "takings": _takings(projects) if request.identity.may_orchestrate else [],
        "refused": refused,
    }
    template = "sessions/_list.html" if request.htmx and not refused else "sessions/list.html"
    return show(request, template, context, status)


_ORDER: Final = ("-active_at", "-pk")


def matching(
    rows: QuerySet[Session], *, q: str = "", project: str = "", program: str = "", state: str = "", brief: str = ""
) -> QuerySet[Session]:
    """What the list and its filters mean; an empty one lets everything through."""
    if project:
        rows = rows.filter(Q(project__slug=project) | Q(project=None, brief__project__slug=project))
    if program:
        rows = rows.filter(program=program)
    if state == "live":
        rows = rows.filter(liveness.live())
    elif state == "retired":
        rows = rows.exclude(pk__in=rows.filter(liveness.live()).values("pk"))
    if brief:
        rows = rows.filter(brief=recall.number_in(brief) or 0)
    for word in q.replace("\x00", "").split()[:8]:
        rows = rows.filter(_holds(word))
    return rows


def _holds(word: str) -> Q:
    """In its title, branch, folder or id, in a segment's title, or the path of a file that it changed."""
    own = Q(title__icontains=word) | Q(branch__icontains=word) | Q(cwd__icontains=word) | Q(session_id__startswith=word)
    run = Q(brief__title__icontains=word, dispatch__isnull=False)  # it is called so
    beside = Q(pk__in=Session.objects.filter(segments__title__icontains=word).values("pk"))
    touched = Q(pk__in=Session.objects.filter(touched__name__icontains=word).exclude(touched__verb="read").values("pk"))
    return own | run | beside | touched


# --- whose sessions are taken -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """A project, and whether sessions in its folders are taken though flower did not start them."""

    project: Project
    is_on: bool
    days: int


def _takings(projects: list[Project]) -> list[Choice]:
    known = {row.project_id: row for row in Taking.objects.filter(project__in=projects)}
    usual = Taking()
    rows = ((project, known.get(project.pk, usual)) for project in projects)
    return [Choice(project, row.is_on, row.days) for project, row in rows]


@require_POST
def take(request: Request, slug: str) -> HttpResponse:
    """A project's wish that its sessions are taken, from its row under the list."""
    try:
        request.identity.require_orchestrator()
        project = request.identity.find_project(slug)
        if project is None:
            raise Invalid("Say which project is meant.")
        days = request.POST.get("days", "").strip()
        if days and not (days.isascii() and days.isdigit() and len(days) < 6):
            raise Invalid(f"The age is a number of days, not “{days[:20]}”.")
        is_on = request.POST.get("on")
        taking.configure(
            project,
            is_on=None if is_on is None else bool(is_on),
            days=int(days) if days else None,
            actor=request.identity.actor,
        )
    except Refusal as refusal:
        return show_sessions(
            request, refused=Refused.of(refusal, f"taking-{slug}", request), status=refusal.status_code
        )
    return redirect(f"{reverse('sessions')}#taking")


def _projects(identity: Identity) -> list[Project]:
    rows = Project.objects.order_by("slug")
    return list(rows.filter(pk=identity.project) if identity.project is not None else rows)


# --- on the brief page ------------------------------------------------------------------------------------------------


@rooms.names(Link.Kind.SESSION)
def names(identity: Identity, targets: list[str]) -> dict[str, rooms.Named]:
    """A link to a session is told with its title. Other targets are ids that a program gave: words."""
    numbers = {target: number for target in targets if (number := recall.number_in(target)) is not None}
    found = {row.pk: row for row in access.visible(identity).select_related("brief").filter(pk__in=numbers.values())}
    titles = naming.outlined(found)
    named = {
        pk: rooms.Named(naming.title(row, titles.get(pk, naming.Outlined()).main), reverse("transcript", args=[pk]))
        for pk, row in found.items()
    }
    return {target: named.get(number, rooms.Named(gone=True)) for target, number in numbers.items()}


@rooms.panel("sessions")
def panel(request: Request, brief: Brief, refused: Refused | None) -> dict[str, Any]:
    """The newest sessions of a brief, with what each running one is at."""
    found = access.listed(access.visible(request.identity)).filter(brief=brief).order_by(*_ORDER)
    rows = rows_of(request.identity, found[: ON_A_BRIEF + 1])
    return {"rows": rows[:ON_A_BRIEF], "more": len(rows) > ON_A_BRIEF}
