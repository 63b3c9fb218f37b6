"""A rework: its packet says what is to be reworked, and where that is. It is offered wherever work was not merged."""

from __future__ import annotations

import pytest

from briefs.models import Token
from core.errors import Conflict
from daemons.services import programs
from dispatch import claims, services, tools
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from tests.factories import agent, git, identity, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)
RED = "! grep -q Theirs README.md || { echo 3 tests failed, '```' and all; exit 1; }"  # green on main without the work


@pytest.fixture
def finished(project, drive) -> DispatchRequest:
    """Work that changes README.md, committed and complete."""
    return finish(services.dispatch(make_brief("Work", project), actor=operator()), drive)


def finish(request: DispatchRequest, drive, text: str = "# Theirs\n") -> DispatchRequest:
    me = identity(agent(f"worker-{request.pk}"))
    claims.claim(request, actor=me.actor)
    drive(request, "running")
    (request.worktree.checkout / "README.md").write_text(text)
    git(request.worktree.checkout, "commit", "-qam", "Work")
    return services.complete(request, identity=me, summary="The heading is theirs.")


def conflict(project, request, drive) -> None:
    (project.path / "README.md").write_text("# Ours\n")
    git(project.path, "commit", "-qam", "Ours")
    merging.ask(request, actor=operator())
    drive(request, "conflicted")


def redden(project, request, drive) -> None:
    project.gates = [RED]
    project.save()
    merging.ask(request, actor=operator())
    drive(request, "finished")


def test_after_a_conflict_the_packet_says_where_the_work_is_and_how_to_take_it_over(project, finished, drive):
    conflict(project, finished, drive)
    said = finished.brief.trace.filter(kind="merge").get().body
    assert said.endswith(
        f"Dispatch a rework: it begins from main, and its packet says how to take over what is on `{finished.branch}`."
    )
    made = services.retry(finished, actor=operator())
    assert (made.kind, made.base_sha) == ("rework", git(project.path, "rev-parse", "main"))
    assert f"(dispatch {finished.pk}), and its work was not merged. Why:\n\nThe work conflicts with main" in made.packet
    assert "Files in conflict with `main`:\n\n- `README.md`\n" in made.packet
    assert f"on the branch `{finished.branch}`, commit `{finished.head_sha}`" in made.packet
    assert f"`git merge {finished.branch}`" in made.packet
    assert "The heading is theirs." in made.packet
    assert made.brief.trace.filter(kind="dispatched").last().data["reworks"] == finished.pk
    # what it says to do works: the conflict is met in the worktree, resolved there, and merged
    me = identity(agent("second"))
    claims.claim(made, actor=me.actor)
    drive(made, "running")
    checkout = made.worktree.checkout
    with pytest.raises(Exception, match="returned non-zero"):
        git(checkout, "merge", finished.branch)
    (checkout / "README.md").write_text("# Both\n")
    git(checkout, "commit", "-qam", "Take the work over")
    services.complete(made, identity=me)
    merging.ask(made, actor=operator())
    drive(made, "done")
    assert (project.path / "README.md").read_text() == "# Both\n"


def test_a_red_gate_is_reworked_instead_of_merged_again(project, finished, drive):
    redden(project, finished, drive)
    with pytest.raises(Conflict, match="rework it, or merge it again"):
        services.dispatch(finished.brief, actor=operator())  # a fresh start is none
    orchestrator = identity(agent("orchestrator"), Token.Scope.ORCHESTRATOR)
    answer = tools.brief_dispatch(orchestrator, finished.brief_id, kind="rework")
    made = DispatchRequest.objects.get(pk=answer["dispatch"])
    assert f"The end of what the gate `{RED}` said" in made.packet
    assert "\n```\n3 tests failed, ` ` ` and all\n```\n" in made.packet
    assert f"`git merge {finished.branch}`" in made.packet
    finished.refresh_from_db()
    assert (finished.state, finished.failure_class) == ("failed", "gate")
    assert finished.brief.trace.filter(kind="failed").get().body == (
        f"Dispatch {finished.pk} is not merged; a rework takes its work over."
    )
    finished.brief.refresh_from_db()
    assert finished.brief.status == "dispatched"


def test_work_that_waits_to_be_merged_is_not_reworked(project, finished):
    with pytest.raises(Conflict, match="review or merge"):
        services.dispatch(finished.brief, actor=operator(), kind="rework")
    with pytest.raises(Conflict, match="nothing to do over"):
        services.retry(finished, actor=operator())


def test_a_rework_in_the_same_worktree_goes_on_there(project, finished, drive):
    conflict(project, finished, drive)
    made = services.dispatch(finished.brief, actor=operator(), kind="rework", worktree=finished.worktree)
    assert "You are on that branch: go on from there, and bring `main` in (`git merge main`)." in made.packet


def test_a_retry_of_what_left_no_commit_is_the_same_again(project, drive):
    programs.register("idler", ["/bin/sh", "-c", "exit 3"])
    request = services.dispatch(make_brief("Work", project), actor=operator(), agent="idler")
    drive(request, "failed")
    made = services.retry(request, actor=operator())
    assert (made.kind, made.program) == ("fresh", request.program)
    services.cancel(made, "no", actor=operator())
    made = services.dispatch(request.brief, actor=operator(), kind="rework", reworks=request)
    assert f"It left no commit on its branch `{request.branch}`." in made.packet
    assert "The agent ended, exited (3), without completing." in made.packet


def test_the_pages_offer_a_rework_of_a_red_gate(project, finished, drive, browser):
    redden(project, finished, drive)
    page = browser.get(f"/dispatches/{finished.pk}/").content.decode()
    assert f'action="/dispatches/{finished.pk}/retry/"' in page
    panel = browser.get(f"/briefs/{finished.brief_id}/").content.decode()
    assert f'action="/dispatches/{finished.pk}/retry/"' in panel
    answer = browser.post(f"/dispatches/{finished.pk}/retry/")
    made = DispatchRequest.objects.latest("pk")
    assert answer["Location"] == f"/dispatches/{made.pk}/"
    assert made.kind == "rework"


def test_what_was_refused_or_merged_stands_in_the_next_packet(project, finished, drive):
    """Also where nobody said rework."""
    redden(project, finished, drive)
    services.cancel(finished, "start anew", actor=operator())
    made = services.dispatch(finished.brief, actor=operator())
    assert "Gate 1 of 1 is red" in made.packet
