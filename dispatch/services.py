"""Handing briefs to agents: ask for it, report, complete, give up. Merging is in dispatch/merge/."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Brief, Project
from briefs.services import actors, recall
from briefs.services.recall import iso
from core import live
from core.errors import Conflict, Invalid
from core.lifecycle import words
from core.prepared import Prepared
from daemons.models import AgentProgram
from daemons.services import programs
from dispatch import changes, claims, completion, leftovers, lifecycle, outlook, packets, policy, retries
from dispatch.merge import mainline
from dispatch.models import ACTIVE, HELD, LONGEST_NAME, DispatchRequest, State
from worktrees import git
from worktrees import services as worktrees
from worktrees.models import Worktree

Kind = DispatchRequest.Kind


def explain(brief: Brief, *, beside: bool = False, instead_of: DispatchRequest | None = None) -> str:
    """Why a brief cannot be dispatched now: one sentence, empty when it can. Arguments as for outlook.obstacle."""
    found = outlook.obstacle(brief, beside=beside, instead_of=instead_of)
    return found.sentence if found is not None else ""


def dispatch(
    brief: Brief,
    *,
    actor: Actor,
    agent: str = "",
    kind: str = "",
    branch: str = "",
    base: str = "",
    worktree: Worktree | None = None,
    beside: bool = False,
    reworks: DispatchRequest | None = None,
) -> DispatchRequest:
    """Hand a brief to an agent. With ``agent`` (a program's name) flower starts it; without, some agent claims it.

    Without a ``kind`` it goes on where the last run stopped, if that left work that is not merged (a ``resume`` in its
    worktree, else a ``rework``); else it is a fresh start, or a design pass where the brief's design-loop is on.

    ``base`` is resolved to a commit now, so that the work begins where it was meant to. ``beside`` allows a second
    active request. The packet of a rework or a resume tells of the request that it ``reworks`` (the brief's newest one
    that ran, if not said); where that is finished and its merge was refused, it ends with this. Raises Refusal with the
    reason, and changes nothing.
    """
    if kind and kind not in DispatchRequest.Kind.values:
        raise Invalid(f"'{kind}' is no kind of dispatch; it is one of {', '.join(DispatchRequest.Kind.values)}.")
    if reason := explain(brief, beside=beside, instead_of=reworks or retries.newest_work(brief)):
        raise Conflict(reason)
    way = retries.choose(brief, kind, reworks, worktree, is_free=not (branch or base or beside))
    kind, earlier, worktree = way.kind, way.earlier, way.worktree or worktree
    if reason := explain(brief, beside=beside, instead_of=earlier):
        raise Conflict(reason)
    project = brief.project
    assert project is not None
    program = programs.find(agent) if agent else None
    if program is not None:
        programs.check_installed(program)
    ordinal = DispatchRequest.objects.filter(brief=brief).count() + 1
    told = _earlier(earlier, way) if earlier is not None else None
    takes_over = told is not None and told.head  # the design's document comes along with that
    if worktree is None and kind != DispatchRequest.Kind.DESIGN and not takes_over:
        base = base or base_of_build(brief)
    if way.goes_on and earlier is not None:
        if branch or base:
            raise Invalid(f"A resume goes on on {earlier.branch}, from its base; leave out 'branch' and 'base'.")
        branch, base, base_sha = _target(project, brief, "", earlier.base_sha, worktree, ordinal)
        base = earlier.base or base
    else:
        branch, base, base_sha = _target(project, brief, branch, base, worktree, ordinal)
    _remember_main(project)
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if earlier is not None:
            earlier.refresh_from_db()
        if reason := explain(brief, beside=beside, instead_of=earlier):
            raise Conflict(reason)
        if earlier is not None and earlier.is_stuck and not beside:
            _give_way(earlier, actor)
            brief.refresh_from_db()
        request = _make(brief, project, actor, program, kind, branch, base, base_sha, worktree, beside, told)
        data: dict[str, Any] = {"dispatch": request.pk, "agent": agent or None, "branch": branch, "kind": request.kind}
        if earlier is not None:
            data["resumes" if way.goes_on else "reworks"] = earlier.pk
        trace.append(brief, trace.Kind.DISPATCHED, actor=actor, data=data)
        lifecycle.roll_up(brief, actor)
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def retry(request: DispatchRequest, *, actor: Actor, fresh: bool = False) -> DispatchRequest:
    """The same hand-off once more, by the same program. What the run left is gone on with; see ``retries.way_after``.

    ``fresh`` begins anew, on a branch of its own from the main branch as it is now; what was left stays where it is.
    Raises Refusal with the reason.
    """
    if not retries.may_retry(request):
        raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; there is nothing to do over.")
    agent = request.program.name if request.program else ""
    if fresh:
        kind = Kind.DESIGN if request.kind == Kind.DESIGN else Kind.FRESH
        if request.is_stuck:
            raise Conflict(f"Dispatch {request.pk} is finished; a rework takes its work over, or cancel it first.")
        return dispatch(request.brief, actor=actor, agent=agent, kind=kind)
    way = retries.way_after(request)
    if way.worktree is not None:
        return dispatch(request.brief, actor=actor, agent=agent, kind=Kind.RESUME, reworks=request)
    return dispatch(request.brief, actor=actor, agent=agent, kind=way.kind, reworks=way.earlier)


def _remember_main(project: Project) -> None:
    """What an agent does to the main branch is noticed against where it was before that agent began."""
    with suppress(git.GitError):  # a repository without its main branch: the merge says so
        mainline.remember(project, worktrees.repository(project))


def _earlier(request: DispatchRequest, way: retries.Way) -> packets.Earlier:
    """What the packet tells of an earlier request's work, and what git says of it now."""
    left = way.left or leftovers.of_run(request)
    if request.project is None:
        return packets.Earlier(request, "", left)
    repository = worktrees.repository(request.project)
    try:
        head = request.head_sha or left.head
        commits = repository.commits(request.base_sha, head, limit=packets.COMMITS) if head else []
        count = repository.count_commits(request.base_sha, head) if head else 0
        return packets.Earlier(request, head if count else "", left, tuple(commits), way.goes_on)
    except git.GitError:  # no such branch (any more)
        return packets.Earlier(request, "", left, (), way.goes_on)


def _give_way(request: DispatchRequest, actor: Actor) -> None:
    """End finished work that cannot be merged, for a rework of it. Its failure stays as it is."""
    lifecycle.move(
        request,
        State.FAILED,
        actor=actor,
        kind=trace.Kind.FAILED,
        body=f"Dispatch {request.pk} is not merged; a rework takes its work over.",
        data={"class": request.failure_class},
        why=f"dispatch {request.pk} gives way to a rework",
    )


def base_of_build(brief: Brief) -> str:
    """The branch of the design pass right before, so that its document comes along; empty for MAIN's branch."""
    done = DispatchRequest.objects.filter(brief=brief, state=State.DONE).order_by("-pk").first()
    if done is None or done.kind != DispatchRequest.Kind.DESIGN or done.no_changes:
        return ""
    return done.branch


def _target(
    project: Project, brief: Brief, branch: str, base: str, worktree: Worktree | None, ordinal: int
) -> tuple[str, str, str]:
    """Branch, base and the base's commit id. Asks git; raises Invalid with git's reason."""
    if worktree is not None:
        if worktree.project_id != project.pk or worktree.state != Worktree.State.READY:
            raise Invalid(
                f"Worktree {worktree.name} is {worktree.state} in {worktree.project.slug}; it cannot be used."
            )
        if worktree.is_missing:
            raise Invalid(f"The folder of worktree {worktree.name} is gone ({worktree.path}); take another one.")
        branch, base = worktree.branch, base or worktree.base_sha
    base = base or project.main_branch
    _check_length("branch", branch)
    _check_length("base", base)
    try:
        repository = worktrees.repository(project)
        taken = repository.branches()
        branch = branch or worktrees.branch_name(brief, ordinal, worktrees.branch_prefix(project, taken))
        if branch == project.main_branch:
            raise Invalid(f"{branch} is MAIN's branch; agents work on a branch of their own.")
        if worktree is None:
            worktrees.check_new_branch(taken, branch)
        return branch, base, repository.resolve(base)
    except git.GitError as error:
        raise Invalid(str(error)) from error


def _check_length(what: str, name: str) -> None:
    if len(name) > LONGEST_NAME:  # SQLite would take it, MySQL would not
        raise Invalid(f"The name of the {what} has {len(name)} characters; {LONGEST_NAME} are possible.")


def _make(
    brief: Brief,
    project: Project,
    actor: Actor,
    program: AgentProgram | None,
    kind: str,
    branch: str,
    base: str,
    base_sha: str,
    worktree: Worktree | None,
    beside: bool,
    earlier: packets.Earlier | None,
) -> DispatchRequest:
    try:
        with transaction.atomic():
            request = DispatchRequest.objects.create(
                brief=brief,
                only_active=None if beside else brief.pk,
                project=project,
                kind=kind or DispatchRequest.Kind.FRESH,
                program=program,
                branch=branch,
                base=base,
                base_sha=base_sha,
                worktree=worktree,
                created_by=actor,
            )
    except IntegrityError:
        raise Conflict(f"Brief #{brief.pk} was dispatched by somebody else a moment ago.") from None
    path = worktree.checkout if worktree else worktrees.place(project, worktree_name(request))
    request.packet = packets.render(
        brief,
        project,
        kind=request.kind,
        branch=branch,
        base=base,
        base_sha=base_sha,
        worktree=path,
        earlier=earlier,
    )
    request.save(update_fields=["packet"])
    return request


def worktree_name(request: DispatchRequest) -> str:
    """A request's own worktree: the branch and the request's number, so that no name comes twice."""
    prefix = f"{request.project.branch_prefix}/" if request.project else ""
    return f"{request.branch.removeprefix(prefix).replace('/', '-')[:80]}-d{request.pk}"


def progress(request: DispatchRequest, note: str, *, identity: Identity, fence: int | None = None) -> int:
    """Report progress; this renews the lease. Returns the trace entry's number."""
    if not note.strip():
        raise Invalid("Say in a line what was done or comes next.")
    with transaction.atomic():
        trace.lock(request.brief)
        claims.renew(request, policy.check_holder(identity, request, fence))
        entry = trace.append(
            request.brief, trace.Kind.PROGRESS, actor=identity.actor, body=note.strip(), data={"dispatch": request.pk}
        )
    return entry.seq


def note_start(request: DispatchRequest, *, expecting: int) -> None:
    """-> running, with the agent's process on the trace. Nothing, when the request is beyond that already.

    A quick agent may complete, or be cancelled, before whoever started it gets to say so.
    """
    with transaction.atomic():
        trace.lock(request.brief)
        request.refresh_from_db()
        if request.state not in {State.CLAIMED, State.PREPARING} or request.process is None or request.program is None:
            return
        lifecycle.move(
            request,
            State.RUNNING,
            actor=actors.system(),
            kind=trace.Kind.PROCESS,
            data={"process": request.process.pk, "agent": request.program.name, "state": "running"},
            expecting=expecting,
            started_at=request.process.started_at or timezone.now(),
        )


def complete(
    request: DispatchRequest,
    *,
    identity: Identity,
    summary: str = "",
    handoff: str = "",
    no_changes: bool = False,
    fence: int | None = None,
) -> DispatchRequest:
    """Say that the work is finished: checked against git, then final. The same call again gives the same answer.

    Work is finished when the worktree is clean and its branch has commits on top of the base, or when ``no_changes`` is
    said and there are none. Raises Conflict with what is missing, and changes nothing.
    """
    fence = policy.check_holder(identity, request, fence)
    if request.state not in HELD:
        return _completed_before(request, fence, summary, no_changes)
    if fence != request.fence:
        raise Conflict(lifecycle.wrong_fence(request, fence))
    head = completion.check(request, no_changes=no_changes)
    changed = _changes(request, head)
    with transaction.atomic():
        note_start(request, expecting=fence)
        if request.state not in HELD:  # the same call came twice at once
            return _completed_before(request, fence, summary, no_changes)
        lifecycle.move(
            request,
            State.FINISHED,
            actor=identity.actor,
            kind=trace.Kind.COMPLETED,
            body=summary.strip(),
            data={"commit": head, "no_changes": no_changes, "handoff": handoff.strip()},
            expecting=fence,
            summary=summary.strip(),
            handoff=handoff.strip(),
            no_changes=no_changes,
            head_sha=head,
            changes=changed.as_value() if changed else None,
            finished_at=timezone.now(),
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def _changes(request: DispatchRequest, head: str) -> changes.Changes | None:
    assert request.project is not None
    try:
        repository = worktrees.repository(request.project)
        return changes.summarize(repository, request.base_sha, head, request.project.main_branch)
    except git.GitError:  # the main branch is gone, say: that is told where it matters, at the merge
        return None


def _completed_before(request: DispatchRequest, fence: int, summary: str, no_changes: bool) -> DispatchRequest:
    same = (request.fence, request.summary, request.no_changes) == (fence, summary.strip(), no_changes)
    if request.finished_at is not None and same:
        return request
    if request.finished_at is not None:
        raise Conflict(
            f"Dispatch {request.pk} was completed already at {iso(request.finished_at)}; nothing was changed."
        )
    raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; it cannot be completed.")


def give_up(
    request: DispatchRequest, why: str, *, identity: Identity, fence: int | None = None, called_off: bool = False
) -> DispatchRequest:
    """Fail a request, or call it off, as its holder or as somebody who orchestrates. Raises Refusal otherwise."""
    expecting = policy.check_end(identity, request, fence)
    among = None if identity.may_orchestrate else HELD
    end = cancel if called_off else fail
    return end(request, why, actor=identity.actor, expecting=expecting, among=among)


def fail(
    request: DispatchRequest,
    why: str,
    *,
    actor: Actor,
    failure_class: str = "agent",
    expecting: int | None = None,
    among: frozenset[State] | None = None,
) -> DispatchRequest:
    """End a request that will not be finished.

    ``failure_class`` is a word to filter by: agent, spawn, exited, stopped, lost, worktree, internal.
    """
    told = f"dispatch {request.pk} failed"
    return _end(request, State.FAILED, why, failure_class, told, actor, expecting, among)


def cancel(
    request: DispatchRequest,
    why: str,
    *,
    actor: Actor,
    expecting: int | None = None,
    among: frozenset[State] | None = None,
) -> DispatchRequest:
    """Call a request off: its agent or gate is stopped, its worktree stays until somebody removes it.

    A merge, too, until its ref moves. Raises Conflict when it is too late.
    """
    told = f"dispatch {request.pk} was cancelled"
    return _end(request, State.CANCELLED, why, "cancelled", told, actor, expecting, among)


def _end(
    request: DispatchRequest,
    state: State,
    why: str,
    failure_class: str,
    told: str,
    actor: Actor,
    expecting: int | None,
    among: frozenset[State] | None,
) -> DispatchRequest:
    if not why.strip():
        raise Invalid("Say why.")
    with transaction.atomic():
        lifecycle.move(
            request,
            state,
            actor=actor,
            kind=trace.Kind.FAILED,
            body=why.strip(),
            data={"class": failure_class},
            expecting=expecting,
            among=among,
            failure=why.strip(),
            failure_class=failure_class,
            why=told,
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


_recalled_rows = Prepared(
    lambda brief: DispatchRequest.objects.filter(brief=brief).values_list(
        "pk",
        "state",
        "kind",
        "program__name",
        "branch",
        "claimed_by__ref",
        "summary",
        "failure",
        "created_at",
        "ended_by__ref",
    )[:20]
)


@recall.section("dispatches")
def recall_section(brief: int) -> list[dict[str, Any]]:
    """The part of recall_brief's answer that tells of a brief's requests, newest first."""
    return [
        {
            "dispatch": pk,
            "status": state,
            "kind": kind,
            "agent": program,
            "branch": branch,
            "claimed_by": claimed_by,
            "summary": summary[:500],
            "failure": failure[:500],
            "at": iso(at),
            "ended_by": ended_by,
        }
        for pk, state, kind, program, branch, claimed_by, summary, failure, at, ended_by in _recalled_rows(brief)
    ]


def guard_manual_move(brief: Brief) -> str | None:
    """For briefs.lifecycle: the status of a brief with an active request follows from the request."""
    rows = DispatchRequest.objects.filter(brief=brief, state__in=ACTIVE)
    active = rows.select_related("project", "program", "claimed_by").first()
    if active is None:
        return None
    return (
        f"{outlook.of_request(active).sentence} The status of brief #{brief.pk} follows from that; "
        f"cancel dispatch {active.pk} first to move it by hand."
    )


def at_work_in(worktrees: Sequence[int]) -> dict[int, list[int]]:
    """For worktrees.recalling: the numbers of the active requests that work in some worktrees, or will."""
    found: dict[int, list[int]] = {}
    rows = DispatchRequest.objects.filter(worktree__in=worktrees, state__in=ACTIVE).order_by("pk")
    for worktree, number in rows.values_list("worktree", "pk"):
        found.setdefault(worktree, []).append(number)
    return found


def guard_removal(worktree: Worktree) -> str | None:
    """For worktrees.services: a worktree stays while a request works in it, or will."""
    active = DispatchRequest.objects.filter(worktree=worktree, state__in=ACTIVE).first()
    if active is None:
        return None
    return (
        f"Dispatch {active.pk}, which is {words(active.state)}, works in worktree {worktree.name}. "
        "Complete, merge or cancel it first."
    )
