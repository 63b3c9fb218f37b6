"""The file of a backup: written from front to back, read only after every byte of it was checked.

A zip archive, since its table of contents stands at its end: members may be streamed without knowing their size before,
and a file that was cut is noticed at once. Nothing in it is believed: names, kinds, sizes and digests must be those of
the manifest, and of a member no more is unpacked than the manifest says that it has.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any, Final, Self

from core.errors import Invalid
from flower.env import BASE_DIR

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
LONGEST_MANIFEST: Final = 128_000_000  # bytes: some half a million members
LONGEST_ROW: Final = 512_000_000  # bytes of one row: a block of a log has a line of 48 MB at most
CHUNK: Final = 1 << 20  # bytes
FOLDERS: Final = ("attachments", "kept", "processes")  # of the state folder, below files/
# What zipfile and zlib raise for bytes that are not what they seem; a damaged size may ask for any amount of memory.
DAMAGE: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, OverflowError, MemoryError),
    *(RuntimeError, NotImplementedError, IndexError, KeyError),
)


class BadArchive(Invalid):
    """The file is no backup, or not the one that was written."""


@dataclass(frozen=True)
class Member:
    """What a member must be: its bytes, and their SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Table:
    """A table in the archive: its columns in the order of the rows' values. ``next_id``: 0 where it does not count."""

    columns: list[str]
    rows: int
    next_id: int


@dataclass
class Manifest:
    """What a backup says of itself. ``migrations``: the last ones, by app. ``home``: the state folder it is of."""

    id: str
    flower: str
    made_at: str
    home: str
    with_outputs: bool
    migrations: dict[str, list[str]]
    tables: dict[str, Table] = field(default_factory=dict)
    members: dict[str, Member] = field(default_factory=dict)

    @property
    def sentence(self) -> str:
        return f"a backup of {self.made_at} by flower {self.flower}"


def flower_version() -> str:
    """This flower's version, also when it runs from a checkout."""
    try:
        return version("flower")
    except PackageNotFoundError:
        with (BASE_DIR / "pyproject.toml").open("rb") as file:
            return str(tomllib.load(file)["project"]["version"])


def rows_name(label: str) -> str:
    """The member with the rows of a model."""
    return f"rows/{label}.jsonl"


# --- writing ----------------------------------------------------------------------------------------------------------


class Writer:
    """Writes an archive into an open file; ``finish`` writes the manifest, which is the last member."""

    def __init__(self, file: IO[bytes], manifest: Manifest) -> None:
        self.manifest = manifest
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)

    @contextmanager
    def member(self, name: str, *, packed: bool = True, mode: int = 0o600) -> Iterator[Callable[[bytes], None]]:
        """A member to be written piece by piece, by the function that this gives."""
        digest, size = hashlib.sha256(), 0

        def write(data: bytes) -> None:
            nonlocal size
            size += len(data)
            digest.update(data)
            stream.write(data)

        with self._zip.open(_info(name, packed, mode), "w", force_zip64=True) as stream:
            yield write
        self.manifest.members[name] = Member(size, digest.hexdigest())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self._zip.fp = None  # else it would try to end the archive when it is collected

    def finish(self) -> None:
        text = json.dumps({"format": FORMAT, **asdict(self.manifest)}, indent=1)
        self._zip.writestr(_info(MANIFEST, True, 0o600), text)
        self._zip.close()


