"""A real Chromium at a real flower."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.factories import make_repository
from tests.system.running import Flower

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = os.environ.get("FLOWER_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """These tests look at flower from outside: no test database."""


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flower]:
    running = Flower(tmp_path_factory.mktemp("e2e") / "home")
    try:
        running.start()
        running.manage(["agent_add", "demo", "--", sys.executable, str(ROOT / "demo" / "agent.py")])
        yield running
    finally:
        running.clear_away()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_repository(tmp_path_factory.mktemp("repositories") / "sample")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Faults(list[str]):
    """What a browser complains of: exceptions, refused resources, answers of 500 and more."""

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on(
            "response", lambda answer: self.append(f"{answer.status} {answer.url}") if answer.status >= 500 else None
        )
        page.on(
            "console",
            lambda said: (
                self.append(said.text)
                if said.type == "error" and not re.search(r"status( code|\b.*) 4\d\d", said.text, re.I)
                else None
            ),
        )


@pytest.fixture
def faults() -> Iterator[Faults]:
    found = Faults()
    yield found
    assert not found


@pytest.fixture
def page(chromium: Browser, flower: Flower, faults: Faults) -> Iterator[Page]:
    """A page of a browser in which the first operator is logged in."""
    context = chromium.new_context(viewport={"width": 1360, "height": 900}, base_url=flower.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    faults.watch(page)
    log_in(page, _code(flower))
    yield page
    context.close()


@pytest.fixture
def enter(chromium: Browser, flower: Flower) -> Iterator[Callable[..., Page]]:
    """Further browsers, each logged in by a code of its own: ``enter(has_touch=True)``."""
    contexts = []

    def enter(**options: Any) -> Page:
        context = chromium.new_context(**{"viewport": {"width": 1360, "height": 900}, **options}, base_url=flower.url)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        log_in(page, _code(flower))
        return page

    yield enter
    for context in contexts:
        context.close()


def log_in(page: Page, code: str) -> None:
    """By a one-time link, as a person does: its button."""
    page.goto(f"/enter/{code}")
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/briefs/")


def _code(flower: Flower) -> str:
    """The printed code for the first browser, a new one for each later: a code opens one browser."""
    if code := flower.code:
        flower.code = ""
        return code
    source = (
        "from briefs.models import Actor; from briefs.services import actors; "
        "print(actors.issue_entry_code(Actor.objects.filter(kind='operator').order_by('pk').first()))"
    )
    (code,) = flower.manage(["shell", "-v", "0", "-c", source])
    flower.codes.append(code)
    return code
