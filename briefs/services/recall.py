"""What an agent is told about a brief. The tool and the page's Agent's-eye view call this same function.

Answers stay under a byte budget. What did not fit is said in ``truncated``, a sentence each, with how to get it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pydantic_core
from django.db.models import Q

from briefs.identity import Identity
from briefs.models import Brief, Dependency, Link, Participant, Project, Question, TraceEntry
from briefs.models.blocker import Blocker, BlockerCode
from briefs.models.relation import blocker_of
from briefs.models.status import Status
from briefs.services import searching
from core.errors import Invalid
from core.prepared import Prepared
from core.toolbox import ANSWER_BUDGET

MIN_BUDGET: Final = 2_000
MAX_BUDGET: Final = 400_000
TRACE_BODY: Final = 2_000  # characters of one entry's body in the answer
HIDDEN_TITLE: Final = "(a brief of another project)"

# Sections that higher rooms add ("dispatches"): name -> (brief number) -> list of plain rows.
_sections: dict[str, Callable[[int], list[dict[str, Any]]]] = {}


def section(name: str) -> Callable[[Callable[[int], list[dict[str, Any]]]], Callable[[int], list[dict[str, Any]]]]:
    """Register a section of the answer, filled by a higher room."""

    def register(fill: Callable[[int], list[dict[str, Any]]]) -> Callable[[int], list[dict[str, Any]]]:
        _sections[name] = fill
        return fill

    return register


SECTIONS: Final = ("spec", "questions", "dispatches", "trace", "participants", "links", "relations", "projects")


def brief_payload(
    brief: Brief, *, include: Sequence[str] | None = None, budget: int | None = None, project: int | None = None
) -> dict[str, Any]:
    """The answer of ``recall_brief``: a dict of plain JSON of at most ``budget`` bytes (UTF-8, compact).

    ``include`` names the sections that are wanted (default: all). A caller that is limited to ``project`` is told the
    numbers of briefs of other projects and not their titles. Raises Invalid for an unknown section or budget.
    """
    wanted = set(include or SECTIONS)
    if unknown := wanted - set(SECTIONS):
        raise Invalid(f"There is no section '{sorted(unknown)[0]}'; sections are {', '.join(SECTIONS)}.")
    limit = ANSWER_BUDGET if budget is None else budget
    if not MIN_BUDGET <= limit <= MAX_BUDGET:
        raise Invalid(f"The budget is a number of bytes from {MIN_BUDGET:,} to {MAX_BUDGET:,}.")
    relations = _relations(brief, project)
    questions = _questions(brief)
    payload: dict[str, Any] = {
        "brief": brief.pk,
        "title": brief.title,
        "status": brief.status,
        "blocked": _waits_for(brief, relations, questions),
        "spec_version": brief.spec_version,
    }
    fill: dict[str, Callable[[], Any]] = {
        "spec": lambda: brief.spec,
        "questions": lambda: questions,
        "dispatches": lambda: _sections["dispatches"](brief.pk) if "dispatches" in _sections else [],
        "trace": lambda: _trace(brief),
        "participants": lambda: _participants(brief),
        "links": lambda: _links(brief),
        "relations": lambda: relations,
        "projects": lambda: _projects(brief),
    }
    payload |= {name: fill[name]() for name in SECTIONS if name in wanted}
    return _within(payload, limit, brief.trace_seq)


_trace_rows = Prepared(
    lambda brief: (
        TraceEntry.objects.filter(brief=brief)
        .order_by("-seq")
        .values_list("seq", "kind", "source", "actor_ref", "body", "data", "at")[:100]
    )
)
_question_rows = Prepared(
    lambda brief: Question.objects.filter(brief=brief).values_list(
        "pk", "body", "options", "blocking", "asked_by__ref", "answer", "answered_at"
    )
)
_participant_rows = Prepared(
    lambda brief: Participant.objects.filter(brief=brief).values_list("actor__ref", "role", "joined_at", "left_at")[
        :100
    ]
)
_link_rows = Prepared(
    lambda brief: Link.objects.filter(brief=brief).values_list("kind", "target", "label", "relation")[:100]
)
_edge_rows = Prepared(
    lambda brief: Dependency.objects.filter(Q(brief=brief) | Q(depends_on=brief)).values_list(
        *("brief_id", "brief__title", "brief__status", "brief__project"),
        *("depends_on_id", "depends_on__title", "depends_on__status", "depends_on__project"),
        "accepted_at",
    )
)
_child_rows = Prepared(
    lambda brief: (
        Brief.objects.filter(parent=brief).order_by("pk").values_list("pk", "title", "status", "project")[:200]
    )
)
_project_rows = Prepared(lambda brief: Project.objects.filter(briefs=brief).values_list("slug", "main_branch"))
_other_project_rows = Prepared(
    lambda brief: (
        Brief.other_projects.through.objects.filter(brief=brief)
        .order_by("project__slug")
        .values_list("project__slug", "project__main_branch")
    )
)


def _trace(brief: Brief) -> list[dict[str, Any]]:
    rows = _trace_rows(brief.pk)
    return [
        {"seq": seq, "kind": kind, "source": source, "actor": actor, "body": _cut(body), "at": iso(at)}
        | ({"data": data} if data and not body else {})
        for seq, kind, source, actor, body, data, at in rows
    ]


def _cut(body: str) -> str:
    if len(body) <= TRACE_BODY:
        return body
    return f"{body[:TRACE_BODY]} … [{len(body) - TRACE_BODY:,} more characters]"


def _questions(brief: Brief) -> list[dict[str, Any]]:
    return [
        {
            "question": pk,
            "body": body,
            "options": options,
            "blocking": blocking,
            "asked_by": asked_by,
            "answer": answer if answered_at else None,
        }
        for pk, body, options, blocking, asked_by, answer, answered_at in _question_rows(brief.pk)
    ]


def _participants(brief: Brief) -> list[dict[str, Any]]:
    rows = _participant_rows(brief.pk)
    return [
        {"actor": ref, "role": role, "active": left is None, "since": iso(joined)} for ref, role, joined, left in rows
    ]


def _links(brief: Brief) -> list[dict[str, Any]]:
    names = ("kind", "target", "label", "relation")
    return [dict(zip(names, row, strict=True)) for row in _link_rows(brief.pk)]


def _relations(brief: Brief, limited_to: int | None) -> dict[str, Any]:
    def named(title: str, project: int | None) -> str:
        return title if limited_to in (None, project) else HIDDEN_TITLE

    needs, needed = [], []
    for source, its, its_status, its_project, target, title, status, project, accepted in _edge_rows(brief.pk):
        if source == brief.pk:
            row = {"brief": target, "title": named(title, project), "status": status}
            needs.append({**row, "accepted": True} if accepted is not None else row)
        else:
            needed.append({"brief": source, "title": named(its, its_project), "status": its_status})
    parent = brief.parent
    return {
        "parent": {"brief": parent.pk, "title": named(parent.title, parent.project_id)} if parent else None,
        "children": [
            {"brief": pk, "title": named(title, project), "status": status}
            for pk, title, status, project in _child_rows(brief.pk)
        ],
        "depends_on": needs,
        "needed_by": needed,
    }


def _projects(brief: Brief) -> list[dict[str, Any]]:
    rows = [(*row, "primary") for row in _project_rows(brief.pk)]
    rows += [(*row, "other") for row in _other_project_rows(brief.pk)]
    return [{"project": slug, "main_branch": main, "relation": relation} for slug, main, relation in rows]


def _waits_for(brief: Brief, relations: dict[str, Any], questions: list[dict[str, Any]]) -> list[str]:
    """Brief.waits_for from what is loaded already: no further query."""
    edges = [
        blocker_of(row["brief"], row["title"], row["status"], is_accepted="accepted" in row)
        for row in relations["depends_on"]
    ]
    waits = [blocker for blocker in edges if blocker is not None]
    asked = [q["question"] for q in questions if q["blocking"] and q["answer"] is None]
    waits += [Blocker(BlockerCode.QUESTION, number) for number in asked]
    waits += [Blocker(BlockerCode.APPROVAL)] if brief.needs_approval else []
    return [blocker.phrase for blocker in waits]


def _within(payload: dict[str, Any], limit: int, entries: int) -> dict[str, Any]:
    """Cut what is over the budget: first old trace entries, then links and the like, then the end of the spec."""
    payload["truncated"] = truncated = []
    rows = payload.get("trace", [])
    if rows and rows[-1]["seq"] > 1:
        truncated.append("")
    size = _size(payload) + 200  # room for the sentences that say what was cut
    if size <= limit and not truncated:
        return payload
    size = _drop(rows, size, limit, keep=3)
    if rows and (cut := rows[-1]["seq"] - 1) > 0:
        truncated[:] = [f"trace: entries 1 to {cut} of {entries} are left out; ask with a larger budget"]
    for name in ("links", "participants", "dispatches", "questions"):
        had = len(payload.get(name, []))
        size = _drop(payload.get(name, []), size, limit, keep=1)
        if len(payload.get(name, [])) < had:
            truncated.append(f"{name}: {len(payload[name])} of {had} shown; ask include=['{name}']")
    if size > limit and payload.get("spec"):
        spec = payload["spec"]
        room = max(200, len(spec.encode()) - (size - limit) - 100)
        payload["spec"] = spec.encode()[:room].decode("utf-8", "ignore")
        truncated.append(
            f"spec: {len(payload['spec']):,} of {len(spec):,} characters; ask include=['spec'] with a larger budget"
        )
    if _size(payload) > limit:
        truncated.append("long texts and lists are cut; ask for one section")
        for characters, most in ((300, 20), (120, 8), (60, 3)):
            _clip(payload, characters, most)
            if _size(payload) <= limit:
                break
    return payload


def _clip(payload: dict[str, Any], characters: int, most: int) -> None:
    """The last resort, for what is long in itself: the heads of the texts and lists that are left."""
    for section in ("trace", "questions", "dispatches", "links"):
        for row in payload.get(section, []):
            row.pop("data", None)
            for key, value in row.items():
                if isinstance(value, str) and len(value) > characters:
                    row[key] = f"{value[:characters]} …"
            del row.get("options", [])[most:]
    for name in ("children", "depends_on", "needed_by"):
        del payload.get("relations", {}).get(name, [])[most:]
    del payload["blocked"][most:]


def _drop(rows: list[dict[str, Any]], size: int, limit: int, *, keep: int) -> int:
    while size > limit and len(rows) > keep:
        size -= _size(rows.pop()) + 1
    return size


def _size(value: Any) -> int:
    return len(pydantic_core.to_json(value))


def iso(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, to the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else None


# --- lists ------------------------------------------------------------------------------------------------------------


def briefs_payload(
    identity: Identity,
    *,
    query: str = "",
    status: str = "",
    project: str | None = None,
    epic: int | None = None,
    dispatchable: bool | None = None,
    limit: int = 30,
    cursor: str | None = None,
) -> dict[str, Any]:
    """The answer of ``recall_briefs``: newest change first, ``cursor`` goes on where the last answer ended."""
    if status and status not in Status.values:
        raise Invalid(f"'{status}' is no brief status; it is one of {', '.join(Status.values)}.")
    if not 1 <= limit <= 200:
        raise Invalid("The limit is a number from 1 to 200.")
    rows = visible(identity).with_blocked().order_by("-pk")
    found = identity.find_project(project)
    filters = Q()
    if found:
        filters &= Q(project=found)
    if status:
        filters &= Q(status=status)
    if epic is not None:
        filters &= Q(parent=epic)
    if query:
        filters &= searching.said(query) | searching.numbered(query)
    if dispatchable:
        filters &= Q(status__in=[Status.IDEA, Status.REFINING, Status.PLANNED], is_blocked=False)
    if cursor:
        filters &= Q(pk__lt=number_of(cursor))
    page = list(
        rows.filter(filters).values_list(
            "pk", "title", "status", "project__slug", "parent_id", "is_blocked", "updated_at"
        )[: limit + 1]
    )
    shown = [
        {
            "brief": pk,
            "title": title,
            "status": state,
            "project": slug,
            "epic": parent,
            "blocked": blocked,
            "updated": iso(at),
        }
        for pk, title, state, slug, parent, blocked, at in page[:limit]
    ]
    return page_within({"briefs": shown, "cursor": None}, "briefs", "brief", more=len(page) > limit)


def number_of(cursor: str) -> int:
    """The row that a cursor of ours names. Raises Invalid for any other text."""
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise Invalid("This cursor is not one that an earlier answer gave.")
    return int(cursor)


def number_in(text: str) -> int | None:
    """The number that a text begins with: ``12``, ``#12``, ``#12 its title``; None where there is none."""
    digits = text.strip().removeprefix("#").split(" ")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 16 else None


def page_within(
    answer: dict[str, Any], rows: str, number: str, *, more: bool, limit: int = ANSWER_BUDGET
) -> dict[str, Any]:
    """Cut a page of rows to the byte budget; ``cursor`` names the last row shown when there are more."""
    shown: list[dict[str, Any]] = answer[rows]
    size = _size(answer) + 40
    while size > limit and len(shown) > 1:
        size -= _size(shown.pop()) + 1
        more = True
    answer["cursor"] = str(shown[-1][number]) if more and shown else None
    return answer


def visible(identity: Identity) -> Any:
    """The briefs that a caller may see."""
    rows = Brief.objects.all()
    if identity.scope == "run":
        return rows.filter(pk=identity.brief or 0)
    if identity.project is not None:
        return rows.filter(Q(project=identity.project) | Q(other_projects=identity.project)).distinct()
    return rows
