"""Handing briefs to agents: ask for it, report, complete, give up. Merging is in dispatch/merging.py."""

from __future__ import annotations

from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Brief, Project
from briefs.models.brief import Status
from briefs.services import actors, recall
from briefs.services.recall import iso
from daemons.models import AgentProgram
from daemons.services import programs
from dispatch import claims, lifecycle, packets
from dispatch.models import ACTIVE, HELD, LONGEST_NAME, DispatchRequest, State
from flower import live
from flower.errors import Conflict, Invalid
from flower.lifecycle import words
from flower.prepared import Prepared
from worktrees import git
from worktrees import services as worktrees
from worktrees.models import Worktree

DISPATCHABLE: Final = frozenset(
    {Status.IDEA, Status.REFINING, Status.PLANNED, Status.DISPATCHED, Status.IN_PROGRESS, Status.IN_REVIEW}
)


def explain(brief: Brief, *, beside: bool = False) -> str:
    """Why a brief cannot be dispatched now: one sentence, empty when it can."""
    if brief.is_terminal:
        return f"Brief #{brief.pk} is {words(brief.status)}: dispatch is closed. Reopen it first."
    if brief.status not in DISPATCHABLE:
        return f"Brief #{brief.pk} is {words(brief.status)}; move it back to planned first."
    if brief.project is None:
        return f"Brief #{brief.pk} belongs to no project; say on which repository the work happens."
    if waits := brief.waits_for():
        return f"Brief #{brief.pk} is blocked: it waits for {', '.join(waits)}."
    active = None if beside else DispatchRequest.objects.filter(brief=brief, state__in=ACTIVE).first()
    if active is not None:
        return f"Dispatch {active.pk} of brief #{brief.pk} is {words(active.state)} already; one at a time."
    return ""


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
) -> DispatchRequest:
    """Hand a brief to an agent. With ``agent`` (a program's name) flower starts it; without, some agent claims it.

    Without a ``kind`` it is a fresh start, or a design pass where the brief's design-loop is on.

    ``base`` is resolved to a commit now, so that the work begins where it was meant to. ``beside`` allows a second
    active request. Raises Refusal with the reason, and changes nothing.
    """
    if kind and kind not in DispatchRequest.Kind.values:
        raise Invalid(f"'{kind}' is no kind of dispatch; it is one of {', '.join(DispatchRequest.Kind.values)}.")
    if reason := explain(brief, beside=beside):
        raise Conflict(reason)
    kind = kind or (DispatchRequest.Kind.DESIGN if brief.design_loop else DispatchRequest.Kind.FRESH)
    project = brief.project
    assert project is not None
    program = programs.find(agent) if agent else None
    if program is not None:
        programs.check_installed(program)
    ordinal = DispatchRequest.objects.filter(brief=brief).count() + 1
    if worktree is None and kind != DispatchRequest.Kind.DESIGN:
        base = base or base_of_build(brief)
    branch, base, base_sha = _target(project, brief, branch, base, worktree, ordinal)
    with transaction.atomic():
        trace.lock(brief)
        brief.refresh_from_db()
        if reason := explain(brief, beside=beside):
            raise Conflict(reason)
        request = _make(brief, project, actor, program, kind, branch, base, base_sha, worktree, beside)
        data: dict[str, Any] = {"dispatch": request.pk, "agent": agent or None, "branch": branch, "kind": request.kind}
        trace.append(brief, trace.Kind.DISPATCHED, actor=actor, data=data)
        lifecycle.roll_up(brief, actor)
    live.kick("dispatch.tasks.advance", request.pk)
    return request


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
        branch, base = worktree.branch, base or worktree.base_sha
    branch, base = branch or worktrees.branch_name(brief, ordinal), base or project.main_branch
    _check_length("branch", branch)
    _check_length("base", base)
    try:
        repository = worktrees.repository(project)
        if branch == project.main_branch:
            raise Invalid(f"{branch} is MAIN's branch; agents work on a branch of their own.")
        if worktree is None and repository.has_branch(branch):
            raise Invalid(f"There is a branch {branch} in {project.slug} already; name another one.")
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
        brief, project, kind=request.kind, branch=branch, base=base, base_sha=base_sha, worktree=path
    )
    request.save(update_fields=["packet"])
    return request


def worktree_name(request: DispatchRequest) -> str:
    """A request's own worktree: the branch and the request's number, so that no name comes twice."""
    return f"{request.branch.removeprefix('flower/').replace('/', '-')[:80]}-d{request.pk}"


