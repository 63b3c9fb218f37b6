"""Whose deed it was, what became of it, and what is left: the lines of a segment as a reviewer needs them."""

from __future__ import annotations

import pytest

from tests.transcripts.building import Log, only, outcome, texts
from transcripts.events import Kind, Touch, Verb
from transcripts.segment.prose import plain, tables
from transcripts.segment.said import as_report, without_lead

REFUSED = "The user doesn't want to proceed with this tool use. To tell you how to proceed, the user said:\n"


# --- whose deed -------------------------------------------------------------------------------------------------------


def test_what_others_did_is_no_deed_of_this_session():
    log = Log().ask("How does the other branch pass its tests?").say("I look.").read("harbour.py")
    log.say(
        "It never reaches the lexer, because the harbour is drawn first.\n\n### Relaxed checks for ships\n"
        "- removed markers of the coast\n- Replaced the whole zoom by a table of scales"
    )
    one = only(log)
    assert "Relaxed" not in one.summary + outcome(log)
    assert "Replaced" not in one.summary + outcome(log) + one.title


def test_a_participle_in_lower_case_heads_a_thing_and_no_deed():
    assert as_report("completed runs of the coast on the branch") == ""
    assert (
        as_report("I completed the runs of the coast on the branch") == "Completed the runs of the coast on the branch."
    )


def test_the_tense_of_a_statement_stays():
    assert as_report("The ships and the markers are committed to the chart.") == (
        "The ships and the markers are committed to the chart."
    )


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Left the chart untouched; it already has:", "Left the chart untouched"),
        ("Built the map from end to end:", "Built the map from end to end"),
        ("Added a section on tides that documents:", "Added a section on tides"),
        ("The symptom is:", ""),
        ("Drew the map.", "Drew the map."),
    ],
)
def test_a_colon_takes_what_it_led_to_along(text, kept):
    assert without_lead(text) == kept


def test_code_keeps_its_dots():
    assert plain("`git checkout .` in the reset , done") == "git checkout . in the reset, done"


# --- what became of it ------------------------------------------------------------------------------------------------


def test_work_that_was_taken_back_is_not_the_outcome():
    log = Log().ask("Show the tide on the harbour map").say("I'll put it into the header:").edit("map.py")
    log.say("I've added a tide table to the header of the map.")
    log.ask("it should not be in the header but below the map").say("Let me revert the header first.").edit("map.py")
    log.say("I've added a thin tide bar below the map.")
    assert outcome(log) == "Added a thin tide bar below the map."
    assert "header of the map" not in only(log).summary


def test_a_root_cause_is_told():
    log = Log().ask("Why are the markers gone?").say("I look.").edit("map.py")
    log.say("## Root cause\nThe zoom drops every marker below the third level.\n\n## Fix\nI've kept them in the index.")
    assert "The zoom drops every marker below the third level." in only(log).summary


def test_an_answer_with_a_verdict_is_the_outcome_of_a_question():
    log = (
        Log()
        .ask("Are the two maps the same?")
        .say("I compare.")
        .read("a.py")
        .say("Both draw the coast.\n\n**Verdict:** The two maps differ only in the names of their harbours.")
    )
    assert outcome(log) == "The two maps differ only in the names of their harbours."


def test_a_table_of_results_is_read():
    table = "| Check | Command | Result |\n|---|---|---|\n| Coast | `a` | drawn |\n| Ships | `b` | missing |"
    assert list(tables(table)) == [
        (["Check", "Command", "Result"], [["Coast", "a", "drawn"], ["Ships", "b", "missing"]])
    ]
    log = Log().ask("Does the map still work?").say("I try.").read("map.py").say(f"Here you are.\n\n{table}")
    assert outcome(log) == "Coast: drawn; Ships: missing."


def test_a_cut_quote_says_that_it_is_cut_and_logs_are_not_quoted():
    log = Log().ask("12:00:01 ERROR map failed [core] [io]\nPlease look why " + "the harbour map is drawn twice " * 12)
    one = only(log.say("Hm."))
    assert "ERROR" not in one.summary
    assert " …”" in one.summary


