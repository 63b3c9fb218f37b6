"""The review of a session: its segments, each with its evidence, and the whole of it in one picture.

The page is whole without a script: segments are folded with <details>, forms have pages of their own. With one, it asks
for what changed: it says which revision it has of each segment, and gets the head, the picture and the list, in which
the segments that it has already are empty places. That is one request, and it repairs whatever hints were lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from briefs.models import Project
from briefs.services import recall, references
from briefs.views.door import Request, show
from core import llm, markdown
from core.format import lasted
from transcripts import costs, liveness, naming, paging, paths
from transcripts.blocks import index_of
from transcripts.events import Verb
from transcripts.models import Block, Segment, SegmentComment, SegmentUse, Session
from transcripts.models.outline import EDITABLE, LINES
from transcripts.segmentation import CommitMade, Source, distinct_commits
from transcripts.services import access, aside, outlines, rewording
from transcripts.views import standing, timeline
from transcripts.views.standing import Reason

MANY: Final = 8  # segments that are all shown; of more, long runs of quiet ones are folded
FIRST: Final = 2  # that are never in a run, and
LAST: Final = 3
RUN: Final = 3  # quiet ones in a row that are one line
FILES: Final = 60  # of a segment that are listed
MADE_OF: Final = {"next_steps": "brief", "open_questions": "question", "key_decisions": "trace"}
WORDS: Final = {
    "outcome": "outcome",
    "key_decisions": "key decisions",
    "next_steps": "next steps",
    "open_questions": "open questions",
}
_MAIL: Final = re.compile(r'<a href="mailto:[^<>]*>([^<]*)</a>')
_HAVE: Final = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?\.([0-9]{1,9})")
MOST_HAD: Final = 50_000  # segments that a page may say that it has


# --- what is shown ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """What was made out of a line. Without an address for a reader who may not see it."""

    says: str
    address: str


# Reasons of quotes in which a person speaks (transcripts/segmentation/words.py).
PERSONS: Final = ("why: the prompt that began it", "a person's words on the way", "typed while the model worked")


@dataclass(frozen=True, slots=True)
class Said:
    """A line, where it was read, and what was made out of it."""

    text: str
    event: int | None
    made: Made | None = None
    source: str = ""  # quote, fact, model, person; empty of what older rules wrote
    reason: str = ""

    @property
    def html(self) -> SafeString:
        return inline(self.text)

    @property
    def is_persons(self) -> bool:
        """Whether a person speaks in it, and not the model."""
        return self.source == Source.QUOTE and self.reason in PERSONS

    @property
    def says(self) -> str:
        """What a reader is told of where it is from."""
        if self.source == Source.QUOTE:
            return f"Quoted from event {self.event}: {self.reason}"
        if self.source == Source.FACT:
            return f"Counted from the events; the last is {self.event}"
        return f"Read in event {self.event}"


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Sentences of one source that stand together; of quotes, those of one moment."""

    source: str
    lines: list[Said]


@dataclass(frozen=True, slots=True)
class Part:
    """One of the four lists."""

    field: str
    words: str
    lines: list[Said]
    is_edited: bool
    makes: str  # what its lines can be made into


@dataclass(frozen=True, slots=True)
class File:
    path: str
    verb: str
    times: int


