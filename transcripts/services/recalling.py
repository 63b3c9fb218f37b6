"""What agents are told of sessions: the same as people see, as plain JSON under a byte budget.

Lists end with a ``cursor`` when there is more; what was cut inside a row is said in ``truncated``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pydantic_core
from django.db.models import Count, Q, QuerySet
from django.urls import reverse

from briefs.identity import Identity
from briefs.services.recall import iso, number_of, page_within
from core.errors import Invalid
from core.toolbox import ANSWER_BUDGET
from transcripts import costs, liveness, naming, paths
from transcripts.models import Segment, SegmentUse, Session, SessionCommit, TouchedFile
from transcripts.services import access
from transcripts.storing import key_of

Row = dict[str, Any]

TEXT: Final = 1_500  # characters of a summary
LINE: Final = 300  # of one line of a segment
LINES: Final = 10  # of one field
FILES: Final = 20
RECENT: Final = 60  # sessions whose loops are looked at
TOUCHES: Final = 3_000  # rows of touched files that one question looks at
UNFINISHED: Final = (Segment.Status.IN_PROGRESS, Segment.Status.PARTIAL)


# --- sessions ---------------------------------------------------------------------------------------------------------


def sessions(
    identity: Identity,
    *,
    project: str | None = None,
    brief: int | None = None,
    live: bool | None = None,
    limit: int = 30,
    cursor: str | None = None,
) -> Row:
    """Newest activity first."""
    if not 1 <= limit <= 200:
        raise Invalid("The limit is a number from 1 to 200.")
    rows = _of(identity, project)
    if brief is not None:
        rows = rows.filter(brief=identity.find_brief(brief))
    if live is not None:
        alive = rows.filter(liveness.live())
        rows = alive if live else rows.exclude(pk__in=alive.values("pk"))
    if cursor:
        rows = rows.filter(_after(Session.objects.filter(pk=number_of(cursor)).first()))
    page = list(_newest(rows).select_related("project", "brief").annotate(parts=Count("segments"))[: limit + 1])
    titles = naming.outlined(row.pk for row in page)
    runs = liveness.processes()
    shown = [_session(row, titles.get(row.pk, naming.Outlined()), runs, row.parts) for row in page[:limit]]
    return page_within({"sessions": shown, "cursor": None}, "sessions", "session", more=len(page) > limit)


def _of(identity: Identity, project: str | None) -> QuerySet[Session]:
    found = identity.find_project(project)
    rows = access.listed(access.visible(identity))
    return rows.filter(Q(project=found) | Q(project=None, brief__project=found)) if found else rows


def _newest(rows: QuerySet[Session]) -> QuerySet[Session]:
    return rows.order_by("-active_at", "-pk")


def _after(last: Session | None) -> Q:
    """What comes after a session in the order of the list."""
    if last is None:
        raise Invalid("This cursor is not one that an earlier answer gave.")
    if last.active_at is None:
        return Q(active_at=None, pk__lt=last.pk)
    return Q(active_at__lt=last.active_at) | Q(active_at=last.active_at, pk__lt=last.pk) | Q(active_at=None)


def _session(row: Session, outlined: naming.Outlined, runs: set[int], parts: int) -> Row:
    return {
        "session": row.pk,
        "title": naming.title(row, outlined.main)[:TEXT],
        "program": row.program,
        "model": row.model or None,
        "state": "live" if liveness.is_live(row, runs) else "retired",
        "now": outlined.now or None,
        "project": row.project.slug if row.project else None,
        "brief": row.brief_id,
        "probable": row.is_probable,
        "branch": row.branch or None,
        "events": row.events,
        "segments": parts,
        "errors": row.errors,
        "commits": row.commits,
        "tokens": row.tokens,
        "tokens_from_cache": row.tokens_cache_read,
        "cost_usd": None if (cost := costs.of_session(row)) is None else round(cost, 4),
        "context": row.context,
        "window": row.sees or None,
        "started": iso(row.started_at),
        "active": iso(row.active_at),
        "url": reverse("transcript", args=[row.pk]),
    }


# --- segments ---------------------------------------------------------------------------------------------------------


def segments(identity: Identity, session: int, *, cursor: str | None = None) -> Row:
    found = access.find(identity, session)
    rows = list(found.segments.filter(position__gt=number_of(cursor) if cursor else 0))
    total = found.segments.count() if cursor else len(rows)
    titles = naming.outlined([found.pk]).get(found.pk, naming.Outlined())
    answer = _session(found, titles, liveness.processes(), total) | {
        "reviewed": found.reviewed_at is not None,
        "segments": [_segment(row) for row in rows],
        "segments_in_all": total,
        "cursor": None,
        "truncated": [],
    }
    return _within(answer, "segments", "segment", "ask again with the cursor")


def _segment(row: Segment) -> Row:
    cut: list[str] = []
    told: Row = {
        "segment": row.position,
        "title": _text(row.shown("title"), LINE, cut, "title"),
        "status": row.shown("status"),
        "summary": _text(row.shown("summary"), TEXT, cut, "summary"),
        "outcome": _outcome(row.shown("outcome"), cut),
    }
    for name in ("next_steps", "key_decisions", "open_questions"):
        told[name] = _lines(row.shown(name), cut, name)
    told |= {
        "first_event": row.first,
        "last_event": row.last,
        "started": iso(row.started_at),
        "ended": iso(row.ended_at),
        "files": _files(row, cut),
        "commits": [{**commit, "subject": str(commit.get("subject", ""))[:LINE]} for commit in row.commits[:FILES]],
        "errors": row.errors,
        "tokens": sum(row.usage.get(name) or 0 for name in ("input", "cache_written", "output")),
        "cost_usd": None if (cost := costs.of_segment(row)) is None else round(cost, 4),
        "reviewed": row.reviewed_at is not None,
        "edited": sorted(row.edits),
    }
    return told | ({"cut": cut} if cut else {})


def _outcome(value: Any, cut: list[str]) -> Row | str | None:
    if isinstance(value, dict):
        return {**value, "text": _text(value.get("text"), TEXT, cut, "outcome")}
    return _text(value, TEXT, cut, "outcome") if value else None


def _lines(value: Any, cut: list[str], name: str) -> list[Row]:
    lines = [line for line in value if isinstance(line, dict)] if isinstance(value, list) else []
    if len(lines) > LINES:
        cut.append(f"{name}: {LINES} of {len(lines)}")
    return [
        {"text": _text(line.get("text"), LINE, cut, name), "event": line.get("event")}
        | ({"source": line["source"]} if line.get("source") else {})
        for line in lines[:LINES]
    ]


def _files(row: Segment, cut: list[str]) -> list[Row]:
    changed = [each for each in row.files if each.get("verb") != "read"]
    if len(changed) > FILES:
        cut.append(f"files: {FILES} of {len(changed)}")
    return [{"path": str(each.get("path", ""))[-LINE:], "verb": each.get("verb")} for each in changed[:FILES]]


def _text(value: Any, most: int, cut: list[str], name: str) -> str:
    text = str(value or "")
    if len(text) <= most:
        return text
    cut.append(f"{name}: {most} of {len(text):,} characters")
    return f"{text[:most]} …"


# --- where to go on ---------------------------------------------------------------------------------------------------


def resume(identity: Identity, *, project: str | None = None) -> Row:
    """The newest unfinished segment, and what was committed since; others that are unfinished in a line each."""
    visible = _of(identity, project)
    wanted = Q(status__in=UNFINISHED) | Q(edits__has_key="status")
    rows = Segment.objects.filter(wanted, session__in=visible).select_related("session__project", "session__brief")
    rows = rows.order_by("-ended_at", "-session_id", "-position")
    open_ones = [row for row in rows[:200] if row.shown("status") in UNFINISHED]
    if not open_ones:
        return {"segment": None, "session": None, "commits_since": [], "others": [], "truncated": []}
    newest = open_ones[0]
    since = _commits_since(visible, newest)
    answer: Row = {
        "session": newest.session_id,
        "title": naming.title(newest.session, naming.outlined([newest.session_id])[newest.session_id].main),
        "state": "live" if liveness.is_live(newest.session) else "retired",
        "program": newest.session.program,
        "session_id": newest.session.session_id,
        "branch": newest.session.branch or None,
        "folder": newest.session.cwd or None,
        "brief": newest.session.brief_id,
        "segment": _segment(newest),
        "commits_since": since[:30],
        "others": [
            {
                "session": row.session_id,
                "segment": row.position,
                "title": str(row.shown("title"))[:LINE],
                "status": row.shown("status"),
                "ended": iso(row.ended_at),
            }
            for row in open_ones[1:11]
        ],
        "url": f"{reverse('segments', args=[newest.session_id])}#segment-{newest.position}",
        "truncated": [f"commits_since: 30 of {len(since)} shown"] if len(since) > 30 else [],
    }
    return _fit(answer)


def _commits_since(visible: QuerySet[Session], segment: Segment) -> list[Row]:
    """By later segments of its session, and by other sessions of the same project."""
    own = Q(session=segment.session_id, file__agent="", event__gt=segment.last)
    others = Q(pk__in=[])
    if segment.ended_at is not None:
        near = visible.filter(project=segment.session.project_id).exclude(pk=segment.session_id)
        others = Q(session__in=near, at__gt=segment.ended_at)
    rows = SessionCommit.objects.filter(own | others).order_by("-at", "-pk")[:200]
    found: dict[str, Row] = {}
    amended = set[int]()  # logs in which the commit before this one was amended
    for row in rows:
        is_void = row.file_id in amended
        amended.discard(row.file_id)
        if row.amends:
            amended.add(row.file_id)
        if is_void:
            continue
        told = {"sha": row.sha, "subject": row.subject[:LINE], "session": row.session_id, "event": row.event}
        found.setdefault(row.sha, told | {"at": iso(row.at)})
    return list(found.values())


# --- loose ends -------------------------------------------------------------------------------------------------------


def open_loops(identity: Identity, *, project: str | None = None, cursor: str | None = None) -> Row:
    """Questions that nobody answered and steps that nobody took up, in the sessions that were active last."""
    recent = list(_newest(_of(identity, project))[:RECENT])
    places = {row.pk: place for place, row in enumerate(recent)}
    rows = list(Segment.objects.filter(session__in=recent).select_related("session"))
    later: dict[int, set[str]] = {}  # words of the segments behind
    used = set(SegmentUse.objects.filter(segment__session__in=recent).values_list("segment_id", "field", "text_key"))
    rows.sort(key=lambda row: (places[row.session_id], -row.position))
    loops = []
    for row in rows:  # the last segment of each session first
        for loop in _loops(row, later.get(row.session_id)):
            if (row.pk, loop.pop("field"), key_of(" ".join(loop["text"].split()))) not in used:
                loops.append(loop)
        later.setdefault(row.session_id, set()).update(_said_in(row))
    for place, loop in enumerate(loops, 1):
        loop["loop"] = place
        loop["text"] = _text(loop["text"], LINE, [], "")
    start = number_of(cursor) if cursor else 0
    answer = {"loops": loops[start : start + 200], "loops_in_all": len(loops), "sessions": len(recent), "cursor": None}
    return page_within(answer, "loops", "loop", more=len(loops) > start + 200)


def _loops(row: Segment, later: set[str] | None) -> Iterable[Row]:
    """``later``: words of the segments behind it, None for the last one.

    A step that a finished segment left is taken for done once the session went on; not one that was put off, or that a
    person wrote down, until a later segment speaks of it. A question stays.
    """
    status = row.shown("status")
    fields = ("open_questions",) if status == Segment.Status.ABANDONED else ("open_questions", "next_steps")
    for field in fields:
        for line in row.shown(field) or ():
            text = str(line.get("text", ""))
            if field == "next_steps" and later is not None and status not in UNFINISHED:
                is_put_off = line.get("event") is None or _PUT_OFF.search(text)
                if not is_put_off or _is_named(text, later):
                    continue
            yield {
                "kind": "question" if field == "open_questions" else "next step",
                "text": text,
                "session": row.session_id,
                "segment": row.position,
                "event": line.get("event"),
                "title": str(row.shown("title"))[:LINE],
                "brief": row.session.brief_id,
                "at": iso(row.ended_at),
                "field": field,
            }


_PUT_OFF: Final = re.compile(
    r"\bfollow[- ]?ups?\b|\blater\b|\bseparate(?:ly)?\b|\bfuture\b|\bfor now\b|\bdefer(?:red)?\b|\bpostponed?\b"
    r"|\bnot worth\b|\bout of scope\b|\banother (?:pr|change|session|time)\b"
    r"|\bif (?:needed|necessary|issues)\b|^consider\b",
    re.I,
)
_WORD: Final = re.compile(r"\w{4,}")
NAMED: Final = 0.6  # of the words of a step that a later segment has, so that it speaks of it


def _said_in(row: Segment) -> set[str]:
    outcome = row.shown("outcome")
    told = [row.shown("title"), row.shown("summary"), outcome["text"] if outcome else ""]
    told += [str(commit.get("subject", "")) for commit in row.commits]
    return set(_WORD.findall(" ".join(map(str, told)).casefold()))


def _is_named(text: str, later: set[str]) -> bool:
    words = set(_WORD.findall(text.casefold()))
    return bool(words) and len(words & later) >= NAMED * len(words)


# --- who touched a file -----------------------------------------------------------------------------------------------


def touching(identity: Identity, path: str, *, project: str | None = None, cursor: str | None = None) -> Row:
    """Sessions that read or changed a path: the very one, one that ends so, or what lies in that folder."""
    wanted = path.replace("\x00", "").strip() or "."
    wanted = posixpath.normpath(paths.plain(wanted) if paths.is_windows(wanted) else wanted.replace("\\", "/"))
    if wanted in (".", "/", ""):
        raise Invalid("Say a path: of a file or a folder, whole or its end.")
    found = TouchedFile.objects.filter(_holds(wanted), session__in=_of(identity, project))
    rows = list(found.select_related("file").order_by("-at", "-pk")[: TOUCHES + 1])
    touched: dict[int, list[TouchedFile]] = {}
    for row in rows[:TOUCHES]:
        if _is_meant(row.path, wanted):
            touched.setdefault(row.session_id, []).append(row)
    start = number_of(cursor) if cursor else 0
    numbers = list(touched)[start : start + 100]
    sessions = {row.pk: row for row in Session.objects.filter(pk__in=numbers).select_related("project", "brief")}
    titles = naming.outlined(numbers)
    segments: dict[int, list[Segment]] = {}
    for segment in Segment.objects.filter(session__in=numbers):
        segments.setdefault(segment.session_id, []).append(segment)
    shown = [
        {"row": place}
        | _touched(
            sessions[number], titles.get(number, naming.Outlined()), touched[number], segments.get(number, ()), wanted
        )
        for place, number in enumerate(numbers, start + 1)
    ]
    answer: Row = {"path": wanted[:LINE], "sessions": shown, "sessions_in_all": len(touched), "cursor": None}
    answer["truncated"] = [f"only the newest {TOUCHES} touches were looked at"] if len(rows) > TOUCHES else []
    return page_within(answer, "sessions", "row", more=len(touched) > start + 100)


def _holds(wanted: str) -> Q:
    name, tail = posixpath.basename(wanted), wanted.lstrip("/")
    exact = Q(path_key=key_of(wanted)) | Q(path__startswith=f"{wanted}/")
    windows = wanted.replace("/", "\\")  # as an older flower kept them
    exact |= Q(path_key=key_of(windows)) | Q(path__startswith=f"{windows}\\")
    if _is_absolute(wanted):
        return exact
    ends = Q(path__endswith=tail) | Q(path__endswith=windows)
    return exact | (Q(name=name) & ends) | Q(path__contains=f"/{tail}/") | Q(path__contains=f"\\{windows}\\")


def _is_absolute(wanted: str) -> bool:
    return wanted.startswith("/") or paths.is_windows(wanted)


def _is_meant(path: str, wanted: str) -> bool:
    """Databases compare without regard to case; files are not so."""
    path = paths.plain(path)
    if path == wanted or path.startswith(f"{wanted}/"):
        return True
    return not _is_absolute(wanted) and (path.endswith(f"/{wanted}") or f"/{wanted}/" in path)


def _touched(
    session: Session, outlined: naming.Outlined, rows: list[TouchedFile], segments: Sequence[Segment], wanted: str
) -> Row:
    verbs: dict[str, int] = {}
    for row in rows:
        verbs[row.verb] = verbs.get(row.verb, 0) + row.times
    touched = sorted({row.path for row in rows})
    newest = rows[0]
    parts = [
        {"segment": segment.position, "title": str(segment.shown("title"))[:LINE], "status": segment.shown("status")}
        for segment in segments
        if any(_is_meant(paths.absolute(str(each.get("path", "")), session.cwd), wanted) for each in segment.files)
    ]
    return {
        "session": session.pk,
        "title": naming.title(session, outlined.main)[:LINE],
        "program": session.program,
        "branch": session.branch or None,
        "project": session.project.slug if session.project else None,
        "brief": session.brief_id,
        "verbs": verbs,
        "paths": [path[-LINE:] for path in touched[:5]],
        "paths_in_all": len(touched),
        "event": newest.last if not newest.file.agent else None,
        "at": iso(newest.at),
        "segments": parts[:12],
        "url": reverse("transcript", args=[session.pk]),
    }


# --- under the budget -------------------------------------------------------------------------------------------------


def _size(value: Any) -> int:
    return len(pydantic_core.to_json(value))


def _within(answer: Row, rows: str, number: str, how: str) -> Row:
    had = len(answer[rows])
    if _size(answer[rows][:1]) > ANSWER_BUDGET // 2:
        answer[rows][0] = _fit(answer[rows][0], ANSWER_BUDGET // 2)
    page_within(answer, rows, number, more=False, limit=ANSWER_BUDGET - 200)
    if len(answer[rows]) < had:
        answer["truncated"].append(f"{rows}: {len(answer[rows])} of {had} shown; {how}")
    return answer


def _fit(value: Row, limit: int = ANSWER_BUDGET) -> Row:
    """Shorten long texts until it fits: 4-byte letters and hostile lengths alone bring it here."""
    most = 1_000
    while _size(value) > limit and most > 10:
        value, most = _shortened(value, most), most // 2
    return value


def _shortened(value: Any, most: int) -> Any:
    if isinstance(value, dict):
        return {key: _shortened(each, most) for key, each in value.items()}
    if isinstance(value, list):
        return [_shortened(each, most) for each in value]
    return f"{value[:most]}…" if isinstance(value, str) and len(value) > most else value
