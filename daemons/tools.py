"""The tools of the daemons' room: scratchpads, for now. Doors only: each calls one service."""

from __future__ import annotations

from typing import Any

from briefs.identity import Identity
from daemons.services import scratchpads
from flower.toolbox import tool


@tool("rao")
def scratchpad_write(
    caller: Identity, name: str, content: str, scratchpad: int | None = None, revision: int | None = None
) -> dict[str, Any]:
    """Make a scratchpad (a shared markdown note), or replace one: then `revision` is the one that you read."""
    if scratchpad is None:
        made = scratchpads.create(name, content, actor=caller.actor, project=caller.find_project(None))
        return {"ok": True, "scratchpad": made.pk, "revision": made.revision}
    pad = scratchpads.find(caller, scratchpad)
    pad = scratchpads.write(pad, content, revision=revision or 0, actor=caller.actor, name=name)
    return {"ok": True, "scratchpad": pad.pk, "revision": pad.revision}


@tool("rao", read_only=True)
def scratchpad_read(caller: Identity, scratchpad: int, section: str = "") -> dict[str, Any]:
    """Read a scratchpad, or the part under one heading."""
    return scratchpads.payload(scratchpads.find(caller, scratchpad), section=section)


@tool("rao")
def scratchpad_append(caller: Identity, scratchpad: int, content: str) -> dict[str, Any]:
    """Add to the end of a scratchpad; this overwrites nothing and needs no revision."""
    pad = scratchpads.append(scratchpads.find(caller, scratchpad), content, actor=caller.actor)
    return {"ok": True, "scratchpad": pad.pk, "revision": pad.revision}


@tool("rao", read_only=True)
def scratchpad_list(caller: Identity, query: str = "", cursor: str | None = None) -> dict[str, Any]:
    """List scratchpads, newest first: number, name, revision, and how they begin."""
    return scratchpads.list_payload(caller, query=query, cursor=cursor)
