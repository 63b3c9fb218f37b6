"""The pages of dispatching, and what this room adds to the board and to the brief page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django import forms
from django.core.paginator import Paginator
from django.db.models import Max
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from briefs.forms import Words, read
from briefs.models import Brief, TraceEntry
from briefs.views import rooms
from briefs.views.board import capture_brief, refuse_capture
from briefs.views.brief import act
from briefs.views.capture import BY_HAND
from briefs.views.door import Refused, Request, show
from core.errors import Refusal
from core.lifecycle import words
from daemons.models import AgentProgram
from dispatch import changes, claims, leftovers, lifecycle, outlook, policy, retries, review, services, waves
from dispatch import merge as merging
from dispatch.line import Line
from dispatch.models import ACTIVE, HELD, DispatchRequest, State
from dispatch.next_step import Code, NextStep
from dispatch.tools import find_worktree
from transcripts import costs
from worktrees import diffs, git
from worktrees import services as worktrees
from worktrees.models import Worktree

ON_A_PAGE: Final = 50
ON_A_BRIEF: Final = 10
WAY: Final = (State.QUEUED, State.PREPARING, State.RUNNING, State.FINISHED, State.MERGING, State.DONE)


class DispatchForm(forms.Form):
    agent = forms.CharField(required=False)
    kind = forms.CharField(required=False)
    branch = forms.CharField(required=False)
    base = forms.CharField(required=False)
    worktree = forms.IntegerField(required=False)


class WhyForm(forms.Form):
    why = Words()


# --- on the brief page ------------------------------------------------------------------------------------------------


@rooms.panel("dispatch")
def panel(request: Request, brief: Brief, refused: Refused | None) -> dict[str, Any]:
    requests = DispatchRequest.objects.filter(brief=brief).select_related("program", "claimed_by").defer("packet")
    shown = list(requests[: ON_A_BRIEF + 1])
    why_not = services.explain(brief)
    typed = refused.typed if refused and refused.panel == "dispatch" else {}
    last = leftovers.newest_run(brief) if not why_not else None
    way = retries.way_after(last) if last is not None else None
    return {
        "requests": shown[:ON_A_BRIEF],
        "more": len(shown) > ON_A_BRIEF,
        "programs": list(AgentProgram.objects.filter(enabled=True).values_list("name", flat=True)),
        "may": not why_not,
        "why_not": why_not if not shown or not shown[0].is_active else "",
        "typed": typed,
        "review": _review(request, shown),
        "way": way,
        "kind": _offered_kind(way),
        "last_agent": next((row.program.name for row in shown if row.program), ""),
        "kinds": _kinds(brief, way),
        "worktrees": _free_worktrees(brief),
        "base": services.base_of_build(brief) or (brief.project.main_branch if brief.project else ""),
        "steps": _told(brief),
        "waves": _waves(brief),
    }


def _offered_kind(way: retries.Way | None) -> str:
    """What the form offers first: to go on with what the last run left, where it left something."""
    if way is None or way.left is None or not (way.left.has_work or way.kind == DispatchRequest.Kind.REWORK):
        return ""
    return str(DispatchRequest.Kind.RESUME if way.goes_on else way.kind)


def _kinds(brief: Brief, way: retries.Way | None) -> list[str]:
    """The kinds that a person can choose: of going on and reworking only what there is something for."""
    kind = DispatchRequest.Kind
    found = [kind.RESUME] if way is not None and way.goes_on else []
    found += [kind.REWORK] if retries.newest_work(brief) is not None else []
    return [str(one) for one in (*found, kind.FRESH, kind.DIRECT)]


def _told(brief: Brief) -> list[NextStep]:
    """What the panel says of what is next: not what its own form, or the status beside it, says already."""
    plain = {Code.DISPATCH, Code.ENDED, Code.SET_ASIDE, Code.CHOOSE_PROJECT}
    found = [step for step in outlook.steps(brief) if step.code not in plain]
    return [step for step in found if step.code != Code.PLAN or step.is_automatic]


def _free_worktrees(brief: Brief) -> list[Worktree]:
    """Checkouts that this brief's work could happen in, besides a new one."""
    if brief.project is None:
        return []
    ready = Worktree.objects.filter(project=brief.project, state=Worktree.State.READY)
    free = ready.exclude(dispatch_requests__state__in=HELD).distinct().order_by("-pk")[:30]
    return [worktree for worktree in free if not worktree.is_missing]


