"""The one table of sentences that are made of facts. What stands in quotation marks or backticks is from the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from transcripts.paths import name_of

from .outline import Line, Source

NAMED: Final = 4  # files that are named; more are counted

TEMPLATES: Final = {
    # deeds, in the order of their events
    "written": "Wrote {files}.",
    "edited": "Edited {files}.",
    "deleted": "Deleted {files}.",
    "read": "Read {files}.",
    "helpers": "Started {agents}.",
    "check": "Ran `{name}`: {end}.",
    "checks": "Ran `{name}` {times}, {failures} failing; the last one: {end}.",
    "checks untold": "Ran `{name}` {times}: {ends}; the last one: {end}.",
    "persons check": "The person ran `{name}`: {end}.",
    "commit": "Committed {sha}“{subject}”.",
    "amended": "Amended the last commit: {sha}“{subject}”.",
    "rebased": "Finished a rebase.",
    "pushed": "Pushed to {branch}.",
    "pushed somewhere": "Pushed.",
    "rejected": "The push to {branch} was rejected.",
    "rejected somewhere": "The push was rejected.",
    "opened": "Opened pull request #{number}.",
    "merged": "Merged pull request #{number}.",
    "merged one": "Merged a pull request.",
    "refused": "A person refused {calls}.",
    "compacted": "The context was compacted {times}.",
    "interrupted": "A person interrupted the model {times}.",
    # decisions
    "answered": "“{question}” → “{answer}”",
    "plan": "A plan was accepted: “{heading}”",
    "plan without a name": "A plan was accepted.",
    "refusal": "Refused {call}: “{words}”",
    # what is left
    "failing": "{What} failed when last run: `{name}`.",
    "push again": "The push to {branch} was rejected: “{why}”",
    # titles, where nothing can be quoted
    "title of files": "{Deed} {files}",
    "title of nothing": "Work without words",
    "part": "{title} ({number})",
}


def fact(name: str, event: int, /, **values: object) -> Line:
    """The sentence of a template. ``event``: the one that it was read from, the last of several."""
    return Line(TEMPLATES[name].format(**values), event, Source.FACT, name)


def counted(number: int, noun: str) -> str:
    """ "1 edit", "2 edits"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def named_files(paths: Sequence[str]) -> str:
    """ "a.py and b.py", "a.py, b.py, c.py, d.py and 3 more"; where two have the same name, with their folders."""
    names = [name_of(path) for path in paths]
    names = ["/".join(paths[at].split("/")[-2:]) if names.count(name) > 1 else name for at, name in enumerate(names)]
    shown, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return f"{', '.join(shown[:-1])} and {shown[-1]}" if len(shown) > 1 else "".join(shown)
