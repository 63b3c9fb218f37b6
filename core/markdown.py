"""Markdown to safe HTML, once per text.

Text from agents is data: raw HTML is off in the parser, and nh3 (ammonia) filters what comes out all the same, so
that a fault in one of them is not a hole. Texts are rendered in processes of their own (core/rendering.py), within
bounds of time and size: a text beyond them is shown as it was written, with a sentence that says why. What came of a
text is kept by the text, in this process only; that nothing came of it, too.

Pictures are shown from this site's attachments alone; any other becomes a link, so that no text can make a reader's
browser call somewhere. ``#12`` and ``@name`` are found there (never in code or in links) and made links by the caller,
who knows which briefs and actors its reader may see: ``render(text, names)``.
"""

from __future__ import annotations

import html
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from typing import Final

from django.utils.safestring import SafeString, mark_safe

from core import rendering
from core.rendering import Answer, Plain

MAX_CHARACTERS: Final = 400_000  # longer text is shown as plain text
KEPT_BYTES: Final = 16_000_000  # of rendered texts, in this process; the largest has less than half
PASSING: Final = 60.0  # seconds until a text is tried again that may have met a busy machine
TIMES: Final = 20  # HTML with its links has at most so many times the length of its text,
MORE: Final = 64 * 1024  # and so much more

_MARKER: Final = re.compile(r'<span class="(?:ref|mention)">([#@])([^<]+)</span>')
_ANCHOR: Final = re.compile(r'(<h[1-6]) id="[^"]*"')
_SIGN: Final = re.compile(r"[\\`*_\[\]<&~|]")
_LINE_START: Final = re.compile(r"^([ \t]*[0-9]*)([#>+=.)])", re.M)
# What a reader is told above a text that is not rendered.
_SENTENCES: Final[dict[Plain, str]] = {
    Plain.LONG: "Shown as it was written: it is longer, or has longer lines, than is rendered.",
    Plain.SLOW: "Shown as it was written: rendering it took too long and was given up.",
    Plain.LARGE: "Shown as it was written: rendered it would be many times its size.",
    Plain.FAULT: "Shown as it was written: it could not be rendered.",
    Plain.BUSY: "Shown as it was written for now: too much is being rendered. Open it again in a minute.",
}

# --- what a text is, rendered -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heading:
    """A heading: its depth (1 is the largest), the id of its element, and its words."""

    level: int
    anchor: str
    words: str


@dataclass(frozen=True)
class Rendered:
    """A text as HTML with its references still marked, and what is in it."""

    marked: str
    headings: tuple[Heading, ...] = ()
    numbers: frozenset[int] = frozenset()
    names: frozenset[str] = frozenset()
    done: int = 0
    tasks: int = 0
    plain: Plain | None = None  # why it is not rendered; ``marked`` is empty then


@dataclass(frozen=True)
class Names:
    """What references lead to, for one reader: the titles of briefs, and the address and full name of actors."""

    briefs: dict[int, str] = field(default_factory=dict)
    actors: dict[str, tuple[str, str]] = field(default_factory=dict)


NOBODY: Final = Names()


def render(text: str, names: Names | None = None) -> SafeString:
    """Render ``text`` as sanitised HTML. Never raises on any text; one beyond the bounds comes back as plain text.

    References become links where ``names`` knows them, and are plain words elsewhere.
    """
    found = look(text)
    if found.plain is not None:
        return mark_safe(f'<p class="as-written">{_SENTENCES[found.plain]}</p><pre>{html.escape(text)}</pre>')  # noqa: S308
    return resolved(found.marked, names, TIMES * len(text) + MORE - len(found.marked))


def literal(text: str) -> str:
    """Markdown for plain text of which only paragraphs, lists with "- " and bare addresses shall be more than text.

    Without it the name ``__init__.py`` would lose its underscores.
    """
    return _LINE_START.sub(r"\1\\\2", _SIGN.sub(r"\\\g<0>", text))


