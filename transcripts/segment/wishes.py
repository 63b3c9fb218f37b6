"""What people asked for, as titles: orders, questions, errands, and findings to deal with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from transcripts.events import Event

from . import prose
from .outline import FEWEST
from .prompts import Ask, kind_of, without_greeting
from .verbs import POINTING, PRONOUNS, READING, base_of, is_order
from .work import Work

_PLAN: Final = re.compile(
    r"^(?:implement (?:the )?following plan|implement (?:this|the) plan|here(?:'s| is) the plan)\b[^\n]*", re.I
)
_HEADING: Final = re.compile(r"^\s*#{1,3}\s+(.+?)\s*#*$", re.M)
_LABEL: Final = re.compile(
    r"^(?:(?:implementation )?plan|spec|task|feature|bug(?: ?fix)?|design|proposal|[A-Z]{2,10}-\d+|issue #?\d+"
    r"|phase \d+|step \d+)\s*[:–—-]\s+",
    re.I,
)
_ASKING: Final = re.compile(
    r"^(?:(?:can|could|would|will) (?:you|we)(?: please)?(?: also)?|please|pls|let'?s|lets|let us|i(?:'d"
    r"| would) like (?:you )?to|i (?:want|need) (?:you )?to|we (?:need|have|want) to"
    r"|(?:you|we) should(?: also)?|i think (?:we|you) should|and|then|also|now|next|so|just|maybe|go ahead and"
    r"|try (?:to|and)|help me(?: to)?|your task is to)\b[\s,:]*",
    re.I,
)
_FENCED: Final = re.compile(r"```.*?(?:```|$)|\"\"\".*?(?:\"\"\"|$)", re.S)
_BROKEN: Final = re.compile(
    r"\b(?:fail(?:s|ed|ing|ure|ures)?|errors?|broken|bugs?|crash(?:es|ed|ing)?|not|cannot|wrong|panics?)\b|n't\b|---",
    re.I,
)
_LOG: Final = re.compile(
    r"\bnpm (?:ERR|error)\b|\S\.log\b|^\[|\d\d:\d\d:\d\d|Traceback \(|^\s*(?:ERROR|WARN|INFO|DEBUG)\b|\] \["
)
_CONDITION: Final = re.compile(r"(?:when|if|once|after|before|for|in|on|as|one more thing|another thing)\b", re.I)
_ERRAND_DEEDS: Final = (
    (r"\b(?:commit|amend|squash)", "commit"),
    (r"\bpush", "push"),
    (r"\bpr\b|pull request", "open a pull request for"),
    (r"\bmerge", "merge"),
    (r"\b(?:deploy|ship)", "ship"),
)
_ERRANDS: Final = frozenset({"commit", "push", "amend", "squash"})
_NOUNS_WORDS: Final = "lint test build publish merge format release deploy issue report review log check push"
_NOUNS: Final = frozenset(_NOUNS_WORDS.split())
_THIN_WORDS: Final = "commit push continue review check merge update run fix do go look see read change"
_THIN: Final = frozenset(_THIN_WORDS.split())
_INVERTED: Final = re.compile(
    r"^(is|are|was|were|does|do|did|can|could|should|would|will|has|have) (it|this|that|they|we|you|i|there|these"
    r"|those)\b ?",
    re.I,
)
_POINTERS: Final = frozenset({"it", "this", "that", "they", "these", "those"})
_INTERJECTION: Final = re.compile(r"^(?:oh|ah|hm+|so|wait|but|and|also)\b[\s,]*", re.I)
_REASON_FOR: Final = re.compile(r"(?:context|problem|background|motivation|symptoms?|why)\b", re.I)
REASON: Final = 300  # characters of the reason for a plan
_TO_A_PERSON: Final = re.compile(r"(?:ask|tell|remind|inform|let|give) (?:me|us)\b", re.I)
_OF_IT: Final = re.compile(  # "does it?", "is that so?": nobody knows of what
    r"(?:(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have)(?:n't)?"
    r" (?:it|this|that|they|these|those)\b"
    r"|(?:what|how) about (?:it|this|that)\b)",
    re.I,
)
_MEANS: Final = re.compile(r"(?:does|do|did|would) (?:this|that|it|these|those) mean (?:that )?(?=\w+ \w)", re.I)
_TASK: Final = re.compile(r"(?:^|\n)\W*(?:your task(?: is)?|task|goal)\W*:\W*(?=\w)", re.I)
_AUXILIARY: Final = re.compile(r"\b(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have)\b", re.I)


def heading_of(prompt: Event) -> str:
    """The heading of a plan, as it stands there."""
    match = _HEADING.search(prompt.text[:600])
    return match[1] if match and (_PLAN.match(prompt.text.strip()) or prompt.text.lstrip().startswith("#")) else ""


def why_of(prompt: Event) -> str:
    """The reason that a plan gives for itself, below a heading such as "Context"; empty where there is none."""
    if not heading_of(prompt):
        return ""
    told: list[str] = []
    for sentence in prose.sentences(prompt.text):
        if _REASON_FOR.match(sentence.section):
            told.append(sentence.text)
        elif told:
            break
    reason = ""
    for text in told:
        if len(reason) + len(text) > REASON:
            break
        reason = f"{reason} {text}".strip()
    return reason


def headings(prompt: Event) -> Iterator[str]:
    heading = heading_of(prompt)
    if not heading:
        return
    while (shorter := _LABEL.sub("", heading)) != heading:
        heading = shorter
    if base_of(heading.split(" ", 1)[0]):
        yield heading
    else:
        yield f"{'Fix:' if _BROKEN.search(heading) else 'Implement'} {heading}"


def orders(prompt: Event, work: Work, *, only_reading: bool) -> Iterator[str]:
    """The first sentence of a prompt that begins with a verb, once greetings and politeness are gone.

    "Read x.md and …" says little about work that changed files: such orders come later, with ``only_reading``.
    """
    text = said(prompt)
    kind = kind_of(text)
    if kind in (Ask.CONSENT, Ask.CORRECTION, Ask.ERRAND):
        return
    if task := _TASK.search(text):
        text = text[task.end() :]
    for sentence in prose.sentences(text)[:3]:
        order = _main_clause(bare(sentence.text))
        first, _, rest = order.partition(" ")
        if not is_order(first) or not rest or _complains(order) or is_log(order):
            continue
        if kind_of(order) is Ask.ERRAND or first.lower() in _ERRANDS:
            continue
        if only_reading != (bool(work.changed) and first.lower() in READING):
            continue
        if _TO_A_PERSON.match(order) or POINTING.match(rest) or (first.lower() in _THIN and PRONOUNS.search(rest[:20])):
            continue
        yield order if len(order.split()) >= FEWEST else lengthened(order, work)


def lengthened(title: str, work: Work) -> str:
    """ "Fix lint" says too little: with the file that it was about."""
    if not title or not is_order(title.split(" ", 1)[0]):
        return ""
    files = sorted(work.changed, key=lambda file: -file.times)
    return f"{title} in {files[0].path.rsplit('/', 1)[-1]}" if files else ""


def _main_clause(text: str) -> str:
    """ "When it starts, please log the port": what comes after the comma, if that is the order."""
    first, comma, rest = text.partition(", ")
    if comma and _CONDITION.match(first) and is_order((order := bare(rest)).split(" ", 1)[0]):
        return order
    return text


def said(prompt: Event) -> str:
    """What a person typed, without pasted code; of a slash command its arguments."""
    text = _FENCED.sub(" ", prompt.text[:3000])
    return text.partition(" ")[2] if text.startswith("/") and "/" not in text[1:].split(" ", 1)[0] else text


def is_log(text: str) -> bool:
    """Is it pasted output?"""
    parts = text.split()
    return bool(_LOG.search(text)) or sum(not re.search(r"[A-Za-z]{2}", part) for part in parts) > 0.2 * len(parts)


def _complains(text: str) -> bool:
    """ "Publish to npm failed", "lint fail": a noun that is also a verb, and what is wrong with it."""
    if text.split(" ", 1)[0].lower() in _NOUNS and _BROKEN.search(text[:60]):
        return True
    return bool(
        re.search(
            r"^\S+(?! (?:whether|if|why|how|what|that|where|when)\b)(?: \S+){0,5}"
            r" (?:fail(?:s|ed|ing)?|(?:is|are|was|were)(?:n't| not)?|doesn't|don't)\b",
            text,
            re.I,
        )
    )


def bare(text: str) -> str:
    """A prompt's sentence without greeting, politeness and "let's"."""
    text = without_greeting(text)
    while (shorter := _ASKING.sub("", text, count=1)) != text:
        text = shorter
    return text


