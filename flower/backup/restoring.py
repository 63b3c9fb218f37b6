"""Bring a backup back into an empty state folder and an empty database.

check all of it -> marker -> tables as they were -> files, into a folder aside -> rows, in one transaction
-> files to their places -> migrations since then -> what ran is called lost -> the traces are verified -> marker gone

Up to the commit of the rows a repeated restore takes back what the killed one left: the folder aside, and tables that
were not there before. After it, it goes on. Which of the two holds is asked of the database: the commit carries the
archive's id along, as a line in the table of migrations, under the name of an app that does not exist.
"""

from __future__ import annotations

import io
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from django.apps import apps as apps_of_today
from django.apps.registry import Apps
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, Error, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from core.errors import Conflict, Invalid, Refusal
from daemons.models import Process
from daemons.services import processes
from flower.backup import marker, rows
from flower.backup.archive import FOLDERS, Archive, opened, rows_name
from worktrees.models import Worktree

ASIDE: Final = "restore.files"
PROOF: Final = "flower_restore"  # no app: Django passes over what it does not know there
USED: Final = (*FOLDERS, "worktrees", "scratch")  # folders of a state folder that was used
WHY_LOST: Final = "It ran where the backup was made, from which this flower was restored."


@dataclass
class Outcome:
    """What was restored, and what ``trace_verify`` says of it."""

    backup: str
    rows: int
    files: int
    lost: int
    verified: bool
    verdict: str


def restore(path: Path) -> Outcome:
    """Restore the backup in ``path``. Raises a Refusal with a sentence; nothing is changed then.

    The caller keeps others away meanwhile (``flower.up.alone``).
    """
    home: Path = settings.FLOWER.home
    with opened(path) as archive:
        archive.verify()
        try:
            if not _is_committed(home, archive):
                _check_room(home, archive)
                _bring(home, archive)
            return _finish(home, archive)
        except OSError as error:
            raise Refusal(f"The restore stopped ({error.strerror or error}); run it once more.") from error
        except Error as error:
            raise Refusal(f"The database stopped the restore ({' '.join(str(error).split())}).") from error


def _is_committed(home: Path, archive: Archive) -> bool:
    """Whether an earlier restore of this backup has its rows in the database; what else it left, if anything, goes."""
    try:
        left = marker.read(home)
    except ValueError as error:
        raise Conflict(f"{home / marker.NAME} was changed by somebody; empty the folder and the database.") from error
    if left is None:
        if (home / ASIDE).exists():
            raise Conflict(f"{home / ASIDE} is in the way; it is not of a restore that could be gone on with.")
        return False
    if not _proven(left.backup):
        _take_back(home, left)
        return False
    if left.backup != archive.manifest.id:
        raise Conflict(f"The restore of another backup has not ended in {home}; finish it with that file first.")
    return True


def _proven(backup: str) -> bool:
    recorder = MigrationRecorder(connection)
    return recorder.has_table() and recorder.migration_qs.filter(app=PROOF, name=backup).exists()


def _take_back(home: Path, left: marker.Marker) -> None:
    """Undo what a restore did before its commit, and nothing else."""
    _check_empty(home)
    shutil.rmtree(home / ASIDE, ignore_errors=True)
    tables = [name for name in connection.introspection.table_names() if name not in left.tables]
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DROP TABLE {connection.ops.quote_name(table)}")
    marker.remove(home)


# --- checks -----------------------------------------------------------------------------------------------------------


def _check_empty(home: Path) -> None:
    used = [name for name in USED if (home / name).is_dir() and any((home / name).iterdir())]
    if used:
        raise Conflict(f"{home} is in use: it holds {_listed(used)}. A restore needs an empty FLOWER_HOME.")
    if filled := rows.filled_tables():
        raise Conflict(f"The database is not empty: there are rows in {_listed(filled)}. A restore needs an empty one.")


def _check_room(home: Path, archive: Archive) -> None:
    needed = sum(member.size for member in archive.manifest.members.values())
    free = shutil.disk_usage(home).free
    if needed > free:
        raise Conflict(f"{home} has room for {free >> 20:,} MB; the backup unpacks to {needed >> 20:,} MB.")


def _find_migrations(archive: Archive) -> tuple[MigrationExecutor, list[rows.Node]]:
    """The migrations that the backup's rows are of, and who can bring the database there."""
    manifest, executor = archive.manifest, MigrationExecutor(connection)
    try:
        executor.loader, wanted = rows.find(manifest.migrations)
    except KeyError as error:
        raise Invalid(
            f"This is {manifest.sentence}, with the migration {error.args[0]}, which this flower does not have; "
            "restore it with the flower that made it, or a newer one."
        ) from error
    graph = executor.loader.graph
    known = {node for leaf in wanted for node in graph.forwards_plan(leaf)}
    if further := sorted(set(executor.loader.applied_migrations) & set(graph.nodes) - known):
        raise Conflict(
            f"The database is further than the backup, which has no {'.'.join(further[0])}; give a database without "
            "tables: they are made as the backup needs them, and migrated then."
        )
    return executor, wanted


