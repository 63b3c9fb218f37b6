"""Programs of the machine, asked who they are. Standard library only: `make up` stays small with it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

OLDEST_GIT: Final = (2, 38)  # git merge-tree --write-tree
GIT_SECONDS: Final = 5.0
_WANTED: Final = ".".join(map(str, OLDEST_GIT))
_INSTALL: Final = f"install git {_WANTED} or newer (Debian: apt-get install git)"


@dataclass(frozen=True, slots=True)
class Git:
    """What git says of itself, or why it will not do, with what to do then."""

    said: str = ""
    fault: Literal["", "missing", "broken", "old"] = ""
    remedy: str = ""


def look_at_git(seconds: float = GIT_SECONDS) -> Git:
    """Whether git is on PATH, answers within ``seconds``, and can merge without a checkout."""
    path = shutil.which("git")
    if path is None:
        return Git("git is not on PATH", "missing", _INSTALL)
    try:
        code, said = answer_of(["git", "--version"], seconds)
    except (OSError, TimeoutError) as error:
        why = f"git --version does not end within {seconds:g} s" if isinstance(error, TimeoutError) else str(error)
        return Git(why, "broken", f"look at what {path} is, and put a working git first on PATH")
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if code or not numbers:
        return Git(f"git --version ends with exit code {code} and says '{said[:100]}'", "broken", _INSTALL)
    if (int(numbers[1]), int(numbers[2])) < OLDEST_GIT:
        return Git(f"git {_WANTED} or newer is needed, and this machine has '{said[:100]}'", "old", _INSTALL)
    return Git(said[:100])


def answer_of(
    argv: Sequence[str], seconds: float, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> tuple[int, str]:
    """Exit code and first words of a program that is only asked who it is. TimeoutError: it was killed. OSError."""
    process = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that what it starts can be ended with it
        env=env,
        cwd=cwd,
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
