"""The rows of the database as JSON lines, the same for SQLite and MySQL, and back.

Tables are read and written through the models that belong to the migrations at hand, not through today's: a backup can
be made before an upgrade migrates, and one of an older flower is loaded as it was and migrated then. Values go the way
that Django's own serialisation of fields goes; nothing is computed or announced when they are written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.apps import apps as apps_of_today
from django.apps.registry import Apps
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.migrations.loader import MigrationLoader

from core.errors import Conflict
from flower.backup.archive import Table

# What nobody misses: browsers that are logged in, login links, the counts of failed logins.
LEFT_OUT: Final = frozenset({"sessions.session", "briefs.entrycode", "briefs.loginthrottle"})
# Rows that migrations make; a database that holds only these is empty. The condition names those that count.
MADE_BY_MIGRATIONS: Final = {
    "django_content_type": "1 = 0",
    "auth_permission": "1 = 0",
    "briefs_graphlock": "1 = 0",
    "briefs_actor": "ref <> 'system'",
}
BATCH_BYTES: Final = 4_000_000  # of JSON that is held at once, about; one row may be larger
MOST_ROWS: Final = 500  # in one query

Model = Any  # a model's class, of today or of a state of the migrations
Node = tuple[str, str]


class BadRows(Exception):
    """Rows that cannot be those of this table; the text is the end of a sentence."""


# --- what there is ----------------------------------------------------------------------------------------------------


def leaves(loader: MigrationLoader) -> dict[str, list[str]]:
    """The last migrations that the database has had, by app. Raises Conflict when this flower does not know one."""
    apps = {app for app, _ in loader.disk_migrations}
    unknown = set(loader.applied_migrations) - set(loader.disk_migrations)  # those that one squashed are on the disk
    if foreign := sorted(node for node in unknown if node[0] in apps):
        raise Conflict(f"The database was migrated by a newer flower: this one has no {'.'.join(foreign[0])}.")
    applied = set(loader.applied_migrations) & set(loader.graph.nodes)
    last: dict[str, list[str]] = {}
    for app, name in sorted(applied):
        children = loader.graph.node_map[app, name].children
        if not any(child.key[0] == app and child.key in applied for child in children):
            last.setdefault(app, []).append(name)
    return last


def find(last: dict[str, list[str]]) -> tuple[MigrationLoader, list[Node]]:
    """These migrations in a graph that has them. Raises KeyError, with the one that this flower does not have.

    Migrations may have been squashed since: where they stop in the midst of those that one replaces, in the graph of
    those that it replaces.
    """
    loader = MigrationLoader(connection)
    ends = {migration.replaces[-1]: node for node, migration in loader.replacements.items()}
    asked = [(app, name) for app, names in sorted(last.items()) for name in names]
    wanted = [node if node in loader.graph.nodes else ends.get(node, node) for node in asked]
    if not all(node in loader.graph.nodes for node in wanted):
        loader, wanted = MigrationLoader(connection, replace_migrations=False), asked
    for node in wanted:
        if node not in loader.graph.nodes:
            raise KeyError(".".join(node))
    return loader, wanted


def models_of(apps: Apps) -> dict[str, Model]:
    """The models whose rows belong into a backup, by label, those behind many-to-many fields too."""
    found = {model._meta.label_lower: model for model in apps.get_models(include_auto_created=True)}
    return {label: found[label] for label in sorted(found) if label not in LEFT_OUT and found[label]._meta.managed}


def filled_tables() -> list[str]:
    """The tables of this flower that hold rows which no migration made; none: the database is empty."""
    there = set(connection.introspection.table_names())
    tables = sorted({model._meta.db_table for model in apps_of_today.get_models(include_auto_created=True)} & there)
    with connection.cursor() as cursor:
        return [table for table in tables if _has_rows(cursor, table)]


def _has_rows(cursor: Any, table: str) -> bool:
    name, condition = connection.ops.quote_name(table), MADE_BY_MIGRATIONS.get(table, "1 = 1")
    cursor.execute(f"SELECT 1 FROM {name} WHERE {condition} LIMIT 1")  # noqa: S608 - names of our own tables
    return cursor.fetchone() is not None


# --- reading ----------------------------------------------------------------------------------------------------------


@contextmanager
def snapshot() -> Iterator[None]:
    """All that is read meanwhile is of one moment. Nobody waits for it: it takes no lock that a writer wants."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("BEGIN DEFERRED")  # atomic() would begin IMMEDIATE, and keep all writers out
            cursor.execute("SELECT 1 FROM django_migrations")  # the first read is what fixes the moment
        else:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def table_of(model: Model) -> Table:
    """A table's columns and next number; its rows are counted by whoever reads them."""
    columns = [field.attname for field in model._meta.concrete_fields]
    return Table(columns, 0, _next_id(model) if _counts(model) else 0)


