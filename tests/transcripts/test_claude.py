"""Claude Code's logs, record by record."""

from __future__ import annotations

import json

import pytest
import zstandard

from tests.transcripts.logs import SESSION, Claude, claude_log, dump, write
from transcripts import blocks
from transcripts.adapters import NoTranscript, read
from transcripts.adapters.claude import is_tick
from transcripts.adapters.records import milliseconds
from transcripts.events import Kind, Status, Verb
from transcripts.segmentation import segment


@pytest.fixture
def reading(tmp_path):
    def read_these(*records, name=f"{SESSION}.jsonl"):
        return read(write(tmp_path, dump(*records), name))

    return read_these


def kinds(transcript):
    return [str(event.kind) for event in transcript.events]


def test_a_session_as_it_is(reading):
    found = reading(*claude_log())
    assert kinds(found) == [
        "prompt", "thinking", "answer", "call", "result", "call", "call", "result", "result", "call", "result", "call",
        "result", "compaction", "interruption", "command", "answer", "title",
    ]  # fmt: skip
    assert (found.counts.records, found.counts.invalid, found.counts.unknown, found.counts.prompts) == (22, 0, 1, 1)
    facts = found.facts
    assert (facts.session_id, facts.cwd, facts.branch, facts.title) == (SESSION, "/src/shop", "main", "The button")
    assert found.events[0].text == "Add a button to the shop 🛒"
    assert found.events[0].line == 2
    assert found.events[13].text == "This session is being continued …"
    assert found.events[13].data["tokens_before"] == 150000
    assert found.events[15].text == "/model opus"


def test_what_calls_touch_and_git_tells(reading):
    events = reading(*claude_log()).events
    touched = [(touch.path, touch.verb) for event in events for touch in event.touches]
    assert touched == [
        ("/src/shop/app.py", Verb.READ),
        ("/src/shop/app.py", Verb.EDITED),
        ("/src/shop/new.py", Verb.WRITTEN),
    ]
    assert [(commit.sha, commit.subject) for event in events for commit in event.commits] == [
        ("1a2b3c4", "Add a button")
    ]
    assert [todo.status for event in events for todo in event.todos] == [Status.ACTIVE]
    results = {event.call: event for event in events if event.kind == Kind.RESULT}
    assert results["toolu_5"].exit_code == 0
    assert results["toolu_3"].data == {"created": True}
    assert results["toolu_1"].tool == "Read"


def test_the_tokens_of_a_message_count_once_with_their_last_value_on_its_last_event(reading):
    log = Claude()
    found = reading(
        log.prompt("Go"),
        log.said("a", message="m", output=1),
        log.call("Read", "t1", message="m", file_path="/x"),
        log.result("t1", "text"),
        log.said("b", message="m", output=9),
    )
    assert [event.usage and event.usage.output for event in found.events] == [None, None, None, None, 9]
    counts = found.counts
    assert (counts.input, counts.cache_written, counts.cache_read, counts.output) == (10, 100, 1000, 9)
    assert counts.context == 1110


def test_a_history_that_is_written_again_counts_once(reading):
    whole = claude_log()
    once, twice = reading(*whole), reading(*whole, *whole)
    assert [event.key for event in twice.events] == [event.key for event in once.events]
    assert twice.counts.output == once.counts.output
    assert twice.counts.repeated > 10


def test_a_cut_record_before_another_on_its_line_is_skipped_and_counted(reading):
    log = Claude()
    first, second = json.dumps(log.prompt("one")).encode(), json.dumps(log.prompt("two")).encode()
    found = reading(
        first[:70] + second, first, b"[1, 2]", b"", b"\xff\x00{", first + json.dumps(log.prompt("three")).encode()
    )
    assert [event.text for event in found.events] == ["two", "one", "three"]
    assert found.counts.invalid == 4
    assert found.counts.records == 5


def test_half_characters_and_nuls_do_not_survive(reading):
    log = Claude()
    half = json.dumps(log.prompt("cut \ud83d here"))
    nul = json.dumps(log.prompt("a\x00b"))
    stray = json.dumps(log.prompt("X")).encode().replace(b"X", b"\xff")
    found = reading(half.encode(), nul.encode(), stray)
    assert [event.text for event in found.events] == ["cut � here", "a�b", "�"]
    assert found.counts.invalid == 0


