"""``backup`` and ``restore``: what was there comes back; what is damaged, in the way or killed costs nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from PIL import Image

from briefs.models import Brief, EntryCode, KeyedCall, Link, SavedView, TraceEntry
from briefs.services import actors, attachments, briefs, relations
from daemons.models import AgentProgram, Process
from flower import env, up
from flower.backup import making, marker, restoring, rows
from flower.backup.archive import Archive, BadArchive, Manifest, Table, Writer, opened
from tests import factories
from tests.system.running import free_port
from transcripts.models import Block, LogFile, Session
from worktrees.models import Worktree

transactional = pytest.mark.django_db(transaction=True)


@pytest.fixture
def home(settings, tmp_path) -> Path:
    """A state folder of the test's own, empty."""
    folder = tmp_path / "home"
    folder.mkdir()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=folder)
    return folder


def fill(tmp_path: Path, home: Path) -> None:
    """A row in most tables, of every kind of field, and the files that belong to them."""
    project, other = factories.make_project(tmp_path / "one"), factories.make_project(tmp_path / "two")
    mike = factories.operator()
    brief, second = factories.make_brief('Ünï \U0001f33b \\n "', project), factories.make_brief("Second", project)
    brief.other_projects.add(other)
    relations.add_dependency(second, brief, actor=mike)
    for number in range(3):
        briefs.note(brief, f"line\n\tnote {number} \u2028 'x'", actor=mike, kind="note")
    picture = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(picture, "PNG")
    attachments.attach(brief, picture.getvalue(), actor=mike, name="shot.png")
    KeyedCall.objects.create(
        actor=mike, digest="a" * 64, arguments="b" * 64, result={"n": [1, 2.5, None]}, at=brief.updated_at
    )
    KeyedCall.objects.create(actor=mike, digest="c" * 64, arguments="b" * 64, result=None, at=brief.updated_at)
    Link.objects.create(brief=brief, kind="url", target="https://example.org/", actor=mike)
    Link.objects.create(brief=brief, kind="url", target="https://example.org/gone", actor=mike).delete()
    EntryCode.objects.create(digest="e" * 64, actor=mike, expires_at=brief.updated_at)
    program = AgentProgram.objects.create(name="notes", argv=["notes", "{packet}"], env={"KEY": "välue"})
    ended = Process.objects.create(command="x", cwd="/", program=program, phase="exited", exit_code=3, brief=brief)
    _output(home, ended, b"said \xff\n", {"started_at": 1.0, "ended_at": 2.0, "code": 3})
    worktree = Worktree.objects.create(
        project=project, name="garden", path="/srv/x", branch="b", base_sha="0" * 40, created_by=mike, state="removed"
    )
    kept = home / "kept" / f"{worktree.pk}-garden"
    (kept / "data").mkdir(parents=True)
    (kept / "data" / "run.sh").write_text("#!/bin/sh\n")
    (kept / "data" / "run.sh").chmod(0o755)
    (kept / ".env").write_text("A=1\n")
    (kept / "elsewhere").symlink_to("/etc/passwd")
    session = Session.objects.create(program="claude", session_id="s", project=project)
    log = LogFile.objects.create(session=session, path="/x", path_key="k", state=b"\x00\xfe\xff", crc=2**32 - 1)
    Block.objects.create(
        file=log,
        first=1,
        last=2,
        first_line=1,
        last_line=2,
        offset=0,
        size=9,
        index=b"",
        keys=bytes(range(256)),
        payload=b"\x80" * 70_000,
    )


def _output(home: Path, process: Process, text: bytes, ended: dict[str, Any] | None = None) -> None:
    folder = home / "processes" / str(process.pk)
    folder.mkdir(parents=True)
    (folder / "output.log").write_bytes(text)
    (folder / "pid.json").write_text(json.dumps({"pid": os.getpid(), "holder_pid": os.getpid()}))
    (folder / "lock").touch()
    if ended is not None:
        (folder / "exit.json").write_text(json.dumps(ended))


def flush() -> None:
    call_command("flush", interactive=False, verbosity=0, inhibit_post_migrate=True)


def backup(path: Path, *options: str) -> str:
    said = io.StringIO()
    call_command("backup", str(path), *options, stdout=said, stderr=said)
    return said.getvalue()


def restore(path: Path) -> str:
    said = io.StringIO()
    call_command("restore", str(path), stdout=said, stderr=said)
    return said.getvalue()


