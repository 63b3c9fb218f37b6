"""What the model sees of a session: little, and what matters."""

from __future__ import annotations

import dataclasses

import pytest

from tests.transcripts.test_wording import Log
from transcripts.events import Commit, Kind, Status, Todo, Touch, Verb
from transcripts.wording.digest import clipped, ends, entries_of, one_line, sentences, tokens_in
from transcripts.wording.grid import Grid


def lines(log: Log) -> list[str]:
    return [str(entry) for entry in entries_of(Grid(log.events), "/home/mike/app")]


def test_a_round_is_told_in_a_few_lines():
    log = Log().round("parser", commit="1a2b3c4d5e6f").round("writer", passes=False)
    assert lines(log) == [
        "1* PERSON: Now write the parser module with its tests, please, from scratch",
        "3* AGENT: I will write the parser module.",
        "4 Write: parser.py (new)",
        "6 Bash: pytest -q → 2 passed",
        "8 Bash: git commit → committed 1a2b3c4d5e “Add parser”",
        "10 Grep: ",
        "12* AGENT: The parser module is done.",
        "13* PERSON: Now write the writer module with its tests, please, from scratch",
        "15* AGENT: I will write the writer module.",
        "16 Write: writer.py (new)",
        "18 Bash: pytest -q → exit 1, ERROR 1 failed, 1 passed",
        "20 Grep: ",
        "22* AGENT: The writer module is done.",
    ]


def test_what_tells_nothing_is_left_out():
    log = Log().add(Kind.PROMPT, "Look around").add(Kind.THINKING, "Secret thoughts").add(Kind.TITLE, "A title")
    log.add(Kind.SYSTEM, "a hook ran").call(
        "Read", "the whole file", touches=(Touch("/home/mike/app/a.py", Verb.READ),)
    )
    assert lines(log) == ["1* PERSON: Look around", "5* Read: a.py"]


def test_like_calls_become_one_line():
    log = Log().add(Kind.PROMPT, "Look around")
    for n in range(9):
        log.call("Read", touches=(Touch(f"/home/mike/app/m{n}.py", Verb.READ),))
    assert lines(log)[1] == "2* Read: m0.py; m1.py; m2.py; m3.py; m4.py; m5.py and 3 more"


def test_errors_interruptions_lists_and_plans_are_told():
    log = Log().add(Kind.PROMPT, "Go")
    log.call("Read", "line one\nNo such file: x.py\nbye", error=True, touches=(Touch("x.py", Verb.READ),))
    log.call("TodoWrite", todos=(Todo("Cut", Status.DONE), Todo("Sew the hem", Status.ACTIVE)))
    log.call("ExitPlanMode", plan_accepted=True)
    log.add(Kind.SYSTEM, "529 overloaded", is_error=True).add(Kind.COMPACTION, "long digest").add(Kind.INTERRUPTION)
    log.add(Kind.COMMAND, "/clear")
    told = "\n".join(lines(log))
    for line in (
        "Read: x.py → ERROR No such file: x.py",
        "TodoWrite → 1 of 2 done, now: Sew the hem",
        "ExitPlanMode → the person accepted the plan",
        "SERVICE ERROR: 529 overloaded",
        "(the agent's context was summarised)",
        "INTERRUPTED by the person",
        "PERSON runs: /clear",
    ):
        assert line in told
    assert "long digest" not in told


def test_of_sub_agents_only_commits_are_told():
    log = Log().add(Kind.PROMPT, "Go").call("Task", text='{"description": "Review it", "prompt": "long"}')
    log.add(Kind.ANSWER, "I am the sub-agent.", agent="a1")
    log.add(Kind.CALL, "{}", tool="Bash", call="s1", command="git commit", agent="a1")
    log.add(Kind.RESULT, "", tool="Bash", call="s1", commits=(Commit("abcdef123456", "Fix it"),), agent="a1")
    assert lines(log) == ["1* PERSON: Go", "2* Task: Review it", "6 committed abcdef1234 “Fix it”"]


def test_a_long_session_fits_into_a_few_thousand_tokens():
    log = Log()
    while len(log.events) < 500:
        for _ in range(3):
            log.round("a_module_with_quite_a_long_name", commit="1a2b3c4d5e")
        log.add(Kind.PROMPT, "A long prompt with a pasted log. " * 200)
        log.add(Kind.ANSWER, "A long answer that explains every single thing that was done. " * 100)
    size = tokens_in("\n".join(lines(log)))
    assert size < 11 * len(log.events)  # that many prompts and answers are rare: real sessions come to half of it
    assert "PERSON: A long prompt with a pasted log." in "\n".join(lines(log))


def test_a_huge_result_is_no_matter():
    log = Log().add(Kind.PROMPT, "Go").call("Bash", "x" * 5_000_000 + "\nerror: it broke", error=True, command="make")
    assert lines(log)[1] == "2* Bash: make → ERROR error: it broke"


@pytest.mark.parametrize("text", ["no json", "[1]", "{}", '{"a": [1]}', "[" * 9999, '{"path": 5, "n": 7}', ""])
def test_arguments_of_any_form_are_taken(text):
    log = Log().add(Kind.PROMPT, "Go").call("Strange", text=text)
    assert lines(log)[1].startswith("2* Strange: ")


def test_events_that_share_a_line_of_the_log_are_not_cut_apart():
    log = Log().add(Kind.PROMPT, "Go").add(Kind.ANSWER, "One.").add(Kind.ANSWER, "Two.")
    log.events[2] = dataclasses.replace(log.events[2], line=2)
    assert lines(log) == ["1* PERSON: Go", "2* AGENT: One.", "3 AGENT: Two."]


def test_texts_are_shortened_where_they_say_least():
    assert clipped("one two three four", 9) == "one two…"
    assert clipped("x" * 20, 12) == "x" * 11 + "…"
    assert ends("the order " + "log " * 100 + "and the question?", 80).endswith("the question?")
    assert ends("the order " + "log " * 100, 80).startswith("the order")
    assert sentences("First one. " + "Then more. " * 30 + "Last one.", 60) == "First one. […] Last one."
    assert one_line("a\n b\t\u202ec\x00") == "a b c"
