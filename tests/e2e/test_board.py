"""The board under the hands of somebody who lives in it: keys, dragging, choosing, capturing, live changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import Faults
from tests.system.running import Flower, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def token(flower: Flower, repository: Path) -> str:
    add = ["project_add", str(repository), "--slug", "sample"]
    _, secret = flower.manage(add, ["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return secret


@pytest.fixture
def make(flower: Flower, token: str):
    """A brief made by somebody else, in a status."""

    def make(title: str, status: str = "", **options) -> int:
        number = flower.call(token, "brief_create", body=title, project="sample", **options)["brief"]
        if status:
            flower.call(token, "brief_update_status", brief=number, status=status)
        return number

    return make


def open_board(page: Page, query: str = "") -> None:
    with page.expect_websocket():  # from now on nothing that changes is missed
        page.goto(f"/briefs/{query}")


def test_m_moves_all_that_are_chosen_and_they_stay_chosen(page: Page, make):
    numbers = [make(f"Chosen {letter}") for letter in "ab"]
    other = make("Not chosen")
    open_board(page)
    for number in numbers:
        page.locator(f"#brief-{number} .pick").check()
    page.locator(f"#brief-{other} .t a").focus()  # the keys are about the chosen ones, wherever the focus is
    page.keyboard.press("m")
    expect(page.locator("#moves")).to_be_hidden()
    page.locator("#bulk details[open] button[value='move:refining']").focus()
    page.keyboard.press("Enter")
    for number in numbers:
        expect(page.locator(f"#group-refining #brief-{number}")).to_be_visible()
        expect(page.locator(f"#brief-{number} .pick")).to_be_checked()
    expect(page.locator(f"#group-idea #brief-{other}")).to_be_visible()
    expect(page.locator("[data-count]")).to_have_text("2 chosen")


def test_a_card_is_dragged_where_it_may_go_and_refused_elsewhere(page: Page, make):
    number = make("Drag me about")
    open_board(page, "?view=columns")
    page.locator(f"#brief-{number}").drag_to(page.locator("#column-planned"))
    expect(page.locator(f"#column-planned #brief-{number}")).to_be_visible()
    expect(page.locator("#board-says")).to_have_text(f"#{number} moved from idea to planned.")
    page.locator(f"#brief-{number}").drag_to(page.locator("#column-in_progress"))
    refused = page.locator("#column-in_progress").get_by_role("alert")
    expect(refused).to_contain_text("follows from dispatching")
    expect(page.locator(f"#column-planned #brief-{number}")).to_be_visible()
    refused.get_by_role("button", name="Dismiss").click()
    expect(refused).to_have_count(0)
    page.locator(f"#brief-{number}").drag_to(page.locator("#column-in_progress"))
    expect(refused).to_be_visible()
    page.keyboard.press("Escape")
    expect(refused).to_have_count(0)


def test_illegal_columns_step_back_while_a_card_is_dragged(page: Page, make):
    number = make("Held in the air")
    open_board(page, "?view=columns")
    page.locator(f"#brief-{number} .t").hover()
    page.mouse.down()
    page.locator("#column-idea h2").hover()
    page.locator("#column-idea h2").hover()
    expect(page.locator("#column-idea")).to_have_class(re.compile(r"\bhome\b"))
    expect(page.locator("#column-idea")).not_to_have_class(re.compile("illegal"))
    page.locator("#column-complete h2").hover()
    page.locator("#column-complete h2").hover()
    expect(page.locator("#column-complete")).to_have_class(re.compile(r"\billegal\b.*\bover\b"))
    expect(page.locator("#column-planned")).not_to_have_class(re.compile("illegal"))
    page.mouse.up()
    expect(page.locator("#column-complete").get_by_role("alert")).to_contain_text("cannot become complete")
    expect(page.locator(".dragging")).to_have_count(0)


def test_the_same_by_keys_alone(page: Page, make):
    number = make("Moved by keys")
    open_board(page, "?q=Moved+by+keys")
    page.keyboard.press("j")
    expect(page.locator(f"#to-{number}")).to_be_focused()
    page.keyboard.press("m")
    expect(page.locator("#moves").get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#group-planned").locator(f"#brief-{number}")).to_be_visible()
    expect(page.locator("#moves")).to_be_hidden()
    page.keyboard.press("x")
    expect(page.locator(f"#brief-{number} .pick")).to_be_checked()
    page.locator(f"#to-{number}").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Moved by keys"))
    for keys, title in (("gd", "Dispatches"), ("gw", "Worktrees"), ("gp", "Projects"), ("gb", "Briefs")):
        for key in keys:
            page.keyboard.press(key)
        expect(page).to_have_title(re.compile(title))


def test_keys_are_off_while_one_types(page: Page, make):
    make("Here")
    open_board(page)
    page.keyboard.press("c")
    page.keyboard.type("gb jkx? /")
    expect(page.get_by_label("Capture a thought")).to_have_value("gb jkx? /")
    expect(page.locator("#keys")).to_be_hidden()
    page.get_by_label("Capture a thought").fill("")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_palette_goes_to_briefs_pages_and_actions(page: Page, make):
    number = make("Unmistakable heuristics")
    open_board(page)
    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="A brief, a page or an action")
    expect(field).to_be_focused()
    field.fill("heuristics unmis")
    expect(page.get_by_role("option", name=re.compile("Unmistakable"))).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Unmistakable"))
    page.keyboard.press("Control+k")
    page.keyboard.type("worktr")
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Worktrees"))
    page.keyboard.press("Control+k")
    page.keyboard.type(str(number))
    page.keyboard.press("Enter")
    expect(page).to_have_title(re.compile("Unmistakable"))
    page.keyboard.press("Control+k")
    page.keyboard.type("show the keys")
    page.keyboard.press("Enter")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.type("zzzz nothing")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()


def test_filters_change_the_address_and_come_back_with_it(page: Page, make):
    wanted, other = make("Red apple pie", "planned"), make("Green pear pie")
    open_board(page)
    page.get_by_label("Capture a thought").fill("half typed")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    page.keyboard.type("pie")
    expect(page).to_have_url(re.compile(r"/briefs/\?q=pie$"))
    page.locator("#filter-status summary").click()
    page.get_by_role("checkbox", name="planned").check()
    expect(page.locator(f"#brief-{other}")).to_have_count(0)
    expect(page).to_have_url(re.compile(r"q=pie&status=planned"))
    page.get_by_role("link", name="Without the filter planned").click()
    expect(page.locator(f"#brief-{other}")).to_be_visible()
    expect(page.locator("#filter-status [value=planned]")).not_to_be_checked()
    page.go_back()
    expect(page.locator(f"#brief-{other}")).to_have_count(0)
    expect(page.locator("#filter-status .choose")).to_have_text("planned")
    page.get_by_role("link", name="columns").click()
    expect(page.locator(f"#column-planned #brief-{wanted}")).to_be_visible()
    expect(page).to_have_url(re.compile(r"view=columns"))
    expect(page.get_by_label("Capture a thought")).to_have_value("half typed")


def test_back_leads_from_a_search_to_the_board(page: Page, make):
    wanted, other = make("Quince jelly"), make("Medlar jelly")
    open_board(page)
    page.keyboard.press("/")
    for typed in ("quin", "ce"):
        page.keyboard.type(typed)
        expect(page).to_have_url(re.compile(rf"q=\w*{typed}$"))
    expect(page.locator(f"#brief-{other}")).to_have_count(0)
    page.go_back()
    expect(page).to_have_url(re.compile(r"/briefs/$"))
    expect(page.locator(f"#brief-{other}")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.go_forward()
    expect(page.locator(f"#brief-{other}")).to_have_count(0)
    expect(page.locator(f"#brief-{wanted}")).to_be_visible()


def test_a_half_typed_thought_is_there_again(page: Page, make):
    make("Some brief")
    open_board(page)
    thought = page.get_by_label("Capture a thought")
    thought.fill("Half a thought")
    until(lambda: page.evaluate("localStorage.getItem('draft:capture')"), "the draft to be kept")
    page.reload()
    expect(thought).to_have_value("Half a thought")
    page.get_by_role("button", name="Capture & dispatch").click()
    expect(page).to_have_title(re.compile("Half a thought"))
    open_board(page)
    expect(thought).to_have_value("")


def test_a_view_is_saved_under_a_name(page: Page, make):
    make("For a view", "planned")
    open_board(page, "?status=planned")
    page.locator("#saved-views > summary").click()
    page.get_by_label("Name of the view").fill("Ready")
    page.get_by_role("button", name="Save view").click()
    expect(page.locator("#saved-views > summary")).to_have_text("Ready")
    open_board(page)
    page.locator("#saved-views > summary").click()
    page.get_by_role("link", name="Ready").click()
    expect(page).to_have_url(re.compile(r"status=planned"))


def test_many_are_changed_at_once_and_the_refused_ones_say_why(page: Page, make):
    good = [make(f"Bulk apple {number}") for number in range(3)]
    ended = make("Bulk apple that is over", "cancelled")
    open_board(page, "?q=Bulk+apple")
    page.locator(f"#brief-{good[2]} .pick").click()
    page.locator(f"#brief-{good[0]} .pick").click(modifiers=["Shift"])
    page.locator(f"#brief-{ended} .pick").click()
    expect(page.locator("[data-count]")).to_have_text("4 chosen")
    page.locator("#bulk").get_by_text("Move to").click()
    page.locator("#bulk").get_by_role("button", name="planned").click()
    expect(page.locator("[data-refusals]")).to_contain_text(f"#{ended}")
    for number in good:
        expect(page.locator(f"#group-planned #brief-{number}")).to_be_visible()
    expect(page.locator(".pick:checked")).to_have_count(1)
    page.get_by_role("button", name="Choose none").click()
    expect(page.locator("#bulk")).to_be_hidden()


def test_cancelling_many_names_them_and_asks(page: Page, make):
    numbers = [make(f"Sloe {number}") for number in range(2)]
    kept = make("Sloe kept")
    open_board(page, "?q=Sloe")
    for number in numbers:
        page.locator(f"#brief-{number} .pick").check()
    cancel, question = page.get_by_role("button", name="Cancel briefs"), page.get_by_role("dialog")
    cancel.click()
    expect(page.get_by_role("dialog", name="Cancel 2 briefs?")).to_be_visible()
    expect(question.get_by_role("listitem")).to_have_text([f"#{numbers[1]} Sloe 1", f"#{numbers[0]} Sloe 0"])
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(cancel).to_be_focused()
    expect(page.locator(f"#brief-{numbers[0]}")).to_be_visible()
    page.keyboard.press("Enter")
    expect(question.get_by_role("button", name="Cancel them")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#messages")).to_contain_text("2 briefs: cancelled.")
    for number in numbers:
        expect(page.locator(f"#group-cancelled #brief-{number}")).to_be_visible()
    expect(page.locator(f"#group-idea #brief-{kept}")).to_be_visible()


def test_duplicates_are_offered_and_the_thought_continues_there(page: Page, make, flower):
    number = make("Worktree preparation before the first turn")
    open_board(page)
    page.keyboard.press("c")
    page.keyboard.type("Prepare worktrees first turn")
    hit = page.locator("#same li", has_text=f"#{number}")
    expect(hit).to_be_visible()
    expect(page.get_by_label("Capture a thought")).to_be_focused()
    hit.get_by_role("button", name="continue there").click()
    expect(page.locator("#capture .told")).to_contain_text("Added as a note to")
    expect(page.get_by_label("Capture a thought")).to_have_value("")
    said = flower.rows("select body from briefs_traceentry where brief_id = ? and kind = 'note'", number)
    assert said == [("Prepare worktrees first turn",)]


def test_live_changes_take_nothing_away(page: Page, make, flower, token):
    numbers = [make(f"Live plum {number}") for number in range(12)]
    open_board(page, "?q=Live+plum")
    page.get_by_label("Capture a thought").fill("half typed, and kept")
    page.locator(f"#brief-{numbers[4]} .pick").check()
    page.locator("#bulk").get_by_text("Move to").click()
    page.locator(f"#to-{numbers[5]}").focus()
    mark = page.evaluate_handle("document.activeElement.closest('.brief')")
    scrolled = page.evaluate("scrollY")
    flower.call(token, "brief_update_status", brief=numbers[5], status="planned")
    expect(page.locator(f"#group-planned #brief-{numbers[5]}")).to_be_visible()
    expect(page.locator(f"#to-{numbers[5]}")).to_be_focused()
    assert mark.evaluate("row => row.isConnected"), "the row is the same element, moved"
    flower.call(token, "brief_append", brief=numbers[0], body="a note")
    expect(page.locator("#group-idea .brief").first).to_have_id(f"brief-{numbers[0]}")
    expect(page.locator(f"#brief-{numbers[4]} .pick")).to_be_checked()
    expect(page.get_by_label("Capture a thought")).to_have_value("half typed, and kept")
    expect(page.locator("#bulk details[open]")).to_have_count(1)
    assert page.evaluate("scrollY") == scrolled


def test_what_is_folded_stays_folded(page: Page, make):
    epic = make("An epic with parts")
    part = make("One of its parts", parent=epic)
    open_board(page, "?q=part")
    expect(page.locator(f"#brief-{part}")).to_be_visible()
    page.locator(f"#to-{epic}").focus()
    page.keyboard.press("z")
    expect(page.locator(f"#brief-{part}")).to_be_hidden()
    page.reload()
    expect(page.locator(f"#to-{epic}")).to_be_visible()
    expect(page.locator(f"#brief-{part}")).to_be_hidden()


def test_auto_dispatch_is_switched_on_a_planned_row(page: Page, make):
    number = make("By hand, then by itself", "planned")
    open_board(page, "?q=by+itself")
    switch = page.get_by_role("switch", name=f"Auto-dispatch #{number}")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.click()
    expect(page.locator("#board-says")).to_have_text(f"Auto-dispatch of #{number} is on.")


def test_auto_dispatch_is_switched_on_a_planned_card(page: Page, flower: Flower, token: str, make):
    needed = make("To be done before")
    number = make("A card that goes by itself", "planned")
    flower.call(token, "brief_add_dependency", brief=number, depends_on=needed)
    open_board(page, "?view=columns")
    switch = page.locator("#column-planned").get_by_role("switch", name=f"Auto-dispatch #{number}")
    for on in ("true", "false"):
        switch.click()
        expect(switch).to_have_attribute("aria-checked", on)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?view=columns", "?q=nothing+like+it", "?status=planned&status=idea&needs=me"])
def test_the_board_fits_a_phone(page: Page, make, scheme, query):
    make("averyveryverylongwordwithoutanyplacetobreakit" * 3, "planned")
    page.set_viewport_size({"width": 380, "height": 780})
    page.emulate_media(color_scheme=scheme)
    open_board(page, query)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    if query == "?view=columns":
        boxes = page.locator(".columns > .column").first.bounding_box()
        assert boxes and 280 < boxes["width"] < 380, "one column at a time"


def test_the_board_works_without_a_script(chromium: Browser, page: Page, flower: Flower, make, faults: Faults):
    number = make("Scriptless plum")
    context = chromium.new_context(
        base_url=flower.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    faults.watch(plain)
    plain.goto("/briefs/")
    plain.get_by_label("Capture a thought").fill("Captured without a script")
    plain.get_by_role("button", name="Capture c").click()
    expect(plain.get_by_text("Captured without a script").first).to_be_visible()
    plain.get_by_label("Title or number").fill("Scriptless")
    plain.get_by_role("button", name="Filter").click()
    plain.get_by_role("link", name=f"Move #{number} to …").click()
    plain.get_by_role("button", name="planned").click()
    expect(plain.get_by_label("planned").locator(f"#brief-{number}")).to_be_visible()
    plain.locator(f"#brief-{number} .pick").check()
    plain.locator("#bulk").get_by_text("Auto-dispatch").click()
    plain.get_by_role("button", name="on when it reaches planned").click()
    expect(plain.get_by_text("1 brief: auto-dispatch on.")).to_be_visible()
    expect(plain).to_have_url(re.compile("q=Scriptless"))
    context.close()
