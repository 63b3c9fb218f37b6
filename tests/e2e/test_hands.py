"""The main job by keys alone, and by a thumb on a small screen."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.system.running import Flower

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)
PHONE = {"viewport": {"width": 380, "height": 780}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}


@pytest.fixture(scope="module")
def token(flower: Flower, repository) -> str:
    add = ["project_add", str(repository), "--slug", "sample"]
    _, secret = flower.manage(add, ["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return str(secret)


@pytest.fixture
def make(flower: Flower, token: str):
    def make(title: str, **options) -> int:
        return int(flower.call(token, "brief_create", body=title, project="sample", **options)["brief"])

    return make


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.tagName"))


# --- keys -------------------------------------------------------------------------------------------------------------


def test_from_a_thought_to_a_planned_brief_without_a_mouse(page: Page, make):
    older = make("Kiwi the older")
    with page.expect_websocket():
        page.goto("/briefs/")
    page.keyboard.press("c")
    page.keyboard.type("Kiwi by keys alone")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#capture .told")).to_contain_text("Kiwi by keys alone")
    expect(page.get_by_label("Capture a thought")).to_have_value("")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Title or number")).to_be_focused()
    page.keyboard.type("kiwi")
    expect(page.locator("#list .brief")).to_have_count(2)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(f"#to-{older}")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#list").get_by_role("link", name="Kiwi by keys alone")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Kiwi by keys alone"))
    expect(page.locator("[data-live-state]")).to_have_text("live")

    page.keyboard.press("p")
    expect(page.get_by_label("Spec, in markdown")).to_be_focused()
    page.keyboard.type("Peel it.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#spec > .prose")).to_contain_text("Peel it.")
    assert focused(page) != "BODY"
    page.keyboard.press("n")
    page.keyboard.type("A note by keys.")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".entry").first).to_contain_text("A note by keys.")
    page.keyboard.press("Escape")
    page.keyboard.press("s")
    page.keyboard.press("Tab")
    expect(page.locator("#status-menu button").first).to_be_focused()
    page.locator("#status-menu button[value=planned]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#head .pill").first).to_have_text("planned")
    expect(page.locator("#status-menu > summary")).to_be_focused()

    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.type(f"#{older}")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Kiwi the older"))
    page.keyboard.press("g")
    page.keyboard.press("b")
    expect(page).to_have_title(re.compile("Briefs"))


# --- focus ------------------------------------------------------------------------------------------------------------


def test_what_is_taken_away_by_keys_leaves_the_focus_beside_it(page: Page, flower: Flower, token: str, make):
    number, needed = make("Keep my place"), [make("Needed first"), make("Needed too")]
    for which in needed:
        flower.call(token, "brief_add_dependency", brief=number, depends_on=which)
    for name in "abc":
        flower.call(token, "brief_link", brief=number, kind="url", target=f"https://example.org/{name}")
    page.goto(f"/briefs/{number}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")

    def remove(panel: str, label: str) -> None:
        page.locator(f"#{panel}").get_by_role("button", name=label).focus()
        page.keyboard.press("Enter")
        expect(page.locator(f"#{panel}").get_by_role("button", name=label)).to_have_count(0)

    rows = page.locator("#links button.x")
    first = rows.first.get_attribute("aria-label")
    remove("links", str(first))
    expect(rows).to_have_count(2)
    expect(rows.first).to_be_focused()
    last = rows.last.get_attribute("aria-label")
    remove("links", str(last))
    expect(rows.last).to_be_focused()
    remove("links", str(rows.last.get_attribute("aria-label")))
    expect(page.locator("#links-title")).to_be_focused()

    remove("relationships", f"Wait no longer for #{needed[0]}")
    expect(
        page.locator("#relationships").get_by_role("button", name=f"Wait no longer for #{needed[1]}")
    ).to_be_focused()
    remove("relationships", f"Wait no longer for #{needed[1]}")
    expect(page.locator("#relationships-title")).to_be_focused()

    asked = flower.call(token, "brief_ask", brief=number, question="Sure?", options=["yes", "no"])
    assert asked
    page.get_by_role("button", name="yes", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.locator("#questions")).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_focused()

    page.locator("#design-loop").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#design-loop")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#design-loop")).to_be_focused()


def test_news_from_elsewhere_does_not_take_the_focus(page: Page, flower: Flower, token: str, make):
    number = make("Stay where I am")
    for name in "ab":
        flower.call(token, "brief_link", brief=number, kind="url", target=f"https://example.org/{name}")
    page.goto(f"/briefs/{number}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    link = page.locator("#links").get_by_role("link", name="https://example.org/a")
    link.focus()
    flower.call(token, "brief_link", brief=number, kind="url", target="https://example.org/c")
    expect(page.locator("#links").get_by_role("link", name="https://example.org/c")).to_be_visible()
    expect(link).to_be_focused()


# --- a thumb ----------------------------------------------------------------------------------------------------------


def is_narrow_enough(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth && innerWidth <= 380"))


def test_the_main_job_on_a_phone(enter, faults, make):
    page = enter(**PHONE)
    faults.watch(page)
    page.goto("/briefs/")
    assert is_narrow_enough(page)
    page.get_by_label("Capture a thought").tap()
    page.get_by_label("Capture a thought").fill("Thumbed in")
    page.get_by_role("button", name="Capture", exact=True).tap()
    expect(page.locator("#capture .told")).to_contain_text("Thumbed in")
    page.locator("#list").get_by_role("link", name="Thumbed in").first.tap()
    expect(page).to_have_title(re.compile("Thumbed in"))
    assert is_narrow_enough(page)
    page.get_by_text("Write the spec").tap()
    page.get_by_label("Spec, in markdown").fill("By thumb.")
    assert is_narrow_enough(page)
    page.get_by_role("button", name="Save", exact=True).tap()
    expect(page.locator("#spec > .prose")).to_contain_text("By thumb.")
    page.get_by_label("Add a note").fill("A note from the train.")
    page.get_by_role("button", name="Add note").tap()
    expect(page.locator(".entry").first).to_contain_text("A note from the train.")
    page.locator("#status-menu > summary").tap()
    page.locator("#status-menu button[value=planned]").tap()
    expect(page.locator("#head .pill").first).to_have_text("planned")
    page.get_by_label("Agent", exact=True).select_option("")
    page.locator("#head").get_by_role("button", name="Dispatch").tap()
    expect(page.locator(".requests .pill")).to_have_text("queued")
    assert is_narrow_enough(page)


@pytest.mark.parametrize("view", ["", "?view=columns"])
def test_a_card_is_moved_by_its_menu_where_nothing_can_be_dragged(enter, faults, make, view):
    number = make(f"Moved by thumb {view}")
    page = enter(**PHONE)
    faults.watch(page)
    with page.expect_websocket():
        page.goto(f"/briefs/{view}")
    dots = page.get_by_role("link", name=f"Move #{number} to …")
    box = dots.bounding_box()
    assert box and min(box["width"], box["height"]) >= 24, "large enough for a thumb"
    assert dots.evaluate("dots => getComputedStyle(dots).opacity") == "1", "and seen without hovering"
    dots.tap()
    menu = page.locator("#moves")
    expect(menu).to_be_visible()
    place = menu.bounding_box()
    assert place and place["x"] >= 0 and place["x"] + place["width"] <= 380
    menu.get_by_role("button", name="planned").tap()
    home = "#column-planned" if view else "#group-planned"
    expect(page.locator(f"{home} #brief-{number}")).to_be_visible()
    expect(menu).to_be_hidden()
    assert is_narrow_enough(page)
