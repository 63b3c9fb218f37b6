"""The database's own guard of the trace: triggers that refuse UPDATE and DELETE, whoever asks.

SQLite's INSERT OR REPLACE takes the place of a row without either, so there an INSERT over one is refused as well.

Used by the migration, and by the tests, whose clean-up must empty the table between transactional tests.
On MySQL, making a trigger while binary logging is on needs ``log_bin_trust_function_creators=1`` (docs/operations.md).
"""

from __future__ import annotations

from typing import Any, Final

TABLE: Final = "briefs_traceentry"
_EVENTS: Final = ("UPDATE", "DELETE", "INSERT")


def create(connection: Any) -> None:
    """Make the triggers on this connection's database. They must not be there yet."""
    with connection.cursor() as cursor:
        for event in _EVENTS:
            if statement := _create_statement(connection.vendor, event):
                cursor.execute(statement)


def missing(connection: Any) -> list[str]:
    """The names of those that should be there and are not. Changes nothing."""
    wanted = [_name(event) for event in _EVENTS if _create_statement(connection.vendor, event)]
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [TABLE])
        else:
            cursor.execute(
                "SELECT trigger_name FROM information_schema.triggers "
                "WHERE event_object_schema = DATABASE() AND event_object_table = %s",
                [TABLE],
            )
        there = {name for (name,) in cursor.fetchall()}
    return [name for name in wanted if name not in there]


def drop(connection: Any) -> None:
    with connection.cursor() as cursor:
        for event in _EVENTS:
            cursor.execute(f"DROP TRIGGER IF EXISTS {_name(event)}")


def _name(event: str) -> str:
    return f"trace_refuses_{event.lower()}"


def _create_statement(vendor: str, event: str) -> str:
    """Empty where none is needed."""
    start = f"CREATE TRIGGER {_name(event)} BEFORE {event} ON {TABLE} FOR EACH ROW"
    if event == "INSERT":
        taken = f"SELECT 1 FROM {TABLE} WHERE id = NEW.id OR (brief_id = NEW.brief_id AND seq = NEW.seq)"  # noqa: S608
        start = f"{start} WHEN EXISTS ({taken})" if vendor == "sqlite" else ""  # MySQL's REPLACE deletes
    if start and vendor == "sqlite":
        return f"{start} BEGIN SELECT RAISE(ABORT, 'the trace is append-only'); END"
    if vendor == "mysql":
        return start and f"{start} SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the trace is append-only'"
    raise NotImplementedError(f"no trigger is written for {vendor}")
