"""The spec on the brief page: read, written with a preview, kept in versions, proposed by others, asked of the refiner.

Every save is checked against the version that it began from. Who is late sees what differs and saves on top of it;
what was typed is never lost: it stands in the form, and the browser keeps a draft of it (static/js/drafts.js).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.db.models import F
from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from briefs.forms import PreviewForm, ProposalForm, SpecForm, VersionForm, WhyForm, read
from briefs.models import Brief, Proposal, Refinement, TraceEntry
from briefs.services import proposals, references, refining, specs
from briefs.views import rooms
from briefs.views.brief import act
from briefs.views.door import Refused, Request, show
from core import markdown
from core.errors import Invalid, NotFound

CONTENTS: Final = 4  # so many headings make a spec worth a table of contents
LISTED: Final = 150  # of them; a table of contents that is longer leads nowhere
DEEP: Final = 3_000  # characters: from within a longer spec one is led back to its parts
LONG: Final = 12_000  # characters: a longer spec is folded, so that the trace stays within reach
PROPOSED: Final = 5
COMPARED: Final = 60_000  # characters of either side that a panel compares at once; the versions' page takes all


# --- what the panel shows ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposed:
    """An open proposal beside what it would change."""

    proposal: Proposal
    changes: list[list[specs.Line]]
    names: markdown.Names

    @property
    def panel(self) -> str:
        return f"proposal-{self.proposal.pk}"


@rooms.panel("spec")
def spec_context(request: Request, found: Brief, refused: Refused | None) -> dict[str, Any]:
    look = markdown.look(found.spec)
    top = min((heading.level for heading in look.headings), default=1)
    contents = [heading for heading in look.headings if heading.level <= top + 1]
    typed = refused.typed.get("spec", "") if refused and refused.panel == "spec" else ""
    plans = [_proposed(request, found, row) for row in _open(found)]
    decided = refused if refused and refused.panel.startswith("proposal-") else None
    return {
        "names": references.resolve(request.identity, found, [found.spec]),
        "entry": spec_entry(found),
        "contents": _contents(contents, top) if len(contents) >= CONTENTS else [],
        "more_contents": max(0, len(contents) - LISTED),
        "tasks": (look.done, look.tasks),
        "is_deep": len(found.spec) > DEEP or len(contents) > 3 * CONTENTS,
        "is_long": len(found.spec) > LONG,
        "differs": _compare(found.spec, typed) if typed and refused and refused.stale else [],
        "proposed": plans,
        "too_late": decided if decided and decided.panel not in {plan.panel for plan in plans} else None,
        "refining": refining_context(found),
    }


def _contents(headings: list[markdown.Heading], top: int) -> list[tuple[markdown.Heading, bool]]:
    return [(heading, heading.level > top) for heading in headings[:LISTED]]


def _open(found: Brief) -> list[Proposal]:
    rows = Proposal.objects.filter(brief=found, state=Proposal.State.OPEN).select_related("actor")
    return list(rows.order_by("-pk")[:PROPOSED])


def _proposed(request: Request, found: Brief, row: Proposal) -> Proposed:
    changes = _compare(found.spec, row.plan) if found.spec else []
    return Proposed(row, changes, references.resolve(request.identity, found, [row.plan]))


def _compare(old: str, new: str) -> list[list[specs.Line]]:
    return specs.compare(old[:COMPARED], new[:COMPARED]) if max(len(old), len(new)) <= COMPARED else []


def refining_context(found: Brief) -> dict[str, Any]:
    """The refiner: what it does now, how its last run ended, or why it cannot be asked."""
    run = Refinement.objects.filter(brief=found).order_by("-pk").first()
    return {
        "run": run if run and run.is_active else None,
        "failed": run if run and run.state == Refinement.State.FAILED else None,
        "why_not": refining.why_not(found),
        "model": settings.FLOWER.llm_model,
    }


_entries: dict[tuple[int, int], int] = {}  # (brief, version) -> number of the entry; checked at each use
_KEPT: Final = 5_000


def spec_entry(found: Brief) -> TraceEntry | None:
    """The entry that says who last changed the spec, and when.

    Looking for it reads the trace, so where it was found is remembered; a trace never changes, and if it is another
    one (a database that was put back) the row says so.
    """
    if not found.spec_version:
        return None
    key = (found.pk, found.spec_version)
    rows = TraceEntry.objects.filter(brief=found).defer("body")
    if key in _entries:
        row = rows.filter(seq=_entries[key]).first()
        if row is not None and (row.data.get("version") == found.spec_version or row.seq == 1):
            return row
    changed = rows.filter(kind=TraceEntry.Kind.REFINEMENT, data__version=found.spec_version)
    row = changed.order_by("-seq").first() or rows.filter(kind=TraceEntry.Kind.CAPTURED).order_by("seq").first()
    if row is not None:
        if len(_entries) >= _KEPT:
            _entries.clear()
        _entries[key] = row.seq
    return row


# --- writing ----------------------------------------------------------------------------------------------------------


@require_POST
def spec(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    actor = request.identity.actor
    return act(request, found, "spec", lambda: specs.update(found, **read(SpecForm(request.POST)), actor=actor))


@require_POST
def preview(request: Request, number: int) -> HttpResponse:
    """A text as the page would show it. Nothing is kept; hence a POST only for its length."""
    found = request.identity.find_brief(number)
    text = read(PreviewForm(request.POST))["text"]
    specs.check(text)
    names = references.resolve(request.identity, found, [text])
    return show(request, "briefs/_preview.html", {"text": text, "names": names})


# --- versions ---------------------------------------------------------------------------------------------------------


@require_safe
def versions(request: Request, number: int) -> HttpResponse:
    """All versions, and ``?old=1&new=3``: what differs between two of them."""
    found = request.identity.find_brief(number)
    every = specs.versions(found)
    old, new = _version(request, "old"), _version(request, "new")
    if new is None:
        new = found.spec_version
    if old is None:
        old = max(0, new - 1)
    if old > new:
        old, new = new, old
    hunks = specs.compare(specs.read(found, old), specs.read(found, new)) if new else []
    context = {"brief": found, "versions": every, "old": old, "new": new, "hunks": hunks, "refused": None}
    return show(request, "briefs/versions.html", context)


def _version(request: Request, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


@require_safe
def version(request: Request, number: int, version: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    text = specs.read(found, version)
    one = next((row for row in specs.versions(found) if row.number == version), None)
    if one is None:
        raise NotFound(f"Brief #{number} has no version {version} of its spec.")
    names = references.resolve(request.identity, found, [text])
    return show(request, "briefs/version.html", {"brief": found, "version": one, "text": text, "names": names})


@require_POST
def restore(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    typed = read(VersionForm(request.POST))
    specs.restore(found, typed["version"], actor=request.identity.actor)
    return redirect(f"{found.get_absolute_url()}#spec")


# --- proposals --------------------------------------------------------------------------------------------------------


def _proposal(found: Brief, number: int) -> Proposal:
    row = Proposal.objects.filter(brief=found, pk=number).select_related("brief", "actor").first()
    if row is None:
        raise NotFound(f"Brief #{found.pk} has no proposed plan {number}.")
    return row


@require_POST
def accept(request: Request, number: int, proposal: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    row = _proposal(found, proposal)

    def decide() -> None:
        typed = read(ProposalForm(request.POST))
        if "plan" in request.POST and not typed["plan"].strip():
            raise Invalid("An empty plan is no plan; refuse it instead.")
        proposals.accept(row, actor=request.identity.actor, base_version=typed["base_version"], plan=typed["plan"])

    return act(request, found, f"proposal-{proposal}", decide)


@require_POST
def refuse(request: Request, number: int, proposal: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    row = _proposal(found, proposal)

    def decide() -> None:
        proposals.refuse(row, actor=request.identity.actor, why=read(WhyForm(request.POST))["why"].strip())

    return act(request, found, f"proposal-{proposal}", decide)


@require_POST
def approve(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    return act(request, found, "head", lambda: proposals.approve(found, actor=request.identity.actor))


@require_POST
def disapprove(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def decide() -> None:
        proposals.disapprove(found, actor=request.identity.actor, why=read(WhyForm(request.POST))["why"])

    return act(request, found, "head", decide)


# --- the refiner ------------------------------------------------------------------------------------------------------


@require_POST
def refine(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)
    return act(request, found, "refiner", lambda: refining.start(found, actor=request.identity.actor))


@require_POST
def refine_cancel(request: Request, number: int) -> HttpResponse:
    found = request.identity.find_brief(number)

    def stop() -> None:
        run = Refinement.objects.filter(brief=found, only_active=F("brief_id")).first()
        if run is None:
            raise NotFound("The refiner is not at work on this brief.")
        refining.cancel(run, actor=request.identity.actor)

    return act(request, found, "refiner", stop)
