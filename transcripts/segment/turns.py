"""Turns: a prompt and the steps up to the next one; and whether anything was done in them."""

from __future__ import annotations

from collections.abc import Sequence

from transcripts.events import Event

from .shell import is_looking
from .steps import Step


def turns_of(steps: Sequence[Step]) -> list[list[Step]]:
    """The steps from each prompt up to the next."""
    turns: list[list[Step]] = []
    for step in steps:
        if step.prompt is not None or not turns:
            turns.append([])
        turns[-1].append(step)
    return turns


def talk_of(turns: Sequence[Sequence[Step]]) -> set[int]:
    """The events of answers of turns in which nothing was done: what they tell was done by others, or is known."""
    quiet = [turn for turn in turns if not is_deed_turn(turn)]
    return {step.answer for turn in quiet for step in turn if step.answer}


def is_deed_turn(turn: Sequence[Step]) -> bool:
    """Did anything happen but talk and reading?"""
    return any(step.changed or step.commits or any(_acts(call) for call in step.calls) for step in turn)


def _acts(call: Event) -> bool:
    return bool(call.command) and not is_looking(call.command)
