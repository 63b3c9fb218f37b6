"""Which sessions a caller may see: lookup and permission are one step."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from briefs.identity import Identity, Scope
from core.errors import NotFound
from transcripts.models import Session

LARGEST = 2**63 - 1  # beyond it a database raises an error of its own


def visible(identity: Identity) -> QuerySet[Session]:
    """Everybody's for operators; a project's for a token of it; its own brief's for a worker's token."""
    rows = Session.objects.all()
    if identity.scope == Scope.RUN:
        return rows.filter(brief=identity.brief) if identity.brief is not None else rows.none()
    if identity.project is None:
        return rows
    return rows.filter(Q(project=identity.project) | Q(project=None, brief__project=identity.project))


def listed(rows: QuerySet[Session]) -> QuerySet[Session]:
    """Those in which something was said or done: a log may hold nothing but notes of the program to itself."""
    return rows.exclude(active_at=None, prompts=0)


def find(identity: Identity, number: int) -> Session:
    """The session of this number. Raises NotFound for one that is not there, or not for this caller."""
    found = None
    if 0 < number <= LARGEST:
        found = visible(identity).select_related("project", "brief", "reviewed_by").filter(pk=number).first()
    if found is None:
        raise NotFound(f"There is no session {number} for you.")
    return found