def progress(request: DispatchRequest, note: str, *, identity: Identity, fence: int | None = None) -> int:
    """Report progress; this renews the lease. Returns the trace entry's number."""
    if not note.strip():
        raise Invalid("Say in a line what was done or comes next.")
    with transaction.atomic():
        trace.lock(request.brief)
        claims.renew(request, claims.check_holder(request, identity, fence))
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
    fence = claims.check_holder(request, identity, fence)
    if request.state not in HELD:
        return _completed_before(request, fence, summary, no_changes)
    if fence != request.fence:
        raise Conflict(
            f"Fence {fence} is old: dispatch {request.pk} was claimed again since (the fence is {request.fence} now). "
            "Stop working on it."
        )
    head = _check_work(request, no_changes=no_changes)
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
            finished_at=timezone.now(),
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def _completed_before(request: DispatchRequest, fence: int, summary: str, no_changes: bool) -> DispatchRequest:
    same = (request.fence, request.summary, request.no_changes) == (fence, summary.strip(), no_changes)
    if request.finished_at is not None and same:
        return request
    if request.finished_at is not None:
        raise Conflict(
            f"Dispatch {request.pk} was completed already at {iso(request.finished_at)}; nothing was changed."
        )
    raise Conflict(f"Dispatch {request.pk} is {words(request.state)}; it cannot be completed.")


def _check_work(request: DispatchRequest, *, no_changes: bool) -> str:
    """What git says of the branch: its tip's id. Raises Conflict with the first thing that is not in order."""
    assert request.project is not None
    repository = worktrees.repository(request.project)
    worktree = request.worktree
    try:
        if worktree is not None and worktree.checkout.is_dir():
            status = repository.status(worktree.checkout)
            if not status.clean:
                files = [*status.unmerged, *status.staged, *status.unstaged, *status.untracked]
                raise Conflict(
                    f"The worktree is not clean: {git.errors.named(files)}. "
                    "Commit or remove what is left, then complete again."
                )
            if status.branch != request.branch:
                raise Conflict(
                    f"The worktree is on {status.branch or 'no branch'}, but the work belongs on {request.branch}."
                )
        if request.branch not in repository.branches():
            if no_changes:
                return request.base_sha
            raise Conflict(
                f"There is no branch {request.branch} in {request.project.slug}; commit the work there first."
            )
        head = repository.resolve(f"refs/heads/{request.branch}")
        if not repository.is_ancestor(request.base_sha, head):
            raise Conflict(f"{request.branch} does not contain its base {request.base_sha[:12]}; was it rewritten?")
        count = repository.count_commits(request.base_sha, head)
    except git.GitError as error:
        raise Conflict(f"git could not check the work: {error}") from error
    if no_changes and count:
        raise Conflict(f"{request.branch} has {count} commits on top of its base; complete without no_changes.")
    if not no_changes and not count:
        raise Conflict(
            f"{request.branch} has no commit on top of its base {request.base_sha[:12]}; "
            "commit the work, or say no_changes."
        )
    return head


def fail(
    request: DispatchRequest, why: str, *, actor: Actor, failure_class: str = "agent", expecting: int | None = None
) -> DispatchRequest:
    """End a request that will not be finished.

    ``failure_class`` is a word to filter by: agent, spawn, exited, lost, worktree, cancelled.
    """
    if not why.strip():
        raise Invalid("Say why.")
    with transaction.atomic():
        lifecycle.move(
            request,
            State.FAILED,
            actor=actor,
            kind=trace.Kind.FAILED,
            body=why.strip(),
            data={"class": failure_class},
            expecting=expecting,
            failure=why.strip(),
            failure_class=failure_class,
            why=f"dispatch {request.pk} failed",
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


def cancel(request: DispatchRequest, why: str, *, actor: Actor) -> DispatchRequest:
    """Call a request off: its agent is stopped, its worktree stays until somebody removes it."""
    if request.state == State.MERGING:
        raise Conflict(f"Dispatch {request.pk} is merging; wait for its end.")
    with transaction.atomic():
        lifecycle.move(
            request,
            State.CANCELLED,
            actor=actor,
            kind=trace.Kind.FAILED,
            body=why.strip(),
            data={"class": "cancelled"},
            failure=why.strip(),
            failure_class="cancelled",
            why=f"dispatch {request.pk} was cancelled",
        )
    live.kick("dispatch.tasks.advance", request.pk)
    return request


_recalled_rows = Prepared(
    lambda brief: DispatchRequest.objects.filter(brief=brief).values_list(
        "pk", "state", "kind", "program__name", "branch", "claimed_by__ref", "summary", "failure", "created_at"
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
        }
        for pk, state, kind, program, branch, claimed_by, summary, failure, at in _recalled_rows(brief)
    ]


def guard_manual_move(brief: Brief, to: str) -> str | None:
    """For briefs.lifecycle: the status of a brief with an active request follows from the request."""
    active = DispatchRequest.objects.filter(brief=brief, state__in=ACTIVE).first()
    if active is None:
        return None
    return (
        f"Dispatch {active.pk} of brief #{brief.pk} is {words(active.state)}: the brief's status follows from it. "
        "Complete or cancel it first."
    )


def guard_removal(worktree: Worktree) -> str | None:
    """For worktrees.services: a worktree stays while a request works in it, or will."""
    active = DispatchRequest.objects.filter(worktree=worktree, state__in=ACTIVE).first()
    if active is None:
        return None
    return (
        f"Dispatch {active.pk}, which is {words(active.state)}, works in worktree {worktree.name}. "
        "Complete, merge or cancel it first."
    )
