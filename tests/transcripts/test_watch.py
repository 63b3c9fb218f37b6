"""The watch takes logs while they are written."""

from __future__ import annotations

import os
import threading
import time

import pytest
from django.db import connection

from tests import factories
from tests.transcripts.logs import SESSION, Claude, claude_log, dump, write
from transcripts import ingest
from transcripts.models import Session
from transcripts.services import taking
from transcripts.watch import Watch, is_log

pytestmark = pytest.mark.django_db(transaction=True)


def until(answer, seconds=20):
    limit = time.monotonic() + seconds
    while not (found := answer()):
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.01)
    return found


@pytest.fixture
def project(tmp_path):
    made = factories.make_project(tmp_path / "shop")
    taking.configure(made, is_on=True, actor=factories.operator())
    return made


@pytest.fixture
def watching(tmp_path):
    """A watch on a folder that is not there yet."""
    beats: list[float] = []
    watch = Watch([tmp_path / "logs"], beat=lambda: beats.append(time.monotonic()))

    def run():
        try:
            watch.run()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: beats)
    yield watch
    watch.stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_a_root_appears_a_log_is_written_and_grows(tmp_path, project, watching):
    log = Claude(cwd=str(project.path))
    path = write(tmp_path / "logs" / "a", dump(log.prompt("one")))
    until(lambda: Session.objects.filter(events=1).exists())
    for number in range(2, 6):
        with path.open("ab") as file:
            file.write(dump(log.prompt(f"prompt {number}")))
        until(lambda number=number: Session.objects.filter(events=number).exists())
    other = "44444444-2222-3333-4444-555555555555"
    late = dump(*claude_log(other)).replace(b"/src/shop", log.cwd.encode())
    write(tmp_path / "logs" / "new" / "deep", late, f"{other}.jsonl")
    until(lambda: Session.objects.filter(session_id=other, events=18).exists())


def test_what_nobody_asked_for_is_left_alone(tmp_path, project, watching):
    wanted, other = Claude(cwd=str(project.path)), Claude("22222222-2222-3333-4444-555555555555", cwd="/elsewhere")
    write(tmp_path / "logs", b"no transcript\n", "junk.jsonl")
    write(tmp_path / "logs", dump(other.prompt("mine")), f"{other.session}.jsonl")
    write(tmp_path / "logs", dump(wanted.prompt("ours")))
    until(Session.objects.exists)
    until(lambda: watching.told.empty())
    assert [session.session_id for session in Session.objects.all()] == [SESSION]


def test_a_pipe_with_the_name_of_a_log_stops_nothing(tmp_path, project, watching):
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "logs" / "a.jsonl")
    (tmp_path / "logs" / "device.jsonl").symlink_to("/dev/zero")
    log = Claude(cwd=str(project.path))
    write(tmp_path / "logs", dump(log.prompt("one")))
    until(Session.objects.exists)
    (tmp_path / "logs" / "b.jsonl").symlink_to(tmp_path / "logs" / "a.jsonl")
    watching.told.put(tmp_path / "logs" / "a.jsonl")
    with (tmp_path / "logs" / f"{log.session}.jsonl").open("ab") as file:
        file.write(dump(log.prompt("two")))
    until(Session.objects.filter(events=2).exists)


def test_a_look_through_takes_what_was_missed_and_nothing_twice(tmp_path, project, monkeypatch):
    taken = []
    monkeypatch.setattr(ingest, "take", lambda path: taken.append(path.name))
    watch = Watch([tmp_path / "logs"])
    log = Claude(cwd=str(project.path))
    for name in ("a.jsonl", "b.jsonl", "b.jsonl.zst", "notes.txt"):
        write(tmp_path / "logs", dump(log.prompt(name)), name)
    for _ in range(2):
        watch.look_through()
        while watch.backlog:
            watch.take(watch.backlog.pop())
    assert sorted(taken) == ["a.jsonl", "b.jsonl"]
    taking.configure(project, days=5, actor=factories.operator())  # the rules have changed
    watch.look_through()
    assert len(watch.backlog) == 2


def test_a_log_that_is_written_anew_is_waited_for(tmp_path, project, monkeypatch):
    watch = Watch([tmp_path / "logs"])
    log = Claude(cwd=str(project.path))
    lines = [dump(log.prompt(f"prompt {number}")) for number in range(9)]
    path = write(tmp_path / "logs", b"".join(lines))
    watch.take(path)
    for count in (0, 3, 6):
        path.write_bytes(b"".join(lines[:count]))
        watch.take(path)
        assert Session.objects.get().events == 9
    path.write_bytes(b"".join(lines))
    watch.take(path)
    assert Session.objects.get().events == 9 and not watch.shrunk
    path.write_bytes(b"".join(lines[:4]))
    watch.take(path)
    ((_, seen),) = watch.shrunk.values()
    watch.shrunk[path] = (time.monotonic(), seen)  # it stayed so
    watch.take(path)
    assert Session.objects.get().events == 4 and not watch.shrunk


def test_a_log_that_stays_short_is_believed(tmp_path, project, watching, monkeypatch):
    monkeypatch.setattr("transcripts.watch.SHRUNK", 0.2)
    log = Claude(cwd=str(project.path))
    lines = [dump(log.prompt(f"prompt {number}")) for number in range(9)]
    path = write(tmp_path / "logs" / "a", b"".join(lines))
    until(lambda: Session.objects.filter(events=9).exists())
    path.write_bytes(b"".join(lines[:4]))
    until(lambda: Session.objects.filter(events=4).exists())


def test_a_database_that_fails_is_tried_again(tmp_path, project, monkeypatch):
    from django.db import OperationalError

    def fails(path):
        raise OperationalError("locked")

    watch = Watch([tmp_path / "logs"])
    path = write(tmp_path / "logs", dump(Claude(cwd=str(project.path)).prompt("one")))
    monkeypatch.setattr(watch.stop, "wait", lambda seconds: None)
    monkeypatch.setattr(ingest, "take", fails)
    watch.take(path)
    monkeypatch.undo()
    watch.look_through()
    assert watch.backlog == [path]


@pytest.mark.parametrize(
    ("name", "answer"), [("a.jsonl", True), ("a.jsonl.zst", True), ("a.json", False), ("jsonl", False)]
)
def test_names_of_logs(name, answer):
    assert is_log(name) is answer
