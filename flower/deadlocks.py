"""Calls that are made again when MySQL chose them to end a deadlock.

InnoDB finds transactions that wait for each other in a ring, and rolls one of them back whole; the one to blame has
done nothing and may begin anew. Doors do that here, so that nobody is shown an "internal error" for being unlucky.
SQLite's transactions are one at a time and know no such thing.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import structlog
from django.db import OperationalError, connection

P = ParamSpec("P")
R = TypeVar("R")

log = structlog.stdlib.get_logger(__name__)
_CODES: Final = frozenset({1213, 1205})  # deadlock found; lock wait timeout
_PAUSES: Final = (0.02, 0.1, 0.4)  # seconds, times something between 1 and 2


def made_again(call: Callable[P, R]) -> Callable[P, R]:
    """``call``, which is made up to three times more when it was the victim of a deadlock."""

    @wraps(call)
    def patient(*args: P.args, **kwargs: P.kwargs) -> R:
        for pause in _PAUSES:
            try:
                return call(*args, **kwargs)
            except OperationalError as error:
                if not _is_victim(error) or connection.in_atomic_block:  # then it is for whoever began the transaction
                    raise
                log.info("the victim of a deadlock; made again")
                time.sleep(pause * random.uniform(1, 2))  # noqa: S311 - so that the two do not meet again
        return call(*args, **kwargs)

    return patient


def _is_victim(error: Any) -> bool:
    return bool(error.args) and error.args[0] in _CODES
