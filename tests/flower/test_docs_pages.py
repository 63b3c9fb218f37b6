"""The pages of docs/, README and ARCHITECTURE, held to the code: commands, states, variables, links, files, reasons."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand

from briefs.lifecycle import BRIEF
from core.lifecycle import Table
from daemons.models import Process
from dispatch.lifecycle import DISPATCH
from dispatch.merge.record import NotMerged
from flower.env import BASE_DIR
from flower.mcp.registry import catalogue
from tests.flower.test_docs import DOCS, own_commands, targets
from tests.flower.test_layers import ROOMS
from worktrees.services import WORKTREE

PAGES = [*sorted(BASE_DIR.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def read(name: str) -> str:
    return (BASE_DIR / name).read_text()


def section(text: str, heading: str) -> str:
    """What stands under the heading that begins with these words, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}.*?$(.*?)(?=^#{{1,6}} |\Z)", text, re.M | re.S)
    assert found, f"there is no heading '{heading}'"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of each table row whose first cell is code. ``\\|`` is a bar inside a cell."""
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# --- commands ---------------------------------------------------------------------------------------------------------


def parser_of(name: str) -> Any:
    return load_command_class(get_commands()[name], name).create_parser("manage.py", name)


def options_of(name: str) -> set[str]:
    common = set(BaseCommand().create_parser("manage.py", "x")._option_string_actions)
    return set(parser_of(name)._option_string_actions) - common


@pytest.mark.parametrize("name", own_commands())
def test_a_command_is_described_with_just_its_options(name):
    described = {code(row[0])[0].split()[0] for row in rows(section(read("docs/commands.md"), f"`{name}"))}
    assert described == options_of(name)


@pytest.mark.parametrize("name", own_commands())
def test_a_commands_choices_are_described(name):
    text = section(read("docs/commands.md"), f"`{name}").replace("\\|", "|")
    for action in parser_of(name)._actions:
        if action.choices and action.option_strings and action.dest not in {"verbosity"}:
            assert f"`{action.option_strings[0]} {'|'.join(map(str, action.choices))}`" in text


def test_the_make_targets_are_described():
    described = {code(row[0])[0].split()[1] for row in rows(section(read("docs/commands.md"), "make"))}
    assert described == targets() - {"help"}


# --- states -----------------------------------------------------------------------------------------------------------


TABLES: dict[str, Table] = {"Brief": BRIEF, "Dispatch request": DISPATCH, "Worktree": WORKTREE}


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_of_states_is_the_codes(heading: str):
    table = TABLES[heading]
    described = {code(row[0])[0]: set(code(row[2])) for row in rows(section(read("docs/states.md"), heading))}
    assert described == {str(state): set(map(str, following)) for state, following in table.moves.items()}


def test_the_phases_of_a_process_are_the_codes():
    described = {code(row[0])[0] for row in rows(section(read("docs/states.md"), "Process"))}
    assert described == set(Process.Phase.values)


def test_every_class_of_failure_is_described():
    """What the dispatch room writes into ``failure_class``, read from its sources."""
    used = {str(why) for why in NotMerged}
    for path in (BASE_DIR / "dispatch").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "failure_class" and isinstance(node.value, ast.Constant):
                used.add(node.value.value)
    assert {"gate", "spawn", "conflict"} <= used
    assert used - {""} <= set(code(section(read("docs/states.md"), "Dispatch request")))


# --- agents -----------------------------------------------------------------------------------------------------------


def variables_of_agents() -> set[str]:
    tree = ast.parse(read("dispatch/machine.py"))
    (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_environment")
    return {
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Constant) and re.fullmatch(r"FLOWER_[A-Z_]+", str(node.value))
    }


def test_what_an_agent_finds_in_its_environment_is_described():
    assert {"FLOWER_TOKEN", "FLOWER_PACKET"} <= variables_of_agents()
    described = {code(row[0])[0] for row in rows(section(read("docs/agents.md"), "What it finds"))}
    assert {name for name in described if name.startswith("FLOWER_")} == variables_of_agents()


def test_the_tools_of_a_run_are_described():
    offered = {name for name, served in catalogue().items() if served.tool.is_offered_to("run")}
    described = {name for row in rows(section(read("docs/agents.md"), "What it finds")) for name in code(row[0])}
    assert {name for name in described if not name.startswith("FLOWER_")} == offered


def test_examples_in_python_are_python():
    for block in re.findall(r"^```python\n(.*?)^```", "".join(page.read_text() for page in PAGES), re.M | re.S):
        compile(block, "example", "exec")


# --- links, files, targets --------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?:src|srcset)=\"([^\"]+)\"", text)
    for target in links:
        if re.match(r"https?://|mailto:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        assert found.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(found), f"{page.name} links to {target}, which has no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path):
    others = {"core", "flower", "tests", "templates", "static", "bench", "demo", "docs", "deploy"}
    folders = "|".join(sorted(ROOMS | others))
    for name in re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text()):
        if name != "bench/results.json":  # made by make bench
            assert (BASE_DIR / name).exists(), f"{page.name} names {name}, which is not there"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_in_examples_exist(page: Path):
    blocks = re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(), re.M | re.S)
    named = re.findall(r"(?:^|&& |; )make ([a-z][a-z0-9-]*)", "".join(blocks), re.M)
    assert set(named) <= targets()


def test_the_readme_names_what_a_newcomer_runs():
    assert {"up", "demo"} <= set(re.findall(r"^make ([a-z]+)", read("README.md"), re.M))


def test_pictures_are_small():
    for picture in (DOCS / "screenshots").glob("*.png"):
        assert picture.stat().st_size <= 150_000, f"{picture.name} is too large for a page"


# --- the architecture -------------------------------------------------------------------------------------------------


def test_the_architecture_is_one_page():
    assert len(read("ARCHITECTURE.md").splitlines()) <= 170


def test_each_dependency_has_its_reason():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    reasons = code(section(read("ARCHITECTURE.md"), "Why each dependency"))
    missing = {re.split(r"[=<>~;\[ ]", line)[0] for line in wanted} - set(reasons)
    assert not missing, f"ARCHITECTURE.md does not say why {missing}"


def test_the_floor_is_named():
    (words,) = re.findall(r"^ +core +(.*?)\n\n", read("ARCHITECTURE.md"), re.M | re.S)
    assert set(words.split()) == {path.stem for path in (BASE_DIR / "core").glob("[a-z]*.py")}