def _waves(brief: Brief) -> waves.Graph | None:
    rows = DispatchRequest.objects.filter(brief=brief).select_related("program", "claimed_by").defer("packet")
    numbers = lifecycle.waves(brief.pk)
    if len(set(numbers.values())) < 2:
        return None
    runs = [
        waves.Run(row.pk, numbers[row.pk], _who(row), row.state, row.claimed_at or row.created_at, row.ended_at)
        for row in rows.order_by("-pk")[:60]
        if row.pk in numbers
    ]
    return waves.graph(runs, timezone.now())


def _who(row: DispatchRequest) -> str:
    if row.claimed_by is not None:
        return row.claimed_by.ref
    return row.program.name if row.program else "nobody yet"


def _review(request: Request, shown: list[DispatchRequest]) -> review.Review | None:
    """The finished work that waits for a person; else the newest request, where that met a conflict."""
    finished = (row for row in shown if row.state == State.FINISHED and row.kind != DispatchRequest.Kind.DESIGN)
    waits = next(finished, None) or (shown[0] if shown else None)
    return review.of(waits, request.identity) if waits is not None else None


@require_POST
def dispatch_brief(request: Request, number: int) -> HttpResponse:
    """The brief page's Dispatch."""
    found = request.identity.find_brief(number)

    def hand_off() -> None:
        policy.check_dispatch(request.identity, found)
        typed = read(DispatchForm(request.POST))
        worktree = find_worktree(request.identity, typed.pop("worktree") or None)
        services.dispatch(found, actor=request.identity.actor, worktree=worktree, **typed)

    return act(request, found, "dispatch", hand_off)


@require_POST
def capture_and_dispatch(request: Request) -> HttpResponse:
    """The board's Capture & dispatch, in one step. What cannot be dispatched is captured all the same."""
    try:
        request.identity.require_orchestrator()
        brief = capture_brief(request)
    except Refusal as refusal:
        return refuse_capture(request, refusal)
    address = brief.get_absolute_url()
    try:
        agent = request.POST.get("agent", first_program())
        services.dispatch(brief, actor=request.identity.actor, agent="" if agent == BY_HAND else agent)
    except Refusal:
        address = f"{address}#dispatch"  # its panel says why it cannot be dispatched, and what to do
    return HttpResponseClientRedirect(address) if request.htmx else redirect(address)


def first_program() -> str:
    """The agent program that is taken when nobody chose: the one used last, else the first; none: an agent claims."""
    enabled = list(AgentProgram.objects.filter(enabled=True).values_list("name", flat=True))
    last = DispatchRequest.objects.exclude(program=None).values_list("program__name", flat=True).first()
    return last if last in enabled else next(iter(enabled), "")


# --- on the board -----------------------------------------------------------------------------------------------------


@rooms.on_board
def on_board(briefs: list[int]) -> dict[int, rooms.Now]:
    newest = DispatchRequest.objects.filter(brief__in=briefs).order_by().values("brief").annotate(newest=Max("pk"))
    rows = DispatchRequest.objects.filter(pk__in=newest.values("newest")).select_related(
        "program", "project", "claimed_by"
    )
    requests = list(rows.defer("packet", "summary", "handoff", "changes"))
    said = _last_words([request.brief_id for request in requests if request.state == State.RUNNING])
    waits = _waits(requests)
    return {
        request.brief_id: _now(request, said.get(request.brief_id, ""), waits.get(request.pk)) for request in requests
    }


