"""The baselines that are HTTP: a bare view with recall_brief's queries, and a bare group_send."""

from __future__ import annotations

import time

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, JsonResponse

from bench.consumers import GROUP
from briefs.models import Brief, Dependency, Link, Participant, Project, Question, TraceEntry
from dispatch.models import DispatchRequest


@login_not_required
def brief(request: HttpRequest, number: int) -> JsonResponse:
    """The same ten queries as recall_brief (tests/bench holds the two together), and their rows as JSON, as they are.

    Nothing else: no token, no scope, no budget, no cutting, no derived field.
    """
    found = Brief.objects.filter(pk=number).first()
    project = Project.objects.filter(briefs=number).values("slug", "main_branch")
    edges = Dependency.objects.filter(Q(brief=number) | Q(depends_on=number)).values(
        *("brief_id", "brief__title", "brief__status", "brief__project"),
        *("depends_on_id", "depends_on__title", "depends_on__status", "depends_on__project"),
        "accepted_at",
    )
    children = Brief.objects.filter(parent=number).order_by("pk").values("pk", "title", "status", "project")[:200]
    questions = Question.objects.filter(brief=number).values(
        "pk", "body", "options", "blocking", "asked_by__ref", "answer", "answered_at"
    )
    dispatches = DispatchRequest.objects.filter(brief=number).values(
        "pk", "state", "kind", "program__name", "branch", "claimed_by__ref", "summary", "failure", "created_at"
    )[:20]
    trace = (
        TraceEntry.objects.filter(brief=number)
        .order_by("-seq")
        .values("seq", "kind", "source", "actor_ref", "body", "data", "at")[:100]
    )
    participants = Participant.objects.filter(brief=number).values("actor__ref", "role", "joined_at", "left_at")[:100]
    others = Brief.other_projects.through.objects.filter(brief=number).values("project__slug", "project__main_branch")
    links = Link.objects.filter(brief=number).values("kind", "target", "label", "relation")[:100]
    answer = JsonResponse(
        {
            "brief": found.pk,
            "title": found.title,
            "status": found.status,
            "spec": found.spec,
            "spec_version": found.spec_version,
            "project": list(project),
            "other_projects": list(others),
            "depends_on": list(edges),
            "children": list(children),
            "questions": list(questions),
            "dispatches": list(dispatches),
            "trace": list(trace),
            "participants": list(participants),
            "links": list(links),
        }
    )
    answer.headers["Content-Length"] = len(answer.content)  # else daphne sends it in chunks
    return answer


@login_not_required
def hint(request: HttpRequest, number: int) -> HttpResponse:
    """One group_send, made as core/live.py makes its own, and nothing before or after it."""
    async_to_sync(get_channel_layer().group_send)(GROUP, {"type": "bare.hint", "number": number, "at": time.time()})
    return HttpResponse(b"", headers={"Content-Length": 0})
