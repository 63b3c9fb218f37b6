"""What the segments say: titles, status, summary, outcome, and the lines with their evidence."""

from __future__ import annotations

import pytest

from tests.transcripts.building import Log, only, piece, texts
from transcripts.events import Kind, Touch, Usage, Verb
from transcripts.segment import Phase, Status, segment
from transcripts.segment.messages import body_of
from transcripts.segment.prose import clipped, plain, sentences
from transcripts.segment.titles import shaped
from transcripts.segment.verbs import base_of, is_past, past_of
from transcripts.segment.wishes import asked

# --- prose ------------------------------------------------------------------------------------------------------------


def test_sentences_leave_out_code_tables_quotes_and_lead_ins():
    text = """## Summary
I've **fixed** the `parse()` bug, e.g. for quotes. Here's what changed:

- Added a test 🎉
- [x] Removed [the old way](https://example.com/x)

| a | b |
|---|---|
> a quote
```python
raise Exit
```
See https://github.com/o/r/pull/12. It’s done."""
    assert [sentence.text for sentence in sentences(text)] == [
        "I've fixed the parse() bug, e.g. for quotes.",
        "Added a test",
        "Removed the old way",
        "See PR #12.",
        "It's done.",
    ]
    assert sentences(text)[0].section == "Summary"
    assert sentences(text)[1].section == "Here's what changed"
    assert sentences(text)[1].is_item


def test_a_fence_that_never_ends_hides_what_follows():
    assert sentences("Before.\n```\ncode. More code.") == sentences("Before.")


def test_sentences_of_any_script_survive():
    assert [s.text for s in sentences("Grüße aus Köln. Ça marche? 了解しました。")] == [
        "Grüße aus Köln.",
        "Ça marche?",
        "了解しました。",
    ]


def test_cutting_ends_with_a_thought():
    text = (
        "Rewrite the tokenizer of the parser so that nested quotes survive, and the escapes of the old format as well"
    )
    assert clipped(text, 72) == "Rewrite the tokenizer of the parser so that nested quotes survive"
    assert clipped("Move the file to the", 19) == "Move the file"
    assert clipped("short", 72) == "short"


def test_plain_text_has_no_marks():
    assert plain("**Bold** and `code` → *soft* [link](x) ✅") == "Bold and code → soft link"


@pytest.mark.parametrize(
    ("form", "base"),
    [
        ("Added", "add"),
        ("stopped", "stop"),
        ("fixes", "fix"),
        ("writing", "write"),
        ("wrote", "write"),
        ("applied", "apply"),
        ("banana", ""),
    ],
)
def test_forms_of_verbs(form, base):
    assert base_of(form) == base


def test_the_past_of_verbs():
    assert [past_of(w) for w in ("Add", "stop", "apply", "Write", "reuse", "put", "banana")] == [
        "Added", "stopped", "applied", "Wrote", "reused", "put", "",
    ]  # fmt: skip
    assert is_past("Fixed")
    assert not is_past("need")


# --- titles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("can you please rename the class Foo to Bar?", "Rename the class Foo to Bar"),
        ("ok let's add a dark mode to the settings page. I like dark.", "Add a dark mode to the settings page"),
        (
            "Implement the following plan:\n\n# Plan: Cache the board per project\n\n## Context\n…",
            "Cache the board per project",
        ),
        ("# ENT-12: Crash when the file is empty\n\nIt crashes.", "Fix: Crash when the file is empty"),
        ("why is this failing on Windows?", "Find out why this is failing on Windows"),
        ("do we need the lock file at all?", "Check whether we need the lock file at all"),
        ("does the parser keep comments?", "Does the parser keep comments?"),
        ("publish to npm failed in the last run", "Publish to npm failed in the last run"),
    ],
)
def test_titles_from_prompts(prompt, title):
    assert only(Log().ask(prompt).say("The code does it in one place.")).title == title


