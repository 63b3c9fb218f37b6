"""The projects page: the repositories that agents work on, and how work on them is set up and checked."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from briefs.forms import ProjectForm, read
from briefs.models import Project
from briefs.models.status import TERMINAL
from briefs.services import projects as services
from briefs.views.door import Refused, Request, show
from core.errors import NotFound, Refusal


@require_safe
def projects(request: Request) -> HttpResponse:
    return show(request, "briefs/projects.html", _context(request))


@require_POST
def project_add(request: Request) -> HttpResponse:
    request.identity.require_orchestrator()
    request.identity.require_unlimited()
    try:
        project = services.add(**read(ProjectForm(request.POST)))
    except Refusal as refusal:
        return _refuse(request, refusal, "add")
    messages.success(request, f"Project {project.slug} is here. Capture a brief for it.")
    for warning in services.warnings(project):
        messages.warning(request, warning)
    return redirect("board")


@require_http_methods(["GET", "HEAD", "POST"])
def project(request: Request, slug: str) -> HttpResponse:
    """Change how work on a project is set up and checked; who only looks is led to its place on the page."""
    found = request.identity.find_project(slug)
    if found is None:
        raise NotFound(f"There is no project '{slug}' for you.")
    if request.method != "POST":
        return redirect(f"{reverse('projects')}#project-{found.slug}")
    request.identity.require_orchestrator()
    try:
        typed = read(ProjectForm(request.POST))
        services.configure(
            found,
            setup_command=typed["setup_command"],
            gates=typed["gates"],
            auto_merge=typed["auto_merge"],
            branch_prefix=typed["branch_prefix"],
            submodules=typed["submodules"],
            keep_paths=typed["keep_paths"] if "keep_paths" in request.POST else None,
            git_programs=typed["git_programs"] if "git_programs" in request.POST else None,
            actor=request.identity.actor,
        )
    except Refusal as refusal:
        return _refuse(request, refusal, slug)
    messages.success(request, f"Project {slug} is changed.")
    return redirect("projects")


def _refuse(request: Request, refusal: Refusal, panel: str) -> HttpResponse:
    refused = Refused.of(refusal, panel, request)
    return show(request, "briefs/projects.html", {**_context(request), "refused": refused}, refusal.status_code)


def _context(request: Request) -> dict[str, Any]:
    rows = Project.objects.all()
    if request.identity.project is not None:
        rows = rows.filter(pk=request.identity.project)
    open_briefs = Count("briefs", filter=~Q(briefs__status__in=TERMINAL))
    return {"projects": rows.annotate(open_briefs=open_briefs).order_by("slug")}
