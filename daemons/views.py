"""The page of one process: its state, what its agent is at, its output as text. A terminal comes later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from briefs.identity import Identity, Scope
from briefs.views.door import Refused, Request, show
from core.errors import NotFound, Refusal
from daemons.models import Process
from daemons.services import processes
from transcripts import liveness
from transcripts.services import access
from transcripts.views.sessions import rows_of

TAIL_BYTES: Final = 64_000


def find(identity: Identity, number: int) -> Process:
    """The process, if the caller may see it: through its brief, or, where it has none, through its project."""
    rows = Process.objects.select_related("brief__project", "project", "program", "actor", "stopped_by")
    found = rows.filter(pk=number).first()
    if found is None or not _may_see(identity, found):
        raise NotFound(f"There is no process {number} for you.")
    return found


def _may_see(identity: Identity, found: Process) -> bool:
    if found.brief is not None:
        return identity.may_see(found.brief)
    if identity.scope == Scope.RUN:
        return False
    return identity.project is None or (found.project is not None and found.project.pk == identity.project)


@liveness.running
def agents_that_run() -> Iterable[int]:
    """For sessions: one whose process runs is live, however long its agent thinks."""
    alive = (Process.Phase.STARTING, Process.Phase.RUNNING)
    return Process.objects.filter(purpose=Process.Purpose.AGENT, phase__in=alive).values_list("pk", flat=True)


@require_safe
def process(request: Request, number: int) -> HttpResponse:
    return show_process(request, processes.observe(find(request.identity, number)))


def show_process(
    request: Request, found: Process, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    sessions = access.visible(request.identity).filter(process=found.pk).order_by("-active_at", "-pk")
    context = {
        "process": found,
        "brief": found.brief,
        "tail": processes.tail(found, TAIL_BYTES),
        "tail_bytes": TAIL_BYTES,
        "may_stop": not found.has_ended and request.identity.may_orchestrate,
        "refused": refused,
        "sessions": rows_of(request.identity, sessions[:5]),
    }
    template = "daemons/_process.html" if request.htmx else "daemons/process.html"
    return show(request, template, context, status)


@require_POST
def stop(request: Request, number: int) -> HttpResponse:
    found = find(request.identity, number)
    try:
        request.identity.require_orchestrator()
        processes.stop(found, actor=request.identity.actor)
    except Refusal as refusal:
        return show_process(request, found, refused=Refused.of(refusal, "stop", request), status=refusal.status_code)
    return redirect(found.get_absolute_url())
