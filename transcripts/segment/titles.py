"""A title for a segment: an order of 3 to 12 words, from the best source that there is.

Sources, best first: the heading of a plan, a prompt that is an order, the subject of a commit, what the model says it
did, a question, the list of things to do, what the model said it would do, and the files. A source that gives less
than three words, or a title that is taken, gives way to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final

from transcripts.paths import name_of

from . import prose
from .answers import answers
from .deeds import deeds, fixes, intents, subjects
from .outline import FEWEST, MOST, TITLE
from .prompts import Ask, kind_of
from .steps import Phase
from .turns import turns_of
from .verbs import base_of, is_order, is_past
from .wishes import asked, complaints, errands, headings, orders, questions, said
from .work import Work

_VERBS: Final = {Phase.EXPLORE: "Read", Phase.TEST: "Run the checks on", Phase.EDIT: "Edit"}


_OF_ONESELF: Final = re.compile(r"(?:(?:i|we|my|when|if|seems|there|more|he|she|they|it|this|that|\w+ing)\b|@)", re.I)
_ASKS: Final = re.compile(
    r"(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have|why|what|how|where|when|which|who)\b", re.I
)


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


def is_whole(text: str) -> bool:
    """Does it fit into a title without a cut?"""
    text = prose.plain(text)
    return len(text) <= TITLE and len(text.split()) <= MOST


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
    is_question = bool(_ASKS.match(text)) and text.endswith("?")
    text = prose.clipped(text, TITLE - is_question, MOST)
    return prose.sentence_case(text.rstrip("?.!:;, ")) + "?" * is_question


def _candidates(work: Work) -> Iterator[str]:
    prompts = [step.prompt for step in work.steps if step.prompt is not None]
    opening = prompts[0] if prompts and work.steps[0].prompt is prompts[0] else None
    kind = kind_of(said(opening)) if opening else None
    named = list(headings(opening)) if opening else []
    yield from (name for name in named if not name.startswith("Fix:"))
    if opening:
        yield from orders(opening, work, only_reading=False)
    asks = opening if opening and kind is Ask.QUESTION and not work.changed else None
    if asks and any(step.calls for step in turns_of(work.steps)[0]):  # a commit then ends what was done before
        for one in answers(work)[:1]:
            if found := asked(one.question.rsplit("? ", 1)[-1]):
                also = f"{found} Open PR #{work.pull[0]}" if work.pull and found.endswith("?") else ""
                yield from ([also] if also and is_whole(also) else [found])
        yield from questions(asks)
    yield from subjects(work)
    yield from named
    if asks:
        yield from questions(asks)
    yield from deeds(work)
    yield from fixes(work)
    if opening:
        yield from orders(opening, work, only_reading=True)
    for only_reading in (False, True):
        for prompt in prompts[1:]:
            yield from orders(prompt, work, only_reading=only_reading)
    if opening:
        yield from questions(opening)
        yield from errands(opening)
    complained = list(complaints(opening, work)) if opening else []
    yield from (text for text in complained if is_whole(text) and not _OF_ONESELF.match(text))
    yield from (todo.text for todo in work.todos if is_order(todo.text.split(" ", 1)[0]))
    yield from intents(work)
    yield from complained
    for prompt in prompts:
        if prompt.text.startswith("/"):
            yield f"Run the command {' '.join(prompt.text.split()[:4])}"


def _by_files(work: Work) -> str:
    files = sorted(work.changed or work.files, key=lambda file: -file.times)
    names = list(dict.fromkeys(name_of(file.path) for file in files))
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
