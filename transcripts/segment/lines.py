"""Decisions, next steps and open questions of a segment. Few and right rather than many."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final

from transcripts.events import Event, Kind

from . import prose
from .lexical import words
from .outline import Line
from .prompts import Ask, kind_of, without_greeting
from .said import as_report
from .titles import headings
from .verbs import base_of, is_order, is_past
from .work import Work

MOST: Final = 4  # of a kind in a segment
LENGTH: Final = 240
PASSED_ON: Final = 1  # of the list of things to do, where another segment follows and goes on with it

# --- decisions --------------------------------------------------------------------------------------------------------

_DECIDED: Final = re.compile(
    r"\b(?:decided|chose|opted|settled on|picked|went with|going with|agreed (?:to|on)|ruled out)\b", re.I
)
_OVER: Final = re.compile(r"\b(?:instead of|rather than|in favou?r of|as opposed to)\b", re.I)
_OURS: Final = re.compile(
    r"^(?:(?:so|then|now|ok(?:ay)?|and),? )?(?:(?:i|we)\b(?!'m)|let'?s|let me|better|safer|simpler|cleaner|best"
    r"|the (?:right|best|better|cleanest|simplest|safest) (?:approach|fix|way|solution|option)|the fix is"
    r"|this (?:way|approach)|(?:use|keep|make|put|move|add|return|store|pass|call|skip|drop|remove|prefer)\b)",
    re.I,
)
_OF_OLD: Final = re.compile(
    r"\b(?:currently|was|were|used to|bug|problem|issue|existing|originally|wrong(?:ly)?|explain\w*|document\w*"
    r"|comments?|seems?|might|maybe|could"
    r"|appears?|wondering)\b",
    re.I,
)
_RULE: Final = re.compile(
    r"\b(?:always|never|do(?:n'?| no)t|must(?: not)?|should(?:n'?t| not| only| be| also)|only|instead|rather|prefer"
    r"|no need|not? (?:necessary|needed)|leave (?:it|that|this|them)|keep (?:it|that|the)|remove it|drop (?:it|that"
    r"|the)|ignore|use \w+|by default)\b",
    re.I,
)
_OPTION: Final = re.compile(r"^\s*\**(?:option )?([0-9a-d])\**[.):]\**\s+(.+)$", re.M | re.I)
_PICK: Final = re.compile(
    r"^(?:option |#|number )?([0-9]|[a-d])\b[\s.,!)]*(?:please|then|is fine|sounds good)?\W*$", re.I
)
_ANSWERED: Final = re.compile(r'"([^"\n]{4,300})"="([^"\n]{1,300})"')


def decisions(work: Work, before: str) -> list[Line]:
    """Real choices. ``before``: what the model said last before the segment, for an answer such as "2"."""
    found = [*_of_people(work, before), *_of_model(work)]
    return _distinct(found)


def _of_people(work: Work, before: str) -> Iterator[Line]:
    said = before
    for step in work.steps:
        if step.prompt is not None:
            yield from _of_prompt(step.prompt.text, step.first_number, said, work.steps[0] is step)
        said = step.text or said
    for number in range(work.first, work.last + 1):
        event = work.events[number]
        if event.kind is Kind.RESULT and event.tool in ("AskUserQuestion", "request_user_input") and not event.is_error:
            for question, answer in _ANSWERED.findall(event.text):
                yield Line(prose.clipped(f"{prose.plain(question)} → {prose.plain(answer)}", LENGTH), number + 1)
        if event.plan_accepted:
            name = next(headings(event), "")
            yield Line(f"Accepted the plan “{prose.clipped(name, 160)}”." if name else "Accepted the plan.", number + 1)


def _of_prompt(text: str, number: int, before: str, opens: bool) -> Iterator[Line]:
    if pick := _PICK.match(text.strip()):
        options = {key.lower(): what for key, what in _OPTION.findall(before)}
        if what := options.get(pick[1].lower()):
            yield Line(f"Chose option {pick[1]}: {prose.ended(prose.clipped(prose.plain(what), 160))}", number)
        return
    if (opens and kind_of(text) not in (Ask.CORRECTION, Ask.CONSENT)) or len(text) > 600:
        return  # an order that opens a segment is its title
    if kind_of(text) is Ask.ERRAND:
        return
    for sentence in prose.sentences(text):
        length = len(sentence.text.split())
        if (
            4 <= length <= 40
            and not _asks(sentence.text)
            and _RULE.search(sentence.text)
            and not _is_chat(sentence.text)
        ):
            yield Line(
                f"Asked for: “{prose.clipped(without_greeting(sentence.text).rstrip('.'), LENGTH - 20)}”.", number
            )


_CHAT: Final = re.compile(
    r"^(?:hm+|i (?:think|don'?t (?:know|see|understand)|guess|see|was|just|only|can'?t|didn'?t)|it'?s|is it|are"
    r"|error|---|oh|umm?|emm|never mind|how|what|why)\b",
    re.I,
)


def _asks(text: str) -> bool:
    return kind_of(re.sub(r"^(?:(?:but|also|so|then|and|or)\s+)+", "", text, flags=re.I)) is Ask.QUESTION


def _is_chat(text: str) -> bool:
    return bool(_CHAT.match(text)) or "://" in text


def _of_model(work: Work) -> Iterator[Line]:
    for step in work.steps:
        for sentence in step.sentences:
            text = _choosing(sentence.text)
            if not 6 <= len(text.split()) <= 45 or text.endswith("?"):
                continue
            first = text.split(" ", 1)[0]
            own = bool(_OURS.match(text)) or is_past(first) or is_order(first)
            weighed = _OVER.search(text) and own and not _OF_OLD.search(text)
            decided = _DECIDED.search(text) and own and not _ADVICE.search(text)
            choice = _own(text)
            verb = base_of(choice.split(" ", 1)[0])
            stands = (verb and verb not in _LOOKING) or _COMPARED.match(choice)
            if (weighed or decided) and stands and not _WAITING.search(choice) and not _ADVICE.search(choice):
                yield Line(prose.ended(choice), step.answer)


_ADVICE: Final = re.compile(r"\byou(?:r|'ve)?\b|\bif\b", re.I)
_LOOKING: Final = frozenset(
    {"check", "confirm", "look", "read", "verify", "wait", "see", "find", "inspect", "explore", "search", "let"}
)
_COMPARED: Final = re.compile(
    r"(?:better|safer|simpler|cleaner|best|the (?:right|best|better|cleanest|simplest|safest|fix)) ", re.I
)
_WAITING: Final = re.compile(
    r"(?:rather than|instead of) (?:just )?(?:guess|assum|wait|interrupt|poll|monitor)\w*", re.I
)
_CLAUSES: Final = re.compile(r"\s[–—-]\s|;\s|,? so |:\s|, but |, then ")


def _choosing(text: str) -> str:
    """The clause that holds the choice, where it can stand alone."""
    for clause in _CLAUSES.split(text):
        if (_OVER.search(clause) or _DECIDED.search(clause)) and len(clause.split()) >= 6 and _OURS.match(clause):
            return clause
    return text


def _own(text: str) -> str:
    """Without "I'll" and "let me" in front."""
    text = re.sub(
        r"^(?:(?:so|then|now|ok(?:ay)?|and),? )?(?:let me|let'?s|i'?ll|i will|i'?m going to|we'?ll|we should|we can"
        r"|i'?ve|we'?ve|i have|i|we)(?: just| now| also| then)? (?=\w)",
        "",
        text,
        count=1,
        flags=re.I,
    )
    return prose.sentence_case(prose.clipped(text, LENGTH))


# --- next steps -------------------------------------------------------------------------------------------------------

_NEXT_SECTION: Final = re.compile(
    r"^(?:(?:recommended |suggested |possible |immediate )?next(?: steps?)?\s*$|next steps?\b|remaining(?: work"
    r"| steps| issues"
    r"| items)?|still (?:to do|open|missing|needed)|to-?dos?|follow[- ]?ups?|what(?:'s| is) (?:left|next|remaining)"
    r"|not done(?: yet)?|left to do|outstanding|pending|future work|action items?)\b",
    re.I,
)
_NEXT: Final = re.compile(
    r"^(?:(?:the )?next(?: steps?)?(?: is| are| would be|:|,)|remaining\b|still (?:needs?|to do|missing)|what(?:'s"
    r"| is) (?:left|next)|todo\b|follow[- ]?up\b|(?:the )?only (?:thing|step) left|you(?:'ll"
    r"| will)? (?:still )?need to"
    r"|(?:you|we) (?:should|can) (?:now|then|also)\b|once (?:you|the|that|ci|it|this)\b|after (?:that|merging"
    r"|the merge|restart)|to (?:finish|complete|apply|activate|test|verify|try) (?:this|it|the)?\b|run )",
    re.I,
)
_LATER: Final = re.compile(
    r"\b(?:still needs? to|remains? to be|not yet (?:done|implemented|pushed|committed|merged|tested)"
    r"|needs? to be (?:done|pushed|merged|committed|re-?run)|(?:in|as) a (?:separate|later|follow-?up) (?:pr|commit"
    r"|change|session|step)|left for later|has(?:n't| not) been (?:pushed|committed|merged|tested))\b",
    re.I,
)


def next_steps(work: Work, *, is_last: bool) -> list[Line]:
    """What the last words say is still to do, and what is open on the agent's own list."""
    found: list[Line] = []
    spoken = [step for step in work.steps if step.text.strip()]
    for step in spoken[-1:]:
        for sentence in step.sentences:
            text = sentence.text
            if (
                text.endswith("?")
                or as_report(text)
                or not 3 <= len(text.split()) <= 40
                or re.match(r"(?:now )?(?:let me|i'?ll|i'?m going to)\b", text, re.I)
            ):
                continue
            listed = sentence.is_item and _NEXT_SECTION.match(sentence.section)
            if listed or _NEXT_SECTION.match(sentence.section) or _NEXT.match(text) or _LATER.search(text):
                found.append(Line(prose.ended(_order(text)), step.answer))
    todos = work.open_todos if is_last else work.open_todos[:PASSED_ON]
    found += [
        Line(prose.ended(prose.sentence_case(prose.clipped(prose.plain(todo.text), LENGTH))), work.todos_event)
        for todo in todos
    ]
    return _distinct(found)


