"""The segment page under somebody's hands: folding, keys, editing in place, one click, and what changes meanwhile."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Faults
from tests.e2e.test_accessibility import axe, violations  # noqa: F401 - a fixture
from tests.system.running import Flower

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# What the tests need of the database, run where flower runs: prints the session's number, then its segments'.
MAKE = """
from datetime import timedelta
from django.utils import timezone
from briefs.models import Actor, Project
from briefs.services import briefs
from tests.transcripts import stored
from tests.transcripts.building import Log
from transcripts.models import Segment
count = {count}
log = Log()
for number in range(count):
    log.ask(f"Do part {{number + 1}}").say("I will.").edit(f"src/f{{number}}.py").say(f"Did part {{number + 1}}.")
brief = briefs.capture("The main thing", actor=Actor.objects.filter(kind="operator").first())
session = stored.session(log, prompts=count, title="{title}", brief=brief)
start = timezone.now() - timedelta(hours=3)
line = lambda text, event: dict(text=text, event=event)
for n in range(1, count + 1):
    Segment.objects.create(
        session=session, key=f"k{{4 * n - 3}}", position=n, first=5 * n - 4, last=5 * n, first_line=5 * n - 4,
        last_line=5 * n, title=f"Part {{n}}", summary=f"Part {{n}} was done. " * 4, started_at=start,
        ended_at=start + timedelta(minutes=n), phase=("plan", "edit", "test", "vcs")[n % 4], is_settled=True, prompts=1,
        outcome=line(f"Outcome {{n}}", 5 * n), next_steps=[line(f"Next of {{n}}", 5 * n)],
        open_questions=[line("Why?", 5 * n)] if n == 1 else [],
    )
