"""Whose session is it, as far as processes tell: the agent that ran in that folder at that time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Final

from django.db.models import Q
from django.utils import timezone

from daemons.models import Process
from transcripts import owners
from transcripts.events import Facts
from transcripts.owners import Owner

MARGIN: Final = timedelta(seconds=5)  # clocks of a log and of a row


@owners.teller
def by_process(facts: Facts, path: Path, when: datetime | None) -> Owner | None:
    """Exact when the log lies in the process's own folder, probable when only the working directory and time fit."""
    if not facts.cwd:
        return None
    folders = [facts.cwd, *map(str, PurePosixPath(facts.cwd).parents)]
    agents = Process.objects.filter(purpose=Process.Purpose.AGENT, cwd__in=folders).order_by("-pk")
    at = when or timezone.now()
    running = agents.filter(Q(ended_at=None) | Q(ended_at__gte=at - MARGIN), created_at__lte=at + MARGIN)
    found = max(running[:20], key=lambda process: (len(process.cwd), process.pk), default=None)
    if found is None:
        return None
    return Owner(
        project=found.project_id,
        brief=found.brief_id,
        process=found.pk,
        dispatch=found.run,
        is_exact=path.is_relative_to(found.run_dir),
    )
