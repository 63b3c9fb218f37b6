"""Celery's door to the board."""

from __future__ import annotations

from celery import shared_task

from briefs.services import refining


@shared_task
def refine(number: int) -> None:
    refining.work(number)
