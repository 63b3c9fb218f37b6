"""Where things stand and how much room they have: on a phone, in an open form, under a finger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.system.running import Flower

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)
PHONE = {"viewport": {"width": 380, "height": 780}, "has_touch": True, "is_mobile": True}
SMALL = """() => [...document.querySelectorAll("a, button, summary, select")].filter(one => {
    const box = one.getBoundingClientRect();
    const small = box.width && (box.height < 23.5 || box.width < 23.5);
    return one.checkVisibility() && small && !one.matches(".skip, .t a, .prose a");
}).map(one => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def tokens(flower: Flower, repository) -> tuple[str, str]:
    *_, operator, agent = flower.manage(
        ["project_add", str(repository), "--slug", "sample"],
        ["actor_token", "operator:other", "--kind", "operator"],
        ["actor_token", "builder"],
    )
    flower.tokens += [operator, agent]
    return operator, agent


@pytest.fixture
def brief(flower: Flower, tokens: tuple[str, str]) -> int:
    operator, agent = tokens
    number = int(flower.call(operator, "brief_create", body="Room", project="sample", spec="Do it.")["brief"])
    flower.call(agent, "brief_ask", brief=number, question="Which one?", blocking=True)
    flower.call(agent, "brief_propose_plan", brief=number, plan="Do it well.")
    flower.call(agent, "brief_link", brief=number, kind="file", target="src/app.py")
    return number


def top(part: Locator) -> float:
    box = part.bounding_box()
    assert box
    return box["y"]


def test_on_a_phone_one_comes_to_the_hand_off_before_the_trace(enter: Callable[..., Page], brief: int):
    page = enter(**PHONE)
    page.goto(f"/briefs/{brief}/")
    places = [
        top(page.locator(name)) for name in ("#questions", "#spec", "#dispatch", "#trace-panel", "#relationships")
    ]
    assert places == sorted(places)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    assert page.evaluate(SMALL) == []
    page.goto("/briefs/")
    assert page.evaluate(SMALL) == []


def test_what_is_waited_for_leads_to_its_question(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.locator("#dispatch").get_by_role("link", name="question").click()
    expect(page.locator(".question:target")).to_contain_text("Which one?")
    expect(page.locator(".question:target .n")).to_have_text("Q" + page.url.rpartition("-")[2])


def test_an_opened_decision_leaves_the_buttons_in_their_row(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    decide = page.locator(".decide").first
    buttons = [decide.get_by_role("button", name="Accept", exact=True), decide.locator("summary")]
    before = [top(buttons[0]), *(top(one) for one in buttons[1].all())]
    for opened in buttons[1].all():
        opened.click()
        assert [round(place - top(buttons[0])) for place in (top(one) for one in buttons[1].all())] == [
            round(place - before[0]) for place in before[1:]
        ]
        assert top(decide.locator("details[open] form")) > top(opened)
    expect(decide.locator("details[open]")).to_have_count(1)


def test_a_short_spec_is_edited_in_twelve_lines(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.locator("#spec-edit > summary").click()
    box = page.locator("#spec-text").bounding_box()
    assert box and box["height"] > 12 * 19
