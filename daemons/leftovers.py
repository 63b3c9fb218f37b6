"""What an agent leaves running: servers, watchers, sleeping shells that outlive its program and its session.

They are found in /proc by what they cannot lose by accident: the working directory, and the environment that flower
started the agent with. Ended are only processes of flower's own user that are found so, by a descriptor of the process
and not by its number. What sits at a terminal and was not started by an agent is a person's: shown, and left alone.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.logs import redact

PATIENCE: Final = 5.0  # seconds between the polite signal and the other one
LONGEST_COMMAND: Final = 120  # characters
_KILLED_WITHIN: Final = 2.0  # seconds
_PROC: Final = Path("/proc")
_DELETED: Final = " (deleted)"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A program that goes on. ``process`` is the number of flower's process that it comes from, where it says so."""

    pid: int
    started: int  # clock ticks since the machine started: with the number, this names one process for good
    command: str
    folder: str  # the worktree, of those that were asked for
    process: int | None
    has_terminal: bool

    @property
    def is_persons(self) -> bool:
        """Somebody's shell or editor: it has a terminal, and no agent started it."""
        return self.has_terminal and self.process is None


def find(folders: Collection[str | Path]) -> list[Leftover]:
    """What runs in these folders, or was started by an agent for one of them, whether they are still there or not.

    Programs of flower that run at this moment are among them: ask only for folders where none does.
    """
    wanted = {str(folder) for folder in folders}
    return sorted(_found(wanted), key=lambda one: one.pid) if wanted else []


def end(found: Collection[Leftover], patience: float = PATIENCE) -> list[Leftover]:
    """End these processes: politely, then not; returns those that are gone. Takes ``patience`` seconds, and 2, at most.

    One that is gone already counts as ended; one whose number another process has by now is not touched.
    """
    ended: list[Leftover] = []
    waiting: dict[int, Leftover] = {}
    try:
        for one in found:
            if one.is_persons:
                continue
            try:
                descriptor = os.pidfd_open(one.pid)
            except OSError:
                ended.append(one)
                continue
            # Asked after the descriptor is held: from here on it is this process that is signalled, or none.
            if _started(one.pid) == one.started:
                waiting[descriptor] = one
            else:
                os.close(descriptor)
                ended.append(one)
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, _KILLED_WITHIN)):
            for descriptor in waiting:
                with suppress(OSError):
                    signal.pidfd_send_signal(descriptor, number)
            ended += _await(waiting, seconds)
        return ended
    finally:
        for descriptor in waiting:
            os.close(descriptor)


def _await(waiting: dict[int, Leftover], seconds: float) -> list[Leftover]:
    """Wait until all have ended; those that have are taken out and returned."""
    poll, ended, deadline = select.poll(), [], time.monotonic() + seconds
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            poll.unregister(descriptor)
            ended.append(waiting.pop(descriptor))
            os.close(descriptor)
    return ended


def _found(wanted: set[str]) -> Iterator[Leftover]:
    own = os.geteuid()
    for entry in _PROC.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # Anything may have ended since the listing, or forbid to be read.
        with suppress(OSError, ValueError, IndexError):
            if entry.stat().st_uid != own:
                continue
            cwd = str((entry / "cwd").readlink()).removesuffix(_DELETED)
            environment = _environment(entry)
            folder = environment.get("FLOWER_WORKTREE", "")
            marked = environment.get("FLOWER_PROCESS", "") if folder in wanted else ""
            if not marked:
                folder = next((one for one in wanted if cwd == one or cwd.startswith(f"{one}/")), "")
                if not folder or _is_own_git(environment):
                    continue
            fields = _stat(int(entry.name))
            yield Leftover(
                pid=int(entry.name),
                started=int(fields[19]),
                command=_command(entry),
                folder=folder,
                process=int(marked) if marked.isdigit() else None,
                has_terminal=fields[4] != "0",
            )


def _environment(entry: Path) -> dict[str, str]:
    pairs = (os.fsdecode(line).partition("=") for line in (entry / "environ").read_bytes().split(b"\0"))
    return {name: value for name, _, value in pairs}


def _is_own_git(environment: dict[str, str]) -> bool:
    """flower's own git looks into worktrees at any time, from any of its processes (worktrees/git/command.py)."""
    return "GIT_CEILING_DIRECTORIES" in environment and environment.get("GIT_AUTHOR_EMAIL") == "flower@localhost"


def _command(entry: Path) -> str:
    words = (entry / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "replace")
    line = redact("".join(letter if letter.isprintable() else " " for letter in words[:2000]))
    return line if len(line) <= LONGEST_COMMAND else f"{line[: LONGEST_COMMAND - 1]}…"


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat behind the program's name, which may hold anything: the state is the first."""
    return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _started(pid: int) -> int | None:
    try:
        return int(_stat(pid)[19])
    except (OSError, ValueError, IndexError):
        return None
