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
from transcripts.commands.shell import checks_of
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


STOP = re.compile(r"[.!?…:]+[\"'”’»)\]*_`]*(?=\s|$)|[。！？؟।：]+[\"'”’»)\]*」』）]*|\n|$")


def places(said: str, text: str) -> Iterator[tuple[int, int]]:
    """Where a quote stands from the begin of a sentence or line to the end of one."""
    ends = [match.end() for match in STOP.finditer(text)]
    for start in [0, *ends]:
        if bare(text[start : start + 3 * len(said) + 400]).startswith(said):
            for end in (end for end in ends if end > start):
                told = bare(text[start:end])
                if told == said or told.rstrip(":：") == said:
                    yield start, end
                if len(told) > len(said) + 1:
                    break


def is_whole(line: str, event: Event) -> bool:
    """Does a quote begin and end where sentences or lines do? One with ``…`` is followed by more of its paragraph."""
    said, goes_on = bare(line.removesuffix(" …")), line.endswith(" …")
    for text in texts_of(event):
        for _, end in places(said, text):
            if not goes_on or text[end:].strip():
                return True
    return goes_on and any(is_begun(line.removesuffix(" …"), text) for text in texts_of(event))


def is_begun(said: str, text: str) -> bool:
    """Is it a sentence's beginning that ends where a word does? In scripts without blanks any sign may be the last."""
    last = said.split()[-1]
    starts = [0, *(match.end() for match in STOP.finditer(text))]
    begins = any(bare(text[start : start + 3 * len(said) + 400]).startswith(bare(said)) for start in starts)
    begins = begins and said[-1] not in ".!?…。！？"  # a whole one must have more behind it
    return begins and re.search(re.escape(last) + (r"(?!\w)" if last[-1] < "\u2e80" else ""), text) is not None


ROLES = {  # whose words a quote is told to be
    "why: the prompt that began it": (Kind.PROMPT,),
    "a person's words on the way": (Kind.PROMPT,),
    "typed while the model worked": (Kind.SYSTEM,),
    "the last answer": (Kind.ANSWER,),
    "an open item of the last answer": (Kind.ANSWER,),
    "asked last": (Kind.ANSWER,),
    "asked with the program's form": (Kind.CALL,),
    "open on the agent's list": (Kind.CALL, Kind.RESULT),
}


def is_theirs(line: Line, event: Event) -> bool:
    """Is it said by whom the line's reason says, and not by the program?"""
    if line.reason == "typed while the model worked":
        return event.kind is Kind.SYSTEM and bool(event.data.get("queued"))
    is_program = event.kind is Kind.PROMPT and bool(event.data.get("injected") or event.agent)
    return event.kind in ROLES.get(line.reason, tuple(Kind)) and not is_program


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


UNFAILING = {
    "cd", "pushd", "popd", "echo", "printf", "true", "export", "set", "mkdir", "sleep", "date", "tail",
    "head", "cat", "tee", "sort", "uniq", "wc", "cut", "less",
}  # fmt: skip
BRANCHING = {"if", "then", "else", "elif", "for", "while", "until", "do", "case", "function", "{", "!", "exit", "exec"}
BEFORE = {
    "env", "time", "sudo", "timeout", "npx", "bunx", "uv", "uvx", "poetry", "pipenv", "run", "exec",
    "bundle", "docker", "compose", "rtk", "-m", "python",
}  # fmt: skip
GOOD = (
    r"(?m)^(?:ok\s+\S|OK\b|PASS$|All checks passed|Success: no|test result: ok)"
    r"|\b[1-9]\d* (?:tests? )?pass|\b0 (?:err|iss)"
)
BAD = (
    r"(?m)^\s*(?:--- FAIL|FAIL\b|FAILED|ERROR\b.*failed)"
    r"|(?<![\w.])[1-9]\d* (?:tests? )?(?:fail|err|issue|prob)|exit status [1-9]"
)
VOID = r"No files were processed|provided but ignored|[Nn]o tests? (?:found|ran)"


