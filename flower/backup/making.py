"""Make a backup while flower works: one snapshot of the rows, then the files that these rows name.

The file gets its name last. Until then it is a hidden one beside it, so that a full disk or an interrupted backup
leaves nothing that could be taken for a backup. What grows or goes meanwhile is taken as far as it is there.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from django.apps.registry import Apps
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from core.errors import Conflict, Invalid, Refusal
from flower.backup import rows
from flower.backup.archive import CHUNK, Manifest, Writer, flower_version, rows_name
from flower.backup.marker import sync_folder

# Of a process's folder. Not its lock and pid.json: by these a restored flower would take a living holder for its own.
OUTPUTS: Final = ("output.log", "exit.json")


@dataclass
class Report:
    """What a backup holds, in numbers. ``absent``: files that the rows name and that could not be read to their end."""

    rows: int = 0
    files: int = 0
    size: int = 0
    absent: list[str] = field(default_factory=list)


@dataclass
class _Named:
    """The files that the snapshot's rows name. Newer ones have no row there, and a later row would get their number."""

    attachments: list[str]
    kept: list[str]
    processes: list[int]


def make(path: Path, *, with_outputs: bool = False) -> Report:
    """Write a backup to ``path``, with the output of all processes if asked for. A file that is there stays.

    Raises a Refusal with a sentence; nothing is left then.
    """
    if os.path.lexists(path):
        raise Conflict(f"{path} is there already; name a file that is not.")
    if not path.parent.is_dir():
        raise Invalid(f"There is no folder {path.parent}.")
    try:
        descriptor, scratch = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".partial", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                report = _write(file, with_outputs)
                file.flush()
                os.fsync(descriptor)
                report.size = file.tell()
            _give_name(Path(scratch), path)
        finally:
            with suppress(FileNotFoundError):
                Path(scratch).unlink()
    except OSError as error:
        raise Refusal(f"{path} could not be written ({error.strerror or error}); nothing was kept.") from error
    return report


def _give_name(scratch: Path, path: Path) -> None:
    """Under its name the file is whole, and takes the place of no other one."""
    try:
        os.link(scratch, path)
    except FileExistsError:
        raise Conflict(f"{path} came to be meanwhile; it was left as it is, and nothing was kept.") from None
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EMLINK} or os.path.lexists(path):
            raise
        scratch.rename(path)  # a file system without hard links
    sync_folder(path.parent)


def _write(file: IO[bytes], with_outputs: bool) -> Report:
    manifest = Manifest(
        id=uuid.uuid4().hex,
        flower=flower_version(),
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        home=str(settings.FLOWER.home),
        with_outputs=with_outputs,
        migrations={},
    )
    with Writer(file, manifest) as writer:
        with rows.snapshot():
            loader = MigrationLoader(connection)
            manifest.migrations = rows.leaves(loader)
            if "briefs" not in manifest.migrations:
                raise Conflict("The database holds no flower yet; there is nothing to back up.")
            last = [(app, name) for app, names in manifest.migrations.items() for name in names]
            apps = loader.project_state(last).apps
            report = Report(rows=_write_rows(writer, apps))
            named = _named(apps)
        _write_files(writer, named, with_outputs, report)
        writer.finish()
    return report


def _write_rows(writer: Writer, apps: Apps) -> int:
    total = 0
    for label, model in rows.models_of(apps).items():
        number = 0
        with writer.member(rows_name(label)) as write:
            for line in rows.lines(model):
                write(line)
                number += 1
        writer.manifest.tables[label] = replace(rows.table_of(model), rows=number)
        total += number
    return total


def _named(apps: Apps) -> _Named:
    attachments = apps.get_model("briefs", "Attachment").objects.order_by("digest").values_list("digest", flat=True)
    worktrees = apps.get_model("worktrees", "Worktree").objects.order_by("id").values_list("id", "name")
    processes = apps.get_model("daemons", "Process").objects.order_by("id").values_list("id", flat=True)
    return _Named(list(attachments.distinct()), [f"{number}-{name}" for number, name in worktrees], list(processes))


# --- files ------------------------------------------------------------------------------------------------------------


def _write_files(writer: Writer, named: _Named, with_outputs: bool, report: Report) -> None:
    home: Path = settings.FLOWER.home
    for digest in named.attachments:
        _copy(writer, home, f"attachments/{digest[:2]}/{digest}", report, packed=False)
    for folder in named.kept:
        for path in _files_below(home / "kept" / folder):
            _copy(writer, home, str(path.relative_to(home)), report)
    if with_outputs:
        for number in named.processes:
            for name in OUTPUTS:
                if (home / "processes" / str(number) / name).exists():
                    _copy(writer, home, f"processes/{number}/{name}", report)


def _files_below(top: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(top):
        yield from (Path(folder, name) for name in sorted(names))


def _copy(writer: Writer, home: Path, name: str, report: Report, *, packed: bool = True) -> None:
    """Copy a file as long as it was when it was opened: a log that grows all the time has an end all the same."""
    try:
        name.encode()  # a name in another encoding than the archive's
        descriptor = os.open(home / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, UnicodeEncodeError):
        report.absent.append(name)
        return
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            report.absent.append(name)
            return
        left = found.st_size
        with writer.member(f"files/{name}", packed=packed, mode=0o600 | found.st_mode & 0o700) as write:
            while left > 0 and (data := _read(file, min(CHUNK, left))):
                write(data)
                left -= len(data)
    report.files += 1
    if left > 0:
        report.absent.append(name)


def _read(file: IO[bytes], most: int) -> bytes:
    """Nothing where the file cannot be read: only what cannot be written ends a backup."""
    try:
        return file.read(most)
    except OSError:
        return b""
