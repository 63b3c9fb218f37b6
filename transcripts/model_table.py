"""What is known of models: what their tokens cost, and how many they can see.

``model_table.toml`` ships with flower; ``FLOWER_PRICES`` corrects it, model by model (settings.LLM_PRICES and
LLM_WINDOWS). A model is found by its name, or as a dated copy of it, or under the name that a provider gives it. What
is not in the table is unknown: no figure is better than a wrong one.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from django.conf import settings

TABLE: Final = Path(__file__).with_name("model_table.toml")
LARGE: Final = 1_000_000  # tokens that a model with LARGE_MARK behind its name can see
LARGE_MARK: Final = "[1m]"

_PROVIDER: Final = re.compile(r"^(?:.*/)?(?:(?:[a-z]{2,6}\.)?anthropic\.)?")  # "anthropic/", "us.anthropic."
_REVISION: Final = re.compile(r"-v\d+(?::\d+)?$")
_DATE: Final = re.compile(r"[-@:](?:\d{4}-?\d{2}-?\d{2}|latest)$")
Value = TypeVar("Value")


class Price(NamedTuple):
    """US dollars per million tokens. None for the caches: as much as any other token that goes in."""

    tokens_in: float
    tokens_out: float
    written: float | None = None
    read: float | None = None
    hour: float | None = None  # written to a cache that is kept for an hour; None: as any other that is written


def prices() -> dict[str, Price]:
    """By name of the model: those of the table, corrected by the settings."""
    own = {name: Price(*figures) for name, figures in getattr(settings, "LLM_PRICES", {}).items()}
    return _shipped_prices() | own


def windows_of(model: str) -> list[int]:
    """How many tokens the model can see, in growing order where there are several; empty where nobody knows."""
    own: Mapping[str, int] = getattr(settings, "LLM_WINDOWS", {})
    if size := find(model, own):
        return [size]
    if model.endswith(LARGE_MARK):
        return [LARGE]
    return find(model, _shipped_windows()) or []


def find(model: str, table: Mapping[str, Value]) -> Value | None:
    """The row of exactly this model, or of the one of which it is a dated copy; never that of a mere namesake."""
    return next((table[name] for name in _names(model) if name in table), None)


def _names(model: str) -> Iterator[str]:
    yield model
    bare = _DATE.sub("", model)
    yield bare
    plain = _PROVIDER.sub("", model.removesuffix(LARGE_MARK))
    plain = _DATE.sub("", _REVISION.sub("", plain))
    yield plain


@cache
def _shipped() -> dict[str, dict[str, Any]]:
    return tomllib.loads(TABLE.read_text())


@cache
def _shipped_prices() -> dict[str, Price]:
    return {
        name: Price(row["input"], row["output"], row.get("written"), row.get("read"), row.get("hour"))
        for name, row in _shipped().items()
    }


@cache
def _shipped_windows() -> dict[str, list[int]]:
    return {name: row["windows"] for name, row in _shipped().items() if "windows" in row}