def parsed(command: str) -> list[tuple[str, list[str]]]:
    """What stands before each part of a shell line, and its words; strings count as one sign. Read sign by sign."""
    command = re.sub(r"(?ms)<<-?\s*['\"]?(\w+)['\"]?.*?^\s*\1\b", "", command[:4000])
    command = command.split("<<")[0].replace("\\\n", " ")
    found, quote, signs = [("", "")], "", iter(re.findall(r"\\.|&&|\|\||\d?>&\d|&>|.|\n", command))
    for sign in signs:
        if quote:
            quote = "" if sign == quote else quote
        elif sign in "'\"":
            quote = sign
            found[-1] = (found[-1][0], found[-1][1] + "''")
        elif sign in ("&&", "||", "|", ";", "\n", "&"):
            found.append((";" if sign in "\n&" else sign, ""))
        elif not re.fullmatch(r"\d?>&\d", sign):
            found[-1] = (found[-1][0], found[-1][1] + sign)
    kept: list[tuple[str, list[str]]] = []
    waiting = ""
    for joined, text in found:
        words, waiting = text.split(), waiting or joined
        if words and not words[0].startswith("#"):
            kept.append((waiting if kept else "", words))
            waiting = ""
    return kept


def program(words: list[str]) -> int:
    at = 0
    while at < len(words) - 1 and (
        "=" in words[at] or words[at].rpartition("/")[2].rstrip("3") in BEFORE or words[at].strip("-smh").isdigit()
    ):
        at += 1
    return at


def is_named(name: str, words: list[str]) -> bool:
    """Are these the words of a part that has this name?"""
    own = words[program(words) :]
    wanted, rest = name.split(), iter(own[1:])
    return own[0].rpartition("/")[2] == wanted[0] and all(word in rest for word in wanted[1:])


def told_by_output(text: str, *, is_whole: bool) -> bool | None:
    lines = [line for line in text.rstrip().split("\n")[-8:] if re.search(GOOD, line) or re.search(BAD, line)]
    if lines and re.search(BAD, lines[-1]):
        return False
    bad = rf"{BAD}|(?i:\b(?:error|fatal|panic|exception|traceback|aborted)\b)"
    return True if lines and is_whole and not re.search(bad, text[-6000:]) else None


def ends_in(command: str, result: Event, name: str) -> list[bool | None]:
    """How the runs of a check in a shell line ended; those that are not known to have begun are left out."""
    code = 1 if result.is_error and result.exit_code is None else result.exit_code
    parts = parsed(command)
    after = [joined for joined, _ in parts[1:]] + [""]
    last = max([0, *(at for at, (joined, _) in enumerate(parts) if joined == ";")])  # where the last ";" leaves off
    programs = [words[program(words)] for _, words in parts]
    able = [at for at in range(last, len(parts)) if after[at] != "|" and programs[at] not in UNFAILING]
    is_plain = not any(words[0] in BRANCHING or any("(" in word or "`" in word for word in words) for _, words in parts)
    if " && " in name:
        names = name.split(" && ")
        own = [at for at in able if any(is_named(each, parts[at][1]) for each in names)]
        return [False] if code and is_plain and last == 0 and own == able and len(own) == len(names) else []
    found: list[bool | None] = []
    for at, (_, words) in enumerate(parts):
        if not is_named(name, words):
            continue
        begin = max([0, *(place for place in range(at + 1) if parts[place][0] == ";")])
        # behind "||" nothing is known; before it only that something began
        to_end = [sign for sign in after[at:-1] if sign != "|"]
        joined = next(parts[place][0] for place in range(at, -1, -1) if parts[place][0] != "|")
        is_reached = code == 0 and is_plain and set(to_end) <= {"&&"} and joined != "||"
        before = [place for place in range(begin, at) if after[place] != "|"]
        began = is_plain and all(
            programs[p] in UNFAILING and after[p] == "&&" and f"{programs[p]}: " not in result.text for p in before
        )
        end: bool | None = None
        if is_reached and after[at] != "|":
            end = True
        elif code and is_plain and able == [at] and began and "||" not in after[last:]:
            end = False
        elif (
            able != [at]
            and code
            and is_plain
            and last == 0
            and len(able) > 1
            and "||" not in after
            and not any(not is_check(parts[place][1]) for place in able)
        ):
            continue  # the chain is told as one
        if end is None and sum(is_check(words) for _, words in parts) == 1:
            piped = [parts[place][1][0] for place in range(at + 1, len(parts)) if parts[place][0] == "|"]
            end = told_by_output(result.text, is_whole=set(piped) <= {"tail", "tee", "cat"})
        if end is not None or is_reached or began:
            found.append(end)
    return found


