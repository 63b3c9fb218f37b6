"""Celery's door: logs are read, outlines follow them, and a configured model words them when a session is quiet."""

from __future__ import annotations

from pathlib import Path

from celery import shared_task

from flower import live
from flower.errors import Refusal
from transcripts import ingest
from transcripts.services import outlining, rewording, taking


@shared_task
def take(path: str) -> None:
    """For whoever is told of a log (a hook) and cannot wait for the watch. Does nothing for one that is not wanted."""
    log = Path(path)
    try:
        if taking.is_wanted(log):
            ingest.take(log)
    except (Refusal, OSError):
        return  # no transcript, gone, or another reader has it


@shared_task
def outline(number: int) -> None:
    """Bring a session's outline up to its events. Several wake-ups for one growth cost one run."""
    if outlining.is_behind(number):
        outlining.refresh(number)


@shared_task
def reword(number: int) -> None:
    rewording.reword(number)


@shared_task
def sweep() -> None:
    """What lost wake-ups left behind, and sessions that have been quiet for long enough to be worded."""
    for number in outlining.behind():
        live.kick("transcripts.tasks.outline", number)
    for number in rewording.due():
        live.kick("transcripts.tasks.reword", number)
