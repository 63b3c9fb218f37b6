"""Queries that are compiled once.

Django builds the SQL of a query anew each time that it runs, which took 70 % of a recall_brief: its nine small queries
cost 3.3 ms of CPU, of which SQLite needed 0.3. A ``Prepared`` is a function ``(numbers…) -> values_list queryset``;
calling it runs the same SQL with other numbers and gives the rows as Django's converters make them.

Kept per thread, as the connections are whose converters it uses. For queries that are made often and whose parameters
are whole numbers; anything else stays an ordinary queryset.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import local
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import QuerySet

LARGEST: Final = 2**63 - 1  # beyond it SQLite raises OverflowError
_PLACE: Final = -4_611_686_018_427_000_000  # and below: what stands for the numbers while the SQL is made

Rows = list[tuple[Any, ...]]


class Prepared:
    """Made at import, compiled at the first call of each thread."""

    def __init__(self, build: Callable[..., QuerySet[Any, Any]]) -> None:
        self._build, self._kept = build, local()

    def __call__(self, *numbers: int) -> Rows:
        """The rows for these numbers; none for a number that no column holds."""
        if any(abs(number) > LARGEST for number in numbers):
            return []
        kept, connection = self._kept, connections[DEFAULT_DB_ALIAS]
        if getattr(kept, "connection", None) is not connection:
            self._compile(len(numbers))
            kept.connection = connection
        parameters = [value if at is None else numbers[at] for value, at in kept.parameters]
        with connection.cursor() as cursor:
            cursor.execute(kept.sql, parameters)
            rows = cursor.fetchall()
        return list(kept.compiler.results_iter([rows], tuple_expected=True))

    def _compile(self, count: int) -> None:
        places = {_PLACE - at: at for at in range(count)}
        kept = self._kept
        kept.compiler = self._build(*places).query.get_compiler(DEFAULT_DB_ALIAS)
        kept.sql, parameters = kept.compiler.as_sql()
        kept.parameters = [(value, places.get(value)) for value in parameters]
        if not set(places.values()) <= {at for _, at in kept.parameters}:
            raise TypeError(f"a number is not a parameter of this query: {kept.sql}")
