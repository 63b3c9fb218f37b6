"""Two browsers at once on one brief, and a browser whose server dies: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest
from playwright.sync_api import Page, expect

from tests.system.running import Flower, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)
NUMBERS = "[...document.querySelectorAll('#trace [data-seq]')].map(entry => +entry.dataset.seq)"


@pytest.fixture(scope="module")
def token(flower: Flower) -> str:
    (secret,) = flower.manage(["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return str(secret)


@pytest.fixture
def brief(flower: Flower, token: str) -> int:
    return int(flower.call(token, "brief_create", body="Two at once", spec="one\n\ntwo\n\nthree")["brief"])


def look_at(page: Page, brief: int) -> Page:
    page.goto(f"/briefs/{brief}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    return page


def test_two_who_edit_the_spec_see_what_differs_and_lose_nothing(page: Page, enter, faults, flower: Flower, brief: int):
    mine, theirs = look_at(page, brief), look_at(enter(), brief)
    faults.watch(theirs)
    texts = {mine: "one\n\ntwo, as I see it\n\nthree", theirs: "one\n\ntwo\n\nthree, as they see it"}
    for who, text in texts.items():
        who.keyboard.press("p")
        who.get_by_label("Spec, in markdown").fill(text)
    theirs.keyboard.press("Control+Enter")
    expect(theirs.locator("#spec > .prose")).to_contain_text("three, as they see it")
    expect(mine.locator(".entry", has_text="spec snapshot")).to_be_visible()
    expect(mine.get_by_label("Spec, in markdown")).to_have_value(texts[mine])

    mine.keyboard.press("Control+Enter")
    expect(mine.locator("#spec").get_by_role("alert")).to_contain_text("Somebody else changed the spec")
    expect(mine.locator(".differs .removed", has_text="three, as they see it")).to_be_visible()
    expect(mine.locator(".differs .added", has_text="two, as I see it")).to_be_visible()
    expect(mine.get_by_label("Spec, in markdown")).to_have_value(texts[mine])
    both = "one\n\ntwo, as I see it\n\nthree, as they see it"
    mine.get_by_label("Spec, in markdown").fill(both)
    mine.get_by_role("button", name="Save mine on top of v2").click()
    for who in (mine, theirs):
        expect(who.locator("#spec > .prose")).to_contain_text("two, as I see it")
        expect(who.locator("#spec > .prose")).to_contain_text("three, as they see it")
    kept = [body for (body,) in flower.rows("select body from briefs_traceentry where kind = 'spec_snapshot'")]
    assert texts[theirs] in kept, "what they wrote is on the trace, word for word"


def test_two_who_write_notes_see_each_other(page: Page, enter, faults, brief: int):
    mine, theirs = look_at(page, brief), look_at(enter(), brief)
    faults.watch(theirs)
    mine.get_by_label("Add a note").press_sequentially("half of what I")
    theirs.get_by_label("Add a note").fill("Said by them.")
    theirs.get_by_role("button", name="Add note").click()
    expect(mine.locator(".entry").first).to_contain_text("Said by them.")
    expect(theirs.get_by_label("Add a note")).to_have_value("")
    expect(mine.get_by_label("Add a note")).to_have_value("half of what I")
    expect(mine.get_by_label("Add a note")).to_be_focused()
    theirs.locator("#auto-dispatch").click()  # every panel comes anew
    expect(mine.locator("#auto-dispatch")).to_have_attribute("aria-checked", "true")
    mine.keyboard.type(" mean")
    mine.keyboard.press("Control+Enter")
    for who in (mine, theirs):
        expect(who.locator(".entry").first).to_contain_text("half of what I mean")
        numbers = who.evaluate(NUMBERS)
        assert numbers == list(range(len(numbers), 0, -1))


# --- the server dies --------------------------------------------------------------------------------------------------

WRITE = """
import time
from briefs.models import Actor, Brief
from briefs.services import briefs
brief, writer = Brief.objects.get(pk={brief}), Actor.objects.get(ref="operator:other")
for number in range(60):
    briefs.note(brief, f"written {{number}}", actor=writer)
    time.sleep(0.1)
