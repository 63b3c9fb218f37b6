"""The Participants panel while several agents are at work: waves on one brief, and two briefs at once."""

from __future__ import annotations

import html
import re
import threading

import pytest
from django.db import connections

from briefs.models import Brief
from dispatch import claims, lifecycle, services, tasks
from tests.factories import agent, make_brief, operator


@pytest.fixture(autouse=True)
def _nothing_is_kicked(monkeypatch):
    monkeypatch.setattr(tasks.advance, "delay", lambda *_: None)


def panel(browser, brief: Brief) -> str:
    page = html.unescape(browser.get(brief.get_absolute_url()).content.decode())
    return re.search(r'<section id="participants".*?</section>', page, re.S)[0]


def row(shown: str, ref: str) -> str:
    (found,) = (one for one in re.findall(r"<li\b.*?</li>", shown, re.S) if f">{ref}<" in one)
    return " ".join(re.sub(r"<[^>]+>", " ", found).split())


def together(*runs) -> None:
    """Each in a thread of its own, let go at the same moment; what one raises fails the test."""
    gate, failed = threading.Barrier(len(runs)), []

    def go(run) -> None:
        try:
            gate.wait(10)
            run()
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=go, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed, failed


@pytest.mark.django_db
def test_two_waves_on_one_brief_are_told_apart(browser, project):
    brief = make_brief("Two waves", project)
    one, two, three = agent("one"), agent("two"), agent("three")
    first = services.dispatch(brief, actor=operator())
    beside = services.dispatch(brief, actor=operator(), beside=True)
    claims.claim(first, actor=one)
    claims.claim(beside, actor=two)
    shown = panel(browser, brief)
    assert "wave 1" in row(shown, "one") and "wave 1" in row(shown, "two")
    assert "<svg" not in shown, "one wave is no graph"

    for request in (first, beside):
        services.cancel(request, "enough", actor=operator())
    third = services.dispatch(brief, actor=operator())
    claims.claim(third, actor=three)
    shown = panel(browser, brief)
    assert "wave 1" in row(shown, "one") and "wave 2" in row(shown, "three")
    assert 'aria-label="2 waves, 3 hand-offs, as bars over time"' in shown
    for request in (first, beside, third):
        assert f'href="/dispatches/{request.pk}/"' in shown
    assert lifecycle.waves(brief.pk) == {first.pk: 1, beside.pk: 1, third.pk: 2}
    assert "active" in row(shown, "operator:mike") and "wave" not in row(shown, "operator:mike")


@pytest.mark.django_db(transaction=True)
def test_two_briefs_that_are_claimed_at_the_same_moment_have_waves_of_their_own(browser, project):
    here, there = make_brief("Here", project), make_brief("There", project)
    services.cancel(services.dispatch(there, actor=operator()), "not yet", actor=operator())
    requests = [services.dispatch(brief, actor=operator()) for brief in (here, there)]
    workers = [agent("worker-here"), agent("worker-there")]
    together(*(lambda at=at: claims.claim(requests[at], actor=workers[at]) for at in range(2)))
    assert "wave 1" in row(panel(browser, here), "worker-here")
    assert "wave 2" in row(panel(browser, there), "worker-there")
    assert "worker-there" not in panel(browser, here)


@pytest.mark.django_db(transaction=True)
def test_two_agents_that_claim_on_one_brief_at_the_same_moment_are_one_wave(browser, project):
    brief = make_brief("Side by side", project)
    requests = [services.dispatch(brief, actor=operator(), beside=bool(at)) for at in range(2)]
    workers = [agent("left-hand"), agent("right-hand")]
    together(*(lambda at=at: claims.claim(requests[at], actor=workers[at]) for at in range(2)))
    shown = panel(browser, brief)
    assert "wave 1" in row(shown, "left-hand") and "wave 1" in row(shown, "right-hand")
    assert "active" in row(shown, "left-hand") and "active" in row(shown, "right-hand")


@pytest.mark.django_db(transaction=True)
def test_one_agent_on_two_briefs_at_once_is_on_both_and_leaves_one(browser, project):
    briefs_ = [make_brief("One"), make_brief("Other")]
    for brief in briefs_:
        Brief.objects.filter(pk=brief.pk).update(project=project)
        brief.refresh_from_db()
    requests = [services.dispatch(brief, actor=operator()) for brief in briefs_]
    both = agent("both-hands")
    together(*(lambda at=at: claims.claim(requests[at], actor=both) for at in range(2)))
    for brief in briefs_:
        assert "wave 1" in row(panel(browser, brief), "both-hands")
    services.cancel(requests[0], "enough", actor=operator())
    assert "active" in row(panel(browser, briefs_[1]), "both-hands")