def _order(text: str) -> str:
    text = re.sub(
        r"^(?:(?:the )?next(?: steps?)?(?: is| are| would be)?(?: to)?[:,]?|remaining(?: work)?:|todo:?|what(?:'s"
        r"| is) (?:left|next):?|you(?:'ll| will)? (?:still )?need to|(?:you|we) (?:should|can) (?:now|then|also))\s+",
        "",
        text,
        count=1,
        flags=re.I,
    )
    return prose.sentence_case(prose.clipped(text, LENGTH))


# --- open questions ---------------------------------------------------------------------------------------------------

SHARED: Final = 0.12  # of the question's words in the next prompt: it speaks to the question
_IDLE: Final = re.compile(
    r"^(?:(?:is there )?anything else|what(?:'s| is) next|make sense|sound good|does (?:this|that) (?:help"
    r"|make sense)|ready to|how (?:can|may) i help|what would you like (?:me )?to (?:do|work))\b",
    re.I,
)
_OFFER: Final = re.compile(r"^(?:do you )?(?:want|would you like|shall|should i|like)\b", re.I)


def open_questions(work: Work, following: Event | None) -> list[Line]:
    """Questions of the model that the next prompt does not answer, and a last prompt that nobody answered."""
    found: list[Line] = []
    steps = work.steps
    for at, step in enumerate(steps):
        last = at == len(steps) - 1
        reply = following if last else steps[at + 1].prompt
        if not step.text or (reply is None and not last):
            continue  # the model went on by itself
        for sentence in step.sentences[-6:]:
            text = sentence.text
            if not text.endswith("?") or not 4 <= len(text.split()) <= 45 or _IDLE.match(text):
                continue
            if reply is None or (last and not _answers(reply, text)):
                found.append(Line(prose.sentence_case(prose.clipped(text, LENGTH).rstrip("?") + "?"), step.answer))
    if following is None and steps[-1].prompt is not None and steps[-1].prompt.text.rstrip().endswith("?"):
        found.append(Line(prose.clipped(prose.plain(steps[-1].prompt.text[-400:]), LENGTH), steps[-1].first_number))
    found += _unanswered(work)
    return _distinct(found)