"""


def test_a_killed_server_comes_back_and_the_page_has_every_entry_once(enter, flower: Flower, brief: int):
    page = look_at(enter(), brief)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    stay = page.evaluate("window.stay = Math.random()")
    page.get_by_label("Add a note").press_sequentially("half a note")
    writer = threading.Thread(target=flower.manage, args=(["shell", "-v", "0", "-c", WRITE.format(brief=brief)],))
    writer.start()
    try:
        expect(page.locator(".entry", has_text="written 5")).to_be_visible()
        for _ in range(2):
            flower.kill("web")
            expect(page.locator("[data-live-state]")).to_have_text("reconnecting")
            until(flower.is_whole, "flower is whole again")
    finally:
        writer.join()
    end = flower.value("select trace_seq from briefs_brief where id = ?", brief)
    assert end > 60
    until(lambda: page.evaluate(NUMBERS) == list(range(end, 0, -1)), f"all of the {end} entries, each once, in order")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    expect(page.locator("[data-trace-count]")).to_have_text(str(end))
    expect(page.get_by_label("Add a note")).to_have_value("half a note")
    assert page.evaluate("window.stay") == stay, "the page was not loaded again"
    page.get_by_label("Add a note").press("Control+Enter")
    expect(page.locator(".entry").first).to_contain_text("half a note")
    assert errors == []


def test_a_note_sent_to_a_dead_server_is_not_lost(enter, flower: Flower, brief: int):
    page = look_at(enter(), brief)
    page.get_by_label("Add a note").fill("sent into the void")
    flower.kill("web")
    page.get_by_label("Add a note").press("Control+Enter")
    sent = "select count(*) from briefs_traceentry where body = 'sent into the void'"
    if flower.value(sent) == 0 and page.get_by_label("Add a note").input_value():
        until(flower.is_whole, "flower is whole again")
        page.get_by_label("Add a note").press("Control+Enter")
    expect(page.locator(".entry", has_text="sent into the void")).to_have_count(1)
    until(flower.is_whole, "flower is whole again")
    assert flower.value(sent) == 1


def test_lists_that_missed_a_change_heal_by_themselves(enter, flower: Flower, token: str, brief):
    """What is said while the broker hangs, and dies with it, reaches nobody; the heartbeat tells that it is there."""
    board, pads = enter(), enter()
    for page, path in ((board, "/briefs/"), (pads, "/scratchpads/")):
        with page.expect_websocket():
            page.goto(path)
        page.evaluate("window.stay = 1")
    broker = flower.pid("broker")
    os.kill(broker, signal.SIGSTOP)
    try:
        flower.call(token, "brief_create", body="Said to a broker that hangs")
        flower.call(token, "scratchpad_write", name="unheard", content="Said to a broker that hangs")
    finally:
        flower.kill("broker")  # the supervisor starts the next one, which knows nothing of what was said
    expect(board.locator("main")).to_contain_text("Said to a broker that hangs", timeout=40_000)
    expect(pads.locator("#live")).to_contain_text("unheard", timeout=40_000)
    for page in (board, pads):
        assert page.evaluate("window.stay") == 1, "the page was not loaded again"
    until(flower.is_whole, "flower is whole again")


# --- runs -------------------------------------------------------------------------------------------------------------


def test_entries_of_one_kind_fold_as_they_come(page: Page, flower: Flower, token: str, brief: int):
    look_at(page, brief)

    def link(number: int) -> None:
        flower.call(token, "brief_link", brief=brief, kind="url", target=f"https://example.org/{number}")

    for number in range(3):
        link(number)
    run = page.locator("#trace > .run")
    expect(run.locator("b").first).to_have_text("3 links added")
    assert page.evaluate(NUMBERS) == list(range(page.evaluate(NUMBERS)[0], 0, -1))
    run.locator("summary").first.click()
    expect(run.locator("summary").first).to_be_focused()
    for number in range(3, 7):
        link(number)
    expect(run).to_have_count(1)
    expect(run.locator("b").first).to_have_text("7 links added")
    assert run.locator("details").get_attribute("open") is not None, "what was open stays open"
    expect(run.locator("summary").first).to_be_focused()
    flower.call(token, "brief_append", brief=brief, body="between")
    for number in range(7, 10):
        link(number)
    expect(run).to_have_count(2)
    live = page.evaluate("[...document.querySelectorAll('#trace > li')].map(line => line.querySelector('b').innerText)")
    numbers = page.evaluate(NUMBERS)
    page.reload()
    expect(page.locator("[data-live-state]")).to_have_text("live")
    assert page.evaluate(NUMBERS) == numbers == list(range(numbers[0], 0, -1))
    after = page.evaluate(
        "[...document.querySelectorAll('#trace > li')].map(line => line.querySelector('b').innerText)"
    )
    assert json.dumps(after) == json.dumps(live), "the page is as it is after a reload"


# --- panels that change under somebody's hands ------------------------------------------------------------------------


def news_come(page: Page, flower: Flower, token: str, brief: int) -> None:
    """Something changed elsewhere, and every panel was asked for again."""
    flower.call(token, "brief_link", brief=brief, kind="url", target="https://example.org/news")
    expect(page.locator("#links").get_by_role("link", name="https://example.org/news")).to_be_visible()


def test_a_refusal_and_a_half_typed_field_leave_the_panel_true(page: Page, flower: Flower, token, brief: int):
    epic = flower.call(token, "brief_create", body="The epic of it")["brief"]
    later = flower.call(token, "brief_create", body="Another epic")["brief"]
    look_at(page, brief)
    related = page.locator("#relationships")
    related.get_by_text("Relate or merge").click()
    needs, parent = related.get_by_label("Depends on"), related.get_by_label("Epic parent")
    needs.fill(str(brief))
    related.get_by_role("button", name="Add", exact=True).click()
    expect(related.get_by_role("alert")).to_contain_text("circle")
    news_come(page, flower, token, brief)
    expect(related.get_by_role("alert")).to_be_visible()
    expect(needs).to_have_value(str(brief))

    parent.fill(str(epic))
    related.get_by_role("button", name="Set", exact=True).click()
    expect(related.get_by_role("link", name=f"#{epic} The epic of it")).to_be_visible()
    expect(related.get_by_role("alert")).to_have_count(0)
    expect(needs).to_have_value(str(brief))
    needs.fill("half typ")
    flower.call(token, "brief_set_parent", brief=brief, parent=later)
    expect(related.get_by_role("link", name=f"#{later} Another epic")).to_be_visible()
    expect(needs).to_have_value("half typ")
    expect(needs).to_be_focused()
    assert needs.evaluate("field => field.selectionStart") == len("half typ")


def test_one_question_is_answered_while_another_answer_is_half_typed(page: Page, flower: Flower, token, brief: int):
    asked = [
        flower.call(token, "brief_ask", brief=brief, question=f"{words}?", options=["yes", "no"])["question"]
        for words in ("First", "Second", "Third")
    ]
    cards = [f"#question-{number}" for number in asked]
    look_at(page, brief)
    first = page.locator(cards[0]).get_by_role("textbox")
    first.fill("half an answer")
    page.locator(cards[1]).get_by_role("button", name="yes").click()
    expect(page.locator("#questions").locator(cards[1])).to_have_count(0)
    expect(first).to_have_value("half an answer")

    flower.call(token, "brief_answer", question=asked[0], answer="Done already.")
    left = page.locator("#questions .left-over")
    expect(left).to_contain_text("What you typed is still here")
    expect(first).to_have_value("half an answer")
    page.locator("#questions").locator(cards[0]).get_by_role("button", name="no").click()
    expect(page.locator("#messages")).to_contain_text("answered")
    expect(first).to_have_value("half an answer")
    left.get_by_role("button", name="discard it").click()
    expect(page.locator("#questions").locator(cards[0])).to_have_count(0)
    page.locator(cards[2]).get_by_role("button", name="yes").click()
    expect(page.locator("#questions")).to_be_hidden()


def test_a_link_goes_while_another_is_typed(page: Page, flower: Flower, token: str, brief: int):
    for name in "ab":
        flower.call(token, "brief_link", brief=brief, kind="url", target=f"https://example.org/{name}")
    look_at(page, brief)
    links = page.locator("#links")
    links.get_by_text("Add a link").click()
    links.get_by_label("What", exact=True).fill("https://exa")
    links.get_by_role("button", name="Remove the link to url https://example.org/a").click()
    expect(links.locator("li", has_text="example.org/a")).to_have_count(0)
    expect(links.locator("li", has_text="example.org/b")).to_be_visible()
    expect(links.get_by_label("What", exact=True)).to_have_value("https://exa")


def test_what_comes_into_the_panel_is_shown_while_the_spec_is_written(page: Page, flower: Flower, token, brief: int):
    look_at(page, brief)
    page.keyboard.press("p")
    text = page.get_by_label("Spec, in markdown")
    text.fill("one\n\ntwo, half typ")
    flower.call(token, "brief_propose_plan", brief=brief, plan="one\n\ntwo\n\nfour")
    plan = page.locator(".proposal")
    expect(plan).to_be_visible()
    plan.get_by_text("Refuse", exact=True).click()
    plan.get_by_role("button", name="Refuse the plan").click()
    expect(plan).to_have_count(0)
    expect(text).to_have_value("one\n\ntwo, half typ")
    flower.call(token, "brief_update_spec", brief=brief, spec="theirs", base_version=1)
    expect(page.locator("#spec-newer")).to_contain_text("operator:other saved v2")
    expect(text).to_have_value("one\n\ntwo, half typ")
    text.fill("one\n\ntwo\n\nthree")  # as it was: then it is what is saved now
    text.blur()
    flower.call(token, "brief_append", brief=brief, body="news")
    news_come(page, flower, token, brief)
    expect(text).to_have_value("theirs")
    expect(page.locator("#spec-newer")).to_have_count(0)
