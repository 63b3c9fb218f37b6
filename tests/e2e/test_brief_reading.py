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
    bar = page.locator(".draft")
    expect(bar).to_contain_text("A draft of yours from just now was put back.")
    expect(text).to_have_value("**strong** words")
    bar.get_by_role("button", name="open it").click()
    expect(text).to_be_focused()
    text.press("End")
    text.type(", and more")
    until(lambda: "and more" in page.evaluate("JSON.stringify(localStorage)"), "that to be kept too")
    page.reload()
    expect(text).to_have_value("**strong** words, and more")
    page.keyboard.press("p")
    bar.get_by_role("button", name="discard").click()
    expect(text).to_have_value("## One\n\nfirst words")
    bar.get_by_role("button", name="bring it back").click()
    expect(text).to_have_value("**strong** words, and more")
    text.press("Control+Enter")
    expect(page.locator("#spec > .prose strong")).to_have_text("strong")
    page.reload()
    expect(page.locator("#spec > .prose strong")).to_have_text("strong")
    expect(page.locator(".draft")).to_have_count(0)


def test_a_half_typed_answer_and_question_are_there_again(page: Page, flower, other: str, brief: int):
    asked = flower.call(other, "brief_ask", brief=brief, question="Which?")["question"]
    page.goto(f"/briefs/{brief}/")
    page.get_by_label("Your answer").fill("half an answer")
    page.get_by_text("Ask a question").click()
    page.get_by_label("Question", exact=True).fill("half a question")
    page.get_by_label("Proposed answers").fill("half of one")
    kept = "Object.keys(localStorage).filter(key => /^draft:(answer|ask|options):/.test(key)).length"
    until(lambda: page.evaluate(kept) == 3, "the drafts to be kept")
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("half an answer")
    expect(page.get_by_label("Question", exact=True)).to_have_value("half a question")
    expect(page.get_by_label("Question", exact=True)).to_be_visible()
    expect(page.get_by_label("Proposed answers")).to_have_value("half of one")
    page.locator(f"#question-{asked}").get_by_role("button", name="Answer").click()
    expect(page.locator("#questions")).to_be_hidden()
    expect(page.get_by_label("Question", exact=True)).to_have_value("half a question")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#questions")).to_contain_text("half a question")
    assert page.evaluate(kept) == 0


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


@pytest.mark.parametrize("width", [1400, 380])
def test_completing_leaves_the_page_where_it_is(page: Page, flower, other: str, width: int):
    brief = flower.call(other, "brief_create", body="Long", spec="words\n\n" * 90)["brief"]
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(f"/briefs/{brief}/")
    note = page.get_by_label("Add a note")
    note.scroll_into_view_if_needed()
    note.click()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 0
    for typed in ("@", "#"):
        note.press_sequentially(f" {typed}")
        options = page.locator("#completions [role=option]")
        expect(options.first).to_be_in_viewport()
        for _ in range(options.count()):
            note.press("ArrowDown")
        expect(page.locator("#completions [aria-selected=true]")).to_be_in_viewport()
        assert page.evaluate("scrollY") == scrolled
        note.press("Escape")


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


def test_who_types_on_after_a_paste_keeps_the_picture(page: Page, brief: int):
    page.goto(f"/briefs/{brief}/")
    out = io.BytesIO()
    Image.new("RGB", (20, 10), "red").save(out, format="PNG")
    note = page.get_by_label("Add a note")
    note.click()
    page.keyboard.type("before ")
    page.evaluate(PASTE, [note.element_handle(), base64.b64encode(out.getvalue()).decode()])
    picture = rf"!\[shot\.png\]\(/briefs/{brief}/attachments/[0-9a-f]{{64}}\)"
    expect(note).to_have_value(re.compile(rf"^before {picture}$"))
    page.keyboard.type(" AFTER")
    expect(note).to_have_value(re.compile(rf"^before {picture} AFTER$"))


def test_the_trace_is_filtered_live(page: Page, flower, other: str, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.get_by_label("Kind of entries").select_option("comment")
    expect(page).to_have_url(re.compile(r"\?kind=comment"))
    expect(page.locator("[data-live-state]")).to_have_text("live")
    flower.call(other, "brief_append", brief=brief, body="a note, not shown")
    flower.call(other, "brief_append", brief=brief, body="a comment, shown", kind="comment")
    expect(page.locator("#trace .entry")).to_have_count(1)
    expect(page.locator("#trace .entry")).to_contain_text("a comment, shown")


def test_ones_own_note_is_shown_in_spite_of_the_filter(page: Page, flower, other: str, brief: int):
    flower.call(other, "brief_append", brief=brief, body="a comment", kind="comment")
    page.goto(f"/briefs/{brief}/?kind=comment")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    count = page.locator("#trace-title .num")
    expect(count).to_have_text("1 of 3 entries")
    page.get_by_label("Add a note").fill("my own note")
    page.get_by_label("Add a note").press("Control+Enter")
    mine = page.locator("#trace .entry").first
    expect(mine).to_contain_text("my own note")
    expect(mine).to_contain_text("hidden by the filter")
    expect(count).to_have_text("1 of 5 entries")  # the person joined, and wrote
    flower.call(other, "brief_append", brief=brief, body="one more comment", kind="comment")
    expect(count).to_have_text("2 of 6 entries")
    mine = page.locator("#trace .entry", has_text="my own note")
    mine.get_by_role("link", name="show all").click()
    expect(page).to_have_url(re.compile(rf"/briefs/{brief}/#trace-panel$"))
    expect(page.locator("#trace .entry")).to_have_count(6)


def test_the_tab_is_called_as_the_brief_is(page: Page, flower, other: str, brief: int):
    page.goto(f"/briefs/{brief}/")
    page.keyboard.press("e")
    page.get_by_label("Title", exact=True).fill("Called <b>anew</b>")
    page.keyboard.press("Enter")
    expect(page).to_have_title(f"#{brief} Called <b>anew</b> · flower")


def test_the_parts_of_a_long_spec_are_a_list_that_one_comes_back_to(page: Page, flower, other: str):
    spec = "".join(f"## Part {number}\n\n{'words ' * 60}\n\n" for number in range(1, 161))
    brief = flower.call(other, "brief_create", body="Many parts", spec=spec)["brief"]
    for width in (1400, 380):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"/briefs/{brief}/")
        parts = page.locator("#spec-contents li")
        expect(parts).to_have_count(151)
        expect(parts.last).to_have_text("10 more")
        boxes = [parts.nth(index).bounding_box() for index in (0, 1)]
        assert boxes[0] and boxes[1] and boxes[1]["y"] > boxes[0]["y"], "one below the other"
        page.get_by_role("link", name="Part 140", exact=True).click()
        expect(page.get_by_role("heading", name="Part 140", exact=True)).to_be_in_viewport()
        page.get_by_role("link", name="parts of the spec").click()
        expect(page.locator("#spec-title")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


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
