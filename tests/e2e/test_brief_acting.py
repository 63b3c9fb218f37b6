"""The right rail of the brief page in a browser: what one does there, live, and without JavaScript too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import _code, log_in

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)  # agents are started meanwhile, on a machine that may be busy


@pytest.fixture(scope="module")
def token(flower, repository: Path) -> str:
    flower.manage(["project_add", str(repository), "--slug", "sample"])
    (secret,) = flower.manage(["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return str(secret)


@pytest.fixture
def make(flower, token):
    return lambda body, **options: flower.call(token, "brief_create", body=body, project="sample", **options)["brief"]


def test_a_question_comes_live_and_is_answered_in_place(page: Page, flower, token, make):
    number = make("Asked")
    page.goto(f"/briefs/{number}/")
    expect(page.locator("#questions")).to_be_hidden()
    page.get_by_label("Add a note").fill("half a note that nothing may take away")
    flower.call(token, "brief_ask", brief=number, question="Which one?", options=["left", "right"])
    expect(page.get_by_role("heading", name="Open questions")).to_be_visible()
    expect(page.locator("#needs-you")).to_contain_text("1 needs you")
    page.get_by_role("button", name="right").click()
    expect(page.locator("#questions")).to_be_hidden()
    expect(page.locator("#needs-you")).to_be_empty()
    expect(page.locator(".entry", has_text="answer").first).to_contain_text("right")
    expect(page.get_by_text("1 answered question")).to_be_visible()
    expect(page.get_by_label("Add a note")).to_have_value("half a note that nothing may take away")
    page.get_by_label("Add a note").fill("")


def test_the_bar_of_another_page_counts_along(page: Page, flower, token, make):
    number = make("Elsewhere")
    page.goto("/projects/")
    expect(page.locator("#needs-you")).to_be_empty()
    asked = flower.call(token, "brief_ask", brief=number, question="Now?")["question"]
    expect(page.locator("#needs-you")).to_contain_text("1 needs you")
    page.locator("#needs-you a").click()
    expect(page.locator(f"#brief-{number}")).to_be_visible()
    flower.call(token, "brief_answer", question=asked, answer="Now.")
    expect(page.locator("#needs-you")).to_be_empty()


def test_another_brief_is_found_as_one_types(page: Page, make):
    other, number = make("The **needed** pears"), make("Needs pears")
    page.goto(f"/briefs/{number}/")
    page.get_by_text("Relate or merge").click()
    field = page.get_by_label("Depends on")
    field.press_sequentially("needed", delay=20)
    option = page.get_by_role("option", name=f"#{other}")
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(field).to_have_attribute("aria-activedescendant", re.compile(rf"found-{other}$"))
    page.keyboard.press("Enter")
    expect(field).to_have_value(re.compile(rf"^#{other} "))
    expect(option).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#relationships")).to_contain_text("Blocked — dispatch is gated")
    page.goto(f"/briefs/{other}/")
    page.get_by_text("Relate or merge").click()
    page.get_by_label("Depends on").fill(f"#{number}")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#relationships").get_by_role("alert")).to_contain_text(f"#{other} -> #{number} -> #{other}")
    expect(page.get_by_label("Depends on")).to_have_value(f"#{number}")


def test_a_packet_is_copied(page: Page, flower, token, make):
    number = make("Copy me")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/briefs/{number}/")
    page.get_by_label("Agent", exact=True).select_option("")
    page.locator("#dispatch-form").get_by_role("button", name="Dispatch").click()
    expect(page.locator(".requests .pill")).to_have_text("queued")
    page.locator("#dispatch").get_by_role("link", name="packet").click()
    expect(page.locator("#dispatch").get_by_text("copied")).to_be_visible()
    expect(page.locator("#dispatch").get_by_role("link", name="packet")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("You are being dispatched from flower")
    flower.call(token, "brief_dispatch_cancel", dispatch=_dispatch(flower, number), why="enough")
    expect(page.locator(".requests .pill")).to_have_text("cancelled")


def _dispatch(flower, number: int) -> int:
    return int(flower.rows(f"select max(id) from dispatch_dispatchrequest where brief_id = {number}")[0][0])


def test_what_is_flagged_and_planned_goes_by_itself(page: Page, flower, token, make):
    number = make("By itself")
    page.goto(f"/briefs/{number}/")
    page.get_by_role("switch", name="Auto-dispatch").click()
    expect(page.locator("#outlook")).to_contain_text("Once planned, it goes to demo by itself.")
    flower.call(token, "brief_update_status", brief=number, status="planned")
    expect(page.locator(".requests .pill")).to_be_visible()
    expect(page.locator(".entry", has_text="work completed")).to_be_visible()
    expect(page.locator("#participants")).to_contain_text("worker")


def test_the_agents_view_stays_open_while_the_page_lives(page: Page, flower, token, make):
    number = make("Look")
    page.goto(f"/briefs/{number}/")
    page.locator("#payload-open").click()
    page.get_by_role("link", name="raw JSON").click()
    text = page.locator("#payload-text")
    expect(text).to_contain_text(f'"brief":{number}')
    flower.call(token, "brief_append", brief=number, body="something new for agents")
    expect(text).to_contain_text("something new for agents")
    page.get_by_role("link", name="close").click()
    expect(page.locator("#payload-open")).to_be_visible()


def test_a_link_is_added_and_taken_away(page: Page, make):
    number = make("Links")
    page.goto(f"/briefs/{number}/")
    page.get_by_text("Add a link").click()
    page.get_by_label("What", exact=True).fill("ftp://nowhere")
    page.get_by_role("button", name="Add link").click()
    expect(page.locator("#links").get_by_role("alert")).to_contain_text("must begin with http")
    expect(page.get_by_label("What", exact=True)).to_have_value("ftp://nowhere")
    page.get_by_label("What", exact=True).fill("https://example.org/")
    page.get_by_label("Called").fill("An example")
    page.get_by_role("button", name="Add link").click()
    row = page.locator("#links li", has_text="An example")
    expect(row).to_be_visible()
    row.hover()
    row.get_by_role("button").click()
    expect(row).to_have_count(0)
    expect(page.locator(".entry", has_text="link removed")).to_be_visible()


# --- without JavaScript -----------------------------------------------------------------------------------------------


def test_all_of_it_works_without_javascript(chromium: Browser, flower, token, make):
    context = chromium.new_context(java_script_enabled=False, base_url=flower.url)
    page = context.new_page()
    page.set_default_timeout(20_000)
    log_in(page, _code(flower))
    page.goto("/briefs/")
    page.get_by_label("Capture a thought").fill("Without a script")
    page.get_by_role("button", name="Capture", exact=False).first.click()
    page.get_by_role("link", name="Without a script").first.click()
    expect(page).to_have_title(re.compile("Without a script"))
    number = int(re.search(r"/briefs/(\d+)/", page.url)[1])

    page.get_by_label("Add a note").fill("A note, posted plainly.")
    page.get_by_role("button", name="Add note").click()
    expect(page.locator("#trace")).to_contain_text("A note, posted plainly.")

    page.locator("#status-menu > summary").click()
    page.locator("#status-menu button[value=planned]").click()
    expect(page.locator("#head .pill").first).to_have_text("planned")

    flower.call(token, "brief_ask", brief=number, question="Shall we?", options=["yes", "no"], blocking=True)
    page.reload()
    expect(page.locator("#dispatch-form")).to_have_count(0)
    page.get_by_role("button", name="yes").click()
    expect(page.get_by_text("1 answered question")).to_be_visible()

    page.get_by_text("Relate or merge").click()
    page.get_by_label("Epic parent").fill(str(make("An epic")))
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator("#relationships")).to_contain_text("An epic")

    page.get_by_role("link", name="show it").click()
    expect(page.locator("#payload-readable")).to_contain_text("Without a script")

    page.get_by_label("Agent", exact=True).select_option("")
    page.locator("#dispatch-form").get_by_role("button", name="Dispatch").click()
    expect(page.locator(".requests .pill")).to_have_text("queued")
    page.get_by_role("link", name="packet").click()
    expect(page.locator("body")).to_contain_text("You are being dispatched from flower")
    context.close()
