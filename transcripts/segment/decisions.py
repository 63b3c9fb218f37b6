"""Choices that were made in a segment: by people, and by the model where it weighed one way against another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from transcripts.events import Event, Kind

from . import prose
from .lexical import words
from .outline import Line, distinct
from .people import said_after_refusal, said_meanwhile, said_with_refusal
from .prompts import Ask, kind_of, without_greeting
from .verbs import POINTING, PRONOUNS, base_of, is_order, is_past
from .wishes import bare, heading_of
from .work import Work

LENGTH: Final = 240  # characters of a line
LOOKED_BACK: Final = 3  # answers before people's words
RULE_WORDS: Final = 60  # of a prompt that may state a rule; a longer one is an order, or pasted

_DECIDED: Final = re.compile(
    r"\b(?:decided|chose|opted|settled on|went with|going with|agreed (?:to|on)|ruled out)\b", re.I
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
_CHOOSES: Final = re.compile(
    r"^(?:(?:but|and|also|please|let'?s|yeah|yes|ok(?:ay)?)\W+)*(?:abandon|do(?:n'?t| not)|never|leave|drop|no need)\b"
    r"|\b(?:instead of|rather than|must not|out of scope|not directly)\b",
    re.I,
)
_WONDERS: Final = re.compile(
    r"\b(?:is|are|does|do|did|was|were|would|should|could|can|has|have)n'?t (?:that|it|this|we|they|you|there)\b", re.I
)
_DECISIONS_SECTION: Final = re.compile(
    r"^(?:(?:key |design |technical |architectural |user )*decisions?\b|declined|deferred|rejected|trade-?offs"
    r"|out of scope|non-?goals|won'?t (?:do|fix))",
    re.I,
)
_TURNS_TO_IT: Final = re.compile(r"(?:now |sure,? |ok(?:ay)?,? )*(?:let me|i'?ll|i will|i'?m)\b", re.I)
_DECISION: Final = re.compile(r"(?:(?:key|design|technical|our|final) )?decisions?", re.I)
_SETTLED: Final = re.compile(
    r"\b(?:deferred (?:to|until)|(?:(?<=[,;:(—–-] )|(?<=is )|(?<=are ))by design|declined|out of scope"
    r"|left as[- ]is|won'?t fix|intentionally (?:not|left|kept))\b",
    re.I,
)
_WILL_NOT: Final = re.compile(
    r"\b(?:I|we) (?:(?P<will>will not|won't|am not going to)|did not|didn't|chose not to)"
    r" (?P<what>(?P<verb>\w+) .+)",
    re.I,
)
_LEAVES: Final = re.compile(
    r"(?:so |but |and )?i(?:'ll| will|'m going to|'m| would)? (?:leave|leaving|keep|skip) (?!you\b)", re.I
)
_REASON: Final = re.compile(r"\b(?:because|since|as (?:it|that|this|the)|per|so that|to avoid|to keep)\b", re.I)
_PROGRESS: Final = re.compile(r"\b(?:i'm|am|i am) (?:now |also )?\w+ing\b", re.I)
_OPTION: Final = re.compile(r"^\s*\**(?:option )?([0-9a-d])\**[.):]\**\s+(.+)$", re.M | re.I)
_PICK: Final = re.compile(
    r"^(?:option |#|number )?([0-9]|[a-d])\b[\s.,!)]*(?:please|then|is fine|sounds good)?\W*$", re.I
)
_ANSWERED: Final = re.compile(r'"([^"\n]{4,300})"="([^"\n]{1,300})"')


def decisions(work: Work, before: str, title: str = "") -> list[Line]:
    """Real choices. ``before``: what the model said last before the segment, for an answer such as "2". What the
    title says already is left out.
    """
    found = [*_of_people(work, before, title), *_of_sections(work), *_of_tables(work), *_of_model(work)]
    return distinct(found)


def _of_people(work: Work, before: str, title: str) -> Iterator[Line]:
    said = before
    for step in work.steps:
        if step.prompt is not None:
            yield from _of_prompt(step.prompt.text, step.first_number, said, title if work.steps[0] is step else None)
        said = step.text or said
    yield from _of_remarks(work)
    for number in range(work.first, work.last + 1):
        event = work.events[number]
        if event.kind is Kind.RESULT and event.tool in ("AskUserQuestion", "request_user_input") and not event.is_error:
            for question, answer in _ANSWERED.findall(event.text):
                yield Line(prose.clipped(f"{prose.plain(question)} → {prose.plain(answer)}", LENGTH), number + 1)
        if event.plan_accepted:
            name = heading_of(event).removeprefix("Plan: ")
            yield Line(f"Accepted the plan “{prose.clipped(name, 160)}”." if name else "Accepted the plan.", number + 1)


def _of_remarks(work: Work) -> Iterator[Line]:
    """What people said when they refused a call, or while the model was at work."""
    calls = {event.call: event for event in work.events[work.first : work.last + 1] if event.kind is Kind.CALL}
    tried: Counter[str] = Counter()
    for number in range(work.first, work.last + 1):
        event = work.events[number]
        if event.kind is Kind.CALL and event.command:
            tried[_first_of(event)] += 1
        if told := said_with_refusal(event) or said_after_refusal(work.events, number):
            if not told.endswith("?") or _is_asked_for(told):
                what = _named(calls.get(event.call), tried)
                yield Line(_quoting(f"Did not allow {what}", _first(told)), number + 1)
        elif (told := said_meanwhile(work.events, number)) and _is_asked_for(told):
            after = _left_before(work, number) or _meant(work, number, told)
            yield Line(f"{_quoting('Asked meanwhile', _first(told))}{after}", number + 1)


def _left_before(work: Work, number: int) -> str:
    """What the model had just chosen to leave as it is, which people's words then may overrule."""
    spoken = [step for step in work.steps if step.answer and step.answer <= number and step.text.strip()][-LOOKED_BACK:]
    for step in reversed(spoken):
        for one in reversed(step.sentences):
            if _LEAVES.match(one.text) and len(one.text.split()) <= 40:
                return f" Before that the model had said: “{prose.clipped(one.text, 160)}”"
    return ""


