"""What is known of models, and how operators correct it."""

from __future__ import annotations

import pytest

from transcripts import model_table
from transcripts.model_table import Price
from transcripts.windows import window_of


@pytest.mark.parametrize(
    "name",
    [
        "claude-opus-4-5", "claude-opus-4-5-20251101", "claude-opus-4-5@20251101", "anthropic/claude-opus-4-5",
        "us.anthropic.claude-opus-4-5-20251101-v1:0", "anthropic.claude-opus-4-5-20251101-v1:0",
        "claude-opus-4-5-20251101[1m]",
    ],
)  # fmt: skip
def test_a_model_is_found_under_the_names_that_it_has(name):
    assert model_table.find(name, model_table.prices()) == Price(5, 25, 6.25, 0.5, 10)


@pytest.mark.parametrize("name", ["", "claude-opus-9", "claude-opus-4-5-mini", "claude-opus", "gpt-5.5-pro", "opus"])
def test_a_namesake_is_unknown(name):
    assert model_table.find(name, model_table.prices()) is None
    assert model_table.windows_of(name) == []


def test_every_row_that_ships_makes_sense():
    prices = model_table.prices()
    assert len(prices) > 30
    for name, price in prices.items():
        written = price.tokens_in if price.written is None else price.written
        assert 0 < (price.read or 0) < price.tokens_in <= written < price.tokens_out, name
        assert price.hour is None or written < price.hour <= 2 * price.tokens_in, name
        assert all(100_000 <= size <= 2_000_000 for size in model_table.windows_of(name)), name


@pytest.mark.parametrize(
    ("model", "told", "highest", "size"),
    [
        ("claude-opus-5-5", 0, 90_000, 1_000_000),
        ("claude-haiku-4-5-20251001", 0, 90_000, 200_000),
        ("claude-haiku-4-5-20251001", 0, 210_000, 0),
        ("claude-opus-4-6", 0, 199_000, 200_000),
        ("claude-opus-4-6", 0, 201_000, 1_000_000),
        ("claude-opus-4-6[1m]", 0, 10, 1_000_000),
        ("gpt-5.5", 258_400, 10, 258_400),
        ("gpt-5.5", 0, 10, 0),
        ("", 0, 10, 0),
    ],
)
def test_the_window_is_the_logs_else_the_tables_else_unknown(model, told, highest, size):
    assert window_of(model, told, highest) == size


def test_operators_correct_and_add(settings):
    settings.LLM_WINDOWS = {"claude-opus-5-5": 500_000, "own": 32_000}
    settings.LLM_PRICES = {"own": (1, 2)}
    assert window_of("claude-opus-5-5", 0, 10) == 500_000
    assert window_of("own-2026-01-01", 0, 10) == 32_000
    assert model_table.find("own", model_table.prices()) == Price(1, 2)
    assert model_table.find("claude-opus-5-5", model_table.prices()) == Price(4, 20, 5, 0.2, 8)
