"""The database: there, whole, migrated, set as flower's rules need it. Nothing can be written over these connections.

On SQLite the file itself is opened first, without Django: what cannot be opened, or is no database, is told as such.
"""

from __future__ import annotations

import shlex
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.backends.signals import connection_created

from briefs import triggers
from flower import complaints
from flower.doctor.findings import Finding, fine, skipped, warning, wrong

CONNECT_SECONDS: Final = 4
ANSWER_SECONDS: Final = 6
LOCK_SECONDS: Final = 3.0  # for which a write lock is waited; a commit of flower's takes milliseconds
READ_SECONDS: Final = 5.0  # for which a file is read through
LATE: Final = 5.0  # seconds between the clocks of the server and of this machine
OLDEST_MYSQL, OLDEST_MARIADB = (8, 0), (10, 6)
LEAST_PACKET: Final = 16_000_000  # bytes that one statement may have: attachments and blocks of logs
_STEPS: Final = 50_000  # of SQLite's machine between two looks at the clock
MIGRATE: Final = "manage.py migrate, or make up"


def make_harmless() -> None:
    """Before the first query of this process: no connection of its can write, none waits for long."""
    options: dict[str, Any] = settings.DATABASES["default"]["OPTIONS"]
    if settings.DATABASES["default"]["ENGINE"].endswith("sqlite3"):
        options.pop("transaction_mode", None)  # IMMEDIATE asks for the write lock, which query_only refuses
        options["init_command"] = "PRAGMA query_only=1"
        options["timeout"] = LOCK_SECONDS
    else:
        options |= {"connect_timeout": CONNECT_SECONDS, "read_timeout": ANSWER_SECONDS, "write_timeout": ANSWER_SECONDS}
        connection_created.connect(_read_only, dispatch_uid="doctor")


def _read_only(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")


def reachable() -> Iterator[Finding]:
    """It can be opened, and answers. Its level decides whether anything else is asked of it."""
    if connection.vendor == "sqlite":
        path = Path(connection.settings_dict["NAME"])
        if not path.exists():
            yield warning("database.new", f"{path} is not there yet", "make up")
            return
        yield from _sqlite(path)
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            version = str(cursor.fetchone()[0])
    except (DatabaseError, InterfaceError) as error:
        yield _told(error)
        return
    numbers = tuple(int(part) for part in version.split("-")[0].split(".")[:2])
    oldest = OLDEST_MARIADB if "mariadb" in version.lower() else OLDEST_MYSQL
    if numbers < oldest:
        words = f"the server is {version}, and {oldest[0]}.{oldest[1]} is needed"
        yield wrong("database.old", words, "upgrade it to MySQL 8 or MariaDB 10.6")
    else:
        yield fine("database", f"{connection.settings_dict['NAME']} on {version}")


def _told(error: BaseException) -> Finding:
    found = complaints.of(error)
    if found is None:
        return wrong("database.broken", f"{type(error).__name__}: {error}", "look at the log of the database server")
    if found.code == "busy":
        return wrong("database.locked", found.what, found.remedy)
    if found.code == "denied":
        return wrong("database.denied", found.what, found.remedy)
    if found.code == "damaged":
        return wrong("database.damaged", found.what, found.remedy)
    return wrong("database.unreachable", found.what, found.remedy)


def _sqlite(path: Path) -> Iterator[Finding]:
    """mode=rw makes no file, and takes away those that reading a WAL makes; mode=ro would leave them."""
    try:
        address = f"file:{_quoted(path)}?mode=rw"
        with closing(sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, isolation_level=None)) as file:
            mode = file.execute("PRAGMA journal_mode").fetchone()[0]
            file.execute("BEGIN IMMEDIATE")  # nobody holds the lock for long
            file.execute("ROLLBACK")
            file.execute("PRAGMA query_only=1")
            whole = _read_through(file)
    except sqlite3.Error as error:
        yield _told(error)
        return
    if whole != "ok":
        yield wrong("database.damaged", f"{path} is damaged: {whole}", "manage.py restore FILE, with the newest backup")
        return
    if mode != "wal":
        words = f"{path} is in journal mode {mode}: readers wait for writers"
        yield warning(
            "database.journal", words, f"stop flower; sqlite3 {shlex.quote(str(path))} 'PRAGMA journal_mode=WAL'"
        )
    yield fine("database", f"{path}, {path.stat().st_size / 1e6:,.1f} MB")


