"""Every sentence of an outline is found letter by letter in its event, or is a template filled with facts that this
test counts again by itself. No exception, in no field, in no log at hand.

What takes the markup off here is written apart from what the segmenter uses, so that one fault does not hide another.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.segmenting import records
from tests.transcripts.building import TOPICS, Log, piece
from tests.transcripts.logs import SAMPLES
from tests.transcripts.test_segment_languages import ENGLISH, LANGUAGES, told
from transcripts.adapters import NoTranscript, read
from transcripts.events import Event, Kind, Verb
from transcripts.segmentation import Line, Segment, segment
from transcripts.segmentation.templates import TEMPLATES

LARGEST = 3_000_000  # bytes of a log that is read here
SLOT = re.compile(r"\{(\w+)\}")


# --- quotes, letter by letter -----------------------------------------------------------------------------------------


def bare(text: str) -> str:
    """Without what Markdown makes of signs: only letters, digits and what is said with them are compared."""
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\s]*\)", r"\1", text)
    text = re.sub(r"^\s*(?:#{1,6}\s|[-*+•]\s|\d+[.)]\s)\s*(?:\[[ xX]\]\s)?", "", text, flags=re.M)
    return "".join(text.replace("*", "").split())


def texts_of(event: Event) -> Iterator[str]:
    """What stands in an event: its text, and of a call or a result that is JSON, each of its strings."""
    yield event.text
    yield from (commit.subject for commit in event.commits)
    yield from (todo.text for todo in event.todos)
    if event.command:
        yield event.command
    try:
        given = json.loads(event.text)
    except ValueError:
        return
    waiting = [given]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


def is_quoted(said: str, event: Event) -> bool:
    said = bare(said.removesuffix(" …"))
    return bool(said) and any(said in bare(text) for text in texts_of(event))


def is_whole(said: str, event: Event) -> bool:
    """Does a quote of prose end where a sentence, a line or the text does, and begin so?"""
    if said.endswith(" …"):
        return re.search(r"[.!?…。！？؟।][\"'”’»)\]*」』）]*$", said.removesuffix(" …")) is not None
    return True


# --- facts, counted again ---------------------------------------------------------------------------------------------


def filled(line: Line) -> dict[str, str]:
    """What stands in the places of the line's template."""
    template = TEMPLATES[line.reason]
    pattern = "".join(
        f"(?P<{part}>.*?)" if place % 2 else re.escape(part) for place, part in enumerate(SLOT.split(template))
    )
    match = re.fullmatch(pattern, line.text, re.S)
    assert match, f"{line.text!r} is not made by {template!r}"
    return match.groupdict()


def numbered(text: str) -> int:
    return {"once": 1, "twice": 2, "none": 0}.get(text.split()[0]) or int(text.split()[0]) if text != "none" else 0


