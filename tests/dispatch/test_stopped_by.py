"""Who stopped a run is on the trace, on pages and in what tools tell: a person, an agent, or flower with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from briefs.models import Token
from briefs.services.recall import brief_payload
from daemons.models import Process
from daemons.services import programs
from dispatch import machine, services, tools
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from tests.factories import agent, identity, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def running(project, drive) -> DispatchRequest:
    programs.register("sleeper", ["/bin/sleep", "60"])
    request = services.dispatch(make_brief("Work", project), actor=operator(), agent="sleeper")
    return drive(request, "running")


def end_of(request: DispatchRequest) -> tuple[str, str, str]:
    """Who ended it by the trace, how it is classed there, and who ended it by what tools tell."""
    entry = request.brief.trace.filter(kind="failed").latest("seq")
    told = brief_payload(request.brief, include=["dispatches"])["dispatches"][0]
    assert (
        tools.dispatch_explain(identity(operator(), "operator"), request.brief_id)["last"]["ended_by"]
        == (told["ended_by"])
    )
    return entry.actor_ref, entry.data["class"], told["ended_by"]


def test_a_stop_on_the_page_of_the_process_names_who_did_it(running, drive, browser):
    browser.post(f"/processes/{running.process_id}/stop/")
    drive(running, "failed")
    assert end_of(running) == ("operator:mike", "stopped", "operator:mike")
    assert running.failure.startswith("The agent was stopped by operator:mike.")
    page = browser.get(f"/processes/{running.process_id}/").content.decode()
    assert "<dt>stopped by</dt><dd>operator:mike</dd>" in page
    page = browser.get(f"/dispatches/{running.pk}/").content.decode()
    assert "<b>stopped</b> by operator:mike" in page and "<dt>ended by</dt><dd>operator:mike" in page


@pytest.mark.parametrize("scope", ["operator", "orchestrator", "run"])
def test_a_cancel_names_who_called_it_off_on_the_process_too(running, drive, scope):
    caller = {
        "operator": lambda: identity(operator(), Token.Scope.OPERATOR),
        "orchestrator": lambda: identity(agent("flower-orchestrator"), Token.Scope.ORCHESTRATOR),
        "run": lambda: identity(running.claimed_by, Token.Scope.RUN, brief=running.brief_id, run=running.pk),
    }[scope]()
    tools.brief_dispatch_cancel(caller, dispatch=running.pk, why="It is not wanted.")
    drive(running, "cancelled", until=lambda row: Process.objects.get(pk=row.process_id).has_ended)
    assert end_of(running) == (caller.actor.ref, "cancelled", caller.actor.ref)
    process = Process.objects.get(pk=running.process_id)
    assert (process.stopped_by, process.stop_why) == (caller.actor, f"dispatch {running.pk} is cancelled")
    assert process.was_stopped


def test_an_agent_that_ends_by_itself_was_stopped_by_nobody(project, drive):
    programs.register("quick", ["/bin/true"])
    request = services.dispatch(make_brief("Work", project), actor=operator(), agent="quick")
    drive(request, "failed")
    assert end_of(request) == ("system", "exited", "system")
    assert request.process.stopped_by is None and not request.process.was_stopped


def test_an_agent_that_goes_on_after_the_merge_is_stopped_by_flower_with_the_reason(running, drive, browser):
    running = services.complete(
        running,
        identity=identity(running.claimed_by, Token.Scope.RUN, brief=running.brief_id, run=running.pk),
        no_changes=True,
    )
    drive(running, "done")
    DispatchRequest.objects.update(ended_at=timezone.now() - timedelta(minutes=1))
    drive(running, "done", until=lambda row: Process.objects.get(pk=row.process_id).has_ended)
    why = f"It still ran 10 seconds after dispatch {running.pk} was done, so flower stopped it."
    (entry,) = running.brief.trace.filter(kind="process", data__state="stopped")
    assert (entry.actor_ref, entry.body) == ("system", why)
    process = Process.objects.get(pk=running.process_id)
    assert (process.stopped_by.ref, process.stop_why) == ("system", why)
    assert f"<dt>stopped by</dt><dd>system · {why}</dd>" in browser.get(process.get_absolute_url()).content.decode()


def test_who_asks_later_does_not_take_the_first_ones_place(running, browser):
    browser.post(f"/processes/{running.process_id}/stop/")
    services.cancel(running, "too", actor=agent("flower-orchestrator"))
    machine.advance(running.pk)
    assert Process.objects.get(pk=running.process_id).stopped_by == operator()


def test_a_gate_that_is_called_off_says_who_did_that(project, finished, drive):
    project.gates = ["sleep 60"]
    project.save()
    merging.ask(finished, actor=operator())
    machine.advance(finished.pk)
    services.cancel(finished, "it hangs", actor=operator())
    drive(finished, "cancelled", until=lambda row: row.gate_runs.get().passed is False)
    assert finished.gate_runs.get().why == "was stopped by operator:mike"
