"""What goes wrong is said in our own look, with and without JavaScript, and nothing typed is lost."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from playwright.sync_api import Page, Response, expect

from tests.system.running import Flower

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)
LARGE = "words " * 250_000


@pytest.fixture(scope="module")
def brief(flower: Flower) -> int:
    (secret,) = flower.manage(["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return int(flower.call(secret, "brief_create", body="Break me")["brief"])


def ground(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def looks_like_ours(page: Page, kicker: str, heading: str) -> None:
    expect(page.locator(".sorry .kicker")).to_have_text(kicker)
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    expect(page.locator(".bar .mark svg")).to_be_visible()
    expect(page.locator(".sorry").get_by_role("link", name="To the board")).to_be_visible()
    assert ground(page) == "rgb(19, 18, 17)", "the page is dark as the system is, so the style sheet is there"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@contextmanager
def broken(flower: Flower) -> Iterator[None]:
    """The board and the brief page cannot be read: a table has another name for a while."""

    def rename(old: str, new: str) -> None:
        with closing(sqlite3.connect(flower.home / "flower.sqlite3", timeout=30)) as database:
            database.execute("PRAGMA legacy_alter_table = ON")
            database.execute(f"ALTER TABLE {old} RENAME TO {new}")
            database.commit()

    rename("briefs_link", "briefs_link_away")
    try:
        yield
    finally:
        rename("briefs_link_away", "briefs_link")


def make_old(page: Page) -> None:
    """As after a login in another tab: what the form proves its origin by is another one's."""
    page.locator("#note [name=csrfmiddlewaretoken]").evaluate("input => { input.value = 'x'.repeat(64) }")


def status(answer: Response | None) -> int:
    assert answer is not None
    return answer.status


@pytest.mark.parametrize("width", [380, 1360])
def test_pages_for_what_cannot_be_shown(enter, flower: Flower, brief: int, width: int):
    page = enter(viewport={"width": width, "height": 800}, color_scheme="dark")
    assert status(page.goto("/nothing/here/")) == 404
    looks_like_ours(page, "not found · 404", "There is no such page.")
    assert status(page.goto("/briefs/999999/")) == 404
    looks_like_ours(page, "refused · 404", "There is no brief #999999 for you.")
    with broken(flower):
        assert status(page.goto(f"/briefs/{brief}/")) == 500
        looks_like_ours(page, "a fault · 500", "Something went wrong in flower.")
    assert status(page.goto(f"/briefs/{brief}/")) == 200


def test_a_form_without_a_script_that_is_too_old_or_too_large(enter, brief: int):
    page = enter(java_script_enabled=False, color_scheme="dark")
    page.goto(f"/briefs/{brief}/")
    for button in ("Add with the picture", "Add note"):  # the former is read up to 10 MB, the latter up to 1 MB
        page.get_by_label("Add a note").fill(LARGE)
        page.get_by_role("button", name=button).click()
        expect(page).to_have_title(re.compile("too much"))
        expect(page.locator(".sorry .kicker")).to_have_text("refused · 413")
        expect(page.locator(".bar .mark svg")).to_be_visible()
        page.goto(f"/briefs/{brief}/")

    page.get_by_label("Add a note").fill("too late")
    make_old(page)
    page.get_by_role("button", name="Add note").click()
    expect(page).to_have_title(re.compile("This form is too old"))
    expect(page.locator(".sorry .kicker")).to_have_text("refused · 403")
    page.goto(f"/briefs/{brief}/")
    expect(page.locator("#trace")).not_to_contain_text("too late")


def test_with_a_script_the_sentence_comes_and_the_text_stays(enter, flower: Flower, brief: int):
    page = enter()
    page.goto(f"/briefs/{brief}/")
    note = page.get_by_label("Add a note")
    said = page.locator("#messages")
    note.fill(LARGE)
    note.press("Control+Enter")
    expect(said).to_contain_text("which is the most")
    assert len(note.input_value()) == len(LARGE)
    said.get_by_role("button", name="Dismiss").click()

    note.fill("kept while flower is broken")
    with broken(flower):
        note.press("Control+Enter")
        expect(said).to_contain_text("Something went wrong in flower")
        expect(note).to_have_value("kept while flower is broken")
    make_old(page)
    note.press("Control+Enter")
    expect(said).to_contain_text("too old")
    expect(note).to_have_value("kept while flower is broken")


def test_the_login_says_what_was_wrong(chromium, flower: Flower):
    context = chromium.new_context(base_url=flower.url, viewport={"width": 380, "height": 700}, color_scheme="dark")
    page = context.new_page()
    page.goto("/briefs/")
    expect(page).to_have_title(re.compile("Log in"))
    page.get_by_label("Name").fill("nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("nobody")
    assert ground(page) == "rgb(19, 18, 17)"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_what_went_wrong_is_said_until_something_is_done(enter, brief: int):
    page = enter()
    page.goto(f"/briefs/{brief}/")
    note, said = page.get_by_label("Add a note"), page.locator("#messages .error")
    token = page.locator("#note [name=csrfmiddlewaretoken]").input_value()
    make_old(page)
    note.fill("at last")
    note.press("Control+Enter")
    expect(said).to_have_count(1)
    page.locator("#note [name=csrfmiddlewaretoken]").evaluate("(input, old) => { input.value = old }", token)
    note.press("Control+Enter")
    expect(page.locator(".entry").first).to_contain_text("at last")
    expect(said).to_have_count(0)
