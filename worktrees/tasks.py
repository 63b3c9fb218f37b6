"""Celery's door to worktrees: an id in, and nothing that a redelivery could do twice."""

from __future__ import annotations

from celery import shared_task

from briefs.services import actors
from core import logs
from core.errors import Refusal
from worktrees import services
from worktrees.models import Worktree


@shared_task
def remove(number: int) -> None:
    worktree = Worktree.objects.select_related("project", "brief").filter(pk=number).first()
    if worktree is None or worktree.state != Worktree.State.REMOVING:
        return
    try:
        services.remove(worktree, actor=actors.system())
    except Refusal:
        return  # the reason is kept with the row; a page shows it
    except Exception as error:  # a bug, maybe: without a word, the sweep would try it again for ever
        why = f"Worktree {worktree.name} was not removed: {type(error).__name__}: {error}"
        services.note_stuck_removal(worktree, logs.redact(why)[:1000], actor=actors.system())
        raise
