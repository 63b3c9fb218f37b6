"""A session in one picture: segments as bands, what happened as marks, the context as an area. Pure: no rows, no HTML.

Across the page go the events, each as wide as any other: a night without one would leave no room for the day's work.
Places are percentages, so that the picture fits any width without stretching its letters. However long the session,
the picture is small: the area has ``POINTS`` places at most, marks of a kind that would cover each other are one, and
so are the bands of neighbours where there are more than ``BANDS``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from transcripts.blocks import Index
from transcripts.windows import window_of

POINTS: Final = 400
SLOTS: Final = 250  # places at which marks of one kind can stand
BANDS: Final = 400
PAUSE: Final = 30 * 60 * 1000  # ms without an event that are shown
MOST_PAUSES: Final = 40
ROOM: Final = 2.4  # percent of the width in which a number can be read on a wide page
MORE_ROOM: Final = 5.0  # on a narrow one
HEADROOM: Final = 1.12  # over the largest context, where the window is not known
PHASES: Final = {
    "ask": "talk",
    "explore": "explore",
    "plan": "plan",
    "edit": "edit",
    "test": "test",
    "vcs": "git",
    "other": "other",
}
MARKS: Final = {
    "p": ("prompt", "prompt", "prompts"),
    "o": ("prompt", "prompt", "prompts"),
    "x": ("compaction", "compaction", "compactions"),
    "i": ("interruption", "interruption", "interruptions"),
}


class Spoken(Protocol):
    """What the picture needs of a segment."""

    @property
    def position(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def phase(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def says(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Band:
    """A segment: from ``x``, ``width`` wide, its number at ``middle``. ``room``: wide, narrow or empty."""

    position: int
    x: str
    width: str
    middle: str
    phase: str
    status: str
    says: str
    room: str


@dataclass(slots=True)
class Mark:
    """Something that happened at an event; ``count`` of it where more happened than can be drawn apart."""

    kind: str
    slot: int
    event: int
    x: str
    says: str
    count: int = 1


@dataclass(slots=True)
class Picture:
    bands: list[Band] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    area: str = ""  # of a path in 1000 by 100
    edge: str = ""
    told: str = ""  # "context 41 %"
    label: str = ""
    phases: list[tuple[str, str]] = field(default_factory=list)  # that occur: class, word
    kinds: list[tuple[str, str]] = field(default_factory=list)  # of marks: class, "3 commits"


@dataclass(slots=True)
class Happened:
    """What the indexes of a session's blocks tell, event by event."""

    total: int = 0
    context: list[tuple[int, int]] = field(default_factory=list)  # event, tokens
    marks: list[tuple[str, int, str]] = field(default_factory=list)  # kind, event, word for one
    pauses: list[tuple[int, int]] = field(default_factory=list)  # event after it, milliseconds


def draw(
    segments: Sequence[Spoken],
    blocks: Iterable[tuple[int, Index]],
    *,
    model: str = "",
    window: int = 0,
    commits: dict[int, list[str]] | None = None,
    over: str = "",
) -> Picture:
    """The picture of some segments and of (number of the first event, index) of each block.

    ``window``: tokens that the model can see, 0 where the log does not tell. ``commits``: those that there are, by
    event, and what to say of each; without it those that git printed. ``over``: how long the session took.
    """
    happened = look(blocks)
    if commits is not None:
        happened.marks = [mark for mark in happened.marks if mark[0] != "commit"]
        happened.marks += [("commit", event, "commit") for event in sorted(commits) if event <= happened.total]
    total = max([happened.total, *(one.last for one in segments)], default=0)
    if not total:
        return Picture()
    made = Picture(bands=[_band(some, total) for some in _neighbours(segments, total)])
    made.marks = _marks(happened, total, commits or {})
    window = window_of(model, window, max((tokens for _, tokens in happened.context), default=0))
    made.area, made.edge, made.told = _context(happened.context, total, window)
    used = {one.phase for one in made.bands}
    made.phases = [(name, word) for name, word in PHASES.items() if name in used]
    made.kinds = _kinds(happened, commits or {})
    spoken = [counted(len(segments), "segment") + (f" over {over}" if over else ""), made.told]
    made.label = "; ".join(part for part in [*spoken, ", ".join(words for _, words in made.kinds)] if part)
    return made


def look(blocks: Iterable[tuple[int, Index]]) -> Happened:
    """Read the indexes, once and in order."""
    found = Happened()
    before: int | None = None
    for first, index in blocks:
        agents, errors, commits = set(index.agents), set(index.errors), set(index.commits)
        for place, (kind, at) in enumerate(zip(index.kinds, index.at, strict=True)):
            number = first + place
            if at is not None:
                if before is not None and at - before >= PAUSE:
                    found.pauses.append((number, at - before))
                before = at if before is None else max(at, before)
            if place in errors:
                found.marks.append(("error", number, "error"))
            if place in commits:
                found.marks.append(("commit", number, "commit"))
            if place in agents:
                continue
            if kind in MARKS:
                found.marks.append((MARKS[kind][0], number, MARKS[kind][1]))
            if index.context[place]:
                found.context.append((number, index.context[place]))
        found.total = first + len(index.kinds) - 1
    return found


