"""What is wrong with a database or a disk, and what to do: for commands and for the doctor.

core/trouble.py tells pages and tools of trouble that passes. Here somebody sits at a terminal, who can also do
something about the rest: a server that is not there, a password, migrations that were not run, a damaged file.
"""

from __future__ import annotations

import errno
import shlex
import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor

from core import trouble


@dataclass(frozen=True, slots=True)
class Complaint:
    """``code`` for programs, ``what`` is wrong and the ``remedy`` for people; neither ends with a stop."""

    code: str
    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        what = self.what[:1].upper() + self.what[1:]
        return f"{what}. {self.remedy[:1].upper()}{self.remedy[1:]}."


_MYSQL: Final[dict[int, tuple[str, str, str]]] = {
    1044: ("denied", "the user of DATABASE_URL may not use its database", "GRANT ALL ON {name}.* TO that user"),
    1045: ("denied", "the server refuses the user or password of DATABASE_URL", "correct DATABASE_URL"),
    1049: (
        "missing",
        "the server has no database {name}",
        "CREATE DATABASE {name} CHARACTER SET utf8mb4, then make up",
    ),
    1142: ("denied", "the user of DATABASE_URL may not do this", "GRANT ALL ON {name}.* TO that user"),
    1290: ("read_only", "the server of DATABASE_URL takes no writes", "SET GLOBAL read_only=0, or name its primary"),
    1698: ("denied", "the server refuses the user or password of DATABASE_URL", "correct DATABASE_URL"),  # MariaDB's
    1792: ("read_only", "the transaction is read only", "report this as a bug of flower"),
    1836: ("read_only", "the server of DATABASE_URL takes no writes", "SET GLOBAL read_only=0, or name its primary"),
    1040: ("busy", "the server has no connection left", "wait a moment, or raise max_connections"),
    2005: ("unreachable", "the host in DATABASE_URL is not known", "correct DATABASE_URL"),
}
_UNREACHABLE: Final = frozenset({2002, 2003, 2006, 2013})
_MYSQL_STARTS: Final = "start it (systemctl start mariadb), or correct DATABASE_URL"
_RESTORE: Final = "restore a backup: manage.py restore FILE"
_LOOK: Final = "look at it, and at whose it is: ls -la {file}"
_SQLITE: Final[dict[int, tuple[str, str, str]]] = {
    sqlite3.SQLITE_BUSY: ("busy", "{name} is locked by another process", "ask again; who has it: fuser -v {file}"),
    sqlite3.SQLITE_LOCKED: ("busy", "{name} is locked", "ask again"),
    sqlite3.SQLITE_FULL: ("full", "the disk of {name} is full", "make room there, then ask again"),
    sqlite3.SQLITE_IOERR: ("full", "{name} cannot be read or written", "look whether its disk is full or broken"),
    sqlite3.SQLITE_CANTOPEN: ("unreachable", "{name} cannot be opened", _LOOK),
    sqlite3.SQLITE_READONLY: ("read_only", "{name} cannot be written", f"run this as the user of flower, or {_LOOK}"),
    sqlite3.SQLITE_CORRUPT: ("damaged", "{name} is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("damaged", "{name} is no SQLite database", f"move it away, and {_RESTORE}"),
    sqlite3.SQLITE_AUTH: ("denied", "{name} may not be used", _LOOK),
    sqlite3.SQLITE_PERM: ("denied", "{name} may not be used", _LOOK),
}
_DISK: Final[dict[int, tuple[str, str]]] = {
    errno.ENOSPC: ("full", "make room there, then ask again"),
    errno.EDQUOT: ("full", "make room there, then ask again"),
    errno.EROFS: ("read_only", "set FLOWER_HOME to a folder that can be written"),
    errno.EACCES: ("denied", "run this as the user of flower, or give that user the file"),
    errno.EPERM: ("denied", "run this as the user of flower, or give that user the file"),
    errno.EIO: ("broken", "look whether that disk is broken: dmesg"),
}


def of(error: BaseException) -> Complaint | None:
    """What an exception tells of the database or a disk; None when it is about something else, hence a bug."""
    chain = _chain(error)
    for one in chain:  # below Django's exception, and it knows the code
        if isinstance(one, sqlite3.Error) and (found := _of_sqlite(one)):
            return found
    for one in chain:
        if isinstance(one, DatabaseError | InterfaceError) and (found := _of_mysql(one)):
            return found
        if isinstance(one, OSError) and one.errno in _DISK and not isinstance(one, ConnectionError):
            code, remedy = _DISK[one.errno]
            return Complaint(code, f"{one.filename or 'a file'} cannot be used ({one.strerror})", remedy)
    if any(isinstance(one, trouble.Unavailable) for one in chain):
        return Complaint("busy", "flower is busy", "ask again")
    if any(isinstance(one, DatabaseError | InterfaceError) for one in chain):
        return unmigrated()
    return None


def _chain(error: BaseException) -> list[BaseException]:
    """An exception, and what it was raised from."""
    found: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in found:
        found.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return found


def _of_sqlite(error: sqlite3.Error) -> Complaint | None:
    name = str(connection.settings_dict["NAME"])
    told = _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if told is None:
        return None
    code, what, remedy = told
    return Complaint(code, what.format(name=name), remedy.format(file=shlex.quote(name)))


def _of_mysql(error: BaseException) -> Complaint | None:
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    name = str(connection.settings_dict["NAME"])
    if number in _UNREACHABLE:
        settings = connection.settings_dict
        where = f"{settings.get('HOST') or 'localhost'}:{settings.get('PORT') or 3306}"
        return Complaint("unreachable", f"no database server answers at {where}", _MYSQL_STARTS)
    if number in _MYSQL:
        code, what, remedy = _MYSQL[number]
        return Complaint(code, what.format(name=name), remedy.format(name=name))
    kind = trouble.code_of(error)
    if kind == "full":
        return Complaint("full", "the disk of the database server is full", "make room there, then ask again")
    if kind:
        return Complaint("busy", "the database is busy", "ask again")
    return None


def unmigrated() -> Complaint | None:
    """Whether the tables are those of another version; what else a database may complain of is a bug. Asks it."""
    try:
        missing, unknown = migrations()
    except Exception:  # it does not answer that either
        return None
    if missing:
        words = f"the database is not migrated: {len(missing)} to be applied, from {missing[0]}"
        return Complaint("unmigrated", words, "run manage.py migrate, or make up")
    if unknown:
        words = f"the database is newer than this checkout: it has {unknown[0]}"
        return Complaint("newer", words, "update the checkout")
    return None


def migrations() -> tuple[list[str], list[str]]:
    """The names of those that are not applied, and of those that are applied and not known here."""
    executor = MigrationExecutor(connection)
    loader: Any = executor.loader
    plan = executor.migration_plan(loader.graph.leaf_nodes())
    ours = {app for app, _ in loader.disk_migrations}
    unknown = sorted(key for key in loader.applied_migrations if key[0] in ours and key not in loader.disk_migrations)
    replaced = {key for migration in loader.disk_migrations.values() for key in migration.replaces}
    return [f"{one.app_label}.{one.name}" for one, _ in plan], [".".join(key) for key in unknown if key not in replaced]
