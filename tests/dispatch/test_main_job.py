"""The way of a brief from dispatch to MAIN, with real git and real processes."""

from __future__ import annotations

import subprocess

import pytest

from briefs import trace
from briefs.models import Link, Token
from briefs.services import actors, relations
from core.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from daemons.services import processes, programs
from dispatch import claims, services, tools
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from tests.factories import agent, complete_brief, git, identity, make_brief, operator
from tests.system.running import until
from transcripts import owners
from transcripts.events import Facts

pytestmark = pytest.mark.django_db(transaction=True)

WORK = "echo done > NOTES.md && git add . && git commit -qm 'Write notes' && sleep 60"


def run_identity(request: DispatchRequest):
    request.refresh_from_db()
    return identity(request.claimed_by, Token.Scope.RUN, brief=request.brief_id, run=request.pk)


def complete_when_committed(request: DispatchRequest, **arguments) -> None:
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            services.complete(request, identity=run_identity(request), **arguments)
            return
        except Conflict:
            time.sleep(0.05)
    services.complete(request, identity=run_identity(request), **arguments)


@pytest.fixture
def worker(db):
    return programs.register("worker", ["/bin/sh", "-c", WORK])


def test_a_brief_goes_from_dispatch_to_main(project, worker, drive):
    brief = make_brief("Write the notes", project)
    request = services.dispatch(brief, actor=operator(), agent="worker")
    brief.refresh_from_db()
    assert (request.state, brief.status) == ("queued", "dispatched")

    drive(request, "running")
    brief.refresh_from_db()
    assert brief.status == "in_progress"
    assert request.worktree.checkout.is_dir()
    assert (request.worktree.checkout / ".flower/packet.md").read_text() == request.packet

    complete_when_committed(request, summary="Notes are written.")
    brief.refresh_from_db()
    assert (request.state, brief.status) == ("finished", "in_review")

    merging.ask(request, actor=operator())
    drive(request, "done")
    brief.refresh_from_db()
    assert brief.status == "complete"
    assert (project.path / "NOTES.md").read_text() == "done\n"
    assert git(project.path, "status", "--porcelain") == ""
    assert git(project.path, "log", "-1", "--format=%(trailers:key=Brief,valueonly)") == f"#{brief.pk}"
    assert git(project.path, "log", "-1", "--format=%(trailers:key=Brief,valueonly)", "main^2") == f"#{brief.pk}"
    assert brief.links.get(kind=Link.Kind.COMMIT).target == git(project.path, "rev-parse", "main")
    assert trace.verify(brief)[1] is None


def test_a_program_that_is_told_its_session_has_its_log_linked_exactly(project, drive):
    say = 'printf \'%s\' "$1" > "$HOME_OF_TEST/session"; sleep 60'
    told = project.path.parent
    programs.register("claude", ["/bin/sh", "-c", say, "sh", "{session}"], env={"HOME_OF_TEST": str(told)})
    request = services.dispatch(make_brief("Write the notes", project), actor=operator(), agent="claude")
    drive(request, "running")
    session = until(lambda: (told / "session").exists() and (told / "session").read_text(), "the agent is told")
    owner = owners.find(Facts("claude", session_id=session), told / "x.jsonl", None)
    assert owner.is_exact and owner.is_ours
    assert (owner.brief, owner.dispatch, owner.process) == (request.brief_id, request.pk, request.process_id)
    assert owner.worktree == request.worktree_id
    assert session == processes.session_id(request.process), "a repeated launch would name the same"


def test_after_the_merge_the_agent_is_ended_and_the_worktree_goes(project, worker, drive, monkeypatch):
    from datetime import timedelta

    from dispatch import machine

    monkeypatch.setattr(machine, "FAREWELL", timedelta(0))
    brief = make_brief("Write the notes", project)
    request = services.dispatch(brief, actor=operator(), agent="worker")
    drive(request, "running")
    token = processes.run_token(request.process)
    assert actors.authenticate(token).run == request.pk
    complete_when_committed(request)
    merging.ask(request, actor=operator())
    drive(request, "done")
    import time

    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        drive(request, "done")
        machine.sweep()
        machine.advance(request.pk)
        request.worktree.refresh_from_db()
        if request.worktree.state == "removed":
            break
    assert request.worktree.state == "removed"
    assert not request.worktree.checkout.exists()
    request.process.refresh_from_db()
    assert request.process.has_ended
    actors.forget_cached_tokens()
    with pytest.raises(Unauthenticated, match="revoked"):
        actors.authenticate(token)


def test_auto_merge_and_no_changes(project, drive):
    project.auto_merge = True
    project.save()
    programs.register("idler", ["/bin/sleep", "60"])
    request = services.dispatch(make_brief("Look only", project), actor=operator(), agent="idler")
    drive(request, "running")
    services.complete(request, identity=run_identity(request), no_changes=True, summary="Nothing to do.")
    drive(request, "done")
    request.brief.refresh_from_db()
    assert request.brief.status == "complete"
    assert git(project.path, "log", "--format=%s") == "Begin"


