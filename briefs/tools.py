"""The tools of the board: what an agent sees of briefs and says to them. Doors only: each calls one service."""

from __future__ import annotations

from typing import Annotated, Any, Final

from django.urls import reverse

from briefs import lifecycle
from briefs.identity import Identity, Scope
from briefs.models import Brief, Link
from briefs.models.status import Status
from briefs.services import briefs, duplicates, links, proposals, questions, recall, relations, specs
from core.toolbox import Arg, BriefNumber, Cursor, Limit, OwnBrief, ProjectSlug, tool

LOOK_ALIKES: Final = 5
BY_HAND: Final = tuple(status for status in Status.values if status not in lifecycle.ROLLED_UP)
DependsOn = Annotated[int, Arg("The number of the brief that comes first.")]
Why = Annotated[str, Arg("The reason, for the trace.")]


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
    caller: Identity,
    brief: OwnBrief = None,
    include: Annotated[list[str] | None, Arg("Sections; default: all.", recall.SECTIONS)] = None,
    budget: Annotated[int | None, Arg("The answer's size in bytes, 2000 to 400000.")] = None,
) -> dict[str, Any]:
    """Read a brief: its spec (the plan to follow), trace (newest first), questions, dispatches, links and relations.

    What did not fit the budget is named in `truncated`.
    """
    return recall.brief_payload(caller.find_brief(brief), include=include, budget=budget, project=caller.project)