def _meant(work: Work, number: int, told: str) -> str:
    """What "them" are, as the model's next words have it."""
    if not PRONOUNS.search(told):
        return ""
    step = next((step for step in work.steps if step.answer > number), None)
    said = next((one.text for one in step.sentences[:1] if 5 <= len(one.text.split()) <= 40), "") if step else ""
    if not said.endswith((".", "!")) or _TURNS_TO_IT.match(said):
        return ""
    return f" Understood as: “{prose.clipped(said, 160)}”"


def _quoting(lead: str, text: str) -> str:
    said = prose.clipped(text, 160)
    said = said if said == text else f"{said} …"
    return f"{lead}: “{said}”{'' if said.endswith(('?', '…', '!')) else '.'}"


def _first(text: str) -> str:
    """The first sentence that says something; a short text whole."""
    whole = prose.plain(text[:1000])
    if len(whole) <= 160:
        return whole.rstrip(".")
    return next((s.text for s in prose.sentences(text) if len(s.text.split()) > 2), whole).rstrip(".")


def _is_asked_for(text: str) -> bool:
    order = bare(text)
    return len(text.split()) >= 3 and is_order(order.split(" ", 1)[0])


def _named(call: Event | None, tried: Counter[str]) -> str:
    """The call in a few words, what it was for, and whether the like was called before. ``tried``: how often so far."""
    if call is not None and call.command:
        command = prose.clipped(_bare(call), 48).rstrip(" &|;")
        again = " once more" if tried[_first_of(call)] > 1 else ""
        aim = prose.decapitalised(prose.clipped(prose.plain(str(call.data.get("description") or "")), 80))
        return f"“{command}”{again}{f' ({aim})' if aim else ''}"
    if call is not None and call.touches:
        return f"the edit of {call.touches[0].path.rsplit('/', 1)[-1]}"
    return f"the call of {call.tool}" if call is not None and call.tool else "a call"


def _bare(call: Event) -> str:
    return re.sub(r"^cd \S+ && ", "", " ".join(call.command.split()))


def _first_of(call: Event) -> str:
    """Without what its output goes through."""
    return _bare(call).partition("|")[0]


def _of_prompt(text: str, number: int, before: str, title: str | None) -> Iterator[Line]:
    """``title`` is given for the prompt that opens the segment: there only plain words of choice count."""
    if pick := _PICK.match(text.strip()):
        options = {key.lower(): what for key, what in _OPTION.findall(before)}
        if what := options.get(pick[1].lower()):
            yield Line(f"Chose option {pick[1]}: {prose.ended(prose.clipped(prose.plain(what), 160))}", number)
        return
    if len(text.split()) > RULE_WORDS:
        return
    is_order_of_all = title is not None and kind_of(text) not in (Ask.CORRECTION, Ask.CONSENT)
    rule = _CHOOSES if is_order_of_all else _RULE
    if kind_of(text) is Ask.ERRAND:
        return
    for sentence in prose.sentences(text):
        length = len(sentence.text.split())
        if (
            4 <= length <= 40
            and not sentence.text.endswith("?")
            and not _asks(sentence.text)
            and rule.search(sentence.text)
            and not _is_chat(sentence.text)
            and not (is_order_of_all and _says(title or "", sentence.text))
        ):
            yield Line(
                f"Asked for: “{prose.clipped(without_greeting(sentence.text).rstrip('.'), LENGTH - 20)}”.", number
            )


