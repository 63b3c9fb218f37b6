"""Figures that are right where logs repeat, share names, or come without their beginning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from briefs.identity import Identity
from briefs.models import Token
from dispatch import packets
from tests import factories
from tests.transcripts import stored
from tests.transcripts.building import Log, piece
from tests.transcripts.logs import SESSION, Claude, Codex, dump, write
from transcripts import costs, ingest, launches, naming, paths, storing
from transcripts.adapters import NoTranscript, claude, read
from transcripts.events import Commit, Kind
from transcripts.models import LogFile, Session
from transcripts.segmentation import distinct_commits
from transcripts.segmentation.ranges import describe
from transcripts.services import outlines, outlining, recalling

Scope = Token.Scope
PARENT = "019aa000-0000-7000-8000-000000000001"
CHILD = "019aa001-0000-7000-8000-000000000002"
GRANDCHILD = "019aa002-0000-7000-8000-000000000003"


def rollout(name: str) -> str:
    return f"rollout-2026-06-01T12-00-00-{name}.jsonl"


def turn(log: Codex, number: int, asked: str, said: str, tokens: int, *, timed: bool = True) -> list[Any]:
    """One turn of a rollout. Its id tells its time as Codex's do, or nothing."""
    name = f"019aa00{number - 1}-{'8' if timed else '0'}000-{7 if timed else 4}000-8000-00000000000{number}"
    return [
        log.event("task_started", turn_id=name, model_context_window=200_000),
        log.record("turn_context", turn_id=name, cwd="/src/shop", model="gpt-5.2-codex"),
        log.message("user", asked),
        log.event("user_message", message=asked, images=[]),
        log.message("assistant", said),
        log.tokens(tokens),
    ]


def meta(log: Codex, name: str, parent: str = "", **more: Any) -> dict[str, Any]:
    spawned = {"source": {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}} if parent else {}
    forked = {"forked_from_id": parent, "parent_thread_id": parent, "session_id": PARENT} if parent else {}
    return log.record("session_meta", id=name, cwd="/src/shop", **spawned, **forked, **more)


def parents(log: Codex, *, timed: bool = True) -> list[Any]:
    return [
        *turn(log, 1, "Build it", "Built.", 1000, timed=timed),
        *turn(log, 1, "Test it", "Tested.", 600, timed=timed),
    ]


def take(folder: Path, name: str, records: list[Any]) -> LogFile:
    taken = ingest.take(write(folder, dump(*records), rollout(name)))
    return LogFile.objects.select_related("session").get(session=taken.session, path__endswith=rollout(name))


@pytest.mark.django_db
@pytest.mark.parametrize("timed", [True, False])
@pytest.mark.parametrize("metas", [1, 2])
def test_a_sub_agents_copy_of_its_parent_is_left_out_and_told(browser, tmp_path, timed, metas):
    log = Codex()
    take(tmp_path, PARENT, [meta(log, PARENT), *parents(log, timed=timed)])
    log = Codex()
    log.count = 30  # the copy has new times
    heads = [meta(log, CHILD, PARENT), meta(log, PARENT)][:metas]
    own = turn(log, 2, "Review it", "Reviewed.", 60, timed=timed)
    file = take(tmp_path, CHILD, [*heads, *parents(log, timed=timed), *own])
    session = file.session
    assert (file.agent, file.events, session.left_out) == (CHILD, 2, 12)
    assert (session.tokens_input, session.tokens_cache_read, session.tokens_output) == (830, 830, 9)
    assert session.by_model == {"gpt-5.2-codex": [830, 0, 830, 9, 0]}
    outlining.refresh(session.pk)
    for page in ("", "segments/"):
        assert "12 copied records left out" in browser.get(f"/sessions/{session.pk}/{page}").content.decode()


@pytest.mark.django_db
def test_a_copy_is_known_without_the_parent_and_in_any_number_of_pieces(tmp_path):
    log = Codex()
    child = [meta(log, CHILD, PARENT), *parents(log)]
    path = write(tmp_path, dump(*child), rollout(CHILD))
    ingest.take(path)
    more = turn(log, 2, "Review it", "Reviewed.", 60)
    for upto in range(1, len(more) + 1):
        path.write_bytes(dump(*child, *more[:upto]))
        taken = ingest.take(path)
    session = Session.objects.get(pk=taken.session)
    assert (taken.events, session.left_out, session.tokens_input) == (2, 12, 30)