# --- decisions --------------------------------------------------------------------------------------------------------


def test_words_with_a_refusal_are_a_decision_and_no_error():
    log = Log().ask("Draw the map and push").say("I push.")
    log.call("Bash", command="git push -u origin map", result=f"{REFUSED}rebase onto main first", error=True)
    one = only(log.say("I rebase."))
    assert texts(one.key_decisions) == ["Did not allow “git push -u origin map”: “rebase onto main first”."]
    assert one.errors == 0


def test_words_right_after_a_refusal_are_its_reason():
    def decided(*between: str) -> list[str]:
        log = Log().ask("Draw the map and test it").say("I draw.").edit("map.py").say("I test.")
        log.call("Bash", command="make test", result="The user doesn't want to proceed with this tool use.", error=True)
        log.interrupt()
        for text in between:
            log.say(text)
        return texts(only(log.ask("never mind, later\n\nprint the map").say("It is printed.")).key_decisions)

    assert decided() == ["Did not allow “make test”: “never mind, later”."]
    assert decided("Then I print it.") == []  # they answer that


def test_a_queued_text_counts_unless_it_comes_again_or_is_a_notice():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py")
    log.add(Kind.SYSTEM, "please rename the harbours too", data={"queued": True})
    log.add(Kind.SYSTEM, '{"task_id": "b1"}', data={"queued": True})
    log.edit("map.py").say("I've drawn the map.")
    assert texts(only(log).key_decisions) == ["Asked meanwhile: “please rename the harbours too”."]
    log.ask("please rename the harbours too").say("They are.")
    assert not any("meanwhile" in text for text in texts(only(log).key_decisions))


def test_what_the_model_would_not_do_is_a_decision():
    log = Log().ask("Draw the map and push directly to main").say("I draw.").edit("map.py")
    log.say("I take a branch; I will not push directly to main because the rules of this project forbid it.")
    log.run("git push origin draw-map", result=" * [new branch]  draw-map -> draw-map").say("The map is drawn for you.")
    assert texts(only(log).key_decisions) == [
        "Will not push directly to main because the rules of this project forbid it."
    ]
    assert "ushed draw-map" in outcome(log)


def test_the_name_of_an_accepted_plan_stays_as_it_is():
    log = Log()
    log.add(Kind.PROMPT, "Implement this plan:\n\n# MAP-7: Crash of an empty map\n\nIt crashes.", plan_accepted=True)
    one = only(log.say("I guard.").edit("map.py").say("I've guarded the empty map."))
    assert texts(one.key_decisions) == ["Accepted the plan “MAP-7: Crash of an empty map”."]


def test_what_was_meant_stands_with_a_queued_text_that_only_points():
    def decided(text: str, reply: str) -> list[str]:
        log = Log().ask("Draw the map").say("I draw.").edit("map.py")
        log.add(Kind.SYSTEM, text, data={"queued": True})
        return texts(only(log.edit("ship.py").say(reply).edit("map.py").say("There.")).key_decisions)

    reply = "You want other names for all of the harbours. Let me see."
    assert decided("can we rename them all?", reply) == [
        "Asked meanwhile: “can we rename them all?” Understood as: “You want other names for all of the harbours.”"
    ]
    assert decided("please rename the harbours too", reply) == ["Asked meanwhile: “please rename the harbours too”."]
    assert decided("can we rename them all?", "Let me rename all of the harbours now.") == [
        "Asked meanwhile: “can we rename them all?”"
    ]
    assert decided("can we rename them all?", "Sure.") == ["Asked meanwhile: “can we rename them all?”"]


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (
            "| Decision | Choice | Why |\n|---|---|---|\n| Markers | **Circles** | old |\n| Ships | Left out | |",
            ["Markers: Circles.", "Ships: Left out."],
        ),
        ("| Issue | State | Decision |\n|---|---|---|\n| #12 depths | open | Defer it. |", ["#12 depths: Defer it."]),
        ("| Issue | State |\n|---|---|\n| #12, a decision | open |", []),
        ("| Decision |\n|---|\n| Circles |", []),  # of what?
        ("| Decision | Choice |\n|---|---|\n| Markers |", []),
    ],
)
def test_decisions_stand_in_tables(table, found):
    plan = (
        Log().ask(f"Implement the following plan:\n\n# Draw the harbour map\n\n{table}").say("I draw.").edit("map.py")
    )
    assert texts(only(plan.say("I've drawn the map of the harbour.")).key_decisions) == found
    told = Log().ask("Draw the harbour map").say("I draw.").edit("map.py").say(f"I've drawn it.\n\n{table}")
    assert texts(only(told).key_decisions) == found