def _neighbours(segments: Sequence[Spoken], total: int) -> list[list[Spoken]]:
    """Segments that share a band: each its own, unless there are so many that most would be thinner than a dot."""
    thin = total / BANDS if len(segments) > BANDS else 0
    found: list[list[Spoken]] = []
    for one in segments:
        if found and found[-1][-1].last - found[-1][0].first + 1 < thin:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _band(some: Sequence[Spoken], total: int) -> Band:
    first, last = some[0], some[-1]
    x, width = 100 * (first.first - 1) / total, 100 * (last.last - first.first + 1) / total
    room = "narrow" if width >= MORE_ROOM else "wide" if width >= ROOM else ""
    phase = max(some, key=lambda one: one.last - one.first).phase
    phase = phase if phase in PHASES else "other"
    status = next((one.status for one in some if one.status != "done"), "done")
    says = first.says if len(some) == 1 else f"{first.position} to {last.position}, the first: {first.says}"
    return Band(first.position, _say(x), _say(width), _say(x + width / 2), phase, status, says, room)


def _marks(happened: Happened, total: int, commits: dict[int, list[str]]) -> list[Mark]:
    found: dict[tuple[str, int], Mark] = {}
    for kind, event, word in happened.marks:
        slot = (event - 1) * SLOTS // total
        if known := found.get((kind, slot)):
            known.count += 1
            known.says = f"{known.count} {kind}s from e{known.event} on"
            continue
        told = ", ".join(commits.get(event, [])) if kind == "commit" else ""
        found[kind, slot] = Mark(kind, slot, event, _place(event, total), f"e{event} {told or word}")
    longest = sorted(happened.pauses, key=lambda pause: -pause[1])[:MOST_PAUSES]
    for event, length in sorted(longest):
        found["pause", event] = Mark(
            "pause", 0, event, _say(100 * (event - 1) / total), f"{lasted(length)} without an event"
        )
    order = (
        "pause",
        "compaction",
        "error",
        "interruption",
        "prompt",
        "commit",
    )  # later ones are drawn over earlier ones
    return sorted(found.values(), key=lambda mark: order.index(mark.kind))


def _kinds(happened: Happened, commits: dict[int, list[str]]) -> list[tuple[str, str]]:
    order: tuple[str, ...] = ("prompt", "commit", "error", "interruption", "compaction")
    counts: dict[str, int] = {}
    for kind, _, _ in happened.marks:
        counts[kind] = counts.get(kind, 0) + 1
    if commits and "commit" in counts:
        counts["commit"] = max(counts["commit"], sum(map(len, commits.values())))
    found = [(kind, counted(counts[kind], kind)) for kind in order if kind in counts]
    if happened.pauses:
        found.append(("pause", counted(len(happened.pauses), "pause")))
    return found


def _context(told: Sequence[tuple[int, int]], total: int, window: int) -> tuple[str, str, str]:
    """The area, its upper edge, and what to say of it."""
    if not told:
        return "", "", ""
    highest = max(tokens for _, tokens in told)
    top = max(window, highest) if window else highest * HEADROOM
    points = [(1000 * (event - 0.5) / total, 96 - 92 * tokens / top) for event, tokens in _thinned(told, total)]
    edge = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end = points[-1][1]
    edge += f" L1000,{end:.1f}"
    area = f"{edge} L1000,100 L{points[0][0]:.1f},100 Z"
    now = told[-1][1]
    if window:
        most = f", at most {share(highest, window)}" if share(highest, window) != share(now, window) else ""
        return area, edge, f"context {share(now, window)}{most}"
    most = f", at most {thousands(highest)}" if thousands(highest) != thousands(now) else ""
    return area, edge, f"context {thousands(now)} tokens{most}"


def _thinned(told: Sequence[tuple[int, int]], total: int) -> list[tuple[int, int]]:
    """The largest and the last of each slot: peaks and falls stay where they are."""
    if len(told) <= POINTS:
        return list(told)
    kept: dict[int, dict[str, tuple[int, int]]] = {}
    for event, tokens in told:
        slot = kept.setdefault((event - 1) * (POINTS // 2) // total, {})
        if "most" not in slot or tokens >= slot["most"][1]:
            slot["most"] = (event, tokens)
        slot["last"] = (event, tokens)
    return [point for slot in kept.values() for point in dict.fromkeys((slot["most"], slot["last"]))]


# --- words ------------------------------------------------------------------------------------------------------------


def _place(event: int, total: int) -> str:
    return _say(100 * (event - 0.5) / total)


def _say(percent: float) -> str:
    return f"{percent:.3f}%"


def share(part: int, whole: int) -> str:
    return f"{round(100 * part / whole)} %"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def thousands(count: int) -> str:
    """Tokens as people say them: ``812``, ``72 k``, ``1.3 M``."""
    if count < 1000:
        return str(count)
    if count < 999_500:
        return f"{count / 1000:.1f} k" if count < 9950 else f"{round(count / 1000)} k"
    return f"{count / 1_000_000:.1f} M"


def lasted(milliseconds: int) -> str:
    minutes = round(milliseconds / 60_000)
    hours, rest = divmod(minutes, 60)
    if hours >= 48:
        return f"{round(hours / 24)} days"
    return f"{hours} h {rest} min" if hours else f"{minutes} min"
