"""The state folder: can it be written, does it lock, is there room, who else can read it. Nothing is left in it.

It is tried with files that have no name (O_TMPFILE), which are gone with their descriptor, however this process ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import mmap
import os
import shlex
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from flower.backup import marker
from flower.doctor.findings import Finding, fine, warning, wrong
from flower.env import Environment

LITTLE, LEAST = 1_000_000_000, 100_000_000  # bytes
FEW_INODES, FEWEST_INODES = 20_000, 1_000
LATE: Final = 5.0  # seconds that the clocks of a disk and of this machine may differ
_FOLDERS: Final = ("log", "run", "broker", "locks", "worktrees", "processes", "scratch", "attachments")
_REMOTE: Final = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "fuse.gluster")
_NO_UNNAMED: Final = {errno.EOPNOTSUPP, errno.EINVAL, errno.EISDIR}  # of disks that do not know O_TMPFILE
_WHOLE_FILE: Final = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)  # struct flock of a 64-bit Linux


def folder(flower: Environment) -> Iterator[Finding]:
    """It is there, and it and what flower keeps in it can be written by this user."""
    home = flower.home
    other = "set FLOWER_HOME to a folder that this user can write"
    if not home.is_dir():
        above = next(parent for parent in home.parents if parent.is_dir())
        if why := why_unwritable(above):
            yield wrong("home.unwritable", f"{home} is not there and cannot be made in {above} ({why})", other)
        else:
            yield warning("home.new", f"{home} is not there yet", "make up")
        return
    faults = {
        path: why for path in [home, *map(home.joinpath, _FOLDERS)] if path.exists() and (why := why_unwritable(path))
    }
    for path, why in faults.items():
        is_mine = path.stat().st_uid == os.geteuid()
        remedy = f"chmod u+rwx {shlex.quote(str(path))}, or {other}" if is_mine else _take_over(home)
        yield wrong("home.unwritable", f"{path} cannot be written ({why})", remedy)
    if not faults:
        yield fine("home", f"{home} can be written")


def unfinished(flower: Environment) -> Iterator[Finding]:
    """No restore was interrupted here."""
    if marker.refusal(flower.home):
        yield wrong(
            "home.half_restored",
            f"a restore into {flower.home} was interrupted: what is there is not whole",
            "manage.py restore FILE, with the same file again",
        )
    else:
        yield fine("home.restore", "no restore was interrupted")


def owners(flower: Environment) -> Iterator[Finding]:
    """What is in it belongs to one user: a command that root ran once leaves files that flower cannot write."""
    home = flower.home
    if not home.is_dir():
        return
    owner = home.stat().st_uid
    foreign = [path for path in _known_files(home) if path.lstat().st_uid != owner]
    if owner != os.geteuid() and os.geteuid():
        yield warning(
            "home.other_user",
            f"{home} belongs to user {owner}, and this is user {os.geteuid()}: what is said here holds for this one",
            f"run the doctor as user {owner}",
        )
    if foreign:
        words = f"{foreign[0]} and {len(foreign) - 1} more" if len(foreign) > 1 else str(foreign[0])
        yield wrong("home.foreign", f"not of the user that {home} belongs to: {words}", _take_over(home))
    else:
        yield fine("home.owner", "all of one user")


def _known_files(home: Path) -> Iterator[Path]:
    """Its first two levels, but for what agents and git write."""
    for path in sorted(home.iterdir()):
        yield path
        if path.name in ("log", "run", "broker", "locks") and path.is_dir() and not path.is_symlink():
            yield from sorted(path.iterdir())


def _take_over(home: Path) -> str:
    return f"sudo chown -R {home.stat().st_uid if home.exists() else os.geteuid()} {shlex.quote(str(home))}"


def modes(flower: Environment) -> Iterator[Finding]:
    """Nobody else can read the key, the database or the broker's socket."""
    home = flower.home
    seen = [home / "secret_key", home / "flower.sqlite3"]
    shown = [path for path in seen if path.exists() and is_open(path)]
    for path in shown:
        words = f"others on this machine can read {path}, with which they are every user of flower"
        yield wrong("home.open", words, f"chmod 600 {shlex.quote(str(path))}; chmod 700 {shlex.quote(str(home))}")
    run = flower.run
    if run.exists() and (run.lstat().st_uid != home.stat().st_uid or run.lstat().st_mode & 0o077):
        shown.append(run)
        words = f"{run}, where the sockets are, belongs to somebody else or is open to others"
        yield wrong("home.run", words, "remove it while flower does not run, or set FLOWER_HOME to a shorter path")
    if not shown and home.is_dir():
        yield fine("home.modes", "key, database and sockets are this user's alone")


