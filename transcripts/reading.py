"""The bytes of a log as lines: plain or compressed, split at newlines only.

Python's own splitting also splits at U+2028 and its like, which occur inside strings; and a log of 250 MB is never held
in memory. Agents write these files: neither one line (LINE) nor what a small compressed file unpacks to (RATIO) may
fill the memory or keep a reader busy.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

from core.errors import TooLarge

CHUNK: Final = 256 * 1024
LINE: Final = 48 * 1024 * 1024  # bytes of a line that is read; pictures and files in results make lines of 30 MB
RATIO: Final = 250  # times its size that a compressed log may unpack to; real ones do to 5 to 40 times,
RATIO_FREE: Final = 64 * 1024 * 1024  # and so many bytes more: a small one of equal lines may
UNREADABLE: Final = b"{"  # stands for a line that is not read: it is counted as one that cannot be
_ZSTD: Final = b"\x28\xb5\x2f\xfd"


def open_log(path: Path) -> BinaryIO:
    """A log, to be read. Raises OSError, also for what is no regular file: to open a pipe may take for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "It is no regular file", str(path))


def lines_of(path: Path) -> Iterator[bytes]:
    """Every line without its newline; also the last one that has none. One that is longer than LINE is UNREADABLE."""
    with open_log(path) as file:
        rest: list[bytes] = []
        length = 0
        for chunk in chunks_of(file):
            head, newline, tail = chunk.rpartition(b"\n")
            if newline:
                first, *others = head.split(b"\n")
                yield UNREADABLE if length > LINE else b"".join([*rest, first])
                yield from others
                rest, length = [], 0
            length += len(tail)
            if length > LINE:
                rest = []
            elif tail:
                rest.append(tail)
        if length:
            yield UNREADABLE if length > LINE else b"".join(rest)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The content in pieces, unpacked where it is compressed; of a compressed file that is cut, what came before.

    Raises TooLarge for a compressed file that unpacks to more than RATIO allows.
    """
    if is_compressed(file):
        size = os.fstat(file.fileno()).st_size
        left = RATIO_FREE + RATIO * size
        try:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False) as unpacked:
                while chunk := unpacked.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise TooLarge(
                            f"This log of {size:,} bytes unpacks to more than {RATIO_FREE + RATIO * size:,}, "
                            "which no transcript does; it is not read."
                        )
                    yield chunk
        except zstandard.ZstdError:
            return
    else:
        while chunk := file.read(CHUNK):
            yield chunk


def check_ratio(file: BinaryIO) -> None:
    """Unpack a compressed log once, so that one that is too large is refused before anything of it is stored.

    It takes a twentieth of the time that reading it does. Raises TooLarge; the position is put back.
    """
    place = file.tell()
    for _ in chunks_of(file):
        pass
    file.seek(place)


def is_compressed(file: BinaryIO) -> bool:
    """Does it begin as zstd does? The position is put back."""
    place = file.tell()
    start = file.read(len(_ZSTD))
    file.seek(place)
    return start == _ZSTD
