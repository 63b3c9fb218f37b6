"""English verbs of the trade: to tell an order from a remark, and to turn "Added tests" into "Add tests"."""

from __future__ import annotations

import re
from typing import Final

# "Used in hooks", "Cleared by the caller": what is said of a thing, and no deed
PASSIVE: Final = re.compile(
    r"\w+ (?:by|in|at|from|when|as|during|only|throughout|out|using|via|with|because|but|for)\b"
)
_VERBS: Final = (
    "abort accept add address adjust align allow amend analyse analyze annotate answer append apply approve "
    "archive arrange ask"
    " assert assess assign attach audit automate avoid back backport bind block boot branch break bring build bump "
    "bundle "
    "bypass cache"
    " calculate call cancel capture carry catch change check cherry-pick choose claim clarify clean cleanup clear "
    "clone close"
    " collapse collect combine commit compare compile complete compress compute condense configure confirm connect "
    "consolidate"
    " continue convert copy correct cover create cut deal debug decide declare decouple dedupe deduplicate default "
    "defer define"
    " delete demote deploy deprecate describe design detect determine diagnose disable discard dispatch display "
    "document download"
    " draft drop dump edit eliminate embed emit enable encode end enforce enhance ensure escape estimate evaluate "
    "examine exclude"
    " execute expand explain explore export expose extend extract fetch file fill filter finalize finalise find "
    "finish fix fold"
    " follow force format forward gate generate get give grant ground group guard guide handle harden hide "
    "highlight hook identify"
    " ignore implement import improve include increase index infer inform ingest initialize inject inline insert "
    "inspect install"
    " instrument integrate introduce invalidate investigate invoke isolate join keep kill label launch lay leave "
    "let lift limit"
    " link lint list load localize locate lock log look lower maintain make map mark mask match measure merge "
    "migrate mirror"
    " mock model modify monitor mount move narrow negotiate normalize note open optimize order organise organize "
    "outline override"
    " pack paginate parallelize parse pass patch pause persist pick pin plan point polish populate port post "
    "prefer prefix prepare"
    " present preserve prevent print process profile promote prompt propagate protect prove provide prune publish "
    "pull purge push"
    " put query queue quote raise rank re-run react read rebase rebuild recall recommend reconcile reconsider "
    "record recover"
    " redact redesign redirect reduce refactor refine reflect refresh regenerate register reject relax release "
    "reload remove"
    " rename render reorder reorganize repair replace reply report reproduce request require rerun rescan reseed "
    "reserve reset"
    " reshape resolve respect respond restart restore restrict restructure resume rethink retire retry return "
    "reuse revamp reverse revert"
    " review revise rewire rewrite rework roll rotate round run sanitize save scaffold scan schedule scope score "
    "search secure"
    " select send separate serialize serve set setup share shift ship shorten show shrink simplify skip slim "
    "smooth solve sort"
    " spawn specify speed split squash stage standardize start stop store stream strengthen strip style submit "
    "subscribe suggest"
    " summarise summarize support suppress surface swap switch sync synchronize tag tackle take teach tell test "
    "thread throttle"
    " tidy tighten toggle touch trace track trigger trim troubleshoot try tune tweak unblock undo unify uninstall "
    "unpack unset"
    " untangle update upgrade upload use validate verify view visit wait walk warn watch wire work wrap write"
)
BASE: Final = frozenset(_VERBS.split())
_IRREGULAR: Final = {
    "built": "build",
    "found": "find",
    "made": "make",
    "wrote": "write",
    "rewrote": "rewrite",
    "written": "write",
    "ran": "run",
    "sent": "send",
    "kept": "keep",
    "put": "put",
    "set": "set",
    "split": "split",
    "took": "take",
    "chose": "choose",
    "gave": "give",
    "got": "get",
    "left": "leave",
    "told": "tell",
    "brought": "bring",
    "caught": "catch",
    "rebuilt": "rebuild",
    "reran": "rerun",
    "cut": "cut",
    "undid": "undo",
    "began": "begin",
    "broke": "break",
    "hid": "hide",
    "read": "read",
    "reset": "reset",
    "overrode": "override",
    "drew": "draw",
    "laid": "lay",
    "rethought": "rethink",
}
_SAME: Final = frozenset({"put", "set", "split", "cut", "read", "reset"})  # alike in past and present


def is_order(word: str) -> bool:
    return word.lower().strip(",.:;!") in BASE


def base_of(word: str) -> str:
    """The infinitive of a form of a known verb ("added", "adding", "adds"); empty for any other word."""
    word = word.lower().strip(",.:;!")
    if word in BASE:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending in ("ied", "ies"):
        if word.endswith(ending) and word[:-3] + "y" in BASE:
            return word[:-3] + "y"
    for ending in ("ed", "ing", "es", "s", "d"):
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < 2:
            continue
        for candidate in (stem, stem + "e", stem[:-1] if len(stem) > 2 and stem[-1] == stem[-2] else stem):
            if candidate in BASE and (ending != "d" or candidate.endswith("e")):
                return candidate
    return ""


def is_past(word: str) -> bool:
    """Is this the past of a known verb? Forms that are alike in the present do not count."""
    word = word.lower().strip(",.:;!")
    if word in _IRREGULAR:
        return word not in _SAME
    return word.endswith("ed") and word not in BASE and bool(base_of(word))


_DOUBLING: Final = (
    "commit plan stop drop map wrap strip trim skip ship swap tag pin log cap refer permit debug plug unplug slim"
)
_DOUBLED: Final = frozenset(_DOUBLING.split())
_PAST: Final = {base: past for past, base in reversed(_IRREGULAR.items())} | {"write": "wrote", "rewrite": "rewrote"}


def past_of(word: str) -> str:
    """The past of a known verb ("add" → "added"), with its capital; empty for any other word."""
    base = word.lower()
    if base not in BASE:
        return ""
    if base in _SAME or base in ("let", "shut"):
        past = base
    elif base in _PAST:
        past = _PAST[base]
    elif base.endswith("e"):
        past = f"{base}d"
    elif base.endswith("y") and base[-2] not in "aeou":
        past = f"{base[:-1]}ied"
    else:
        past = f"{base}{base[-1] if base in _DOUBLED else ''}ed"
    return past.capitalize() if word[:1].isupper() else past


# Verbs that only look, and verbs that are no piece of work by themselves.
READING: Final = frozenset(
    {"read", "look", "check", "see", "review", "investigate", "explore", "open", "recall", "start"}
)
_NO_DEED_WORDS: Final = (
    "commit push run find read get leave fail start use see show look mark confirm check note try skip "
    "call force make go fetch gather"
)
NO_DEEDS: Final = frozenset(_NO_DEED_WORDS.split())
# Objects that point back to what was said before: "fix it", "look at those".
POINTING: Final = re.compile(
    r"(?:with |on |for |to |in |at )?(?:it|this|that|them|these|those|there|one|both|all)\b(?! (?:test|issue|file"
    r"|branch|pr|comment|error|bug|function|method|class|plan)s?\b)",
    re.I,
)
PRONOUNS: Final = re.compile(r"\b(?:it|this|that|them|these|those|there|one|so)\b", re.I)