def is_open(path: Path) -> bool:
    """Whether others than its owner may read a file: it allows it, and so do all folders on the way."""
    mode = path.stat().st_mode
    ways = [parent.stat().st_mode for parent in path.resolve().parents]
    pairs = ((stat.S_IRGRP, stat.S_IXGRP), (stat.S_IROTH, stat.S_IXOTH))
    return any(mode & reads and all(way & enters for way in ways) for reads, enters in pairs)


def locks(flower: Environment) -> Iterator[Finding]:
    """Its disk knows the three things that SQLite's WAL and flower's own locks stand on."""
    home = flower.home
    try:
        with unnamed(home) as descriptor:
            if why := _what_locks_lack(descriptor):
                remedy = "set FLOWER_HOME to a folder on a local disk"
                yield wrong("home.locks", f"{why} on the disk of {home}", remedy)
                return
            behind = abs(time.time() - os.fstat(descriptor).st_mtime)
    except OSError:
        return  # it cannot be written, which is told already
    if kind := _remote_kind(home):
        words = f"{home} is on {kind}: a database there is damaged when two machines use it"
        yield warning("home.remote", words, "set FLOWER_HOME to a folder on a local disk")
    if behind > LATE:
        words = f"the clock of the disk of {home} is {behind:.0f} s off: ages of pulses and logs are wrong"
        yield warning("home.clock", words, "have both machines follow a time server (chrony, systemd-timesyncd)")
    if not kind and behind <= LATE:
        yield fine("home.locks", "locks and shared memory work")


def _what_locks_lack(descriptor: int) -> str:
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    try:
        for words, lock in (("flock does not work", _flock), ("locks of ranges (fcntl) do not work", _range_lock)):
            try:
                lock(descriptor)
            except OSError as error:
                return f"{words} ({error.strerror})"
            with contextlib.suppress(BlockingIOError):
                lock(again)
                return f"{words}: two hold the same one"
        os.ftruncate(descriptor, mmap.PAGESIZE)
        mmap.mmap(descriptor, mmap.PAGESIZE).close()
    except (OSError, ValueError) as error:
        return f"shared memory does not work ({error})"
    finally:
        os.close(again)
    return ""


def _flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _range_lock(descriptor: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _WHOLE_FILE)


def _remote_kind(path: Path) -> str:
    """The file system that a path is on, where that is another machine's."""
    best, kind = "", ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            point = before.split()[4].encode().decode("unicode_escape")
            if path.is_relative_to(point) and len(point) >= len(best):
                best, kind = point, after.split()[0]
    return kind if kind.startswith(_REMOTE) else ""


def space(flower: Environment, little: int = LITTLE, least: int = LEAST) -> Iterator[Finding]:
    """Room for data and for files on the disks of the state folder and of the temporary folder."""
    place = next(path for path in [flower.home, *flower.home.parents] if path.is_dir())
    short = False
    for path, wanted, needed in ((place, little, least), (Path(tempfile.gettempdir()), least, least // 10)):
        found = os.statvfs(path)
        free = found.f_bavail * found.f_frsize
        if free < wanted:
            short = True
            kind = wrong if free < needed else warning
            words = f"{free / 1e6:,.0f} MB are free on the disk of {path}"
            yield kind(
                "home.space",
                words,
                f"make room, or remove worktrees on /worktrees/; du -xh {shlex.quote(str(path))} | sort -h | tail",
            )
        if found.f_files and found.f_favail < FEW_INODES:
            short = True
            kind = wrong if found.f_favail < FEWEST_INODES else warning
            words = f"the disk of {path} has room for {found.f_favail:,} more files"
            yield kind("home.inodes", words, "remove small files there: old worktrees on /worktrees/, caches")
    if not short:
        free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
        yield fine("home.space", f"{free / 1e9:,.0f} GB are free")


def why_unwritable(path: Path) -> str:
    """Why no file can be made in a folder; empty when one can."""
    try:
        with unnamed(path):
            return ""
    except OSError as error:
        return error.strerror or type(error).__name__


@contextmanager
def unnamed(path: Path) -> Iterator[int]:
    """A file in a folder that has no name; a descriptor for reading and writing. OSError where none can be made."""
    try:
        descriptor = os.open(path, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _NO_UNNAMED:
            raise
        descriptor, name = tempfile.mkstemp(prefix=".flower-doctor-", dir=path)
        Path(name).unlink()
    try:
        yield descriptor
    finally:
        os.close(descriptor)
