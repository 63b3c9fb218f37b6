"""axe-core over the pages: no serious or critical violation, in light, dark and on a phone.

axe-core comes from npm by tests/e2e/package-lock.json into node_modules/; nothing of it is committed or served.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HERE = Path(__file__).parent
expect.set_options(timeout=20_000)
AXE = HERE / "node_modules" / "axe-core" / "axe.min.js"

SCENE = """
import json
from briefs.models import Actor, Brief, Project
from briefs.services import actors, briefs, links, questions, relations
mike = Actor.objects.filter(kind="operator").first()
agent = actors.named("flower-orchestrator", "agent")
flower = Project.objects.get(slug="flower")
epic = briefs.capture("An epic", actor=mike, project=flower)
spec = "# A\\n\\n- [x] b\\n- [ ] c\\n\\n```python\\nprint(1)\\n```\\n\\n| a | b |\\n|---|---|\\n| 1 | 2 |"
full = briefs.capture("A brief with everything", actor=mike, project=flower, parent=epic, spec=spec)
other = briefs.capture("What is needed first", actor=mike, project=flower)
relations.add_dependency(full, other, actor=mike)
questions.ask(full, "Which **one**?", actor=agent, options=["left", "right"], blocking=True)
questions.answer(questions.ask(full, "Is it so?", actor=agent), "It is.", actor=mike)
briefs.set_flag(full, "auto_dispatch", True, actor=mike)
for kind, target in (("url", "https://example.org/"), ("branch", "flower/x"), ("brief", str(epic.pk))):
    links.add(full, kind, target, actor=agent)
briefs.note(full, "A note with `code`, a [link](https://example.org/) and **words**.", actor=mike)
print(json.dumps({"full": full.pk, "epic": epic.pk}))
"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The checker's source, installed by the lock at first use."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not on PATH; axe-core is installed by it")
    if not AXE.exists():
        subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=HERE, check=True, capture_output=True
        )
    return AXE.read_text()


@pytest.fixture(scope="module")
def scene(flower) -> dict[str, int]:
    (seed,) = flower.manage(["seed_example"])
    (made,) = flower.manage(["shell", "-v", "0", "-c", SCENE])
    return {"seed": int(seed), **json.loads(made)}


def violations(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    found: dict[str, Any] = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{page.url} {one['impact']} {one['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
        for one in found["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"][:4]
    ]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1360), ("dark", 1360), ("light", 380), ("dark", 380)])
def test_no_page_has_a_serious_fault(page: Page, scene, axe, scheme, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # half-faded things have no contrast
    addresses = [
        "/briefs/",
        "/briefs/?view=columns",
        "/briefs/?needs=me",
        f"/briefs/{scene['seed']}/",
        f"/briefs/{scene['full']}/",
        f"/briefs/{scene['full']}/?payload=agent&as=json",
        f"/briefs/{scene['full']}/?payload=run&as=readable",
        f"/briefs/{scene['epic']}/",
        "/scratchpads/",
        "/scratchpads/399/",
        "/dispatches/",
        "/dispatches/1/",
        "/worktrees/",
        "/projects/",
    ]
    faults = []
    for address in addresses:
        page.goto(address)
        page.wait_for_load_state("networkidle")
        if "/briefs/" in address and width > 400:
            page.evaluate("document.querySelectorAll('details:not(.menu)').forEach(fold => { fold.open = true })")
        faults += violations(page, axe)
    assert not faults, "\n".join(faults)


def test_the_brief_page_is_worked_by_keys_alone(page: Page, scene):
    page.goto(f"/briefs/{scene['full']}/")
    option = page.get_by_role("button", name="left")
    for _ in range(80):
        page.keyboard.press("Tab")
        if option.evaluate("button => button === document.activeElement"):
            break
    expect(option).to_be_focused()
    assert option.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.locator("#questions")).to_be_hidden()
