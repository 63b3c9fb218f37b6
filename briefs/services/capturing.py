"""Capturing a thought beside a brief that may say the same already: continue there, hang it below, or fold it in."""

from __future__ import annotations

from typing import Final

from django.db import transaction

from briefs.models import Actor, Brief, Project
from briefs.services import briefs, links, relations
from briefs.services.briefs import capture
from core.errors import Conflict, Invalid

__all__ = ["TOLD", "beside", "capture"]

# What was done, for the one who did it: the first place is the brief that the thought is in now, the second the other.
TOLD: Final = {
    "continue": "Added as a note to {}.",
    "child": "Captured {} as a part of {}.",
    "follow": "Captured {} as a follow-up of {}.",
    "merge": "Captured and merged: {} goes on in {}.",
}


def beside(body: str, how: str, other: Brief, *, actor: Actor, project: Project | None = None) -> Brief:
    """Put a thought where it belongs, all of it or nothing. Returns the brief that holds it.

    ``how``: continue (a note on ``other``), child (a new brief below it), follow (a new one, each linked to the other),
    merge (a new one that is merged into it: the thought stays on record, the work is one).
    """
    if how not in TOLD:
        raise Invalid(f"'{how}' is no way to capture; it is one of {', '.join(TOLD)}.")
    if how == "continue":
        briefs.note(other, body, actor=actor)
        return other
    if other.is_terminal:
        state = other.get_status_display()
        raise Conflict(f"Brief #{other.pk} is {state}; capture the thought by itself, or reopen that one.")
    with transaction.atomic():
        made = capture(body, actor=actor, project=project or other.project, parent=other if how == "child" else None)
        if how == "follow":
            links.add(made, "brief", str(other.pk), actor=actor, label=f"follows {other.title}")
            links.add(other, "brief", str(made.pk), actor=actor, label=f"followed by {made.title}")
        elif how == "merge":
            briefs.note(other, body, actor=actor)
            relations.merge(made, other, actor=actor)
            made.refresh_from_db()
    return made
