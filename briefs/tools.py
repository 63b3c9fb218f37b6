"""The tools of the board: what an agent sees of briefs and says to them. Doors only: each calls one service."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from briefs import lifecycle
from briefs.identity import Identity, Scope
from briefs.models import Brief
from briefs.services import briefs, links, proposals, questions, recall, relations, specs
from flower.toolbox import tool


@tool("rao", read_only=True)
def whoami(caller: Identity) -> dict[str, Any]:
    """Who you are here: your actor name, scope, and the project, brief and dispatch that your token is bound to."""
    project = caller.find_project(None)
    return {
        "actor": caller.actor.ref,
        "kind": caller.actor.kind,
        "scope": caller.scope,
        "project": project.slug if project else None,
        "brief": caller.brief,
        "dispatch": caller.run,
    }


@tool("rao", read_only=True)
def recall_brief(
    caller: Identity, brief: int | None = None, include: list[str] | None = None, budget: int | None = None
) -> dict[str, Any]:
    """Read a brief: its spec (the plan to follow), trace (newest first), questions, dispatches, links and relations.

    Leave `brief` out for the one you are working on. `include` picks sections, `budget` is the answer's size in bytes.
    """
    return recall.brief_payload(caller.find_brief(brief), include=include, budget=budget, project=caller.project)


@tool("ao", read_only=True)
def recall_briefs(
    caller: Identity,
    query: str = "",
    status: str = "",
    project: str | None = None,
    epic: int | None = None,
    dispatchable: bool | None = None,
    limit: int = 30,
    cursor: str | None = None,
) -> dict[str, Any]:
    """List briefs, newest first, by words, status, project or epic; `dispatchable` keeps those that could start now."""
    return recall.briefs_payload(
        caller,
        query=query,
        status=status,
        project=project,
        epic=epic,
        dispatchable=dispatchable,
        limit=limit,
        cursor=cursor,
    )


@tool("ao")
def brief_create(
    caller: Identity,
    body: str,
    title: str = "",
    project: str | None = None,
    parent: int | None = None,
    spec: str = "",
    kind: str = "",
) -> dict[str, Any]:
    """Capture a piece of work as a new brief (an idea). The first line of `body` is its title unless you give one.

    What an agent captures on its own waits for an operator's approval before it can be dispatched.
    """
    brief = briefs.capture(
        body,
        actor=caller.actor,
        title=title,
        project=caller.find_project(project),
        parent=caller.find_brief(parent) if parent is not None else None,
        spec=spec,
        kind=kind,
        origin=Brief.Origin.MCP,
        needs_approval=caller.scope == Scope.AGENT,
    )
    return {"brief": brief.pk, "status": brief.status, "url": reverse("brief", args=[brief.pk])}


@tool("rao")
def brief_append(caller: Identity, body: str, brief: int | None = None, kind: str = "note") -> dict[str, Any]:
    """Add a note, comment or progress line (markdown) to a brief's trace. `kind`: note, comment or progress."""
    found = caller.find_brief(brief)
    return {"ok": True, "brief": found.pk, "seq": briefs.note(found, body, actor=caller.actor, kind=kind)}


@tool("ao")
def brief_update_status(caller: Identity, brief: int, status: str, why: str = "") -> dict[str, Any]:
    """Move a brief: idea, refining, planned, deferred, cancelled, abandoned … with a reason for the trace."""
    found = lifecycle.move(caller.find_brief(brief), status, actor=caller.actor, why=why)
    return {"ok": True, "brief": found.pk, "status": found.status}


# --- the spec and the plan --------------------------------------------------------------------------------------------


@tool("ao")
def brief_update_spec(caller: Identity, brief: int, spec: str, base_version: int, why: str = "") -> dict[str, Any]:
    """Replace a brief's spec. `base_version` is the `spec_version` you read; if it moved on, read again and merge."""
    found = specs.update(caller.find_brief(brief), spec, base_version=base_version, actor=caller.actor, why=why)
    return {"ok": True, "brief": found.pk, "spec_version": found.spec_version}


