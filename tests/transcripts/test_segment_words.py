"""What the segments say: quotes with their events and reasons, people's words, status, and what is left."""

from __future__ import annotations

import json

import pytest

from tests.transcripts.building import Log, only, outcome, texts
from transcripts.events import Kind, Todo, Touch, Usage, Verb
from transcripts.events import Status as TodoStatus
from transcripts.segmentation import Phase, Source, Status, segment
from transcripts.segmentation.people import answers_to, ordered_by_model
from transcripts.segmentation.ranges import describe
from transcripts.segmentation.text import blocks, is_question, own_words, quoted, sentences, unmarked, weight

REFUSED = "The user doesn't want to proceed with this tool use. To tell you how to proceed, the user said:\n"


# --- quoting ----------------------------------------------------------------------------------------------------------


def test_blocks_leave_out_code_tables_quotes_and_output():
    text = """## Summary
I've **fixed** the `parse()` bug, e.g. for quotes. It has now
gone on to a second line, which is long enough.

- Added a test 🎉
- [x] Removed [the old way](https://example.com/x)
- [ ] Write the docs

| a | b |
|---|---|
> a quote
```python
raise Exit
```
main on [$!?] v1.26.2 (us-east-2) 1m26s #12 %% 10942/1224 {}

See https://github.com/o/r/pull/12. It’s done."""
    assert [block.text for block in blocks(text)] == [
        "Summary",
        "I've fixed the `parse()` bug, e.g. for quotes. It has now gone on to a second line, which is long enough.",
        "Added a test 🎉",
        "Removed the old way",
        "Write the docs",
        "See https://github.com/o/r/pull/12. It’s done.",
    ]
    assert blocks(text)[0].level == 2
    assert [block.text for block in blocks(text) if block.is_open] == ["Write the docs"]


def test_a_fence_that_never_ends_hides_what_follows():
    assert [block.text for block in blocks("Before it.\n```\ncode. More code.")] == ["Before it."]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Grüße aus Köln. Ça marche? Oui.", ["Grüße aus Köln.", "Ça marche?", "Oui."]),
        ("了解しました。テストを直します！次は？", ["了解しました。", "テストを直します！", "次は？"]),
        ("他说：“好了。”然后走了。", ["他说：“好了。”", "然后走了。"]),
        ("Use e.g. Foo here. Version 1.2. Then go", ["Use e.g. Foo here.", "Version 1.2. Then go"]),
        ("See `a. B` there. Done", ["See `a. B` there.", "Done"]),
        ("Wait... what is it? No", ["Wait... what is it?", "No"]),
        (
            "we changed the target. did we do it well? yes! go on",
            ["we changed the target.", "did we do it well?", "yes!", "go on"],
        ),
        ("use ships etc. and e.g. coasts, v1.2. and so on", ["use ships etc. and e.g. coasts, v1.2. and so on"]),
        ("لماذا؟ لا أعرف.", ["لماذا؟", "لا أعرف."]),
        ("", []),
    ],
)
def test_sentences_are_whole_in_any_script(text, found):
    assert sentences(text) == found


def test_only_marks_are_taken_off():
    assert unmarked("**Bold** and `**code**` → *soft* [link](x) snake_case 2 * 3 * 4") == (
        "Bold and `**code**` → soft link snake_case 2 * 3 * 4"
    )
    assert unmarked("**`map.py`** — drawn") == "`map.py` — drawn"


def test_a_cut_is_marked_and_lies_at_the_end_of_a_sentence():
    text = "One is here. Two is here. Three is here."
    assert quoted(text, 26) == ["One is here. Two is here. …"]
    assert quoted(text, 400) == [text]
    assert quoted(f"{text}\n\nFour is here.", 400, 2) == [text, "Four is here."]
    assert quoted("Endless " * 200, 26) == ["Endless Endless Endless …"], "at a word's end, where nothing shorter is"
    assert quoted("first the long map of it, then all of the ships. More.", 30) == ["first the long map of it, …"]
    assert quoted("Here is what I did:\n\n- Drew it.", 100) == []
    assert quoted("- Drew the map.\n- Drew the coast.", 100) == ["Drew the map.", "Drew the coast."], "one says little"
    assert quoted("Perfect! Here it all is:\n\n- A\n\nAll of the ships are on the map now.", 100) == [
        "Perfect! …",
        "All of the ships are on the map now.",
    ]


