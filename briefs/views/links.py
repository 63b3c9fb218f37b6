"""What the Links and Projects panels do."""

from __future__ import annotations

from django import forms
from django.http import HttpResponse
from django.views.decorators.http import require_POST

from briefs.forms import read
from briefs.models import Link
from briefs.services import briefs, links
from briefs.views.brief import act
from briefs.views.door import Request
from core.errors import Forbidden, Invalid, NotFound


class LinkForm(forms.Form):
    kind = forms.CharField(required=False)
    target = forms.CharField(required=False)
    relation = forms.CharField(required=False)
    label = forms.CharField(required=False)


class ProjectForm(forms.Form):
    project = forms.CharField(required=False)
    change = forms.CharField(required=False)


@require_POST
def add(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    return act(
        request, found, "links", lambda: links.add(found, actor=request.identity.actor, **read(LinkForm(request.POST)))
    )


@require_POST
def remove(request: Request, number: int, link: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    one = Link.objects.select_related("brief").filter(brief=found, pk=link).first()
    if one is None:
        raise NotFound(f"Brief #{number} has no link {link} any more.")
    return act(request, found, "links", lambda: links.remove(one, actor=request.identity.actor))


@require_POST
def project(request: Request, number: int) -> HttpResponse:
    """``change``: primary, none (it belongs to no project), other (it concerns that one too) or gone."""
    found = request.identity.find_brief(number)
    actor = request.identity.actor

    def change() -> None:
        typed = read(ProjectForm(request.POST))
        chosen = request.identity.find_project(typed["project"]) if typed["project"] else None
        if typed["change"] == "none":
            if request.identity.project is not None:
                raise Forbidden("This token is limited to one project; it cannot take briefs out of it.")
            briefs.set_project(found, None, actor=actor)
            return
        if chosen is None:
            raise Invalid("Choose a project first.")
        if typed["change"] == "primary":
            briefs.set_project(found, chosen, actor=actor)
        elif typed["change"] in {"other", "gone"}:
            briefs.set_other_project(found, chosen, typed["change"] == "other", actor=actor)
        else:
            raise Invalid("Say whether the project is the primary one or a further one.")

    return act(request, found, "scope", change)
