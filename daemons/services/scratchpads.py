"""Scratchpads: markdown notes that agents share. A write names the revision that it was made from; nothing is lost."""

from __future__ import annotations

import re
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from briefs import trace
from briefs.identity import Identity
from briefs.models import Actor, Project
from briefs.services import recall
from core.errors import Conflict, Invalid, NotFound, TooLarge
from core.toolbox import ANSWER_BUDGET
from daemons.models import Scratchpad, ScratchpadRevision

MAX_CONTENT: Final = 250_000  # characters


def find(identity: Identity, number: int) -> Scratchpad:
    """A scratchpad that the caller may see. Raises NotFound."""
    pad = Scratchpad.objects.select_related("project").filter(pk=number).first() if number > 0 else None
    if pad is None or (identity.project is not None and pad.project_id not in {None, identity.project}):
        raise NotFound(f"There is no scratchpad {number} for you.")
    return pad


def create(name: str, content: str, *, actor: Actor, project: Project | None = None) -> Scratchpad:
    """A new scratchpad; a leading heading of the content does not replace its name."""
    name, content = _name(name), _content(content)
    return Scratchpad.objects.create(
        name=name, content=content, project=project, created_by=actor, updated_by=actor, updated_at=timezone.now()
    )


def write(pad: Scratchpad, content: str, *, revision: int, actor: Actor, name: str = "") -> Scratchpad:
    """Replace the whole text. Raises Conflict when it is no longer at ``revision``: read it, merge, write again."""
    content = _content(content)
    with transaction.atomic():
        locked = Scratchpad.objects.select_for_update().get(pk=pad.pk)
        if locked.revision != revision:
            raise Conflict(
                f"Scratchpad {pad.pk} is at revision {locked.revision}, you wrote from {revision}; "
                "read it again and merge."
            )
        return _save(locked, content, actor, _name(name) if name else locked.name)


def append(pad: Scratchpad, content: str, *, actor: Actor) -> Scratchpad:
    """Add to the end; this needs no revision, since it overwrites nothing."""
    if not content.strip():
        raise Invalid("Write something first.")
    with transaction.atomic():
        locked = Scratchpad.objects.select_for_update().get(pk=pad.pk)
        joined = f"{locked.content.rstrip()}\n\n{content.strip()}\n".lstrip()
        return _save(locked, _content(joined), actor, locked.name)


def _save(pad: Scratchpad, content: str, actor: Actor, name: str) -> Scratchpad:
    ScratchpadRevision.objects.create(
        scratchpad=pad, revision=pad.revision, content=pad.content, actor=pad.updated_by, at=pad.updated_at
    )
    pad.content, pad.name, pad.revision = content, name, pad.revision + 1
    pad.updated_by, pad.updated_at = actor, timezone.now()
    pad.save()
    return pad


def text_of(pad: Scratchpad, revision: int) -> str:
    """The text at one revision. Raises NotFound for one that never was."""
    if revision == pad.revision:
        return pad.content
    text = pad.revisions.filter(revision=revision).values_list("content", flat=True).first()
    if text is None:
        raise NotFound(f"Scratchpad {pad.pk} has no revision {revision}.")
    return text


def section_of(pad: Scratchpad, heading: str) -> str:
    """The part under one heading, with the heading, up to the next one of its level. Raises NotFound."""
    wanted = " ".join(heading.lower().split()).lstrip("# ")
    lines, found, level = [], False, 0
    for line in pad.content.splitlines():
        match = re.match(r"(#{1,6})\s+(.*)", line)
        if match and found and len(match[1]) <= level:
            break
        if match and not found and " ".join(match[2].lower().split()) == wanted:
            found, level = True, len(match[1])
        if found:
            lines.append(line)
    if not found:
        raise NotFound(f"Scratchpad {pad.pk} has no heading '{heading}'.")
    return "\n".join(lines).strip() + "\n"


def _name(name: str) -> str:
    name = " ".join(trace.clean(name).split())
    if not name or len(name) > 120:
        raise Invalid("A scratchpad needs a name of at most 120 characters.")
    return name


def _content(content: str) -> str:
    content = trace.clean(content)
    if len(content) > MAX_CONTENT:
        raise TooLarge(f"A scratchpad holds at most {MAX_CONTENT:,} characters; this would have {len(content):,}.")
    return content


def payload(pad: Scratchpad, *, section: str = "") -> dict[str, Any]:
    """The answer of ``scratchpad_read``; a text over the byte budget is cut, and ``truncated`` says how to go on."""
    text = section_of(pad, section) if section else pad.content
    kept = text.encode()[: ANSWER_BUDGET - 1_000].decode("utf-8", "ignore")
    cut = f"{len(kept):,} of {len(text):,} characters; read it by section" if len(kept) < len(text) else None
    return {
        "scratchpad": pad.pk,
        "name": pad.name,
        "revision": pad.revision,
        "content": kept,
        "headings": [line.strip() for line in pad.content.splitlines() if re.match(r"#{1,6}\s", line)][:60],
        "truncated": cut,
    }


def list_payload(identity: Identity, *, query: str = "", cursor: str | None = None, limit: int = 50) -> dict[str, Any]:
    """The answer of ``scratchpad_list``: newest number first; ``cursor`` goes on where the last answer ended."""
    rows = visible(identity)
    if query:
        rows = rows.filter(Q(name__icontains=query) | Q(content__icontains=query))
    if cursor:
        rows = rows.filter(pk__lt=recall.number_of(cursor))
    page = list(rows.order_by("-pk")[: limit + 1])
    shown = [
        {
            "scratchpad": pad.pk,
            "name": pad.name,
            "revision": pad.revision,
            "begins": pad.content[:160],
            "updated": recall.iso(pad.updated_at),
        }
        for pad in page[:limit]
    ]
    return recall.page_within(
        {"scratchpads": shown, "cursor": None}, "scratchpads", "scratchpad", more=len(page) > limit
    )


def visible(identity: Identity) -> QuerySet[Scratchpad]:
    """The scratchpads that a caller may see: its project's, and those of no project."""
    rows = Scratchpad.objects.all()
    if identity.project is not None:
        rows = rows.filter(Q(project=identity.project) | Q(project=None))
    return rows
