"""A title for a segment: an order of 3 to 12 words, from the best source that there is.

Sources, best first: the heading of a plan, a prompt that is an order, the subject of a commit, what the model says it
did, a question, the list of things to do, what the model said it would do, and the files. A source that gives less
than three words, or a title that is taken, gives way to the next one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Final

from transcripts.events import Event

from . import prose
from .prompts import Ask, kind_of, without_greeting
from .steps import Phase
from .verbs import PASSIVE, base_of, is_order, is_past
from .work import Work

LENGTH: Final = 72
FEWEST, MOST = 3, 12  # words

_PREFIX: Final = re.compile(r"^(?:fixup!|squash!|(?P<type>[a-z]+)(?:\([^)]*\))?!?:)\s*", re.I)
_TYPES: Final = {
    "fix": "Fix",
    "feat": "Add",
    "docs": "Document",
    "refactor": "Refactor",
    "test": "Test",
    "perf": "Speed up",
}
_EMPTY_SUBJECT: Final = re.compile(
    r"^(?:(?:wip|init(?:ial)?(?: commit)?|tmp|temp|updates?|changes|checkpoint|empty commit|save)\W*$|wip\b"
    r"|merge (?:branch|remote|pull|commit|origin)|merge\b.*\binto\b)",
    re.I,
)
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
_INTENT: Final = re.compile(
    r"^(?:now |next,? |first,? |ok(?:ay)?,? )*(?:let me|i'?ll|i will|i'm going to|let's|i need to)(?: now| also"
    r"| first| then| next)? (?P<what>.+)",
    re.I,
)
_OWN_WORDS: Final = re.compile(
    r"^(?:(?:done|great|good|perfect|all done|ok(?:ay)?)[.!,:—–-]*\s+)*(?:now )?(?:(?:i|we)(?:'ve| have)?(?: now"
    r"| also| just| successfully)? |successfully )?(?P<what>[A-Za-z-]+ .+)",
    re.I,
)
_FENCED: Final = re.compile(r"```.*?(?:```|$)|\"\"\".*?(?:\"\"\"|$)", re.S)
_BROKEN: Final = re.compile(
    r"\b(?:fail(?:s|ed|ing|ure|ures)?|errors?|broken|bugs?|crash(?:es|ed|ing)?|not|cannot|wrong|panics?)\b|n't\b|---",
    re.I,
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
_NOUNS: Final = frozenset(
    {
        "lint",
        "test",
        "build",
        "publish",
        "merge",
        "format",
        "release",
        "deploy",
        "issue",
        "report",
        "review",
        "log",
        "check",
        "push",
    }
)
_READING: Final = frozenset(
    {"read", "look", "check", "see", "review", "investigate", "explore", "open", "recall", "start"}
)
_NO_DEEDS: Final = frozenset(
    {
        "commit",
        "push",
        "run",
        "find",
        "read",
        "get",
        "leave",
        "fail",
        "start",
        "use",
        "see",
        "show",
        "look",
        "mark",
        "confirm",
        "check",
        "note",
        "try",
        "skip",
        "call",
        "force",
        "make",
        "go",
        "fetch",
        "gather",
    }
)
POINTING: Final = re.compile(
    r"(?:with |on |for |to |in |at )?(?:it|this|that|them|these|those|there|one|both|all)\b(?! (?:test|issue|file"
    r"|branch|pr|comment|error|bug|function|method|class|plan)s?\b)",
    re.I,
)
_AND_PAST: Final = re.compile(r"((?:,|,? and) )(\w+ed)\b")
_INVERTED: Final = re.compile(
    r"^(is|are|was|were|does|do|did|can|could|should|would|will|has|have) (it|this|that|they|we|you|i|there|these"
    r"|those)\b ?",
    re.I,
)
_AUXILIARY: Final = re.compile(r"\b(?:is|are|was|were|does|do|did|can|could|should|would|will|has|have)\b", re.I)
_THIN: Final = frozenset(
    {
        "commit",
        "push",
        "continue",
        "review",
        "check",
        "merge",
        "update",
        "run",
        "fix",
        "do",
        "go",
        "look",
        "see",
        "read",
        "change",
    }
)
_PRONOUNS: Final = re.compile(r"\b(?:it|this|that|them|these|those|there|one|so)\b", re.I)


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
        stem = prose.clipped(re.sub(r" \(part \d+\)$", "", fallback), LENGTH - 12, MOST - 2)
        fallback = f"{stem} (part {number})"
    return fallback


def shaped(text: str) -> str:
    """As an order: cut to length, capital first, no full stop, known verbs in the infinitive."""
    text = prose.plain(text).rstrip(".!:;, ")
    head = re.split(r"\s[–—-]\s", text, maxsplit=1)[0]
    text = head if len(head.split()) >= FEWEST or len(text) > LENGTH else text
    if not text:
        return ""
    first, _, rest = text.partition(" ")
    if (is_past(first) or first.endswith("ing")) and rest and (base := base_of(first)):
        text = f"{base} {rest}"
    text = prose.clipped(text, LENGTH, MOST)
    return prose.sentence_case(text.rstrip("?.!:;, "))


def _candidates(work: Work) -> Iterator[str]:
    prompts = [step.prompt for step in work.steps if step.prompt is not None]
    opening = prompts[0] if prompts and work.steps[0].prompt is prompts[0] else None
    kind = kind_of(said(opening)) if opening else None
    if opening:
        yield from headings(opening)
        yield from _orders(opening, work, only_reading=False)
    yield from subjects(work)
    if opening and kind is Ask.QUESTION and not work.changed:
        yield from _questions(opening)
    yield from _deeds(work)
    for prompt in prompts[1:]:
        yield from _orders(prompt, work, only_reading=False)
    for prompt in prompts:
        yield from _orders(prompt, work, only_reading=True)
    if opening:
        yield from _questions(opening)
        yield from _errands(opening)
        yield from _complaints(opening, work)
    yield from (todo.text for todo in work.todos if is_order(todo.text.split(" ", 1)[0]))
    yield from _intents(work)
    for prompt in prompts:
        if prompt.text.startswith("/"):
            yield f"Run the command {' '.join(prompt.text.split()[:4])}"


def headings(prompt: Event) -> Iterator[str]:
    match = _HEADING.search(prompt.text[:600])
    if match is None or not (_PLAN.match(prompt.text.strip()) or prompt.text.lstrip().startswith("#")):
        return
    heading = match[1]
    while (shorter := _LABEL.sub("", heading)) != heading:
        heading = shorter
    if base_of(heading.split(" ", 1)[0]):
        yield heading
    else:
        yield f"{'Fix:' if _BROKEN.search(heading) else 'Implement'} {heading}"


def _orders(prompt: Event, work: Work, *, only_reading: bool) -> Iterator[str]:
    """The first sentence of a prompt that begins with a verb, once greetings and politeness are gone.

    "Read x.md and …" says little about work that changed files: such orders come later, with ``only_reading``.
    """
    text = said(prompt)
    kind = kind_of(text)
    if kind in (Ask.CONSENT, Ask.CORRECTION, Ask.ERRAND):
        return
    for sentence in prose.sentences(text)[:3]:
        order = _main_clause(bare(sentence.text))
        first, _, rest = order.partition(" ")
        if not is_order(first) or not rest or _complains(order) or _is_log(order):
            continue
        if kind_of(order) is Ask.ERRAND or first.lower() in _ERRANDS:
            continue
        if only_reading != (bool(work.changed) and first.lower() in _READING):
            continue
        if POINTING.match(rest) or (first.lower() in _THIN and _PRONOUNS.search(rest[:20])):
            continue
        yield order if len(order.split()) >= FEWEST else _lengthened(order, work)


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


def _is_log(text: str) -> bool:
    parts = text.split()
    return sum(not re.search(r"[A-Za-z]{2}", part) for part in parts) > 0.2 * len(parts)


def _complains(text: str) -> bool:
    """ "Publish to npm failed", "lint fail": a noun that is also a verb, and what is wrong with it."""
    if text.split(" ", 1)[0].lower() in _NOUNS and _BROKEN.search(text[:60]):
        return True
    return bool(
        re.search(
            r"^\S+(?: \S+){0,5} (?:fail(?:s|ed|ing)?|(?:is|are|was|were)(?:n't| not)?|doesn't|don't)\b", text, re.I
        )
    )


def bare(text: str) -> str:
    """A prompt's sentence without greeting, politeness and "let's"."""
    text = without_greeting(text)
    while (shorter := _ASKING.sub("", text, count=1)) != text:
        text = shorter
    return text


