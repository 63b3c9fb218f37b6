"""Beat: a process that knows the time and the broker, and nothing else.

It is a Celery app of its own, without Django's fix-up and without the tasks: with them it would load every room only
to send the name of one task every few seconds (measured: 102 MB instead of 60). ``celery -A flower.beat beat`` runs it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celery import Celery
from celery.beat import Scheduler
from django.conf import settings

from flower.celery import leave_pulse

SESSIONS_SECONDS = 15.0  # outlines follow their logs by wake-ups; this is for those that were lost

app = Celery("flower.beat", fixups=[], set_as_current=False)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_scheduler = "flower.beat:Ticker"
app.conf.beat_schedule = {
    "sweep": {
        "task": "dispatch.tasks.sweep",
        "schedule": settings.SWEEP_SECONDS,
        # a tick that waited longer than a period is worth nothing: it expires, so that ticks never pile up
        "options": {"expires": settings.SWEEP_SECONDS},
    },
    "sweep sessions": {
        "task": "transcripts.tasks.sweep",
        "schedule": SESSIONS_SECONDS,
        "options": {"expires": SESSIONS_SECONDS},
    },
}


class Ticker(Scheduler):
    """Celery's in-memory scheduler, with a pulse.

    No schedule file: its entries are due every few seconds, so there is nothing to remember over a restart, and no
    file to be found damaged after a kill -9.
    """

    def setup_schedule(self) -> None:
        super().setup_schedule()
        for entry in self.schedule.values():  # due at once: after a crash there may be something to repair
            entry.last_run_at -= timedelta(seconds=SESSIONS_SECONDS)

    def tick(self, *arguments: Any, **keywords: Any) -> float:
        leave_pulse("beat")
        return float(super().tick(*arguments, **keywords))