def _waits(requests: list[DispatchRequest]) -> dict[int, NextStep]:
    """Why those that stand in a line wait, and where. A fixed number of queries but for merges, which are few."""
    going = [row for row in requests if row.state in {State.QUEUED, State.MERGING}]
    line = Line.now() if any(row.state == State.QUEUED for row in going) else None
    found = {row.pk: outlook.of_request(row, line) for row in going}
    return {number: step for number, step in found.items() if step.waits}


def _last_words(briefs: list[int]) -> dict[int, str]:
    """The newest progress line of each brief."""
    progress = TraceEntry.objects.filter(brief__in=briefs, kind=TraceEntry.Kind.PROGRESS)
    newest = progress.order_by().values("brief").annotate(newest=Max("pk")).values("newest")
    return dict(TraceEntry.objects.filter(pk__in=newest).values_list("brief", "body"))


def _now(request: DispatchRequest, said: str, waits: NextStep | None = None) -> rooms.Now:
    agent = request.program.name if request.program else "by hand"
    line = f"now: {' '.join(said.split())[:200]}" if said else ""
    if request.state in {State.DONE, State.CANCELLED}:
        return rooms.Now()
    if request.failure:
        line = " ".join(request.failure.split())[:200]
    elif request.state == State.FINISHED and request.project and not request.project.auto_merge:
        line = f"dispatch {request.pk} waits for you: review or merge"
    elif request.state == State.QUEUED and request.program is None:
        line = "waits for an agent to claim it"
    elif waits is not None:
        line = waits.sentence
    if request.state == State.FINISHED and request.failure_class:
        label = {"gate": "gate red", "main_red": "main is red"}.get(request.failure_class, "not merged")
        return rooms.Now("failed", label, agent, line)
    return rooms.Now(request.state, words(request.state), agent, line)


# --- pages of their own -----------------------------------------------------------------------------------------------


@require_safe
def dispatches(request: Request) -> HttpResponse:
    rows = DispatchRequest.objects.select_related("brief", "program", "claimed_by", "project")
    rows = rows.defer("packet", "brief__spec", "summary", "handoff", "changes").order_by("-pk")
    if request.identity.project is not None:
        rows = rows.filter(brief__project=request.identity.project)
    state = request.GET.get("state", "")
    if state == "active":
        rows = rows.filter(state__in=ACTIVE)
    elif state in State.values:
        rows = rows.filter(state=state)
    page = Paginator(rows, ON_A_PAGE).get_page(request.GET.get("page"))
    waits = _waits(list(page))
    template = "dispatch/_list.html" if request.htmx else "dispatch/dispatches.html"
    return show(
        request,
        template,
        {"page": page, "rows": [(row, waits.get(row.pk)) for row in page], "state": state, "states": State.values},
    )


@require_safe
def dispatch(request: Request, number: int) -> HttpResponse:
    return show_dispatch(request, claims.find(request.identity, number))


def show_dispatch(
    request: Request, found: DispatchRequest, *, refused: Refused | None = None, status: int = 200
) -> HttpResponse:
    may_retry = (
        retries.may_retry(found)
        and policy.may_retry(request.identity, found)
        and not services.explain(found.brief, instead_of=found)
    )
    left = leftovers.of_run(found) if found.state in leftovers.UNMERGED else None
    runs = list(found.gate_runs.select_related("process").order_by("-attempt", "ordinal"))
    context = {
        "found": found,
        "brief": found.brief,
        "steps": _steps(found),
        "runs": runs,
        "spent": costs.of_run(found.pk),
        "refused": refused,
        "review": review.of(found, request.identity),
        "changes": changes.read(found.changes),
        "may_cancel": found.is_active and not found.landing and policy.may_cancel(request.identity, found),
        "next": outlook.of_request(found) if found.is_active else None,
        "left": left,
        "way": retries.way_after(found, left) if may_retry else None,
        "head": found.head_sha,
        "running": worktrees.leftovers_of(found.worktree) if found.worktree and not found.is_active else [],
    }
    if request.htmx:
        return show(request, "dispatch/_parts.html", {**context, "oob": True}, status)
    return show(request, "dispatch/dispatch.html", context, status)


