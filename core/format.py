"""How states, times, sizes and texts are written, on every page and in every answer: plain functions.

Templates have them as filters and tags of the same names (briefs/templatetags/flower.py).
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from core import lifecycle

_MARKS: Final = str.maketrans("", "", "*`~")
_BEGINS: Final = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|[-+*][ \t]+|>[ \t]?)+", re.MULTILINE)  # of headings, items, quotes

# States in which something is happening right now: their dot breathes.
_MOVING: Final = frozenset(
    {"in_progress", "running", "preparing", "merging", "creating", "starting", "claimed", "removing"}
)


def words(state: str) -> str:
    """``in_progress`` -> ``in progress``."""
    return lifecycle.words(str(state))


def css(state: str) -> str:
    """The class that gives a state its colour: ``in_progress`` -> ``in-progress``, ``exited (0)`` -> ``exited``."""
    name = str(state).split(" ")[0].replace("_", "-")
    return {"exited": "done" if "(0)" in str(state) else "failed", "killed": "failed", "not": "failed"}.get(name, name)


def pill(state: str, label: str = "") -> SafeString:
    """A state as a pill with its dot: ``{% pill brief.status %}``."""
    live = " live" if state in _MOVING else ""
    return format_html('<span class="pill dot {}{}">{}</span>', css(state), live, label or words(state))


def flat_pill(state: str, label: str = "") -> SafeString:
    """The same without a dot, for a state that is talked about and not shown."""
    return format_html('<span class="pill {}">{}</span>', css(state), label or words(state))


def ago(at: datetime | None, suffix: str = "") -> SafeString:
    """A time as people say it, the exact one on hover; static/js/ago.js keeps it true. ``suffix``: ``ago`` or empty."""
    if at is None:
        return SafeString("")
    exact = at.astimezone(timezone.get_current_timezone())
    return format_html(
        '<time datetime="{}" title="{}" data-ago="{}">{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        suffix,
        _since(exact, suffix),
    )


def until(newest: datetime, oldest: datetime) -> SafeString:
    """The span of a run of entries, ``2m – 3h ago``; one end where both are said alike (ago.js sees to it)."""
    same = _since(newest, "") == _since(oldest, "")
    ends = "same" if same else "two"
    return format_html('<span data-ends="{}"><span>{} – </span>{}</span>', ends, ago(newest), ago(oldest, "ago"))


def _since(at: datetime, suffix: str) -> str:
    seconds = (timezone.now() - at).total_seconds()
    if seconds < 45:
        return "now"
    for unit, length, limit in (("m", 60, 60), ("h", 3600, 24), ("d", 86400, 30)):
        if (count := max(1, round(seconds / length))) < limit:
            return f"{count}{unit} {suffix}".strip()
    return f"{at.day} {at:%b %Y}" if seconds > 300 * 86400 else f"{at.day} {at:%b}"


def clock(at: datetime | None) -> str:
    """The exact time of something that is to come or was: ``14:05:10 UTC`` today, else with its date."""
    if at is None:
        return ""
    exact, today = at.astimezone(timezone.get_current_timezone()), timezone.localtime()
    return exact.strftime("%H:%M:%S %Z" if exact.date() == today.date() else "%Y-%m-%d %H:%M:%S %Z")


def day(at: datetime | None) -> SafeString:
    """When something began that goes on: ``14:05`` today, else ``3 Jul``; static/js/ago.js puts it into local time."""
    if at is None:
        return SafeString("")
    exact, today = at.astimezone(timezone.get_current_timezone()), timezone.localtime()
    told = f"{exact:%H:%M}" if exact.date() == today.date() else f"{exact.day} {exact:%b}"
    return format_html(
        '<time datetime="{}" title="{}" data-day>{}</time>',
        exact.isoformat(timespec="seconds"),
        exact.strftime("%Y-%m-%d %H:%M:%S %Z"),
        told if exact.year == today.year else f"{told} {exact.year}",
    )


def lasted(start: datetime | None, end: datetime | None) -> str:
    """The time from ``start`` to ``end`` (to now without one): ``41 s``, ``12 min``, ``2 h 41 min``."""
    if start is None:
        return ""
    seconds = int(max(timedelta(), (end or timezone.now()) - start).total_seconds())
    if seconds < 90:
        return f"{seconds} s" if seconds else "under 1 s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def size(count: int) -> str:
    """Bytes or characters as people read them: ``812 B``, ``4.2 KB``, ``1.3 MB``."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} KB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def tokens(count: int) -> str:
    """Tokens as people read them: ``812``, ``7.2 k``, ``72 k``, ``1.3 M``."""
    if count < 1000:
        return str(count)
    if count < 999_500:
        return f"{count / 1000:.1f} k" if count < 9950 else f"{count / 1000:.0f} k"
    return f"{count / 1_000_000:.1f} M"


def is_number(text: str) -> bool:
    """Whether a text is a whole number that a page may show as one: ASCII digits, at most 15."""
    return text.isascii() and text.isdigit() and len(text) < 16


def sha(commit: str) -> str:
    """A commit's id as short as it is shown: nine digits."""
    return commit[:9]


def is_web_address(target: str) -> bool:
    """Whether a link's target may be made a link: only http and https; agents write these."""
    try:
        return urlsplit(target).scheme in {"http", "https"}
    except ValueError:
        return False


def plain(text: str) -> str:
    """Markdown as one line of plain words, for a second line in a list."""
    return " ".join(_BEGINS.sub("", text).translate(_MARKS).split())
