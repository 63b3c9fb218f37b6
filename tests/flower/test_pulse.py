"""The files by which worker, beat and watch say that they are alive."""

from __future__ import annotations

import dataclasses
import errno
import os
import threading
from pathlib import Path

from flower.celery import leave_pulse


def test_a_pulse_is_whole_at_any_moment(settings, tmp_path):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)
    leave_pulse("watch")
    pulse = settings.FLOWER.run / "watch.pulse"
    over = threading.Event()

    def beat() -> None:
        while not over.is_set():
            leave_pulse("watch")

    beating = threading.Thread(target=beat)
    beating.start()
    try:
        seen = {pulse.read_text() for _ in range(3000)}
    finally:
        over.set()
        beating.join()
    assert seen == {str(os.getpid())}
    assert [path.name for path in settings.FLOWER.run.glob("watch*")] == ["watch.pulse"]


def test_a_pulse_renews_its_time(settings, tmp_path):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)
    leave_pulse("beat")
    pulse = settings.FLOWER.run / "beat.pulse"
    os.utime(pulse, (1, 1))
    leave_pulse("beat")
    assert pulse.stat().st_mtime > 1_000_000


def test_a_pulse_goes_on_while_the_disk_is_full(settings, tmp_path, monkeypatch):
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path)
    leave_pulse("worker")
    pulse = settings.FLOWER.run / "worker.pulse"
    os.utime(pulse, (0, 0))

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_text", full)
    leave_pulse("worker")
    assert pulse.stat().st_mtime > 0
    assert pulse.read_text() == str(os.getpid())
