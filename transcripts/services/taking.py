"""Which logs are taken, and what is said about their owners before they are read.

Sessions of runs that flower started are always taken. Of others only those in the folders of a project that asked for
them, back to the age that it gave: what people do elsewhere on the machine is nobody's business.
"""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from django.db import transaction
from django.utils import timezone

from briefs.models import Actor, Brief, Project
from core.errors import Conflict, Forbidden, Invalid
from transcripts import owners, storing
from transcripts.adapters import open_adapter, recognise
from transcripts.models import ExpectedSession, LogFile, Session, Taking
from transcripts.owners import Owner
from transcripts.reading import lines_of

MOST_DAYS: Final = 3650
LINES_PEEKED: Final = 200


def configure(project: Project, *, is_on: bool | None = None, days: int | None = None, actor: Actor) -> Taking:
    """Say whether sessions in the project's folders are taken, and how old they may be; None leaves as it is."""
    if actor.kind != Actor.Kind.OPERATOR:
        raise Forbidden("Only an operator says whose sessions are read.")
    if days is not None and not 1 <= days <= MOST_DAYS:
        raise Invalid(f"The age is 1 to {MOST_DAYS} days, not {days}.")
    with transaction.atomic():
        taking, _ = Taking.objects.select_for_update().get_or_create(project=project)
        taking.is_on = taking.is_on if is_on is None else is_on
        taking.days = taking.days if days is None else days
        taking.save()
    return taking


def give_brief(session: Session, brief: Brief, *, actor: Actor) -> None:
    """Say which brief a session belongs to, where nobody knew, or it was guessed. Raises Conflict."""
    if session.brief_id is not None and not session.is_probable:
        raise Conflict(f"This session belongs to brief #{session.brief_id}; that is known, not guessed.")
    project = brief.project_id or session.project_id
    owner = Owner(project, brief.pk, session.process, session.dispatch, session.worktree, is_exact=True)
    expect(session.program, session.session_id, owner, actor=actor)


def expect(program: str, session_id: str, owner: Owner, *, actor: Actor | None = None) -> None:
    """Say whose a session is, exactly: a hook told its id, or the launch chose it. Its log may be there already."""
    if not session_id or len(session_id) > 120:
        raise Invalid("A session's id has 1 to 120 characters.")
    values = {
        "project_id": owner.project,
        "brief_id": owner.brief,
        "process": owner.process,
        "dispatch": owner.dispatch,
        "worktree": owner.worktree,
    }
    with transaction.atomic():
        ExpectedSession.objects.update_or_create(program=program, session_id=session_id, defaults=values)
        found = Session.objects.select_for_update().filter(program=program, session_id=session_id).first()
        if found is not None:
            exactly = Owner(owner.project, owner.brief, owner.process, owner.dispatch, owner.worktree, is_exact=True)
            storing.assign(found, exactly, actor)
            found.save()


def is_wanted(path: Path) -> bool:
    """May this log be taken without being asked for? Reads its first lines. Raises NoTranscript, OSError."""
    if LogFile.objects.filter(path_key=storing.key_of(str(path))).exists():
        return True
    head = list(islice(lines_of(path), LINES_PEEKED))
    adapter = open_adapter(recognise(head, path), path.name)
    for number, raw in enumerate(head, 1):
        adapter.feed(number, raw)
    facts = adapter.facts
    name = storing.session_id(facts, path)
    if facts.agent_id and Session.objects.filter(program=facts.program, session_id=name).exists():
        return True
    owner = owners.find(facts, path, storing.time_of(adapter.counts.first_at))
    if owner is None:
        return False
    if owner.is_exact or owner.is_ours:
        return True
    taking = Taking.objects.filter(project=owner.project, is_on=True).first()
    if taking is None:
        return False
    oldest = timezone.now() - timedelta(days=taking.days)
    return path.stat().st_mtime >= oldest.timestamp()