def is_check(words: list[str]) -> bool:
    """The vocabulary is data, and not what this test is about."""
    return bool(checks_of(" ".join(words)))


ENDS = {True: "passed", False: "failed", None: "how it ended is not told"}


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
        files = re.sub(r"^(?:new|in|of|look at) ", "", values["files"])  # "Edits in", "A look at"
        self._named(values | {"files": files}, self.files(*Verb), least=1)

    def _title_of_nothing(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert line.text == "Work without words"

    def _part(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert values["number"].isdecimal()

    def _counted(self, line: Line, event: Event, values: dict[str, str]) -> None:
        (told,) = values.values()
        assert numbered(told) == self.count(line.reason), (line, self.count(line.reason))

    _helpers = _refused = _compacted = _interrupted = _counted

    def _runs(self, name: str) -> list[tuple[int, str]]:
        """The runs of a check, each with its event and its end."""
        found: list[tuple[int, str]] = []
        terminals: dict[str, tuple[str, int]] = {}
        for number, event in self.own:
            call = self.calls.get(event.call) if event.kind is Kind.RESULT else None
            if call is None:
                continue
            command = call.command
            if not command and (asked := re.search(r'"session_id":\s*"?(\d+)', call.text)) and asked[1] in terminals:
                command, begun = terminals[asked[1]]
                found = [run for run in found if run[0] != begun]
            is_going_on = re.search(r"(?i)session ID (\d+)|running in (?:the )?background", event.text[:400])
            if is_going_on and is_going_on[1]:
                terminals[is_going_on[1]] = (command, number)
            is_void = event.is_error and event.exit_code is None and event.text[:8] in ("The user", "<tool_us")
            if command and not is_void and not re.search(VOID, "\n".join(event.text.rstrip().split("\n")[-8:])):
                ends = ends_in(command, event, name)
                found += [(number, ENDS[None if is_going_on else end]) for end in ends]
        return found

    def _check(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert (line.event, values["end"]) in self._runs(values["name"]), (line, self._runs(values["name"]))

    def _checks(self, line: Line, event: Event, values: dict[str, str]) -> None:
        runs = self._runs(values["name"])
        ends = [end for _, end in runs]
        assert runs[-1] == (line.event, values["end"]), (line, runs)
        assert numbered(values["times"]) == len(runs) > 1, (line, runs)
        if "ends" in values:
            counts = [
                (word, ends.count(ENDS[end])) for end, word in ((True, "passed"), (False, "failed"), (None, "not told"))
            ]
            assert values["ends"] == ", ".join(f"{count} {word}" for word, count in counts if count), (line, runs)
        else:
            assert ENDS[None] not in ends and numbered(values["failures"]) == ends.count("failed"), (line, runs)

    _checks_untold = _checks

    def _persons_check(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert self.events[line.event - 2].text.startswith("!"), line

    def _failing(self, line: Line, event: Event, values: dict[str, str]) -> None:
        if event.text.startswith("<bash-"):
            assert told_by_output(event.text.partition(">")[2], is_whole=True) is False, line
        else:
            assert (line.event, "failed") in self._runs(values["name"]), line

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

        assert line.reason == "amended" or not self._is_in_place_of_another(call.command), line

    def _amended(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert "--amend" in self.calls[event.call].command, line
        self._commit(line, event, values)

    def _is_in_place_of_another(self, command: str) -> bool:
        """Does it amend what was not made in the same segment?"""
        made = [call for call in self.calls.values() if re.search(r"git\b.*\bcommit\b", call.command)]
        own = [call for call in made if call.call in self.results and "--amend" not in call.command]
        return "--amend" in re.sub(r"'[^']*'|\"[^\"]*\"", "", command) and not own

    def _rebased(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert "Successfully rebased" in event.text

    def _pushed(self, line: Line, event: Event, values: dict[str, str]) -> None:
        call = self.calls[event.call]
        assert "push" in call.command or "session_id" in call.text
        assert not event.is_error and not event.exit_code and "rejected]" not in event.text
        assert values.get("branch", "") in event.text + call.command

    _pushed_somewhere = _pushed

    def _rejected(self, line: Line, event: Event, values: dict[str, str]) -> None:
        assert "push" in self.calls[event.call].command or "session_id" in self.calls[event.call].text
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
                    assert any(is_whole(line.text, each) for each in shown), line
                    assert is_theirs(line, event), line
                else:
                    assert line.source == "fact", line
                    facts.check(line)
        alone = [filled(line)["name"] for line in one.sentences["summary"] if line.reason == "check"]
        assert all(len(facts._runs(name)) == 1 for name in alone), alone
        assert one.title == one.sentences["title"][0].text
        assert " ".join(one.summary.split()) == " ".join(line.text for line in one.sentences["summary"])
        assert (one.outcome.text if one.outcome else "") == " ".join(line.text for line in one.sentences["outcome"])
    return count


REJECTED = " ! [rejected] main -> main (fetch first)\nerror: failed to push some refs"


def made_up() -> Log:
    log = Log()
    for topic in TOPICS:
        piece(log, topic)
    log.ask("Now **all** of it: `map.py` first. No more questions!").say("Right.\n\n1. [ ] One.\n2. Two.").edit(
        "x/map.py"
    )
    log.run("pytest -q", code=1, result="1 failed")
    log.run("git commit --amend -m 'No ships'", result="[main 9999999] No ships")
    return log.questions('What of "it"?', 'All, "it" too').say("Is that so? Yes. Is it?")


RUNS = [  # of a shell line: its exit code, what it printed, and what is true of its checks
    (["pytest | tail -3"], 0, "what the tests say", "Ran `pytest`: how it ended is not told."),
    (["bun run test | tail -3"], 0, "error: unrecognized subcommand", "Ran `bun run test`: how it ended is not told."),
    (["pytest | tail -3"], 0, "3 passed in 0.1s", "Ran `pytest`: passed."),
    (["pytest | tail -3"], 0, "1 failed, 3 passed", "Ran `pytest`: failed."),
    (["pytest | tail -3"], 0, "error: no plugin\n3 passed", "Ran `pytest`: how it ended is not told."),
    (["pytest | grep passed"], 0, "3 passed", "Ran `pytest`: how it ended is not told."),
    (["pytest | head -9"], 0, "3 passed", "Ran `pytest`: how it ended is not told."),
    (["pytest"], 0, "1 failed\n(printed by a test)", "Ran `pytest`: passed."),
    (["pytest"], 1, "3 passed\ncoverage is low", "Ran `pytest`: failed."),
    (["ruff check . && mypy && pytest"], 0, "ok", "Ran `ruff`: passed. Ran `mypy`: passed. Ran `pytest`: passed."),
    (["ruff check . && mypy && pytest"], 1, "no", "Ran `ruff check && mypy && pytest`: failed."),
    (["ruff check .; pytest"], 0, "ok", "Ran `ruff check`: how it ended is not told. Ran `pytest`: passed."),
    (["ruff check .; pytest"], 2, "no", "Ran `ruff check`: how it ended is not told. Ran `pytest`: failed."),
    (["pytest || true"], 0, "", "Ran `pytest`: how it ended is not told."),
    (["mypy && pytest | tail -1"], 0, "3 passed", "Ran `mypy`: passed. Ran `pytest`: how it ended is not told."),
    (["cd web && pytest"], 1, "1 failed", "Ran `pytest`: failed."),
    (["cd web && pytest"], 1, "cd: web: No such file", ""),
    (["npm install && npm test"], 1, "no", ""),
    (["if true; then\npytest\nfi"], 0, "", ""),
    (["(pytest && mypy) | tail -1"], 0, "", ""),
    (["set -e; mypy; pytest"], 0, "", "Ran `mypy`: passed. Ran `pytest`: passed."),
    (["set -o pipefail; pytest | tail -1"], 0, "", "Ran `pytest`: passed."),
    (["pytest", "pytest | tail -1", "pytest | cat"], 0, "x", "Ran `pytest` 3 times: 1 passed, 2 not told; "
     "the last one: how it ended is not told."),
    (["pytest", "pytest"], 1, "1 failed", "Ran `pytest` twice, 2 failing; the last one: failed."),
    (["pytest", "pytest -x"], 0, "ok", "Ran `pytest` twice, none failing; the last one: passed."),
    (["pytest --version"], 0, "8.1", ""),
]  # fmt: skip


@pytest.mark.parametrize(("commands", "code", "shown", "told"), RUNS, ids=lambda value: str(value)[:40])
def test_checks_are_told_as_their_exit_codes_and_last_lines_say(commands, code, shown, told):
    log = Log().ask("Cover the form with tests").say("I will do so.").edit("x.py")
    for command in commands:
        log.run(command, code=code, result=shown)
    (one,) = segment(log.say("There it is, with all tests.").events)
    found = [line.text for line in one.sentences["summary"] if line.text.startswith("Ran")]
    assert " ".join(found) == told.replace("Ran `ruff`", "Ran `ruff check`")
    check_but_settings(log.events, [one], commands)


def check_but_settings(events: Sequence[Event], made: list[Segment], commands: list[str]) -> None:
    """The recount reads no settings of the shell: those lines are only in the table."""
    if not any(command.startswith("set ") for command in commands):
        assert check(events, made)


def test_a_push_an_offer_and_what_nobody_said_are_true():
    log = piece(Log(), "map").run("git push origin main", result="   1111111..2222222  main -> main")
    log.say("It is drawn. Now and then it blinks. Shall I print the map for all of the pilots?").pause(90)
    log.ask("Charge the customers monthly and send them all of the invoices by mail").say("I do.").edit("bill.py")
    log.add(Kind.SYSTEM, "The task in the background has ended and left its report.")
    log.edit("mail.py", "cost.py").commit("Send invoices", sha="2b3c4d5e").say("They are sent.")
    made = segment(log.events)
    assert check(log.events, made)
    lines = [line for one in made for line in [*one.sentences["outcome"], *one.next_steps]]
    reasons = {line.reason for line in lines}
    assert "pushed" in reasons and "what was offered last" not in reasons, "somebody went on: it is no longer open"


def test_a_rejected_push_and_what_was_cut_are_true():
    long = "The form is covered by tests that read each of its fields, one after another, and all of them pass. "
    log = Log().ask("Cover the form with tests. " + long * 9).say("I will do so.").edit("x.py")
    log.run("pytest | tail -1", result="what it says").commit("Cover the form")
    log.run("git push origin main", code=1, result=REJECTED)
    (one,) = segment(log.say(long * 9).events)
    assert check(log.events, [one])
    told = {line.reason for lines in one.sentences.values() for line in lines} | {
        line.reason for line in one.next_steps
    }
    assert {"check", "rejected", "push again"} & told
    assert any(line.text.endswith(" …") for line in one.sentences["summary"])
    assert "pushed" not in told


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
        Line("tests exist.", 2, "quote", "r"),  # cut at its front
        Line("I will. No tests", 2, "quote", "r"),  # ... at its end
        Line("No tests cover the other form. …", 2, "quote", "r"),  # nothing more of it
        Line("Cover the form", 1, "quote", "the last answer"),
        Line("I will.", 2, "quote", "a person's words on the way"),
        Line("Ran `pytest` twice, 1 failing; the last one: failed.", 6, "fact", "checks"),
        Line("Ran `pytest`: how it ended is not told.", 6, "fact", "check"),
        Line("Pushed.", 6, "fact", "pushed somewhere"),
        Line("The push was rejected.", 6, "fact", "rejected somewhere"),
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