@pytest.mark.django_db
def test_a_sub_agent_of_a_sub_agent_leaves_out_what_both_repeat(tmp_path):
    log = Codex()
    take(tmp_path, PARENT, [meta(log, PARENT), *parents(log, timed=False)])
    log = Codex()
    log.count = 30
    own = turn(log, 2, "Review it", "Reviewed.", 60, timed=False)
    take(tmp_path, CHILD, [meta(log, CHILD, PARENT), *parents(log, timed=False), *own])
    log = Codex()
    file = take(
        tmp_path,
        GRANDCHILD,
        [
            meta(log, GRANDCHILD, CHILD),
            *parents(log, timed=False),
            *turn(log, 2, "Review it", "Reviewed.", 60, timed=False),
            *turn(log, 3, "Spell it", "Spelled.", 40, timed=False),
        ],
    )
    assert (file.events, file.session.tokens_input) == (2, 850)


def test_the_place_from_which_on_a_log_is_the_sub_agents_own(tmp_path):
    log = Codex()
    records = [
        meta(log, CHILD, PARENT, subagent_history_start_ordinal=2),
        log.message("user", "<user_instructions>Old"),
    ]
    records += [log.message("assistant", "Own, before any turn."), *turn(log, 2, "Review it", "Reviewed.", 60)]
    numbered = [record | {"ordinal": place} for place, record in enumerate(records)]
    found = read(write(tmp_path, dump(*numbered), rollout(CHILD)))
    assert [event.text for event in found.events] == ["Own, before any turn.", "Review it", "Reviewed."]
    assert found.counts.left_out == 1


def test_what_cannot_be_told_apart_is_shown(tmp_path):
    log = Codex()
    found = read(write(tmp_path, dump(meta(log, CHILD, PARENT), *parents(log, timed=False)), rollout(CHILD)))
    assert (found.counts.events, found.counts.left_out) == (4, 0)


def test_a_persons_fork_names_its_parent_and_is_no_sub_agent(tmp_path):
    log = Codex()
    head = log.record("session_meta", id=CHILD, parent_thread_id=PARENT, source="cli", cwd="/src/shop")
    found = read(write(tmp_path, dump(head, *turn(log, 2, "Go on", "Gone.", 60)), rollout(CHILD)))
    assert (found.facts.session_id, found.facts.parent_id, found.facts.agent_id) == (CHILD, PARENT, "")


@pytest.mark.django_db
def test_a_sub_agent_whose_parents_log_is_not_here_is_readable(browser, tmp_path):
    log = Codex()
    file = take(tmp_path, CHILD, [meta(log, CHILD, PARENT), *turn(log, 2, "Review the importer", "Reviewed.", 60)])
    outlining.refresh(file.session.pk)
    page = browser.get(f"/sessions/{file.session.pk}/segments/").content.decode()
    assert "log is empty" not in page and "No events yet" not in page
    assert f"?agent={CHILD}" in page and "2 events" in page
    text = browser.get(f"/sessions/{file.session.pk}/").content.decode()
    assert "Review the importer" in text and "holds no events" not in text
    assert f"?agent={CHILD}" in text


# --- relays


def nameless(log: Claude, text: str, **fields: Any) -> dict[str, Any]:
    record = log.said(text, message="ocgo", **fields)
    del record["requestId"]
    return record


def test_an_id_that_a_relay_gives_to_all_messages_is_each_ones_own(tmp_path):
    log = Claude()
    records = []
    for number in range(4):
        records += [log.prompt(f"Do step {number}"), nameless(log, f"step {number} is done")]
    found = read(write(tmp_path, dump(*records)))
    assert (found.counts.input, found.counts.cache_written, found.counts.output) == (40, 400, 20)
    assert len({event.message for event in found.events if event.kind is Kind.ANSWER}) == 4


def test_answers_between_results_are_messages_of_their_own(tmp_path):
    log = Claude()
    call = log.call("Bash", "toolu_1", message="ocgo", command="ls")
    del call["requestId"]
    records = [log.prompt("Look"), call, log.result("toolu_1", "a"), nameless(log, "There is one file.")]
    assert read(write(tmp_path, dump(*records))).counts.input == 20


