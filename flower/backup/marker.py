"""The marker of a restore that has not ended: a file in the state folder, written first and removed last.

Knows no Django and no room, since whatever starts flower asks it, the supervisor too.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

NAME: Final = "restore.unfinished"


@dataclass(frozen=True)
class Marker:
    """What a repeated restore must know of the one that was killed: whose rows are to come, and what was there before.

    ``backup`` is the archive's id, ``tables`` the tables that the database had before.
    """

    backup: str
    tables: list[str]


def refusal(home: Path) -> str:
    """Why flower must not start on this state folder, as a sentence; empty where nothing is unfinished."""
    if not (home / NAME).exists():
        return ""
    return f"A restore into {home} has not ended; run `manage.py restore FILE` once more, then start flower."


def stop_if_unfinished(home: Path) -> None:
    """For processes that are started by themselves, as containers do: end with that sentence and exit code 1."""
    if why := refusal(home):
        raise SystemExit(why)


def read(home: Path) -> Marker | None:
    """The marker of this state folder, if there is one. Raises ValueError when somebody has changed it."""
    try:
        kept = json.loads((home / NAME).read_text())
        return Marker(str(kept["backup"]), [str(table) for table in kept["tables"]])
    except FileNotFoundError:
        return None
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a marker: {error}") from error


def write(home: Path, marker: Marker) -> None:
    """Leave the marker, whole or not at all, and on the disk before this returns."""
    scratch = home / f".{NAME}"
    with scratch.open("w") as file:
        json.dump(asdict(marker), file)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(home / NAME)
    sync_folder(home)


def remove(home: Path) -> None:
    """Take the marker away: the restore is complete."""
    (home / NAME).unlink(missing_ok=True)
    sync_folder(home)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
