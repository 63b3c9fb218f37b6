"""What the model reports to have done: sentences of its answers, told apart from plans, questions and chat."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from transcripts.paths import name_of

from . import prose
from .deeds import intent_of, subjects
from .lexical import words
from .parts import is_part
from .steps import Step
from .turns import talk_of, turns_of
from .verbs import PASSIVE, POINTING, is_order, is_past, past_of
from .work import Work

SHORTEST, LONGEST = 5, 45  # words of a sentence that reports something ...
SHORTEST_DEED: Final = 3  # ... and of one that begins with what was done
INTENDED: Final = 1.2  # weight of what was only announced, though files were changed right after it
REPEATED: Final = 0.6  # share of the words of the shorter of two sentences that say the same
MARGIN: Final = 1.5  # a second sentence that stands for so much less is left out

_CHAT: Final = re.compile(
    r"^(?:(?:all )?done|great(?: (?:question|catch|point|news))?|perfect|excellent|good(?: (?:catch|point|question"
    r"|news|call|idea))?|all green|yes|yeah|no|right|ok(?:ay)?|understood|exactly|sure|thanks"
    r"|you'?re (?:absolutely )?right|confirmed|fair (?:point|question|enough)|interesting|hmm|ah|oh|so|now|also|and"
    r"|but|got it|makes sense|summary|result|outcome|(?:the )?fix(?:ed)?|note)(?:[.!:]+\s+|\s*[,—–]+\s*| - )",
    re.I,
)
_PLANS: Final = re.compile(
    r"^(?:(?:now|next|first|then|so|ok(?:ay)?|and)[, ]+)*(?:let me|let'?s|let us|i'?ll|i will|i'?m (?:going|about"
    r"|now)|i (?:need|want|should|can|could|would|think|see|notice|understand|believe|suspect)|going to|we (?:should"
    r"|could|can|need|will|might)|"
    r"now\b.{0,30}\bto\b|want(?: me)?|would you|shall|should (?:i|we)|do you|if you|let me know|feel free|you(?:'ll"
    r"|'d| can| could| may| might| should| need| have)|please|here(?:'s| is| are)|looking at|i'?m)\b",
    re.I,
)
_FIRST_PERSON: Final = re.compile(
    r"^(?:(?:i|we)(?:'ve| have| had)?|(?:i|we))(?: (?:now|also|just|successfully|already|then))* (?=\w+)", re.I
)
_STATE: Final = re.compile(
    r"\b(?:(?:(?:is|are|was|were|been) (?:now |also |all |already |both |fully |successfully )*|(?:threads?"
    r"|comments?|conflicts?|issues?|points|tasks?|bugs?|files|changes|it|all|both|three) )"
    r"(?:fixed|resolved|addressed|updated|added|removed|committed|pushed|merged|created|replaced|implemented"
    r"|restored|deployed|opened|closed|verified|completed?|applied|renamed|replied|passing|done|gone|green|clean"
    r"|ready|live|built|in place|in sync|up to date)"
    r"|(?:is|are) now \w+(?:ed|en)|no longer|now (?:verif|check|us|handl|return|work|show|pass|includ|read|writ"
    r"|stor|support)\w*|now (?:clear|fall|keep|set|call|take|skip|update|ignore|accept|reject|log|wait|start|stop|send"
    r"|get|fail|require|allow|resolve|respect|prefer)s|(?:tests?|checks?|suites?|builds?|lint(?:ing)?|cases|ci"
    r"|everything|all)\b.{0,40}\bpass(?:es|ed|ing)?|succeeded|works now|turned out|root cause"
    r"|the (?:issue|problem|bug|cause|reason|answer) (?:is|was))\b",
    re.I,
)
_SUPPOSED: Final = re.compile(r"\b(?:would|could|should|might|if|when you|unless|ready for you|assuming)\b", re.I)
_POINTS_BACK: Final = re.compile(r"(?:that|this|it|they|these|those|he|she|which|ready|there)(?:'s|\b)", re.I)
_AND_ORDER: Final = re.compile(r"((?:,|,? and|;) )([a-z]+)(?= (?:the|a|an|its?|them|all|both|new|unused|to)\b)")
_OF_A_THING: Final = re.compile(r"\w+ \S+ (?:does|do|is|are|was|were|has|have|now)\b")  # "Committed x.json does not …"
_LONG_AGO: Final = re.compile(r"^(?!All|Both|Every).*\b(?:was|were|been|already|usage|line \d+)\b", re.I)
_BY_DOING: Final = re.compile(r"(?:fixed|resolved|solved) by \w+ing\b", re.I)
_LABELLED: Final = re.compile(r"(?!\S+ed )(?:[^.:;]|[.:](?=\S)){2,90}?(?: [–—-] |: )(?P<deed>[A-Z][a-z]+ .+)$")
_LEAD_OUT: Final = re.compile(
    r"(?:,? (?:(?:that|which)(?: \w+){0,2}|with|including|as follows|to|in|(?:with |by |in )?(?:these"
    r"|the following)(?: \w+)?))?\s*[:：]$",
    re.I,
)
_NOT_SO: Final = re.compile(r"\b(?:not|never|nor)\b|n't\b|\b(?:issue|problem) is clear\b", re.I)
_GOES_ON: Final = re.compile(r"\b(?:i'm|let me|i'll|i will|want me|would you)\b", re.I)
_ROUTINE: Final = re.compile(
    r"\b(?:tests?|lint|checks|build|suite)\b.{0,40}\bpass|working tree|no (?:merge )?conflicts|all (?:good|green"
    r"|clean)",
    re.I,
)
CONTENT: Final = 2  # words with a meaning of their own that a report must have
_HOLLOW: Final = re.compile(
    r"^(?:found|got|identified|see) (?:it|the (?:actual |real )?(?:bug|issue|problem|culprit|(?:root )?cause))\W*$"
    r"|^you'?re (?:absolutely )?right\b"
    r"|\b(?:what|as) i (?:\w+ )?(?:suspected|expected|thought|said)"
    r"|\b(?:issue|problem|bug|cause) is (?:now )?clear\b"
    r"|\b(?:but|however)\b.*\bfail(?:s|ed|ing)?\b",
    re.I,
)
_SO: Final = re.compile(r"^(?:so|and|now)\b,? (?=\w)", re.I)
_TAKES_BACK: Final = re.compile(r"\b(?:revert|undo|roll(?:ing)? back|back(?:ing)? out)\b", re.I)
_NOT_SO_ASKED: Final = re.compile(
    r"\b(?:should(?:n't| not)\b|revert|undo|roll (?:it |that )?back|not (?:there|here|like that)\b)", re.I
)
_VERDICT: Final = re.compile(
    r"(?:the )?(?:root cause|verdict|short answer|bottom line|conclusion|result|answer|tl;?dr|diagnosis|what happened"
    r"|what went wrong)s?\b|.{0,20}\bverdict$",
    re.I,
)
_CAUSE: Final = re.compile(r"(?:the )?(?:root cause|diagnosis|what went wrong)\b", re.I)
_VERDICT_LABEL: Final = re.compile(
    r"(?:the )?(?:root cause|verdict|short answer|bottom line|conclusion|tl;?dr|in short|summary|diagnosis)\s*"
    r"(?::|,| is that)\s+(?=\S)",
    re.I,
)
_RESULTS: Final = re.compile(r"(?:results?|status|outcome|verdict|state|passed\??)$", re.I)
_LEADING: Final = frozenset(
    {"has", "have", "is", "are", "was", "were", "does", "at", "with", "to", "in", "as", "like", "contains", "includes",
     "shows", "says", "following", "by", "of", "for", "on", "from", "that", "which", "be",  "now", "and", "or"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Report:
    text: str
    event: int  # counted from 1
    weight: float
    order: int
    closing: bool = False
    last: bool = False  # told in the last turn that changed files, or after it
    subject: bool = False  # the subject of a commit
    part: str = ""  # the part of the work that it tells of, where the model told it in parts


def reports(work: Work) -> list[Report]:
    """Every sentence that reports something done or found, with how well it stands for the segment."""
    spoken = [step for step in work.steps if step.text.strip()]
    topic = _topic(work.steps)
    found: list[Report] = []
    closers = _closers(work)
    turns = turns_of(work.steps)
    undone, talk, last = _undone(turns), talk_of(turns), _last_deeds(turns)
    unpushed = work.push.event if work.push and not work.push.went_through else 0
    for place, step in enumerate(reversed(spoken)):
        closing = place == 0 or (place == 1 and not found) or step.answer in closers
        if step.answer in undone:
            continue
        for index, sentence in enumerate(step.statements[:40]):
            if sentence.heading:
                continue
            text = as_report(sentence.text, is_item=sentence.is_item, of_others=step.answer in talk)
            if not text or len(words(text)) < CONTENT or _HOLLOW.search(text):
                continue
            if step.answer < unpushed and "push" in text.lower():
                continue
            weight = (3.0 if closing else 1.0 / (1 + 0.2 * place)) + _weight(text, sentence, index, topic)
            part = sentence.section if is_part(sentence.section) else ""
            order = -1000 * place + index
            found.append(Report(text, step.answer, weight, order, closing, last=step.answer >= last, part=part))
    found += _written(work, topic)
    found += _intended([step for step in work.steps if step.answer not in undone], topic)
    for title in subjects(work):
        first, _, rest = title.partition(" ")
        if past := past_of(first):
            text = prose.sentence_case(prose.ended(f"{past} {rest}"))
            found.append(Report(text, work.commits[-1].event, 2.4 + _shared(text, topic), -400, subject=True))
    return sorted(found, key=lambda report: report.order)


def _closers(work: Work) -> set[int]:
    """The events of the last words of each turn that changed files: there the model sums up."""
    found: set[int] = set()
    last, changed = 0, False
    for step in work.steps:
        if step.prompt is not None:
            found |= {last} if changed and last else set()
            last, changed = 0, False
        last = step.answer if step.text.strip() else last
        changed |= bool(step.changed)
    return found


def _changed(turn: Sequence[Step]) -> set[str]:
    return set().union(*(step.changed for step in turn))


def _undone(turns: Sequence[Sequence[Step]]) -> set[int]:
    """The events of answers about work that the next turn on the same files took back."""
    found = set[int]()
    for place, turn in enumerate(turns):
        prompt = turn[0].prompt
        said = next((step.text for step in turn if step.text.strip()), "")[:600]
        if not place or prompt is None or not (_NOT_SO_ASKED.search(prompt.text[:400]) or _TAKES_BACK.search(said)):
            continue
        earlier = next((one for one in reversed(turns[:place]) if _changed(one)), [])
        if _changed(earlier) & _changed(turn):
            found |= {step.answer for step in earlier if step.answer}
    return found


def _last_deeds(turns: Sequence[Sequence[Step]]) -> int:
    """The event from which on answers tell of the last turn that changed files."""
    changing = [turn for turn in turns if _changed(turn)] or [turn for turn in turns if any(s.commits for s in turn)]
    return changing[-1][0].first_number if changing else 0


def findings(work: Work) -> list[Report]:
    """What was found out: of the closing words of each turn the sentence that answers, the last turn first."""
    found: list[Report] = []
    turns = [turn for turn in turns_of(work.steps) if any(step.text.strip() for step in turn)]
    for place, turn in enumerate(reversed(turns)):
        step = [step for step in turn if step.text.strip()][-1]
        if (said := _verdict(step, _VERDICT)) or (said := _tabled(step.text)) or (said := _first_statement(step)):
            found.append(Report(said, step.answer, -float(place), -place))
    return found


def root_cause(work: Work) -> Report | None:
    """What the closing words of a turn call the cause, or the table of results in the last words of all."""
    closers = _closers(work)
    spoken = [step for step in reversed(work.steps) if step.text.strip()]
    for step in spoken:
        is_closing = step is spoken[0] or step.answer in closers
        if is_closing and (said := _verdict(step, _CAUSE)):
            return Report(said, step.answer, 0.0, 0)
    if spoken and (said := _tabled(spoken[0].text)):
        return Report(said, spoken[0].answer, 0.0, 0)
    return None


def _verdict(step: Step, called: re.Pattern[str]) -> str:
    """The first whole sentence of a section that is so called, or that says so itself."""
    for sentence in step.sentences:
        text = sentence.text
        label = _VERDICT_LABEL.match(text)
        if called.match(label[0] if label else sentence.section):
            text = text[label.end() :] if label else text
            while (shorter := _CHAT.sub("", text, count=1)) != text:
                text = shorter
            if SHORTEST <= len(text.split()) <= LONGEST and text[-1] in ".!" and not _PLANS.match(text):
                return text if text == sentence.text else prose.sentence_case(text)
    return ""


def _tabled(text: str) -> str:
    """The rows of a table of results, in one sentence."""
    for head, rows in prose.tables(text):
        if rows and len(head) > 1 and _RESULTS.match(head[-1]):
            told = [f"{row[0]}: {prose.clipped(row[-1], 60)}" for row in rows if len(row) == len(head) and row[-1]]
            if told:
                more = f"; and {len(told) - 3} more" if len(told) > 4 else ""
                return prose.ended("; ".join(told[: 3 if more else 4]) + more)
    return ""


def _intended(steps: Sequence[Step], topic: set[str]) -> Iterator[Report]:
    """What the model said it would do in a step that then changed files: "Let me fix the lexer" became "Fixed …"."""
    spoken = [step for step in steps if step.changed and step.text]
    for place, step in enumerate(reversed(spoken)):
        for sentence in step.statements[:6]:
            if sentence.heading:
                continue
            if (aim := intent_of(sentence.text)) and (past := past_of(aim.split(" ", 1)[0])):
                text = prose.ended(prose.sentence_case(f"{past} {without_lead(aim.partition(' ')[2])}"))
                if len(text.split()) >= SHORTEST - 1:
                    yield Report(text, step.answer, INTENDED - 0.1 * place + _shared(text, topic), -1000 * place - 700)


def _written(work: Work, topic: set[str]) -> Iterator[Report]:
    """From the messages of the commits, which are orders: "Add x" is told as "Added x"."""
    for place, (body, event) in enumerate(reversed(work.messages)):
        for index, sentence in enumerate(prose.sentences(body)[:12]):
            first, _, rest = sentence.text.partition(" ")
            text = sentence.text
            if past := past_of(first):
                text = f"{past} {_AND_ORDER.sub(lambda m: m[1] + (past_of(m[2]) or m[2]), rest)}"
            if text := as_report(text):
                weight = 3.2 - 0.8 * place + _weight(text, sentence, index, topic)
                yield Report(text, event, weight, -1000 * place - 500 + index, place == 0, last=place == 0)


def without_lead(text: str) -> str:
    """Without the colon at its end and the words that only lead to what follows; empty if nothing stays."""
    if not text.endswith((":", "：")):
        return text
    text = _LEAD_OUT.sub("", text).rstrip(":： ")
    if text.rsplit(" ", 1)[-1].lower() not in _LEADING:
        return text
    return text[: breaks[-1].start()] if (breaks := list(re.finditer(r"; |\s[–—-]\s", text))) else ""


def as_report(text: str, *, is_item: bool = False, of_others: bool = False) -> str:
    """The sentence without "I" and chat before it; empty if it reports nothing. ``of_others``: where nothing was done,
    only "I" tells of own deeds."""
    if len(text) > LONGEST * 20:
        return ""
    whole = text
    while (shorter := _CHAT.sub("", text, count=1)) != text:
        text = shorter
    if (label := _LABELLED.match(text)) and is_past(label["deed"].split(" ", 1)[0]):
        text = label["deed"]
    leads = text.endswith((":", "："))
    text = without_lead(text)
    if (
        not SHORTEST_DEED <= len(text.split()) <= LONGEST
        or text.endswith("?")
        or _PLANS.match(text)
        or _GOES_ON.search(text)
    ):
        return ""
    own = _FIRST_PERSON.sub("", text, count=1)
    is_deed = _is_deed(own) and (own != text or not (of_others or text[0].islower()))
    if not is_deed and (leads or own != text or not _is_state(text, is_cut=text != whole)):
        return ""
    return prose.ended(prose.sentence_case(own) if is_deed or text != whole else own)


def _is_deed(text: str) -> bool:
    """ "Added a test", and not "Used in hooks" or "Committed x.json does not name it"."""
    if not is_past(text.split(" ", 1)[0]):
        return text.lower().startswith("successfully ")
    return bool(_BY_DOING.match(text)) or not (PASSIVE.match(text) or _OF_A_THING.match(text))


def _is_state(text: str, *, is_cut: bool) -> bool:
    """ "All tests pass", "The branch is pushed": how things stand, and not how they might."""
    first, _, rest = text.partition(" ")
    if len(text.split()) < SHORTEST or first.lower() in ("and", "but", "or", "so", "because"):
        return False
    if is_order(first) or (first.lower() in ("now", "then", "next", "first") and is_order(rest.split(" ", 1)[0])):
        return False
    if is_past(first) or _NOT_SO.search(text) or _SUPPOSED.search(text) or _POINTS_BACK.match(text):
        return False
    return bool(_STATE.search(text)) and (is_cut or _is_beginning(text))


def _is_beginning(text: str) -> bool:
    """Of a sentence: a capital, or the name of a thing in code."""
    first = text.split(" ", 1)[0]
    return text[0].isupper() or text[0].isdigit() or text[0] in "\"'“(/._-" or any(c.isupper() for c in first[1:])


def closing_statement(work: Work) -> tuple[str, int] | None:
    """The first whole statement of the last answer that has one, where nothing was reported: mostly an answer."""
    for step in reversed(work.steps):
        if said := _first_statement(step):
            return said, step.answer
    return None


def _first_statement(step: Step) -> str:
    for sentence in step.sentences[:8]:
        text = sentence.text
        while (shorter := _CHAT.sub("", text, count=1)) != text:
            text = shorter
        text = _SO.sub("", text)
        if sentence.is_item or text.endswith("?") or _PLANS.match(text) or _POINTS_BACK.match(text):
            continue
        if len(words(text)) < CONTENT or _HOLLOW.search(text):
            continue
        text = prose.sentence_case(text) if text != sentence.text else text
        if SHORTEST <= len(text.split()) <= LONGEST and text[-1] in ".!":
            return text
    return ""


def _topic(steps: Sequence[Step]) -> set[str]:
    said = " ".join(step.prompt.text[:1500] for step in steps if step.prompt)
    names = " ".join(name_of(path) for step in steps for path in step.changed)
    return set(words(f"{said} {names}"))


def _shared(text: str, topic: set[str]) -> float:
    own = set(words(text))
    return 2.0 * len(topic & own) / (4 + len(own))


def _weight(text: str, sentence: prose.Sentence, index: int, topic: set[str]) -> float:
    length = len(text.split())
    return (
        _shared(text, topic)
        + (1.5 if is_past(text.split(" ", 1)[0]) else 0.0)
        - (1.0 if _ROUTINE.search(text) and length < 14 else 0.0)
        - (1.0 if text.startswith("Found ") else 0.0)
        - (1.0 if POINTING.match(text.partition(" ")[2]) else 0.0)
        - (1.0 if _LONG_AGO.search(text) else 0.0)
        - 0.05 * index
        - 0.2 * sentence.is_item
        - 0.03 * max(0, length - 25)
        - 0.1 * max(0, 8 - length)
    )


def says_the_same(one: str, other: str) -> bool:
    """Do two sentences say the same?"""
    left, right = set(words(one)), set(words(other))
    return len(left & right) > REPEATED * max(1, min(len(left), len(right)))


def chosen(found: Sequence[Report], count: int, room: int, told: Iterable[str] = ()) -> Iterator[Report]:
    """The best ``count`` reports that fit into ``room`` characters and do not repeat each other, in their order: each
    of another part of the work, where it has parts; of those in ``told`` none.
    """
    parts = set(told)
    taken: list[Report] = []
    known: list[set[str]] = []
    used = 0
    ranked = sorted(found, key=lambda report: -report.weight)
    for report in ranked:
        if len(taken) == count:
            break
        if report.weight < ranked[0].weight - MARGIN and not report.part:
            continue
        if used + len(report.text) > room or (taken and _ROUTINE.search(report.text)):
            continue  # that all is well is told by the facts
        if report.part and report.part in parts:
            continue
        own = set(words(report.text))
        if not any(len(own & other) > REPEATED * max(1, min(len(own), len(other))) for other in known):
            taken.append(report)
            parts.add(report.part)
            known.append(own)
            used += len(report.text) + 1
    yield from sorted(taken, key=lambda report: report.order)
