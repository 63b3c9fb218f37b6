"""The tools of the daemons' room: agent programs and scratchpads. Doors only: each calls one service."""

from __future__ import annotations

from typing import Annotated, Any

from briefs.identity import Identity
from core.toolbox import Arg, Cursor, tool
from daemons.services import programs, scratchpads

Section = Annotated[str, Arg("Only the part under this heading.")]
PadNumber = Annotated[int, Arg("The scratchpad's number.")]


@tool("o", read_only=True)
def recall_agents(caller: Identity) -> dict[str, Any]:
    """List the agent programs that `brief_dispatch` can start; `installed` says whether each is on this machine."""
    return programs.payload()


@tool("rao", keyed=True)
def scratchpad_write(
    caller: Identity,
    name: Annotated[str, Arg("Its name, one line.")],
    content: Annotated[str, Arg("The whole text, in markdown.")],
    scratchpad: Annotated[int | None, Arg("The one to replace, by its number; default: a new one.")] = None,
    revision: Annotated[int | None, Arg("To replace: the `revision` that you read.")] = None,
) -> dict[str, Any]:
    """Make a scratchpad (a shared note), or replace one."""
    if scratchpad is None:
        made = scratchpads.create(name, content, actor=caller.actor, project=caller.find_project(None))
        return {"ok": True, "scratchpad": made.pk, "revision": made.revision}
    pad = scratchpads.find(caller, scratchpad)
    pad = scratchpads.write(pad, content, revision=revision or 0, actor=caller.actor, name=name)
    return {"ok": True, "scratchpad": pad.pk, "revision": pad.revision}


@tool("rao", read_only=True)
def scratchpad_read(caller: Identity, scratchpad: PadNumber, section: Section = "") -> dict[str, Any]:
    """Read a scratchpad, or the part under one heading."""
    return scratchpads.payload(scratchpads.find(caller, scratchpad), section=section)


@tool("rao", keyed=True)
def scratchpad_append(
    caller: Identity, scratchpad: PadNumber, content: Annotated[str, Arg("The text to add, in markdown.")]
) -> dict[str, Any]:
    """Add to the end of a scratchpad; this overwrites nothing and needs no revision."""
    pad = scratchpads.append(scratchpads.find(caller, scratchpad), content, actor=caller.actor)
    return {"ok": True, "scratchpad": pad.pk, "revision": pad.revision}


@tool("rao", read_only=True)
def scratchpad_list(
    caller: Identity, query: Annotated[str, Arg("Words of name or text.")] = "", cursor: Cursor = None
) -> dict[str, Any]:
    """List scratchpads, newest first: number, name, revision, and how they begin."""
    return scratchpads.list_payload(caller, query=query, cursor=cursor)
