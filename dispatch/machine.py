"""The machine: brings a request from the state it is in as far as it can go now.

``advance`` may be called at any time, by anybody, as often as one likes: by a kick when something changed, by the sweep
every few seconds. A lock per request (released by the kernel when its holder is killed) lets one work at a time, and
every step finds out what is done already. So a killed worker costs a few seconds and never a result.

What nobody foresaw (a full disk, a folder that somebody took away, a bug) is logged and tried again by the next sweeps,
so that a hiccup repairs itself. What stays ends the step after a few tries, with a sentence for whoever waits for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from briefs import trace
from briefs.models import Actor
from briefs.services import actors, refining
from core import live, logs
from core.errors import Conflict, Refusal
from daemons.agents import command
from daemons.agents.base import Job
from daemons.models import Process
from daemons.services import processes
from daemons.terminal import HolderError
from dispatch import auto, claims, lifecycle, packets, services, sharing
from dispatch import merge as merging
from dispatch.line import Line
from dispatch.merge import mainline
from dispatch.merge.record import NotMerged
from dispatch.models import ACTIVE, HELD, DispatchRequest, GateRun, State
from transcripts.owners import Owner
from transcripts.services import taking
from worktrees import git
from worktrees import services as worktrees
from worktrees.models import Worktree

log = structlog.stdlib.get_logger(__name__)
TRIES: Final = 5  # of a step that fails in a way that nobody foresaw; a sweep lies between two
# The main branch was red when a merge was refused, and is not where it was then.
MAIN_HAS_MOVED: Final = Q(failure_class=NotMerged.MAIN_RED) & ~Q(target_sha=F("project__main_state__sha"))
FAREWELL: Final = timedelta(seconds=10)  # how long an agent may go on after its work was merged


def advance(number: int) -> None:
    """Advance one request. Does nothing while somebody else is at it, or when there is no such request."""
    folder = settings.FLOWER.home / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with git.locks.held(folder / f"dispatch-{number}", timeout=0.2, busy=f"dispatch {number} is being advanced"):
            _advance(number)
    except git.LockBusy:
        return  # the sweep looks again in a few seconds


def _advance(number: int) -> None:
    rows = DispatchRequest.objects.select_related(
        "brief__project", "project", "worktree__project", "process", "program"
    )
    while request := rows.filter(pk=number).first():
        before = request.state
        with logs.bound(brief=request.brief_id, dispatch=request.pk, process=request.process_id):
            try:
                _STEPS.get(before, _clean_up)(request)
            except Exception as error:  # whatever it was: somebody waits for this request
                _stumble(request, before, error)
            else:
                DispatchRequest.objects.filter(pk=number, state=before, stumbles__gt=0).update(stumbles=0)
        if DispatchRequest.objects.values_list("state", flat=True).get(pk=number) == before:
            return


def _stumble(request: DispatchRequest, state: str, error: Exception) -> None:
    """Note that a step failed in a way nobody foresaw; the last of its tries ends it. Somebody was first: nothing."""
    rows = DispatchRequest.objects.filter(pk=request.pk, state=state)
    if isinstance(error, Refusal) and not rows.exists():
        return  # somebody else was first, and that is what the refusal says
    if request.stumbles < TRIES:  # what goes on after that (an ended request's worktree, say) need not fill the log
        log.exception("a step failed", step=state, exc_info=error)
    if rows.update(stumbles=F("stumbles") + 1) != 1:
        return
    request.refresh_from_db()
    if request.stumbles < TRIES or not request.is_active:
        return
    what = error.sentence if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
    why = f"flower could not go on, {TRIES} times: {logs.redact(what)[:500]}"
    if state == State.MERGING:
        merging.give_up(request, why)
        return
    with contextlib.suppress(Conflict):  # somebody was first
        services.fail(request, why, actor=actors.system(), failure_class="internal", expecting=request.fence)


def _start(request: DispatchRequest) -> None:
    """queued -> claimed, for what flower runs itself, while fewer agents run than are allowed."""
    if request.program is None:
        return
    assert request.project is not None
    worker = actors.named(f"{request.project.slug}-{request.brief_id}-worker", Actor.Kind.AGENT)
    with transaction.atomic():
        # One starter at a time counts and claims: two that counted at once would exceed the cap together.
        Actor.objects.select_for_update().get(ref="system")
        if Line.now().may_start(request.pk):  # in the order in which they were asked for
            claims.claim(request, actor=worker, lease_seconds=claims.LONGEST_LEASE, by_flower=True)


def _prepare(request: DispatchRequest) -> None:
    """claimed, preparing -> running: the worktree is made, and the agent started in it."""
    if request.state == State.CLAIMED:
        lifecycle.move(request, State.PREPARING, actor=actors.system(), expecting=request.fence)
    worktree = worktrees.advance(request.worktree or _plan_worktree(request))
    if worktree.state == Worktree.State.FAILED:
        _fail(request, worktree.failure)
    elif worktree.state in {Worktree.State.REMOVING, Worktree.State.REMOVED}:
        _fail(request, f"Worktree {worktree.name} was removed before the work in it began; dispatch the brief again.")
    elif worktree.state == Worktree.State.READY:
        if worktree.is_missing:  # its disk may come back: tried again
            raise Conflict(f"The folder of worktree {worktree.name} is gone: {worktree.path}.")
        if sharing.still_stopping(request):
            return  # its end kicks this one, and the sweep comes again (dispatch/outlook.py tells that it waits)
        _end_orphans(request)
        _run(request, worktree)


def _end_orphans(request: DispatchRequest) -> None:
    """End the agents that worked in this worktree before and went on when their holders were killed.

    Raises Conflict for one that stays, too: tried again.
    """
    for earlier in sharing.before_in_worktree(request).filter(process__phase=Process.Phase.LOST):
        assert earlier.process is not None
        if not (orphans := processes.orphans(earlier.process)):
            continue
        if not processes.end_orphans(orphans):
            raise Conflict(f"The agent of dispatch {earlier.pk} (pid {earlier.process.pid}) cannot be ended.")
        body = (
            f"The agent of dispatch {earlier.pk} went on without its holder; flower stopped it before dispatch "
            f"{request.pk} began in the same worktree."
        )
        data = {"dispatch": earlier.pk, "process": earlier.process.pk, "state": "stopped"}
        trace.append(request.brief, trace.Kind.PROCESS, actor=actors.system(), body=body, data=data)


def _fail(request: DispatchRequest, why: str) -> None:
    services.fail(request, why, actor=actors.system(), failure_class="worktree", expecting=request.fence)


def _plan_worktree(request: DispatchRequest) -> Worktree:
    assert request.project is not None
    name = services.worktree_name(request)
    with transaction.atomic():
        worktree = worktrees.plan(
            request.project, name, request.branch, request.base_sha, actor=actors.system(), brief=request.brief
        )
        request.worktree = worktree
        request.save(update_fields=["worktree"])
    return worktree


def _run(request: DispatchRequest, worktree: Worktree) -> None:
    try:
        if DispatchRequest.objects.filter(worktree=worktree).exclude(brief=worktree.brief).exists():
            worktrees.reuse(worktree, request.brief_id)
        worktrees.write_packet(worktree, request.packet)
        packet = worktrees.write_packet(worktree, request.packet, request.pk)
    except git.LockBusy:
        return  # the next sweep goes on
    except (Conflict, git.GitError) as error:
        _fail(request, str(error))
        return
    if request.program is None:  # whoever claimed it works there on their own
        lifecycle.move(
            request, State.RUNNING, actor=actors.system(), expecting=request.fence, started_at=timezone.now()
        )
        return
    process = request.process or _plan_process(request, worktree)
    prompt, session = packets.prompt(request.brief_id, packet), processes.session_id(process)
    job = Job(request.brief_id, worktree.checkout, packet, prompt, session)
    launch = command.launch(request.program, job)
    if command.names_session(request.program):
        owner = Owner(request.project_id, request.brief_id, process.pk, request.pk, worktree.pk, is_exact=True)
        taking.expect("claude", session, owner)  # the one program that takes an id
    try:
        processes.launch(process, launch.argv, env={**launch.env, **_environment(request, process, job)})
    except HolderError as error:
        services.fail(request, str(error), actor=actors.system(), failure_class="spawn", expecting=request.fence)
        return
    if process.has_ended and process.exit_code is None and process.exit_signal is None:
        why = f"The agent was not started: {process.error or process.state}."
        services.fail(request, why, actor=actors.system(), failure_class="spawn", expecting=request.fence)
        return
    services.note_start(request, expecting=request.fence)


def _plan_process(request: DispatchRequest, worktree: Worktree) -> Process:
    assert request.program is not None and request.claimed_by is not None
    with transaction.atomic():
        process = processes.create(
            Process.Purpose.AGENT,
            command=" ".join(request.program.argv),
            cwd=worktree.checkout,
            program=request.program,
            actor=request.claimed_by,
            project=request.project,
            brief=request.brief,
            run=request.pk,
        )
        # Called off since: then nothing is started any more, beside whoever goes on in this worktree, say.
        rows = DispatchRequest.objects.filter(pk=request.pk, fence=request.fence, state__in=HELD)
        if rows.update(process=process) != 1:
            raise Conflict(f"Dispatch {request.pk} is not held any more: its agent is not started.")
        request.process = process
    return process


def _environment(request: DispatchRequest, process: Process, job: Job) -> dict[str, str]:
    """What an agent finds in its environment (contract.md section 4)."""
    url = settings.FLOWER.public_url
    assert request.project is not None and request.claimed_by is not None
    return {
        "FLOWER_URL": url,
        "FLOWER_MCP_URL": f"{url}/mcp",
        "FLOWER_TOKEN": processes.run_token(process),
        "FLOWER_ACTOR": request.claimed_by.ref,
        "FLOWER_PROJECT": request.project.slug,
        "FLOWER_BRIEF": str(request.brief_id),
        "FLOWER_DISPATCH": str(request.pk),
        "FLOWER_FENCE": str(request.fence),
        "FLOWER_PACKET": str(job.packet),
        "FLOWER_WORKTREE": str(job.worktree),
        "FLOWER_PROCESS": str(process.pk),
    }


def _watch(request: DispatchRequest) -> None:
    """running -> failed, when its agent ended without saying that the work is complete."""
    if request.process is None or not processes.observe(request.process).has_ended:
        return
    process, actor = request.process, actors.system()
    if process.phase == Process.Phase.LOST:
        why = process.error or "Its holder was killed, and its exit code with it."
        why, failure_class = f"The agent is lost: {why[0].lower()}{why[1:]}", "lost"
    elif process.was_stopped and process.stopped_by is not None:
        actor, failure_class = process.stopped_by, "stopped"
        why = f"The agent was stopped by {actor.ref}{f': {process.stop_why}' if process.stop_why else ''}."
    else:
        why, failure_class = f"The agent ended, {process.state}, without completing.", "exited"
    if lines := processes.tail(process, 2000).strip().splitlines()[-5:]:
        why += " It last said:\n\n" + "\n".join(f"    {line[:300]}" for line in lines)
    services.fail(request, why, actor=actor, failure_class=failure_class, expecting=request.fence)


def _finish(request: DispatchRequest) -> None:
    """finished -> done, when nothing was to be changed; -> merging, when the project merges by itself."""
    if request.kind == DispatchRequest.Kind.DESIGN:
        auto.end_design(request)
    elif request.no_changes:
        lifecycle.move(request, State.DONE, actor=actors.system(), why=f"dispatch {request.pk} needed no changes")
    elif request.project and request.project.auto_merge and (not request.failure_class or _may_be_green(request)):
        merging.ask(request, actor=actors.system())


def _may_be_green(request: DispatchRequest) -> bool:
    """Whether the main branch, which was red, has moved since a request's merge was refused for that."""
    return DispatchRequest.objects.filter(MAIN_HAS_MOVED, pk=request.pk).exists()


