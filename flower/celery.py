"""The Celery app of the web and worker processes: wake-ups for the tasks of every room. The clock is flower/beat.py.

Worker, beat and watch leave a *pulse*, a file in the run folder that holds their process id and whose time is renewed,
by which ``make up`` and container health checks see that they work and do not merely exist.

The worker has few threads (flower/up.py), and the sweep needs one every few seconds. So what may hold a thread for
minutes is counted: checkouts and removals in worktrees/services.py, questions to a model here.
"""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Final

from celery import Celery, Task
from celery.signals import worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "flower.settings")

PULSE_SECONDS: Final = 5.0

ASKING: Final = frozenset({"briefs.tasks.refine", "transcripts.tasks.reword"})  # these wait for a model's answer
ASKING_AT_ONCE: Final = 2

_asking: Final = threading.BoundedSemaphore(ASKING_AT_ONCE)


class ShortTask(Task):
    """Every task of ours. One that would wait for a model while others do is dropped: the sweeps kick it again."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.name not in ASKING:
            return super().__call__(*args, **kwargs)
        if not _asking.acquire(blocking=False):
            return None
        try:
            return super().__call__(*args, **kwargs)
        finally:
            _asking.release()


app = Celery("flower", task_cls=ShortTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def _worker_starts(**_: Any) -> None:
    from django.conf import settings

    from flower.backup import marker

    marker.stop_if_unfinished(settings.FLOWER.home)


@worker_ready.connect
def _worker_is_ready(sender: Any, **_: Any) -> None:
    """Connected to the broker and consuming. The timer is the consumer's own: a stuck consumer has no pulse."""
    leave_pulse("worker")
    sender.timer.call_repeatedly(PULSE_SECONDS, leave_pulse, ("worker",))


def leave_pulse(name: str) -> None:
    from django.conf import settings

    folder = settings.FLOWER.run
    pulse = folder / f"{name}.pulse"
    # One that is ours already only gets a new time: that needs no room on a full disk, where writing it again would
    # end the process, and the one started in its place, over and over.
    with contextlib.suppress(OSError):
        if pulse.read_text() == str(os.getpid()):
            os.utime(pulse)
            return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Whole at any moment: who looked between emptying the file and writing it would see a process that has not begun.
    scratch = folder / f"{name}.pulse.{os.getpid()}"
    scratch.write_text(str(os.getpid()))
    scratch.replace(pulse)