@pytest.mark.parametrize("subject", ["init", "wip", "WIP: more", "Merge branch 'main' into x", "update", "fix it"])
def test_empty_subjects_are_no_titles(subject):
    log = Log().ask("yes").say("I go on with the harbour.").edit("harbour.py").commit(subject)
    assert only(log.say("I've added markers to the harbour map.")).title == "Add markers to the harbour map"


def test_a_good_subject_names_what_a_consent_began():
    log = (
        Log().ask("yes please").say("On it.").edit("harbour.py").commit("fix(map): keep markers when the zoom changes")
    )
    assert only(log.say("Done.")).title == "Keep markers when the zoom changes"


def test_a_correction_is_no_title():
    log = (
        Log()
        .ask("no, it should be the other way round")
        .say("Right.")
        .edit("src/sort.py")
        .say("I've reversed the order.")
    )
    assert only(log).title == "Reverse the order"


def test_titles_are_orders_of_three_to_twelve_words_and_unique():
    log = Log()
    for _ in range(3):
        piece(log, "parser", steps=14)
        piece(log, "billing", steps=14)
    titles = [one.title for one in segment(log.events)]
    assert len(titles) >= 4
    assert len({title.casefold() for title in titles}) == len(titles)
    assert all(3 <= len(title.split()) <= 12 and len(title) <= 80 and title[0].isupper() for title in titles)


def test_what_was_done_is_told_as_an_order():
    assert shaped("added tests for the parser, and fixed the rest.") == "Add tests for the parser, and fixed the rest"
    assert asked("what can it do?") == "Find out what it can do"


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_follows_the_last_check_not_the_tone():
    proud = (
        Log()
        .ask("Fix the parser")
        .say("Editing.")
        .edit("a.py")
        .run("pytest", code=1, result="1 failed")
        .say("Perfect, all is done!")
    )
    assert only(proud).status is Status.PARTIAL
    humble = Log().ask("Fix the parser").say("Editing.").edit("a.py").run("pytest", code=1, result="1 failed")
    humble.edit("a.py").run("pytest", result="3 passed").say("I am afraid this may still be wrong.")
    assert only(humble).status is Status.DONE


def test_a_failure_behind_a_pipe_counts():
    log = (
        Log()
        .ask("Run the tests")
        .run("go test ./... | tail -5", code=0, result="--- FAIL: TestQuotes\nFAIL")
        .say("There we are.")
    )
    assert only(log).status is Status.PARTIAL


def test_a_commit_after_a_failing_check_settles_it():
    log = (
        Log().ask("Fix the parser").edit("a.py").run("pytest", code=1, result="1 failed").commit("Skip the flaky test")
    )
    assert only(log.say("Committed.")).status is Status.DONE


def test_interrupted_work_is_partial_and_interrupted_talk_abandoned():
    assert only(Log().ask("Fix it all").say("I start.").edit("a.py").interrupt()).status is Status.PARTIAL
    assert only(Log().ask("Fix it all").say("I start.").read("a.py").interrupt()).status is Status.ABANDONED


@pytest.mark.parametrize("ending", ["prompt", "call", "result", "thinking"])
def test_a_log_that_ends_inside_a_turn_is_in_progress(ending):
    log = Log().ask("Fix the parser").say("I look.").read("a.py").say("One moment.")
    match ending:
        case "prompt":
            log.ask("and hurry")
        case "call":
            log.call("Read", result=None)
        case "result":
            log.read("b.py")
        case "thinking":
            log.think()
    assert only(log).status is Status.IN_PROGRESS
    assert only(log.say("That was it.")).status is Status.DONE


def test_an_error_of_the_service_at_the_end_leaves_it_partial():
    log = Log().ask("Explain the parser").say("I look.")
    log.add(Kind.SYSTEM, "API Error: overloaded", is_error=True)
    assert only(log).status is Status.PARTIAL


# --- summary and outcome ----------------------------------------------------------------------------------------------