def questions(prompt: Event) -> Iterator[str]:
    for sentence in prose.sentences(said(prompt)):
        text = bare(sentence.text).lstrip("Qq: ")
        first = text.split(" ", 1)[0]
        if _TO_A_PERSON.match(text) or re.match(r"I[ ']", text) or first.lower() in _ERRANDS:
            continue
        if is_order(first) and not _complains(text) and not POINTING.match(text.partition(" ")[2]):
            yield text
        elif text.endswith("?") and len(text.split()) >= FEWEST and (wish := asked(text)):
            yield wish


def asked(question: str) -> str:
    """A question as a thing to do: "Find out why …", "Check whether …"; empty where nobody knows of what it asks."""
    text = _INTERJECTION.sub("", question.rstrip("? "))
    if meant := _MEANS.match(text):
        return f"Check whether {text[meant.end() :]}"
    if _OF_IT.match(question):
        return ""
    first, _, rest = text.partition(" ")
    if first.lower() in ("why", "how", "what", "where", "when", "which", "who"):
        if inverted := _INVERTED.match(rest):
            verb = inverted[1].lower()
            verb = "" if verb == "do" else f"{verb} "
            return f"Find out {first.lower()} {inverted[2]} {verb}{rest[inverted.end() :]}"
        if not _AUXILIARY.search(rest) or (first.lower() in ("what", "who") and _AUXILIARY.match(rest)):
            return f"Find out {first.lower()} {rest}"
    elif (inverted := _INVERTED.match(text)) and inverted[2].lower() not in _POINTERS:
        verb = inverted[1].lower()
        verb = "" if verb == "do" else f"{verb} "
        return f"Check whether {inverted[2].lower()} {verb}{text[inverted.end() :]}"
    return f"{prose.sentence_case(text)}?"


