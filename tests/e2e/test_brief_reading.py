"""The left column of a brief's page, as a person reads and writes it."""

from __future__ import annotations

import base64
import io
import re

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.system.running import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def other(flower) -> str:
    (secret,) = flower.manage(["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return str(secret)


@pytest.fixture
def brief(flower, other) -> int:
    return flower.call(other, "brief_create", body="Read me", spec="## One\n\nfirst words")["brief"]


def test_the_title_is_changed_in_place(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.keyboard.press("e")
    field = page.get_by_label("Title", exact=True)
    expect(field).to_be_focused()
    field.fill("Something else")
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", level=1)).to_have_text("Read me")
    page.get_by_role("heading", level=1).click()
    expect(field).to_have_value("Read me")
    field.fill("A better title")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("A better title")
    expect(page.locator(".entry").first).to_contain_text("title was “Read me”")


def test_the_preview_follows_and_a_draft_outlives_the_page(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.keyboard.press("p")
    text = page.get_by_label("Spec, in markdown")
    page.locator("#spec").get_by_role("button", name="preview").click()
    text.fill("**strong** words")
    expect(page.locator("#spec-text-preview strong")).to_have_text("strong")
    kept = "Object.keys(localStorage).some(key => key.startsWith('draft:spec:'))"
    until(lambda: page.evaluate(kept), "the draft to be kept")
    page.reload()
    expect(page.locator(".draft")).to_contain_text("A draft of yours from just now")
    page.locator(".draft").get_by_role("button", name="restore").click()
    expect(page.get_by_label("Spec, in markdown")).to_have_value("**strong** words")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#spec > .prose strong")).to_have_text("strong")
    page.reload()
    expect(page.locator("#spec > .prose strong")).to_have_text("strong")
    expect(page.locator(".draft")).to_have_count(0)


def test_a_half_typed_note_is_there_again(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.get_by_label("Add a note").fill("half a")
    kept = "Object.keys(localStorage).some(key => key.startsWith('draft:note:'))"
    # wait_for_function would need eval, which the content policy forbids
    until(lambda: page.evaluate(kept), "the draft to be kept")
    page.reload()
    expect(page.get_by_label("Add a note")).to_have_value("half a")
    page.get_by_label("Add a note").press("Control+Enter")
    expect(page.locator(".entry").first).to_contain_text("half a")
    expect(page.get_by_label("Add a note")).to_have_value("")
    page.reload()
    expect(page.get_by_label("Add a note")).to_have_value("")


def test_tab_indents_and_can_be_left(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.keyboard.press("p")
    text = page.get_by_label("Spec, in markdown")
    text.fill("a\nb")
    text.press("Control+a")
    text.press("Tab")
    expect(text).to_have_value("  a\n  b")
    text.press("Shift+Tab")
    expect(text).to_have_value("a\nb")
    text.press("Escape")
    expect(text).not_to_be_focused()


def test_references_are_completed_by_keys(page: Page, flower, other: str, brief: int):
    cited = flower.call(other, "brief_create", body="Zebra crossing")["brief"]
    page.goto(f"/briefs/{brief}/")
    note = page.get_by_label("Add a note")
    note.press_sequentially("see #zeb")
    expect(page.get_by_role("option", name="Zebra crossing")).to_be_visible()
    note.press("Enter")
    expect(note).to_have_value(f"see #{cited} ")
    note.press_sequentially("@operator:oth")
    expect(page.locator("#completions [role=option]").first).to_contain_text("@operator:other")
    note.press("Escape")
    expect(page.get_by_role("listbox", name="Completions")).to_have_count(0)
    expect(note).to_be_focused()
    note.press("Control+Enter")
    expect(page.locator(".entry").first.locator("a.ref")).to_have_attribute("title", "Zebra crossing")


PASTE = """async ([box, data]) => {
  const bytes = Uint8Array.from(atob(data), char => char.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], "shot.png", { type: "image/png" }));
  box.dispatchEvent(new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true }));
}"""


def test_a_screenshot_is_pasted_shown_and_enlarged(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    out = io.BytesIO()
    Image.effect_noise((1200, 900), 90).save(out, format="PNG")
    assert len(out.getvalue()) > 1_000_000, "larger than any other body may be"
    note = page.get_by_label("Add a note")
    note.fill("look: ")
    page.evaluate(PASTE, [note.element_handle(), base64.b64encode(out.getvalue()).decode()])
    expect(note).to_have_value(re.compile(rf"^look: !\[shot\.png\]\(/briefs/{brief}/attachments/[0-9a-f]{{64}}\)$"))
    expect(page.locator("[data-thumbs] img")).to_be_visible()
    note.press("Control+Enter")
    shown = page.locator(".entry").first.locator("a.picture img")
    expect(shown).to_be_visible()
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 1200
    shown.click()
    expect(page.get_by_role("dialog", name="shot.png")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="shot.png")).to_have_count(0)


def test_the_trace_is_filtered_live(page: Page, flower, other: str, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.get_by_label("Kind of entries").select_option("comment")
    expect(page).to_have_url(re.compile(r"\?kind=comment"))
    expect(page.locator("[data-live-state]")).to_have_text("live")
    flower.call(other, "brief_append", brief=brief, body="a note, not shown")
    flower.call(other, "brief_append", brief=brief, body="a comment, shown", kind="comment")
    expect(page.locator("#trace .entry")).to_have_count(1)
    expect(page.locator("#trace .entry")).to_contain_text("a comment, shown")


def test_a_plan_is_read_and_accepted(page: Page, flower, other: str, brief: int):
    page.goto(f"/briefs/{brief}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    flower.call(other, "brief_propose_plan", brief=brief, plan="## One\n\nbetter words")
    plan = page.locator(".proposal")
    expect(plan.locator("mark", has_text="better")).to_be_visible()
    plan.get_by_role("button", name="Accept", exact=True).click()
    expect(page.locator("#spec > .prose")).to_contain_text("better words")
    expect(plan).to_have_count(0)
    page.get_by_role("link", name="compare").click()
    expect(page.locator(".compared mark", has_text="better")).to_be_visible()
    page.get_by_role("link", name="v1", exact=True).click()
    page.get_by_role("button", name="Restore").click()
    expect(page.locator("#spec > .prose")).to_contain_text("first words")
