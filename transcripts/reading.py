"""The bytes of a log as lines: plain or compressed, however long, split at newlines only.

Python's own splitting also splits at U+2028 and its like, which occur inside strings; and a log of 250 MB is never held
in memory.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import zstandard

CHUNK: Final = 256 * 1024
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
    """Every line without its newline; also the last one that has none."""
    with open_log(path) as file:
        rest: list[bytes] = []
        for chunk in chunks_of(file):
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                rest.append(tail)
                continue
            yield from (b"".join(rest) + head).split(b"\n")
            rest = [tail] if tail else []
        if rest:
            yield b"".join(rest)


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The content in pieces, unpacked where it is compressed; of a compressed file that is cut, what came before."""
    if is_compressed(file):
        try:
            with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked:
                while chunk := unpacked.read(CHUNK):
                    yield chunk
        except zstandard.ZstdError:
            return
    else:
        while chunk := file.read(CHUNK):
            yield chunk


def is_compressed(file: BinaryIO) -> bool:
    """Does it begin as zstd does? The position is put back."""
    place = file.tell()
    start = file.read(len(_ZSTD))
    file.seek(place)
    return start == _ZSTD
