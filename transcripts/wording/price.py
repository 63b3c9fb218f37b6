"""What the tokens of a model cost, where somebody has told us.

No prices are built in: they change, differ by contract, and a wrong figure is worse than none. The Django setting
``LLM_PRICES`` maps the name of a model, without its date, to (dollars per million tokens in, the same out).
A service that tells the cost itself (``usage.cost``, as OpenRouter does) is believed first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from django.conf import settings

from flower.llm import Spent

_DATE: Final = re.compile(r"[-@:](?:\d{4}-?\d{2}-?\d{2}|latest)$")


class Price(NamedTuple):
    """US dollars per million tokens."""

    tokens_in: float
    tokens_out: float


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


def of(model: str, prices: Mapping[str, Price]) -> Price | None:
    """The price of exactly this model, or of the one of which it is a dated copy; never that of a mere namesake."""
    return prices.get(model) or prices.get(_DATE.sub("", model))
