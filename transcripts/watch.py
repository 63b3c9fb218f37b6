"""The watch: agents' logs are taken while they are written.

A thread waits for what the kernel tells of the roots (inotify; polling where there is none) and queues the names; the
main thread takes one log at a time, the newly written before the backlog. One that is shorter than it was is waited
for: most often it is being written anew. Names may be missed (a folder that filled before it was watched, a kernel
queue that ran over), so all roots are looked through now and then. What was taken stands in the database: a watch that
is killed at any moment has lost nothing but time.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import structlog
import watchfiles
from django.db import DatabaseError, InterfaceError, close_old_connections

from briefs.models import Project
from core.errors import Refusal
from transcripts import ingest
from transcripts.models import Taking
from transcripts.services import taking

log = structlog.stdlib.get_logger(__name__)

LOOK_THROUGH: Final = 30.0  # seconds between two looks through all roots
ROOTS_APPEAR: Final = 2.0  # seconds until a root that was not there is noticed
SETTLE_MS: Final = 40  # a log that is still being written is read when it rests this long, or after
LONGEST_MS: Final = 300
BEAT: Final = 5.0  # seconds between two signs of life
NEW: Final = 600.0  # seconds: a log of this age may still get an owner, so it is looked at again when it grows

SHRUNK: Final = 5.0  # seconds that a log must stay shorter than what was read of it, before that is believed

Seen = tuple[int, int, int]  # inode, size, time in nanoseconds


def is_log(name: str) -> bool:
    return name.endswith((".jsonl", ".jsonl.zst"))


class Watch:
    """``beat`` is called every few seconds while the watch works."""

    def __init__(self, roots: Sequence[Path], beat: Callable[[], None] = lambda: None) -> None:
        self.roots, self.beat = list(roots), beat
        self.stop = threading.Event()
        self.told: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self.backlog: list[Path] = []  # the newest last
        self.done: dict[Path, Seen] = {}
        self.shrunk: dict[Path, tuple[float, Seen]] = {}  # when they are believed
        self.rules: object = None

    def run(self) -> None:
        """Until ``stop`` is set."""
        listener = threading.Thread(target=self._listen, name="listen", daemon=True)
        listener.start()
        next_look = next_beat = 0.0
        while not self.stop.is_set():
            now = time.monotonic()
            if now >= next_beat:
                self.beat()
                next_beat = now + BEAT
            if now >= next_look:
                self.look_through()
                next_look = time.monotonic() + LOOK_THROUGH
            for path in [path for path, (at, _) in self.shrunk.items() if now >= at]:
                self.take(path)
            if self.backlog and self.told.empty():
                self.take(self.backlog.pop())
                continue
            next_step = min(next_beat, next_look, *(at for at, _ in self.shrunk.values()))
            try:
                path = self.told.get(timeout=max(0.01, next_step - time.monotonic()))
            except queue.Empty:
                continue
            if not self.stop.is_set():
                self.take(path)
        listener.join(timeout=2)

    def end(self) -> None:
        """Stop at once, out of a wait too. For signal handlers: a SimpleQueue takes a put in the middle of a get."""
        self.stop.set()
        self.told.put(Path())

    # --- what was written

    def _listen(self) -> None:
        while not self.stop.is_set():
            there = [root for root in self.roots if root.is_dir()]
            if not there:
                self.stop.wait(ROOTS_APPEAR)
                continue
            for root in there:
                self._tell_folder(root)  # what was written before the kernel was asked
            try:
                self._listen_to(there)
            except (OSError, RuntimeError):  # a root went away, or the kernel has no more watches to give
                log.exception("the roots cannot be watched; they are looked through instead")
                self.stop.wait(LOOK_THROUGH)

    def _listen_to(self, there: list[Path]) -> None:
        """Until a root appears or goes away."""
        checked = time.monotonic()
        for changes in watchfiles.watch(
            *there,
            watch_filter=None,
            debounce=LONGEST_MS,
            step=SETTLE_MS,
            rust_timeout=int(ROOTS_APPEAR * 1000),
            yield_on_timeout=True,
            stop_event=self.stop,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            for change, name in changes:
                if change != watchfiles.Change.deleted:
                    self._tell(Path(name), is_new=change == watchfiles.Change.added)
            if time.monotonic() - checked > ROOTS_APPEAR:
                checked = time.monotonic()
                if there != [root for root in self.roots if root.is_dir()]:
                    return

    def _tell(self, path: Path, *, is_new: bool) -> None:
        if is_log(path.name):
            self.told.put(path)
        elif is_new and path.is_dir():
            self._tell_folder(path)

    def _tell_folder(self, folder: Path) -> None:
        """What was written into a new folder before it was watched."""
        for path, seen in _logs(folder):
            if self.done.get(path) != seen:
                self.told.put(path)

    # --- taking

    def look_through(self) -> None:
        """Queue every log that is not as it was when it was last taken; all of them when the rules have changed."""
        try:
            close_old_connections()
            rules: list[object] = list(Taking.objects.order_by("pk").values_list("project", "is_on", "days"))
            rules += Project.objects.order_by("pk").values_list("pk", "root")
        except (DatabaseError, InterfaceError):
            log.exception("the database does not answer")
            return
        if rules != self.rules:
            self.rules = rules
            self.done.clear()
        found = [(seen[2], path) for root in self.roots for path, seen in _logs(root) if self.done.get(path) != seen]
        self.backlog = [path for _, path in sorted(found)]

    def take(self, path: Path) -> None:
        """Take one log, if it may be taken. Whatever is wrong with it is the log's trouble, not the watch's."""
        try:
            seen = _seen(path)
        except OSError:  # it went away
            self.shrunk.pop(path, None)
            return
        if seen is None or self.done.get(path) == seen:
            return
        try:
            close_old_connections()
            if self._is_shrinking(path, seen):
                return
            if taking.is_wanted(path):
                ingest.take(path)
            elif time.time() - path.stat().st_mtime < NEW:
                self.done.pop(path, None)
                return  # its owner may be told in a moment
        except ingest.Busy:
            return  # the other reader has it; the next look finds whatever it left
        except Refusal as refusal:
            log.debug("a log was refused", path=str(path), why=refusal.sentence)
        except OSError as error:
            log.debug("a log cannot be read", path=str(path), why=str(error))
            return
        except (DatabaseError, InterfaceError):
            log.exception("a log could not be stored", path=str(path))
            self.stop.wait(1)
            return
        except Exception:
            log.exception("a log could not be taken", path=str(path))
        self.done[path] = seen

    def _is_shrinking(self, path: Path, seen: Seen) -> bool:
        """Is it shorter than what was read of it, and has not been so, and at rest, for long enough?"""
        if seen[1] >= ingest.known_size(path):
            self.shrunk.pop(path, None)
            return False
        at, was = self.shrunk.get(path, (0.0, None))
        if was != seen:
            self.shrunk[path] = (time.monotonic() + SHRUNK, seen)
            return True
        if time.monotonic() < at:
            return True
        del self.shrunk[path]
        return False


def _logs(root: Path) -> Iterator[tuple[Path, Seen]]:
    """Every log below a folder. Of a plain log and its compressed copy the plain one."""
    for folder, _, names in os.walk(root):
        present = set(names)
        for name in names:
            if is_log(name) and not (name.endswith(".zst") and name.removesuffix(".zst") in present):
                path = Path(folder, name)
                try:
                    seen = _seen(path)
                except OSError:
                    continue  # gone meanwhile
                if seen is not None:
                    yield path, seen


def _seen(path: Path) -> Seen | None:
    """None for a pipe, a device, a folder: whatever its name, it is no log."""
    now = path.stat()
    return (now.st_ino, now.st_size, now.st_mtime_ns) if stat.S_ISREG(now.st_mode) else None
