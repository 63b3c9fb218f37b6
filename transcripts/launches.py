"""The prompts that flower itself composed for the runs that it starts.

They say where the packet lies, and nothing of what is to be done: pages tell the brief's title in their place. The room
that composes them registers how they are known:

    @launches.recogniser
    def is_ours(text: str, brief: int) -> bool: ...
"""

from __future__ import annotations

from collections.abc import Callable

Recogniser = Callable[[str, int], bool]
_recognisers: list[Recogniser] = []


def recogniser(knows: Recogniser) -> Recogniser:
    """Register a function ``(text of a prompt, number of the run's brief) -> is it exactly what was composed?``"""
    _recognisers.append(knows)
    return knows


def is_composed(text: str, brief: int) -> bool:
    """Is this the prompt with which flower started the run of a brief?"""
    return any(knows(text, brief) for knows in _recognisers)
