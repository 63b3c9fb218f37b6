"""The transcript in a browser: it grows while one reads, stays where one is, is searched and walked by keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_accessibility import axe, violations  # noqa: F401 - a fixture
from tests.system.running import Flower, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)
NUMBERS = "[...document.querySelectorAll('#events [data-number]')].map(event => +event.dataset.number)"

EMPTY = """
from transcripts.models import Session
print(Session.objects.create(program="claude", session_id="fills-from-nothing").pk)
"""


class Writer:
    """Writes a session's log as Claude Code does, and has it read."""

    def __init__(self, flower: Flower, path: Path) -> None:
        self.flower, self.path, self.count = flower, path, 0

    def write(self, role: str, content: Any) -> None:
        self.count += 1
        at = f"2026-11-01T{self.count // 3600 % 24:02}:{self.count // 60 % 60:02}:{self.count % 60:02}.000Z"
        record = {
            "type": role, "uuid": f"00000000-0000-4000-8000-{self.count:012}", "sessionId": self.path.stem,
            "cwd": "/w", "gitBranch": "main", "version": "2.1.0", "timestamp": at,
            "message": {"role": role, "content": content, **({"id": f"m{self.count}"} if role == "assistant" else {})},
        }  # fmt: skip
        with self.path.open("a") as log:
            log.write(json.dumps(record) + "\n")

    def say(self, text: str) -> None:
        self.write("assistant", [{"type": "text", "text": text}])

    def run(self, command: str, output: str, *, is_error: bool = False) -> None:
        """Three events: what it says, the call, the result."""
        self.say(f"Now {command}.")
        call = f"t{self.count}"
        self.write("assistant", [{"type": "tool_use", "id": call, "name": "Bash", "input": {"command": command}}])
        self.write("user", [{"type": "tool_result", "tool_use_id": call, "content": output, "is_error": is_error}])

    def read(self) -> int:
        (line,) = self.flower.manage(["ingest_transcripts", str(self.path)])
        return int(json.loads(line)["session"])


@pytest.fixture
def writer(flower: Flower, tmp_path: Path) -> Iterator[Callable[[str], Writer]]:
    return lambda name: Writer(flower, tmp_path / f"{name}.jsonl")


@pytest.fixture
def long(writer) -> int:
    made = writer("long-session")
    made.write("user", "Do a hundred things")
    for number in range(100):
        made.run(f"make part-{number}", f"part {number} is made\nin two lines", is_error=number == 40)
    return made.read()


