"""What tokens cost, at the prices of transcripts/model_table.py. They hold for agents and for our own questions.

A service that tells the cost itself (``usage.cost``, as OpenRouter does) is believed first. A sum in which one model
has no price has none: it would be too low without saying so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from core.llm import Spent
from transcripts import model_table
from transcripts.events import Usage
from transcripts.model_table import Price

MILLION: Final = 1_000_000
Models = Mapping[str, Sequence[int]]  # name -> the figures of a Usage


def table() -> dict[str, Price]:
    """The prices that ship with flower, corrected by the settings."""
    return model_table.prices()


def dollars(spent: Spent, model: str, prices: Mapping[str, Price]) -> float | None:
    """The cost of what was spent, or None when neither the service nor the table knows."""
    if spent.cost is not None:
        return spent.cost
    price = model_table.find(model, prices)
    if price is None or spent == Spent():
        return None
    return (spent.tokens_in * price.tokens_in + spent.tokens_out * price.tokens_out) / MILLION


def of_usage(usage: Usage, model: str, prices: Mapping[str, Price]) -> float | None:
    """What an agent's tokens cost, or None when the table does not know its model."""
    price = model_table.find(model, prices)
    if price is None:
        return None
    written = price.tokens_in if price.written is None else price.written
    hour = written if price.hour is None else price.hour
    read = price.tokens_in if price.read is None else price.read
    whole = usage.input * price.tokens_in + usage.output * price.tokens_out + usage.cache_read * read
    return (whole + (usage.cache_written - usage.cache_hour) * written + usage.cache_hour * hour) / MILLION


def of_models(usage: Usage, models: Models, model: str, prices: Mapping[str, Price]) -> float | None:
    """What ``usage`` costs, spent by several models: ``models`` has the part of each, ``model`` spent the rest.

    None when one of them has no price.
    """
    parts = {name: Usage(*figures) for name, figures in models.items()}
    rest = Usage(*(max(0, whole - sum(part)) for whole, *part in zip(usage, *parts.values(), strict=True)))
    if any(rest):
        parts[model] = Usage(*map(sum, zip(parts.get(model, Usage()), rest, strict=True)))
    costs = [of_usage(part, name, prices) for name, part in parts.items() if any(part)]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if known and len(known) == len(costs) else None