@dataclass(slots=True)
class Row:
    """A segment as people see it."""

    segment: Segment
    total: int
    is_live: bool = True  # the session
    reason: Reason | None = None
    parts: list[Part] = field(default_factory=list)
    comments: list[SegmentComment] = field(default_factory=list)
    files: list[File] = field(default_factory=list)
    commits: int = 0  # that count here
    is_open: bool = True
    merged: Segment | None = None  # into it, and can be taken out again
    is_had: bool = False  # the page has it as it is: an empty place
    on_another_day: bool = False  # than the one before it
    into_another_day: bool = False

    @property
    def position(self) -> int:
        return self.segment.position

    @property
    def first(self) -> int:
        return self.segment.first

    @property
    def last(self) -> int:
        return self.segment.last

    @property
    def phase(self) -> str:
        return self.segment.phase

    @property
    def title(self) -> str:
        return str(self.segment.shown("title"))

    @property
    def status(self) -> str:
        return standing.status(self.segment, self.is_live)

    @property
    def says(self) -> str:
        events = timeline.counted(self.events, "event")
        return f"{self.position}/{self.total} {self.title} · {self.status_label} · {events}"

    @property
    def title_html(self) -> SafeString:
        return inline(self.title)

    @property
    def status_label(self) -> str:
        return standing.label(self.segment, self.is_live)

    @property
    def revision(self) -> int:
        """Of what is shown: it changes too when the session ends."""
        return 2 * self.segment.revision + standing.is_left(self.segment, self.is_live)

    @property
    def why_title(self) -> Said | None:
        """Where the title that was made is from; None where a person or a model wrote it."""
        own = [] if "title" in self.segment.edits else self._sentences("title")
        return own[0] if own and own[0].text == self.segment.title else None

    @property
    def paragraphs(self) -> list[Paragraph]:
        """The summary in its sentences; none where a person or a model wrote it, or older rules."""
        found: list[Paragraph] = []
        for line in [] if "summary" in self.segment.edits else self._sentences("summary"):
            is_same = found and found[-1].source == line.source
            if is_same and (line.source != Source.QUOTE or found[-1].lines[-1].event == line.event):
                found[-1].lines.append(line)
            else:
                found.append(Paragraph(line.source, [line]))
        return found

    @property
    def has_quotes(self) -> bool:
        """Does any sentence of it stand in somebody's words: the log's, a model's, a person's?"""
        if self.segment.edits or self.segment.how == Segment.How.MODEL:
            return True
        own = [*self.segment.sentences.get("summary", []), *self.segment.sentences.get("outcome", [])]
        return not self.segment.sentences or any(line.get("source") == Source.QUOTE for line in own)

    def _sentences(self, name: str) -> list[Said]:
        if self.segment.how != Segment.How.RULES:
            return []
        own = self.segment.sentences.get(name, [])
        return [Said(line["text"], line["event"], None, line.get("source", ""), line.get("reason", "")) for line in own]

    @property
    def summary(self) -> SafeString:
        """Rendered: what people wrote is Markdown, what rules or a model wrote is text.

        An address in angle brackets is the author of a commit, nobody to write to.
        """
        text = str(self.segment.shown("summary"))
        rendered = markdown.render(text if "summary" in self.segment.edits else markdown.literal(text))
        return SafeString(_MAIL.sub(r"\1", rendered))  # an element less: as safe as it was

    @property
    def events(self) -> int:
        return self.segment.last - self.segment.first + 1

    @property
    def tokens(self) -> str:
        """All that the model wrote, and all that it read and was not in its cache."""
        usage = self.segment.usage
        count = sum(usage.get(name) or 0 for name in ("input", "cache_written", "output"))
        return timeline.thousands(count) if count else ""

    @property
    def commits_say(self) -> str:
        """One that a later segment amended counts there: where it ended."""
        amended = len(self.segment.commits) - self.commits
        said = [timeline.counted(self.commits, "commit")] if self.commits else []
        return " · ".join([*said, f"{timeline.counted(amended, 'commit')} amended later"] if amended else said)

    @property
    def files_say(self) -> str:
        read = sum(1 for each in self.segment.files if each["verb"] == Verb.READ)
        changed = len(self.segment.files) - read
        if not changed:
            return f"{timeline.counted(read, 'file')} read"
        return f"{timeline.counted(changed, 'file')} changed" + (f" · {read:,} read" if read else "")

    @property
    def cost(self) -> float | None:
        """In dollars, where its model has a price."""
        return costs.of_segment(self.segment)

    @property
    def empty(self) -> list[Part]:
        return [part for part in self.parts if not part.lines]

    @property
    def edited(self) -> list[str]:
        return [name for name in EDITABLE if name in self.segment.edits]

    @property
    def merged_title(self) -> str:
        return str(self.merged.shown("title")) if self.merged else ""

    @property
    def is_last(self) -> bool:
        return self.position == self.total

    @property
    def is_quiet(self) -> bool:
        """Nothing in it asks for a reader: it is done, and leaves no question."""
        asks = self.segment.shown("open_questions") or self.comments or self.status != Segment.Status.DONE
        return bool(self.segment.reviewed_at) or not asks