def test_snapshots_and_blocks_of_one_message_stay_one_without_a_request(tmp_path):
    log = Claude()
    prompt = log.prompt("Look")
    snapshots = [nameless(log, "I look", output=output) | {"parentUuid": prompt["uuid"]} for output in (1, 2, 9)]
    calls = []
    for number in (1, 2):
        call = log.call("Bash", f"toolu_{number}", message="two", command="ls")
        del call["requestId"]
        calls.append(call)
    first, second = calls
    result = log.result("toolu_1", "a")
    found = read(write(tmp_path, dump(prompt, *snapshots, first, result, second, log.result("toolu_2", "b"))))
    assert (found.counts.input, found.counts.output) == (20, 9 + 5)


@pytest.mark.django_db
def test_a_relays_log_in_pieces_counts_as_in_one(tmp_path):
    log = Claude()
    records = []
    for number in range(3):
        records += [log.prompt(f"Do step {number}"), nameless(log, f"step {number} is done")]
    path = tmp_path / f"{SESSION}.jsonl"
    for upto in range(1, len(records) + 1):
        path.write_bytes(dump(*records[:upto]))
        taken = ingest.take(path)
    assert Session.objects.get(pk=taken.session).tokens_input == 30


@pytest.mark.django_db
def test_what_an_older_flower_summed_wrongly_is_put_right_by_reading_again(tmp_path, operator, monkeypatch):
    log = Claude()
    records = []
    for number in range(3):
        records += [log.prompt(f"Do step {number}"), nameless(log, f"step {number} is done")]
    path = write(tmp_path, dump(*records))
    with monkeypatch.context() as older:
        older.setattr(claude.Claude, "_name_of", lambda self, name, record, message, agent: name)
        session = Session.objects.get(pk=ingest.take(path).session)
    outlining.refresh(session.pk)
    outlines.edit(session.segments.get(), "title", "My own words", actor=operator)
    assert (session.tokens_input, session.by_model["claude-opus-4-6"][0]) == (10, 10)
    assert ingest.take(path).new_events == 0
    assert ingest.take(path, again=True).is_reread
    outlining.refresh(session.pk)
    session.refresh_from_db()
    assert (session.tokens_input, session.by_model["claude-opus-4-6"][0]) == (30, 30)
    assert session.segments.get().shown("title") == "My own words"


# --- costs


@pytest.mark.django_db
def test_a_session_costs_what_each_of_its_models_does_and_sub_agents_once(browser, operator, tmp_path):
    log = Claude()
    main = log.said("Done.")
    main["message"] |= {"model": "claude-opus-5-5", "usage": {
        "input_tokens": 100_000, "cache_creation_input_tokens": 300_000, "cache_read_input_tokens": 1_000_000,
        "output_tokens": 10_000, "cache_creation": {"ephemeral_1h_input_tokens": 100_000},
    }}  # fmt: skip
    ingest.take(write(tmp_path, dump(log.prompt("Go"), main)))
    side = log.said("Found.", isSidechain=True, agentId="a1")
    side["message"] |= {
        "model": "claude-haiku-4-5-20251001",
        "usage": {"input_tokens": 500_000, "output_tokens": 20_000},
    }
    path = write(tmp_path / "subagents", dump(side), "agent-a1.jsonl")
    session = Session.objects.get(pk=ingest.take(path).session)
    ingest.take(path)
    outlining.refresh(session.pk)
    own = 0.1 * 4 + 0.2 * 5 + 0.1 * 8 + 1 * 0.2 + 0.01 * 20
    assert costs.of_session(session) == pytest.approx(own + 0.5 * 1 + 0.02 * 5)
    assert costs.of_segment(session.segments.get()) == pytest.approx(own)
    caller = Identity(operator, Scope.OPERATOR)
    assert recalling.sessions(caller)["sessions"][0]["cost_usd"] == 3.2
    assert recalling.segments(caller, session.pk)["segments"][0]["cost_usd"] == 2.6
    for page in ("/sessions/", f"/sessions/{session.pk}/", f"/sessions/{session.pk}/segments/"):
        assert "$3.20" in browser.get(page).content.decode()
    assert "$2.60" in browser.get(f"/sessions/{session.pk}/segments/").content.decode()
    assert costs.of_run(3) is None
    Session.objects.filter(pk=session.pk).update(dispatch=3)
    spent = costs.of_run(3)
    assert spent is not None and spent.tokens == session.tokens and spent.dollars == pytest.approx(3.2)


