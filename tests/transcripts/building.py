"""Events of a made-up session, a line each, as an adapter would give them."""

from __future__ import annotations

import json

from transcripts.events import Commit, Event, Kind, Status, Todo, Touch, Verb
from transcripts.segmentation import Segment, segment

MINUTE = 60_000


class Log:
    """Say what happens; ``events`` is the log so far."""

    def __init__(self, at: int = 1_760_000_000_000) -> None:
        self.events: list[Event] = []
        self.at = at
        self.calls = 0

    def add(self, kind: Kind, text: str = "", **fields) -> Event:
        self.at += 1000
        number = len(self.events) + 1
        event = Event(line=number, kind=kind, key=f"k{number}", text=text, at=self.at, **fields)
        self.events.append(event)
        return event

    def pause(self, minutes: float) -> Log:
        self.at += int(minutes * MINUTE)
        return self

    def ask(self, text: str) -> Log:
        self.add(Kind.COMMAND if text.startswith(("/", "!")) else Kind.PROMPT, text)
        return self

    def say(self, text: str) -> Log:
        self.add(Kind.ANSWER, text)
        return self

    def think(self, text: str = "Hm.") -> Log:
        self.add(Kind.THINKING, text)
        return self

    def call(self, tool: str, text: str = "{}", *, result: str | None = "ok", error: bool = False, **fields) -> Log:
        self.calls += 1
        outcome = {name: fields.pop(name) for name in ("exit_code", "commits") if name in fields}
        self.add(Kind.CALL, text, tool=tool, call=f"c{self.calls}", **fields)
        if result is not None:
            self.add(Kind.RESULT, result, tool=tool, call=f"c{self.calls}", is_error=error, **outcome)
        return self

    def read(self, *paths: str) -> Log:
        for path in paths:
            self.call("Read", touches=(Touch(path, Verb.READ),))
        return self

    def edit(self, *paths: str) -> Log:
        for path in paths:
            self.call("Edit", touches=(Touch(path, Verb.EDITED),))
        return self

    def run(self, command: str, *, code: int | None = 0, result: str = "ok", **fields) -> Log:
        return self.call("Bash", command=command, exit_code=code, error=bool(code), result=result, **fields)

    def commit(self, subject: str, sha: str = "1a2b3c4d", body: str = "") -> Log:
        message = f"{subject}\n\n{body}" if body else subject
        return self.run(
            f"git commit -m \"$(cat <<'EOF'\n{message}\nEOF\n)\"",
            result=f"[main {sha}] {subject}",
            commits=(Commit(sha, subject),),
        )

    def todo(self, **items: str) -> Log:
        """``todo(write_tests="done")``: the whole list as it now stands."""
        todos = tuple(Todo(name.replace("_", " "), Status(status)) for name, status in items.items())
        return self.call("TodoWrite", todos=todos)

    def interrupt(self) -> Log:
        self.add(Kind.INTERRUPTION, "[Request interrupted by user]")
        return self

    def questions(self, question: str, answer: str) -> Log:
        given = json.dumps({"questions": [{"question": question}]})
        return self.call("AskUserQuestion", given, result=f'User has answered your questions: "{question}"="{answer}".')


TOPICS = {
    "parser": ("Rewrite the tokenizer of the parser so that nested quotes survive", "lexer", "grammar", "quotes"),
    "billing": ("Charge customers monthly and send invoices by mail", "invoice", "currency", "customer"),
    "map": ("Draw the harbour map with zoom and markers for ships", "canvas", "harbour", "markers"),
    "login": ("Ask for a second factor when people log in from a new device", "password", "device", "factor"),
}


def piece(log: Log, topic: str, *, steps: int = 6, commit: bool = True) -> Log:
    """A prompt about one thing, work on its files with its words, a check, and (or not) a commit."""
    order, *words = TOPICS[topic]
    log.pause(3).ask(order)
    for number in range(steps):
        word = words[number % len(words)]
        log.say(f"Looking at how the {word} and the {words[0]} fit together.").read(f"src/{topic}/{word}.py")
        log.edit(f"src/{topic}/{word}.py")
    log.run("pytest -q", result="12 passed")
    if commit:
        log.say("All green. Now commit.").commit(f"{order[:50].rsplit(' ', 1)[0]}", sha=f"{sum(map(ord, topic)):07x}")
    return log.say(f"I've finished the {words[0]} and the {words[1]}: all 12 tests pass.")


def only(log: Log) -> Segment:
    """The one segment of a short log."""
    (found,) = segment(log.events)
    return found


def texts(lines) -> list[str]:
    return [line.text for line in lines]


def outcome(log: Log) -> str:
    """What the one segment of a short log says of its outcome."""
    found = only(log).outcome
    return found.text if found else ""