class Recount:
    """The facts of a segment, from its events alone."""

    def __init__(self, events: Sequence[Event], one: Segment) -> None:
        self.events = events
        self.own = [(number, events[number - 1]) for number in range(one.first, one.last + 1)]
        self.main = [(number, event) for number, event in self.own if not event.agent]
        self.failed = {event.call for _, event in self.own if event.kind is Kind.RESULT and event.is_error}
        self.results = {event.call: event for _, event in self.own if event.kind is Kind.RESULT}
        self.calls = {event.call: event for event in events if event.kind is Kind.CALL}

    def files(self, *verbs: Verb) -> set[str]:
        order = [Verb.READ, Verb.EDITED, Verb.WRITTEN, Verb.DELETED]
        strongest: dict[str, Verb] = {}
        for _, event in self.own:
            if event.call not in self.failed:
                for touch in event.touches:
                    known = strongest.get(touch.path, Verb.READ)
                    strongest[touch.path] = max(known, touch.verb, key=order.index)
        return {path for path, verb in strongest.items() if verb in verbs}

    def count(self, wanted: str) -> int:
        refused = (event.kind is Kind.RESULT and event.text.startswith("The user doesn't want to ") and event.is_error
                   for _, event in self.main)  # fmt: skip
        return {
            "helpers": sum(event.kind is Kind.CALL and event.tool in ("Task", "Agent") for _, event in self.main),
            "refused": sum(refused),
            "compacted": sum(event.kind is Kind.COMPACTION for _, event in self.main),
            "interrupted": sum(event.kind is Kind.INTERRUPTION for _, event in self.main),
        }[wanted]

    def check(self, line: Line) -> None:
        event, values = self.events[line.event - 1], filled(line)
        getattr(self, "_" + line.reason.replace(" ", "_"), self._shown)(line, event, values)

    def _named(self, values: dict[str, str], paths: set[str], least: int = 0) -> None:
        named = re.split(r", | and ", values["files"].removesuffix(" more"))
        assert all(any(path.endswith(name) for path in paths) or name.isdecimal() for name in named), (named, paths)
        if values["files"].endswith(" more"):
            assert len(named) - 1 + int(named[-1]) == len(paths), (values, paths)
        elif not least:
            assert len(named) == len(paths), (values, paths)

    def _written(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._named(values, self.files(Verb.WRITTEN))

    def _edited(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._named(values, self.files(Verb.EDITED))

    def _deleted(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._named(values, self.files(Verb.DELETED))

    def _read(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert not self.files(Verb.WRITTEN, Verb.EDITED, Verb.DELETED)
        self._named(values, self.files(Verb.READ))

    def _title_of_files(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._named(values, self.files(*Verb), least=1)

    def _title_of_nothing(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert line.text == "Work without words"

    def _part(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert values["number"].isdecimal()

    def _counted(self, line: Line, event: Event, values: dict[str, str]) -> None:
        (told,) = values.values()
        assert numbered(told) == self.count(line.reason), (line, self.count(line.reason))

    _helpers = _refused = _compacted = _interrupted = _counted

    def _end(self, end: str, result: Event) -> None:
        """What is told of how a check ended fits its exit code, and what stands in its output."""
        if end == "passed":
            assert not result.exit_code and not (result.is_error and result.exit_code is None), result
        elif end == "failed":
            assert result.exit_code or result.is_error or re.search(r"(?i)fail|error|exit status", result.text), result
        else:
            assert end == "how it ended is not told"

    def _runs(self, name: str) -> list[Event]:
        """Results of the shell lines that hold the words of the check."""
        words = re.compile(r"[^|;&\n]{0,400}?".join(map(re.escape, name.split())))
        found = []
        for _, event in self.own:
            call = self.calls.get(event.call) if event.kind is Kind.RESULT else None
            if call is not None and (words.search(call.command) or (not call.command and "session_id" in call.text)):
                found.append(event)
        return found

    def _check(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert event.kind is Kind.RESULT and event in self._runs(values["name"]), line
        self._end(values["end"], event)

    def _checks(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._check(line, event, values)
        assert 2 <= numbered(values["times"]) <= len(self._runs(values["name"]))
        assert numbered(values["failures"]) <= numbered(values["times"])

    def _checks_untold(self, line: Line, event: Event, values: dict[str, str]) -> None:
        self._check(line, event, values)
        assert 2 <= numbered(values["times"]) == sum(numbered(each) for each in values["ends"].split(", "))

    def _persons_check(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert self.events[line.event - 2].text.startswith("!"), line

    def _failing(self, line: Line, event: Event, values: dict[str, str]) -> None:
        if not event.text.startswith("<bash-"):
            assert event in self._runs(values["name"])
        assert event.exit_code or event.is_error or re.search(r"(?i)fail|error|exit status", event.text), line

    def _commit(self, line: Line, event: Event, values: dict[str, str]) -> None:
        sha, call = values["sha"].strip(), self.calls.get(event.call)
        assert call is not None and event.kind is Kind.RESULT
        assert not event.is_error or sha, "git itself showed it, whatever failed behind it"
        told = [event.text, call.command]
        told += [each.text for _, each in self.own] + [each.text for each in self.events[line.event :]]
        assert not sha or any(sha in text for text in told), line
        assert bare(values["subject"]) in bare(event.text + call.command.replace("\\", "")) or any(
            bare(values["subject"]) in bare(each.text + each.command.replace("\\", "")) for _, each in self.own
        ), line

    _amended = _commit

    def _rebased(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert "Successfully rebased" in event.text

    def _pushed(self, line: Line, event: Event, values: dict[str, str]) -> None:
        call = self.calls[event.call]
        assert "push" in call.command or "session_id" in call.text
        assert not event.is_error and not event.exit_code
        assert values.get("branch", "") in event.text + call.command

    _pushed_somewhere = _pushed

    def _rejected(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert re.search(r"rejected|failed to push|GH\d{3}|fatal|denied", event.text)
        assert values.get("why", "") in event.text

    _rejected_somewhere = _push_again = _rejected

    def _opened(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert re.search(rf"/(?:pull|merge_requests)/{values['number']}\b", event.text)
        assert "create" in self.calls[event.call].command

    def _merged(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert "merge" in self.calls[event.call].command and not event.is_error

    _merged_one = _merged

    def _shown(self, line: Line, event: Event, values: dict[str, str]) -> None:
        """Templates that only frame quotes: each is found in the event, or in the call that it answers."""
        call = self.calls.get(event.call)
        for name, value in values.items():
            shown = value.strip("`").removeprefix("a call of ") if name == "call" else value
            held = is_quoted(shown, event) or (call is not None and is_quoted(shown, call))
            assert held or shown in ((call.tool, event.tool) if call else ()), (line, name, shown)


# --- both, of a log ---------------------------------------------------------------------------------------------------


def check(events: Sequence[Event], segments: Sequence[Segment]) -> int:
    """How many sentences were looked at; raises AssertionError for the first that is not true."""
    count = 0
    for one in segments:
        facts = Recount(events, one)
        own = [*one.next_steps, *one.key_decisions, *one.open_questions]
        for lines in (*one.sentences.values(), own):
            for line in lines:
                count += 1
                assert one.first <= line.event <= one.last and line.reason, line
                if line.source == "quote":
                    event = events[line.event - 1]  # git is often silent: then the subject stands in its command
                    shown = [event, *([facts.calls[event.call]] if event.kind is Kind.RESULT else [])]
                    assert any(is_quoted(line.text, each) for each in shown), (line, event.text[:600])
                    assert is_whole(line.text, events[line.event - 1]), line
                else:
                    assert line.source == "fact", line
                    facts.check(line)
        assert one.title == one.sentences["title"][0].text
        assert " ".join(one.summary.split()) == " ".join(line.text for line in one.sentences["summary"])
        assert (one.outcome.text if one.outcome else "") == " ".join(line.text for line in one.sentences["outcome"])
    return count


def made_up() -> Log:
    log = Log()
    for topic in TOPICS:
        piece(log, topic)
    log.ask("Now **all** of it: `map.py` first. No more questions!").say("Right.\n\n1. [ ] One.\n2. Two.").edit(
        "x/map.py"
    )
    log.run("pytest -q", code=1, result="1 failed").run(
        "git commit --amend -m 'No ships'", result="[main 9999999] No ships"
    )
    return log.questions('What of "it"?', 'All, "it" too').say("Is that so? Yes. Is it?")


def test_every_sentence_of_a_made_up_log_is_true():
    log = made_up()
    assert check(log.events, segment(log.events)) > 30


@pytest.mark.parametrize("language", [ENGLISH, *LANGUAGES.values()])
def test_every_sentence_is_true_in_every_language(language):
    log = told(language)
    assert check(log.events, segment(log.events)) > 20


def test_every_sentence_of_a_long_log_is_true(tmp_path):
    path = tmp_path / "session.jsonl"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records(300)))
    events = read(path).events
    assert check(events, segment(events)) > 60


@pytest.mark.parametrize(
    "line",
    [
        Line("Tests cover the form.", 2, "quote", "r"),  # "No tests cover the form."
        Line("Edited x.py and y.py.", 4, "fact", "edited"),
        Line("Ran `pytest`: passed.", 6, "fact", "check"),
        Line("A person refused 2 calls.", 6, "fact", "refused"),
        Line("Committed “Cover the form”.", 6, "fact", "commit"),
        Line("The form is covered.", 2, "model", ""),
    ],
)
def test_what_is_not_true_is_found(line):
    log = Log().ask("Cover the form").say("I will. No tests exist. No tests cover the other form.").edit("x.py")
    log.run("pytest", code=1, result="1 failed").say("There.")
    (one,) = segment(log.events)
    assert check(log.events, [one])
    one.next_steps = [line]
    with pytest.raises((AssertionError, KeyError)):
        check(log.events, [one])


def test_the_opposite_of_what_was_said_is_no_quote():
    event = Event(1, Kind.ANSWER, "k", "- **No tests** cover the `reset` form.")
    assert is_quoted("No tests cover the `reset` form.", event)
    assert not is_quoted("Some tests cover the `reset` form.", event)


def logs() -> list[Path]:
    return [path for path in sorted(SAMPLES.glob("c*/*.jsonl")) if path.stat().st_size <= LARGEST]


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="the real logs are not here")
@pytest.mark.parametrize("path", logs(), ids=lambda path: path.name)
def test_every_sentence_of_a_real_log_is_true(path):
    try:
        events = read(path).events
    except NoTranscript:
        return
    assert check(events, segment(events)) > 0 or not any(event.kind is Kind.PROMPT for event in events)