def lines(model: Model) -> Iterator[bytes]:
    """Each row as a JSON list, in the order of its columns, with a line's end."""
    fields, key = model._meta.concrete_fields, model._meta.pk.attname
    last: Any = None
    count = 50
    while True:
        # Page by page: MySQL's driver would hold a whole result in memory. By column: "pk" could be sorted by what the
        # row that it points to is sorted by.
        rows = model._base_manager.order_by(key)
        page = list((rows if last is None else rows.filter(**{f"{key}__gt": last}))[:count])
        size = 0
        for row in page:
            line = json.dumps([_encoded(field, row) for field in fields], separators=(",", ":")).encode() + b"\n"
            size += len(line)
            yield line
        if len(page) < count:
            return
        last = getattr(page[-1], key)
        count = max(1, min(MOST_ROWS, count * BATCH_BYTES // (size + 1)))


def _encoded(field: models.Field[Any, Any], row: models.Model) -> Any:
    value = field.value_from_object(row)
    if value is None or isinstance(value, bool | int | float | str) or isinstance(field, models.JSONField):
        return value
    return field.value_to_string(row)  # of times with microseconds, of bytes as base64


# --- writing ----------------------------------------------------------------------------------------------------------


def load(model: Model, columns: list[str], kept: Iterable[bytes]) -> int:
    """Put rows in the place of those that a table has; returns how many. Raises BadRows, or what the database says."""
    fields = model._meta.concrete_fields
    if columns != [field.attname for field in fields]:
        raise BadRows(f"the columns of {model._meta.label} are not those of its migrations")
    model._base_manager.all()._raw_delete(connection.alias)  # what migrations made, under other numbers perhaps
    most = min(MOST_ROWS, connection.ops.bulk_batch_size(fields, [None] * MOST_ROWS))
    held: list[models.Model] = []
    size = number = 0
    for line in kept:
        held.append(_decoded(model, fields, line))
        size += len(line)
        number += 1
        if len(held) >= most or size > BATCH_BYTES:
            _insert(model, fields, held)
            held, size = [], 0
    if held:
        _insert(model, fields, held)
    return number


def _insert(model: Model, fields: list[Any], rows: list[models.Model]) -> None:
    # Below bulk_create, as Django's own deserialisers are below save(): raw, so that no auto_now writes its time.
    model._base_manager._insert(rows, fields=fields, using=connection.alias, raw=True)


def _decoded(model: Model, fields: list[Any], line: bytes) -> models.Model:
    try:
        values = json.loads(line)
        if len(values) != len(fields):
            raise ValueError("a row of another length")
        kept = {field.attname: _value(field, value) for field, value in zip(fields, values, strict=True)}
    except (ValidationError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise BadRows(f"a row of {model._meta.label} cannot be read") from error
    row: models.Model = model(**kept)
    return row


def _value(field: Any, value: Any) -> Any:
    return value if value is None or isinstance(field, models.JSONField) else field.to_python(value)


# --- numbers ----------------------------------------------------------------------------------------------------------


def _counts(model: Model) -> bool:
    return isinstance(model._meta.pk, models.AutoField | models.BigAutoField | models.SmallAutoField)


def _next_id(model: Model) -> int:
    """The number that the next new row gets: also above rows that are gone, whose numbers are not given again."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
            last = cursor.fetchone()
            return int(last[0]) + 1 if last else 1
        cursor.execute(f"SHOW CREATE TABLE {connection.ops.quote_name(table)}")  # information_schema may be a day old
        found = re.search(r"\) ENGINE=.*? AUTO_INCREMENT=(\d+)", cursor.fetchone()[1])
        return int(found[1]) if found else 1


def set_next_id(model: Model, number: int) -> None:
    """Let new rows begin at this number at least. On MySQL this ends a transaction. May be repeated."""
    if not (_counts(model) and number > _next_id(model)):
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table])
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, number - 1])
        else:
            cursor.execute(f"ALTER TABLE {connection.ops.quote_name(table)} AUTO_INCREMENT = {int(number)}")
