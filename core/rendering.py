"""Texts are rendered in processes that may be killed: nobody's text holds a thread of ours.

A few children run ``core/render_process.py``, each rendering one text at a time within bounds of CPU time, memory and
size. Whatever the next text does that nobody thought of, it does it to a child: at worst the kernel ends that child
after half a CPU second, this process has slept meanwhile, and the text is shown as it was written.

* A caller takes a free child and waits for its own texts only: a slow one holds up whoever sent it. There are CHILDREN
  of them at most, made when they are needed, and they stay, since their start costs as much as fifty usual texts.
* Texts of one page go to a child together (``render``): a message and a wait for all that the page has.
* A page has an allowance (``one_page``): CPU seconds beyond what texts of their lengths take. Many slow texts on one
  page take little more than the first of them; the rest are given up quickly, and tried again a minute later.
* They end with this process, however that ends: their input is a pipe that only we hold open. They are started by
  exec, not by fork, so threads do not matter, and with an environment of two variables.
"""

from __future__ import annotations

import atexit
import os
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

log = structlog.stdlib.get_logger(__name__)

CHILDREN: Final = 3
ALLOWANCE: Final = 0.5  # CPU seconds of a page, beyond what its texts usually take
START: Final = 30.0  # seconds of the clock until a child is ready, on a machine that is busy
LONGEST: Final = 6.0  # seconds of the clock for one text, likewise: what is left when the machine gives a child no turn
TURN: Final = 8.0  # seconds of the clock until a child is free
AT_ONCE: Final = 2_000_000  # characters of the texts in one message
_PROGRAM: Final = Path(__file__).with_name("render_process.py")
_LENGTH: Final = struct.Struct("!I")


