"""Summary and outcome: what the model reports, and after it the facts, which need no belief."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from transcripts.events import Verb
from transcripts.paths import name_of

from . import prose
from .answers import Answer, answers
from .git import Push
from .lexical import words
from .outline import FileWork, Line
from .parts import Part, listed, parts
from .prompts import Ask, kind_of, without_greeting
from .reviews import objections
from .said import (
    Report,
    as_report,
    chosen,
    closing_statement,
    findings,
    reports,
    root_cause,
    says_the_same,
)
from .troubles import tests_first, troubles
from .turns import is_deed_turn, turns_of
from .verbs import base_of, is_past
from .wishes import is_log, said, why_of
from .work import Check, Work

OUTCOME: Final = 260  # characters of what is reported in an outcome
SUMMARY: Final = 420
PART: Final = 280  # of what was done in one part
ASKED: Final = 200
PARAGRAPH: Final = 480  # characters
LONG: Final = 100  # events; of longer work two causes of trouble are told
REPLIES: Final = 2  # answered questions in a summary
_LOOKED: Final = frozenset({"find", "get", "confirm", "check", "verify", "identify", "read", "review", "look", "leave"})
_VERBS: Final = {Verb.WRITTEN: "wrote", Verb.EDITED: "changed", Verb.DELETED: "deleted"}
_TRUNKS: Final = ("main", "master", "trunk", "develop")  # where a push is seen by everybody


def words_of(work: Work, title: str) -> tuple[str, Line | None]:
    """Summary and outcome of one segment.

    The summary in its order: the reason, or what was asked and answered; what reviewers asked for; the parts, or the
    cause and what was done; why checks failed on the way; and the facts.
    """
    why = troubles(work)
    answered = answers(work)
    is_talk, results, found = _reported(work, why, is_answered=bool(answered))
    listing, in_list = ("", set[str]()) if is_talk else _parts_listed(work, results)
    if in_list:  # all that was done: the outcome is what the closing words add to it
        results = [one for one in results if one.closing and one.last and one.text not in in_list]
    outcome = _outcome(work, results if is_talk else _ending(results))
    cause = None if is_talk else root_cause(work)
    if cause and (outcome is None or says_the_same(cause.text, outcome.text)):
        cause = None
    if cause:
        found = [report for report in found if not says_the_same(cause.text, report.text)]
        why = [text for text in why if not says_the_same(text, cause.text)]
    most, least = (1, 0) if cause else (2, 0 if is_talk else 1)
    told = [] if in_list else list(chosen(_but(found, outcome, title), most, SUMMARY, _parts_of(results, outcome)))
    told = told if told or in_list else list(chosen(found, least, SUMMARY))
    done = [*([cause.text] if cause else []), *(report.text for report in told)]
    if listing and not in_list:
        done.insert(0, listing)
    if not done and not work.changed and not outcome and (statement := closing_statement(work)):
        done = [statement[0]]
    trouble = _trouble(work, why)
    facts = _deeds(work)
    asked = _replies(answered, [*done, listing, trouble, outcome.text if outcome else ""]) or _reason(work)
    if not asked and not in_list and len(told) < 2:
        asked = _asked(work, title, always=not (done or trouble or facts))
    lists = [_objections(work), listing if in_list else ""]
    return _in_paragraphs(asked, *lists, " ".join(done), trouble, facts), outcome


def _reported(work: Work, why: Sequence[str], *, is_answered: bool) -> tuple[bool, list[Report], list[Report]]:
    """Was there nothing but talk; what was reported or found out; and the same with what commits tell."""
    found = [one for one in reports(work) if not any(text.rstrip(".").lower() in one.text.lower() for text in why)]
    results = [report for report in found if not report.subject]
    if is_answered and not work.changed:  # a commit then ends what was done, and told, before
        found = results
    is_talk = _is_talk(work, results)
    if is_talk and (answering := findings(work)):
        results, found = answering[:1], answering[1:3] + found
    return is_talk, results, found


def _parts_listed(work: Work, results: Sequence[Report]) -> tuple[str, set[str]]:
    """The parts in a list or a sentence, and the texts of the reports that stand in the list."""
    found = parts(work.steps)
    deeds = {part.head: _deeds_in(part, results) for part in found}
    listing = listed(found, deeds) if found else ""
    return listing, {text for texts in deeds.values() for text in texts} if "\n" in listing else set()


def _deeds_in(part: Part, found: Sequence[Report]) -> list[str]:
    """What was done in that part, as far as it fits, and what was wrong before."""
    own = [replace(report, part="") for report in found if report.part == part.head]
    told = [report.text for report in chosen(own, 2, PART)]
    return [part.before, *told] if told and part.before and not as_report(part.before) else told


def _reason(work: Work) -> str:
    prompt = next((step.prompt for step in work.steps if step.prompt), None)
    reason = why_of(prompt) if prompt else ""
    return f"Why: “{reason}”" if reason else ""


def _objections(work: Work) -> str:
    return "\n".join(f"- {text}" for text in objections(work.steps)) if work.reviewers else ""


def _in_paragraphs(*groups: str) -> str:
    """A long summary is easier to read in several."""
    said = [group for group in groups if group]
    is_short = sum(map(len, said)) <= PARAGRAPH and not any("\n" in group for group in said)
    return (" " if is_short else "\n\n").join(said)


def _trouble(work: Work, why: Sequence[str]) -> str:
    count = 2 if work.last - work.first >= LONG else 1
    quoted = " ".join(f"“{text}”" for text in why[-count:])
    first = tests_first(work)
    told = [f"Tests came first: “{first}”" if first else "", f"Checks failed on the way: {quoted}" if quoted else ""]
    return " ".join(filter(None, told))


def _is_talk(work: Work, results: Sequence[Report]) -> bool:
    """Was nothing done but to look and to answer?"""
    turns = [turn for turn in turns_of(work.steps) if any(step.text.strip() for step in turn)]
    if work.changed or work.commits or not turns:
        return False
    return not is_deed_turn(turns[-1]) or not any(_is_strong(one) for one in results if one.closing)


def _replies(answered: Sequence[Answer], told: Sequence[str]) -> str:
    """The last questions that were answered here, with their answers, as far as these were not told."""
    found = [one for one in answered if not any(says_the_same(one.text, text) for text in told if text)]
    return " ".join(f"Was asked: “{one.question}” Answered: “{one.text}”" for one in found[-REPLIES:])


def _is_strong(report: Report) -> bool:
    """Does it tell of something done, and not only looked at?"""
    first = report.text.split(" ", 1)[0]
    return is_past(first) and base_of(first) not in _LOOKED


def _ending(found: Sequence[Report]) -> Sequence[Report]:
    """The reports of the last turn that changed something, if one of them tells of something done; else of the ends of
    all turns; else all of them."""
    for ending in ([one for one in found if one.closing and one.last], [one for one in found if one.closing]):
        if any(is_past(report.text.split(" ", 1)[0]) for report in ending):
            return ending
    return found


def _parts_of(results: Sequence[Report], outcome: Line | None) -> set[str]:
    """Those that the outcome speaks of."""
    return {one.part for one in results if outcome and one.text in outcome.text} - {""}


def _but(found: Sequence[Report], outcome: Line | None, title: str) -> list[Report]:
    """Those that the outcome does not tell in these words, nor, where there are others, it or the title in others."""
    if outcome is None:
        return list(found)
    told = [one.text for one in found if one.text in outcome.text]
    others = [one for one in found if one.text not in outcome.text]
    new = [one for one in others if not any(says_the_same(one.text, text) for text in [title] * one.subject + told)]
    return new or others


def _outcome(work: Work, found: Sequence[Report]) -> Line | None:
    best = list(chosen(found, 2, OUTCOME)) or list(chosen(found, 1, 10 * OUTCOME))
    text = " ".join(report.text for report in best)
    event = best[-1].event if best else 0
    facts, seen = _results(work, text)
    if not best and not facts and (statement := closing_statement(work)):
        text, event = statement
    if facts:
        text = f"{text} {facts}".strip()
    event = event or seen
    return Line(text, event) if text and event else None


def _results(work: Work, told: str) -> tuple[str, int]:
    """Commit, pull request and the last check in the order in which they came, as far as they were not told."""
    found: list[tuple[int, str]] = []
    if work.commits and not any(c.sha and c.sha[:7] in told for c in work.commits):
        telling = [c for c in work.commits if not c.subject.lower().startswith(("merge ", "wip"))] or work.commits
        last = telling[-1]
        more = f" and {len(work.commits) - 1} more" if len(work.commits) > 1 else ""
        name = f"{last.sha[:8]} " if last.sha else ""
        amended = " (amended)" if last.is_amended or last.replaces else ""
        subject = prose.clipped(prose.plain(last.subject), 72)
        found.append((last.event, f"committed {name}“{subject}”{amended}{more}"))
    if work.pull and f"#{work.pull[0]}" not in told:
        found.append((work.pull[1], f"opened {'draft ' if work.is_draft else ''}PR #{work.pull[0]}"))
    if work.push and work.push.went_through and (not work.pull or work.push.is_forced) and "push" not in told.lower():
        found.append((work.push.event, _pushed(work, work.push)))
    if work.merged and "merge" not in told.lower():
        found.append((work.merged[1], f"merged PR #{work.merged[0]}" if work.merged[0] else "merged the pull request"))
    if work.rebased and not re.search(r"\bre(?:bas|wr)", told, re.I):
        found.append((work.rebased, "rebased"))
    if work.replied and not re.search(r"\brepl(?:y|ied)", told, re.I):
        found.append((work.replied[1], work.replied[0]))
    ended = (0, "")
    check = work.last_check
    if check and not re.search(r"\bpass|\bgreen\b|\bfail", told, re.I):
        ended = (check.event, f"{check.what} {'passed' if check.passed else 'failed'}")
    said = _in_order(found, ended)
    event = max((event for event, _ in [*found, ended]), default=0)
    if work.push and not work.push.went_through:
        said = f"{said} The push {f'of {work.push.branch} ' if work.push.branch else ''}was rejected.".strip()
        event = work.push.event
    return said, event


def _in_order(found: list[tuple[int, str]], ended: tuple[int, str]) -> str:
    """One sentence of what was done, each with its event; how the last check ended stands apart, in its place."""
    found = sorted(found, key=lambda pair: pair[0])
    before = [text for event, text in found if event <= ended[0]]
    after = [text for event, text in found if event > ended[0]]
    said = "; ".join(text for text in (_joined(before), ended[1], _joined(after)) if text)
    return prose.ended(prose.sentence_case(said)) if said else ""


def _pushed(work: Work, push: Push) -> str:
    """The branch is named where it is everybody's, or another one than people spoke of."""
    pushed = "force-pushed" if push.is_forced else "pushed"
    if push.branch in _TRUNKS:
        return f"{pushed} to {push.branch}"
    spoken = any(re.search(r"\b(?:main|master|trunk)\b", step.prompt.text[:400]) for step in work.steps if step.prompt)
    return f"{pushed} {push.branch}" if push.branch and spoken else pushed