def test_summary_and_outcome_tell_what_was_done_and_the_facts():
    log = Log().ask("Make the parser keep comments").say("Let me look at the lexer:").read("src/lexer.py")
    log.say("Now let me edit it.").edit("src/lexer.py", "src/lexer.py", "src/parser.py").run(
        "pytest -q", result="12 passed"
    )
    log.commit("Keep comments in the parse tree", body="Add a token kind for comments and keep it in the tree.")
    log.run("git push").say(
        "Done! I've added a token kind for comments. Let me know if you want more.\n\n```\ncode\n```"
    )
    one = only(log)
    assert one.outcome is not None
    assert "Added a token kind for comments" in one.outcome.text
    assert "Tests passed; committed 1a2b3c4d “Keep comments in the parse tree” and pushed." in one.outcome.text
    assert one.summary.endswith("Changed lexer.py and parser.py in 3 edits and ran pytest, passing.")
    for noise in ("Let me", "```", "**", "I've"):
        assert noise not in one.summary + one.outcome.text


def test_a_push_behind_a_commit_with_a_long_message_is_seen():
    log = Log().ask("Fix the parser").say("On it.").edit("a.py")
    log.run("git commit -m \"$(cat <<'EOF'\nSubject\n\nBody; make test\nEOF\n)\" && git push", result="done")
    one = only(log.say("Fine."))
    assert one.outcome is not None
    assert one.outcome.text == "Committed “Subject” and pushed."


def test_a_refused_command_counts_as_no_check():
    log = (
        Log()
        .ask("Run the tests")
        .call("Bash", command="pytest", result="The user doesn't want to proceed with this tool use.", error=True)
    )
    assert only(log.say("You stopped me.")).status is Status.DONE


def test_an_answer_is_the_outcome_of_a_question():
    log = Log().ask("does the parser keep comments?").say("Let me check.").read("a.py")
    log.say("No, the lexer drops comments before the parser sees them.")
    one = only(log)
    assert one.outcome is not None
    assert one.outcome.text == "The lexer drops comments before the parser sees them."
    assert log.events[one.outcome.event - 1].text.startswith("No, the lexer")


def test_facts_are_counted():
    log = (
        Log()
        .ask("Fix")
        .say("On it.")
        .read("a.py")
        .edit("a.py", "a.py")
        .call("Write", error=True, result="no")
        .commit("Fix the thing well")
    )
    log.events[2].usage = Usage(10, 20, 30, 40)
    log.events[4].usage = Usage(1, 2, 3, 4)
    one = only(log.say("Done."))
    assert [(file.path, file.verb, file.times) for file in one.files] == [("a.py", Verb.EDITED, 3)]
    assert [(commit.sha, commit.subject) for commit in one.commits] == [("1a2b3c4d", "Fix the thing well")]
    assert log.events[one.commits[0].event - 1].commits
    assert (one.usage, one.tokens) == (Usage(11, 22, 33, 44), 77)
    assert (one.errors, one.prompts, one.phase) == (1, 1, Phase.EDIT)
    assert (one.started_at, one.ended_at) == (log.events[0].at, log.events[-1].at)


def test_the_body_of_a_commit_is_read_from_its_command():
    command = "git commit -m \"$(cat <<'EOF'\nSubject\n\nAdd a thing.\n\nCo-Authored-By: X <x@y>\nEOF\n)\""
    assert body_of(command) == "Add a thing."
    assert body_of("git commit -m 'Subject' -m 'Add a thing.'") == "Add a thing."
    assert body_of("git commit -m 'Subject'") == body_of("echo hi") == ""


# --- lines ------------------------------------------------------------------------------------------------------------


def test_decisions_are_choices():
    log = (
        Log()
        .ask("Store the sessions")
        .say("I'll use blocks instead of one row per event, because rows are slow.")
        .edit("a.py")
    )
    log.say("The network should be better now. It returns None instead of a list. I'm waiting rather than polling.")
    log.ask("no, never delete the raw log").say("Right.").edit("a.py").say("I've kept the raw log.")
    one = only(log)
    assert texts(one.key_decisions) == [
        "Asked for: “no, never delete the raw log”.",
        "Use blocks instead of one row per event, because rows are slow.",
    ]
    assert [log.events[line.event - 1].kind for line in one.key_decisions] == [Kind.PROMPT, Kind.ANSWER]


