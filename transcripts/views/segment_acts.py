"""What one does on the segment page. Each form has a page of its own; the page's scripts put it where the text stands.

Scripts send what they have along, and get what changed; without one a form leads back to its segment. A refusal is a
page, the form with its sentence, or, for scripts, JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from django import forms
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from briefs.forms import Lines, Words, read
from briefs.models import Brief, Project
from briefs.views.door import Refused, Request, show
from core.errors import Conflict, Invalid, NotFound, Refusal
from transcripts.events import Event, Kind
from transcripts.models import Segment, Session
from transcripts.models.outline import EDITABLE, LINES
from transcripts.segmentation.ranges import starts
from transcripts.services import access, outlines, outlining, rewording, taking
from transcripts.views.segments import MADE_OF, Had, context_of, show_segments, transcript_of

Act = Callable[[], object]
STEPS: Final = 400  # of a segment that can be chosen from
PREVIEW: Final = 160  # characters
SAYS: Final = {
    "title": "Title",
    "status": "Status",
    "summary": "Summary",
    "outcome": "Outcome",
    "key_decisions": "Key decisions",
    "next_steps": "Next steps",
    "open_questions": "Open questions",
}


class EditForm(forms.Form):
    value = Words()
    base = forms.CharField(required=False)


class LinesForm(forms.Form):
    value = Lines()
    base = forms.CharField(required=False)


class SplitForm(forms.Form):
    event = forms.IntegerField(min_value=1, max_value=2**31 - 1)


class CommentForm(forms.Form):
    body = Words()


class UseForm(forms.Form):
    line = Words()
    brief = forms.CharField(required=False)
    project = forms.CharField(required=False)


def find(request: Request, number: int, segment: int) -> Segment:
    """A segment of a session that the caller may see."""
    session = access.find(request.identity, number)
    found = session.segments.filter(pk=segment).first() if 0 < segment <= access.LARGEST else None
    if found is None:
        raise NotFound("That segment is not there any more: the log grew, and it was cut anew.")
    found.session = session
    return found


# --- without a form ---------------------------------------------------------------------------------------------------


@require_POST
def review(request: Request, number: int, segment: int) -> HttpResponse:
    found = find(request, number, segment)
    outlines.review(found, request.POST.get("on") == "1", actor=request.identity.actor)
    return _back(request, found.session, found.position)


@require_POST
def review_session(request: Request, number: int) -> HttpResponse:
    session = access.find(request.identity, number)
    outlines.review_session(session, request.POST.get("on") == "1", actor=request.identity.actor)
    return _back(request, session)


@require_POST
def reword(request: Request, number: int) -> HttpResponse:
    session = access.find(request.identity, number)
    rewording.ask(session, actor=request.identity.actor)
    return _back(request, session)


@require_POST
def brief(request: Request, number: int) -> HttpResponse:
    """Say which brief a session belongs to."""
    session = access.find(request.identity, number)
    wanted = _brief(request, request.POST.get("brief", ""))
    if wanted is None:
        raise Invalid("Say which brief is meant, by its number.")
    taking.give_brief(session, wanted, actor=request.identity.actor)
    return _back(request, session)


@require_POST
def merge(request: Request, number: int, segment: int) -> HttpResponse:
    found = find(request, number, segment)
    outlines.merge(found, actor=request.identity.actor)
    return _back(request, found.session, found.position)


@require_POST
def unedit(request: Request, number: int, segment: int, field: str) -> HttpResponse:
    found = find(request, number, segment)
    outlines.unedit(found, field, actor=request.identity.actor)
    return _back(request, found.session, found.position)


# --- with one ---------------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: Request, number: int, segment: int, field: str) -> HttpResponse:
    found = find(request, number, segment)
    if field not in EDITABLE:
        raise NotFound(f"A segment has no '{field}' that can be edited.")

    def save() -> None:
        typed = read(LinesForm(request.POST) if field in LINES else EditForm(request.POST))
        _check_base(found, field, typed["base"])
        outlines.edit(found, field, typed["value"], actor=request.identity.actor)

    return _form(request, found, "edit", save, {"field": field, "says": SAYS[field], "value": text_of(found, field)})


@require_http_methods(["GET", "HEAD", "POST"])
def comment(request: Request, number: int, segment: int) -> HttpResponse:
    found = find(request, number, segment)

    def save() -> None:
        outlines.comment(found, read(CommentForm(request.POST))["body"], actor=request.identity.actor)

    return _form(request, found, "comment", save, {})


@require_http_methods(["GET", "HEAD", "POST"])
def split(request: Request, number: int, segment: int) -> HttpResponse:
    found = find(request, number, segment)

    def save() -> None:
        outlines.split(found, read(SplitForm(request.POST))["event"], actor=request.identity.actor)

    steps = steps_of(found) if request.method != "POST" or not _wants_json(request) else []
    return _form(request, found, "split", save, {"steps": steps})


@require_http_methods(["GET", "HEAD", "POST"])
def use(request: Request, number: int, segment: int, field: str) -> HttpResponse:
    """``line``: the text. A question or an entry of a session without a brief needs ``brief``, and hence the form."""
    found = find(request, number, segment)
    if field not in MADE_OF:
        raise NotFound(f"Nothing is made of the '{field}' of a segment.")
    line = request.POST.get("line") or request.GET.get("line", "")

    def save() -> None:
        typed = read(UseForm(request.POST))
        brief = _brief(request, typed["brief"])
        project = request.identity.find_project(typed["project"]) if typed["project"] else None
        outlines.use(found, field, typed["line"], actor=request.identity.actor, brief=brief, project=project)

    projects = Project.objects.none()
    if MADE_OF[field] == "brief" and outlines.project_of(found.session) is None:
        limit = request.identity.project
        projects = Project.objects.all() if limit is None else Project.objects.filter(pk=limit)
    more = {"field": field, "makes": MADE_OF[field], "line": line, "projects": projects}
    return _form(request, found, "use", save, more)


def _brief(request: Request, typed: str) -> Brief | None:
    typed = typed.strip().removeprefix("#")
    if not typed:
        return None
    if not (typed.isascii() and typed.isdigit() and len(typed) < 16):
        raise Invalid("A brief is named by its number, as in #12.")
    return request.identity.find_brief(int(typed))


def _form(request: Request, found: Segment, kind: str, save: Act, more: dict[str, Any]) -> HttpResponse:
    """Show a form, or do what it asks for; a refusal stands in it, with what was typed."""
    refused = None
    if request.method == "POST":
        try:
            save()
        except Refusal as refusal:
            if _wants_json(request):
                raise
            refused, status = Refused.of(refusal, kind, request), refusal.status_code
        else:
            return _back(request, found.session, found.position)
    context = {
        "kind": kind,
        "segment": found,
        "session": found.session,
        "transcript": transcript_of(found.session),
        "refused": refused,
        "base": base_of(found, more["field"]) if kind == "edit" else "",
        "statuses": Segment.Status.choices,
        "back": _address(found.session, found.position),
        **more,
    }
    template = "sessions/_segment_form.html" if request.htmx else "sessions/segment_form.html"
    return show(request, template, context, status if refused else 200)


def _back(request: Request, session: Session, position: int = 0) -> HttpResponse:
    if _wants_json(request):
        fresh = access.find(request.identity, session.pk)
        return show(request, "sessions/_segments.html", context_of(request, fresh, Had.of(request)))
    if request.htmx:
        return show_segments(request, access.find(request.identity, session.pk))
    return redirect(_address(session, position))


def _address(session: Session, position: int) -> str:
    page = reverse("segments", args=[session.pk])
    return f"{page}?open={position}#segment-{position}" if position else page


def _wants_json(request: Request) -> bool:
    """The page's scripts: refusals as JSON, everything else as HTML."""
    return "application/json" in request.headers.get("Accept", "") and bool(request.htmx)