def test_questions_end_as_questions_do_in_their_script():
    assert all(map(is_question, ("Is it?", "是吗？", "كيف؟", "(Is it?)", "“Is it?”")))
    assert not any(map(is_question, ("It is.", "Is it? No.", "")))


def test_weight_is_nearly_the_same_in_all_scripts():
    assert weight("yes, go on") == 3
    assert weight("はい、続けて") == 3
    assert weight("- ## 12") == 1


def test_around_a_paste_only_the_persons_lines_stay():
    paste = "\n".join(f"  at step_{number} (map.js:{number}:12)" for number in range(8))
    tail = "Error: Process completed with exit code 1."
    said = own_words(f"the map is gone since monday\n{paste}\n{tail}\n\nplease draw it anew")
    assert [block.text for block in blocks(said)] == ["the map is gone since monday", "please draw it anew"]
    prose = "\n".join(["the ships should sail on the map"] * 8)
    assert own_words(prose) == prose


# --- titles -----------------------------------------------------------------------------------------------------------


def title(log: Log) -> tuple[str, str]:
    (line,) = only(log).sentences["title"]
    assert line.text == only(log).title
    return line.text, line.reason


def drawn(prompt: str) -> Log:
    return Log().ask(prompt).say("I draw the harbour map.").edit("harbour/map.py").say("The harbour map is drawn.")


def test_the_first_whole_sentence_of_the_prompt_is_the_title_word_for_word():
    said = "please draw the harbour map, with no ships at all. And soon."
    assert title(drawn(said)) == (
        "please draw the harbour map, with no ships at all.",
        "the prompt that began it",
    )


def test_a_negation_stays_where_it_is():
    log = drawn("No tests cover the harbour map.")
    assert title(log)[0] == "No tests cover the harbour map."


def test_the_program_knows_a_title_of_the_whole():
    log = drawn("Go on with it then, please")
    log.add(Kind.TITLE, "Locate the harbour on its map")
    assert title(log) == ("Locate the harbour on its map", "the program's own title")


def test_a_plan_gives_its_heading():
    log = drawn("Implement the following plan:\n\n# Ships on the harbour map\n\nThere are none.\n\n## Steps\n\nDraw.")
    assert title(log) == ("Ships on the harbour map", "the plan's heading")


def test_a_commit_names_what_a_yes_began():
    log = Log().ask("yes").say("On it.").edit("harbour.py").commit("Keep markers when the zoom changes")
    assert title(log.say("Done.")) == ("Keep markers when the zoom changes", "the commit that it led to")


def test_pasted_output_and_slash_commands_are_no_titles():
    pasted = "main on [$!?] via v1.26.2 (us-east-2) 1m26s\nWhy does the harbour map fail?"
    assert title(drawn(pasted))[0] == "Why does the harbour map fail?"
    log = Log().ask("/review 12 --all --the things").say("I look at the map of the harbour.").read("map.py")
    assert title(log.say("It is fine.")) == ("I look at the map of the harbour.", "what the model said of it")


def test_the_title_before_is_not_used_again():
    log = Log()
    for _ in range(3):
        log.ask("Draw the harbour map").say("On it.").edit("map.py").commit("Draw it", sha="1a2b3c4d").say("There.")
        log.pause(60)
    found = [one.title.casefold() for one in segment(log.events)]
    assert len(set(found)) == len(found)


def test_without_any_words_the_files_are_the_title():
    log = Log()
    log.edit("map.py", "coast.py")
    assert title(log) == ("Edits in map.py and coast.py", "title of files")
    assert only(log).sentences["title"][0].source == Source.FACT
    log = Log()
    log.add(Kind.SYSTEM, "hello")
    assert title(log) == ("Work without words", "title of nothing")


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


def test_a_summary_is_why_then_what_then_what_people_said():
    log = Log().ask("Draw the harbour map. It must be big.").say("I draw.").edit("map.py").say("Drawn.")
    log.ask("why is the coast so grey, by the way?").say("It is old.").edit("map.py").say("Now it is not.")
    one = only(log)
    assert one.summary == (
        "Draw the harbour map. It must be big.\n\nEdited map.py.\n\nwhy is the coast so grey, by the way?"
    )
    assert [(line.source, line.event) for line in one.sentences["summary"]] == [
        ("quote", 1), ("fact", 8), ("quote", 6),
    ]  # fmt: skip


