"""Whose session is it, as far as requests tell: the one whose worktree holds the folder, at that time.

This finds agents that flower did not start, too: those that claimed a request and work in its worktree.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path, PurePosixPath

from django.db.models import Q
from django.utils import timezone

from dispatch import packets
from dispatch.models import DispatchRequest
from transcripts import launches, owners
from transcripts.events import Facts
from transcripts.owners import Owner


@launches.recogniser
def is_launch_line(text: str, brief: int) -> bool:
    """Is it the line that a run of this brief gets on its command line?"""
    return packets.is_prompt(text, brief)


@owners.teller
def by_request(facts: Facts, path: Path, when: datetime | None) -> Owner | None:
    """Always probable: the process that it may name is the request's, not one that was seen to write the log."""
    if not facts.cwd:
        return None
    folders = [facts.cwd, *map(str, PurePosixPath(facts.cwd).parents)]
    at = when or timezone.now()
    requests = DispatchRequest.objects.filter(worktree__path__in=folders, created_at__lte=at)
    found = requests.filter(Q(ended_at=None) | Q(ended_at__gte=at)).order_by("-pk").first()
    if found is None:
        return None
    return Owner(found.project_id, found.brief_id, found.process_id, found.pk, found.worktree_id)