def _listed(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


# --- up to the commit -------------------------------------------------------------------------------------------------


def _bring(home: Path, archive: Archive) -> None:
    """Everything up to the commit of the rows; what goes wrong is taken back."""
    _check_empty(home)
    executor, wanted = _find_migrations(archive)
    left = marker.Marker(archive.manifest.id, connection.introspection.table_names())
    marker.write(home, left)
    try:
        executor.migrate(wanted)
        _stage(home, archive)
        _load(archive, executor.loader.project_state(wanted).apps)
    except BaseException:
        if not _proven(left.backup):  # interrupted right behind the commit
            _take_back(home, left)
        raise


def _stage(home: Path, archive: Archive) -> None:
    aside = home / ASIDE
    aside.mkdir(mode=0o700)
    for name, mode in archive.files():
        target = aside / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as file:
            for data in archive.chunks(f"files/{name}"):
                file.write(data)
            file.flush()
            os.fsync(descriptor)


def _load(archive: Archive, apps: Apps) -> None:
    """All rows, and the proof of it, or nothing."""
    tables = archive.manifest.tables
    models = rows.models_of(apps)
    if wrong := sorted(models.keys() ^ tables.keys()):
        raise archive.bad(f"its migrations have another table {wrong[0][:200]} than its rows")
    try:
        with transaction.atomic():
            with connection.constraint_checks_disabled():
                for label, table in tables.items():
                    number = rows.load(models[label], table.columns, archive.lines(rows_name(label)))
                    if number != table.rows:
                        raise rows.BadRows(f"{label} has {number} rows instead of {table.rows}")
            connection.check_constraints()
            MigrationRecorder(connection).record_applied(PROOF, archive.manifest.id)
    except rows.BadRows as error:
        raise archive.bad(str(error)) from error
    except (DatabaseError, OverflowError) as error:
        why = " ".join(str(error).split())[:300]
        raise Invalid(f"The database does not take the backup's rows ({why}). Nothing was changed.") from error


# --- after the commit: each step may be repeated ----------------------------------------------------------------------


def _finish(home: Path, archive: Archive) -> Outcome:
    manifest = archive.manifest
    _place(home)
    call_command("migrate", interactive=False, verbosity=0)
    models = rows.models_of(apps_of_today)
    for label, table in manifest.tables.items():  # after the migrations: one that makes a table anew counts anew
        if label in models:
            rows.set_next_id(models[label], table.next_id)
    lost = _settle(home, Path(manifest.home))
    verified, verdict = _verify()
    marker.remove(home)
    MigrationRecorder(connection).record_unapplied(PROOF, manifest.id)  # killed before: it says nothing to anybody
    files = sum(1 for _ in archive.files())
    return Outcome(
        manifest.sentence, sum(table.rows for table in manifest.tables.values()), files, lost, verified, verdict
    )


def _place(home: Path) -> None:
    aside = home / ASIDE
    if not aside.exists():
        return
    for folder in sorted(aside.iterdir()):
        with suppress(FileNotFoundError):
            (home / folder.name).rmdir()  # empty, or this fails
        folder.rename(home / folder.name)
    aside.rmdir()
    marker.sync_folder(home)


def _settle(home: Path, old: Path) -> int:
    """What ran where the backup was made does not run here: requests go on from there, by the sweep."""
    running = list(Process.objects.exclude(phase__in=Process.ENDED).order_by("pk"))
    with _unheard():
        for process in running:
            processes.call_lost(process, WHY_LOST)
    for worktree in Worktree.objects.exclude(kept_folder=""):
        folder = Path(worktree.kept_folder)
        if folder.is_relative_to(old / "kept"):
            Worktree.objects.filter(pk=worktree.pk).update(kept_folder=str(home / folder.relative_to(old)))
    return len(running)


@contextmanager
def _unheard() -> Iterator[None]:
    """Without the warnings that a hint was not sent: nobody listens, and most often there is no broker."""
    told = logging.getLogger("django.db.backends.base")
    before, told.disabled = told.disabled, True
    try:
        yield
    finally:
        told.disabled = before


def _verify() -> tuple[bool, str]:
    said = io.StringIO()
    try:
        call_command("trace_verify", stdout=said)
    except SystemExit:
        return False, said.getvalue().strip()
    return True, said.getvalue().strip()