def test_the_outcome_is_the_first_sentences_of_the_last_answer_and_then_facts():
    log = (
        Log().ask("Make the parser keep comments").say("Let me look:").edit("lexer.py").run("pytest", result="1 passed")
    )
    log.commit("Keep comments in the parse tree")
    log.say("Comments are **kept** now. They were not before.\n\n```\ncode\n```\n- a detail")
    one = only(log)
    assert texts(one.sentences["outcome"]) == [
        "Comments are kept now. They were not before.",
        "Ran `pytest`: passed.",
        "Committed 1a2b3c4d “Keep comments in the parse tree”.",
    ]
    assert outcome(log) == " ".join(texts(one.sentences["outcome"]))
    assert [line.event for line in one.sentences["outcome"]] == [9, 6, 8]


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


def test_a_check_must_be_a_command():
    log = Log().ask("Where is pytest used?").run('rg "pytest" package.json bun.lock', code=1, result="")
    assert only(log.say("It is not used anywhere in this repository.")).status is Status.DONE


def test_an_edit_that_was_turned_down_changed_nothing():
    log = Log().ask("Create it").say("I write it.")
    log.call("Write", touches=(Touch("a.py", Verb.WRITTEN),), error=True, result="The user doesn't want to proceed")
    assert not only(log.interrupt()).files


# --- decisions --------------------------------------------------------------------------------------------------------


def decided(log: Log) -> list[str]:
    return texts(only(log).key_decisions)


def working() -> Log:
    return Log().ask("Draw the harbour map").say("I draw.").edit("map.py")


def test_what_people_ruled_on_the_way_is_quoted():
    log = working().say("Drawn.").ask("use circles for the ships instead of squares").say("Right.").edit("map.py")
    log.say("Circles now.").ask("thanks, very nice").say("You are welcome.")
    assert decided(log) == ["use circles for the ships instead of squares"]
    (line,) = only(log).key_decisions
    assert (line.source, line.event) == ("quote", 6)


def test_questions_thanks_and_errands_are_no_rulings():
    log = working().say("Drawn.").ask("what about the ships over there?").say("They sail.").edit("map.py").say("So.")
    log.ask("ok thanks").say("You are welcome.").edit("map.py").say("So.")
    log.ask("now commit all of this and push it").run("git commit -am x && git push").say("Pushed.")
    assert decided(log) == []


def test_what_was_typed_while_the_model_worked_counts_unless_it_comes_again():
    log = working()
    log.add(Kind.SYSTEM, "please rename the harbours too", data={"queued": True})
    log.add(Kind.SYSTEM, '{"task_id": "b1"}', data={"queued": True})
    log.edit("map.py").say("I've drawn the map.")
    assert decided(log) == ["please rename the harbours too"]
    log.ask("please rename the harbours too").say("They are.").edit("map.py").say("So.")
    assert [line.event for line in only(log).key_decisions] == [log.events.index(log.events[-5]) + 1]


def test_machine_prompts_are_nobodys_words():
    log = working()
    log.call("ScheduleWakeup", json.dumps({"prompt": "Check the pull request again and report what it says"}))
    log.say("I wait.").ask("Check the pull request again and report what it says").say("Nothing yet.").edit("map.py")
    log.ask("<task-notification>the task b1 ended well</task-notification>").say("It ended.").edit("map.py").say("So.")
    assert ordered_by_model(log.events) == {"Check the pull request again and report what it says"}
    one = describe(log.events, 1, len(log.events))
    assert not one.key_decisions
    assert "Check the pull" not in one.summary


