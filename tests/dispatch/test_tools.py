"""The tools of dispatching: who may end what, with which fence, and what each argument means."""

from __future__ import annotations

from pathlib import Path

import pytest

from briefs.models import Token
from core.errors import Conflict, Forbidden, Invalid, NotFound
from daemons.services import programs
from dispatch import claims, services, tools
from dispatch.models import DispatchRequest
from tests.factories import agent, git, identity, make_brief, operator
from worktrees import services as worktrees

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(project) -> DispatchRequest:
    return services.dispatch(make_brief("Work", project), actor=operator())


@pytest.fixture
def worker(db):
    return identity(agent("worker"))


@pytest.fixture
def orchestrator(db):
    return identity(agent("orchestrator"), Token.Scope.ORCHESTRATOR)


@pytest.fixture
def finished(queued, worker, drive) -> DispatchRequest:
    claims.claim(queued, actor=worker.actor)
    drive(queued, "running")
    (queued.worktree.checkout / "new.txt").write_text("new\n")
    git(queued.worktree.checkout, "add", ".")
    git(queued.worktree.checkout, "commit", "-qm", "Work")
    return services.complete(queued, identity=worker)


ENDS = [(tools.brief_dispatch_cancel, "cancelled"), (tools.brief_dispatch_fail, "failed")]


def end(call, caller, request: DispatchRequest, **options) -> dict:
    return call(caller, dispatch=request.pk, why="It is not wanted.", **options)


@pytest.mark.parametrize(("call", "state"), ENDS)
def test_agents_end_what_they_hold(queued, worker, call, state):
    with pytest.raises(Forbidden, match="claimed by nobody"):
        end(call, worker, queued)
    claims.claim(queued, actor=worker.actor)
    with pytest.raises(Forbidden, match="claimed by worker, not by thief"):
        end(call, identity(agent("thief")), queued)
    with pytest.raises(Conflict, match="never claimed with fence 99"):
        end(call, worker, queued, fence=99)
    with pytest.raises(Invalid, match="Say why"):
        call(worker, dispatch=queued.pk, why="  ")
    assert end(call, worker, queued, fence=1) == {"ok": True, "dispatch": queued.pk, "status": state}
    queued.refresh_from_db()
    assert (queued.state, queued.failure) == (state, "It is not wanted.")


@pytest.mark.parametrize(("call", "state"), ENDS)
def test_a_run_ends_itself_and_no_other(project, drive, call, state):
    programs.register("idler", ["/bin/sleep", "60"])
    mine, other = (
        services.dispatch(make_brief(title, project), actor=operator(), agent="idler") for title in ("Mine", "Other")
    )
    drive(mine, "running")
    drive(other, "running")
    run = identity(mine.claimed_by, Token.Scope.RUN, brief=mine.brief_id, run=mine.pk)
    with pytest.raises(NotFound):
        end(call, run, other)
    assert end(call, run, mine)["status"] == state


@pytest.mark.parametrize(("call", "state"), ENDS)
def test_finished_work_is_not_ended_by_its_agent_but_by_who_orchestrates(finished, worker, orchestrator, call, state):
    with pytest.raises(Conflict, match="finished and not held any more; only an operator or the orchestrator"):
        end(call, worker, finished)
    finished.refresh_from_db()
    assert finished.state == "finished"
    assert end(call, orchestrator, finished)["status"] == state


def test_an_agent_that_completes_and_fails_at_once_has_completed(finished, worker):
    """The state is checked again by the UPDATE: here, the row was read before it was completed."""
    stale = DispatchRequest.objects.get(pk=finished.pk)
    stale.state = "running"
    with pytest.raises(Conflict):
        services.give_up(stale, "Too late.", identity=worker)
    finished.refresh_from_db()
    assert finished.state == "finished"


def test_an_orchestrator_ends_what_waits_and_what_others_hold(project, queued, orchestrator):
    claims.claim(queued, actor=agent("somebody"))
    assert end(tools.brief_dispatch_fail, orchestrator, queued)["status"] == "failed"
    waits = services.dispatch(make_brief("More", project), actor=operator())
    assert end(tools.brief_dispatch_cancel, orchestrator, waits)["status"] == "cancelled"
    with pytest.raises(Conflict, match="is cancelled and cannot become failed; that is its end"):
        end(tools.brief_dispatch_fail, orchestrator, waits)


def test_a_fence_that_never_was_is_not_called_old(queued, worker):
    claims.claim(queued, actor=worker.actor)
    DispatchRequest.objects.update(lease_expires_at="2020-01-01T00:00Z")
    claims.release_expired()
    queued.refresh_from_db()
    claims.claim(queued, actor=worker.actor)
    with pytest.raises(Conflict, match=r"Fence 1 is old: dispatch .* was claimed again since"):
        tools.brief_dispatch_progress(worker, "on it", queued.pk, fence=1)
    for fence in (0, 3, 99):
        with pytest.raises(Conflict, match=f"was never claimed with fence {fence}"):
            tools.brief_dispatch_progress(worker, "on it", queued.pk, fence=fence)


def test_a_claim_that_names_another_brief_than_the_dispatch_takes_nothing(project, queued, worker):
    other = make_brief("Other", project)
    with pytest.raises(Conflict, match=f"is of brief #{queued.brief_id}, not of #{other.pk}; nothing was claimed"):
        tools.brief_claim(worker, brief=other.pk, dispatch=queued.pk)
    queued.refresh_from_db()
    assert queued.state == "queued"
    assert tools.brief_claim(worker, brief=queued.brief_id, dispatch=queued.pk)["fence"] == 1


def test_run_says_whether_somebody_is_started(project, orchestrator):
    programs.register("idler", ["/bin/sleep", "60"])
    programs.register("other", ["/bin/sleep", "60"])

    def dispatch(**options) -> DispatchRequest:
        made = tools.brief_dispatch(orchestrator, make_brief("Work", project).pk, **options)
        return DispatchRequest.objects.get(pk=made["dispatch"])

    with pytest.raises(Conflict, match="dispatch once by hand"):
        dispatch(run=True)  # two programs, none used yet
    assert dispatch().program is None
    assert dispatch(run=False).program is None
    assert dispatch(agent="other").program.name == "other"
    assert dispatch(run=True).program.name == "other"  # the project's last one
    assert dispatch(run=True, agent="idler").program.name == "idler"
    with pytest.raises(Invalid, match="leave out 'agent', or 'run'"):
        dispatch(run=False, agent="idler")


def test_a_lease_that_runs_out_takes_the_brief_back_from_in_progress(queued, worker):
    claims.claim(queued, actor=worker.actor)
    queued.brief.refresh_from_db()
    assert queued.brief.status == "in_progress"
    DispatchRequest.objects.update(lease_expires_at="2020-01-01T00:00Z")
    claims.release_expired()
    queued.brief.refresh_from_db()
    assert queued.brief.status == "dispatched"
    changes = [entry.body for entry in queued.brief.trace.filter(kind="status_change")]
    assert changes[-1] == f"the lease of dispatch {queued.pk} ran out"


def test_a_path_that_is_very_long_is_not_said_again(db):
    long = Path("/" + "/".join(["folder" * 10] * 150))
    with pytest.raises(Invalid) as refusal:
        worktrees.check_repository(long, "main")
    assert len(refusal.value.sentence) < 400
