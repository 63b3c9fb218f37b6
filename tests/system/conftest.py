"""A running flower for a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.running import Bench, Flower


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    running = Flower(tmp_path_factory.mktemp("system") / "home")
    try:
        yield running.start()
    finally:
        running.clear_away()


@pytest.fixture(scope="module")
def bench(flower: Flower, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(flower, tmp_path_factory.mktemp("bench"))
