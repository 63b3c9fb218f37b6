"""The main job, as a person does it: from a folder on disk to merged work, without reloading a page."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.system.running import Flower, until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def written(flower: Flower, kind: str, said: str) -> bool:
    rows = flower.rows("select body from briefs_traceentry where kind = ?", kind)
    return any(kind == "completed" or body == said for (body,) in rows)


def token_of(flower) -> str:
    """A token of another operator, by the command that people use."""
    (secret,) = flower.manage(["actor_token", "operator:other", "--kind", "operator"])
    flower.tokens.append(secret)
    return secret


def test_a_thought_becomes_merged_work(page: Page, flower: Flower, repository: Path):
    expect(page.get_by_role("heading", name="Begin with a project.")).to_be_visible()
    page.get_by_role("link", name="Add a project").click()
    page.get_by_label("Folder of the repository").fill(str(repository))
    page.get_by_label("Gates, one a line").fill("test -f README.md\ntest -f NOTES.md")
    page.get_by_role("button", name="Add project").click()
    expect(page.get_by_text("Project sample is here.")).to_be_visible()

    page.keyboard.press("c")
    page.keyboard.type("Write the notes")
    page.get_by_role("button", name="Capture c").click()
    page.get_by_role("link", name="#1 Write the notes").click()
    expect(page).to_have_title("#1 Write the notes · flower")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    stay = page.evaluate("window.stay = Math.random()")

    page.get_by_text("Write the spec").click()
    page.get_by_label("Spec, in markdown").fill("- say what is here\n- say **why**")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#spec .prose strong")).to_have_text("why")

    page.get_by_label("Add a note").fill("half a note, unsent, that nothing may take away")
    page.get_by_label("Agent", exact=True).select_option("demo")
    page.locator("#head").get_by_role("button", name="Dispatch").click()
    head = page.locator("#head .pill").first
    for kind, said in (("progress", "First commit made."), ("completed", "work completed")):
        # The agent takes its time on a busy machine; once it has spoken, the page must show it soon, without the
        # heartbeat that would repair a lost hint after 25 s.
        until(lambda kind=kind, said=said: written(flower, kind, said), f"the agent says '{said}'", 120)
        expect(page.locator(".entry", has_text=said)).to_be_visible(timeout=10_000)
    expect(head).to_have_text("in review")
    expect(page.locator(".requests .pill")).to_have_text("finished")
    expect(page.get_by_label("Add a note")).to_have_value("half a note, unsent, that nothing may take away")
    assert page.evaluate("window.stay") == stay, "the page was not reloaded"
    numbers = page.eval_on_selector_all("#trace [data-seq]", "entries => entries.map(entry => +entry.dataset.seq)")
    assert numbers == list(range(len(numbers), 0, -1)), "no gap, no duplicate"

    page.get_by_label("Add a note").fill("")
    expect(page.locator("#review")).to_contain_text("NOTES.md")
    page.get_by_role("link", name="Review changes").click()
    expect(page.locator(".diff")).to_contain_text("say **why**")
    expect(page.get_by_text("Note the plan")).to_be_visible()
    page.locator("#live").get_by_role("button", name="Merge").click()
    expect(page.locator("#live .head .pill").first).to_have_text("done", timeout=40_000)
    expect(page.locator(".pill.passed")).to_have_count(2)
    page.get_by_role("link", name="Write the notes").click()
    expect(head).to_have_text("complete")
    log = subprocess.run(
        ["git", "log", "--format=%s", "main"], cwd=repository, capture_output=True, text=True, check=True
    )
    assert "Note the plan" in log.stdout and "Merge #1: Write the notes" in log.stdout


def test_the_board_of_somebody_else_shows_it_without_a_reload(page: Page, flower, repository: Path):
    if not flower.rows("select 1 from briefs_project"):
        flower.manage(["project_add", str(repository), "--slug", "sample"])
    page.goto("/briefs/")
    page.get_by_label("Capture a thought").fill("half typed")
    token = token_of(flower)
    made = flower.call(token, "brief_create", body="Made by somebody else", project="sample")
    row = page.locator(f"#brief-{made['brief']}")
    expect(row).to_be_visible()
    flower.call(token, "brief_update_status", brief=made["brief"], status="planned")
    expect(page.get_by_label("planned").locator(f"#brief-{made['brief']}")).to_be_visible()
    expect(page.get_by_label("Capture a thought")).to_have_value("half typed")


def test_a_stale_spec_is_refused_beside_what_was_typed(page: Page, flower):
    token = token_of(flower)
    number = flower.call(token, "brief_create", body="Two people at once", spec="first")["brief"]
    page.goto(f"/briefs/{number}/")
    page.locator("#spec-edit").get_by_text("edit", exact=True).click()
    page.get_by_label("Spec, in markdown").fill("mine")
    flower.call(token, "brief_update_spec", brief=number, spec="theirs", base_version=1)
    expect(page.locator(".entry", has_text="spec snapshot")).to_be_visible()
    expect(page.get_by_label("Spec, in markdown")).to_have_value("mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Somebody else changed the spec")
    expect(page.get_by_label("Spec, in markdown")).to_have_value("mine")
    page.get_by_role("button", name="Save mine on top of v2").click()
    expect(page.locator("#spec .prose")).to_have_text("mine")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1360])
def test_no_page_is_wider_than_the_window(page: Page, flower, scheme, width):
    token = token_of(flower)
    long = "averyveryverylongwordwithoutanyplacetobreakit" * 4
    number = flower.call(
        token, "brief_create", body=f"{long}\n\n`{long}`", spec=f"```\n{long}\n```\n| a | b |\n|-|-|\n| {long} | x |"
    )["brief"]
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    for address in ("/briefs/", f"/briefs/{number}/", "/projects/", "/dispatches/", "/worktrees/", "/nothing/"):
        page.goto(address)
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
