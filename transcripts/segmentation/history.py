"""The commits of a segment, each once and under the id that it has in the end.

A commit may be quiet (``-q``, a wrapper that answers "ok"): then its id is unknown and stays empty. It may be amended
or rebased later: then the id that it had is of no use to a reader.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from transcripts.commands.git import RANGE, REBASED, is_amend, is_rebase, push_of, quiet_commit
from transcripts.events import Commit, Event, Kind

from .outline import CommitMade

_PRINTED: Final = re.compile(r"^[ \t]*\[([^\[\]\n]{1,200}?) ?\b([0-9a-f]{7,40})\] ", re.M)


def commits_made(
    events: Sequence[Event], first: int, last: int, until: int, calls: dict[str, Event]
) -> tuple[list[CommitMade], int]:
    """The commits of the events ``first`` to ``last``, and the event of a rebase that was finished there, or 0.

    What comes up to ``until`` may give a commit another id, or tell one that was unknown.
    """
    history = _History()
    for number in range(first, until + 1):
        event = events[number]
        if event.kind is not Kind.RESULT:
            continue
        call = calls.get(event.call)
        history.take(number + 1, event, call.command if call else "", is_own=number <= last)
    return history.made, history.rebased


class _History:
    def __init__(self) -> None:
        self.made: list[CommitMade] = []
        self.branches: list[str] = []  # on which each of them was made, as git printed it
        self.rewritten: set[int] = set()  # places of those that a rebase under way has given their new id
        self.is_over = False  # a later segment has made a commit: what is amended or pushed is its own
        self.pushed_to = ""  # the branch to which the last of them was pushed, while its id was unknown
        self.rebased = 0

    def take(self, number: int, result: Event, command: str, *, is_own: bool) -> None:
        if is_rebase(command) or (result.commits and "detached HEAD" in result.text):
            self._rebase(number, result, is_own=is_own)
            return
        if result.commits:
            branches = {sha: branch for branch, sha in _PRINTED.findall(result.text)}
            for commit in result.commits:
                self._commit(number, commit, command, branches.get(commit.sha, ""), is_own=is_own)
        elif subject := quiet_commit(command, result):
            self._commit(number, Commit("", subject), command, "", is_own=is_own)
        self._look_up(result.text)
        is_nameless = self.made and not self.made[-1].sha
        push = push_of(command, result, number) if is_nameless else None
        if push and push.went_through:
            found = RANGE.search(result.text)
            if found and not self.is_over:
                self.made[-1] = replace(self.made[-1], sha=found[2])
            elif found and self.pushed_to and found[4] == self.pushed_to:  # from where the last push had ended
                self.made[-1] = replace(self.made[-1], sha=found[1])
            self.pushed_to = "" if self.is_over else push.branch

    def _look_up(self, shown: str) -> None:
        """``git log --oneline`` and its like tell ids that are not known, or no longer."""
        for place, one in enumerate(self.made):
            if not one.sha and one.subject in shown:
                found = re.search(rf"^[* ]*([0-9a-f]{{7,40}}) (?:\([^)\n]*\) )?{re.escape(one.subject)}$", shown, re.M)
                self.made[place] = replace(one, sha=found[1]) if found else one

    def _commit(self, number: int, commit: Commit, command: str, branch: str, *, is_own: bool) -> None:
        self.pushed_to = self.pushed_to if self.is_over or not is_own else ""
        if not is_own:
            self.is_over = True  # one that amends tells what a later segment did: this one did what it did
        elif is_amend(command) and self.made:
            subject = " ".join(commit.subject.split()) or self.made[-1].subject
            self.made[-1] = CommitMade(commit.sha, subject, number, True, self.made[-1].replaces)
        elif not commit.sha or all(commit.sha != one.sha for one in self.made):
            replaces = is_amend(command)
            self.made.append(CommitMade(commit.sha, " ".join(commit.subject.split()), number, replaces=replaces))
            self.branches.append(branch)

    def _rebase(self, number: int, result: Event, *, is_own: bool) -> None:
        for commit in result.commits:
            for place, one in enumerate(self.made):
                if one.subject == " ".join(commit.subject.split()):
                    self.made[place] = replace(one, sha=commit.sha)
                    self.rewritten.add(place)
        if found := REBASED.search(result.text):
            self.pushed_to = ""
            self.rebased = number if is_own else self.rebased
            for place, one in enumerate(self.made):
                if place not in self.rewritten and self.branches[place] in ("", found[1]):
                    self.made[place] = replace(one, sha="")
            self.rewritten.clear()
