"""What flower needs of the machine: interpreter, packages, git, open files. Needs neither settings nor Django."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from flower.doctor.findings import Finding, fine, skipped, warning, wrong
from flower.env import BASE_DIR

OLDEST_PYTHON: Final = (3, 11)
OLDEST_SQLITE: Final = (3, 31)  # Django's
OLDEST_GIT: Final = (2, 38)  # git merge-tree --write-tree
GIT_SECONDS: Final = 5.0
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
    wanted = _dotted(OLDEST_GIT)
    install = f"install git {wanted} or newer (Debian: apt-get install git)"
    if not shutil.which("git"):
        yield wrong("git.missing", "git is not on PATH", install)
        return
    try:
        code, said = answer_of(["git", "--version"], seconds)
    except (OSError, TimeoutError) as error:
        why = f"git --version does not end within {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
        yield wrong("git.broken", why, f"look at what {shutil.which('git')} is, and put a working git first on PATH")
        return
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if code or not numbers:
        yield wrong("git.broken", f"git --version ends with exit code {code} and says '{said[:100]}'", install)
    elif (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        yield wrong("git.old", f"git {wanted} or newer is needed, and this machine has '{said[:100]}'", install)
    else:
        yield fine("git", said[:100])


def limits(soft: int | None = None) -> Iterator[Finding]:
    """Files that a process may open."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if soft is None else soft
    if allowed == resource.RLIM_INFINITY or allowed >= FEW_FILES:
        yield fine("limits", f"{allowed if allowed >= 0 else 'any number of'} open files a process")
        return
    kind = wrong if allowed < FEWEST_FILES else warning
    words = f"a process may open {allowed} files, and each browser and agent needs one of web"
    yield kind("limits.files", words, "ulimit -n 4096, in the shell that runs make up (systemd: LimitNOFILE=4096)")


def answer_of(argv: Sequence[str], seconds: float, **options: object) -> tuple[int, str]:
    """Exit code and first words of a program that is only asked who it is. TimeoutError: it was killed. OSError."""
    process = subprocess.Popen(  # type: ignore[call-overload]
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that what it starts can be ended with it
        **options,
    )
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()
    return process.returncode, " ".join(output.decode(errors="replace").split())[:500]


def _dotted(numbers: Sequence[int]) -> str:
    return ".".join(map(str, numbers))


def _some(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
