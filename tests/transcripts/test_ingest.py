"""From a log to the database: once, step by step, and with its owner."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from briefs.models import Link
from core.errors import Forbidden, Invalid, NotFound
from tests import factories
from tests.transcripts.logs import SESSION, Claude, claude_log, codex_log, dump, write
from transcripts import blocks, ingest, owners, paging, storing
from transcripts.adapters import read
from transcripts.events import Kind
from transcripts.models import Block, LogFile, Session, SessionCommit, TouchedFile
from transcripts.owners import Owner
from transcripts.services import outlining, taking

pytestmark = pytest.mark.django_db
CODEX = f"rollout-2026-06-01T12-00-00-{SESSION}.jsonl"


def stored(session: Session, agent: str = "") -> list:
    rows = Block.objects.filter(file__session=session, file__agent=agent).order_by("first")
    return [event for block in rows for event in blocks.events_of(block.payload)]


def everything(path: Path) -> dict:
    """What the database holds of a log, without times of reading and numbers of rows."""
    row = LogFile.objects.select_related("session").get(path_key=storing.key_of(str(path)))
    session = row.session
    skipped = {"id", "created_at", "grown_at", "owned_at"}
    values = {name: value for name, value in vars(session).items() if name not in skipped and not name.startswith("_")}
    return {
        "session": values,
        "log": (row.offset, row.crc, row.lines, row.events, row.ends),
        "events": stored(session),
        "raw": [raw for b in row.blocks.order_by("first") for _, raw in blocks.pairs_of(b.payload)],
        "touched": sorted(row.touched.values_list("path", "verb", "times", "first", "last", "at")),
        "commits": sorted(row.made_commits.values_list("sha", "subject", "event", "at")),
        "keys": sorted(bytes(key) for b in row.blocks.all() for key in _cut(bytes(b.keys))),
    }


def _cut(keys: bytes) -> list[bytes]:
    return [keys[i : i + 8] for i in range(0, len(keys), 8)]


def test_what_is_stored_is_what_was_read(tmp_path):
    path = write(tmp_path, dump(*claude_log()))
    taken = ingest.take(path)
    session = Session.objects.get(pk=taken.session)
    assert (taken.program, taken.events, taken.new_events) == ("claude", 18, 18)
    assert stored(session) == read(path).events
    assert (session.events, session.prompts, session.files) == (18, 1, 2)
    assert session.made_commits.count() == 1
    assert (session.title, session.records, session.unknown) == ("The button", 22, 1)
    assert session.tokens_output == read(path).counts.output
    assert paging.event(session, 14).kind == Kind.COMPACTION
    assert json.loads(paging.raw(session, 3))["message"]["content"][0]["text"] == "I look first."
    assert set(TouchedFile.objects.values_list("path", "verb")) == {
        ("/src/shop/app.py", "read"),
        ("/src/shop/app.py", "edited"),
        ("/src/shop/new.py", "written"),
    }
    assert SessionCommit.objects.get().subject == "Add a button"


def test_again_is_nothing_new_and_growth_costs_its_tail(tmp_path):
    whole = claude_log()
    path = write(tmp_path, dump(*whole[:9]))
    first = ingest.take(path)
    assert ingest.take(path).new_events == 0
    with path.open("ab") as file:
        file.write(dump(*whole[9:]))
    second = ingest.take(path)
    assert (second.session, second.is_reread) == (first.session, False)
    assert first.events + second.new_events == 18
    assert Block.objects.count() == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(0, 20_000), max_size=8), is_codex=st.booleans(), full=st.sampled_from([200, 1500, 10**6])
)
def test_step_by_step_is_the_same_as_in_one_go(monkeypatch, cuts, is_codex, full):
    monkeypatch.setattr(blocks, "FULL", full)
    monkeypatch.setattr(ingest, "BATCH", full * 2)
    whole = dump(*(codex_log() if is_codex else claude_log())).rstrip(b"\n")
    name = CODEX if is_codex else f"{SESSION}.jsonl"
    folder = Path(tempfile.mkdtemp())
    try:
        path = write(folder, whole, name)
        ingest.take(path)
        expected = everything(path)
        Session.objects.all().delete()
        path.unlink()
        done = 0
        for cut in [*sorted(cut % len(whole) for cut in cuts), len(whole)]:
            with path.open("ab") as file:
                file.write(whole[done:cut])
            done = cut
            try:
                ingest.take(path)
            except Invalid:  # no whole line yet
                assert b"\n" not in whole[:cut]
        assert everything(path) == expected
        assert ingest.take(path).new_events == 0
    finally:
        Session.objects.all().delete()
        shutil.rmtree(folder)


def test_a_last_line_without_its_end_waits_and_a_whole_one_does_not(tmp_path):
    log = Claude()
    one, two = dump(log.prompt("one")), dump(log.prompt("two"))
    path = write(tmp_path, one + two[:-20])
    assert ingest.take(path).events == 1
    path.write_bytes(one + two[:-1])
    assert ingest.take(path).events == 2
    path.write_bytes(one + two)
    assert ingest.take(path).events == 2
    assert LogFile.objects.get().lines == 2


def test_a_whole_last_line_that_goes_on_is_read_anew(tmp_path):
    log = Claude()
    one, two, three = (dump(log.prompt(text))[:-1] for text in ("one", "two", "three"))
    path = write(tmp_path, one + b"\n" + two)
    ingest.take(path)
    path.write_bytes(one + b"\n" + two + three + b"\n")
    taken = ingest.take(path)
    assert taken.is_reread
    assert [event.text for event in stored(Session.objects.get())] == ["one", "two", "three"]


@pytest.mark.parametrize("change", ["cut", "rewritten", "replaced", "middle"])
def test_a_log_that_is_not_the_same_any_more_is_read_anew(tmp_path, change):
    log = Claude()
    texts = [f"prompt {number} {'x' * 300}" for number in range(12)]
    path = write(tmp_path, dump(*map(log.prompt, texts)))
    number = ingest.take(path).session
    outlining.refresh(number)
    assert not outlining.is_behind(number)
    content = path.read_bytes()
    if change == "cut":
        path.write_bytes(b"".join(content.splitlines(True)[:4]))
    elif change == "rewritten":
        path.write_bytes(content.replace(b"prompt 0", b"PROMPT 0") + dump(log.prompt("new")))
    elif change == "replaced":
        other = write(tmp_path, content.replace(b"prompt 6", b"PROMPT 6") + dump(log.prompt("new")), "other")
        other.replace(path)
    else:
        path.write_bytes(content.replace(b"prompt 6", b"PROMPT 6"))
    assert ingest.take(path).is_reread
    assert outlining.is_behind(number), "as many events as before may be other ones"
    session = Session.objects.get()
    assert stored(session) == read(path).events
    assert session.prompts == session.events == len(read(path).events)
    assert session.records == read(path).counts.records


def test_a_log_that_moved_stays_its_session(tmp_path):
    path = write(tmp_path, dump(*claude_log()))
    first = ingest.take(path)
    moved = path.rename(tmp_path / f"archived-{path.name}")
    second = ingest.take(moved)
    assert second.session == first.session
    assert Session.objects.get().tokens_output == read(moved).counts.output
    assert LogFile.objects.get().path == str(moved)


def test_a_copy_beside_the_log_is_not_taken_twice(tmp_path):
    path = write(tmp_path, dump(*claude_log()))
    ingest.take(path)
    taken = ingest.take(write(tmp_path / "copies", path.read_bytes()))
    assert (taken.copy_of, taken.new_events) == (str(path), 0)
    assert Session.objects.get().events == 18


def test_a_compressed_log_takes_over_from_the_plain_one(tmp_path):
    path = write(tmp_path, dump(*codex_log()), CODEX)
    first = ingest.take(path)
    packed = write(tmp_path, zstandard.compress(path.read_bytes()), f"{CODEX}.zst")
    path.unlink()
    second = ingest.take(packed)
    assert second.session == first.session
    assert Session.objects.get().events == 10


def test_a_resumed_session_does_not_count_its_parents_tokens_again(tmp_path):
    log = Claude()
    head = [log.prompt("one"), log.said("1", output=10), log.prompt("two"), log.said("2", output=20)]
    parent = ingest.take(write(tmp_path, dump(*head)))
    other = "77777777-2222-3333-4444-555555555555"
    tail = [log.prompt("three"), log.said("3", output=40)]
    copied = [{**record, "sessionId": other} for record in [*head, *tail]]
    child = ingest.take(write(tmp_path, dump(*copied), f"{other}.jsonl"))
    assert child.session != parent.session
    session = Session.objects.get(pk=child.session)
    assert (session.events, session.copied, session.tokens_output) == (6, 4, 40)
    assert ["copied" in event.data for event in stored(session)] == [True] * 4 + [False] * 2


def test_a_sub_agents_log_belongs_to_its_parents_session(tmp_path):
    log, side = Claude(), Claude("33333333-2222-3333-4444-555555555555")
    side.session = SESSION
    main = ingest.take(write(tmp_path, dump(log.prompt("Go"), log.said("ok", output=1))))
    chain = [side.prompt("Find", isSidechain=True), side.said("Found", isSidechain=True, output=2)]
    agent = ingest.take(write(tmp_path / SESSION / "subagents", dump(*chain), "agent-a1.jsonl"))
    assert (agent.session, agent.agent, agent.events) == (main.session, "a1", 2)
    session = Session.objects.get()
    assert (session.events, session.prompts, session.tokens_output) == (2, 1, 3)
    assert [event.text for event in stored(session, "a1")] == ["Find", "Found"]


def test_blocks_are_found_by_number(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "FULL_EVENTS", 7)
    log = Claude()
    path = write(tmp_path, dump(*[log.prompt(f"prompt {number}") for number in range(1, 51)]))
    session = Session.objects.get(pk=ingest.take(path).session)
    assert Block.objects.count() == 8
    assert paging.event(session, 50).text == "prompt 50"
    assert [number for number, _ in paging.events(session, 20, 24)] == [20, 21, 22, 23, 24]
    index = blocks.index_of(Block.objects.order_by("first")[1].index)
    assert index.kinds == "p" * 7


def test_a_huge_line_is_kept_within_bounds(tmp_path):
    log = Claude()
    path = write(tmp_path, dump(log.prompt("x" * (blocks.RAW_LIMIT + 10)), log.prompt("after")))
    session = Session.objects.get(pk=ingest.take(path).session)
    first = paging.event(session, 1)
    assert (len(first.text), first.data["cut"]) == (blocks.TEXT_LIMIT, blocks.RAW_LIMIT + 10)
    with pytest.raises(NotFound, match="not kept"):
        paging.raw(session, 1)
    assert paging.event(session, 2).text == "after"


def test_who_listens_is_told_after_the_commit_and_may_fail(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(ingest, "on_events", [lambda number: 1 / 0, heard.append])
    path = write(tmp_path, dump(*claude_log()))
    taken = ingest.take(path)
    ingest.take(path)
    assert heard == [taken.session]


@pytest.mark.django_db(transaction=True)
def test_of_two_readers_of_one_log_one_writes(tmp_path):
    log = Claude()
    path = write(tmp_path, dump(*[log.prompt(f"prompt {number}") for number in range(300)]))
    gate = threading.Barrier(4)
    said: list[object] = []

    def read_it():
        gate.wait()
        try:
            said.append(ingest.take(path).new_events)
        except ingest.Busy as busy:
            said.append(busy)
        finally:
            connection.close()

    racers = [threading.Thread(target=read_it) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sum(each for each in said if isinstance(each, int)) == 300
    assert Session.objects.get().events == 300
    assert sum(block.last - block.first + 1 for block in Block.objects.all()) == 300


class TestOwners:
    @pytest.fixture
    def project(self, tmp_path):
        return factories.make_project(tmp_path / "shop")

    def log(self, cwd: Path, session: str = SESSION) -> bytes:
        log = Claude(session, cwd=str(cwd))
        return dump(log.prompt("Go"), log.said("ok"))

    def test_a_project_by_its_folder_is_probable(self, tmp_path, project):
        taken = ingest.take(write(tmp_path, self.log(project.path / "src")))
        session = Session.objects.get(pk=taken.session)
        assert (session.project, session.is_probable) == (project, True)

    def test_what_is_told_is_exact(self, tmp_path, project):
        session = Session.objects.get(pk=ingest.take(write(tmp_path, self.log(Path("/x"))), project=project).session)
        assert (session.project, session.is_probable) == (project, False)

    def test_it_can_be_told_of_a_log_that_was_taken(self, tmp_path, project):
        path = write(tmp_path, self.log(Path("/x")))
        assert Session.objects.get(pk=ingest.take(path).session).project is None
        assert ingest.take(path, project=project).new_events == 0
        assert Session.objects.get().project == project

    def test_an_expected_session_is_its_briefs_and_stands_on_the_trace(self, tmp_path, project):
        brief = factories.make_brief(project=project)
        taking.expect("claude", SESSION, Owner(project=project.pk, brief=brief.pk, process=7, dispatch=8))
        session = Session.objects.get(pk=ingest.take(write(tmp_path, self.log(Path("/x")))).session)
        assert (session.brief, session.process, session.dispatch, session.is_probable) == (brief, 7, 8, False)
        link = Link.objects.get(brief=brief, kind="session")
        assert (link.target, link.relation) == (str(session.pk), "execution")
        assert "probable" not in link.label

    def test_what_is_learned_later_replaces_what_was_probable(self, tmp_path, project, monkeypatch):
        guessed, known = (
            factories.make_brief("Guessed", project=project),
            factories.make_brief("Known", project=project),
        )
        monkeypatch.setattr(owners, "_tellers", [lambda *_: Owner(project=project.pk, brief=guessed.pk, worktree=3)])
        session = Session.objects.get(pk=ingest.take(write(tmp_path, self.log(Path("/x")))).session)
        assert session.is_probable
        assert "probable" in Link.objects.get(brief=guessed, kind="session").label
        taking.expect("claude", SESSION, Owner(project=project.pk, brief=known.pk, process=7))
        session.refresh_from_db()
        assert (session.brief, session.is_probable) == (known, False)
        assert not Link.objects.filter(brief=guessed, kind="session").exists()
        assert Link.objects.filter(brief=known, kind="session").count() == 1

    def test_others_sessions_are_taken_where_the_project_asked_for_them(self, tmp_path, project):
        path = write(tmp_path / "logs", self.log(project.path))
        assert not taking.is_wanted(path)
        with pytest.raises(Forbidden):
            taking.configure(project, is_on=True, actor=factories.agent())
        taking.configure(project, is_on=True, days=3, actor=factories.operator())
        assert taking.is_wanted(path)
        old = path.stat().st_mtime - 4 * 86400
        os.utime(path, (old, old))
        assert not taking.is_wanted(path)
        foreign = write(tmp_path / "logs", self.log(Path("/elsewhere")), f"{SESSION[:-1]}6.jsonl")
        assert not taking.is_wanted(foreign)

    def test_a_run_of_ours_is_always_taken(self, tmp_path, project):
        from daemons.models import Process
        from daemons.services import processes

        brief = factories.make_brief(project=project)
        made = processes.create(
            Process.Purpose.AGENT, command="claude", cwd=tmp_path / "tree", project=project, brief=brief, run=5
        )
        Process.objects.filter(pk=made.pk).update(created_at="2026-03-01T09:59:00Z")
        path = write(tmp_path / "logs", self.log(tmp_path / "tree"))
        assert taking.is_wanted(path)
        session = Session.objects.get(pk=ingest.take(path).session)
        assert (session.process, session.dispatch, session.brief, session.is_probable) == (made.pk, 5, brief, True)

    def test_who_claimed_a_request_and_works_in_its_worktree(self, tmp_path, project):
        from dispatch.models import DispatchRequest
        from worktrees.models import Worktree

        brief = factories.make_brief(project=project)
        tree = Worktree.objects.create(
            project=project,
            brief=brief,
            name="t",
            path=str(tmp_path / "t"),
            branch="b",
            created_by=factories.operator(),
        )
        made = DispatchRequest.objects.create(
            brief=brief, project=project, worktree=tree, created_by=factories.operator()
        )
        DispatchRequest.objects.filter(pk=made.pk).update(created_at="2026-03-01T09:59:00Z")
        path = write(tmp_path / "logs", self.log(tmp_path / "t" / "src"))
        assert taking.is_wanted(path)
        session = Session.objects.get(pk=ingest.take(path).session)
        assert (session.dispatch, session.worktree, session.brief, session.is_probable) == (
            made.pk,
            tree.pk,
            brief,
            True,
        )


class TestCommand:
    def run(self, capsys, *arguments):
        code = 0
        try:
            call_command("ingest_transcripts", *map(str, arguments))
        except SystemExit as stop:
            code = stop.code
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    def test_it_says_a_line_a_file(self, tmp_path, capsys):
        project = factories.make_project(tmp_path / "shop")
        write(tmp_path / "logs", dump(*claude_log()))
        write(tmp_path / "logs" / "deep", dump(*codex_log()), CODEX)
        code, said = self.run(capsys, tmp_path / "logs", "--project", project.slug)
        assert code == 0
        assert [(each["agent"], each["events"], each["new_events"], each["error"]) for each in said] == [
            ("claude", 18, 18, None),
            ("codex", 10, 10, None),
        ]
        assert set(said[0]) == {"file", "session", "agent", "events", "new_events", "left_out", "segments", "error"}
        assert set(Session.objects.values_list("project", flat=True)) == {project.pk}
        assert [each["new_events"] for each in self.run(capsys, tmp_path / "logs")[1]] == [0, 0]

    def test_what_is_no_transcript_is_refused(self, tmp_path, capsys):
        code, said = self.run(capsys, write(tmp_path, b"hello\n", "a.jsonl"), tmp_path / "none.jsonl")
        assert code == 1
        assert "is no transcript" in said[0]["error"]
        assert "There is no file" in said[1]["error"]
        assert not Session.objects.exists()


@pytest.mark.parametrize("name", ["pipe.jsonl", "device.jsonl", "folder.jsonl"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, name):
    path = tmp_path / name
    if name == "pipe.jsonl":
        os.mkfifo(path)
    elif name == "device.jsonl":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(NotFound, match="cannot be read"):
        ingest.take(path)
    with pytest.raises(OSError, match=r"regular|directory"):
        taking.is_wanted(path)


@pytest.mark.parametrize("piece", [1, 7, 300, 5000])
def test_a_log_is_the_same_in_pieces_of_any_size(tmp_path, monkeypatch, piece):
    log = Claude()
    awkward = [log.prompt("a\x00b \ud83d c"), b"", b"   ", b'{"cut": ', b"\xff\xfe", log.prompt("d\u2028e\x85"), b"\n"]
    lines = [json.dumps(each).encode() if isinstance(each, dict) else each for each in awkward]
    path = write(tmp_path, dump(*lines, *claude_log(), log.said("the end, without a newline"))[:-1])
    ingest.take(path)
    expected = everything(path)
    assert expected["log"][0] == path.stat().st_size
    assert expected["log"][1] == zlib.crc32(path.read_bytes())
    Session.objects.all().delete()
    monkeypatch.setattr(ingest, "PIECE", piece)
    ingest.take(path)
    assert everything(path) == expected


def test_a_file_that_is_touched_again_counts_on(tmp_path):
    log = Claude()
    path = write(tmp_path, dump(log.prompt("Go"), log.call("Read", "t1", file_path="app.py")))
    ingest.take(path)
    untimed = log.call("Edit", "t3", file_path="./app.py", old_string="a", new_string="b") | {"timestamp": "?"}
    with path.open("ab") as file:
        file.write(dump(log.call("Read", "t2", file_path="/src/shop/lib/../app.py"), untimed))
    ingest.take(path)
    rows = TouchedFile.objects.order_by("first").values_list("path", "name", "verb", "times", "first", "last", "at")
    read, edited = list(rows)
    assert read == ("/src/shop/app.py", "app.py", "read", 2, 2, 3, datetime(2026, 3, 1, 10, 0, 4, tzinfo=UTC))
    assert edited == ("/src/shop/app.py", "app.py", "edited", 1, 4, 4, None)
    assert set(TouchedFile.objects.values_list("path_key", flat=True)) == {storing.key_of("/src/shop/app.py")}
    assert set(TouchedFile.objects.values_list("session", "file")) == {
        (Session.objects.get().pk, LogFile.objects.get().pk)
    }
