"""The Celery app of the web and worker processes: wake-ups for the tasks of every room. The clock is flower/beat.py.

Worker, beat and watch leave a *pulse*, a file in the run folder that holds their process id and whose time is renewed,
by which ``make up`` and container health checks see that they work and do not merely exist.
"""

from __future__ import annotations

import os
from typing import Any, Final

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")

PULSE_SECONDS: Final = 5.0

app = Celery("flower")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_ready.connect
def _worker_is_ready(sender: Any, **_: Any) -> None:
    """Connected to the broker and consuming. The timer is the consumer's own: a stuck consumer has no pulse."""
    leave_pulse("worker")
    sender.timer.call_repeatedly(PULSE_SECONDS, leave_pulse, ("worker",))


def leave_pulse(name: str) -> None:
    from django.conf import settings

    folder = settings.FLOWER.run
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / f"{name}.pulse").write_text(str(os.getpid()))