def _deeds(work: Work) -> str:
    """One sentence of facts: files changed, checks run. What the outcome says is not said again."""
    facts: list[str] = []
    for verb, past in _VERBS.items():
        if files := sorted((file for file in work.changed if file.verb is verb), key=lambda file: -file.times):
            facts.append(f"{past} {_names(files)}")
    if facts and work.edits > len(work.changed):
        facts[-1] += f" in {work.edits} edits" if len(facts) == 1 else f" ({work.edits} edits in all)"
    elif work.files and not facts and not work.commits:
        facts.append(f"read {_names(sorted(work.files, key=lambda file: -file.times))}")
    if len(work.commits) > 1:
        facts.append(f"made {len(work.commits)} commits")
    known = [check for check in work.checks if check.passed is not None]
    if checked := _checked([check for check in known if not check.by_person], work.failing):
        facts.append(checked)
    told = prose.ended(prose.sentence_case(_joined(facts))) if facts else ""
    own = next((check for check in reversed(known) if check.by_person), None)
    by_person = f"The person ran {own.command}, {'passing' if own.passed else 'failing'}." if own else ""
    return f"{told} {by_person}".strip()


def _checked(known: Sequence[Check], failing: Check | None) -> str:
    """ "ran go test 4 times, at last passing"; a check is named where all were the same."""
    if not known:
        return ""
    names = {check.command if len(check.kinds - {"formatting"}) < 2 else "" for check in known}
    name = names.pop() if len(names) == 1 else ""
    if not failing and not known[-1].passed:  # it failed, and something else showed later that it was dealt with
        return f"ran {name or 'the checks'}{f' {len(known)} times' if len(known) > 1 else ''}"
    end = "failing" if failing else "passing"
    lost = sum(not check.passed for check in known)
    if len(known) == 1:
        return f"ran {name or 'the checks'}, {end}"
    alike = len({check.passed for check in known}) == 1
    if failing and known[-1].passed:  # of another kind
        return f"ran the checks {len(known)} times, {failing.what} failing"
    if alike:
        return f"ran {name or 'the checks'} {len(known)} times, all {end}"
    return f"ran {name or 'the checks'} {len(known)} times, {lost} failing, at last {end}"