def errands(prompt: Event) -> Iterator[str]:
    text = bare(" ".join(said(prompt).split()))
    if kind_of(said(prompt)) is Ask.ERRAND:
        if (
            is_order(text.split(" ", 1)[0])
            and len(text.split()) >= FEWEST
            and not POINTING.match(text.partition(" ")[2])
        ):
            yield text
        deeds = [deed for cue, deed in _ERRAND_DEEDS if re.search(cue, text, re.I)]
        last = deeds.pop() if deeds else "finish"
        yield f"{', '.join(deeds)}{' and ' if deeds else ''}{last} the work so far"


def complaints(prompt: Event, work: Work) -> Iterator[str]:
    """A statement is a finding to deal with: pasted review comments, error messages."""
    for sentence in prose.sentences(said(prompt))[:1]:
        text = re.sub(
            r"^(?:(?:one more|another) (?:thing|issue)|any ideas|fyi|btw|so|but|also|and)[,:]?\s+",
            "",
            bare(sentence.text),
            flags=re.I,
        )
        if kind_of(said(prompt)) in (Ask.CONSENT, Ask.CORRECTION) and work.changed:
            continue
        if len(text.split()) >= 2 and not text.endswith("?") and not _TO_A_PERSON.match(text):
            if (
                is_order(text.split(" ", 1)[0])
                and not _complains(text)
                and text.split(" ", 1)[0].lower() not in _ERRANDS
            ):
                yield text
                continue
            yield text
