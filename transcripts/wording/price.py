"""What the tokens of a model cost, where somebody has told us.

No prices are built in: they change, differ by contract, and a wrong figure is worse than none. ``FLOWER_PRICES`` tells
them, by the name of a model without its date (settings.LLM_PRICES). They hold for agents and for our own questions.
A service that tells the cost itself (``usage.cost``, as OpenRouter does) is believed first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from django.conf import settings

from flower.llm import Spent
from transcripts.events import Usage

_DATE: Final = re.compile(r"[-@:](?:\d{4}-?\d{2}-?\d{2}|latest)$")


class Price(NamedTuple):
    """US dollars per million tokens. None for the caches: as much as any other token that goes in."""

    tokens_in: float
    tokens_out: float
    written: float | None = None
    read: float | None = None


def table() -> dict[str, Price]:
    """The prices of the settings; empty when there are none."""
    return {name: Price(*pair) for name, pair in getattr(settings, "LLM_PRICES", {}).items()}


def dollars(spent: Spent, model: str, prices: Mapping[str, Price]) -> float | None:
    """The cost of what was spent, or None when neither the service nor the table knows."""
    if spent.cost is not None:
        return spent.cost
    price = of(model, prices)
    if price is None or spent == Spent():
        return None
    return (spent.tokens_in * price.tokens_in + spent.tokens_out * price.tokens_out) / 1_000_000


def of_usage(usage: Usage, model: str, prices: Mapping[str, Price]) -> float | None:
    """What an agent's tokens cost, or None when the table does not know its model."""
    price = of(model, prices)
    if price is None:
        return None
    written = price.tokens_in if price.written is None else price.written
    read = price.tokens_in if price.read is None else price.read
    whole = usage.input * price.tokens_in + usage.output * price.tokens_out
    return (whole + usage.cache_written * written + usage.cache_read * read) / 1_000_000


def of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of exactly this model, or of the one of which it is a dated copy; never that of a mere namesake."""
    return prices.get(model) or prices.get(_DATE.sub("", model))
