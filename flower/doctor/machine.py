"""What flower needs of the machine: interpreter, packages, git, open files. Needs neither settings nor Django."""

from __future__ import annotations

import importlib.metadata
import os
import re
import resource
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from flower.doctor.findings import Finding, fine, skipped, warning, wrong
from flower.env import BASE_DIR
from flower.installed import GIT_SECONDS, look_at_git

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 31)  # Django's
FEW_FILES, FEWEST_FILES = 1024, 256  # open files of one process: web holds one for each browser and agent


def system() -> Iterator[Finding]:
    """Linux, with the pidfds by which holders wait for processes that are not their children."""
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        yield wrong("system.other", f"this is {sys.platform} without pidfds", "run flower on Linux 5.3 or newer")
        return
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError as error:
        yield wrong(
            "system.pidfd",
            f"the kernel gives no pidfd ({error.strerror})",
            "run flower on Linux 5.3 or newer, in a container whose seccomp profile allows pidfd_open",
        )
        return
    yield fine("system", f"Linux {os.uname().release}")


def python(version: Sequence[int] = (), sqlite: Sequence[int] = sqlite3.sqlite_version_info) -> Iterator[Finding]:
    """The interpreter and the SQLite in it."""
    version = version or sys.version_info[:3]
    have, has_sqlite = _dotted(version[:3]), _dotted(sqlite)
    if tuple(version[:2]) < OLDEST_PYTHON:
        yield wrong("python.old", f"this is Python {have}", "install Python 3.11 or newer; make clean; make up")
        return
    if tuple(sqlite[:2]) < OLDEST_SQLITE:
        yield wrong(
            "python.sqlite",
            f"this Python has SQLite {has_sqlite}, and {_dotted(OLDEST_SQLITE)} is needed",
            "install a newer Python: make clean; make up PYTHON=python3.12",
        )
        return
    yield fine("python", f"Python {have}, SQLite {has_sqlite}")


def packages(lock: Path = BASE_DIR / "requirements.lock") -> Iterator[Finding]:
    """What the lock pins is what is installed: a checkout that was updated may need more."""
    if not lock.is_file():
        yield skipped("packages.unasked", f"{lock} is not there")
        return
    # a line with a marker is for some other machine, or may be
    pins = re.findall(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+) \\$", lock.read_text(), re.M)
    missing, other = [], []
    for name, pinned in pins:
        try:
            have = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if have != pinned:
            other.append(f"{name} {have} instead of {pinned}")
    remedy = f"{sys.executable} -m pip install --require-hashes -r {lock}"
    if missing:
        yield wrong("packages.missing", f"not installed: {_some(missing)}", remedy)
    if other:
        yield warning("packages.other", f"installed is {_some(other)}", remedy)
    if not missing and not other:
        yield fine("packages", f"{len(pins)} packages as {lock.name} pins them")


def git(seconds: float = GIT_SECONDS) -> Iterator[Finding]:
    """git is there, answers, and can merge without a checkout."""
    found = look_at_git(seconds)
    if found.fault == "missing":
        yield wrong("git.missing", found.said, found.remedy)
    elif found.fault == "broken":
        yield wrong("git.broken", found.said, found.remedy)
    elif found.fault == "old":
        yield wrong("git.old", found.said, found.remedy)
    else:
        yield fine("git", found.said)


def limits(soft: int | None = None) -> Iterator[Finding]:
    """Files that a process may open."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if soft is None else soft
    if allowed == resource.RLIM_INFINITY or allowed >= FEW_FILES:
        yield fine("limits", f"{allowed if allowed >= 0 else 'any number of'} open files a process")
        return
    kind = wrong if allowed < FEWEST_FILES else warning
    words = f"a process may open {allowed} files, and each browser and agent needs one of web"
    yield kind("limits.files", words, "ulimit -n 4096, in the shell that runs make up (systemd: LimitNOFILE=4096)")


def _dotted(numbers: Sequence[int]) -> str:
    return ".".join(map(str, numbers))


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