def test_decisions_stand_in_sections_and_in_the_opening_words():
    log = Log().ask("yeah let's abandon the coast, and draw the harbour from scratch on a new sheet").say("I draw.")
    log.edit("map.py").say("## Design decisions\n- Harbours are circles of one size\n\nNames: by design in grey.")
    assert texts(only(log).key_decisions) == [
        "Asked for: “yeah let's abandon the coast, and draw the harbour from scratch on a new sheet”.",
        "Harbours are circles of one size.",
        "Names: by design in grey.",
    ]


# --- what is left -----------------------------------------------------------------------------------------------------


def test_what_was_put_off_is_a_next_step():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py")
    log.say("I've drawn the map. And yes, moving the legend is a great follow-up.")
    log.ask("thanks").say("You are welcome.")
    assert texts(only(log).next_steps) == ["Moving the legend is a great follow-up."]


def test_the_last_prompt_is_open_while_the_model_is_at_it():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say("I've drawn the map.").ask("please push")
    assert texts(only(log.run("git status")).next_steps) == ["Finish what was asked last: “please push”."]


def test_it_is_the_pull_request():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py")
    log.say("I've drawn the map in PR #7. Want me to mark it ready for review?")
    assert texts(only(log).next_steps) == ["Mark PR #7 ready for review (offered)."]


def test_options_are_an_open_question_with_what_they_are():
    ways = "1. Paint the coast first\n2. Leave the coast as it is"
    log = Log().ask("Draw the map").say(f"I looked. Two ways:\n\n{ways}\n\nWhich one do you want?")
    assert texts(only(log).open_questions) == [
        "Which one do you want: paint the coast first, or leave the coast as it is?"
    ]
    log = Log().ask("Draw the map").say("I draw.").edit("map.py").say(f"The printer refuses it.\n\nOptions:\n{ways}")
    assert texts(only(log).open_questions) == ["Which of these: paint the coast first, or leave the coast as it is?"]
    assert not only(Log().ask("Draw it").say("I looked. Which do you prefer?")).open_questions


# --- titles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prompt", "answer", "title"),
    [
        ("ask me questions about the map", "The fix is to move the coast line.", "Move the coast line"),
        ("I see it twice here", "The fix is simple — keep one harbour per name:", "Keep one harbour per name"),
        (
            "You paint.\n\nYour task: Add a second colour to the coast",
            "I look.",
            "Add a second colour to the coast",
        ),
    ],
)
def test_titles_name_the_matter(prompt, answer, title):
    log = Log().ask(prompt).say(answer)
    log.call("Edit", touches=(Touch("map.py", Verb.EDITED),))
    assert only(log.say("There.")).title == title


# --- parts ------------------------------------------------------------------------------------------------------------

PARTS = """The harbour map is done with all its parts.

## Summary: the harbour map

### Bug 1 (Ships on land) — `map.py`
Ships on the map were drawn first. Added a test for the coast before a ship is drawn. Added a note on it
to the map of the harbour.

### Bug 2: Markers are lost
- Kept the markers over a zoom

### Follow-on fix (depths)
- `drawDepths` now falls back to the depths of the older chart

### Verification
All tests pass."""


def test_the_parts_of_a_piece_of_work_are_listed_with_what_was_done_in_each():
    one = only(Log().ask("Draw the harbour map").say("I draw.").edit("map.py").say(PARTS))
    assert one.summary.split("\n\n") == [
        "- Bug 1 (Ships on land): Ships on the map were drawn first. Added a test for the coast "
        "before a ship is drawn. Added a note on it "
        "to the map of the harbour.\n"
        "- Bug 2: Markers are lost: Kept the markers over a zoom.\n"
        "- Follow-on fix (depths): drawDepths now falls back to the depths of the older chart.",
        "Changed map.py.",
    ]
    assert one.outcome and one.outcome.text == "The harbour map is done with all its parts."