def _info(name: str, packed: bool, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, datetime.now(UTC).timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    info.external_attr = (stat.S_IFREG | mode) << 16
    return info


# --- reading ----------------------------------------------------------------------------------------------------------


class Archive:
    """An archive whose manifest and names are right. Its members are right once ``verify`` has returned."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._name = name
        with self._damage():
            self._zip = zipfile.ZipFile(file)
            self._infos = {info.filename: info for info in self._zip.infolist()}
            if len(self._infos) != len(self._zip.infolist()):
                raise self.bad("it holds two members of one name")
            self.manifest = self._manifest()
        self._check_members()

    def bad(self, why: str) -> BadArchive:
        return BadArchive(f"{self._name} is no backup that can be restored: {why}. Nothing was changed.")

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise self.bad(f"it is damaged ({why})") from error

    def _manifest(self) -> Manifest:
        info = self._infos.get(MANIFEST)
        if info is None:
            raise self.bad(f"it has no {MANIFEST}")
        if info.file_size > LONGEST_MANIFEST or info.flag_bits & 1:
            raise self.bad(f"its {MANIFEST} cannot be read")
        with self._zip.open(info) as stream:
            data = stream.read(LONGEST_MANIFEST)
        try:
            kept = json.loads(data)
            if kept.pop("format") != FORMAT:
                raise self.bad(f"it was written by a newer flower ({str(kept.get('flower'))[:40]}), in another format")
            return _read_manifest(kept)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise self.bad(f"its {MANIFEST} is damaged ({type(error).__name__})") from error

    def _check_members(self) -> None:
        for name, info in self._infos.items():
            if name == MANIFEST:
                continue
            member = self.manifest.members.get(name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if member is None or not self._is_ours(name):
                raise self.bad(f"it holds {name[:200]!r}, which does not belong into a backup")
            if kind not in {0, stat.S_IFREG} or info.is_dir() or info.flag_bits & 1:
                raise self.bad(f"its {name[:200]!r} is not a plain file")
            if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise self.bad(f"its {name[:200]!r} is packed in a way that flower does not use")
            if info.file_size != member.size:
                raise self.bad(f"its {name[:200]!r} has not the size that it was written with")
        wanted = {*self.manifest.members, *map(rows_name, self.manifest.tables)}
        if missing := sorted(wanted - set(self._infos)):
            raise self.bad(f"{missing[0][:200]!r} is missing in it")

    def _is_ours(self, name: str) -> bool:
        top, _, rest = name.partition("/")
        if top == "rows":
            return name in {rows_name(label) for label in self._labels(rest)}
        parts = rest.split("/")
        return top == "files" and len(parts) > 1 and parts[0] in FOLDERS and all(map(_is_plain, parts))

    def _labels(self, rest: str) -> list[str]:
        label = rest.removesuffix(".jsonl")
        return [label] if label in self.manifest.tables else []

    def verify(self) -> None:
        """Read every member to its end and compare. Raises BadArchive."""
        for name in self.manifest.members:
            for _ in self.chunks(name):
                pass

    def chunks(self, name: str) -> Iterator[bytes]:
        """The bytes of a member. BadArchive, at the end at the latest, when they are not what was written."""
        member, seen, digest = self.manifest.members[name], 0, hashlib.sha256()
        with self._damage():
            stream = self._zip.open(self._infos[name])
        with stream:
            while True:
                with self._damage():
                    data = stream.read(min(CHUNK, member.size - seen + 1))
                if not data:
                    break
                seen += len(data)
                if seen > member.size:
                    break
                digest.update(data)
                yield data
        if seen != member.size or digest.hexdigest() != member.sha256:
            raise self.bad(f"its {name[:200]!r} is not what was written")

    def lines(self, name: str) -> Iterator[bytes]:
        """The lines of a member, without their ends."""
        rest: list[bytes] = []
        held = 0
        for data in self.chunks(name):
            *whole, last = data.split(b"\n")
            for line in whole:
                yield b"".join([*rest, line])
                rest, held = [], 0
            rest.append(last)
            held += len(last)
            if held > LONGEST_ROW:
                raise self.bad(f"its {name!r} has a row without an end")
        if any(rest):
            raise self.bad(f"its {name!r} ends in the midst of a row")

    def files(self) -> Iterator[tuple[str, int]]:
        """The members that are files of the state folder: their paths in it, and their modes."""
        for name in self.manifest.members:
            if name.startswith("files/"):
                yield name.removeprefix("files/"), 0o600 | (self._infos[name].external_attr >> 16) & 0o700


def _is_plain(part: str) -> bool:
    return part not in {"", ".", ".."} and "\0" not in part


def _read_manifest(kept: dict[str, Any]) -> Manifest:
    """Raises ValueError, KeyError or TypeError for what was not written by ``Writer``."""
    tables = {label: Table(**table) for label, table in kept.pop("tables").items()}
    members = {name: Member(**member) for name, member in kept.pop("members").items()}
    manifest = Manifest(**kept, tables=tables, members=members)
    texts = (manifest.id, manifest.flower, manifest.made_at, manifest.home)
    numbers = [*(member.size for member in members.values())]
    numbers += [number for table in tables.values() for number in (table.rows, table.next_id)]
    is_right = (
        all(isinstance(text, str) for text in texts)
        and re.fullmatch(r"[0-9a-f]{32}", manifest.id)
        and all(type(number) is int and 0 <= number < 1 << 62 for number in numbers)
        and all(isinstance(member.sha256, str) for member in members.values())
        and all(_are_texts(table.columns) for table in tables.values())
        and all(_are_texts(names) for names in manifest.migrations.values())
    )
    if not is_right:
        raise ValueError("a value of another kind")
    return manifest


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive in a file. BadArchive with a sentence for whatever is none."""
    try:
        file = path.open("rb") if path.is_file() else None
    except OSError as error:
        raise BadArchive(f"{path} cannot be read ({error.strerror}).") from error
    if file is None:
        raise BadArchive(f"{path} is no file that could be read." if path.exists() else f"There is no file {path}.")
    with file:
        yield Archive(file, str(path))