def _clean_up(request: DispatchRequest) -> None:
    """After the end: agent, setup command and gate are stopped; the ephemeral worktree of merged work is removed."""
    merging.clear_away(request)
    process = request.process
    if process is not None and not processes.observe(process).has_ended:
        _stop_agent(request, process)
        return
    worktree = request.worktree
    if worktree is not None and worktree.state in worktrees.HALF_MADE:
        why = f"Dispatch {request.pk} ended ({request.state}) before the worktree was ready."
        worktrees.abandon(worktree, why, actor=request.ended_by)
        return
    if worktree is None or request.state != State.DONE or not _may_go(worktree):
        return
    with contextlib.suppress(Refusal):  # the reason is kept with the worktree, where its page shows it
        worktrees.remove(worktree, actor=actors.system())


def _stop_agent(request: DispatchRequest, process: Process) -> None:
    """Stop the agent of a request that has ended. Who ended the request has stopped it; after a merge flower does."""
    if request.state != State.DONE:
        processes.stop(process, actor=request.ended_by, why=f"dispatch {request.pk} is {request.state}")
        return
    if timezone.now() - (request.ended_at or timezone.now()) <= FAREWELL:
        return
    why = f"It still ran {FAREWELL.seconds} seconds after dispatch {request.pk} was done, so flower stopped it."
    with transaction.atomic():
        trace.lock(request.brief)
        if processes.stop(process, why=why):
            data = {"dispatch": request.pk, "process": process.pk, "state": "stopped"}
            trace.append(request.brief, trace.Kind.PROCESS, actor=actors.system(), body=why, data=data)