@dataclass(frozen=True)
class Step:
    """A stage of the way of a request: ``past``, ``here`` or still to come."""

    state: str
    place: str
    at: datetime | None


def _steps(found: DispatchRequest) -> list[Step]:
    times = {
        State.QUEUED: found.created_at,
        State.PREPARING: found.claimed_at,
        State.RUNNING: found.started_at,
        State.FINISHED: found.finished_at,
    }
    if found.state in {State.FAILED, State.CANCELLED, State.CONFLICTED}:
        passed = [Step(state, "past", at) for state, at in times.items() if at is not None]
        return [*passed, Step(found.state, "here", found.ended_at)]
    here = WAY.index(State.PREPARING if found.state == State.CLAIMED else State(found.state))
    places = ["past"] * here + ["here"] + [""] * (len(WAY) - here - 1)
    if found.state == State.DONE:
        places[-1] = "here"
    return [
        Step(state, place, found.ended_at if state == State.DONE else times.get(state) if place else None)
        for state, place in zip(WAY, places, strict=True)
    ]


@dataclass(frozen=True)
class Work:
    """What is on the branch of a request on top of its base, as git says it now."""

    commits: list[git.Commit]
    diff: diffs.Diff | None
    error: str = ""


@require_safe
def dispatch_diff(request: Request, number: int) -> HttpResponse:
    """The commits and the diff: asked for by the page once it is there, since git is asked."""
    found = claims.find(request.identity, number)
    template = "dispatch/_diff.html" if request.htmx else "dispatch/diff.html"
    return show(request, template, {"found": found, "brief": found.brief, "work": _work(found)})


def _work(found: DispatchRequest) -> Work:
    if found.project is None or not found.base_sha:
        return Work([], None)
    try:
        repository = worktrees.repository(found.project)
        head = found.head_sha or (found.branch if repository.has_branch(found.branch) else "")
        if not head:
            return Work([], None)
        counted = changes.read(found.changes)
        base = counted.base if counted else found.base_sha
        text = repository.diff(base, head, limit_bytes=400_000)
        return Work(repository.commits(base, head, limit=50), diffs.parse(text, max_lines=5_000))
    except git.GitError as error:
        return Work([], None, str(error))


@require_safe
def packet(request: Request, number: int) -> HttpResponse:
    """The packet alone, as text: what the copy button takes, and what one opens without a script."""
    found = claims.find(request.identity, number)
    return HttpResponse(found.packet, content_type="text/plain; charset=utf-8")


@require_POST
def merge(request: Request, number: int) -> HttpResponse:
    found = claims.find(request.identity, number)
    try:
        policy.check_merge(request.identity, found)
        merging.ask(found, actor=request.identity.actor)
    except Refusal as refusal:
        return _refuse(request, found, refusal, "merge")
    return redirect(found.get_absolute_url())


@require_POST
def cancel(request: Request, number: int) -> HttpResponse:
    found = claims.find(request.identity, number)
    try:
        why = read(WhyForm(request.POST))["why"].strip()
        services.give_up(found, why or "called off", identity=request.identity, called_off=True)
    except Refusal as refusal:
        return _refuse(request, found, refusal, "cancel")
    return redirect(found.get_absolute_url())


@require_POST
def retry(request: Request, number: int) -> HttpResponse:
    found = claims.find(request.identity, number)
    try:
        policy.check_retry(request.identity, found)
        fresh = request.POST.get("kind") == DispatchRequest.Kind.FRESH
        made = services.retry(found, actor=request.identity.actor, fresh=fresh)
    except Refusal as refusal:
        return _refuse(request, found, refusal, "retry")
    return redirect(reverse("dispatch", args=[made.pk]))


def _refuse(request: Request, found: DispatchRequest, refusal: Refusal, panel_: str) -> HttpResponse:
    found = claims.find(request.identity, found.pk)
    return show_dispatch(request, found, refused=Refused.of(refusal, panel_, request), status=refusal.status_code)