def test_it_grows_while_one_reads(page: Page, writer):
    made = writer("grows")
    made.write("user", "Begin")
    for number in range(12):
        made.run(f"step-{number}", "ok")
    number = made.read()
    page.goto(f"/sessions/{number}/?end=1")
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    made.run("the next step", "and its output")
    made.read()
    call = page.locator(".event.call", has_text="the next step")
    expect(call.locator(".answers .result")).to_contain_text("and its output")
    until(lambda: page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 80"), 5)
    expect(page.locator(".grew")).to_be_hidden()

    page.evaluate("scrollTo(0, 0)")
    for step in ("one more", "and another"):
        made.run(step, "done", is_error=step == "and another")
        made.read()
    expect(page.locator(".event.call", has_text="and another")).to_have_class("event call failed")
    assert page.evaluate("scrollY") == 0, "who reads further up stays there"
    assert sorted(page.evaluate(NUMBERS)) == list(range(1, 1 + 3 * 15 + 1))
    page.get_by_role("button", name="new events below").click()
    expect(page.locator(".grew")).to_be_hidden()


def test_what_stands_around_the_events_follows_too(page: Page, writer):
    """Counts, the outline beside, the titles between the events and their states; also when the log was cut."""
    made = writer("around")
    made.write("user", "Write the release notes of version nine")
    made.run("git log", "nothing")
    number = made.read()
    page.goto(f"/sessions/{number}/")
    head, chapter = page.locator("#transcript-head"), page.locator(".chapter").first
    expect(head).to_contain_text("4 events")
    expect(chapter.locator(".pill")).to_have_text("left unfinished")  # its times are of long ago
    page.get_by_role("searchbox").fill("half typed")
    made.run("git show", "nothing", is_error=True)
    made.say("The release notes of version nine are written.")
    made.read()
    expect(head).to_contain_text("8 events")
    expect(head).to_contain_text("1 error")
    expect(chapter.locator(".pill")).to_have_text("done")
    expect(page.locator(".jump .state")).to_have_class("state done")
    expect(page.get_by_role("searchbox")).to_have_value("half typed")

    lines = made.path.read_text().splitlines(keepends=True)
    made.path.write_text("".join(lines[:3]))
    made.read()
    expect(head).to_contain_text("3 events")
    expect(page.locator(".chapter .pill")).to_have_text(["left unfinished"])
    made.path.write_text("".join(lines))
    made.read()
    expect(head).to_contain_text("8 events")
    expect(page.locator(".jump .words")).to_have_count(page.locator(".chapter").count())


def test_an_empty_session_fills_while_one_looks_on(page: Page, writer, flower: Flower):
    (number,) = flower.manage(["shell", "-v", "0", "-c", EMPTY])
    page.goto(f"/sessions/{number}/")
    expect(page.locator("[data-blank]")).to_be_visible()
    made = writer("fills-from-nothing")
    made.write("user", "Begin")
    assert made.read() == int(number)
    expect(page.locator("#e1")).to_be_visible()
    expect(page.locator("[data-blank]")).to_have_count(0)


def test_earlier_and_later_are_loaded_where_one_is(page: Page, long: int):
    page.goto(f"/sessions/{long}/?event=150#e150")
    assert page.evaluate(NUMBERS)[0] <= 138
    before = page.locator("#e150").bounding_box()
    assert before and 60 < before["y"] < 300, "it is in sight, below the bar and the title"
    page.get_by_role("link", name="load later").click()
    expect(page.locator("#e300")).to_be_attached()
    page.get_by_role("link", name="load earlier").click()
    expect(page.locator("#e50")).to_be_attached()
    found = sorted(page.evaluate(NUMBERS))
    assert found == list(range(found[0], found[-1] + 1))
    assert page.locator(".chapter.continued").count() <= 1


def test_search_walks_from_hit_to_hit(page: Page, long: int):
    page.goto(f"/sessions/{long}/")
    page.keyboard.press("/")
    page.keyboard.type("part 7")
    page.keyboard.press("Enter")
    expect(page.locator(".hits li")).to_have_count(11)
    page.locator(".hits a").nth(0).click()
    expect(page.locator(".hits [aria-current]")).to_have_count(1)
    page.locator("#found").get_by_role("button", name="Next").click()
    page.wait_for_url("**event=2*")
    assert page.locator(f"#e{page.url.rpartition('#e')[2]}").is_visible()
    page.wait_for_load_state()
    expect(page.locator("input[name=q]")).to_have_value("part 7")


def test_errors_are_seen_and_calls_unfold(page: Page, long: int):
    page.goto(f"/sessions/{long}/?event=122")
    failed = page.locator(".event.call.failed")
    expect(failed.locator(".result.bad pre")).to_be_visible()
    other = page.locator(".event.call", has_text="make part-41").first
    expect(other.locator("pre").first).to_be_hidden()
    other.locator("summary").first.click()
    expect(other.locator("pre", has_text="make part-41")).to_be_visible()


@pytest.mark.parametrize("width", [1360, 380])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(page: Page, long: int, axe: str, width: int, scheme: Any):  # noqa: F811
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for address in ("/sessions/", f"/sessions/{long}/", f"/sessions/{long}/?q=part&event=122"):
        page.goto(address)
        page.evaluate("for (const fold of document.querySelectorAll('#events details')) fold.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page, axe) == []


def test_it_is_read_without_a_script(chromium, flower: Flower, page: Page, long: int):
    context = chromium.new_context(
        base_url=flower.url, java_script_enabled=False, storage_state=page.context.storage_state()
    )
    plain = context.new_page()
    plain.goto(f"/sessions/{long}/")
    plain.get_by_role("link", name="load later").click()
    expect(plain.locator("#e101")).to_be_visible()
    plain.get_by_role("searchbox").fill("part 99")
    plain.get_by_role("button", name="Search").click()
    plain.locator(".hits a").first.click()
    expect(plain.locator(":target")).to_be_visible()
    context.close()
