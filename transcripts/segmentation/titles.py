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
from .templates import fact, named_files

TITLE: Final = 80  # characters of a heading
LONGEST: Final = 160  # where nothing shorter is to be had
FEWEST: Final = 3.0  # words
SHARED: Final = 2  # words that a sentence has in common with what was done
FITS: Final = 0.6  # of the words of the program's own title that the work it stands for has
OPENING: Final = 6  # sentences of a prompt that may name what it wants
DEEDS: Final = {Verb.WRITTEN: "Write", Verb.EDITED: "Edit", Verb.DELETED: "Delete", Verb.READ: "Read"}


def title_for(work: Work, taken: Container[str]) -> Line:
    """The title of a segment; ``taken``: titles, folded, that others have."""
    done = _done(work)
    found = [line for line in _candidates(work) if line.text.casefold() not in taken]
    found = [line for line in found if text.weight(line.text) >= FEWEST]
    short = [line for line in found if text.width(line.text) <= TITLE]
    fitting = [line for line in found if line.reason in NAMED or (line in short and _shares(line, done))]
    whole = [line for line in short if not text.is_lead(line.text)]
    by_people = [line for line in [*fitting, *whole] if line.reason != MODEL]
    asked = set(lexical.words(work.steps[0].prompt.text[: lexical.TEXT])) if work.steps[0].prompt else set()
    by_model = [line for line in whole if line.reason == MODEL]
    by_model.sort(key=lambda line: -len(asked.intersection(lexical.words(line.text))))
    for line in [*by_people, *by_model, *found]:
        return line
    return _by_files(work, taken)


OPENS: Final = "the prompt that began it"
MODEL: Final = "what the model said of it"
NAMED: Final = ("the brief's title", "the program's own title", "the plan's heading")


def _candidates(work: Work) -> Iterator[Line]:
    events = work.log.events
    opening = work.steps[0].prompt
    number = work.steps[0].first + 1
    number += next((at for at, event in enumerate(events[number - 1 : work.last + 1]) if event is opening), 0)
    typed = opening if opening and is_persons(opening, work.log.by_model) else None
    if typed and typed.data.get("brief"):
        yield Line(" ".join(typed.text.split()), number, Source.QUOTE, NAMED[0])
    is_whole = work.first == 0 and work.last == len(events) - 1
    for at, event in work.numbered():
        if event.kind is Kind.TITLE and (is_whole or _are_of(event.text, _done(work))):
            yield Line(" ".join(event.text.split()), at, Source.QUOTE, NAMED[1])
    for at, heading in plans(work):
        yield Line(heading, at, Source.QUOTE, NAMED[2])
    subjects = sorted(work.commits, key=lambda commit: -len(commit.subject))
    committed = [Line(each.subject, each.event, Source.QUOTE, "the commit that it led to") for each in subjects]
    if not work.changed:  # what began it only asked for the commit
        yield from committed
    if typed:
        yield from _said(text.own_words(typed.text), number, OPENS, OPENING)
    yield from committed
    for at, event in work.numbered():
        if event is not typed and is_persons(event, work.log.by_model):
            yield from _said(text.own_words(event.text), at, "a later prompt", OPENING)
    for todo in work.todos:
        yield Line(todo.text, work.todos_event, Source.QUOTE, "the agent's list")
    for step in work.steps:
        if step.answer:
            yield from _said(step.text, step.answer, MODEL, 2)


def _said(said: str, number: int, reason: str, most: int) -> Iterator[Line]:
    own = [sentence for block in text.blocks(said) for sentence in block.sentences][:most]
    for sentence in own:
        if text.width(sentence) <= LONGEST:
            yield Line(sentence, number, Source.QUOTE, reason)


def plans(work: Work) -> Iterator[tuple[int, str]]:
    """The headings of plans that people accepted here, or handed over, with their events."""
    for number, event in work.numbered():
        if event.kind is Kind.PROMPT and is_persons(event, work.log.by_model) and (name := heading_of(event.text)):
            yield number, name
        elif event.kind is Kind.RESULT and event.plan_accepted and (call := work.log.calls.get(event.call)):
            plan = arguments(call).get("plan")
            if isinstance(plan, str) and (name := heading_of(plan)):
                yield next((at for at, one in work.numbered() if one is call), number), name


def heading_of(said: str) -> str:
    """The first heading of a text, where it is one of the first level; empty where there is none."""
    for block in text.blocks(said):
        if block.level:
            return block.text if block.level == 1 and text.weight(block.text) >= FEWEST else ""
    return ""


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


def _are_of(title: str, done: set[str]) -> bool:
    own = set(lexical.words(title))
    return len(own & done) >= max(SHARED, FITS * len(own))


def _by_files(work: Work, taken: Container[str]) -> Line:
    """From the files that were touched most; and a number behind what is there already."""
    files = sorted(work.changed or work.files, key=lambda file: -file.times)[:3]
    if files:
        event = max(work.touched[file.path] for file in files)
        line = fact("title of files", event, Deed=DEEDS[files[0].verb], files=named_files([f.path for f in files]))
    else:
        line = fact("title of nothing", work.first + 1)
    if len(line.text) > TITLE:
        line = fact("title of nothing", work.first + 1)
    for number in range(2, 10_000):
        if line.text.casefold() not in taken:
            break
        base = line.text.rpartition(" (")[0] if number > 2 else line.text
        line = fact("part", line.event, title=base, number=number)
    return line
