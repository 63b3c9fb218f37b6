"""The transcript of a session: a page of its events, search in it, and the raw record of any of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson
from django.http import HttpResponse
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from briefs.services import attachments
from briefs.views.door import Request, show
from core.errors import NotFound
from transcripts import costs, liveness, naming, paging
from transcripts.events import Event, Kind
from transcripts.models import LogFile, Segment, Session
from transcripts.paging import AT_ONCE, LARGEST, Numbered
from transcripts.services import access
from transcripts.views import items
from transcripts.views.items import Heading

BEFORE: Final = 12  # events shown above the one that a link leads to
PARTS: Final = ("helper", "beside")
SEARCHED: Final = 100  # characters of a search
IMAGE_BYTES: Final = attachments.MAX_BYTES


@require_safe
def transcript(request: Request, number: int) -> HttpResponse:
    """A page of about a hundred events: the beginning, the end of a live one, or around ``?event=14``.

    With htmx ``?before=`` and ``?after=`` give what is loaded in the place of "earlier" and "later", ``?part=beside``
    what a page that follows shows anew around its events.
    """
    session = access.find(request.identity, number)
    agent = request.GET.get("agent", "")[:64]
    logs = list(session.log_files.defer("state"))
    is_orphan = not session.events and any(row.events for row in logs)  # its sub-agents' logs only
    if is_orphan and not agent:
        agent = next(row.agent for row in logs if row.events)
    log = next((row for row in logs if row.agent == agent), None)
    if agent and log is None:
        raise NotFound(f"Session {number} has no sub-agent '{agent}'.")
    end = log.events if log is not None else 0
    before, after, part = _number(request, "before"), _number(request, "after"), request.GET.get("part", "")
    is_live = liveness.is_live(session)
    events = _page(request, session, agent, end, is_live)
    segments = list(session.segments.all()) if not agent else []
    context = {
        "session": session,
        "agent": agent,
        "is_orphan": is_orphan,
        "end": end,
        "nodes": items.arrange(
            events,
            segments=segments,
            helpers=[row for row in logs if row.agent and not agent],
            cwd=session.cwd,
            agent=agent,
            opens=after is None or not request.htmx,
            prefix=f"{agent}-" if part == "helper" else "",
            is_live=is_live,
        ),
        "part": part if part in PARTS else "",
        "first": events[0][0] if events else 0,
        "last": events[-1][0] if events else 0,
        "earlier": events[0][0] - 1 if events else 0,
        "later": end - events[-1][0] if events else 0,
        "is_live": is_live,
        "live_until": session.active_at + liveness.RECENTLY if session.active_at else None,
    }
    if request.htmx and part == "beside":
        return show(request, "sessions/_beside.html", context | _around(request, session, segments, logs, is_live))
    if request.htmx and (before is not None or after is not None or part == "helper"):
        wants = "earlier" if before is not None else "later"
        return show(request, "sessions/_events.html", context | {"wants": wants})
    return show(request, "sessions/transcript.html", context | _around(request, session, segments, logs, is_live))


def _page(request: Request, session: Session, agent: str, end: int, is_live: bool) -> list[Numbered]:
    """The page that was asked for. Every one begins or ends where the asked one does, so that pages meet."""
    before, after = _number(request, "before"), _number(request, "after")
    if request.htmx and request.GET.get("part") == "beside":
        return []
    if before is not None:
        return paging.before(session, min(before, end + 1), AT_ONCE, agent)
    if after is not None:
        return paging.events(session, after + 1, after + AT_ONCE, agent)
    if event := _number(request, "event"):
        first = max(1, min(event, end) - BEFORE)
        found = paging.events(session, first, first + AT_ONCE - 1, agent)
        if found and found[-1][0] >= min(event, end):
            return found
        return paging.events(session, event, event + AT_ONCE - 1, agent)  # those before it are huge
    if (is_live or "end" in request.GET) and "begin" not in request.GET:
        return paging.before(session, end + 1, AT_ONCE, agent)
    return paging.events(session, 1, AT_ONCE, agent)


def _around(
    request: Request, session: Session, segments: Sequence[Segment], logs: Sequence[LogFile], is_live: bool
) -> dict[str, Any]:
    """What stands beside the events."""
    words = _words(request)
    headings = [Heading(segment, is_live=is_live) for segment in segments]
    return {
        "headings": headings,
        "title": naming.title(session, naming.main_title(segments)),
        "cost": costs.of_session(session),
        "brief": session.brief if session.brief and request.identity.may_see(session.brief) else None,
        "can_give_brief": request.identity.may_write and (session.brief is None or session.is_probable),
        "helpers": [row for row in logs if row.agent],
        "words": words,
        "search": _search(request, session) if words else None,
        "event": _number(request, "event"),
    }


@require_safe
def search(request: Request, number: int) -> HttpResponse:
    """Where some words stand: beside the page with htmx, else the page itself with what was found."""
    session = access.find(request.identity, number)
    if not request.htmx:
        return transcript(request, number)
    context = {"session": session, "words": _words(request), "agent": request.GET.get("agent", "")[:64]}
    context["event"] = _number(request, "event")
    context["search"] = _search(request, session) if context["words"] else None
    return show(request, "sessions/_found.html", context)


def _search(request: Request, session: Session) -> paging.Search:
    after = _number(request, "found_after") or 0
    return paging.search(session, _words(request), after=after, agent=request.GET.get("agent", "")[:64])


@require_safe
def event(request: Request, number: int, event: int) -> HttpResponse:
    """One event, whole: as a page, or in the place of the shortened one."""
    session = access.find(request.identity, number)
    agent = request.GET.get("agent", "")[:64]
    found = paging.event(session, event, agent)
    part = request.GET.get("part", "")
    context = {
        "session": session,
        "agent": agent,
        "node": items.item(event, found, session.cwd, whole=True),
        "title": naming.title(session, naming.outlined([session.pk]).get(session.pk, naming.Outlined()).main),
    }
    if request.htmx and part == "text":
        return show(request, "sessions/_shown.html", context)
    return show(request, "sessions/event.html", context)


@require_safe
def raw(request: Request, number: int, event: int) -> HttpResponse:
    """The line of the log, as the program wrote it: text, whatever it looks like."""
    session = access.find(request.identity, number)
    line = paging.raw(session, event, request.GET.get("agent", "")[:64])
    response = HttpResponse(line, content_type="text/plain; charset=utf-8")
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Disposition"] = f'inline; filename="session-{number}-e{event}.json"'
    return response


# --- pictures ---------------------------------------------------------------------------------------------------------


@require_safe
def image(request: Request, number: int, event: int, place: int) -> HttpResponse:
    """A picture of an event, decoded and encoded again by us: nothing is served as it stood in the log."""
    session = access.find(request.identity, number)
    agent = request.GET.get("agent", "")[:64]
    found = paging.event(session, event, agent)
    sources = list(_sources(_record(paging.raw(session, event, agent)), found))
    if place >= len(sources):
        raise NotFound(f"Event {event} of session {number} has no picture {place}.")
    try:
        data = base64.b64decode(sources[place][: 2 * IMAGE_BYTES])
    except (binascii.Error, ValueError):
        raise NotFound(f"Picture {place} of event {event} is damaged.") from None
    encoded, media_type, _, _ = attachments.encode(data)
    response = HttpResponse(encoded, content_type=media_type)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=86400"
    return response


def _record(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None


def _sources(record: Any, found: Event) -> Iterator[str]:
    """The pictures of one event, in base64. A record of several results says by the call which is whose."""
    if not isinstance(record, dict):
        return
    message, payload = record.get("message"), record.get("payload")
    blocks = message.get("content") if isinstance(message, dict) else None
    if isinstance(blocks, list) and found.kind == Kind.RESULT:
        results = (block for block in blocks if isinstance(block, dict) and block.get("type") == "tool_result")
        blocks = next((block.get("content") for block in results if block.get("tool_use_id") == found.call), [])
    if blocks is None and isinstance(payload, dict):
        blocks = payload.get("content") or payload.get("output") or payload.get("images")
    for block in blocks if isinstance(blocks, list) else ():
        if source := _source(block):
            yield source


def _source(block: Any) -> str:
    if isinstance(block, str):
        return block.partition(";base64,")[2]
    if not isinstance(block, dict):
        return ""
    source = block.get("source")
    if isinstance(source, dict) and isinstance(source.get("data"), str):
        return str(source["data"])
    address = block.get("image_url")
    return address.partition(";base64,")[2] if isinstance(address, str) else ""


# --- small readings ---------------------------------------------------------------------------------------------------


def _number(request: Request, name: str) -> int | None:
    text = request.GET.get(name, "").removeprefix("e")
    return min(int(text), LARGEST) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _words(request: Request) -> str:
    return " ".join(request.GET.get("q", "").replace("\x00", "\ufffd").split())[:SEARCHED]


def address(session: int, event: int, agent: str = "") -> str:
    """Where an event stands on its page."""
    query = {"event": event} | ({"agent": agent} if agent else {})
    return f"{reverse('transcript', args=[session])}?{urlencode(query)}#e{event}"
