"""Trouble that passes: a busy or restarted database, a full disk, a restart of flower. It is no refusal and no bug.

Whoever meets it has asked for nothing wrong and may ask again, so every door says so: HTTP by 503 with Retry-After, a
tool by an error with the code. One place tells such trouble from bugs (``code_of``), one place handles it
(``resilient``, around each view and each call from the event loop): a deadlock's victim and a call whose connection
was lost before it had written begin anew there; what remains is raised as ``Unavailable``.

"Nothing was changed" must be true where it is said. A call may commit more than once, and a connection may be lost in
the middle of a COMMIT; ``_Writes`` watches the call's statements for both.
"""

from __future__ import annotations

import errno
import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, Literal, ParamSpec, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, connection, transaction

from core.errors import Refusal

P = ParamSpec("P")
R = TypeVar("R")
Code = Literal["busy", "full", "restarting"]

log = structlog.stdlib.get_logger(__name__)

SENTENCES: Final[dict[Code, str]] = {
    "busy": "flower is busy; {done}; {again}.",
    "full": "The disk of flower is full; {done}; {again} when there is room.",
    "restarting": "flower is being started again; {done}; {again}.",
}
NOTHING_DONE: Final = "nothing was changed"
PARTLY_DONE: Final = "part of this may be done"
RETRY_AFTER: Final[dict[Code, int]] = {"busy": 3, "full": 30, "restarting": 5}  # seconds

_DEADLOCK, _LOCK_WAIT = 1213, 1205
_LOST: Final = frozenset({2002, 2003, 2006, 2013, 1053, 1927})  # server away, connection lost or killed, shutting down
_BUSY: Final = frozenset({_DEADLOCK, _LOCK_WAIT, 1040, 1203}) | _LOST  # and: too many connections, of all, of one user
_FULL: Final = frozenset({1021, 1114, 1030})  # disk full, table full, error of the storage engine
# Primary codes of SQLite. A full disk shows as IOERR too, where the WAL's index cannot grow.
_SQLITE: Final[dict[int, Code]] = {
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_IOERR: "full",
}
_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_PAUSES: Final = (0.02, 0.1, 0.4)  # seconds, times something between 1 and 2
LONGEST_CALL: Final = 10.0  # seconds after which a call is not made again: its caller has waited enough


class Unavailable(Exception):
    """flower cannot do this just now; asking again, after ``retry_after`` seconds, may well work.

    ``code`` says why; ``is_clean`` whether it is certain that nothing was changed. ``sentence`` is for programs and
    models, ``sentence_for_people`` for pages.
    """

    status_code = 503

    def __init__(self, code: Code, *, is_clean: bool = True) -> None:
        self.code, self.is_clean = code, is_clean
        self.retry_after = RETRY_AFTER[code]
        done = NOTHING_DONE if is_clean else PARTLY_DONE
        self.sentence = SENTENCES[code].format(done=done, again="call again")
        self.sentence_for_people = SENTENCES[code].format(done=done, again="try again")
        super().__init__(self.sentence)


def code_of(error: BaseException | None) -> Code | None:
    """Which passing trouble an exception tells of, if any; what it was raised from counts too."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, Unavailable):
            return error.code
        if code := _code_of_one(error):
            return code
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return None


def _code_of_one(error: BaseException) -> Code | None:
    if isinstance(error, sqlite3.Error):
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if isinstance(error, OSError):
        return "full" if error.errno in _DISK else None
    if isinstance(error, DatabaseError | InterfaceError):
        number = _number_of(error)
        return "busy" if number in _BUSY else "full" if number in _FULL else None
    return None


def as_unavailable(error: BaseException) -> Unavailable | None:
    """Passing trouble that came from outside of a ``resilient`` call (who asks, the session), before anything began."""
    if isinstance(error, Unavailable):
        return error
    code = code_of(error)
    return Unavailable(code) if code else None


def resilient(call: Callable[P, R]) -> Callable[P, R]:
    """``call``, made again (up to three times) where it came to nothing by a deadlock or a lost connection.

    InnoDB finds transactions that wait for each other in a ring and rolls one of them back whole: that one has done
    nothing and may begin anew. Raises Unavailable for trouble that passes and did not; other exceptions as they are.
    Inside of a transaction every exception comes through as it is: it is for whoever began that one.
    """

    @wraps(call)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        begun = time.monotonic()
        for pause in (*_PAUSES, None):
            with _watched() as writes:
                try:
                    return call(*args, **kwargs)
                except Exception as error:
                    code = None if connection.in_atomic_block else code_of(error)
                    if code is None or isinstance(error, Unavailable | Refusal):
                        raise
                    number = _number_of(error)
                    if number in _LOST:
                        connection.close()  # else the next call on this thread meets it too
                    late = time.monotonic() - begun > LONGEST_CALL
                    if pause is None or late or not writes.none_remain(number) or number not in {_DEADLOCK, *_LOST}:
                        log.warning("trouble that passes", trouble=code, error=f"{type(error).__name__}: {error}"[:300])
                        raise Unavailable(code, is_clean=writes.none_remain(number)) from error
            log.info("a call is made again", error_number=number)
            time.sleep(pause * random.uniform(1, 2))  # noqa: S311 - so that two victims do not meet again
        raise AssertionError("the last round returns or raises")

    return patient


def _number_of(error: BaseException) -> int:
    """MySQL's number of an error, else 0."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


class _Writes:
    """What became of the writing statements of one call."""

    def __init__(self) -> None:
        self.committed = False  # for certain
        self.open = False  # in a transaction whose end was not seen
        self.failed = False  # whether the statement before the exception was what failed

    def none_remain(self, number: int) -> bool:
        """Whether nothing was changed. A connection lost between the last statement and its commit leaves it open."""
        return not self.committed and not (self.open and not self.failed and number in _LOST)

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self.failed = True
        result = execute(sql, params, many, context)
        self.failed = False
        if sql.lstrip()[:7].upper().startswith(("INSERT", "UPDATE", "DELETE", "REPLACE")):
            self._note(context["connection"].in_atomic_block)
        return result

    def _note(self, in_transaction: bool) -> None:
        if not in_transaction:
            self.committed = True
            return
        self.open = True
        waiting: list[Any] = connection.run_on_commit
        if not any(row[1] == self._commit for row in waiting):  # a savepoint may have dropped it
            transaction.on_commit(self._commit, robust=True)

    def _commit(self) -> None:
        self.committed = True


@contextmanager
def _watched() -> Iterator[_Writes]:
    writes = _Writes()
    with connection.execute_wrapper(writes):
        yield writes