def test_answers_to_the_programs_questions_are_decisions_whatever_they_hold():
    asked = ['Use "zstd", or {gzip}?', "Which colour?"]
    given = json.dumps({"questions": [{"question": question} for question in asked]})
    answer = f'User has answered your questions: "{asked[0]}"="Yes, "zstd"", "{asked[1]}"="Blue". You can now continue.'
    log = working().call("AskUserQuestion", given, result=answer).say("So.")
    assert decided(log) == [
        '“Use "zstd", or {gzip}?” → “Yes, "zstd"”',
        "“Which colour?” → “Blue”",
    ]
    assert answers_to(log.events[-3], log.events[-2]) == {asked[0]: 'Yes, "zstd"', asked[1]: "Blue"}
    assert not only(log).open_questions


def test_codex_answers_by_id():
    given = json.dumps({"questions": [{"id": "q1", "question": "Which colour?"}]})
    result = json.dumps({"answers": {"q1": {"answers": ["Blue"]}}})
    assert decided(working().call("request_user_input", given, result=result).say("So.")) == [
        "“Which colour?” → “Blue”"
    ]


def test_words_with_a_refusal_are_a_decision_and_no_error():
    log = working()
    log.call("Bash", command="git push -u origin map", result=f"{REFUSED}rebase onto main first", error=True)
    one = only(log.say("I rebase."))
    assert texts(one.key_decisions) == ["Refused `git push -u origin map`: “rebase onto main first”"]
    assert one.errors == 0


def test_what_the_program_says_for_a_person_is_not_theirs():
    stock = f"{REFUSED}The user wants to clarify these questions.\n    This means they may have more to say."
    given = json.dumps({"questions": [{"question": "Which colour?"}]})
    log = working().call("AskUserQuestion", given, result=stock, error=True).say("What is it?")
    assert decided(log) == []
    noted = f"{REFUSED}not like this\n\nNote: The user's next message may contain a correction or preference."
    log = working().call("Bash", command="make", result=noted, error=True).say("No.")
    assert decided(log) == ["Refused `make`: “not like this”"]


def test_an_accepted_plan_is_a_decision_with_its_heading():
    log = Log().ask("Think of a plan").say("I plan.")
    log.call("ExitPlanMode", json.dumps({"plan": "# Ships on the harbour map\n\nDraw."}), result="Approved.")
    log.events[-1].plan_accepted = True
    assert decided(log.edit("map.py").say("There.")) == ["A plan was accepted: “Ships on the harbour map”"]
    log = Log()
    log.add(Kind.PROMPT, "Implement this plan:\n\n# MAP-7: Crash of an empty map\n\nIt crashes.", plan_accepted=True)
    assert decided(log.say("I guard.").edit("map.py").say("There.")) == [
        "A plan was accepted: “MAP-7: Crash of an empty map”"
    ]


# --- what is left -----------------------------------------------------------------------------------------------------


def test_next_steps_are_open_todos_open_boxes_and_checks_that_fail():
    log = working().todo(write_the_tests="pending", store_the_blocks="done").run("pytest", code=1, result="1 failed")
    log.say("I've stored them.\n\n## Next\n- [ ] Measure the size\n- [x] Write the page\n- Something else")
    assert [(line.text, line.source, line.event) for line in only(log).next_steps] == [
        ("Measure the size", "quote", 9),
        ("write the tests", "quote", 5),
        ("Tests failed when last run: `pytest`.", "fact", 8),
    ]


def test_the_last_question_is_open_where_the_log_ends():
    log = working().say("Drawn. Should the coast be **grey**?")
    assert [(line.text, line.event) for line in only(log).open_questions] == [("Should the coast be grey?", 5)]
    assert not only(working().say("Should it? It should.")).open_questions
    assert not only(working().say("Should it be grey?").ask("yes")).open_questions


def test_a_question_in_the_programs_form_stays_open_where_nobody_answered():
    given = json.dumps({"questions": [{"question": "Which colour?"}]})
    assert texts(only(working().call("AskUserQuestion", given, result=None)).open_questions) == ["Which colour?"]
    log = working().call("AskUserQuestion", given, result=f"{REFUSED}later", error=True).ask("take the blue one then")
    assert not only(log.say("Blue.")).open_questions


def test_todos_that_the_next_work_goes_on_with_are_not_left():
    log = Log().ask("Draw the harbour map").say("I draw.")
    log.call("TodoWrite", todos=(Todo("draw the coast", TodoStatus.PENDING),)).edit("map.py")
    log.say("Half of it.")
    assert texts(only(log).next_steps) == ["draw the coast"]