def test_an_agent_may_complete_before_its_start_is_noted(project, drive, monkeypatch):
    programs.register("quick", ["/bin/sleep", "60"])
    request = services.dispatch(make_brief("Look only", project), actor=operator(), agent="quick")
    real = processes.launch

    def launch(process, argv, **options):
        real(process, argv, **options)
        mine = DispatchRequest.objects.get(pk=request.pk)
        services.complete(mine, identity=run_identity(mine), no_changes=True, summary="Nothing to do.")

    monkeypatch.setattr(processes, "launch", launch)
    drive(request, "done")
    kinds = list(request.brief.trace.values_list("kind", flat=True))
    assert kinds.index("process") < kinds.index("completed")
    assert kinds.count("process") == kinds.count("completed") == 1


@pytest.mark.parametrize(
    ("argv", "failure_class", "words"),
    [
        (["/bin/sh", "-c", "echo on fire; exit 3"], "exited", "exited (3)"),
        (["/bin/sh", "-c", "kill -9 $$"], "exited", "killed (9)"),
        (["{worktree}/no-such-program"], "spawn", "no-such-program"),
    ],
)
def test_an_agent_that_ends_without_completing_fails_the_request(project, drive, argv, failure_class, words):
    programs.register("broken", argv)
    request = services.dispatch(make_brief("Break", project), actor=operator(), agent="broken")
    drive(request, "failed")
    assert request.failure_class == failure_class
    assert words in request.failure
    request.brief.refresh_from_db()
    assert request.brief.status == "planned"
    assert request.brief.trace.filter(kind="failed").last().body == request.failure


def test_a_program_that_is_not_installed_is_refused_at_once(project):
    programs.register("ghost", ["no-such-program-anywhere"])
    brief = make_brief("Haunt", project)
    with pytest.raises(Invalid, match="not installed"):
        services.dispatch(brief, actor=operator(), agent="ghost")
    with pytest.raises(NotFound, match="no agent program 'nobody'"):
        services.dispatch(brief, actor=operator(), agent="nobody")
    assert not DispatchRequest.objects.exists()


def test_what_cannot_be_dispatched_says_why_and_changes_nothing(project):
    brief, other = make_brief("One", project), make_brief("Other", project)
    relations.add_dependency(brief, other, actor=operator())
    seq = brief.trace.count()
    with pytest.raises(Conflict, match=f"blocked: it waits for #{other.pk} Other"):
        services.dispatch(brief, actor=operator())
    complete_brief(other)
    assert brief.trace.last().kind == "unblocked"
    with pytest.raises(Conflict, match="dispatch is closed"):
        services.dispatch(other, actor=operator())
    with pytest.raises(Invalid, match="No branch, tag or commit"):
        services.dispatch(brief, actor=operator(), base="no-such-branch")
    with pytest.raises(Invalid, match="MAIN's branch"):
        services.dispatch(brief, actor=operator(), branch="main")
    with pytest.raises(Conflict, match="no project"):
        services.dispatch(make_brief("Nowhere"), actor=operator())
    assert brief.trace.count() == seq + 1
    assert not DispatchRequest.objects.exists()


def test_one_active_request_a_brief(project):
    brief = make_brief("One", project)
    services.dispatch(brief, actor=operator())
    with pytest.raises(Conflict, match="One agent at a time"):
        services.dispatch(brief, actor=operator())
    services.dispatch(brief, actor=operator(), beside=True)
    assert brief.dispatch_requests.count() == 2


def test_a_manual_move_is_refused_while_a_request_is_active(project):
    from briefs import lifecycle

    brief = make_brief("One", project)
    request = services.dispatch(brief, actor=operator())
    with pytest.raises(Conflict, match="cancel dispatch"):
        lifecycle.move(brief, "deferred", actor=operator())
    services.cancel(request, "changed my mind", actor=operator())
    brief.refresh_from_db()
    assert brief.status == "planned"
    lifecycle.move(brief, "deferred", actor=operator())


def test_completion_is_checked(project, drive, tmp_path):
    someone = agent("claimant")
    brief = make_brief("By hand", project)
    services.dispatch(brief, actor=operator())
    request = claims.claim_next(identity(someone), brief=brief.pk)
    assert request.fence == 1
    drive(request, "running")
    me = identity(someone)
    with pytest.raises(Conflict, match="no commit on top"):
        services.complete(request, identity=me)
    checkout = request.worktree.checkout
    (checkout / "new.txt").write_text("x")
    with pytest.raises(Conflict, match=r"not clean: new.txt"):
        services.complete(request, identity=me)
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Work")
    with pytest.raises(Conflict, match="commits on top of its base"):
        services.complete(request, identity=me, no_changes=True)
    with pytest.raises(Conflict, match="never claimed with fence 7"):
        services.complete(request, identity=me, fence=7)
    with pytest.raises(Forbidden, match="claimed by claimant"):
        services.complete(request, identity=identity(agent("thief")))
    request.refresh_from_db()
    assert request.state == "running"
    services.complete(request, identity=me, summary="Done.", fence=1)
    count = brief.trace.count()
    services.complete(request, identity=me, summary="Done.", fence=1)  # a repeated call gives the same answer
    with pytest.raises(Conflict, match="completed already"):
        services.complete(request, identity=me, summary="Done differently.")
    assert brief.trace.count() == count