def test_lines_end_at_newlines_only(reading):
    log = Claude()
    found = reading(log.prompt("a\u2028b\x85c"), log.prompt("d"))
    assert [event.line for event in found.events] == [1, 2]
    assert found.events[0].text == "a\u2028b\x85c"


def test_a_side_chain_is_its_agents_and_knows_its_call(reading):
    log = Claude()
    start = [log.prompt("Go"), log.call("Task", "toolu_t", prompt="Find it", description="Find")]
    side = Claude(session="22222222-2222-3333-4444-555555555555")
    side.session = SESSION
    chain = [side.prompt("Find it", isSidechain=True), side.said("Found.", isSidechain=True)]
    found = reading(*start, *chain, log.result("toolu_t", "Found."))
    assert [bool(event.agent) for event in found.events] == [False, False, True, True, False]
    assert len({event.agent for event in found.events}) == 2
    assert found.events[2].data["call"] == "toolu_t"
    assert found.counts.prompts == 1
    assert found.counts.output == 10


def test_an_agents_own_file_is_no_session(reading):
    log = Claude()
    found = reading(log.prompt("Find it", isSidechain=True, agentId="a1"), name="agent-a1.jsonl")
    assert (found.facts.agent_id, found.facts.session_id) == ("a1", SESSION)
    assert found.events[0].agent == "a1"


def test_going_back_to_an_earlier_prompt_is_a_fork(reading):
    log = Claude()
    first = log.prompt("one")
    answer = log.said("1")
    second = log.prompt("two")
    again = log.prompt("two, differently") | {"parentUuid": second["parentUuid"]}
    found = reading(first, answer, second, again)
    assert found.counts.forks == 1
    assert found.events[-1].data == {"fork": True}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<bash-input>ls</bash-input>", Kind.COMMAND),
        ("<bash-stdout>a</bash-stdout>", Kind.SYSTEM),
        ("<local-command-stdout>\x1b[1mbold\x1b[0m</local-command-stdout>", Kind.SYSTEM),
        ("<task-notification>done</task-notification>", Kind.SYSTEM),
        ("<system-reminder>be good</system-reminder>", Kind.SYSTEM),
        ("<system-reminder>be good</system-reminder>Do it", Kind.PROMPT),
        ("[Request interrupted by user for tool use]", Kind.INTERRUPTION),
        ("<div> is what I want", Kind.PROMPT),
    ],
)
def test_what_a_person_typed_and_what_was_injected(reading, text, kind):
    (event,) = reading(Claude().prompt(text)).events
    assert event.kind == kind


def test_what_the_client_says_is_no_answer_and_costs_nothing(reading):
    log = Claude()
    wrong = log.said("API Error: 529", isApiErrorMessage=True)
    wrong["message"]["model"] = "<synthetic>"
    found = reading(log.prompt("Go"), wrong, log.record("system", subtype="api_error", error={"message": "overloaded"}))
    assert [(event.kind, event.is_error) for event in found.events[1:]] == [(Kind.SYSTEM, True)] * 2
    assert found.counts.output == 0
    assert found.counts.errors == 2


def test_tasks_are_a_list_that_is_kept_up(reading):
    log = Claude()
    found = reading(
        log.call("TaskCreate", "t1", subject="one"),
        log.call("TaskCreate", "t2", subject="two"),
        log.call("TaskUpdate", "t3", taskId="1", status="completed"),
        log.call("TaskUpdate", "t4", taskId="2", status="deleted"),
    )
    lists = [[(todo.text, todo.status) for todo in event.todos] for event in found.events]
    assert lists[2] == [("one", Status.DONE), ("two", Status.PENDING)]
    assert lists[3] == [("one", Status.DONE)]


def test_values_of_wrong_types_cost_their_record_only(reading):
    log = Claude()
    found = reading(
        log.prompt("before"),
        log.record("assistant", message={"id": 5, "content": {"a": 1}, "usage": {"input_tokens": "many"}}),
        log.record("user", message={"content": [None, 5, {"type": "tool_result", "tool_use_id": [], "content": 7}]}),
        log.record("system", subtype=["x"], content={}),
        log.record("user", message=None, timestamp=12, cwd=[], sessionId={}),
        log.prompt("after"),
    )
    assert [event.text for event in found.events if event.kind == Kind.PROMPT] == ["before", "after"]


