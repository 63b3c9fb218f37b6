"""The board's and the brief page's sockets.

The board is told "brief 12 changed" and asks for its own list again. A brief's trace is a tail: the client says the
last number it has, and is sent every later entry in order, on connecting and on every hint. Hints may be lost or come
twice; entries are numbered without gaps, so nothing is missed and nothing is sent again. Each entry is loaded and
rendered once per process, whoever looks on: ``Renderings`` keeps the newest, and concurrent viewers wait for one query.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, OrderedDict
from typing import Any, Final
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.template.loader import render_to_string

from briefs import trace
from briefs.identity import Identity
from briefs.models import Brief, TraceEntry
from briefs.services import references
from core import changes, live, markdown, metrics
from core.errors import Refusal
from core.threads import run_in_database_thread

NOT_YOURS: Final = 4404  # sent before the acceptance: the client sees HTTP 403
AT_ONCE: Final = 100  # entries in one query
KEPT_CHARACTERS: Final = 16_000_000  # of rendered entries, in this process


class Rendered(str):
    """A trace entry as HTML, and what a page may filter it by."""

    __slots__ = ("actor", "kind")
    kind: str
    actor: str

    @classmethod
    def of(cls, entry: TraceEntry, html: str) -> Rendered:
        made = cls(html)
        made.kind, made.actor = entry.kind, entry.actor_ref
        return made


class Renderings:
    """Rendered trace entries by (brief, number), newest use last; entries never change, so they are never stale."""

    def __init__(self) -> None:
        self.kept: OrderedDict[tuple[int, int], Rendered] = OrderedDict()
        self.characters = 0
        self.watched: Counter[int] = Counter()  # open sockets by brief
        self.loading: dict[int, asyncio.Future[None]] = {}

    async def after(self, brief: int, last: int, upto: int) -> list[Rendered]:
        """The entries after ``last``, in order and without a gap: at most AT_ONCE, none beyond ``upto``."""
        if last + 1 == upto and (newest := self.kept.get((brief, upto))) is not None:
            return [newest]  # what nearly every call is about: one new entry, rendered for whoever heard of it first
        numbers = range(last + 1, min(upto, last + AT_ONCE) + 1)
        for attempt in range(3):
            missing = next((seq for seq in numbers if (brief, seq) not in self.kept), None)
            if missing is None or attempt == 2:
                break
            await self._load_once(brief, missing, numbers[-1])
        found = []
        for seq in numbers:
            html = self.kept.get((brief, seq))
            if html is None:
                break  # not there (yet): the next hint asks again
            self.kept.move_to_end((brief, seq))
            found.append(html)
        return found

    async def _load_once(self, brief: int, first: int, last: int) -> None:
        """Load and render, or wait for whoever is at it already."""
        loading = self.loading.get(brief)
        if loading is None:
            loading = asyncio.ensure_future(self._load(brief, first, last))
            self.loading[brief] = loading
            loading.add_done_callback(lambda _: self.loading.pop(brief, None))
        await asyncio.shield(loading)

    async def _load(self, brief: int, first: int, last: int) -> None:
        for seq, html in await run_in_database_thread(render_entries, brief, first, last):
            if (brief, seq) not in self.kept:
                self.kept[brief, seq] = html
                self.characters += len(html)
        while self.characters > KEPT_CHARACTERS and len(self.kept) > AT_ONCE:
            self.characters -= len(self.kept.popitem(last=False)[1])

    def keep(self, entry: TraceEntry) -> None:
        """An entry that this process wrote a moment ago, if somebody here is waiting for it.

        Called on the writer's thread, before the hint goes out: the consumers then need no query and no hop.
        """
        if self.watched[entry.brief_id]:
            ((seq, html),) = rendered(entry.brief_id, [entry])
            self.kept[entry.brief_id, seq] = html
            self.characters += len(html)

    def clear(self) -> None:
        self.kept.clear()
        self.characters = 0


def render_entries(brief: int, first: int, last: int) -> list[tuple[int, Rendered]]:
    """For every reader alike: references are links with titles, which limited readers are not sent (``for_reader``)."""
    return rendered(brief, list(TraceEntry.objects.filter(brief=brief, seq__gte=first, seq__lte=last).order_by("seq")))


def rendered(brief: int, rows: list[TraceEntry]) -> list[tuple[int, Rendered]]:
    found = Brief(pk=brief)
    names = references.resolve(None, found, [row.body for row in rows])
    context = {"brief": found, "names": names, "whole": False}
    return [
        (row.seq, Rendered.of(row, render_to_string("briefs/_entry.html", {**context, "entry": row}))) for row in rows
    ]


renderings: Final = Renderings()
trace.on_commit.append(renderings.keep)


class Consumer(AsyncWebsocketConsumer):
    """A socket of somebody who is known (``scope["identity"]``, set by flower/routing.py)."""

    groups_joined: tuple[str, ...] = ()

    @property
    def identity(self) -> Identity:
        identity: Identity = self.scope["identity"]
        return identity

    async def join(self, group: str) -> None:
        await self.channel_layer.group_add(group, self.channel_name)
        self.groups_joined += (group,)

    async def disconnect(self, code: int) -> None:
        for group in self.groups_joined:
            await self.channel_layer.group_discard(group, self.channel_name)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Hints of a kind that this page does not know are for others."""
        handler = message["type"].replace(".", "_")
        if message["type"].startswith("websocket.") or hasattr(self, handler):
            await super().dispatch(message)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The page's heartbeat: it is told which version its lists have by now, and asks where that is another one."""
        version = await run_in_database_thread(changes.version)
        await self.send(json.dumps({"type": "changes", "version": version}))

    def text_in_query(self, name: str) -> str:
        texts: list[str] = parse_qs(self.scope["query_string"].decode("latin-1")).get(name, [""])
        return texts[0]

    def number_in_query(self, name: str) -> int | None:
        text = self.text_in_query(name)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