def subjects(work: Work) -> Iterator[str]:
    """Subjects of commits that say something, the one with the most words first."""
    found = []
    for commit in work.commits:
        match = _PREFIX.match(commit.subject)
        subject = commit.subject[match.end() :] if match else commit.subject
        subject = re.sub(r"\s*\(#\d+\)$", "", subject)
        words = subject.split()
        if len(words) < FEWEST or _EMPTY_SUBJECT.match(subject):
            continue
        lead = _TYPES.get((match["type"] or "").lower(), "") if match else ""
        if words[0].endswith(":") and is_order(words[1]):  # "parser: Keep comments"
            words = words[1:]
            subject = " ".join(words)
        if words[0].endswith("ly") and is_order(words[1]):
            words = words[1:]
            subject = " ".join(words)
        if base_of(words[0]):
            first = base_of(words[0]) if is_past(words[0]) or words[0].endswith("s") else words[0]
            subject = f"{first} {' '.join(words[1:])}"
        elif lead:
            subject = f"{lead} {prose.decapitalised(subject)}"
        found.append(subject)
    yield from sorted(
        found, key=lambda subject: (not is_order(subject.split(" ", 1)[0]), -min(8, len(subject.split())))
    )


def _deeds(work: Work) -> Iterator[str]:
    """What the model says it did, latest words first: "Added tests for …"."""
    for step in reversed(work.steps):
        for sentence in step.sentences[:12]:
            match = _OWN_WORDS.match(sentence.text)
            if not match or not FEWEST <= len(match["what"].split()) <= 30:
                continue
            first = match["what"].split(" ", 1)[0]
            if PASSIVE.match(match["what"]) or "n't" in match["what"]:
                continue
            if (
                is_past(first)
                and base_of(first) not in _NO_DEEDS
                and not POINTING.match(match["what"].partition(" ")[2])
            ):
                yield _AND_PAST.sub(lambda m: f"{m[1]}{base_of(m[2])}" if is_past(m[2]) else m[0], match["what"])