@pytest.mark.django_db
def test_a_sum_in_which_a_model_is_unknown_has_no_cost(tmp_path, settings):
    log = Claude()
    first, second = log.said("One."), log.said("Two.")
    second["message"]["model"] = "claude-opus-9"
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(log.prompt("Go"), first, second))).session)
    assert costs.of_session(session) is None
    settings.LLM_PRICES = {"claude-opus-9": (1_000_000, 0)}
    assert costs.of_session(session) == pytest.approx(10 + 1100 + 10 * 5e-6 + 100 * 6.25e-6 + 1000 * 0.5e-6 + 5 * 25e-6)


@pytest.mark.django_db
def test_tokens_that_an_older_flower_counted_are_the_sessions_models(settings):
    settings.LLM_PRICES = {"big": (3.0, 15.0)}
    old = Session(program="claude", model="big-20260101", tokens_input=1_000_000, tokens_output=100_000)
    assert costs.of_session(old) == pytest.approx(4.5)
    old.by_model = {"big-20260101": [500_000, 0, 0, 0, 0]}
    assert costs.of_session(old) == pytest.approx(4.5)


# --- other programs


QWEN = {"uuid": "u1", "parentUuid": None, "sessionId": SESSION, "timestamp": "2026-06-01T10:00:00Z", "cwd": "/src"}


@pytest.mark.parametrize(
    ("records", "named"),
    [
        (
            [
                QWEN | {"type": "system", "subtype": "ui_telemetry", "systemPayload": {}},
                QWEN | {"type": "user", "message": {"role": "user", "parts": [{"text": "Hello"}]}},
                QWEN | {"type": "assistant", "message": {"role": "model", "parts": [{"text": "Hi"}]}},
            ],
            "Qwen Code",
        ),
        (
            [
                {"type": "reasoning", "summary": [], "encrypted_content": "x", "status": "completed"},
                {"type": "user", "content": [{"type": "text", "text": "Hello"}], "prompt_index": 0},
                {"type": "assistant", "content": "Hi", "model_id": "grok-4.5"},
            ],
            "Grok",
        ),
    ],
)
@pytest.mark.django_db
def test_logs_of_relatives_are_refused_by_name(tmp_path, records, named):
    with pytest.raises(NoTranscript, match=named):
        ingest.take(write(tmp_path, dump(*records), "chat_history.jsonl"))
    assert not Session.objects.exists()


@pytest.mark.django_db
def test_a_log_of_notes_to_itself_is_taken_and_not_listed(browser, operator, tmp_path):
    notes = [
        {"type": "file-history-snapshot", "messageId": "m", "snapshot": {}, "isSnapshotUpdate": False},
        {"type": "custom-title", "customTitle": "Notes only", "sessionId": SESSION},
    ]
    path = write(tmp_path, dump(*notes))
    taken = ingest.take(path)
    caller = Identity(operator, Scope.OPERATOR)
    assert recalling.sessions(caller)["sessions"] == []
    assert "Notes only" not in browser.get("/sessions/").content.decode()
    path.write_bytes(dump(*notes, Claude().prompt("Now to work")))
    ingest.take(path)
    assert [row["session"] for row in recalling.sessions(caller)["sessions"]] == [taken.session]


# --- commits


def amended_log() -> Log:
    """A commit, another piece of work, and then an amendment of it under other words."""
    log = piece(Log(), "map", commit=False)
    log.commit("Draw the harbour map", sha="aaaaaaa1").say("Committed.")
    log.pause(30).ask("I don't like the markers: draw ships there instead, as small pictures").say("I change them.")
    for word in ("canvas", "harbour", "markers"):
        log.say(f"The {word} gets ships.").read(f"src/ship/{word}.py").edit(f"src/ship/{word}.py")
    log.run(
        "git commit --amend -m 'Draw ships on the harbour map'",
        result="[main bbbbbbb2] Draw ships on the harbour map",
        commits=(Commit("bbbbbbb2", "Draw ships on the harbour map", True),),
    )
    return log.say("Amended.")