class BoardConsumer(Consumer):
    """Says which brief changed; the page asks for its list again, so filters and permissions hold."""

    async def connect(self) -> None:
        await self.join(live.BOARD)
        await self.accept()

    async def brief_changed(self, message: dict[str, Any]) -> None:
        if await self.may_hear_of(message["brief"]):
            await self.send(json.dumps({"type": "brief.changed", "brief": message["brief"]}))
            metrics.note_push(message)

    async def worktree_changed(self, message: dict[str, Any]) -> None:
        """For the worktrees page, which listens here too. It asks for its own list, so the number tells nothing."""
        if self.identity.brief is None:
            await self.send(json.dumps({"type": "worktree.changed"}))
            metrics.note_push(message)

    async def may_hear_of(self, number: int) -> bool:
        if self.identity.project is None and self.identity.brief is None:
            return True
        try:
            await run_in_database_thread(self.identity.find_brief, number)
        except Refusal:
            return False
        return True


class BriefConsumer(Consumer):
    """The tail of one brief's trace, as HTML, and ``brief.changed`` for what else is on its page.

    With ``kind`` or ``actor`` it sends those entries only, and ``trace.reached`` for what it passed over, so that the
    page's last number goes on and a reconnect reads nothing twice.
    """

    number: int
    last: int
    kind: str
    actor: str
    is_limited: bool

    async def connect(self) -> None:
        self.number = self.scope["url_route"]["kwargs"]["number"]
        try:
            await run_in_database_thread(self.identity.find_brief, self.number)
        except Refusal:
            await self.close(NOT_YOURS)
            return
        self.kind, self.actor = self.text_in_query("kind"), self.text_in_query("actor")
        self.is_limited = self.identity.project is not None or self.identity.brief is not None
        renderings.watched[self.number] += 1
        await self.join(live.brief_group(self.number))  # before reading where the trace ends: nothing falls between
        end = await self.end_of_trace()
        await self.accept()  # whatever is written from here on is sent, also to a client that named no number
        after = self.number_in_query("after")
        self.last = end if after is None else after
        await self.catch_up(end)

    async def disconnect(self, code: int) -> None:
        if self.groups_joined:
            renderings.watched[self.number] -= 1
        await super().disconnect(code)

    async def trace_grew(self, message: dict[str, Any]) -> None:
        if message["seq"] > self.last:
            await self.catch_up(message["seq"])
            metrics.note_push(message)

    async def brief_changed(self, message: dict[str, Any]) -> None:
        await self.send(json.dumps({"type": "brief.changed", "brief": self.number}))
        metrics.note_push(message)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """The page's heartbeat: a good moment to repair hints that were lost, of the trace and of what is beside it."""
        await self.catch_up(await self.end_of_trace())
        await super().receive(text_data, bytes_data)

    async def catch_up(self, upto: int) -> None:
        while self.last < upto:
            entries = await renderings.after(self.number, self.last, upto)
            if not entries:
                return
            self.last += len(entries)
            await self.send_entries(entries)

    async def send_entries(self, entries: list[Rendered]) -> None:
        wanted = entries if not (self.kind or self.actor) else [entry for entry in entries if self.is_wanted(entry)]
        if wanted:
            text = wanted[0] if len(wanted) == 1 else "".join(wanted)
            await self.send(markdown.without_references(text) if self.is_limited else text)
        if len(wanted) < len(entries):
            await self.send(json.dumps({"type": "trace.reached", "seq": self.last}))

    def is_wanted(self, entry: Rendered) -> bool:
        return self.kind in ("", entry.kind) and self.actor in ("", entry.actor)

    async def end_of_trace(self) -> int:
        return await run_in_database_thread(end_of_trace, self.number)


def end_of_trace(number: int) -> int:
    return Brief.objects.filter(pk=number).values_list("trace_seq", flat=True).first() or 0
