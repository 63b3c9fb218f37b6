"""The fields of a segment: quotes and facts, each with its event and its reason. Nothing is reworded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from transcripts.events import Kind, Status

from . import text
from .known import ENDS, Work, deeds, published
from .outline import Line, Source
from .people import ASKING, answers_to, is_persons, questions_of, said_meanwhile, said_with_refusal
from .steps import is_errand, turn_of
from .templates import fact
from .titles import plans

WHY: Final = 240  # characters of a quote: why it was done
OUTCOME: Final = 420  # ... what came of it
RULING: Final = 240  # ... what a person said on the way
MEANWHILE: Final = 3  # quotes of people in a summary
LINES: Final = 6  # of a field
TOLD: Final = 3.0  # words of a prompt that says why
ACKNOWLEDGED: Final = 4.5  # words; what is shorter says yes, thanks, go on
CALL: Final = 100  # characters of a command that is named


def summary_of(work: Work) -> list[list[Line]]:
    """Why, what was done, what people said meanwhile; a list of sentences for each paragraph."""
    rulings = {line.event for line in _rulings(work)}
    later = (line for line in _said_later(work) if line.event not in rulings)
    return [own for own in (_why(work), deeds(work), list(later)[:MEANWHILE]) if own]


def outcome_of(work: Work) -> list[Line]:
    """The first sentences of the last answer, then what was committed, checked and published."""
    found: list[Line] = []
    for step in reversed(work.steps):
        if step.answer and (said := text.quoted(step.text, OUTCOME, 3)):
            found = [Line(each, step.answer, Source.QUOTE, "the last answer") for each in said]
            break
    facts = published(work)
    for check in [work.failing] if work.failing else work.standing[-1:]:
        template = "persons check" if check.by_person else "check"
        facts.append(fact(template, check.event, name=check.name, end=ENDS[check.passed]))
    return [*found, *sorted(facts, key=lambda line: line.event)]


def decisions_of(work: Work) -> list[Line]:
    """Answers to the program's questions, accepted plans, refusals with words, and what people ruled on the way."""
    found = [*_answers(work), *_plans(work), *_refusals(work), *_rulings(work)]
    return sorted(found, key=lambda line: line.event)[:LINES]


def next_steps_of(work: Work, *, is_last: bool) -> list[Line]:
    """What is left: the open items of lists, a failing check, a rejected push."""
    found: list[Line] = []
    last = next((step for step in reversed(work.steps) if step.answer), None)
    for block in text.blocks(last.text) if last else ():
        if block.is_open and last:
            found.append(Line(block.text, last.answer, Source.QUOTE, "an open item of the last answer"))
    if is_last:  # else the next work may have done them, and nothing tells
        todos = [" ".join(todo.text.split()) for todo in work.todos if todo.status is not Status.DONE]
        found += [Line(todo, work.todos_event, Source.QUOTE, "open on the agent's list") for todo in todos]
    if check := work.failing:
        found.append(fact("failing", check.event, What=check.what.capitalize(), name=check.name))
    if work.push and not work.push.went_through:
        push = work.push
        name = "push again" if push.why and push.branch else "rejected" if push.branch else "rejected somewhere"
        found.append(fact(name, push.event, branch=push.branch, why=push.why))
    return found[:LINES]


def questions_left(work: Work, *, is_last: bool) -> list[Line]:
    """Questions of the program's own tool that nobody answered; the last one of the last answer, where the log ends."""
    found: list[Line] = []
    results = {event.call: event for _, event in work.numbered() if event.kind is Kind.RESULT}
    # who would not answer in the form may have done so in a prompt
    said = max((number for number, event in work.numbered() if is_persons(event, work.log.by_model)), default=0)
    for number, event in work.numbered():
        if event.kind is not Kind.CALL or event.tool not in ASKING:
            continue
        result = results.get(event.call)
        answered = answers_to(event, result) if result else {}
        for question in questions_of(event) if number > said and (result or is_last) else ():
            if question not in answered:
                found.append(Line(" ".join(question.split()), number, Source.QUOTE, "asked with the program's form"))
    last = work.steps[-1]
    closing = text.blocks(last.text) if is_last and last.answer and not last.calls else ()
    if closing and text.is_question(closing[-1].sentences[-1]):
        found.append(Line(closing[-1].sentences[-1], last.answer, Source.QUOTE, "asked last"))
    return found[:LINES]


def _why(work: Work) -> list[Line]:
    """The plan's own reason, or the prompt that began it."""
    for number, event in work.numbered():
        if event.kind is Kind.PROMPT and is_persons(event, work.log.by_model) and not event.data.get("brief"):
            said = text.quoted(text.own_words(event.text), WHY) if text.weight(event.text) >= TOLD else []
            return [Line(each, number, Source.QUOTE, "why: the prompt that began it") for each in said]
        if event.kind in (Kind.ANSWER, Kind.CALL):
            break
    return []


def _said_later(work: Work) -> Iterator[Line]:
    """What people said after the first answer, but for acknowledgements."""
    has_begun = False
    for number, event in work.numbered():
        is_typed = is_persons(event, work.log.by_model)
        is_queued = event.kind is Kind.SYSTEM and said_meanwhile(work.log.events, number - 1, work.log.by_model)
        if has_begun and (is_typed or is_queued) and text.weight(event.text) >= ACKNOWLEDGED:
            for each in text.quoted(text.own_words(event.text), RULING, items=True):
                reason = "typed while the model worked" if is_queued else "a person's words on the way"
                yield Line(each, number, Source.QUOTE, reason)
        has_begun |= event.kind in (Kind.ANSWER, Kind.CALL)


def _rulings(work: Work) -> list[Line]:
    """What people said later that asks nothing and was acted on: a call followed that was not git's."""
    found = []
    for line in _said_later(work):
        at = max(number for number, step in enumerate(work.steps) if step.first < line.event)
        turn = turn_of(work.steps, at)
        is_asked = any(map(text.is_question, text.sentences(line.text.removesuffix(text.CUT))))
        if not is_asked and not is_errand(turn):
            found.append(line)
    return found


def _answers(work: Work) -> Iterator[Line]:
    for number, event in work.numbered():
        call = work.log.calls.get(event.call) if event.kind is Kind.RESULT and event.tool in ASKING else None
        for question, answer in answers_to(call, event).items() if call else ():
            said = " ".join(question.split()), " ".join(answer.split())
            yield fact("answered", number, question=said[0], answer=said[1])


def _plans(work: Work) -> Iterator[Line]:
    named = dict(plans(work))
    for number, event in work.numbered():
        if event.plan_accepted:
            place = work.log.numbers.get(event.call, number)
            name = named.get(place, "")
            yield fact("plan", place, heading=name) if name else fact("plan without a name", number)


def _refusals(work: Work) -> Iterator[Line]:
    for number, event in work.numbered():
        said, call = said_with_refusal(event), work.log.calls.get(event.call)
        words = text.quoted(text.own_words(said), RULING, items=True) or [" ".join(said.split())]
        is_asked = any(map(text.is_question, text.sentences(words[0])))
        if call and words[0] and not is_asked and len(words[0]) <= 2 * RULING:
            command = call.command.strip()
            is_short = command and len(command) <= CALL and "\n" not in command
            named = f"`{command}`" if is_short else f"a call of {call.tool}"
            yield fact("refusal", number, call=named, words=words[0])
