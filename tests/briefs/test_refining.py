"""The refiner: in the background, with progress and a cancel; it proposes, a person decides."""

from __future__ import annotations

import dataclasses
import threading
import time

import pytest
from django.db import connections

from briefs import tasks
from briefs.models import Proposal, Refinement
from briefs.services import refining
from core import llm
from core.errors import Conflict
from tests.factories import make_brief, operator
from tests.fake_llm import FakeLlm, chunks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def fake(settings, monkeypatch):
    monkeypatch.setattr(llm, "RETRIES", 0)
    monkeypatch.setattr(tasks.refine, "delay", lambda number: None)
    fake = FakeLlm()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, llm_base_url=fake.url, llm_model="scripted")
    yield fake
    fake.close()


def test_its_plan_is_a_proposal_and_the_spec_stays(fake):
    brief = make_brief("Faster search", spec="my words")
    run = refining.start(brief, actor=operator())
    with pytest.raises(Conflict, match="works on it already"):
        refining.start(brief, actor=operator())
    fake.script = lambda _: chunks("## Goal\n", "Fast.")
    refining.work(run.pk)
    run.refresh_from_db()
    brief.refresh_from_db()
    assert (run.state, run.tokens, run.model) == ("proposed", 15, "scripted-1")
    proposal = Proposal.objects.get()
    assert (proposal.plan, proposal.actor.ref, run.proposal) == ("## Goal\nFast.", "flower-refiner", proposal)
    assert brief.spec == "my words"
    assert "my words" in fake.asked[0]["messages"][1]["content"]
    refining.work(run.pk)  # a redelivered task does nothing
    assert len(fake.asked) == 1


def test_a_failure_is_told_and_it_can_be_asked_again(fake):
    brief = make_brief()
    run = refining.start(brief, actor=operator())
    fake.script = lambda _: (500, {"error": {"message": "no"}})
    refining.work(run.pk)
    run.refresh_from_db()
    assert (run.state, run.failure) == ("failed", "The model's service answered with status 500.")
    refining.start(brief, actor=operator())


def test_a_cancel_stops_the_model_and_throws_its_words_away(fake, monkeypatch):
    monkeypatch.setattr(refining, "BEAT_SECONDS", 0)
    fake.slowly.set()
    fake.script = lambda _: chunks("## Goal", "more")
    brief = make_brief()
    run = refining.start(brief, actor=operator())

    def work():
        refining.work(run.pk)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 10
    while not Refinement.objects.filter(pk=run.pk, characters__gt=0).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    refining.cancel(run, actor=operator())
    fake.go.set()
    thread.join(20)
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert not Proposal.objects.exists()
    with pytest.raises(Conflict, match="cancelled already"):
        refining.cancel(run, actor=operator())


def test_a_killed_worker_is_noticed(fake):
    run = refining.start(make_brief(), actor=operator())
    Refinement.objects.filter(pk=run.pk).update(state="running", heartbeat_at="2020-01-01T00:00Z")
    refining.sweep()
    run.refresh_from_db()
    assert (run.state, run.failure) == ("failed", "The refiner was interrupted; ask it again.")


def test_without_a_model_it_says_so(settings):
    with pytest.raises(Conflict, match="No model is configured"):
        refining.start(make_brief(), actor=operator())
