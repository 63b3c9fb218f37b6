"""A title for a segment: the first whole sentence that tells what it was about, from an ordered list of sources.

The sources are tried in order for a sentence that fits a heading and shares words with what was done here, then again
for one that only fits. The reason stays with the title, and is shown.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Final

from transcripts.events import Kind, Verb

from . import lexical, text
from .known import Work
from .outline import Line, Source
from .people import arguments, is_persons
from .steps import is_errand, turn_of
from .templates import fact, named_files

TITLE: Final = 80  # characters of a heading
FEWEST: Final = 3.0  # words; of a prompt one more, else "yes please do" is one
TELLING: Final = 5.0  # words of a prompt that says more than the commit that it led to
SHARED: Final = 2  # words that a sentence has in common with what was done
FITS: Final = 0.6  # of the words of the program's own title that the work it stands for has
OPENING: Final = 6  # sentences of a prompt that may name what it wants
DEEDS: Final = {Verb.WRITTEN: "A new", Verb.EDITED: "Edits in", Verb.DELETED: "Deletion of", Verb.READ: "A look at"}


def title_for(work: Work, taken: Container[str]) -> Line:
    """The title of a segment; ``taken``: titles, folded, that others have."""
    done = _done(work)
    found = [line for line in _candidates(work, done) if line.text.casefold() not in taken]
    found = [line for line in found if text.weight(line.text) >= FEWEST + (line.reason in PROMPTS)]
    short = [line for line in found if text.width(line.text) <= TITLE]
    fitting = [line for line in found if line.reason in NAMED or (line in short and _shares(line, done))]
    whole = [line for line in short if not text.is_lead(line.text)]
    by_people = [line for line in [*fitting, *whole] if line.reason != MODEL]
    asked = set(lexical.words(work.steps[0].prompt.text[: lexical.TEXT])) if work.steps[0].prompt else set()
    for step in work.steps:
        asked.update(*(lexical.words(path) for path in step.aimed | step.read))
    shared = {line: len(asked.intersection(lexical.words(line.text))) for line in whole if line.reason == MODEL}
    by_model = sorted((line for line in shared if shared[line] >= SHARED), key=lambda line: -shared[line])
    rest = [line for line in found if line.reason != MODEL or not work.files]
    return next(iter([*by_people, *by_model, *rest]), None) or _by_files(work, taken)


OPENS: Final = "the prompt that began it"
PROMPTS: Final = (OPENS, "a later prompt")
MODEL: Final = "what the model said of it"
NAMED: Final = ("the brief's title", "the program's own title", "the plan's heading")


def _candidates(work: Work, done: set[str]) -> Iterator[Line]:
    events = work.log.events
    opening = work.steps[0].prompt
    number = work.steps[0].first + 1
    number += next((at for at, event in enumerate(events[number - 1 : work.last + 1]) if event is opening), 0)
    typed = opening if opening and is_persons(opening, work.log.by_model) else None
    if typed and typed.data.get("brief"):
        yield Line(" ".join(typed.text.split()), number, Source.QUOTE, NAMED[0])
    is_whole = work.first == 0 and work.last == len(events) - 1
    for at, event in work.numbered():
        own = set(lexical.words(event.text)) if event.kind is Kind.TITLE else set()
        if own and (is_whole or len(own & done) >= max(SHARED, FITS * len(own))):
            yield Line(" ".join(event.text.split()), at, Source.QUOTE, NAMED[1])
    for at, heading in plans(work):
        yield Line(heading, at, Source.QUOTE, NAMED[2])
    subjects = sorted(work.commits, key=lambda commit: -len(commit.subject))
    committed = [Line(each.subject, each.event, Source.QUOTE, "the commit that it led to") for each in subjects]
    if is_errand(turn_of(work.steps, 0)) or (typed and text.weight(typed.text) < TELLING):
        yield from committed  # what began it only asked for the commit, or says too little
    if typed:
        yield from _said(text.own_words(typed.text), number, OPENS, OPENING)
    yield from committed
    for at, event in work.numbered():
        if event is not typed and is_persons(event, work.log.by_model):
            yield from _said(text.own_words(event.text), at, PROMPTS[1], OPENING)
    for todo in work.todos:
        yield Line(todo.text, work.todos_event, Source.QUOTE, "the agent's list")
    for step in work.steps:
        if step.answer:
            yield from _said(step.text, step.answer, MODEL, 2)


def _said(said: str, number: int, reason: str, most: int) -> Iterator[Line]:
    own = [sentence for block in text.blocks(said) for sentence in block.sentences][:most]
    for sentence in own:
        begun = sentence.lstrip("-–— ")
        if said := begun if text.width(begun) <= TITLE or reason == MODEL else text.clipped(begun, TITLE - 2):
            yield Line(said, number, Source.QUOTE, reason)


def plans(work: Work) -> Iterator[tuple[int, str]]:
    """The headings of plans that people accepted here, or handed over, with their events."""
    for number, event in work.numbered():
        if event.kind is Kind.PROMPT and is_persons(event, work.log.by_model) and (name := text.heading(event.text)):
            yield number, name
        elif event.kind is Kind.RESULT and event.plan_accepted and (call := work.log.calls.get(event.call)):
            plan = arguments(call).get("plan")
            if isinstance(plan, str) and (name := text.heading(plan)):
                yield work.log.numbers[event.call], name


def _done(work: Work) -> set[str]:
    """The words of what the model did and said here."""
    found = set[str]()
    for step in work.steps:
        found.update(lexical.words(step.text[: lexical.TEXT]))
        for path in step.read | step.aimed:
            found.update(lexical.words(path))
    for commit in work.commits:
        found.update(lexical.words(commit.subject))
    return found


def _shares(line: Line, done: set[str]) -> bool:
    """Does it speak of what was done? What began the work needs less of a sign."""
    least = 1 if line.reason == OPENS and text.weight(line.text) >= 2 * FEWEST else SHARED
    return len(done.intersection(lexical.words(line.text))) >= least


def _by_files(work: Work, taken: Container[str]) -> Line:
    """From the files that were touched most; and a number behind what is there already."""
    files = sorted(work.changed or work.files, key=lambda file: -file.times)[:3]
    line = fact("title of nothing", work.first + 1)
    if files and len(names := named_files([file.path for file in files])) < TITLE - len("Deletion of "):
        event = max(work.touched[file.path] for file in files)
        line = fact("title of files", event, Deed=DEEDS[files[0].verb], files=names)
    title = line.text
    for number in range(2, 10_000):
        if line.text.casefold() not in taken:
            break
        line = fact("part", line.event, title=title, number=number)
    return line