def _asked(work: Work, title: str, *, always: bool) -> str:
    """What the segment began with, where the title does not say it already."""
    prompt = next((step.prompt for step in work.steps if step.prompt), None)
    if prompt is None or (
        not always and (prompt.text.startswith("/") or kind_of(prompt.text) in (Ask.CONSENT, Ask.ERRAND))
    ):
        return ""
    typed = "\n".join(line for line in said(prompt).splitlines() if not is_log(line))
    found = [one.text for one in prose.sentences(typed)[:8] if len(one.text.split()) >= 3]
    found = found or [prose.plain(typed[:400] or prompt.text[:400])]
    ranked = sorted(enumerate(found), key=lambda pair: 0.7 * pair[0] - min(8, len(set(words(pair[1])))))
    text = ranked[0][1]
    known, own = set(words(title)), set(words(text))
    if not text or (not always and len(own & known) >= 0.5 * min(len(own), len(known))):
        return ""
    whole = without_greeting(text).rstrip(".")
    quoted = prose.clipped(whole, ASKED)
    quoted = quoted if quoted == whole else f"{quoted} …"
    return f"Was asked: “{quoted}”{'' if quoted.endswith(('?', '…')) else '.'}"


def _names(files: Sequence[FileWork]) -> str:
    names = list(dict.fromkeys(name_of(file.path) for file in files))
    return _joined([*names[:3], f"{len(names) - 3} more files"] if len(names) > 4 else names)


def _joined(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)