def test_a_segment_tells_what_it_committed_and_the_later_one_what_it_amended():
    log = amended_log()
    cut = next(place for place, event in enumerate(log.events, 1) if event.text.startswith("I don't like"))
    first, second = describe(log.events, 1, cut - 1), describe(log.events, cut, len(log.events))
    assert [(one.sha, one.subject, one.replaces) for one in first.commits] == [
        ("aaaaaaa1", "Draw the harbour map", False)
    ]
    assert [(one.sha, one.subject, one.replaces) for one in second.commits] == [
        ("bbbbbbb2", "Draw ships on the harbour map", True)
    ]
    assert "aaaaaaa1" in first.outcome.text and "bbbbbbb2" not in first.outcome.text
    assert "Amended the last commit: bbbbbbb2 “Draw ships on the harbour map”." in second.outcome.text
    assert distinct_commits([*first.commits, *second.commits, *second.commits]) == second.commits, "where it ended"


@pytest.mark.django_db
def test_a_commit_that_a_later_segment_amends_counts_once_everywhere(browser, operator):
    log = amended_log()
    session = stored.session(log)
    outlining.refresh(session.pk)
    if session.segments.count() == 1:
        cut = next(place for place, event in enumerate(log.events, 1) if event.text.startswith("I don't like"))
        outlines.split(session.segments.get(), cut, actor=operator)
        outlining.refresh(session.pk)
    main = session.log_files.get()
    for sha, amends in (("aaaaaaa1", False), ("bbbbbbb2", True)):
        session.made_commits.create(file=main, sha=sha, subject="Draw", event=1, amends=amends)
    side = session.log_files.create(agent="a1", path="/side", path_key="side")
    for sha, amends in (("ccccccc3", False), ("ddddddd4", True)):
        session.made_commits.create(file=side, sha=sha, subject="Sail", event=1, amends=amends)
    Session.objects.filter(pk=session.pk).update(outlined=0)
    outlining.refresh(session.pk)
    session.refresh_from_db()
    assert session.commits == 2, "one, and the agent's"
    page = browser.get(f"/sessions/{session.pk}/segments/?open=all").content.decode()
    assert "· 2 commits" in page and "1 commit amended later" in page
    assert page.count("of-commit") == 2, "one mark in the picture, and its legend"


@pytest.mark.django_db
def test_what_was_committed_since_leaves_out_what_was_amended(tmp_path, operator):
    log = Claude()
    begun = [log.prompt("Draw the map"), log.call("Edit", "toolu_1", file_path="/src/shop/map.py")]
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(*begun))).session)
    outlining.refresh(session.pk)
    other = Claude("22222222-2222-3333-4444-555555555555")
    other.count = 600
    records = [other.prompt("Ship it")]
    for number, (command, sha) in enumerate([("git commit -m 'Draw'", "aaaaaaa1"), ("git commit --amend", "bbbbbbb2")]):
        records += [
            other.call("Bash", f"toolu_{number}", command=command),
            other.result(f"toolu_{number}", f"[main {sha}] Draw\n 1 file changed", structured={"stdout": ""}),
        ]
    ingest.take(write(tmp_path, dump(*records), f"{other.session}.jsonl"))
    told = recalling.resume(Identity(operator, Scope.OPERATOR))
    assert told["session"] == session.pk
    assert [row["sha"] for row in told["commits_since"]] == ["bbbbbbb2"]


# --- paths of Windows


@pytest.mark.django_db
@pytest.mark.parametrize("cwd", [r"C:\repos\plain", r"\\server\share\plain"])
def test_files_of_a_windows_log_are_found_by_their_ends_and_shown_below_the_folder(browser, operator, tmp_path, cwd):
    log = Claude(cwd=cwd)
    edit = log.call("Edit", "toolu_1", file_path=rf"{cwd}\src\totals.py", old_string="a", new_string="b")
    other = log.call("Read", "toolu_2", file_path=r"src\other.py")
    results = [log.result("toolu_1", "done"), log.result("toolu_2", "1")]
    records = [log.prompt("Go"), edit, other, *results, log.said("Done.")]
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(*records))).session)
    outlining.refresh(session.pk)
    caller = Identity(operator, Scope.OPERATOR)
    whole = rf"{cwd}\src\totals.py"
    for asked in ("src/totals.py", "totals.py", r"src\totals.py", whole, whole.replace("\\", "/"), "src", cwd):
        (row,) = recalling.touching(caller, asked)["sessions"]
        assert row["session"] == session.pk and row["segments"], asked
    assert recalling.touching(caller, "src/other.py")["sessions"]
    assert not recalling.touching(caller, "rc/totals.py")["sessions"]
    segment = session.segments.get()
    assert "repos" not in segment.title and "server" not in segment.title
    page = browser.get(f"/sessions/{session.pk}/").content.decode()
    assert "src/totals.py" in page and rf"{cwd}\src\totals.py</" not in page
    assert "<code>src/totals.py</code>" in browser.get(f"/sessions/{session.pk}/segments/?open=all").content.decode()