def test_answers_to_a_form_and_picked_options_are_decisions():
    log = (
        Log()
        .ask("Store the sessions")
        .say("Two ways:\n\n1. Rows in the database\n2. Blocks of events\n\nWhich one?")
        .ask("2")
    )
    log.say("Fine.").edit("a.py").questions("Compress the blocks?", "Yes, with zstd").say("I've stored blocks.")
    assert texts(only(log).key_decisions) == [
        "Chose option 2: Blocks of events.",
        "Compress the blocks? → Yes, with zstd",
    ]


def test_next_steps_come_from_the_last_words_and_the_open_list():
    log = (
        Log()
        .ask("Store the sessions")
        .say("On it.")
        .edit("a.py")
        .todo(write_the_tests="pending", store_the_blocks="done")
    )
    log.say(
        "I've stored them.\n\n## Next steps\n- Measure the size\n- Write the page\n\nThe index still needs to be built."
    )
    assert texts(only(log).next_steps) == [
        "Measure the size.",
        "Write the page.",
        "The index still needs to be built.",
        "Write the tests.",
    ]


def test_offers_and_failing_checks_are_next_steps():
    log = Log().ask("Fix the parser").say("On it.").edit("a.py").run("pytest", code=1, result="1 failed")
    failing = len(log.events)
    log.say("I've changed the lexer. Would you like me to commit all these changes? Shall I do it now? Let me know.")
    one = only(log)
    assert texts(one.next_steps) == ["Commit all these changes (offered).", "Get tests to pass again."]
    assert [line.event for line in one.next_steps] == [failing + 1, failing]


def test_reports_and_plans_are_no_next_steps():
    log = Log().ask("Fix the parser").say("On it.").edit("a.py")
    log.say("Branch is clean. Draft PR created. I'd call this ready to merge. Build passes now. Let me know.")
    assert not only(log).next_steps


def test_what_was_announced_and_done_is_told():
    log = Log().ask("more review comments").say("Now let me guard the lexer against empty input:").edit("lexer.py")
    one = only(log.say("Anything else?"))
    assert one.title == "Guard the lexer against empty input"
    assert one.summary.endswith("Guarded the lexer against empty input. Changed lexer.py.")


def test_a_check_must_be_a_command():
    log = Log().ask("Where is pytest used?").run('rg "pytest" package.json bun.lock', code=1, result="")
    assert only(log.say("It is not used anywhere in this repository.")).status is Status.DONE


def test_an_edit_that_was_turned_down_changed_nothing():
    log = Log().ask("Create it").say("I write it.")
    log.call("Write", touches=(Touch("a.py", Verb.WRITTEN),), error=True, result="The user doesn't want to proceed")
    assert not only(log.interrupt()).files


def test_questions_stay_open_until_a_prompt_answers_them():
    log = piece(Log(), "parser", commit=False)
    log.say("I've finished the lexer. Should the parser keep trailing commas in lists?")
    answered = len(log.events)
    piece(log, "billing")
    first, _ = segment(log.events)
    assert texts(first.open_questions) == ["Should the parser keep trailing commas in lists?"]
    assert first.open_questions[0].event == answered
    replied = Log()
    replied.events, replied.at = log.events[:answered], log.at
    replied.ask("yes, keep the trailing commas").say("Good.").edit("src/parser/lexer.py").say("I've kept them.")
    assert not any(one.open_questions for one in segment(replied.events))


def test_small_talk_is_no_open_question():
    log = Log().ask("Explain the parser").say("The parser reads tokens from the lexer. Does that help? Anything else?")
    assert not only(log).open_questions


def test_a_plan_that_was_accepted_is_a_decision():
    log = Log()
    log.add(Kind.PROMPT, "Implement the following plan:\n\n# Cache the board\n\nText.", plan_accepted=True)
    assert texts(only(log.say("I start.").edit("a.py").say("Done.")).key_decisions) == [
        "Accepted the plan “Cache the board”."
    ]