@tool("ao", read_only=True)
def recall_briefs(
    caller: Identity,
    query: Annotated[str, Arg("Words of title or spec in any order, or a number like #36.")] = "",
    status: Annotated[str, Arg("Only those of this status.", Status.values)] = "",
    project: ProjectSlug = None,
    epic: Annotated[int | None, Arg("Only the parts of this brief.")] = None,
    dispatchable: Annotated[bool | None, Arg("true: only those that could start now.")] = None,
    limit: Limit = 30,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List briefs, newest first, by words, number, status, project or epic."""
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


@tool("ao", keyed=True)
def brief_create(
    caller: Identity,
    body: Annotated[str, Arg("What is wanted, in markdown; its first line is the title unless you give one.")],
    title: Annotated[str, Arg("A title of its own, one line.")] = "",
    project: Annotated[str | None, Arg("The project's slug; default: your token's, or the parent's.")] = None,
    parent: Annotated[int | None, Arg("The epic that it is a part of.")] = None,
    spec: Annotated[str, Arg("The plan to follow, in markdown.")] = "",
    kind: Annotated[str, Arg("What sort of work; default: work.", Brief.Kind.values)] = "",
) -> dict[str, Any]:
    """Capture a piece of work as a new brief (an idea). `look_alikes` are open briefs that may say the same.

    What an agent captures on its own waits for an operator's approval before it can be dispatched.
    """
    found = caller.find_project(project)
    alike = duplicates.search(caller, title or body, project=found, limit=LOOK_ALIKES)
    brief = briefs.capture(
        body,
        actor=caller.actor,
        title=title,
        project=found,
        parent=caller.find_brief(parent) if parent is not None else None,
        spec=spec,
        kind=kind,
        origin=Brief.Origin.MCP,
        needs_approval=caller.scope == Scope.AGENT,
    )
    return {
        "brief": brief.pk,
        "status": brief.status,
        "url": reverse("brief", args=[brief.pk]),
        "look_alikes": [{"brief": hit.number, "title": hit.title, "status": hit.status} for hit in alike],
    }


@tool("rao", keyed=True)
def brief_append(
    caller: Identity,
    body: Annotated[str, Arg("The text, in markdown.")],
    brief: OwnBrief = None,
    kind: Annotated[str, Arg("What it is.", tuple(briefs.NOTE_KINDS))] = "note",
) -> dict[str, Any]:
    """Add a note, comment or progress line to a brief's trace."""
    found = caller.find_brief(brief)
    return {"ok": True, "brief": found.pk, "seq": briefs.note(found, body, actor=caller.actor, kind=kind)}


@tool("ao")
def brief_update_status(
    caller: Identity,
    brief: BriefNumber,
    status: Annotated[str, Arg("Where to: one of its possible `moves`.", BY_HAND, refused_by_tool=True)],
    why: Why = "",
) -> dict[str, Any]:
    """Move a brief by hand. Which moves are possible now, `dispatch_explain` says (`moves`), and so does a refusal.

    While a dispatch is active none is: the status follows from that.
    """
    found = lifecycle.move(caller.find_brief(brief), status, actor=caller.actor, why=why)
    return {"ok": True, "brief": found.pk, "status": found.status}


# --- the spec and the plan --------------------------------------------------------------------------------------------


@tool("ao")
def brief_update_spec(
    caller: Identity,
    brief: BriefNumber,
    spec: Annotated[str, Arg("The whole new text, in markdown.")],
    base_version: Annotated[int, Arg("The `spec_version` that you read.")],
    why: Why = "",
) -> dict[str, Any]:
    """Replace a brief's spec. If it moved on from the version that you read, read it again and merge."""
    found = specs.update(caller.find_brief(brief), spec, base_version=base_version, actor=caller.actor, why=why)
    return {"ok": True, "brief": found.pk, "spec_version": found.spec_version}


@tool("rao")
def brief_propose_plan(
    caller: Identity, plan: Annotated[str, Arg("The plan, in markdown.")], brief: OwnBrief = None
) -> dict[str, Any]:
    """Propose a plan for a brief. An operator accepts it as the spec, edits or refuses it."""
    proposal = proposals.propose(caller.find_brief(brief), plan, actor=caller.actor)
    return {"ok": True, "brief": proposal.brief_id, "proposal": proposal.pk, "seq": proposal.entry}


# --- questions --------------------------------------------------------------------------------------------------------


@tool("rao", keyed=True)
def brief_ask(
    caller: Identity,
    question: Annotated[str, Arg("The question, in markdown.")],
    brief: OwnBrief = None,
    options: Annotated[list[str] | None, Arg("Answers to choose from, at most 12.")] = None,
    blocking: Annotated[bool, Arg("true: you cannot go on without the answer; then stop after asking.")] = False,
) -> dict[str, Any]:
    """Ask the operator about a brief."""
    found = caller.find_brief(brief)
    asked = questions.ask(found, question, actor=caller.actor, options=options, blocking=blocking)
    return {"ok": True, "brief": found.pk, "question": asked.pk}


@tool("o")
def brief_answer(
    caller: Identity,
    question: Annotated[int, Arg("The question's number.")],
    answer: Annotated[str, Arg("The answer, in markdown.")],
) -> dict[str, Any]:
    """Answer an open question."""
    answered = questions.answer(questions.find(caller, question), answer, actor=caller.actor)
    return {"ok": True, "question": answered.pk, "brief": answered.brief_id}


@tool("ao", read_only=True)
def brief_open_questions(
    caller: Identity,
    brief: Annotated[int | None, Arg("Only those of this brief.")] = None,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The open questions, of one brief or of all that you may see, oldest first; those of ended briefs do not count."""
    return questions.payload(caller, brief=brief, cursor=cursor)


# --- links and relations ----------------------------------------------------------------------------------------------


@tool("rao")
def brief_link(
    caller: Identity,
    kind: Annotated[str, Arg("What it leads to.", Link.Kind.values)],
    target: Annotated[str, Arg("Its id, name, path, number or address.")],
    brief: OwnBrief = None,
    relation: Annotated[
        str, Arg("Where it is worked on (execution), what came of it (result), or else.", Link.Relation.values)
    ] = "reference",
) -> dict[str, Any]:
    """Link a brief to something: a commit, a branch, a file, an address …"""
    found = caller.find_brief(brief)
    made = links.add(found, kind, target, actor=caller.actor, relation=relation)
    return {"ok": True, "brief": found.pk, "link": made.pk}


@tool("ao")
def brief_set_parent(
    caller: Identity, brief: BriefNumber, parent: Annotated[int | None, Arg("The epic's number; null: none.")]
) -> dict[str, Any]:
    """Put a brief into an epic (its `parent`), or take it out with null."""
    into = caller.find_brief(parent) if parent is not None else None
    found = relations.set_parent(caller.find_brief(brief), into, actor=caller.actor)
    return {"ok": True, "brief": found.pk, "parent": parent}


@tool("ao")
def brief_add_dependency(caller: Identity, brief: BriefNumber, depends_on: DependsOn) -> dict[str, Any]:
    """`brief` cannot be dispatched before `depends_on` is finished. Circles are refused."""
    made = relations.add_dependency(caller.find_brief(brief), caller.find_brief(depends_on), actor=caller.actor)
    return {"ok": True, "brief": made.brief_id, "depends_on": made.depends_on_id}


@tool("ao")
def brief_remove_dependency(caller: Identity, brief: BriefNumber, depends_on: DependsOn) -> dict[str, Any]:
    """`brief` waits no longer for `depends_on`."""
    found, other = caller.find_brief(brief), caller.find_brief(depends_on)
    relations.remove_dependency(found, other, actor=caller.actor)
    return {"ok": True, "brief": found.pk, "depends_on": other.pk}


@tool("o")
def brief_start_without(caller: Identity, brief: BriefNumber, depends_on: DependsOn) -> dict[str, Any]:
    """Let `brief` start although `depends_on` was cancelled or abandoned, so that its work is not there."""
    found, other = caller.find_brief(brief), caller.find_brief(depends_on)
    relations.accept_missing(found, other, actor=caller.actor)
    return {"ok": True, "brief": found.pk, "depends_on": other.pk, "blocked": found.waits_for()}


@tool("ao")
def brief_merge(
    caller: Identity,
    brief: Annotated[int, Arg("The one that is cancelled.")],
    into: Annotated[int, Arg("The one that is kept.")],
) -> dict[str, Any]:
    """Fold a brief into another one: it is cancelled, both keep their trace and point at each other."""
    kept = relations.merge(caller.find_brief(brief), caller.find_brief(into), actor=caller.actor)
    return {"ok": True, "brief": brief, "into": kept.pk}