@pytest.mark.django_db
def test_rows_that_an_older_flower_kept_with_backslashes_are_found(operator):
    session = stored.session(Log().ask("Go").say("Done."))
    path = r"C:\repos\plain\src\totals.py"
    session.touched.create(
        file=session.log_files.get(), path=path, path_key=storing.key_of(path), name="totals.py", verb="edited",
        times=1, first=1, last=1,
    )  # fmt: skip
    for asked in ("totals.py", "src/totals.py", "src", path):
        assert recalling.touching(Identity(operator, Scope.OPERATOR), asked)["sessions_in_all"] == 1, asked


@pytest.mark.parametrize(
    ("path", "cwd", "whole", "near", "name"),
    [
        (r"c:\a\b\x.py", r"C:\a", "C:/a/b/x.py", "b/x.py", "x.py"),
        ("C:/a/b/x.py", r"C:\a" + "\\", "C:/a/b/x.py", "b/x.py", "x.py"),
        (r"b\x.py", r"C:\a", "C:/a/b/x.py", r"b\x.py", "x.py"),
        (r"D:\x.py", r"C:\a", "D:/x.py", r"D:\x.py", "x.py"),
        (r"C:\a", r"C:\a", "C:/a", ".", "a"),
        ("b/x.py", "/a", "/a/b/x.py", "b/x.py", "x.py"),
        (r"/a/odd\name.py", "/a", r"/a/odd\name.py", r"odd\name.py", r"odd\name.py"),
        ("/ab/x.py", "/a", "/ab/x.py", "/ab/x.py", "x.py"),
    ],
)
def test_paths_of_both_kinds(path, cwd, whole, near, name):
    assert (paths.absolute(path, cwd), paths.below(path, cwd), paths.name_of(path)) == (whole, near, name)


# --- runs


@pytest.mark.django_db
def test_a_run_is_called_as_its_brief_and_not_as_its_launch_line(browser, project, tmp_path):
    brief = factories.make_brief("Shorten the spawn command", project)
    line = packets.prompt(brief.pk, Path("/trees/shop-1/.flower/packet.md"))
    log = Claude(cwd="/src/shop")
    session = Session.objects.get(pk=ingest.take(write(tmp_path, dump(log.prompt("first")))).session)
    Session.objects.filter(pk=session.pk).update(brief=brief, dispatch=3)
    log = Claude(cwd="/src/shop")
    ingest.take(write(tmp_path, dump(log.prompt(line))))
    session.refresh_from_db()
    assert (naming.title(session), naming.now(session)) == (brief.title, brief.title)
    work = [log.call("Read", "toolu_1", file_path="/x.md"), log.result("toolu_1", "…"), log.said("Done.")]
    log.count = 0
    records = [log.prompt(line), *work]
    ingest.take(write(tmp_path, dump(*records)))
    outlining.refresh(session.pk)
    assert "Read the file" not in session.segments.first().title
    assert "Read the file" not in browser.get("/sessions/").content.decode()
    assert brief.title in browser.get("/sessions/?q=spawn").content.decode()
    assert line in browser.get(f"/sessions/{session.pk}/").content.decode(), "the transcript is what the log says"


def test_only_the_line_that_was_composed_for_this_brief_is_it():
    line = packets.prompt(7, Path("/trees/a b/packet.md"))
    assert launches.is_composed(line, 7) and launches.is_composed(f" {line}\n", 7)
    for other in ("", "Read the file", line[1:], f"{line} And more.", line.replace("packet", "pac\nket")):
        assert not launches.is_composed(other, 7)
    assert not launches.is_composed(line, 8)
