"""Celery's door: outlines follow logs, and a configured model words them when a session is quiet."""

from __future__ import annotations

from celery import shared_task

from core import live
from transcripts.services import outlining, rewording


@shared_task
def outline(number: int) -> None:
    """Bring a session's outline up to its events. Several wake-ups for one growth cost one run."""
    if outlining.is_behind(number):
        outlining.refresh(number)


@shared_task
def renew(number: int) -> None:
    """Word an outline anew that older rules worded."""
    outlining.renew(number)


@shared_task
def reword(number: int) -> None:
    rewording.reword(number)


@shared_task
def sweep() -> None:
    """What lost wake-ups left behind, outlines of older rules, and sessions that are quiet enough to be worded."""
    for number in outlining.behind():
        live.kick("transcripts.tasks.outline", number)
    for number in outlining.outdated():
        live.kick("transcripts.tasks.renew", number)
    for number in rewording.due():
        live.kick("transcripts.tasks.reword", number)