@dataclass(frozen=True, slots=True)
class Run:
    """Quiet segments in a row, folded into one line."""

    rows: list[Row]
    is_open: bool

    @property
    def key(self) -> int:
        return self.rows[0].segment.pk

    @property
    def span(self) -> str:
        return f"{self.rows[0].position}–{self.rows[-1].position}"

    @property
    def preview(self) -> str:
        return " · ".join(row.title for row in self.rows)[:400]

    @property
    def shown(self) -> list[Row | Run | Kept]:
        return without_had(self.rows)


@dataclass(frozen=True, slots=True)
class Kept:
    """Segments one after another, also by their numbers in the database, that the page has as they are."""

    first: Row
    last: Row


@dataclass(frozen=True, slots=True)
class Had:
    """What the page says that it has: the revision of each segment ("7.2", or "7-9.2" for three of them); and what it
    wants anew all the same."""

    revisions: dict[int, int]
    again: frozenset[int]

    @classmethod
    def of(cls, request: HttpRequest) -> Had:
        asked = request.POST if request.method == "POST" else request.GET
        revisions: dict[int, int] = {}
        for first, last, revision in _HAVE.findall(asked.get("have", "")):
            numbers = range(int(first), int(last or first) + 1)[: max(0, MOST_HAD - len(revisions))]
            revisions.update(dict.fromkeys(numbers, int(revision)))
        return cls(revisions, frozenset(int(pk) for pk in re.findall(r"[0-9]{1,15}", asked.get("again", ""))))

    def has(self, row: Row) -> bool:
        return row.segment.pk not in self.again and self.revisions.get(row.segment.pk) == row.revision


