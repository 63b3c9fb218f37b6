"""Codex's rollouts, record by record."""

from __future__ import annotations

import pytest
import zstandard

from tests.transcripts.logs import SESSION, Codex, codex_log, dump, write
from transcripts.adapters import read
from transcripts.events import Kind, Verb

NAME = f"rollout-2026-06-01T12-00-00-{SESSION}.jsonl"


@pytest.fixture
def reading(tmp_path):
    return lambda *records, name=NAME: read(write(tmp_path, dump(*records), name))


def test_a_rollout_says_everything_once(reading):
    found = reading(*codex_log())
    assert [str(event.kind) for event in found.events] == [
        "system", "prompt", "thinking", "answer", "call", "result", "call", "result", "compaction", "interruption",
    ]  # fmt: skip
    assert (found.counts.prompts, found.counts.unknown, found.counts.invalid) == (1, 1, 0)
    prompt, call, result = found.events[1], found.events[4], found.events[5]
    assert (prompt.text, prompt.line) == ("Fix the total", 5)
    assert (call.command, call.message) == ("git commit -m x", "r0")
    assert (result.exit_code, result.is_error, result.commits[0].sha) == (1, True, "1a2b3c4")
    assert found.events[6].touches[0].verb == Verb.WRITTEN
    assert found.events[7].is_error
    assert found.facts.branch == "work"


def test_equal_totals_are_no_new_answer(reading):
    found = reading(*codex_log())
    spent = [event for event in found.events if event.usage]
    assert [(event.kind, event.usage.input, event.usage.cache_read, event.usage.output) for event in spent] == [
        (Kind.CALL, 500, 500, 3)
    ]
    assert (found.counts.context, found.counts.window, spent[0].window) == (1003, 200_000, 200_000)


def test_a_line_that_stands_there_twice_counts_once(reading):
    whole = codex_log()
    doubled = [record for record in whole for _ in range(2)]
    assert [event.key for event in reading(*doubled).events] == [event.key for event in reading(*whole).events]


def test_the_same_words_said_twice_are_two_events(reading):
    log = Codex()
    found = reading(log.record("session_meta", id=SESSION), *[log.message("assistant", "Done.") for _ in range(3)])
    assert [event.text for event in found.events] == ["Done."] * 3
    assert len({event.key for event in found.events}) == 3


def test_the_request_below_what_the_editor_put_before_it(reading):
    log = Codex()
    said = "# Context from my IDE\n\n## My request for Codex:\nFix it\n"
    found = reading(
        log.record("session_meta", id=SESSION), log.message("user", said), log.event("user_message", message=said)
    )
    assert [event.text for event in found.events] == ["Fix it"]
    assert found.events[0].data["context"] == "# Context from my IDE"


def test_a_user_item_that_no_event_marks_is_a_persons_only_in_logs_that_mark_none(reading):
    log = Codex()
    meta, end = log.record("session_meta", id=SESSION), log.message("assistant", "ok")
    assert reading(meta, log.message("user", "Please"), end).counts.prompts == 1
    marked = [log.message("user", "A"), log.event("user_message", message="A")]
    assert reading(meta, *marked, log.message("user", "B"), end).counts.prompts == 1


def test_a_sub_agents_rollout_is_its_parents(reading):
    log = Codex()
    parent = "99999999-2222-3333-4444-555555555555"
    source = {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}
    found = reading(log.record("session_meta", id=SESSION, source=source), log.message("assistant", "x"))
    assert (found.facts.session_id, found.facts.agent_id) == (parent, SESSION)
    assert found.events[0].agent == SESSION


def test_the_oldest_format(reading):
    found = reading(
        {"id": SESSION, "timestamp": "2025-05-01T00:00:00Z", "instructions": None, "git": {"branch": "old"}},
        {"record_type": "state"},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"type": "function_call", "name": "shell", "arguments": '{"command": ["bash", "-lc", "ls"]}', "call_id": "c"},
        {
            "type": "function_call_output",
            "call_id": "c",
            "output": '{"output": "a.py", "metadata": {"exit_code": 0, "duration_seconds": 0.1}}',
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]},
    )
    assert [(str(event.kind), event.text) for event in found.events if event.kind != Kind.CALL] == [
        ("prompt", "Hello"),
        ("result", "a.py"),
        ("answer", "Hi"),
    ]
    assert found.events[1].command == "ls"
    assert found.events[0].at is not None


def test_a_compressed_rollout_and_a_cut_one(tmp_path):
    whole = dump(*codex_log())
    packed = zstandard.compress(whole)
    assert len(read(write(tmp_path, packed, f"{NAME}.zst")).events) == 10
    assert read(write(tmp_path, zstandard.compress(whole, 1) + packed[:40], f"cut-{NAME}.zst")).counts.events == 10