def rows_of(path: Path) -> dict[str, bytes]:
    """Every table's rows in an archive, as they stand there."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("rows/")}


def manifest_of(path: Path) -> Manifest:
    with opened(path) as archive:
        return archive.manifest


def left_in(home: Path) -> set[str]:
    """What lies in a state folder but the lock of whoever tried."""
    return {path.name for path in home.iterdir()} - {"up.lock"}


# --- what comes back --------------------------------------------------------------------------------------------------


@transactional
def test_what_is_restored_is_what_was_backed_up(tmp_path, home, settings):
    fill(tmp_path, home)
    entries, process = TraceEntry.objects.count(), Process.objects.get()
    next_link = Link.objects.order_by("-pk").first().pk + 2
    first, again = tmp_path / "first.flower", tmp_path / "again.flower"

    said = backup(first, "--with-outputs").splitlines()
    assert said[0].startswith("not whole in the backup: 'kept/") and "elsewhere" in said[0]
    total = sum(table.rows for table in manifest_of(first).tables.values())
    assert said[1].startswith(f"{first}: {total:,} rows and 5 files, 0.")
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    assert (
        set(zipfile.ZipFile(first).namelist())
        & {f"files/processes/{process.pk}/{name}" for name in ("lock", "pid.json")}
        == set()
    )

    flush()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "new")
    said = restore(first).splitlines()
    assert said[0].startswith("restored a backup of 20") and said[0].endswith(f"{total:,} rows and 5 files")
    assert said[1:] == [f"ok {entries} entries"]
    new = tmp_path / "new"
    assert left_in(new) == {"attachments", "kept", "processes"}
    for path in (path for path in home.rglob("*") if path.is_file() and not path.is_symlink()):
        copy = new / path.relative_to(home)
        assert copy.exists() == (path.name not in {"lock", "pid.json"}), path
        if copy.exists():
            assert copy.read_bytes() == path.read_bytes()
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600 | path.stat().st_mode & 0o700
    assert Brief.objects.first().attachments.count() + Brief.objects.last().attachments.count() == 1

    backup(again, "--with-outputs")
    assert rows_of(again) == rows_of(first)
    assert manifest_of(again).tables == manifest_of(first).tables
    assert manifest_of(again).members == manifest_of(first).members
    link = Link.objects.create(brief=Brief.objects.first(), kind="url", target="x", actor=factories.operator())
    assert link.pk == next_link, "the number of one that was deleted is not given again"
    assert not EntryCode.objects.exists()


@transactional
def test_without_outputs_there_are_none(tmp_path, home):
    fill(tmp_path, home)
    backup(tmp_path / "a.flower")
    files = [name for name in zipfile.ZipFile(tmp_path / "a.flower").namelist() if name.startswith("files/")]
    assert {name.split("/")[1] for name in files} == {"attachments", "kept"}


@transactional
def test_what_ran_is_lost_and_its_token_is_no_more(tmp_path, home, settings):
    """Its folder is not asked: on the same machine its holder may well be alive."""
    brief, agent = factories.make_brief(), factories.agent()
    _, token = actors.issue_token(agent, "run", brief=brief, run=1)
    running = Process.objects.create(
        command="x", cwd="/", phase="running", pid=os.getpid(), brief=brief, actor=agent, token=token
    )
    starting = Process.objects.create(command="x", cwd="/", phase="starting", purpose="setup")
    _output(home, running, b"half a li")
    backup(tmp_path / "a.flower", "--with-outputs")
    flush()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "new")
    assert "2 processes ran then; they count as lost\n" in restore(tmp_path / "a.flower")
    for process in (running, starting):
        process.refresh_from_db()
        assert (process.phase, process.error) == ("lost", restoring.WHY_LOST)
    token.refresh_from_db()
    assert token.revoked_at is not None
    assert (running.run_dir / "output.log").read_bytes() == b"half a li"
    assert not (running.run_dir / "pid.json").exists()


@transactional
def test_kept_files_are_found_in_the_new_folder(tmp_path, home, settings):
    fill(tmp_path, home)
    worktree = Worktree.objects.get()
    Worktree.objects.update(kept_folder=str(home / "kept" / f"{worktree.pk}-garden"), kept_files=2)
    backup(tmp_path / "a.flower")
    flush()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "new")
    restore(tmp_path / "a.flower")
    folder = Path(Worktree.objects.get().kept_folder)
    assert folder == tmp_path / "new" / "kept" / f"{worktree.pk}-garden"
    assert (folder / ".env").read_text() == "A=1\n"


@transactional
def test_a_broken_trace_is_restored_and_told(tmp_path, home, settings, capsys):
    brief = factories.make_brief()
    Brief.objects.filter(pk=brief.pk).update(trace_head="f" * 64)
    backup(tmp_path / "a.flower")
    flush()
    with pytest.raises(SystemExit) as ended:
        restore(tmp_path / "a.flower")
    assert ended.value.code == 1
    assert Brief.objects.get().trace_head == "f" * 64
    assert not (home / marker.NAME).exists()


# --- while flower works -----------------------------------------------------------------------------------------------


@transactional
def test_a_backup_is_of_one_moment_while_others_write(tmp_path, home, settings, monkeypatch):
    mike = factories.operator()
    brief = factories.make_brief("Old")
    wrote, enough, done = threading.Semaphore(0), threading.Event(), threading.Event()

    def write() -> None:
        try:
            while not done.is_set():
                briefs.note(brief, "more", actor=mike, kind="note")
                factories.make_brief("New")
                wrote.release()
        finally:
            connections.close_all()

    writer = threading.Thread(target=write)

    def lines(model: Any, read: Callable[[Any], Iterator[bytes]] = rows.lines) -> Iterator[bytes]:
        """After the first tables, and before those of briefs, so much is written meanwhile."""
        if model._meta.label_lower == "briefs.actor":
            writer.start()
            for _ in range(5):
                assert wrote.acquire(timeout=60)
        elif model._meta.label_lower == "briefs.traceentry":
            for _ in range(5):
                assert wrote.acquire(timeout=60), "a writer waited for the backup"
        return read(model)

    before = TraceEntry.objects.count()
    monkeypatch.setattr(rows, "lines", lines)
    try:
        backup(tmp_path / "a.flower")
    finally:
        done.set()
        writer.join()
    assert not enough.is_set() and TraceEntry.objects.count() >= before + 10
    flush()
    monkeypatch.undo()
    assert restore(tmp_path / "a.flower").splitlines()[-1] == f"ok {before} entries"
    assert [row.title for row in Brief.objects.all()] == ["Old"]


@transactional
def test_files_that_grow_or_go_meanwhile_do_not_end_it(tmp_path, home, monkeypatch):
    fill(tmp_path, home)
    process = Process.objects.get()
    log = process.run_dir / "output.log"
    size = log.stat().st_size
    read = making._read

    def growing(file: Any, most: int) -> bytes:
        if file.name and os.readlink(f"/proc/self/fd/{file.fileno()}") == str(log):
            with log.open("ab") as more:
                more.write(b"x" * 1000)
        return read(file, most)

    monkeypatch.setattr(making, "_read", growing)
    (gone,) = (home / "attachments").rglob("*/*")
    gone.unlink()
    newer = home / "processes" / str(process.pk + 1)
    newer.mkdir()
    (newer / "output.log").write_text("of a process that the snapshot has not")
    said = backup(tmp_path / "a.flower", "--with-outputs")
    assert f"not whole in the backup: 'attachments/{gone.parent.name}/{gone.name}'" in said
    members = manifest_of(tmp_path / "a.flower").members
    assert members[f"files/processes/{process.pk}/output.log"].size == size
    assert not any(name.startswith(f"files/processes/{process.pk + 1}/") for name in members)
    with opened(tmp_path / "a.flower") as archive:
        archive.verify()


# --- a backup that cannot be ------------------------------------------------------------------------------------------


@transactional
def test_a_file_that_is_there_stays(tmp_path, home, monkeypatch):
    path = tmp_path / "a.flower"
    path.write_text("mine")
    with pytest.raises(CommandError, match=r"a\.flower is there already; name a file that is not\.$"):
        backup(path)
    assert path.read_text() == "mine"
    with pytest.raises(CommandError, match=r"^There is no folder .*/nowhere\.$"):
        backup(tmp_path / "nowhere" / "a.flower")

    late = tmp_path / "late.flower"
    write = making._write
    monkeypatch.setattr(making, "_write", lambda *given: (write(*given), late.write_text("theirs"))[0])
    with pytest.raises(CommandError, match="came to be meanwhile"):
        backup(late)
    assert late.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flower", "home", "late.flower"]


@transactional
@pytest.mark.parametrize("where", ["in a row", "at the end"])
def test_a_full_disk_leaves_nothing(tmp_path, home, monkeypatch, where):
    factories.make_brief()
    full = OSError(28, "No space left on device")

    def refuse(*_: Any) -> None:
        raise full

    monkeypatch.setattr(*((rows, "lines", refuse) if where == "in a row" else (os, "fsync", refuse)))
    with pytest.raises(CommandError, match=r"could not be written \(No space left on device\); nothing was kept\.$"):
        backup(tmp_path / "a.flower")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@transactional
def test_an_interrupted_backup_leaves_nothing(tmp_path, home, monkeypatch):
    monkeypatch.setattr(making, "_write_files", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(CommandError, match=r"^Interrupted; nothing was kept\.$") as stopped:
        backup(tmp_path / "a.flower")
    assert (stopped.value.returncode, signal.getsignal(signal.SIGTERM)) == (130, before)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    monkeypatch.undo()
    factories.make_brief()  # and no transaction was left open


# --- damaged files ----------------------------------------------------------------------------------------------------

PICTURE = "files/attachments/ab/picture"


def small(path: Path, change: Callable[[dict[str, Any]], None] = lambda kept: None, **members: bytes) -> Path:
    """A right archive with one table and one picture; ``change`` its manifest, or put ``members`` beside them."""
    manifest = Manifest("0" * 32, "0.1.0", "2026-01-01T00:00:00+00:00", "/old", False, {"briefs": ["0001_initial"]})
    manifest.tables["briefs.brief"] = Table(["id"], 1, 2)
    with path.open("wb") as file:
        writer = Writer(file, manifest)
        with writer.member("rows/briefs.brief.jsonl") as write:
            write(b"[1]\n")
        with writer.member(PICTURE, packed=False) as write:
            write(b"picture " * 100)
        writer.finish()
    with zipfile.ZipFile(path) as whole:
        infos = [(info, whole.read(info)) for info in whole.infolist()]
    with zipfile.ZipFile(path, "w") as changed:
        for info, data in infos:
            if info.filename == "manifest.json":
                kept = json.loads(data)
                change(kept)
                data = json.dumps(kept).encode()
            changed.writestr(info, data)
        for name, data in members.items():
            changed.writestr(name, data)
    return path


def renamed(name: str) -> Callable[[Path], None]:
    """The picture under another name, in the archive and in its manifest."""

    def change(kept: dict[str, Any]) -> None:
        kept["members"][name] = kept["members"].pop(PICTURE)

    def damage(path: Path) -> None:
        small(path, change)
        rewrite(path, lambda info: setattr(info, "filename", name) if info.filename == PICTURE else None)

    return damage


def rewrite(path: Path, change: Callable[[zipfile.ZipInfo], None], **options: Any) -> None:
    """The same members with other headers."""
    with zipfile.ZipFile(path) as whole:
        infos = [(info, whole.read(info)) for info in whole.infolist()]
    with zipfile.ZipFile(path, "w") as changed:
        for info, data in infos:
            change(info)
            changed.writestr(info, data)


def as_kind(kind: int) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        small(path)
        rewrite(
            path,
            lambda info: setattr(info, "external_attr", (kind | 0o600) << 16) if info.filename == PICTURE else None,
        )

    return damage


def patched(old: bytes, new: bytes) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = small(path).read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new))

    return damage


def cut(size: Callable[[int], int]) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = small(path).read_bytes()
        path.write_bytes(data[: size(len(data))])

    return damage


def with_manifest(**values: Any) -> Callable[[Path], None]:
    return lambda path: (small(path, lambda kept: kept.update(values)), None)[1]


def bomb(path: Path) -> None:
    """A member that says it is small and unpacks to much."""
    small(path)
    rewrite(path, lambda info: None)
    data, zeros = path.read_bytes(), b"\0" * 50_000_000
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, zipfile.ZipFile(io.BytesIO(data)) as old:
        for info in old.infolist():
            archive.writestr(info.filename, zeros if info.filename == PICTURE else old.read(info))
        archive.NameToInfo[PICTURE].file_size = 800  # in the table of contents, which is what is compared


def repeated(path: Path) -> None:
    small(path)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(PICTURE, b"another")


def encrypted(path: Path) -> None:
    data = bytearray(small(path).read_bytes())
    place = data.rindex(b"PK\x01\x02", 0, data.rindex(PICTURE.encode()))
    data[place + 8] |= 1
    path.write_bytes(data)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (lambda path: path.touch(), "it is damaged"),
    "a text": (lambda path: (path.write_text("Dear diary\n" * 500), None)[1], "it is damaged"),
    "cut in half": (cut(lambda size: size // 2), "it is damaged"),
    "without its last byte": (cut(lambda size: size - 1), "it is damaged"),
    "a changed picture": (patched(b"picture picture", b"picturf picture"), "it is damaged"),
    "no manifest": (lambda path: zipfile.ZipFile(path, "w").close(), r"it has no manifest\.json"),
    "a digest": (
        lambda path: (small(path, lambda kept: kept["members"][PICTURE].update(sha256="0" * 64)), None)[1],
        "is not what was written",
    ),
    "a size": (
        lambda path: (small(path, lambda kept: kept["members"][PICTURE].update(size=9)), None)[1],
        "not the size",
    ),
    "a missing member": (
        lambda path: (
            small(path, lambda kept: kept["members"].update({"files/kept/x/y": {"size": 0, "sha256": ""}})),
            None,
        )[1],
        "'files/kept/x/y' is missing",
    ),
    "a member more": (lambda path: (small(path, **{"files/attachments/ab/other": b"x"}), None)[1], "does not belong"),
    "newer format": (with_manifest(format=2, flower="9.9"), r"written by a newer flower \(9\.9\)"),
    "a manifest without an id": (with_manifest(id=7), r"its manifest\.json is damaged"),
    "a manifest with other things": (with_manifest(surprise=1), r"its manifest\.json is damaged"),
    "tables that are none": (with_manifest(tables=[1]), r"its manifest\.json is damaged"),
    "negative sizes": (with_manifest(members={PICTURE: {"size": -1, "sha256": ""}}), r"its manifest\.json is damaged"),
    "up and out": (renamed("files/attachments/../../../evil"), "does not belong"),
    "an absolute path": (renamed("/tmp/evil"), "does not belong"),
    "the key": (renamed("files/secret_key"), "does not belong"),
    "another folder": (renamed("files/worktrees/x"), "does not belong"),
    "empty parts": (renamed("files/attachments//x"), "does not belong"),
    "a folder": (renamed("files/attachments/ab/"), "does not belong"),
    "rows of no table": (renamed("rows/briefs.other.jsonl"), "does not belong"),
    "a link": (as_kind(stat.S_IFLNK), "is not a plain file"),
    "a device": (as_kind(stat.S_IFCHR), "is not a plain file"),
    "a pipe": (as_kind(stat.S_IFIFO), "is not a plain file"),
    "encrypted": (encrypted, "is not a plain file"),
    "two of a name": (repeated, "two members of one name"),
    "a bomb": (bomb, "it is damaged|not the size|is not what was written"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_file_is_refused_before_the_database_is_asked(tmp_path, home, kind):
    """No database is allowed here at all."""
    path = tmp_path / "a.flower"
    damage, why = DAMAGES[kind]
    damage(path)
    with pytest.raises(CommandError, match=why) as refused:
        restore(path)
    assert "\n" not in str(refused.value) and str(refused.value).endswith("Nothing was changed.")
    assert refused.value.returncode == 1
    assert left_in(home) == set()
    assert not (tmp_path / "evil").exists()


def test_the_small_archive_is_right(tmp_path):
    with opened(small(tmp_path / "a.flower")) as archive:
        archive.verify()
        assert list(archive.lines("rows/briefs.brief.jsonl")) == [b"[1]"]


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: None, "^There is no file "),
        (lambda path: path.mkdir(), "is no file that could be read"),
        (lambda path: os.mkfifo(path), "is no file that could be read"),
        (lambda path: path.symlink_to(path), "There is no file"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, home, make, why):
    make(tmp_path / "a.flower")
    with pytest.raises(CommandError, match=why):
        restore(tmp_path / "a.flower")
    assert left_in(home) == set()


def test_no_flipped_byte_is_more_than_a_refusal(tmp_path):
    """Each byte of an archive changed, one after another: refused, or its content is untouched (a date, say)."""
    data = small(tmp_path / "a.flower").read_bytes()
    with opened(tmp_path / "a.flower") as archive:
        right = archive.manifest
    refused = 0
    for place in range(0, len(data), 3):
        changed = bytearray(data)
        changed[place] ^= 0x41
        try:
            archive = Archive(io.BytesIO(changed), "it")
            archive.verify()
        except BadArchive:
            refused += 1
        else:
            assert (archive.manifest.members, list(archive.lines("rows/briefs.brief.jsonl"))) == (
                right.members,
                [b"[1]"],
            )
    assert refused > len(data) / 3 / 2


# --- what is in the way -----------------------------------------------------------------------------------------------


@transactional
def test_only_an_empty_place_is_filled(tmp_path, home, settings):
    fill(tmp_path, home)
    backup(tmp_path / "a.flower")
    with pytest.raises(
        CommandError, match=r"is in use: it holds attachments, kept, processes\. A restore needs an empty FLOWER_HOME"
    ):
        restore(tmp_path / "a.flower")
    settings.FLOWER = dataclasses.replace(settings.FLOWER, home=tmp_path / "new")
    before = list(TraceEntry.objects.values())
    with pytest.raises(
        CommandError, match=r"not empty: there are rows in briefs_actor, briefs_attachment, briefs_brief and \d+ more"
    ):
        restore(tmp_path / "a.flower")
    assert list(TraceEntry.objects.values()) == before
    assert left_in(tmp_path / "new") == set()
    flush()
    SavedView.objects.all().delete()
    factories.operator()
    with pytest.raises(CommandError, match=r"not empty: there are rows in briefs_actor\. "):
        restore(tmp_path / "a.flower")


@transactional
def test_a_running_flower_is_in_the_way(tmp_path, home):
    backup(tmp_path / "a.flower")
    with up.alone(home), pytest.raises(CommandError, match=rf"flower runs already in {home} \(process {os.getpid()}\)"):
        restore(tmp_path / "a.flower")


def changed(path: Path, change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Path:
    """An archive with another manifest and other rows, whose sums are right."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    kept = json.loads(members.pop("manifest.json"))
    change(kept, members)
    sums = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()}
    kept["members"] = sums
    with zipfile.ZipFile(path, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.writestr("manifest.json", json.dumps(kept))
    return path


def of_a_newer_flower(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    kept["flower"] = "7.1.0"
    kept["migrations"]["briefs"] = ["9999_future"]


def of_an_older_one(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    kept["migrations"]["dispatch"] = ["0001_squashed_0007_resume_kind"]


def without_a_table(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    del kept["tables"]["briefs.link"], members["rows/briefs.link.jsonl"]


def without_a_column(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    kept["tables"]["briefs.brief"]["columns"].pop()


def with_a_row_of(text: bytes) -> Callable[[dict[str, Any], dict[str, bytes]], None]:
    def change(kept: dict[str, Any], members: dict[str, bytes]) -> None:
        members["rows/briefs.graphlock.jsonl"] = text

    return change


def without_an_actor(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    members["rows/briefs.actor.jsonl"] = b""
    kept["tables"]["briefs.actor"]["rows"] = 0


def with_a_brief_twice(kept: dict[str, Any], members: dict[str, bytes]) -> None:
    members["rows/briefs.brief.jsonl"] *= 2
    kept["tables"]["briefs.brief"]["rows"] *= 2


MISFITS = [
    (of_a_newer_flower, r"by flower 7\.1\.0, with the migration briefs\.9999_future, which this flower does not have"),
    (of_an_older_one, r"further than the backup, which has no dispatch\.0008_"),
    (without_a_table, r"another table briefs\.link than its rows"),
    (without_a_column, r"the columns of briefs\.Brief are not those"),
    (with_a_row_of(b"[1"), "ends in the midst of a row"),
    (with_a_row_of(b"[1\n"), r"a row of briefs\.GraphLock cannot be read"),
    (with_a_row_of(b"[1, 2]\n"), r"a row of briefs\.GraphLock cannot be read"),
    (with_a_row_of(b'["x"]\n'), r"a row of briefs\.GraphLock cannot be read"),
    (with_a_row_of(b"[2]\n[3]\n[4]\n"), r"briefs\.graphlock has 3 rows instead of \d"),
    (with_a_row_of(b"[" * 100_000 + b"\n"), r"a row of briefs\.GraphLock cannot be read"),
    (without_an_actor, r"does not take the backup's rows \(.*\)\. Nothing was changed\.$"),
    (with_a_brief_twice, r"does not take the backup's rows \(.*\)\. Nothing was changed\.$"),
]


@transactional
def test_rows_that_do_not_fit_change_nothing(tmp_path, home):
    """The sums of these are right: nobody but the database and the migrations can tell."""
    factories.make_brief("Kept nowhere")
    right, wrong = tmp_path / "right.flower", tmp_path / "wrong.flower"
    backup(right)
    flush()
    tables = set(connection.introspection.table_names())
    for change, why in MISFITS:
        wrong.write_bytes(right.read_bytes())
        changed(wrong, change)
        with pytest.raises(CommandError, match=why):
            restore(wrong)
        assert rows.filled_tables() == []
        assert left_in(home) == set()
        assert set(connection.introspection.table_names()) == tables
        assert not restoring._proven(manifest_of(right).id)
    assert restore(right).endswith("ok 2 entries\n")


@transactional
def test_no_room_is_told_before_anything_is_unpacked(tmp_path, home, monkeypatch):
    backup(tmp_path / "a.flower")
    flush()
    monkeypatch.setattr(restoring.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5})())
    with pytest.raises(CommandError, match=r"has room for 0 MB; the backup unpacks to \d+ MB\.$"):
        restore(tmp_path / "a.flower")
    assert left_in(home) == set()


@transactional
@pytest.mark.parametrize(
    ("step", "said"), [("_stage", "Interrupted; nothing was changed."), ("_place", "has not ended;")]
)
def test_an_interrupted_restore_says_how_it_stands(tmp_path, home, monkeypatch, step, said):
    backup(tmp_path / "a.flower")
    flush()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(restoring, step, interrupt)
        with pytest.raises(CommandError, match=said):
            restore(tmp_path / "a.flower")
    assert (home / marker.NAME).exists() == (step == "_place")
    assert restore(tmp_path / "a.flower").endswith("ok 0 entries\n")
    assert left_in(home) == set()


def test_nothing_starts_on_half_of_a_restore(tmp_path):
    """Some of those that are started, each by itself as in containers; at once, since they take a second to load."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    marker.write(home, marker.Marker("0" * 32, []))
    worker = ["celery", "--quiet", "-A", "flower", "worker", "--pool=threads"]
    starts = [["flower.up"], ["flower.up", "prepare"], worker, ["manage", "migrate"]]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "DJANGO_"))}
    environment = {
        **kept,
        "FLOWER_HOME": str(home),
        "DATABASE_URL": "",
        "REDIS_URL": "",
        "FLOWER_PORT": str(free_port()),
    }
    environment["DJANGO_SETTINGS_MODULE"] = "flower.settings"
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=env.BASE_DIR,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for words in starts
    ]
    said = [process.communicate(timeout=60)[0].splitlines()[-1] for process in processes]  # celery warns root before
    sentence = f"A restore into {home} has not ended; run `manage.py restore FILE` once more, then start flower."
    assert said == [sentence] * len(starts)
    assert [process.returncode for process in processes] == [2, 2, 1, 1]
    assert not (home / "flower.sqlite3").exists()


# --- in another process, killed ---------------------------------------------------------------------------------------

# Runs restores in forks of itself, since Django takes a second to load. Each line that it reads is one: the file, and
# where it is killed ("module.function", before it or after it, with the number of its call); it answers with its code.
FORKS = """
import importlib, json, os, signal, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "flower.settings"
import django
django.setup()
from django.core.management import call_command, CommandError

def arm(where, when, call):
    module, _, name = where.rpartition(".")
    owner = importlib.import_module(module) if ":" not in module else None
    if owner is None:
        module, _, kind = module.partition(":")
        owner = getattr(importlib.import_module(module), kind)
    real, count = getattr(owner, name), [0]
    def armed(*args, **kwargs):
        count[0] += 1
        if when == "before" and count[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if when == "after" and count[0] == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, armed)

for line in sys.stdin:
    command, path, *kill = json.loads(line)
    pid = os.fork()
    if pid == 0:
        code = 0
        try:
            if kill:
                arm(*kill)
            call_command(command, path, stdout=sys.stderr)
        except CommandError as error:
            print(error, file=sys.stderr)
            code = 1
        except SystemExit as error:
            code = error.code
        sys.stderr.flush()
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
R = "flower.backup.restoring"
KILLED = -9


class Place:
    """A state folder and database elsewhere, and a process that restores into it."""

    def __init__(self, home: Path, database: str = "") -> None:
        self.home, self.errors = home, home.with_name(f"{home.name}.err")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLOWER_", "DJANGO_"))}
        self.environment = {**kept, "FLOWER_HOME": str(home), "DATABASE_URL": database, "REDIS_URL": ""}
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKS],
            cwd=env.BASE_DIR,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors.open("w"),
            text=True,
        )

    def run(self, command: str, path: Path, *kill: str | int) -> int:
        assert self.process.stdin and self.process.stdout
        self.errors.write_text("")
        self.process.stdin.write(json.dumps([command, str(path), *kill]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def said(self) -> str:
        return self.errors.read_text().replace("\0", "").strip()

    def close(self) -> None:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        assert self.process.wait(30) == 0
        self.process.stdout.close()


@pytest.fixture
def place(tmp_path) -> Iterator[Place]:
    place = Place(tmp_path / "place")
    yield place
    place.close()


def older(path: Path) -> Path:
    """A backup of long ago: of the first migration of one app, with a column that was dropped since."""
    manifest = Manifest(
        "9" * 32, "0.0.1", "2024-01-01T00:00:00+00:00", "/old", False, {"contenttypes": ["0001_initial"]}
    )
    manifest.tables["contenttypes.contenttype"] = Table(["id", "name", "app_label", "model"], 1, 500)
    with path.open("wb") as file:
        writer = Writer(file, manifest)
        with writer.member("rows/contenttypes.contenttype.jsonl") as write:
            write(b'[7,"old name","briefs","brief"]\n')
        with writer.member("files/attachments/ab/picture") as write:
            write(b"old picture")
        writer.finish()
    return path


@transactional
def test_a_killed_restore_is_repeated(tmp_path, home, place):
    """One place (SQLite, whatever the suite runs on), killed at each step in turn; at last it has all of the backup."""
    fill(tmp_path, home)
    path, again, old = tmp_path / "a.flower", tmp_path / "again.flower", older(tmp_path / "old.flower")
    backup(path, "--with-outputs")
    new = place.home

    def assert_refuses_to_start() -> None:
        with pytest.raises(up.CannotStart, match=r"has not ended; run `manage\.py restore FILE` once more"):
            up._check_restored(new)

    # before the commit: the next one takes back what this one left, and may be of another file
    assert place.run("restore", old, "flower.backup.marker.write", "after", 1) == KILLED
    assert_refuses_to_start()
    assert (
        place.run("restore", old, "django.db.migrations.executor:MigrationExecutor.apply_migration", "after", 1)
        == KILLED
    )
    assert place.run("restore", old, f"{R}._stage", "after", 1) == KILLED
    assert (new / restoring.ASIDE / "attachments/ab/picture").read_bytes() == b"old picture"
    assert place.run("restore", old, "flower.backup.rows.load", "after", 1) == KILLED
    assert_refuses_to_start()
    (new / "mine").write_text("of somebody")

    # after it: the next one goes on, with this file only
    assert place.run("restore", path, f"{R}._finish", "before", 1) == KILLED
    assert_refuses_to_start()
    assert place.run("restore", old) == 1
    assert place.said() == f"The restore of another backup has not ended in {new}; finish it with that file first."
    assert place.run("restore", path, "pathlib:Path.rename", "after", 1) == KILLED
    assert (new / "attachments").is_dir() and (new / restoring.ASIDE / "kept").is_dir()
    assert place.run("restore", path, f"{R}._settle", "before", 1) == KILLED
    assert place.run("restore", path, "flower.backup.marker.remove", "before", 1) == KILLED
    assert_refuses_to_start()
    assert place.run("restore", path) == 0
    assert place.said().endswith(f"ok {TraceEntry.objects.count()} entries")
    up._check_restored(new)
    assert left_in(new) == {"flower.sqlite3", "secret_key", "attachments", "kept", "processes", "mine"} | {
        found.name for found in new.glob("flower.sqlite3-*")
    }
    assert (new / "mine").read_text() == "of somebody"

    assert place.run("restore", path) == 1
    assert "is in use: it holds attachments, kept, processes" in place.said()
    assert place.run("backup", again) == 0
    assert rows_of(again) == rows_of(path)
    assert manifest_of(again).tables == manifest_of(path).tables
    if connection.vendor == "mysql":  # and back
        flush()
        for folder in ("attachments", "kept", "processes"):
            (home / folder).rename(tmp_path / folder)
        assert restore(again).splitlines()[-1].startswith("ok ")
        backup(tmp_path / "third.flower")
        assert rows_of(tmp_path / "third.flower") == rows_of(path)


@pytest.mark.django_db
def test_a_backup_of_an_older_flower_is_migrated(tmp_path, place):
    """Of a migration that was squashed since, together with later ones."""
    last = {"auth": ["0012_alter_user_first_name_max_length"], "briefs": ["0003_throttle"]}
    last["contenttypes"] = ["0002_remove_content_type_name"]
    manifest = Manifest("9" * 32, "0.0.1", "2024-01-01T00:00:00+00:00", "/old", False, last)
    loader, nodes = rows.find(last)
    with (tmp_path / "old.flower").open("wb") as file:
        writer = Writer(file, manifest)
        for label, model in rows.models_of(loader.project_state(nodes).apps).items():
            columns = [field.attname for field in model._meta.concrete_fields]
            lines = [[7, "alice", "operator", None, "2024-01-01T00:00:00+00:00"]] if label == "briefs.actor" else []
            manifest.tables[label] = Table(columns, len(lines), 500)
            with writer.member(f"rows/{label}.jsonl") as write:
                if lines:
                    assert sorted(columns) == sorted(["id", "ref", "kind", "user_id", "created_at"])
                    names = dict(zip(["id", "ref", "kind", "user_id", "created_at"], lines[0], strict=True))
                    write(json.dumps([names[name] for name in columns]).encode() + b"\n")
        writer.finish()
    assert place.run("restore", tmp_path / "old.flower") == 0, place.said()
    assert place.said().splitlines()[-1] == "ok 0 entries"
    assert place.run("backup", tmp_path / "new.flower") == 0
    actors_now = [json.loads(line) for line in rows_of(tmp_path / "new.flower")["rows/briefs.actor.jsonl"].splitlines()]
    assert [7, "alice"] in [row[:2] for row in actors_now]
    new = manifest_of(tmp_path / "new.flower")
    assert new.tables["briefs.actor"].next_id == new.tables["briefs.brief"].next_id == 500
    assert new.migrations["briefs"] != last["briefs"]


@pytest.mark.django_db
def test_squashed_migrations_are_found_by_their_old_names():
    squashed = ("briefs", "0001_squashed_0014_dependency_accepted")
    assert rows.find({"briefs": ["0014_dependency_accepted"]})[1] == [squashed]
    assert rows.find({"briefs": [squashed[1]]})[1] == [squashed]
    loader, nodes = rows.find({"briefs": ["0004_refinement_and_attachments"]})
    assert nodes == [("briefs", "0004_refinement_and_attachments")]
    assert squashed not in loader.graph.forwards_plan(nodes[0])
    with pytest.raises(KeyError, match=r"briefs\.9999_future"):
        rows.find({"briefs": ["9999_future"]})


@pytest.mark.services
@transactional
def test_a_database_without_tables_is_filled_and_emptied_again(tmp_path, home):
    """MySQL knows no DDL in transactions: what a killed restore has made of tables goes, table by table."""
    if connection.vendor != "mysql":
        pytest.skip("on SQLite the same is done in files")
    fill(tmp_path, home)
    backup(tmp_path / "a.flower")
    name = f"{connection.settings_dict['NAME']}_restore"
    given = connection.settings_dict
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {name}")
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    place = Place(
        tmp_path / "place",
        f"mysql://{given['USER']}:{given['PASSWORD']}@{given['HOST'] or '127.0.0.1'}:{given['PORT'] or 3306}/{name}",
    )
    apply = "django.db.migrations.executor:MigrationExecutor.apply_migration"
    try:
        assert place.run("restore", tmp_path / "a.flower", apply, "after", 9) == KILLED
        assert place.run("restore", tmp_path / "a.flower", f"{R}._settle", "before", 1) == KILLED
        assert place.run("restore", tmp_path / "a.flower") == 0
        assert place.run("backup", tmp_path / "again.flower") == 0
        assert rows_of(tmp_path / "again.flower") == rows_of(tmp_path / "a.flower")
        assert manifest_of(tmp_path / "again.flower").tables == manifest_of(tmp_path / "a.flower").tables
    finally:
        place.close()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")
