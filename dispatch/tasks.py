"""Celery's door: an id in, a short step, and nothing that a redelivery could do twice."""

from __future__ import annotations

from celery import shared_task

from dispatch import auto, machine
from dispatch.merge import mainline


@shared_task
def advance(number: int) -> None:
    machine.advance(number)


@shared_task
def sweep() -> None:
    machine.sweep()


@shared_task
def look_at_main(project: int) -> None:
    mainline.look(project)


@shared_task
def auto_dispatch(number: int) -> None:
    auto.consider(number)