session.outlined = session.events  # what the running system need not do
session.save()
print(session.pk, *session.segments.order_by("position").values_list("pk", flat=True))
"""
DO = """
from briefs.models import Actor
from briefs.services import actors
from transcripts.models import Segment, Session
from transcripts.services import outlines
actor = actors.named("operator:other", Actor.Kind.OPERATOR)
row = lambda pk: Segment.objects.select_related("session").get(pk=pk)
{what}
"""


class Made:
    """A session in the running system, and somebody else who works on it."""

    def __init__(self, flower: Flower, count: int, title: str) -> None:
        self.flower = flower
        (said,) = flower.manage(["shell", "-v", "0", "-c", MAKE.format(count=count, title=title)])
        self.number, *self.segments = map(int, said.split())

    @property
    def page(self) -> str:
        return f"/sessions/{self.number}/segments/"

    def do(self, *what: str) -> None:
        self.flower.manage(["shell", "-v", "0", "-c", DO.format(what="\n".join(what))])

    def segment(self, page: Page, position: int):
        return page.locator(f'[data-segment="{self.segments[position - 1]}"]')


@pytest.fixture
def made(flower: Flower) -> Made:
    return Made(flower, 4, "Four parts")


def visit(page: Page, made: Made, query: str = "") -> None:
    page.goto(made.page + query)
    expect(page.locator("#review")).to_have_attribute("data-following", "")  # from now on nothing is missed


def test_a_field_is_edited_where_it_stands(page: Page, made: Made):
    visit(page, made)
    first = made.segment(page, 1)
    first.get_by_role("link", name="rename").click()
    field = page.get_by_label("Title")
    expect(field).to_be_focused()
    expect(field).to_have_value("Part 1")
    field.fill("")
    page.keyboard.press("Enter")
    expect(first.get_by_role("alert")).to_contain_text("needs a title")
    field.fill("A better name")
    page.keyboard.press("Enter")
    expect(first.locator("h2")).to_contain_text("A better name")
    expect(first.locator("form")).to_have_count(0)
    expect(page.locator("#segments-head h1")).to_contain_text("Four parts")
    expect(page).to_have_url(re.compile(rf"{made.page}$"))
    first.get_by_role("button", name="undo title").click()
    expect(first.locator("h2")).to_contain_text("Part 1")


def test_lines_are_edited_and_keep_their_evidence(page: Page, made: Made):
    visit(page, made)
    second = made.segment(page, 2)
    second.get_by_role("link", name="edit next steps").click()
    page.get_by_label("Next steps").press("Control+End")
    page.keyboard.type("\nAnd another")
    page.keyboard.press("Control+Enter")
    steps = second.locator('[data-part="next_steps"]')
    expect(steps.locator("li")).to_have_count(2)
    expect(steps.locator("li").first).to_contain_text("e10")
    expect(steps.locator("h3")).to_contain_text("edited")


def test_escape_and_cancel_put_everything_back(page: Page, made: Made):
    visit(page, made)
    first = made.segment(page, 1)
    first.get_by_role("link", name="comment").click()
    page.get_by_label("Comment").fill("half")
    page.keyboard.press("Escape")
    expect(first.locator("form")).to_have_count(0)
    expect(first.get_by_role("link", name="comment")).to_be_focused()
    first.get_by_role("link", name="status", exact=True).click()
    first.get_by_role("link", name="Cancel").click()
    expect(first.locator("form")).to_have_count(0)


def test_a_next_step_becomes_a_brief_in_one_click_and_not_twice(page: Page, made: Made):
    visit(page, made)
    step = made.segment(page, 2).locator('[data-part="next_steps"]')
    step.get_by_role("button", name="→ brief").click()
    expect(step.locator("a.made")).to_have_text(re.compile(r"→ #\d+"))
    expect(step.get_by_role("button")).to_have_count(0)
    asked = made.segment(page, 1).locator('[data-part="open_questions"]')
    asked.get_by_role("button", name="→ question").click()
    expect(asked.locator("a.made")).to_contain_text("asked on #")
    step.locator("a.made").click()
    expect(page).to_have_title(re.compile("Next of 2"))


def test_by_keys_alone(page: Page, made: Made):
    visit(page, made)
    page.keyboard.press("j")
    expect(made.segment(page, 1).locator("summary").first).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("o")
    expect(made.segment(page, 2)).not_to_have_attribute("open", "")
    page.keyboard.press("Enter")
    expect(made.segment(page, 2)).to_have_attribute("open", "")
    page.keyboard.press("r")
    expect(made.segment(page, 2)).not_to_have_attribute("open", "")
    expect(made.segment(page, 2).locator("h2")).to_contain_text("reviewed")
    expect(made.segment(page, 3).locator("summary").first).to_be_focused()
    page.keyboard.press("e")
    expect(page.get_by_label("Title")).to_be_focused()
    page.keyboard.type("jjjr?")
    expect(page.get_by_label("Title")).to_have_value("jjjr?")
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    expect(made.segment(page, 2).locator("summary").first).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_contain_text("next, previous segment")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.locator("details.seg[open]")).to_have_count(4)
    page.keyboard.press("u")
    expect(page.locator("details.seg[open]")).to_have_count(0)


def test_a_band_leads_to_its_segment_and_unfolds_it(page: Page, flower: Flower):
    made = Made(flower, 16, "Sixteen parts")
    visit(page, made)
    expect(made.segment(page, 7)).to_be_hidden()
    page.locator("[data-band]").first.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(made.segment(page, 7).locator(".body")).to_be_in_viewport()
    expect(page).to_have_url(re.compile("#segment-7$"))
    page.goto(f"{made.page}#segment-9")
    page.reload()
    expect(made.segment(page, 9).locator(".body")).to_be_in_viewport()


def test_what_others_do_arrives_and_nothing_moves_under_the_hand(page: Page, made: Made):
    visit(page, made)
    made.segment(page, 3).get_by_role("link", name="comment").click()
    page.get_by_label("Comment").fill("half typed")
    place = page.get_by_label("Comment").bounding_box()
    assert place
    with page.expect_response(re.compile(r"segments/\?have=")) as asked:
        made.do(
            f"outlines.edit(row({made.segments[0]}), 'summary', 'A much longer text. ' * 60, actor=actor)",
        )
    assert asked.value.text().count("data-revision") == 2, "only what changed: the list itself, and one segment"
    expect(made.segment(page, 1)).to_contain_text("A much longer text.")
    expect(page.get_by_label("Comment")).to_be_focused()
    expect(page.get_by_label("Comment")).to_have_value("half typed")
    now = page.get_by_label("Comment").bounding_box()
    assert now and abs(now["y"] - place["y"]) < 3


def test_a_segment_with_an_open_form_is_told_and_not_replaced(page: Page, made: Made):
    visit(page, made)
    second = made.segment(page, 2)
    second.get_by_role("link", name="edit the summary").click()
    page.get_by_label("Summary").fill("My own words")
    made.do(f"outlines.edit(row({made.segments[1]}), 'summary', 'Their words', actor=actor)")
    expect(second.get_by_role("status")).to_contain_text("changed meanwhile")
    expect(page.get_by_label("Summary")).to_have_value("My own words")
    second.get_by_role("button", name="Save").click()
    expect(second.get_by_role("alert")).to_contain_text("changed meanwhile by operator:other")
    expect(second.get_by_role("alert")).to_contain_text("Their words")
    second.get_by_role("button", name="Save").click()
    expect(second.locator(".prose").first).to_have_text("My own words")


def test_merging_and_new_order_come_without_a_reload(page: Page, made: Made):
    visit(page, made)
    made.segment(page, 4).locator("summary").first.click()  # folded by hand: stays so
    page.evaluate("window.stays = true")
    made.do(f"outlines.merge(row({made.segments[1]}), actor=actor)")
    expect(page.locator("[data-segment]")).to_have_count(3)
    expect(page.locator("#segment-3 .n")).to_have_text("3/3")
    expect(page.locator("[data-band]")).to_have_count(3)
    assert made.segment(page, 4).get_attribute("id") == "segment-3"
    expect(made.segment(page, 4)).not_to_have_attribute("open", "")
    made.do(f"outlines.split(row({made.segments[1]}), 11, actor=actor)")
    expect(page.locator("[data-segment]")).to_have_count(4)
    assert page.evaluate("[...document.querySelectorAll('#segments [data-segment]')].map(one => one.id)") == [
        f"segment-{number}" for number in range(1, 5)
    ]
    assert page.evaluate("window.stays")


def test_what_was_missed_while_away_is_asked_for(page: Page, made: Made, faults: Faults):
    page.add_init_script(
        "const Real = WebSocket; window.sockets = [];"
        "window.WebSocket = class extends Real { constructor(...all) { super(...all); window.sockets.push(this) } }"
    )
    visit(page, made)
    page.context.set_offline(True)
    page.evaluate("window.sockets.forEach(socket => socket.close())")
    made.do(f"outlines.edit(row({made.segments[2]}), 'title', 'While you were away', actor=actor)")
    page.context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(made.segment(page, 3).locator("h2")).to_contain_text("While you were away")
    faults[:] = [one for one in faults if "WebSocket" not in one]  # it could not connect, and said so


def test_it_works_without_a_script(flower: Flower, enter, made: Made):
    page = enter(java_script_enabled=False)
    page.goto(made.page)
    made.segment(page, 1).get_by_role("link", name="rename").click()
    page.get_by_label("Title").fill("By form alone")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#segment-1 h2")).to_contain_text("By form alone")
    made.segment(page, 1).get_by_role("button", name="mark reviewed").click()
    expect(page.locator("#segments-head")).to_contain_text("1 of 4 reviewed")
    made.segment(page, 2).get_by_role("button", name="→ brief").click()
    expect(made.segment(page, 2).locator("a.made")).to_be_visible()
    made.segment(page, 3).get_by_role("link", name="split").click()
    page.get_by_role("radio").first.check()
    page.get_by_role("button", name="Split").click()
    expect(page.locator("details.seg")).to_have_count(5)
    page.get_by_role("link", name="fold all", exact=True).click()
    expect(page.locator("details.seg[open]")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(flower: Flower, enter, scheme: str):
    made = Made(flower, 16, "Sixteen parts with a long title that has to be broken somewhere on a phone")
    page = enter(viewport={"width": 380, "height": 800}, has_touch=True, color_scheme=scheme)
    page.goto(made.page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.locator("[data-band]").nth(5).tap()
    expect(made.segment(page, 6).locator(".body")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 380


def test_two_hundred_segments_stay_quick(page: Page, flower: Flower, faults: Faults):
    made = Made(flower, 200, "Two hundred parts")
    visit(page, made)
    assert page.locator("[data-band]").count() == 200
    took = page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert took < 10_000
    order = "[...document.querySelectorAll('[data-segment]')].map(one => one.dataset.segment).join()"
    before = page.evaluate(order)
    with page.expect_response(re.compile(r"segments/\?have=")) as asked:
        made.do(f"outlines.edit(row({made.segments[99]}), 'title', 'Renamed meanwhile', actor=actor)")
    assert len(asked.value.url) < 400, "what the page has is said in ranges"
    assert asked.value.text().count("data-revision") == 2, "the list itself, and one segment"
    expect(made.segment(page, 100)).to_contain_text("Renamed meanwhile")
    assert page.evaluate(order) == before
    expect(made.segment(page, 200).locator(".n")).to_have_text("200/200")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 380)])
def test_it_has_no_serious_fault_for_anybody(page: Page, made: Made, axe, scheme, width):  # noqa: F811
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    failing = {"text": "Tests failed when last run: `pytest`.", "event": 15, "source": "fact", "reason": "failing"}
    made.do(f"Segment.objects.filter(pk={made.segments[2]}).update(status='partial', next_steps=[{failing}])")
    told = [
        {"text": "Part 2 was asked for. …", "event": 6, "source": "quote", "reason": "the prompt that began it"},
        {"text": "Edited `f1.py`.", "event": 8, "source": "fact", "reason": "edited"},
    ]
    told = {"title": [told[0] | {"text": "Part 2"}], "summary": told, "outcome": told}
    made.do(f"Segment.objects.filter(pk={made.segments[1]}).update(sentences={told})")
    visit(page, made)
    expect(made.segment(page, 3).locator(".because")).to_have_text("Tests failing e15")
    second = made.segment(page, 2)
    expect(second.locator("blockquote.from-quote")).to_contain_text("Part 2 was asked for. … e6")
    expect(second.locator(".lines li.from-fact")).to_contain_text("Edited f1.py. e8")
    second.locator(".why-title > summary").click()
    expect(second.locator(".why-title")).to_contain_text("Quoted from event 6: the prompt that began it e6")
    if width < 700:
        second.locator(".edits > summary").click()
    for name in ("rename", "edit next steps", "split"):
        made.segment(page, 2).get_by_role("link", name=name, exact=True).click()
    expect(made.segment(page, 2).locator("form")).to_have_count(3)
    faults = violations(page, axe)
    assert not faults, "\n".join(faults)


def test_the_page_fills_while_one_looks_on(page: Page, made: Made):
    made.do(f"Segment.objects.filter(session={made.number}).delete()")
    visit(page, made)
    expect(page.locator("#segments")).to_contain_text("no outline yet")
    page.evaluate("window.stays = true")
    made.do("from transcripts.services import outlining", f"outlining.refresh({made.number})")
    expect(page.locator("[data-segment]").first).to_be_visible()
    expect(page.locator("#segments")).not_to_contain_text("no outline yet")
    expect(page.locator("[data-band]").first).to_be_visible()
    assert page.evaluate("window.stays")


def test_a_run_that_forms_takes_nothing_out_of_sight(page: Page, made: Made):
    visit(page, made)
    made.do(
        "from core import live",
        f"session = Session.objects.get(pk={made.number})",
        "for n in range(5, 13):",
        "    Segment.objects.create(session=session, key=f'x{n}', position=n, first=5 * n - 4, last=5 * n,"
        " first_line=1, last_line=1, title=f'Part {n}', is_settled=True)",
        "session.outline_revision += 1",
        "session.save()",
        "live.publish(live.session_group(session.pk), 'outline.changed', session=session.pk,"
        " revision=session.outline_revision, segments=[], order=[])",
    )
    expect(page.locator("[data-segment]")).to_have_count(12)
    expect(page.locator("[data-run]")).to_have_attribute("open", "")
    expect(made.segment(page, 4).locator(".body")).to_be_visible()
    page.locator("[data-run] > summary").click()
    expect(made.segment(page, 4)).to_be_hidden()
    page.reload()
    expect(page.locator("[data-run]")).not_to_have_attribute("open", "")


def test_on_a_phone_what_is_empty_is_one_line_and_edits_are_behind_one_word(page: Page, made: Made):
    page.set_viewport_size({"width": 380, "height": 800})
    visit(page, made)
    second = made.segment(page, 2)
    expect(second.locator('[data-part="key_decisions"]')).to_be_hidden()
    expect(second.locator(".nothing")).to_have_text("No key decisions, open questions.")
    expect(second.get_by_role("link", name="edit next steps")).to_be_hidden()
    expect(second.get_by_role("link", name="split")).to_be_hidden()
    expect(second.get_by_role("button", name="mark reviewed")).to_be_visible()
    second.locator(".edits > summary").click()
    expect(second.get_by_role("link", name="edit next steps")).to_be_visible()
    expect(second.get_by_role("link", name="split")).to_be_visible()
    second.locator(".nothing").get_by_role("link", name="open questions").click()
    field = page.get_by_label("Open questions")
    expect(field).to_be_focused()
    field.fill("Is it global?")
    page.keyboard.press("Control+Enter")
    expect(second.locator('[data-part="open_questions"]')).to_contain_text("Is it global?")
    expect(second.locator(".nothing")).to_have_text("No key decisions.")
    expect(second.get_by_role("link", name="split")).to_be_visible()
    page.goto("/sessions/")
    for field in page.locator(".filters :is(input, select):visible").all():
        box = field.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= 380


def test_a_merge_is_undone_where_it_was_made(page: Page, made: Made):
    visit(page, made)
    made.do(f"outlines.edit(row({made.segments[1]}), 'summary', 'Their words', actor=actor)")
    first = made.segment(page, 1)
    first.get_by_role("button", name="merge with next").click()
    made.do(f"outlines.edit(row({made.segments[0]}), 'summary', 'Ours', actor=actor)")  # made anew while one is asked
    expect(first).to_contain_text("Ours")
    page.get_by_role("dialog").get_by_role("button", name="merge with next").click()
    expect(first).to_contain_text("Their words")
    expect(page.locator("[data-segment]")).to_have_count(3)
    first.get_by_role("button", name="undo the merge").click()
    expect(page.locator("[data-segment]")).to_have_count(4)
    expect(made.segment(page, 2)).to_contain_text("Their words")
    expect(first).not_to_contain_text("Their words")
