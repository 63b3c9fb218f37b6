"""Questions of people within a piece of work: what was answered, and what was put off."""

from __future__ import annotations

import pytest

from tests.transcripts.building import Log, only, outcome, texts


def asked(question: str, answer: str) -> str:
    """The summary of a piece of work that a question began."""
    log = Log().ask(question).say(answer).edit("map.py")
    return only(log.say("I've moved the ships of the harbour to a file of their own.")).summary


@pytest.mark.parametrize(
    ("question", "answer", "told"),
    [
        (
            "why is the map drawn so slowly?",
            "The slow map is an old story.\n\nThe reason: every marker opens the chart again.",
            "The slow map is an old story. The reason: every marker opens the chart again.",
        ),
        (
            "so why is the map drawn so slowly?",
            "It is an old story. The map is slow because every marker opens the chart again.",
            "The map is slow because every marker opens the chart again.",
        ),
        (
            "more comments... thoughts? - also, do we need both charts?",
            "Let me look.\n\n**Short answer**: Yes, for now — the pilots read the old one.",
            "Yes, for now — the pilots read the old one.",
        ),
        (
            "are there tests for the lexer?",
            "No, there are no direct tests of the lexer.",
            "No, there are no direct tests of the lexer.",
        ),
    ],
)
def test_an_answered_question_is_told_with_its_answer(question, answer, told):
    assert f"?” Answered: “{told}”" in asked(question, answer)


@pytest.mark.parametrize(
    "question",
    [
        "can you draw the ships too?",  # a request
        "can we fix them all?",
        "could you tell the lexer about ships?",
        "tell the lexer about ships",
    ],
)
def test_a_request_is_no_question(question):
    assert "Was asked" not in asked(question, "Yes, the lexer knows the ships now and draws them all.")


def test_the_last_words_of_a_turn_may_answer_with_a_sentence_about_what_was_asked():
    log = Log().ask("where is the lexer told about ships?").say("I look.").edit("notes.md")
    log.say("Here it is. The lexer is told about ships in harbour.py. I've added a note on the depth of the channel.")
    one = only(log)
    assert "?” Answered: “The lexer is told about ships in harbour.py.”" in one.summary


def test_words_that_only_point_back_or_announce_answer_nothing():
    said = asked("why is the map drawn so slowly?", "That's because of it. Let me look at the map again.")
    assert "?” Moved the ships" in said


def test_an_answer_that_the_outcome_holds_is_not_told_twice():
    log = Log().ask("why is the map drawn so slowly?").say("I look.").read("map.py")
    log.say("The map is slow because every marker opens the chart again.")
    assert outcome(log) == "The map is slow because every marker opens the chart again."
    assert "because" not in only(log).summary


def test_a_question_before_a_commit_names_the_segment_and_the_subject_is_no_new_deed():
    log = Log().ask("have we lost a cache? why is the map drawn so slowly?").say("I look.").read("map.py")
    log.say("The reason: every marker opens the chart again.").ask("commit it").commit("Draw the harbour map at once")
    one = only(log.say("Committed."))
    assert one.title == "Why is the map drawn so slowly?"
    assert "Drew the harbour map" not in one.summary
    assert "committed 1a2b3c4d “Draw the harbour map at once”" in outcome(log).replace("C", "c", 1)


def test_what_people_put_off_is_a_next_step_with_its_subject():
    log = Log().ask("Draw the harbour map").say("I've drawn the harbour map.").edit("map.py")
    log.ask("the suite seems to have crept up to 217s...").say("Let me see.").run("make test")
    one = only(
        log.ask("never mind, we'll look at it later.\n\ncommit and push").commit("Draw the harbour map").say("Done.")
    )
    assert texts(one.next_steps) == ["Come back to what was put off: “the suite seems to have crept up to 217s...”."]
    assert one.next_steps[0].event == 9


def test_nothing_is_put_off_where_nobody_knows_what():
    log = Log().ask("never mind, we'll look at it later.").say("Fine, later then.")
    assert texts(only(log).next_steps) == []


def test_a_question_that_ends_in_a_pull_request_says_so_in_its_title():
    log = Log().ask("why are the ships on land?").say("I look.").read("map.py")
    log.say("The reason: ships are drawn before the coast.").ask("open a PR").commit("Draw the coast first")
    log.run("gh pr create --draft", result="https://host.example/x/y/pull/7")
    assert only(log.say("Opened.")).title == "Why are the ships on land? Open PR #7"
