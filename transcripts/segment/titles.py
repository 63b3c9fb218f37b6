"""A title for a segment: an order of 3 to 12 words, from the best source that there is.

Sources, best first: the heading of a plan, a prompt that is an order, the subject of a commit, what the model says it
did, a question, the list of things to do, what the model said it would do, and the files. A source that gives less
than three words, or a title that is taken, gives way to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final

from . import prose
from .deeds import deeds, intents, subjects
from .outline import FEWEST, MOST, TITLE
from .prompts import Ask, kind_of
from .steps import Phase
from .verbs import base_of, is_order, is_past
from .wishes import complaints, errands, headings, orders, questions, said
from .work import Work

_VERBS: Final = {Phase.EXPLORE: "Read", Phase.TEST: "Run the checks on", Phase.EDIT: "Edit"}


def title_for(work: Work, taken: Container[str], name: str = "") -> str:
    """The first good title that no other segment has. ``name`` comes before the names of files."""
    fallback = ""
    for text in (*_candidates(work), name, _by_files(work)):
        title = shaped(text)
        if len(title.split()) < FEWEST or not title[0].isalnum():
            continue
        if title.casefold() not in taken:
            return title
        fallback = fallback or title
    fallback = fallback or _by_files(work)
    for number in range(2, 10_000):
        if fallback.casefold() not in taken:
            break
        stem = prose.clipped(re.sub(r" \(part \d+\)$", "", fallback), TITLE - 12, MOST - 2)
        fallback = f"{stem} (part {number})"
    return fallback


def shaped(text: str) -> str:
    """As an order: cut to length, capital first, no full stop, known verbs in the infinitive."""
    text = prose.plain(text).rstrip(".!:;, ")
    head = re.split(r"\s[–—-]\s", text, maxsplit=1)[0]
    text = head if len(head.split()) >= FEWEST or len(text) > TITLE else text
    if not text:
        return ""
    first, _, rest = text.partition(" ")
    if (is_past(first) or first.endswith("ing")) and rest and (base := base_of(first)):
        text = f"{base} {rest}"
    text = prose.clipped(text, TITLE, MOST)
    return prose.sentence_case(text.rstrip("?.!:;, "))


def _candidates(work: Work) -> Iterator[str]:
    prompts = [step.prompt for step in work.steps if step.prompt is not None]
    opening = prompts[0] if prompts and work.steps[0].prompt is prompts[0] else None
    kind = kind_of(said(opening)) if opening else None
    if opening:
        yield from headings(opening)
        yield from orders(opening, work, only_reading=False)
    yield from subjects(work)
    if opening and kind is Ask.QUESTION and not work.changed:
        yield from questions(opening)
    yield from deeds(work)
    for prompt in prompts[1:]:
        yield from orders(prompt, work, only_reading=False)
    for prompt in prompts:
        yield from orders(prompt, work, only_reading=True)
    if opening:
        yield from questions(opening)
        yield from errands(opening)
        yield from complaints(opening, work)
    yield from (todo.text for todo in work.todos if is_order(todo.text.split(" ", 1)[0]))
    yield from intents(work)
    for prompt in prompts:
        if prompt.text.startswith("/"):
            yield f"Run the command {' '.join(prompt.text.split()[:4])}"


def _by_files(work: Work) -> str:
    files = sorted(work.changed or work.files, key=lambda file: -file.times)
    names = list(dict.fromkeys(file.path.rsplit("/", 1)[-1] for file in files))
    if len(names) == 1:
        return f"{_VERBS.get(work.phase, 'Work on')} the file {names[0]}"
    if names:
        return f"{_VERBS.get(work.phase, 'Work on')} {names[0]} and {names[1]}"
    return {
        Phase.TEST: "Run the checks again",
        Phase.VCS: "Work on branches and commits",
        Phase.PLAN: "Plan the work ahead",
        Phase.ASK: "Talk about the work",
    }.get(work.phase, "Look around in the project")