def test_a_lease_that_runs_out_puts_the_request_back_and_its_old_fence_is_refused(project, drive):
    first, second = agent("first"), agent("second")
    brief = make_brief("By hand", project)
    request = services.dispatch(brief, actor=operator())
    claims.claim(request, actor=first)
    DispatchRequest.objects.update(lease_expires_at="2020-01-01T00:00Z")
    assert claims.release_expired() == [request.pk]
    request.refresh_from_db()
    assert request.state == "queued"
    claims.claim(request, actor=second)
    assert request.fence == 2
    with pytest.raises(Forbidden, match="claimed by second"):
        services.progress(request, "still here", identity=identity(first), fence=1)
    with pytest.raises(Conflict, match="Fence 1 is old"):
        services.progress(request, "still here", identity=identity(second), fence=1)
    services.progress(request, "working", identity=identity(second), fence=2)


def test_the_concurrency_cap_holds(project, drive, settings):
    import dataclasses

    settings.FLOWER = dataclasses.replace(settings.FLOWER, max_concurrent=1)
    programs.register("idler", ["/bin/sleep", "60"])
    first = services.dispatch(make_brief("A", project), actor=operator(), agent="idler")
    second = services.dispatch(make_brief("B", project), actor=operator(), agent="idler")
    drive(first, "running")
    for _ in range(3):
        from dispatch import machine

        machine.advance(second.pk)
    second.refresh_from_db()
    assert second.state == "queued"
    services.cancel(first, "make room", actor=operator())
    drive(second, "running")


def test_claims_of_what_flower_runs_itself_are_refused(project):
    programs.register("idler", ["/bin/sleep", "60"])
    brief = make_brief("A", project)
    request = services.dispatch(brief, actor=operator(), agent="idler")
    with pytest.raises(NotFound, match="run by flower itself"):
        claims.claim_next(identity(agent()), brief=brief.pk)
    with pytest.raises(Conflict, match="run by flower itself"):
        tools.brief_claim(identity(agent()), dispatch=request.pk)
    request.refresh_from_db()
    assert (request.state, request.fence) == ("queued", 0)
    with pytest.raises(NotFound, match="Nothing is queued"):
        claims.claim_next(identity(agent()), brief=None)


def test_a_setup_command_that_fails_fails_the_request_with_its_output(project, drive):
    project.setup_command = "echo no compiler here; exit 4"
    project.save()
    programs.register("idler", ["/bin/sleep", "60"])
    request = services.dispatch(make_brief("A", project), actor=operator(), agent="idler")
    drive(request, "failed")
    assert request.failure_class == "worktree"
    assert "no compiler here" in request.failure
    assert "exited (4)" in request.failure


def test_a_branch_that_is_there_already_is_refused(project):
    git(project.path, "branch", "flower/taken")
    with pytest.raises(Invalid, match="already"):
        services.dispatch(make_brief("A", project), actor=operator(), branch="flower/taken")


@pytest.mark.parametrize("name", [{"branch": "b/" + "x" * 199}, {"base": "main" + "~0" * 99}])
def test_a_name_that_the_row_cannot_hold_is_refused(project, name):
    brief = make_brief("A", project)
    (what,) = name
    with pytest.raises(Invalid, match=rf"^The name of the {what} has 20[12] characters; 200 are possible\.$"):
        services.dispatch(brief, actor=operator(), **name)
    assert not DispatchRequest.objects.exists()
    services.dispatch(brief, actor=operator(), **{what: name[what][:-2]})


def test_agents_do_not_see_flowers_own_settings(project, drive, monkeypatch, tmp_path):
    monkeypatch.setenv("DATABASE_URL", "mysql://secret")
    monkeypatch.setenv("FLOWER_SECRET_KEY", "secret")
    out = tmp_path / "env.txt"
    programs.register("printer", ["/bin/sh", "-c", f"env > {out}; sleep 60"], env={"MINE": "1"})
    request = services.dispatch(make_brief("A", project), actor=operator(), agent="printer")
    drive(request, "running")
    import time

    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and not (out.exists() and "PATH" in out.read_text()):
        time.sleep(0.02)
    seen = dict(line.split("=", 1) for line in out.read_text().splitlines() if "=" in line)
    assert "DATABASE_URL" not in seen
    assert "FLOWER_SECRET_KEY" not in seen
    assert seen["MINE"] == "1"
    assert seen["FLOWER_BRIEF"] == str(request.brief_id)
    assert seen["FLOWER_FENCE"] == "1"
    assert seen["FLOWER_TOKEN"] == processes.run_token(request.process)
    assert subprocess.run(["grep", "-r", seen["FLOWER_TOKEN"], str(project.path)], capture_output=True).returncode == 1
