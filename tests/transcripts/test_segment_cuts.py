"""Where a session is cut, and that its segments tile it whatever comes."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transcripts.building import TOPICS, Log, piece
from transcripts.events import Event, Kind, Touch, Verb
from transcripts.segmentation import Segment, Status, segment
from transcripts.segmentation.cut import LONG, best_cuts, price
from transcripts.segmentation.steps import MAX_CALLS, Phase, steps_of


def assert_tiles(events: list[Event], segments: list[Segment]) -> None:
    assert [one.first for one in segments] == [1, *(one.last + 1 for one in segments[:-1])]
    assert segments[-1].last == len(events)
    assert [one.first_line for one in segments] == [1, *(one.last_line + 1 for one in segments[:-1])]
    assert segments[-1].last_line == max(event.line for event in events)
    assert all(one.first_line <= one.last_line for one in segments)
    assert [one.key for one in segments] == [events[one.first - 1].key for one in segments]


def opened_by(events: list[Event], segments: list[Segment]) -> list[str]:
    return [events[one.first - 1].text for one in segments]


def four_topics() -> Log:
    log = Log()
    for topic in TOPICS:
        piece(log, topic)
    return log


# --- steps ------------------------------------------------------------------------------------------------------------


def test_steps_tile_the_events_and_thinking_opens_the_answer_it_leads_to():
    log = Log().ask("Mend the parser").think().say("I look.").read("a.py").think().say("I mend.").edit("a.py")
    steps = steps_of(log.events)
    assert [(step.first, step.end) for step in steps] == [(0, 1), (1, 5), (5, 9)]
    assert [step.phase for step in steps] == [Phase.ASK, Phase.EXPLORE, Phase.EDIT]


def test_a_long_run_of_silent_calls_is_several_steps():
    log = Log().ask("Read it all").read(*(f"{n}.py" for n in range(2 * MAX_CALLS + 1)))
    assert [len(step.calls) for step in steps_of(log.events)] == [0, MAX_CALLS, MAX_CALLS, 1]


def test_a_sub_agents_events_belong_to_the_step_that_called_it():
    log = Log().ask("Explore").say("I send somebody.").call("Task", result=None)
    for _ in range(30):
        log.add(Kind.ANSWER, "I am the sub-agent", agent="a1")
    assert [step.end for step in steps_of(log.events)] == [1, 33]


def test_commands_that_the_client_answers_are_no_steps():
    log = Log().ask("/clear").ask("!ls").ask("/review 12").say("I review.")
    assert [step.prompt.text for step in steps_of(log.events) if step.prompt] == ["/review 12"]


@pytest.mark.parametrize(
    ("command", "phase"),
    [
        ("pytest -q tests", Phase.TEST),
        ("cd web && npm run lint", Phase.TEST),
        ("go build ./...", Phase.TEST),
        ("git push -u origin x", Phase.VCS),
        ('gh pr create --body "- [x] `npm run test`"', Phase.VCS),
        ("git commit -m 'go test passes'", Phase.VCS),
        ("cat <<'EOF' > notes.md\nrun go test\nEOF", Phase.EXPLORE),
        ("ls -la tests", Phase.EXPLORE),
        ("git diff main", Phase.EXPLORE),
    ],
)
def test_what_a_command_is_for(command, phase):
    step = steps_of(Log().ask("Go").run(command).events)[1]
    assert step.phase is phase


# --- cuts -------------------------------------------------------------------------------------------------------------


def test_an_empty_session_has_no_segments():
    assert segment([]) == []


def test_one_prompt_alone_is_one_segment_in_progress():
    events = Log().ask("Find out why the build fails").events
    (only,) = segment(events)
    assert (only.first, only.last, only.status) == (1, 1, Status.IN_PROGRESS)
    assert_tiles(events, [only])


def test_events_without_any_step_are_one_segment():
    log = Log()
    log.add(Kind.SYSTEM, "hello")
    log.add(Kind.TITLE, "A session")
    (only,) = segment(log.events)
    assert (only.first, only.last) == (1, 2)
    assert len(only.title.split()) >= 3


def test_a_short_session_stays_whole():
    log = (
        Log().ask("Fix the typo in the header").say("I look.").read("header.html").edit("header.html").say("Fixed it.")
    )
    assert len(segment(log.events)) == 1


def test_four_pieces_of_work_are_four_segments():
    events = four_topics().events
    segments = segment(events)
    assert opened_by(events, segments) == [order for order, *_ in TOPICS.values()]
    assert_tiles(events, segments)


def test_without_commits_the_words_and_files_tell():
    log = Log()
    for topic in TOPICS:
        piece(log, topic, commit=False)
    assert opened_by(log.events, segment(log.events)) == [order for order, *_ in TOPICS.values()]


@pytest.mark.parametrize("words", ["no, I meant the grammar of the quotes", "yes, go on", "commit and push"])
def test_corrections_consent_and_errands_open_no_segment(words):
    log = piece(Log(), "parser", commit=False)
    log.ask(words).say("Looking at how the quotes and the lexer fit together.").edit("src/parser/quotes.py").say(
        "Done."
    )
    piece(log, "billing")
    assert len(segment(log.events)) == 2


def talk(rounds: int, *, commit: bool = False) -> Log:
    """Questions and answers about one thing, with much reading and nothing changed."""
    log = Log()
    for number in range(rounds):
        log.ask(f"And what does the lexer of the parser do with quotes, number {number}?").say("I look at the lexer.")
        for _ in range(8):
            log.read("src/parser/lexer.py").say("The lexer of the parser reads quotes.")
    return log.commit("Note it") if commit else log


@pytest.mark.parametrize("rounds", [4, 6, 12])
def test_talk_without_commits_is_cut_at_its_prompts(rounds):
    log = talk(rounds)
    segments = segment(log.events)
    assert_tiles(log.events, segments)
    begun = [log.events[one.first - 1].kind is Kind.PROMPT for one in segments]
    assert sum(begun) >= 0.7 * len(begun), "length alone may cut as well"
    assert all(one.last - one.first < 100 or one.prompts <= 3 for one in segments)
    assert len(segments) >= 2


def test_talk_that_ends_in_a_commit_may_stay_whole():
    assert len(segment(talk(4, commit=True).events)) < len(segment(talk(4).events))


def test_what_wakes_the_model_is_a_border_of_its_own():
    log = Log().ask("Wait for the workers").say("I wait.").call("Task").say("They work.")
    notice = log.add(Kind.SYSTEM, "<task-notification>one ended</task-notification>", data={"injected": True})
    log.say("One ended.").read("a.py")
    log.add(Kind.SYSTEM, "a reminder", data={"injected": True})  # inside of a turn it is none
    log.say("The other one?")
    log.add(Kind.SYSTEM, "read by nobody", data={"injected": True})
    steps = steps_of(log.events)
    assert [step.prompt for step in steps if step.prompt] == [log.events[0], notice]


def test_closing_words_belong_to_what_was_committed():
    log = piece(Log(), "parser")  # ends with words after the commit
    piece(log, "map")
    first, second = segment(log.events)
    assert first.commits
    assert log.events[first.last - 1].kind is Kind.ANSWER
    assert log.events[second.first - 1].kind is Kind.PROMPT


def test_a_long_run_of_one_prompt_is_cut_all_the_same():
    log = Log().ask("Do all of it")
    for topic in TOPICS:
        words = TOPICS[topic][1:]
        for number in range(40):
            log.say(f"The {words[number % 3]} needs work.").edit(f"src/{topic}/{words[number % 3]}.py")
    segments = segment(log.events)
    assert 3 <= len(segments) <= 12
    assert max(one.last - one.first + 1 for one in segments) < 0.6 * len(log.events)


def test_events_of_one_line_stay_together():
    log = four_topics()
    for event in log.events:
        event.line = event.line // 7 + 1
    assert_tiles(log.events, segment(log.events))


def test_length_costs_only_where_a_segment_is_very_short_or_very_long():
    assert price(1) > price(2) > price(3) == price(LONG) == 0 < price(2 * LONG) < price(4 * LONG)


def test_cuts_are_worth_their_cost():
    scores = [0.0] * 30
    scores[10], scores[20] = 6.0, 3.0
    assert best_cuts(scores, [True] * 30) == [10]
    assert best_cuts(scores, [False] * 30) == []


KINDS = st.sampled_from(list(Kind))
TEXTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["yes", "no, not that", "Fix the parser", "```\ncut", "## Next", "?", "🙂 ok", "“Ünï”?"]),
)


@st.composite
def _events(draw: st.DrawFn) -> list[Event]:
    found = []
    line = 1
    for number in range(draw(st.integers(1, 60))):
        line += draw(st.integers(0, 3))
        found.append(
            Event(
                line=line,
                kind=draw(KINDS),
                key=f"k{number}",
                text=draw(TEXTS),
                at=draw(st.one_of(st.none(), st.integers(0, 10**12))),
                agent=draw(st.sampled_from(["", "", "", "a"])),
                call=draw(st.sampled_from(["", "c1", "c2"])),
                command=draw(st.sampled_from(["", "pytest", "git commit -m x", "git push"])),
                is_error=draw(st.booleans()),
                exit_code=draw(st.sampled_from([None, 0, 1])),
                touches=draw(st.sampled_from([(), (Touch("a/b.py", Verb.EDITED),), (Touch("", Verb.READ),)])),
            )
        )
    return found


@settings(max_examples=60, deadline=None)
@given(_events())
def test_whatever_comes_is_tiled_and_has_words(events):
    segments = segment(events)
    assert_tiles(events, segments)
    titles = [one.title.casefold() for one in segments]
    assert len(set(titles)) == len(titles)
    assert all(title and len(title) <= 80 for title in titles)
    for one in segments:
        for line in [*one.next_steps, *one.key_decisions, *one.open_questions, *([one.outcome] if one.outcome else [])]:
            assert line.text.strip()
            assert one.first <= line.event <= one.last


@pytest.mark.parametrize(
    "part", ["**a ", "__a ", "[a](", "A. ", "git ", "git commit <<EOF\n", 'git commit -m "', "(", "🎉 ", "1. "]
)
def test_no_text_makes_it_slow(part):
    text = part * (20_000 // len(part))
    log = Log().ask(text).say(text).run(text, result=text).ask(text).say("Fine.")
    began = time.perf_counter()
    segment(log.events)
    assert time.perf_counter() - began < 5  # a busy machine; alone less than a tenth of it


def test_ten_thousand_events_take_no_longer_than_seconds():
    log = Log()
    chance = random.Random(1)
    while len(log.events) < 10_000:
        piece(log, chance.choice(list(TOPICS)), steps=chance.randint(2, 12), commit=chance.random() < 0.5)
    began = time.perf_counter()
    segments = segment(log.events)
    assert time.perf_counter() - began < 15  # a busy machine; alone it takes about one
    assert_tiles(log.events, segments)


# --- a log that grows -------------------------------------------------------------------------------------------------


def test_settled_segments_keep_borders_and_words_when_the_log_grows():
    chance = random.Random(4)
    log = Log()
    for _ in range(25):
        piece(log, chance.choice(list(TOPICS)), steps=chance.randint(1, 9), commit=chance.random() < 0.6)
    before: list[Segment] = []
    seen: dict[str, Segment] = {}
    at = 0
    while at < len(log.events):
        at = min(len(log.events), at + chance.randint(1, 80))
        before = segment(log.events[:at], before)
        assert_tiles(log.events[:at], before)
        for one in before:
            if one.settled:
                assert seen.setdefault(one.key, replace(one)) == one
        assert set(seen) <= {one.key for one in before}
    assert len(seen) >= 10
    whole = {one.first for one in segment(log.events)}
    grown = {one.first for one in before}
    assert len(whole & grown) >= 0.8 * len(whole | grown)


def test_the_end_of_a_log_is_not_settled():
    assert not any(one.settled for one in segment(four_topics().events)[-2:])


def test_segments_of_another_log_are_not_kept():
    old = segment(four_topics().events)
    log = Log()
    for topic in reversed(TOPICS):
        piece(log, topic, steps=20)
    for one in old:
        one.settled, one.title = True, "Something else"
    for event in log.events:
        event.key = f"other{event.line}"
    found = segment(log.events, settled=old)
    assert_tiles(log.events, found)
    assert all(one.title != "Something else" for one in found)


def test_a_log_that_was_cut_short_does_not_keep_what_lies_behind_its_end():
    log = four_topics()
    old = segment(log.events)
    for one in old:
        one.settled = True
    shorter = log.events[: old[1].last - 3]
    assert_tiles(shorter, segment(shorter, settled=old))
