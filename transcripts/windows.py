"""How many tokens a model can see."""

from __future__ import annotations

from transcripts import model_table


def window_of(model: str, window: int, highest: int) -> int:
    """As the log told (``window``), else as the table has it for the model; 0 where nobody knows.

    Of several that a model may have it is the smallest that holds the most that was seen (``highest``).
    """
    return window or next((size for size in model_table.windows_of(model) if highest <= size), 0)