def _read_through(file: sqlite3.Connection) -> str:
    """SQLite's own check, for as long as there is time: what it finds first, or "ok"."""
    end = time.monotonic() + READ_SECONDS
    file.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    try:
        return str(file.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return "ok"  # as far as it got
        raise


def _quoted(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def migrated() -> Iterator[Finding]:
    """Every migration of this checkout is applied, and no other one."""
    missing, unknown = complaints.migrations()
    if missing:
        words = f"{len(missing)} migrations are not applied: {_some(missing)}"
        yield wrong("database.unmigrated", words, MIGRATE)
    if unknown:
        words = f"the database is newer than this checkout: it has {_some(unknown)}"
        yield wrong("database.newer", words, "update the checkout: git pull")
    if not missing and not unknown:
        yield fine("database.migrations", "all applied")


def guarded() -> Iterator[Finding]:
    """The triggers by which the trace is append-only: a dump that was brought in without them has none."""
    absent = triggers.missing(connection)
    if absent:
        code = "from briefs import triggers as t; from django.db import connection as c; t.drop(c); t.create(c)"
        words = f"nothing keeps the trace from being changed: {_some(absent)} missing"
        yield wrong("database.triggers", words, f'manage.py shell -c "{code}"')
    else:
        yield fine("database.triggers", "they guard the trace")


def set_up() -> Iterator[Finding]:
    """MySQL and MariaDB as flower needs them: alphabet, engine, isolation, binary log, writes, clock."""
    if connection.vendor != "mysql":
        return
    name = connection.settings_dict["NAME"]
    faults = [*_alphabets(name), *_engines(name), *_variables(), *_clock()]
    yield from faults
    if not faults:
        yield fine("database.settings", "alphabet, engine, isolation and clock are right")


def _alphabets(name: str) -> Iterator[Finding]:
    [(default,)] = _ask(
        "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = DATABASE()"
    )
    if default != "utf8mb4":
        words = f"new tables of {name} would be in {default}, which has no place for all letters"
        yield wrong("database.alphabet", words, f"ALTER DATABASE `{name}` CHARACTER SET utf8mb4")
    rows = _ask(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND table_type = 'BASE TABLE' AND table_collation NOT LIKE 'utf8mb4%%' ORDER BY table_name"
    )
    if rows:
        words = f"tables that have no place for all letters: {_some([row[0] for row in rows])}"
        yield wrong("database.alphabet", words, f"ALTER TABLE `{rows[0][0]}` CONVERT TO CHARACTER SET utf8mb4, each")


def _engines(name: str) -> Iterator[Finding]:
    rows = _ask(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND table_type = 'BASE TABLE' AND engine <> 'InnoDB' ORDER BY table_name"
    )
    if rows:
        words = f"tables of {name} without transactions: {_some([row[0] for row in rows])}"
        yield wrong("database.engine", words, f"ALTER TABLE `{rows[0][0]}` ENGINE=InnoDB, each")


def _variables() -> Iterator[Finding]:
    wanted = "tx_isolation", "transaction_isolation", "log_bin", "binlog_format", "read_only", "max_allowed_packet"
    rows = _ask(f"SHOW VARIABLES WHERE Variable_name IN ({', '.join(['%s'] * len(wanted))})", *wanted)
    have = {key.lower(): str(value) for key, value in rows}
    isolation = have.get("transaction_isolation") or have.get("tx_isolation", "")
    if isolation != "READ-COMMITTED":
        words = f"transactions are {isolation}: claims that race would not see each other"
        yield wrong("database.isolation", words, "take isolation_level out of DATABASE_URL; flower sets it by itself")
    if have.get("log_bin") == "ON" and have.get("binlog_format") == "STATEMENT":
        words = "its binary log is in format STATEMENT, with which InnoDB refuses flower's writes"
        yield wrong("database.binlog", words, "SET GLOBAL binlog_format='ROW', and the same in its configuration")
    if have.get("read_only") == "ON":
        words = "the server takes no writes"
        yield wrong("database.read_only", words, "SET GLOBAL read_only=0, or name its primary in DATABASE_URL")
    if int(have.get("max_allowed_packet", LEAST_PACKET)) < LEAST_PACKET:
        words = f"one statement may have {int(have['max_allowed_packet']) / 1e6:,.0f} MB: long logs are not taken"
        yield warning("database.packet", words, "SET GLOBAL max_allowed_packet=67108864, and in its configuration")


def _clock() -> Iterator[Finding]:
    [(there,)] = _ask("SELECT UTC_TIMESTAMP(6)")
    apart = abs((datetime.now(UTC) - there.replace(tzinfo=UTC)).total_seconds())
    if apart > LATE:
        words = f"its clock and this machine's are {apart:.0f} s apart"
        yield warning("database.clock", words, "have both follow a time server (chrony, systemd-timesyncd)")


def _ask(query: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return list(cursor.fetchall())


def _some(names: list[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def after(found: list[Finding]) -> Finding | None:
    """What is said instead of all that needs the database, when it cannot be asked."""
    if any(finding.code == "database" for finding in found):
        return None
    return skipped("database.unasked", "migrations, triggers, agents, projects and worktrees were not looked at")