def _says(title: str, text: str) -> bool:
    own, known = set(words(text)), set(words(title))
    return len(own & known) >= 0.6 * max(1, len(own))


_CHAT: Final = re.compile(
    r"^(?:hm+|i (?:think|don'?t (?:know|see|understand)|guess|see|was|just|only|wonder|can'?t|didn'?t)|it'?s|is it|are"
    r"|error|---|oh|umm?|emm|never mind|how|what|why)\b",
    re.I,
)


def _asks(text: str) -> bool:
    return (
        bool(_WONDERS.search(text))
        or kind_of(re.sub(r"^(?:(?:but|also|so|then|and|or)\s+)+", "", text, flags=re.I)) is Ask.QUESTION
    )


def _is_chat(text: str) -> bool:
    return bool(_CHAT.match(text)) or "://" in text


def _of_sections(work: Work) -> Iterator[Line]:
    """Items below "Design decisions", in plans and in answers."""
    for step in work.steps:
        texts = [(step.statements, step.answer)]
        if step.prompt is not None and "ecision" in step.prompt.text:
            texts.append((prose.statements(step.prompt.text), step.first_number))
        for found, number in texts:
            for sentence in found:
                is_one = sentence.is_item and not sentence.leads and _DECISIONS_SECTION.match(sentence.section)
                if is_one and 3 <= len(sentence.text.split()) <= 45:
                    yield Line(prose.ended(prose.clipped(sentence.text, LENGTH)), number)


def _of_tables(work: Work) -> Iterator[Line]:
    """Rows of a table with a column "Decision", in plans and in answers: of what, and the choice."""
    for step in work.steps:
        texts = [(step.text, step.answer)]
        if step.prompt is not None:
            texts.append((step.prompt.text, step.first_number))
        for text, number in texts:
            for head, rows in prose.tables(text) if "ecision" in text else ():
                place = next((at for at, name in enumerate(head) if _DECISION.fullmatch(name)), None)
                for row in rows if place is not None else ():
                    if len(row) == len(head) > 1 and row[0] and (choice := row[place or 1]):
                        yield Line(prose.ended(prose.clipped(f"{row[0]}: {choice}", LENGTH)), number)


def _refused(text: str) -> str:
    """ "I will not push to main because the rules forbid it": what the model did not do, and why."""
    match = _WILL_NOT.search(text)
    if match is None or not is_order(match["verb"]) or not _REASON.search(match["what"]):
        return ""
    return prose.clipped(f"{'Will' if match['will'] else 'Did'} not {match['what']}", LENGTH)


def _of_model(work: Work) -> Iterator[Line]:
    for step in work.steps:
        for sentence in step.sentences:
            if refused := _refused(sentence.text):
                yield Line(prose.ended(refused), step.answer)
                continue
            if _SETTLED.search(sentence.text) and _stands_alone(sentence.text):
                yield Line(prose.ended(prose.clipped(sentence.text, LENGTH)), step.answer)
                continue
            if not (_OVER.search(sentence.text) or _DECIDED.search(sentence.text)):
                continue
            text = _choosing(sentence.text)
            if not 6 <= len(text.split()) <= 45 or text.endswith("?") or _PROGRESS.search(text):
                continue
            first = text.split(" ", 1)[0]
            own = bool(_OURS.match(text)) or is_past(first) or is_order(first)
            weighed = _OVER.search(_ASIDE.sub("", text)) and own and not _OF_OLD.search(text)
            decided = _DECIDED.search(text) and own and not _ADVICE.search(text)
            choice = _own(text)
            word, _, rest = choice.partition(" ")
            verb = base_of(word) if is_order(word) or is_past(word) else ""
            stands = (verb and verb not in _LOOKING and not POINTING.match(rest)) or _COMPARED.match(choice)
            if (weighed or decided) and stands and not _WAITING.search(choice) and not _ADVICE.search(choice):
                yield Line(prose.ended(choice), step.answer)


def _stands_alone(text: str) -> bool:
    first, _, rest = text.partition(" ")
    return 5 <= len(text.split()) <= 45 and not (
        text.endswith("?") or PRONOUNS.match(first) or first.lower() in ("i'll", "i", "but", "and") or not rest
    )


_ASIDE: Final = re.compile(r"\([^)]*\)")
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