def resolved(marked: str, names: Names | None, room: int) -> SafeString:
    """HTML with its references as links. They may add ``room`` characters; those after that are plain words."""
    known = names or NOBODY

    def link(found: re.Match[str]) -> str:
        nonlocal room
        sign, name = found.groups()
        made = ""
        if sign == "#" and (title := known.briefs.get(int(name))) is not None:
            made = _link("ref", f"/briefs/{int(name)}/", title, f"#{name}")
        elif sign == "@" and (actor := known.actors.get(name)) is not None:
            made = _link("mention", actor[0], actor[1], f"@{name}")
        if not made or len(made) > room:
            return f"{sign}{name}"
        room -= len(made)
        return made

    return mark_safe(_MARKER.sub(link, marked) if "<span class=" in marked else marked)  # noqa: S308


def _link(kind: str, address: str, title: str, words: str) -> str:
    return f'<a class="{kind}" href="{html.escape(address)}" title="{html.escape(title)}">{words}</a>'


def without_anchors(rendered: str) -> SafeString:
    """For a text that stands on a page beside others: no two elements may have one id."""
    return mark_safe(_ANCHOR.sub(r"\1", rendered))  # noqa: S308


_REFERRING: Final = re.compile(r'<a class="(?:ref|mention)"[^>]*>([^<]*)</a>')


def without_references(rendered: str) -> str:
    """The same HTML for a reader who may not know what the references lead to."""
    return _REFERRING.sub(r"\1", rendered)


def references(texts: Iterable[str]) -> tuple[set[int], set[str]]:
    """The numbers and names that some texts refer to. They are rendered at once, and kept for the page."""
    numbers: set[int] = set()
    names: set[str] = set()
    for found in look_at([text for text in texts if "#" in text or "@" in text]):
        numbers |= found.numbers
        names |= found.names
    return numbers, names


# --- kept -------------------------------------------------------------------------------------------------------------


class Kept:
    """What came of texts, by their hash, those that were asked for last; so many bytes of them in all."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._rows: OrderedDict[bytes, tuple[Rendered, int, float]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: bytes) -> Rendered | None:
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                return None
            if row[2] and time.monotonic() > row[2]:
                self.size -= self._rows.pop(key)[1]
                return None
            self._rows.move_to_end(key)
            return row[0]

    def put(self, key: bytes, found: Rendered, seconds: float = 0.0) -> None:
        """Keep it, for some ``seconds`` or as long as there is room."""
        size = ROW_BYTES + sys.getsizeof(found.marked) + 200 * (len(found.headings) + len(found.names))
        with self._lock:
            old = self._rows.pop(key, None)
            self.size -= old[1] if old else 0
            if size > self.limit // 2:
                return
            self._rows[key] = (found, size, time.monotonic() + seconds if seconds else 0.0)
            self.size += size
            while self.size > self.limit:
                _, (_, gone, _) = self._rows.popitem(last=False)
                self.size -= gone


ROW_BYTES: Final = 500  # of a row without its HTML
_kept = Kept(KEPT_BYTES)


def look(text: str) -> Rendered:
    """What ``text`` is, rendered; from memory when it was rendered before."""
    return look_at([text])[0]


def look_at(texts: Sequence[str]) -> list[Rendered]:
    """What each text is, rendered: those that are not in memory in one go."""
    missing: dict[bytes, str] = {}
    keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
    made: dict[bytes, Rendered] = {}
    for key, text in zip(keys, texts, strict=True):
        if key in made or key in missing:
            continue
        if not text.strip():
            made[key] = Rendered("")
        elif len(text) > MAX_CHARACTERS:
            made[key] = Rendered("", plain=Plain.LONG)
        elif (known := _kept.get(key)) is not None:
            made[key] = known
        else:
            missing[key] = text
    if missing:
        answers = rendering.render(list(missing.values()))
        for key, answer in zip(missing, answers, strict=True):
            made[key] = _rendered(answer)
            _kept.put(key, made[key], PASSING if answer.is_passing else 0.0)
    return [made[key] for key in keys]


def _rendered(answer: Answer) -> Rendered:
    if answer.plain is not None:
        return Rendered("", plain=answer.plain)
    return Rendered(
        answer.html,
        tuple(Heading(*heading) for heading in answer.headings),
        frozenset(answer.numbers),
        frozenset(answer.names),
        answer.done,
        answer.tasks,
    )