def _answers(reply: Event, question: str) -> bool:
    kind = kind_of(reply.text)
    if kind in (Ask.CONSENT, Ask.CORRECTION, Ask.FOLLOW_UP):
        return True
    if _OFFER.match(question) and kind is Ask.ERRAND:
        return True
    asked, given = set(words(question)), set(words(reply.text[:1500]))
    if not asked or len(asked & given) >= SHARED * len(asked):
        return True
    # a short order in reply to an offer settles it: another thing was wanted
    return bool(_OFFER.match(question))


def _unanswered(work: Work) -> Iterator[Line]:
    """Questions put by a tool whose call was turned down."""
    calls = {
        e.call: e
        for e in work.events[work.first : work.last + 1]
        if e.kind is Kind.CALL and e.tool == "AskUserQuestion"
    }
    for number in range(work.first, work.last + 1):
        event = work.events[number]
        if event.kind is Kind.RESULT and event.is_error and (call := calls.get(event.call)):
            for question in _questions_of(call):
                yield Line(prose.clipped(prose.plain(question), LENGTH), number + 1)


def _questions_of(call: Event) -> list[str]:
    try:
        given = json.loads(call.text)
    except ValueError:
        return []
    asked = given.get("questions") if isinstance(given, dict) else None
    return [str(q["question"]) for q in asked or [] if isinstance(q, dict) and q.get("question")]


_WORDS: Final = re.compile(r"\w+")


def _distinct(lines: Sequence[Line]) -> list[Line]:
    seen: list[set[str]] = []
    kept: list[Line] = []
    for line in lines:
        own = set(_WORDS.findall(line.text.lower())) or {line.text}
        if any(len(own & other) > 0.7 * min(len(own), len(other)) for other in seen):
            continue
        seen.append(own)
        kept.append(line)
    return kept[:MOST]
