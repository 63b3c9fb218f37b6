"""The sweep repairs what it can: a part of it that fails keeps no other from its work."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from daemons.services import processes, programs
from dispatch import claims, machine, services
from dispatch import merge as merging
from dispatch.models import DispatchRequest
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("broken", [(processes, "sweep"), (merging, "sweep_scratch")])
def test_a_part_of_the_sweep_that_raises_does_not_stop_the_others(project, drive, kicks, monkeypatch, broken):
    programs.register("worker", ["/bin/sh", "-c", "sleep 60"])
    waiting = services.dispatch(make_brief("One", project), actor=operator(), agent="worker")
    asleep = services.dispatch(make_brief("Two", project), actor=operator())
    claims.claim(asleep, actor=agent())
    DispatchRequest.objects.filter(pk=asleep.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    kicks.clear()

    def fails():
        raise OSError("the disk is gone")

    monkeypatch.setattr(*broken, fails)
    assert machine.sweep() == [waiting.pk] == kicks
    asleep.refresh_from_db()
    assert asleep.state == "queued"