# --- editing ----------------------------------------------------------------------------------------------------------


def text_of(segment: Segment, field: str) -> str:
    """A field as it stands in a box: lines one below the other."""
    shown = segment.shown(field)
    if field in LINES:
        return "\n".join(line["text"] for line in shown)
    if field == "outcome":
        return str(shown["text"]) if shown else ""
    return str(shown)


def base_of(segment: Segment, field: str) -> str:
    """What somebody began from: two people's words must not overwrite each other unseen."""
    return blake2b(text_of(segment, field).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _check_base(segment: Segment, field: str, base: str) -> None:
    if base and base != base_of(segment, field):
        who = f" by {segment.edited_by.ref}" if segment.edited_by and field in segment.edits else ""
        raise Conflict(
            f"It was changed meanwhile{who}; this is what stands there now. Save again to put yours in its place.",
            detail=text_of(segment, field),
        )


# --- splitting --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """An event before which a segment may be split."""

    event: int
    kind: str
    words: str


def steps_of(segment: Segment) -> list[Choice]:
    events = outlining.events_of(segment.session)
    inside = [number for number in starts(events) if segment.first < number <= segment.last]
    return [Choice(number, _kind(events[number - 1]), _words(events, number)) for number in inside[:STEPS]]


def _kind(event: Event) -> str:
    return {Kind.PROMPT: "prompt", Kind.COMMAND: "prompt"}.get(event.kind, "answer")


def _words(events: list[Event], number: int) -> str:
    """What a step begins with: the first words in it."""
    for event in events[number - 1 : number + 5]:
        words = " ".join((event.text if event.kind is not Kind.CALL else event.command or event.tool)[:2000].split())
        if words and event.kind is not Kind.THINKING:
            return words[: PREVIEW - 1] + "…" if len(words) > PREVIEW else words
    return ""