def _may_go(worktree: Worktree) -> bool:
    in_use = DispatchRequest.objects.filter(worktree=worktree, state__in=ACTIVE).exists()
    there = worktree.state in {Worktree.State.READY, Worktree.State.REMOVING}
    return there and worktree.keep == Worktree.Keep.EPHEMERAL and not worktree.failure and not in_use


_STEPS: Final[dict[str, Callable[[DispatchRequest], None]]] = {
    State.QUEUED: _start,
    State.CLAIMED: _prepare,
    State.PREPARING: _prepare,
    State.RUNNING: _watch,
    State.FINISHED: _finish,
    State.MERGING: merging.step,
}


# --- the sweep --------------------------------------------------------------------------------------------------------


def unfinished() -> list[int]:
    """The requests that a machine could bring further now: what the sweep kicks, and what ``reconcile`` lists."""
    ended = Q(process__phase__in=Process.ENDED)
    ours = Q(program__isnull=False)
    todo = (
        Q(state=State.QUEUED) & ours
        | Q(state__in=[State.CLAIMED, State.PREPARING, State.MERGING])
        | Q(state=State.RUNNING) & ours & (ended | Q(process=None))
        | Q(state=State.FINISHED, no_changes=True)
        | Q(state=State.FINISHED, kind=DispatchRequest.Kind.DESIGN)
        | Q(state=State.FINISHED, project__auto_merge=True, failure_class="")
        | Q(state=State.FINISHED, project__auto_merge=True) & MAIN_HAS_MOVED
    )
    idle_agent = ~Q(state__in=ACTIVE) & Q(process__phase__in=[Process.Phase.STARTING, Process.Phase.RUNNING])
    gate_left = ~Q(state__in=ACTIVE) & Q(Exists(GateRun.objects.filter(request=OuterRef("pk"), passed=None)))
    half_made = ~Q(state__in=ACTIVE) & Q(worktree__state__in=worktrees.HALF_MADE)
    worktree_left = Q(
        state=State.DONE,
        worktree__keep=Worktree.Keep.EPHEMERAL,
        worktree__state__in=[Worktree.State.READY, Worktree.State.REMOVING],
        worktree__failure="",
    )
    rows = DispatchRequest.objects.filter(todo | idle_agent | gate_left | half_made | worktree_left)
    return list(rows.order_by("pk").values_list("pk", flat=True))