def _questions(prompt: Event) -> Iterator[str]:
    for sentence in prose.sentences(said(prompt)):
        text = bare(sentence.text).lstrip("Qq: ")
        if text[:2] == "I " or text[:2] == "I'" or text.split(" ", 1)[0].lower() in _ERRANDS:
            continue
        if is_order(text.split(" ", 1)[0]) and not _complains(text) and not POINTING.match(text.partition(" ")[2]):
            yield text
        elif text.endswith("?") and len(text.split()) >= FEWEST:
            yield asked(text)


def asked(question: str) -> str:
    """A question as a thing to do: "Find out why …", "Check whether …"."""
    text = question.rstrip("? ")
    first, _, rest = text.partition(" ")
    if first.lower() in ("why", "how", "what", "where", "when", "which", "who"):
        if inverted := _INVERTED.match(rest):
            verb = inverted[1].lower()
            verb = "" if verb == "do" else f"{verb} "
            return f"Find out {first.lower()} {inverted[2]} {verb}{rest[inverted.end() :]}"
        if not _AUXILIARY.search(rest) or (first.lower() in ("what", "who") and _AUXILIARY.match(rest)):
            return f"Find out {first.lower()} {rest}"
    elif inverted := _INVERTED.match(text):
        verb = inverted[1].lower()
        verb = "" if verb == "do" else f"{verb} "
        return f"Check whether {inverted[2].lower()} {verb}{text[inverted.end() :]}"
    text = prose.clipped(text, LENGTH - 11, MOST - 1)
    return f"Answer “{text}?”"


def _errands(prompt: Event) -> Iterator[str]:
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


def _complaints(prompt: Event, work: Work) -> Iterator[str]:
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
        if len(text.split()) >= 2 and not text.endswith("?"):
            if (
                is_order(text.split(" ", 1)[0])
                and not _complains(text)
                and text.split(" ", 1)[0].lower() not in _ERRANDS
            ):
                yield text
                continue
            lead = "Fix" if _BROKEN.search(text) else "Address"
            yield f"{lead}: {prose.decapitalised(text)}"


def intent_of(text: str) -> str:
    """What a sentence announces ("Let me fix the lexer" → "fix the lexer"), if it names a change; else empty."""
    match = _INTENT.match(text)
    if match is None or match["what"].split(" ", 1)[0].lower() in _READING | _NO_DEEDS:
        return ""
    return (
        match["what"] if is_order(match["what"].split(" ", 1)[0]) and not _PRONOUNS.search(match["what"][:18]) else ""
    )


def _intents(work: Work) -> Iterator[str]:
    for step in work.steps:
        yield from filter(None, (intent_of(sentence.text.rstrip(":")) for sentence in step.statements[:3]))


def _lengthened(title: str, work: Work) -> str:
    """ "Fix lint" says too little: with the file that it was about."""
    if not title or not is_order(title.split(" ", 1)[0]):
        return ""
    files = sorted(work.changed, key=lambda file: -file.times)
    return f"{title} in {files[0].path.rsplit('/', 1)[-1]}" if files else ""


_VERBS: Final = {Phase.EXPLORE: "Read", Phase.TEST: "Run the checks on", Phase.EDIT: "Edit"}


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