@tool("rao")
def brief_propose_plan(caller: Identity, plan: str, brief: int | None = None) -> dict[str, Any]:
    """Propose a plan (markdown) for a brief. An operator accepts it as the spec, edits or refuses it."""
    proposal = proposals.propose(caller.find_brief(brief), plan, actor=caller.actor)
    return {"ok": True, "brief": proposal.brief_id, "proposal": proposal.pk, "seq": proposal.entry}


# --- questions --------------------------------------------------------------------------------------------------------


@tool("rao")
def brief_ask(
    caller: Identity, question: str, brief: int | None = None, options: list[str] | None = None, blocking: bool = False
) -> dict[str, Any]:
    """Ask the operator about a brief. `blocking` when you cannot go on without the answer: then stop after asking."""
    found = caller.find_brief(brief)
    asked = questions.ask(found, question, actor=caller.actor, options=options, blocking=blocking)
    return {"ok": True, "brief": found.pk, "question": asked.pk}


@tool("o")
def brief_answer(caller: Identity, question: int, answer: str) -> dict[str, Any]:
    """Answer an open question by its number."""
    answered = questions.answer(questions.find(caller, question), answer, actor=caller.actor)
    return {"ok": True, "question": answered.pk, "brief": answered.brief_id}


@tool("ao", read_only=True)
def brief_open_questions(caller: Identity, brief: int | None = None, cursor: str | None = None) -> dict[str, Any]:
    """The open questions, of one brief or of all that you may see, oldest first; those of ended briefs do not count."""
    return questions.payload(caller, brief=brief, cursor=cursor)


# --- links and relations ----------------------------------------------------------------------------------------------


@tool("rao")
def brief_link(
    caller: Identity, kind: str, target: str, brief: int | None = None, relation: str = "reference"
) -> dict[str, Any]:
    """Link a brief to a commit, branch, worktree, session, file, url, scratchpad or brief.

    `relation` is execution (where it is worked on), result (what came of it) or reference.
    """
    found = caller.find_brief(brief)
    made = links.add(found, kind, target, actor=caller.actor, relation=relation)
    return {"ok": True, "brief": found.pk, "link": made.pk}


@tool("ao")
def brief_set_parent(caller: Identity, brief: int, parent: int | None) -> dict[str, Any]:
    """Put a brief into an epic (its `parent`), or take it out with null."""
    into = caller.find_brief(parent) if parent is not None else None
    found = relations.set_parent(caller.find_brief(brief), into, actor=caller.actor)
    return {"ok": True, "brief": found.pk, "parent": parent}


@tool("ao")
def brief_add_dependency(caller: Identity, brief: int, depends_on: int) -> dict[str, Any]:
    """`brief` cannot be dispatched before `depends_on` is finished. Circles are refused."""
    made = relations.add_dependency(caller.find_brief(brief), caller.find_brief(depends_on), actor=caller.actor)
    return {"ok": True, "brief": made.brief_id, "depends_on": made.depends_on_id}


@tool("ao")
def brief_remove_dependency(caller: Identity, brief: int, depends_on: int) -> dict[str, Any]:
    """`brief` waits no longer for `depends_on`."""
    found, other = caller.find_brief(brief), caller.find_brief(depends_on)
    relations.remove_dependency(found, other, actor=caller.actor)
    return {"ok": True, "brief": found.pk, "depends_on": other.pk}


@tool("ao")
def brief_merge(caller: Identity, brief: int, into: int) -> dict[str, Any]:
    """Fold a brief into another one: it is cancelled, both keep their trace and point at each other."""
    kept = relations.merge(caller.find_brief(brief), caller.find_brief(into), actor=caller.actor)
    return {"ok": True, "brief": brief, "into": kept.pk}