def sweep() -> list[int]:
    """Repair what a crash or a lost wake-up left half-done: read facts, release dead leases, kick what could go on."""
    for part in (
        processes.sweep,
        claims.release_expired,
        merging.sweep_scratch,
        mainline.sweep,
        refining.sweep,
        lifecycle.sweep,
        auto.sweep,
    ):
        try:
            part()
        except Exception:  # one that cannot do its work must not keep the others, and the requests below, from theirs
            log.exception("a part of the sweep failed", part=f"{part.__module__}.{part.__name__}")
    numbers = unfinished()
    for number in numbers:
        live.kick("dispatch.tasks.advance", number)
    going = Worktree.objects.filter(state=Worktree.State.REMOVING, failure="")
    for number in going.values_list("pk", flat=True):
        live.kick("worktrees.tasks.remove", number)
    return numbers


def on_process_ended(*, process: Process, **_: object) -> None:
    """A process of a request ended (agent, setup or gate): go on at once instead of with the next sweep."""
    if process.run is not None:
        live.kick("dispatch.tasks.advance", process.run)
        if process.purpose == Process.Purpose.AGENT:
            _kick_those_after(process.run)
    elif process.purpose == Process.Purpose.GATE and process.project_id is not None:  # on the main branch itself
        live.kick("dispatch.tasks.look_at_main", process.project_id)
        waiting = DispatchRequest.objects.filter(project=process.project_id, state=State.MERGING)
        for number in waiting.values_list("pk", flat=True):
            live.kick("dispatch.tasks.advance", number)


def _kick_those_after(number: int) -> None:
    """A request may wait for the end of the agent that was stopped in its worktree."""
    begins = DispatchRequest.objects.filter(state__in=[State.CLAIMED, State.PREPARING])
    waiting = begins.filter(worktree__dispatch_requests=number).exclude(pk=number)
    for following in waiting.values_list("pk", flat=True):
        live.kick("dispatch.tasks.advance", following)
