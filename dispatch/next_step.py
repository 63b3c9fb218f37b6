"""What comes next, as data: a code, whose turn it is and what it is about; the sentence is made of these.

dispatch/outlook.py finds it; pages, packets and tools show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from core.lifecycle import words


class Who(StrEnum):
    """Who moves a brief on."""

    FLOWER = "flower"  # by itself, in time
    AGENT = "agent"  # whoever holds the request, or will claim it
    OPERATOR = "operator"
    ORCHESTRATOR = "orchestrator"  # or an operator
    BRIEF = "brief"  # another brief comes first
    NOBODY = "nobody"  # it has ended


class Code(StrEnum):
    """What is to be done."""

    ENDED = "ended"
    SET_ASIDE = "set_aside"
    # a person is asked
    ANSWER = "answer"
    APPROVE = "approve"
    DECIDE_PLAN = "decide_plan"
    START_WITHOUT = "start_without"
    REVIEW = "review"
    MERGE_REFUSED = "merge_refused"
    MEND_MAIN = "mend_main"
    REWORK = "rework"
    RETRY = "retry"
    # a person may go on
    PLAN = "plan"
    CHOOSE_PROJECT = "choose_project"
    CHOOSE_AGENT = "choose_agent"
    DISPATCH = "dispatch"
    DISPATCH_AGAIN = "dispatch_again"
    DECIDE_STATUS = "decide_status"
    # somebody is at it
    CLAIM = "claim"
    WORK = "work"
    WAIT_FOR_BRIEF = "wait_for_brief"
    # flower does it
    REFINE = "refine"
    AUTO_DISPATCH = "auto_dispatch"
    WAIT_FOR_PLACE = "wait_for_place"
    START = "start"
    PREPARE = "prepare"
    CLOSE = "close"
    MERGE = "merge"
    WAIT_FOR_RUN = "wait_for_run"
    WAIT_FOR_TURN = "wait_for_turn"
    WAIT_FOR_STOP = "wait_for_stop"
    ROLL_UP = "roll_up"


# What is listed under "needs you": the rows of the board's filter of that name (dispatch/board.py, briefs/views).
NEEDS_YOU: Final = frozenset(
    {
        *(Code.ANSWER, Code.APPROVE, Code.DECIDE_PLAN, Code.START_WITHOUT),
        *(Code.REVIEW, Code.MERGE_REFUSED, Code.MEND_MAIN, Code.REWORK, Code.RETRY),
    }
)

_SENTENCES: Final = {
    Code.ENDED: "The brief is {status}; an operator may reopen it.",
    Code.SET_ASIDE: "It is set aside; move it back to planned to go on.",
    Code.ANSWER: "Question {other} waits for an answer.",
    Code.APPROVE: "An agent captured it; it waits for an operator's approval.",
    Code.DECIDE_PLAN: "A plan is proposed and waits for your decision.",
    Code.START_WITHOUT: "#{other} {title} is {status}, so its work is not there: start all the same?",
    Code.REVIEW: "Work is finished and waits for you: review or merge dispatch {dispatch}.",
    Code.MEND_MAIN: "Main itself is red: mend it; dispatch {dispatch} can be merged when it has moved on.",
    Code.MERGE_REFUSED: "The merge of dispatch {dispatch} was refused ({status}): rework it, or merge it again.",
    Code.REWORK: "Dispatch {dispatch} conflicts with the main branch: dispatch a rework.",
    Code.RETRY: "Dispatch {dispatch} failed ({status}): retry it, or change the brief.",
    Code.PLAN: "It is not planned yet: write the plan, then move it to planned.",
    Code.CHOOSE_PROJECT: "It belongs to no project: choose one, then it can be dispatched.",
    Code.CHOOSE_AGENT: "No agent is chosen for it: {title}",
    Code.DISPATCH: "It is planned: dispatch it.",
    Code.DISPATCH_AGAIN: "Dispatch {dispatch} was called off: dispatch it again, or change the brief.",
    Code.DECIDE_STATUS: "It is {status} and nobody works on it: dispatch it, or move it.",
    Code.CLAIM: "Dispatch {dispatch} waits for an agent to claim it.",
    Code.WORK: "{agent} works on it (dispatch {dispatch}).",
    Code.WAIT_FOR_BRIEF: "It waits for #{other} {title}.",
    Code.REFINE: "The refiner writes a plan for it.",
    Code.AUTO_DISPATCH: "It goes to {agent} for {title} within seconds.",
    Code.WAIT_FOR_PLACE: "It waits for a free place: {running} of {cap} agents run; {place} in line.",
    Code.START: "Dispatch {dispatch} starts within seconds.",
    Code.PREPARE: "The worktree of dispatch {dispatch} is made ready for {agent}.",
    Code.CLOSE: "Dispatch {dispatch} is closed within seconds.",
    Code.MERGE: "Dispatch {dispatch} is merged by itself.",
    Code.WAIT_FOR_RUN: (
        "The merge of dispatch {dispatch} waits: dispatch {other} (#{title}) works on the same branch, and merging now "
        "would take its work along. It goes on by itself when that run has ended."
    ),
    Code.WAIT_FOR_TURN: "The merge of dispatch {dispatch} waits for its turn: dispatch {other} (#{title}) goes first.",
    Code.WAIT_FOR_STOP: (
        "The agent of dispatch {other} is being stopped; dispatch {dispatch} begins in its worktree when it is gone."
    ),
    Code.ROLL_UP: "Its status follows from its dispatches within seconds.",
}


@dataclass(frozen=True)
class NextStep:
    """One thing that is to be done next, and by whom. ``other`` is the question's, brief's or dispatch's number.

    ``running``, ``cap`` and ``place`` say why a request waits in line; ``place`` is 0 for what is not in it yet.
    """

    code: Code
    who: Who
    brief: int
    dispatch: int = 0
    other: int = 0
    title: str = ""
    agent: str = ""
    status: str = ""
    running: int = 0
    cap: int = 0
    place: int = 0
    is_design: bool = False
    is_automatic: bool = False

    @property
    def needs_you(self) -> bool:
        return self.code in NEEDS_YOU

    @property
    def waits(self) -> bool:
        """Whether it stands in a line: then the page says for what, and where."""
        return self.code in {Code.WAIT_FOR_PLACE, Code.WAIT_FOR_RUN, Code.WAIT_FOR_TURN, Code.WAIT_FOR_STOP}

    @property
    def now(self) -> bool:
        """Whether flower does it in the next seconds."""
        return self.code == Code.AUTO_DISPATCH

    @property
    def sentence(self) -> str:
        """For people: what is next."""
        if self.code == Code.PLAN and self.is_automatic and self.agent:
            return f"Once planned{' and no longer blocked' if self.other else ''}, it goes to {self.agent} by itself."
        if self.code == Code.WAIT_FOR_PLACE and not self.place:
            return f"It waits for a free place: {self.running} of {self.cap} agents run."
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        said = _SENTENCES[self.code].format(**values | {"place": ordinal(self.place), "status": words(self.status)})
        return f"{said} The build follows when this design pass is done." if self.is_design else said

    def payload(self) -> dict[str, Any]:
        """For tools: the code, who, the sentence, and those numbers that say something."""
        numbers = {name: getattr(self, name) for name in ("dispatch", "other", "running", "cap", "place")}
        said = {"code": self.code.value, "who": self.who.value, "sentence": self.sentence, "needs_you": self.needs_you}
        return said | {name: value for name, value in numbers.items() if value}


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    ending = "th" if number % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