class Plain(StrEnum):
    """Why a text is not rendered."""

    LONG = "long"  # it, or a line or paragraph in it, is longer than is rendered
    SLOW = "slow"
    LARGE = "large"  # its HTML, or the memory that it took
    FAULT = "fault"
    BUSY = "busy"  # no child was to be had: nothing is known of the text


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one text; with ``plain`` nothing did. ``is_passing``: another try may go another way."""

    html: str = ""
    headings: tuple[tuple[int, str, str], ...] = ()  # level, anchor, words
    numbers: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    done: int = 0
    tasks: int = 0
    plain: Plain | None = None
    is_passing: bool = False
    seconds: float = 0.0  # of CPU


class Allowance:
    """CPU seconds that the texts of one page may still take beyond the usual."""

    def __init__(self) -> None:
        self.left = ALLOWANCE


_allowance: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def one_page() -> Iterator[None]:
    """All that is rendered within has one allowance: a request, a call of a tool, a push to sockets."""
    token = _allowance.set(Allowance())
    try:
        yield
    finally:
        _allowance.reset(token)


def render(texts: Sequence[str]) -> list[Answer]:
    """Render texts; one answer each, in order. Never raises. Blocks for as long as they take, without using CPU."""
    allowance = _allowance.get() or Allowance()
    found: list[Answer] = []
    tries = 0
    while len(found) < len(texts):
        child = _pool.take()
        if child is None:
            return found + [Answer(plain=Plain.BUSY, is_passing=True)] * (len(texts) - len(found))
        before = len(found)
        try:
            for answer in child.render(_some(texts, before), allowance):
                found.append(answer)
        finally:
            _pool.give_back(child)
        tries = 0 if len(found) > before else tries + 1
        if tries == 2:  # a child that was ready and gave no answer, twice
            return found + [Answer(plain=Plain.BUSY, is_passing=True)] * (len(texts) - len(found))
    return found


def _some(texts: Sequence[str], first: int) -> list[str]:
    """The texts from the ``first`` on that go in one message."""
    end, size = first + 1, len(texts[first])
    while end < len(texts) and (size := size + len(texts[end])) <= AT_ONCE:
        end += 1
    return list(texts[first:end])


def warm_up() -> None:
    """Start a child, without waiting for it: the first page need not."""
    _pool.warm_up()


class Child:
    """One render process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-I", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
            cwd="/",
            bufsize=0,
            start_new_session=True,  # Ctrl-C at the terminal is for whoever started us
        )
        assert self.process.stdin and self.process.stdout
        self.input, self.output = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.received = bytearray()
        self.is_ready = False
        self.is_usable = True  # may be given to the next caller

    def render(self, texts: Sequence[str], allowance: Allowance) -> Iterator[Answer]:
        """Answers, in order: of all texts, or up to one that ended the child. ``is_usable`` tells which."""
        self.is_usable = False  # until it has said all, and we have heard it
        try:
            if not self.is_ready:
                self._receive(START)
                self.is_ready = True
            self._send({"allowance": allowance.left, "texts": list(map(_encodable, texts))})
        except (OSError, EOFError, TimeoutError) as error:  # it has not looked at any text
            log.warning("a render process gave no answer", error=repr(error), code=self.process.poll())
            return
        for text in texts:
            try:
                made = self._receive(LONGEST)
            except TimeoutError:  # the machine gives it no turn
                yield self._given_up(text, Plain.BUSY, is_passing=True)
                return
            except (OSError, EOFError):
                code = self._code()
                why = Plain.SLOW if code == -signal.SIGPROF else Plain.LARGE
                yield self._given_up(text, why, is_passing=code in _NOT_ITS_DOING or allowance.left < ALLOWANCE)
                allowance.left = 0.0
                return
            allowance.left = made["allowance"]
            if "error" in made:
                log.error("a text could not be rendered", characters=len(text), error=made["error"])
            yield _answer(made)
            if made["leaves"]:
                return
        self.is_usable = True

    def _given_up(self, text: str, why: Plain, *, is_passing: bool) -> Answer:
        log.warning("a text was given up with its render process", characters=len(text), why=why)
        return Answer(plain=why, is_passing=is_passing)

    def _code(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.process.wait(1.0)
        return None

    def end(self) -> None:
        """Close the pipes and bury it."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe
            with suppress(OSError):
                pipe.close()
        self.process.wait()

    # --- frames

    def _send(self, value: Any) -> None:
        body = orjson.dumps(value)
        view = memoryview(_LENGTH.pack(len(body)) + body)
        end = time.monotonic() + LONGEST
        while view:
            try:
                view = view[os.write(self.input, view) :]
            except BlockingIOError:
                self._await(self.input, selectors.EVENT_WRITE, end)

    def _receive(self, seconds: float) -> Any:
        """One frame. Raises TimeoutError, and EOFError when the child has ended."""
        end = time.monotonic() + seconds
        size = _LENGTH.unpack(self._exactly(_LENGTH.size, end))[0]
        return orjson.loads(self._exactly(size, end))

    def _exactly(self, size: int, end: float) -> bytes:
        while len(self.received) < size:
            try:
                part = os.read(self.output, 1 << 18)
            except BlockingIOError:
                self._await(self.output, selectors.EVENT_READ, end)
                continue
            if not part:
                raise EOFError
            self.received += part
        found = bytes(self.received[:size])
        del self.received[:size]
        return found

    def _await(self, descriptor: int, event: int, end: float) -> None:
        with selectors.PollSelector() as selector:
            selector.register(descriptor, event)
            if not selector.select(max(0.0, end - time.monotonic())):
                raise TimeoutError


_NOT_ITS_DOING: Final = frozenset({-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP})  # somebody ended the child


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half of a surrogate pair is no text


def _answer(made: dict[str, Any]) -> Answer:
    if why := made.get("plain"):
        # given up early, because of what stood before it on the page: another page may have more time for it
        return Answer(plain=Plain(why), is_passing=made["hurried"] and why == Plain.SLOW, seconds=made["seconds"])
    return Answer(
        made["html"],
        tuple((level, anchor, words) for level, anchor, words in made["headings"]),
        tuple(made["numbers"]),
        tuple(made["names"]),
        made["done"],
        made["tasks"],
        seconds=made["seconds"],
    )


class Pool:
    """The children of this process."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.free: list[Child] = []
        self.count = 0  # of those that are free and those that are taken
        self.changed = threading.Condition()
        self.is_closed = False

    def take(self) -> Child | None:
        """A free child, or a new one. None when there is none in time, or none can be started."""
        end = time.monotonic() + TURN
        with self.changed:
            while not self.free:
                if self.count < self.most:
                    self.count += 1
                    break
                if not self.changed.wait(end - time.monotonic()):
                    return None
            else:
                return self.free.pop()
        return self._started()

    def _started(self) -> Child | None:
        try:
            return Child()
        except OSError:
            log.exception("a render process could not be started")
            with self.changed:
                self.count -= 1
                self.changed.notify()
            return None

    def give_back(self, child: Child) -> None:
        if not child.is_usable or self.is_closed:
            child.end()
        with self.changed:
            if child.is_usable and not self.is_closed:
                self.free.append(child)
            else:
                self.count -= 1
            self.changed.notify()

    def warm_up(self) -> None:
        with self.changed:
            if self.count:
                return
            self.count += 1
        if (child := self._started()) is not None:
            self.give_back(child)

    def close(self) -> None:
        """End the free children; those that are taken end with this process."""
        with self.changed:
            self.is_closed = True
            free, self.free = self.free, []
        for child in free:
            child.end()


_pool = Pool(CHILDREN)


def _forget() -> None:
    """In a fork: the children are our parent's."""
    global _pool
    _pool = Pool(CHILDREN)


atexit.register(lambda: _pool.close())
os.register_at_fork(after_in_child=_forget)
