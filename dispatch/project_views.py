"""What this room adds to the projects page: running the gates on a main branch again."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from briefs.views.door import Request
from core.errors import NotFound, Refusal
from dispatch.merge import mainline


@require_POST
def check_main(request: Request, slug: str) -> HttpResponse:
    """Run the project's gates once more on its main branch as it is."""
    found = request.identity.find_project(slug)
    if found is None:
        raise NotFound(f"There is no project '{slug}' for you.")
    request.identity.require_orchestrator()
    try:
        mainline.check_again(found)
    except Refusal as refusal:
        messages.error(request, refusal.sentence)
    else:
        messages.success(request, f"The gates run on {found.main_branch} of {found.slug} again.")
    return redirect(f"{reverse('projects')}#project-{found.slug}")