def test_something_else_is_refused_with_a_sentence(tmp_path):
    other = write(tmp_path, b'{"level": "info"}\n"text"\nplain\n' * 100, "other.jsonl")
    with pytest.raises(NoTranscript, match=r"no transcript of Claude Code or Codex: none of its first 50 lines"):
        read(other)
    with pytest.raises(NoTranscript, match="is empty"):
        read(write(tmp_path, b"\n\n", "empty.jsonl"))


def test_what_a_person_turned_down_is_an_error_to_the_program_and_no_failure(reading):
    log = Claude()
    refused = "The user doesn't want to proceed with this tool use. The tool use was rejected."
    found = reading(
        log.prompt("Go"),
        log.call("Bash", "c1", command="git push"),
        log.result("c1", refused, is_error=True),
        log.call("Bash", "c2", command="git push"),
        log.result("c2", "Exit code 1\nno such remote", is_error=True),
    )
    results = [event for event in found.events if event.kind is Kind.RESULT]
    assert [(event.is_error, event.is_failure) for event in results] == [(True, False), (True, True)]
    assert found.counts.errors == 1
    builder = blocks.Builder(1, 0, 1)
    builder.add(1, b"{}", list(found.events))
    assert blocks.index_of(builder.index(zstandard.ZstdCompressor())).errors == [4]
    assert sum(one.errors for one in segment(found.events)) == 1


TICK = (
    '{"parentUuid":"p","isSidechain":false,"cwd":"/x","sessionId":"s","type":"progress",'
    '"data":{"type":"bash_progress","output":"a"},"uuid":"u","timestamp":"2026-03-01T10:00:00.000Z"}'
)


@pytest.mark.parametrize(
    "line, is_one",
    [
        (TICK, True),
        (TICK.replace('"p"', "null"), True),
        (TICK.replace('"output":"a"', '"output":{"b":{"c":1}}'), True),
        (TICK.replace("false", "true"), False),  # a sub-agent's: it tells who follows whom
        (TICK[:-1], False),
        (TICK.replace('"cwd":"/x"', '"cwd":{"type":"progress"}'), False),
        (TICK.replace('"p"', '"{"'), False),
        (TICK.replace('"a"', '"a') + TICK, False),  # the first was cut, and the next begins on its line
        (TICK.replace('"output":"a"', '"output":{"type":"a"}'), False),
        (TICK + '{"type":"user"}', False),
        (TICK.replace("progress", "user", 1), False),
        ("{}", False),
        ('{"parentUuid":', False),
        ("", False),
    ],
)
def test_a_tick_is_known_by_its_bytes_and_whatever_is_unusual_is_parsed(line, is_one):
    assert is_tick(line.encode()) is is_one


@pytest.mark.parametrize(
    "value, expected",
    [
        ("2026-03-25T02:17:20.880Z", 1_774_405_040_880),
        ("2026-03-25T02:17:20.879600Z", 1_774_405_040_880),
        ("2026-03-25T02:17:59.999Z", 1_774_405_079_999),
        ("2026-03-25T03:17:20.880+01:00", 1_774_405_040_880),
        ("2026-03-25 02:17:20", 1_774_405_040_000),
        ("2026-03-25T02:17:60.000Z", None),
        ("2026-03-25T02:61:20.880Z", None),
        ("2026-03-25T02:17:20._80Z", None),
        ("2026-03-25T02:17:2\u0663.880Z", None),
        ("1926-03-25T02:17:20.880Z", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("", None),
        ("now", None),
    ],
)
def test_a_time_is_read_exactly_or_not_at_all(value, expected):
    assert milliseconds(value) == expected


def test_what_the_client_put_into_a_prompt_is_left_out_however_it_is_nested():
    from transcripts.adapters.claude import _inside, _without_asides

    reminder = "<system-reminder>b</ide_x> c</system-reminder>"
    said = f"Do <ide_opened>a</ide_opened> this \n{reminder}\n and <ide_x> that </ide_y>"
    assert _without_asides(said) == "Do this\n and <ide_x> that </ide_y>"
    assert _inside("<command-name> /go </command-name> x", "command-name") == "/go"
    assert _inside("<command-name> /go", "command-name") is None
