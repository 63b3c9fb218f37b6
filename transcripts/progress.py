"""How far a log was read, and whether what lies before that place is still the same."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from hashlib import blake2b
from typing import BinaryIO, Final

from transcripts.models import LogFile

ENDS: Final = 1024  # bytes at the head and before the offset that are compared at each look


@dataclass(slots=True)
class Progress:
    offset: int = 0
    lines: int = 0
    crc: int = 0
    head: bytes = b""
    tail: bytes = b""
    is_open: bool = False  # the last line was taken although it had no newline yet

    def go(self, read: bytes | memoryview[int]) -> None:
        """Note bytes as read."""
        self.offset += len(read)
        self.crc = zlib.crc32(read, self.crc)
        if len(self.head) < ENDS:
            self.head = (self.head + bytes(read[:ENDS]))[:ENDS]
        self.tail = (self.tail + bytes(read[-ENDS:]))[-ENDS:]

    @property
    def ends(self) -> str:
        return blake2b(self.head + self.tail, digest_size=16).hexdigest()


def resume(row: LogFile, file: BinaryIO) -> Progress | None:
    """Where to go on. None: what was read before is no longer there, or not the same."""
    now = os.fstat(file.fileno())
    if not row.offset or now.st_size < row.offset:
        return None
    file.seek(0)
    head = file.read(min(ENDS, row.offset))
    file.seek(max(0, row.offset - ENDS))
    tail = file.read(row.offset - file.tell())
    found = Progress(row.offset, row.lines, row.crc, head, tail)
    if found.ends != row.ends:
        return None
    # Another file under this name, or one that was written and did not grow, may have the same ends and another middle.
    has_grown = now.st_size > row.size and row.inode == inode(now)
    if not has_grown and _crc(file, row.offset) != row.crc:
        return None
    return found


def inode(stat: os.stat_result) -> str:
    return f"{stat.st_dev}:{stat.st_ino}"


def _crc(file: BinaryIO, length: int) -> int:
    file.seek(0)
    crc = 0
    while length and (piece := file.read(min(length, 1 << 20))):
        crc = zlib.crc32(piece, crc)
        length -= len(piece)
    return crc