def test_parts_of_which_little_is_told_are_named():
    told = (
        PARTS.replace("Kept the markers", "The markers").replace("now falls", "falls").replace("Added", "A little of")
    )
    assert only(Log().ask("Draw the harbour map").say("I draw.").edit("map.py").say(told)).summary.startswith(
        "In parts: Bug 1 (Ships on land); Bug 2: Markers are lost; Follow-on fix (depths)."
    )


@pytest.mark.parametrize(
    "text",
    [
        PARTS.replace("Bug 2: Markers are lost", "What else").replace("Follow-on fix", "Notes"),  # one part is no list
        "There are two.\n\n### Option 1\nCircles.\n\n### Option 2\nSquares.",
    ],
)
def test_other_headings_are_no_parts(text):
    log = Log().ask("Draw the harbour map").say("I draw.").edit("map.py")
    assert "In parts" not in only(log.say(text)).summary


def test_an_answer_to_a_question_has_no_parts():
    log = Log().ask("What is wrong with the harbour map?").say("I look.").read("map.py")
    assert "In parts" not in only(log.say(PARTS)).summary


def test_an_offer_is_a_next_step_that_is_called_so():
    log = Log().ask("Draw the map").say("I draw.").edit("map.py")
    one = only(log.say("I've drawn it. Want me to print the map for the pilots?"))
    assert texts(one.next_steps) == ["Print the map for the pilots (offered)."]


@pytest.mark.parametrize(
    ("offer", "then", "told"),
    [
        (
            "Want me to file a ticket for that?",
            "Draw the depths",
            ["File a ticket (offered): “Ships sail through rocks there.”"],
        ),
        ("Should I open an issue on the rocks?", "Draw the depths", ["Open an issue on the rocks (offered)."]),
        ("Want me to file a ticket for that?", "yes please", []),
        ("Want me to print the map for the pilots?", "Draw the depths", []),  # nobody wanted it, and it is over
    ],
)
def test_an_offer_to_note_something_stays_a_next_step_until_somebody_takes_it(offer, then, told):
    log = (
        Log()
        .ask("Draw the map")
        .say("I draw.")
        .edit("map.py")
        .say(f"I've drawn it. Ships sail through rocks there. {offer}")
    )
    log.ask(then).say("I go on.").edit("map.py")
    assert texts(only(log.say("I've drawn the depths of the harbour.")).next_steps) == told


def test_what_the_model_chose_to_leave_stands_with_the_words_that_overrule_it():
    log = Log().ask("Rename the harbour").say("I rename it.").edit("map.py")
    log.say("The others are older. I'll leave those alone since nobody asked.").edit("chart.py")
    log.add(Kind.SYSTEM, "can we rename them all?", data={"queued": True})
    log.say("You want other names for all of the harbours.").edit("map.py")
    assert texts(only(log.say("I've renamed all the harbours.")).key_decisions) == [
        "Asked meanwhile: “can we rename them all?” Before that the model had said: "
        "“I'll leave those alone since nobody asked.”"
    ]


def test_a_long_summary_stands_in_paragraphs_and_a_short_one_in_one():
    def summary_with(ships: str) -> str:
        log = (
            Log()
            .ask("Draw the ships of the harbour map first")
            .say("I draw.")
            .edit("map.py")
            .run("pytest", code=1, result="1 failed")
        )
        log.say(f"The problem is that {ships}are drawn before the coast of the harbour.").edit("map.py")
        log.run("pytest", result="3 passed")
        log.say(f"I've drawn the ships. Added a test for the order of {ships}.")
        return only(log).summary

    assert "\n" not in summary_with("ships ")
    told = summary_with("ships-of-the-pilots-of-the-harbour " * 5).split("\n\n")
    assert [part.partition(" ")[0] for part in told] == ["Added", "Checks", "Changed"]
