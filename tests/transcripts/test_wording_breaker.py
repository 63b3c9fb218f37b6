"""A model that fails again and again is left alone, then tried with one call."""

from __future__ import annotations

import pytest

from core.llm import Spent
from transcripts.events import Usage
from transcripts.model_table import Price
from transcripts.wording import price
from transcripts.wording.breaker import LONGEST_REST, Breaker


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock) -> Breaker:
    return Breaker(failures=3, rest=300, clock=clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.permits()
        breaker.failed()


def test_it_opens_after_failures_in_a_row(breaker):
    fail(breaker, 2)
    assert breaker.permits()
    breaker.succeeded()
    fail(breaker, 3)
    assert not breaker.permits()
    assert breaker.wait == 300


def test_after_the_rest_one_caller_tries(breaker, clock):
    fail(breaker, 3)
    clock.now += 299
    assert not breaker.permits()
    clock.now += 1
    assert breaker.permits()
    assert not breaker.permits()  # the others wait for the outcome
    breaker.succeeded()
    assert breaker.permits()
    assert breaker.wait == 0


def test_a_failed_probe_opens_it_again(breaker, clock):
    fail(breaker, 3)
    clock.now += 300
    assert breaker.permits()
    breaker.failed()
    assert not breaker.permits()
    assert breaker.wait == 300


def test_a_probe_that_says_nothing_leaves_the_next_to_another(breaker, clock):
    fail(breaker, 3)
    breaker.undecided()  # of somebody who began before it opened: not the probe
    assert not breaker.permits()
    clock.now += 300
    assert breaker.permits()
    breaker.undecided()
    assert breaker.permits()


def test_a_probe_that_was_killed_is_given_up(breaker, clock):
    fail(breaker, 3)
    clock.now += 300
    assert breaker.permits()
    clock.now += 300
    assert breaker.permits()


def test_the_service_may_ask_for_a_longer_rest_but_not_for_any(breaker, clock):
    fail(breaker, 2)
    breaker.failed(900)
    assert breaker.wait == 900
    clock.now += 900
    assert breaker.permits()
    breaker.failed(1_000_000)
    assert breaker.wait == LONGEST_REST


@pytest.mark.parametrize(
    ("model", "cost"),
    [("small", 0.0035), ("small-2026-05-01", 0.0035), ("small:latest", 0.0035), ("small-mini", None), ("", None)],
)
def test_a_price_is_that_of_the_model_or_of_none(model, cost):
    assert price.dollars(Spent(1000, 500), model, {"small": Price(1.5, 4.0)}) == cost


def test_what_the_service_says_counts_first():
    assert price.dollars(Spent(1000, 500, 0.25), "small", {"small": Price(1.5, 4.0)}) == 0.25
    assert price.dollars(Spent(), "small", {"small": Price(1.5, 4.0)}) is None


def test_the_settings_correct_the_prices_that_ship_with_flower(settings):
    shipped = price.table()
    assert shipped["claude-opus-4-6"] == Price(5, 25, 6.25, 0.5, 10)
    settings.LLM_PRICES = {"small": (1.5, 4), "claude-opus-4-6": (1, 2)}
    assert price.table() == shipped | {"small": Price(1.5, 4), "claude-opus-4-6": Price(1, 2)}


def test_an_agents_tokens_are_priced_with_its_caches():
    usage = Usage(input=1_000_000, cache_written=2_000_000, cache_read=10_000_000, output=500_000)
    prices = {"big": Price(3, 15, 3.75, 0.3), "small": Price(1, 2)}
    assert price.of_usage(usage, "big-20260101", prices) == pytest.approx(3 + 7.5 + 3 + 7.5)
    assert price.of_usage(usage, "small", prices) == pytest.approx(13 + 1)
    assert price.of_usage(usage, "other", prices) is None
