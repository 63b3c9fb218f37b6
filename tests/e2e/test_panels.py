"""Each of the nine panels of a brief, driven once, live: what one does there, and what it then shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.factories import make_repository
from tests.system.running import Flower

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def tokens(flower: Flower, repository: Path, tmp_path_factory) -> tuple[str, str]:
    """An operator's and an agent's; and two projects."""
    other = make_repository(tmp_path_factory.mktemp("further") / "site")
    *_, operator, agent = flower.manage(
        ["project_add", str(repository), "--slug", "sample"],
        ["project_add", str(other), "--slug", "site"],
        ["actor_token", "operator:other", "--kind", "operator"],
        ["actor_token", "builder"],
    )
    flower.tokens += [operator, agent]
    return operator, agent


@pytest.fixture
def brief(flower: Flower, tokens) -> int:
    return int(flower.call(tokens[0], "brief_create", body="Nine panels", project="sample", spec="Do it.")["brief"])


@pytest.fixture
def at(page: Page, brief: int) -> Page:
    page.goto(f"/briefs/{brief}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    return page


def test_every_panel_is_there_and_says_its_kicker(at: Page, flower: Flower, tokens, brief: int):
    flower.call(tokens[0], "brief_ask", brief=brief, question="Which?")
    expect(at.get_by_role("heading", name="Open questions")).to_be_visible()
    kickers = {
        "Spec": "canonical · plan",
        "Open questions": "async · awaiting you",
        "Dispatch": "hand-off · dispatch",
        "Trace": "provenance · append-only",
        "Relationships": "epic · dependencies",
        "Participants": "agents · waves",
        "Links": "trace · graph",
        "Projects": "scope",
        "Agent’s-eye view": "dogfood · read-only",
    }
    for heading, kicker in kickers.items():
        panel = at.get_by_role("region", name=re.compile(f"^{heading}"))
        expect(panel.locator(".kicker").first).to_have_text(kicker)
        expect(panel.get_by_role("heading", level=2)).to_be_visible()


def test_projects_one_is_concerned_another_primary(at: Page):
    scope = at.locator("#scope")
    scope.get_by_text("Change").click()
    scope.get_by_label("Project").select_option("site")
    scope.get_by_role("button", name="It concerns it too").click()
    expect(scope.locator("li", has_text="site")).to_contain_text("concerned")
    expect(at.locator("#head").get_by_role("link", name="site")).to_be_visible()
    scope.locator("li", has_text="site").hover()
    scope.get_by_role("button", name="site is not concerned").click()
    expect(scope.locator("li", has_text="site")).to_have_count(0)
    if not scope.get_by_label("Project").is_visible():
        scope.get_by_text("Change").click()
    scope.get_by_label("Project").select_option("site")
    scope.get_by_role("button", name="Make it primary").click()
    expect(scope.locator("li").first).to_contain_text("site")
    expect(scope.locator("li").first).to_contain_text("primary")
    expect(at.locator("#head").get_by_role("link", name="site")).to_be_visible()


def test_participants_and_dispatch_follow_an_agent_that_claims(at: Page, flower: Flower, tokens, brief: int):
    operator, agent = tokens
    people = at.locator("#participants")
    expect(people.locator("li")).to_have_count(1)
    expect(at.locator("#dispatch")).to_contain_text("No dispatch requests yet — dispatch above")
    at.locator("#dispatch-kind").select_option("direct")
    at.get_by_label("Agent", exact=True).select_option("")
    at.locator("#dispatch-form").get_by_role("button", name="Dispatch").click()
    expect(at.locator(".requests .pill")).to_have_text("queued")
    claim = flower.call(agent, "brief_claim", brief=brief)
    builder = people.locator("li", has_text="builder")
    expect(builder).to_contain_text("participant · active")
    expect(builder).to_contain_text(re.compile(r"wave 1 · since \d\d:\d\d"))
    expect(at.locator("#head .pill").first).to_have_text("in progress")
    expect(at.locator("#dispatch .out")).to_contain_text("direct")
    flower.call(agent, "brief_dispatch_progress", note="Half of it is done.", fence=claim["fence"])
    expect(at.locator("#head .doing")).to_contain_text("Half of it is done.")
    flower.call(operator, "brief_dispatch_cancel", dispatch=claim["dispatch"], why="enough")
    expect(at.locator(".requests .pill")).to_have_text("cancelled")


def test_switches_follow_while_something_is_chosen_beside_them(at: Page, flower: Flower, tokens, brief: int):
    agent, switch = at.get_by_label("Agent", exact=True), at.locator("#auto-dispatch")
    agent.select_option("")
    for on in ("true", "false", "true"):
        switch.click()
        expect(switch).to_have_attribute("aria-checked", on)
        expect(agent).to_have_value("")
    at.locator("#dispatch-more > summary").click()
    at.get_by_label("Branch").fill("half/a-branch")
    flower.call(tokens[0], "brief_link", brief=brief, kind="url", target="https://example.org/news")
    expect(at.locator("#links").get_by_role("link", name="https://example.org/news")).to_be_visible()
    expect(at.locator("#dispatch-more")).to_have_attribute("open", "")
    expect(at.get_by_label("Branch")).to_have_value("half/a-branch")


def test_no_agent_gets_a_spec_that_is_about_to_change(at: Page, flower: Flower, tokens, brief: int):
    go, question = at.locator("#head .acts").get_by_role("button", name="Dispatch"), at.get_by_role("dialog")
    expect(go).to_have_text("Dispatch · demo")
    at.get_by_label("Agent", exact=True).select_option("")
    expect(go).to_have_text("Dispatch")
    at.keyboard.press("p")
    at.get_by_label("Spec, in markdown").fill("Do it better.")
    go.click()
    expect(question).to_contain_text("The spec has changes that are not saved.")
    at.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(at.get_by_label("Spec, in markdown")).to_have_value("Do it better.")
    at.locator("#dispatch-form").get_by_role("button", name="Dispatch").click()
    question.get_by_role("button", name="Save the spec first").click()
    expect(at.locator(".requests .pill")).to_have_text("queued")
    (packet,) = flower.rows("select packet from dispatch_dispatchrequest where brief_id = ?", brief)[0]
    assert "Do it better." in packet
    expect(at.locator("#spec > .prose")).to_contain_text("Do it better.")


def test_an_agent_is_sent_off_without_what_is_not_saved(at: Page, flower: Flower, tokens, brief: int):
    at.get_by_label("Agent", exact=True).select_option("")
    at.keyboard.press("p")
    at.get_by_label("Spec, in markdown").fill("Do it better.")
    at.locator("#head .acts").get_by_role("button", name="Dispatch").click()
    at.get_by_role("button", name="Dispatch without it").click()
    expect(at.locator(".requests .pill")).to_have_text("queued")
    expect(at.get_by_label("Spec, in markdown")).to_have_value("Do it better.")
    flower.call(tokens[0], "brief_update_spec", brief=brief, spec="Do it else.", base_version=1)
    expect(at.locator("#spec-newer")).to_contain_text("operator:other saved v2")
    expect(at.locator("#spec-newer").get_by_role("link", name="compare")).to_have_attribute(
        "href", f"/briefs/{brief}/spec/versions/?old=1&new=2"
    )
    at.get_by_role("button", name="Save", exact=True).click()
    expect(at.locator("#spec").get_by_role("alert")).to_contain_text("Somebody else changed the spec")
    at.get_by_role("button", name="Save mine on top of v2").click()
    expect(at.locator("#spec > .prose")).to_have_text("Do it better.")
    expect(at.locator("#spec-newer")).to_have_count(0)


def test_the_epic_is_set_and_left_in_a_field_that_can_be_read(at: Page, flower: Flower, tokens):
    epic = flower.call(tokens[0], "brief_create", body="The whole of it", project="sample")["brief"]
    related = at.locator("#relationships")
    related.get_by_text("Relate or merge").click()
    field = related.get_by_label("Epic parent")
    box = field.bounding_box()
    assert box and box["width"] > 150, "a field to write in"
    assert field.evaluate("field => getComputedStyle(field.closest('.field')).opacity") == "1"
    field.fill(str(epic))
    related.get_by_role("button", name="Set", exact=True).click()
    expect(related.get_by_role("link", name=f"#{epic} The whole of it")).to_be_visible()
    expect(at.locator("#head").get_by_text("epic · The whole of it")).to_be_visible()
    related.locator("li", has_text="The whole of it").hover()
    related.get_by_role("button", name=f"Take it out of the epic #{epic}").click()
    expect(related).to_contain_text("none")


def test_the_design_loop_and_the_agents_view(at: Page):
    loop = at.get_by_role("switch", name="Design-loop")
    loop.click()
    expect(loop).to_have_attribute("aria-checked", "true")
    expect(at.locator("#dispatch-kind")).to_contain_text("design pass")
    expect(at.locator("#payload")).to_contain_text(re.compile(r"B · ~\d+ tokens"))
    at.locator("#payload-open").click()
    expect(at.locator("#payload-readable")).to_contain_text("Nine panels")


def test_the_spec_the_trace_and_a_picture_without_a_script(enter, flower: Flower, tokens, brief: int, tmp_path: Path):
    page = enter(java_script_enabled=False)
    page.goto(f"/briefs/{brief}/")
    expect(page.locator("#spec > .prose")).to_contain_text("Do it.")
    page.locator("#spec-edit > summary").click()
    page.get_by_label("Spec, in markdown").fill("Do it *slowly*.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#spec > .prose em")).to_have_text("slowly")

    page.locator("#spec-edit > summary").click()
    page.get_by_label("Spec, in markdown").fill("Do it mine.")
    flower.call(tokens[0], "brief_update_spec", brief=brief, spec="Do it theirs.", base_version=2)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#spec").get_by_role("alert")).to_contain_text("Somebody else changed the spec")
    expect(page.locator(".differs")).to_contain_text("theirs")
    expect(page.get_by_label("Spec, in markdown")).to_have_value("Do it mine.")
    page.get_by_role("button", name="Save mine on top of v3").click()
    expect(page.locator("#spec > .prose")).to_have_text("Do it mine.")

    shot = tmp_path / "shot.png"
    Image.new("RGB", (60, 40), "teal").save(shot)
    page.get_by_label("Add a note").fill("see")
    page.locator("#note-picture").set_input_files(shot)
    page.get_by_role("button", name="Add with the picture").click()
    expect(page.locator(".entry").first.locator("a.picture img")).to_be_visible()

    for number in range(60):
        flower.call(tokens[0], "brief_append", brief=brief, body=f"note {number}")
    page.get_by_label("Kind of entries").select_option("note")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.get_by_text("Only “note added”")).to_be_visible()
    expect(page.locator("#trace .entry")).to_have_count(50)
    page.get_by_role("link", name="load earlier").click()
    expect(page.locator("#trace .entry")).to_have_count(11)
    expect(page.locator("#trace .entry").last).to_contain_text("see")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".entry").first).to_contain_text("note 59")