def inline(text: str) -> SafeString:
    """One line of text: words as they are, and what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return format_html("{}", text)
    words = ((format_html("<code>{}</code>", part) if at % 2 and part else part,) for at, part in enumerate(parts))
    return format_html_join("", "{}", words)


# --- the page ---------------------------------------------------------------------------------------------------------


@require_safe
def segments(request: Request, number: int) -> HttpResponse:
    """``?open=all``, ``none`` or positions: what is unfolded. For htmx: what the page does not have (``?have=``)."""
    return show_segments(request, access.find(request.identity, number))


def show_segments(request: Request, session: Session) -> HttpResponse:
    if request.htmx:
        return show(request, "sessions/_segments.html", context_of(request, session, Had.of(request)))
    return show(request, "sessions/segments.html", context_of(request, session, None))


def context_of(request: Request, session: Session, had: Had | None) -> dict[str, Any]:
    is_live = liveness.is_live(session)
    rows = rows_of(request, session, had, is_live)
    indexed = list(indexes(session))
    _say_why(session, rows, indexed, is_live)
    opened = request.GET.get("open", "")
    arranged = arrange(rows, opened)
    commits: dict[int, list[str]] = {}
    for commit in distinct_commits(CommitMade(**each) for row in rows for each in row.segment.commits):
        commits.setdefault(commit.event, []).append(f"{commit.sha[:9]} {commit.subject}".strip())
    over = lasted(session.started_at, session.active_at) if session.started_at else ""
    run = rewording.last_run(session)
    brief = session.brief if session.brief and request.identity.may_see(session.brief) else None
    said = [comment.body for row in rows for comment in row.comments]
    drawn: dict[str, Any] = {"model": session.model, "window": session.window, "commits": commits, "over": over}
    return {
        "session": session,
        "transcript": transcript_of(session),
        "title": naming.title(session, naming.main_title([row.segment for row in rows])),
        "is_live": is_live,
        "live_until": session.active_at + liveness.RECENTLY if session.active_at else None,
        "over": over,
        "cost": costs.of_session(session),
        "brief": brief,
        "names": references.resolve(request.identity, brief, said) if brief else None,
        "rows": rows,
        "helpers": list(session.log_files.exclude(agent="").filter(events__gt=0).defer("state"))
        if not session.events
        else [],
        "arranged": without_had(arranged),
        "reviewed": sum(1 for row in rows if row.segment.reviewed_at),
        "has_project": outlines.project_of(session) is not None or not Project.objects.exists(),
        "can_give_brief": request.identity.may_write and (session.brief is None or session.is_probable),
        "run": run,
        "is_asked": run is not None and rewording.is_running(run),
        "can_ask": rewording.can_ask(session, run),
        "folds": any(isinstance(one, Run) or not one.is_open for one in arranged),
        "is_by_rules": any(row.segment.how == Segment.How.RULES and row.segment.sentences for row in rows),
        "is_worded": llm.is_configured(),
        "picture": timeline.draw(rows, indexed, **drawn),
    }


def transcript_of(session: Session) -> str:
    return reverse("transcript", args=[session.pk])


def indexes(session: Session) -> Iterable[tuple[int, Any]]:
    blocks = Block.objects.filter(file__session=session, file__agent="").order_by("first").values_list("first", "index")
    for first, packed in blocks:
        yield first, index_of(packed)


# --- rows -------------------------------------------------------------------------------------------------------------


def rows_of(request: Request, session: Session, had: Had | None = None, is_live: bool = True) -> list[Row]:
    """All segments of a session, in five queries; those that the page has stay without their texts."""
    found = list(session.segments.select_related("edited_by", "reviewed_by").order_by("position"))
    comments: dict[int, list[SegmentComment]] = {}
    for comment in SegmentComment.objects.filter(segment__session=session).select_related("actor"):
        comments.setdefault(comment.segment_id, []).append(comment)
    uses = _uses(request, session)
    merges = aside.merges(session)
    kept = {each.event for each in distinct_commits(CommitMade(**each) for one in found for each in one.commits)}
    rows = []
    before: datetime | None = None
    for segment in found:
        row = Row(segment, len(found), is_live, comments=comments.get(segment.pk, []))
        row.is_had = had is not None and had.has(row)
        if merged := merges.get((segment.pk, segment.first, segment.last)):
            row.merged = merged[0].segment
        if not row.is_had:
            row.parts = [_part(segment, name, uses) for name in WORDS]
            row.files = [_file(each, session.cwd) for each in _changed_first(segment.files)[:FILES]]
        row.commits = sum(1 for each in segment.commits if each["event"] in kept)
        row.is_open = segment.reviewed_at is None
        if segment.started_at:
            day = timezone.localtime(segment.started_at)
            row.on_another_day = before is not None and before.date() != day.date()
            before = day
            ends = timezone.localtime(segment.ended_at) if segment.ended_at else day
            row.into_another_day = ends.date() != day.date()
        rows.append(row)
    return rows


def _say_why(session: Session, rows: Sequence[Row], indexed: Sequence[tuple[int, Any]], is_live: bool) -> None:
    """Why segments are not done, of those that are shown."""
    wanted = [row for row in rows if not row.is_had and row.segment.status != Segment.Status.DONE]
    kinds = standing.kinds_of(indexed) if wanted else ""
    for row in wanted:
        row.reason = standing.reason(
            row.segment, kinds, is_live, lambda event: paging.event(session, event).command or ""
        )


def _part(segment: Segment, name: str, uses: dict[tuple[int, str, str], Made]) -> Part:
    shown = _lines(segment.shown(name))
    if name == "outcome" and name not in segment.edits and segment.how == Segment.How.RULES:
        shown = segment.sentences.get(name) or shown
    lines = [
        Said(
            line["text"],
            line["event"],
            uses.get((segment.pk, name, " ".join(line["text"].split()))),
            _source(segment, line),
            line.get("reason", ""),
        )
        for line in shown
    ]
    return Part(name, WORDS[name], lines, name in segment.edits, MADE_OF.get(name, ""))


def _source(segment: Segment, line: dict[str, Any]) -> str:
    if line["event"] is None:
        return str(Source.PERSON)
    return line.get("source") or (str(Source.MODEL) if segment.how == Segment.How.MODEL else "")


def _lines(shown: Any) -> list[dict[str, Any]]:
    return shown if isinstance(shown, list) else [shown] if shown else []


def _changed_first(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(files, key=lambda each: each["verb"] == Verb.READ)


def _file(each: dict[str, Any], cwd: str) -> File:
    path = str(each["path"])
    return File(paths.below(path, cwd), each["verb"], each["times"])


def _uses(request: Request, session: Session) -> dict[tuple[int, str, str], Made]:
    """What was made out of which line, with links to what this reader may see."""
    rows = list(SegmentUse.objects.filter(segment__session=session))
    wanted = {row.brief_id for row in rows}
    seen = set(recall.visible(request.identity).filter(pk__in=wanted).values_list("pk", flat=True)) if rows else set()
    return {(row.segment_id, row.field, row.text): _made(row, row.brief_id in seen) for row in rows}


def _made(use: SegmentUse, may_see: bool) -> Made:
    page = f"/briefs/{use.brief_id}/"
    if use.made == SegmentUse.Made.BRIEF:
        made = Made(f"#{use.brief_id}", page)
    elif use.made == SegmentUse.Made.QUESTION:
        made = Made(f"asked on #{use.brief_id}", f"{page}#question-{use.number}")
    else:
        made = Made(f"trace of #{use.brief_id}", f"{page}#trace-{use.number}")
    return made if may_see else Made("done", "")


# --- folding ----------------------------------------------------------------------------------------------------------


def arrange(rows: Sequence[Row], opened: str = "") -> list[Row | Run]:
    """Rows as they stand on the page: long runs of quiet ones in one line, which opens.

    ``opened``: ``all``, ``none``, or positions with commas between them.
    """
    positions = {int(part) for part in opened.split(",") if part.isascii() and part.isdigit() and len(part) < 9}
    for row in rows:
        row.is_open = opened == "all" or row.position in positions or (row.is_open and opened != "none")
    arranged: list[Row | Run] = []
    run: list[Row] = []

    def close() -> None:
        is_open = opened == "all" or any(row.position in positions for row in run)
        arranged.extend([Run(list(run), is_open)] if len(run) >= RUN else run)
        run.clear()

    for row in rows:
        if _may_fold(row):
            run.append(row)
        else:
            close()
            arranged.append(row)
    close()
    return arranged


def without_had(rows: Iterable[Row | Run]) -> list[Row | Run | Kept]:
    """What stands on the page, with one empty place for neighbours that it has: hundreds of them are a long answer."""
    found: list[Row | Run | Kept] = []
    for row in rows:
        if not isinstance(row, Row) or not row.is_had:
            found.append(row)
            continue
        before = found[-1] if found else None
        if isinstance(before, Kept) and before.last.segment.pk + 1 == row.segment.pk:
            found[-1] = Kept(before.first, row)
        else:
            found.append(Kept(row, row))
    return found


def _may_fold(row: Row) -> bool:
    return row.total > MANY and row.is_quiet and FIRST < row.position <= row.total - LAST


assert set(MADE_OF) == set(LINES)
