"""docs/pages.md and the table of keys on the page say what the pages have."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from django.http import QueryDict

from briefs.views.board_filters import SORTS, Filters

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "pages.md").read_text()
KEYS = (ROOT / "templates" / "components" / "_keys.html").read_text()
WALKED = set("jkhlxmz")  # static/js/board-walk.js


def section(heading: str) -> str:
    return re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", TEXT, re.M | re.S)[1]


def first_cells(text: str) -> list[str]:
    return [
        code
        for line in text.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`([^`]+)`", line.split("|")[1])
    ]


def bound() -> set[str]:
    """The keys of the board, a brief, and every page; those of the sessions' own pages are theirs to tell."""
    pages = [path for path in (ROOT / "templates").rglob("*.html") if "sessions" not in path.parts]
    walk = (ROOT / "static" / "js" / "board-walk.js").read_text()
    assert set(re.findall(r"^  (\w): ", walk, re.M)) == WALKED
    return WALKED.union(*(re.findall(r'data-key="([^"]+)"', path.read_text()) for path in pages))


def test_every_key_is_in_the_documents_table():
    assert set(first_cells(section("Keys"))) - {"Ctrl K", "Ctrl enter", "enter", "esc"} == bound()


def test_every_key_is_in_the_table_on_the_page():
    shown = {" ".join(re.findall(r"<kbd>([^<]+)</kbd>", keys)) for keys in re.findall(r"<dt>(.*?)</dt>", KEYS)}
    single = {key for keys in shown for key in ([keys] if keys.startswith(("g ", "Ctrl")) else keys.split())}
    assert single - {"Ctrl K", "Ctrl enter", "enter", "esc"} >= bound()


def test_every_filter_is_described_and_every_described_one_filters():
    described = dict(pair.split("=") for pair in first_cells(section("The board")))
    names = {"columns": "view", "text": "q", "statuses": "status"}
    assert set(described) == {names.get(one.name, one.name) for one in fields(Filters)}
    for name, value in described.items():
        assert Filters.of(QueryDict(f"{name}={value}")) != Filters(), name
    assert re.findall(r"`(\w+)`", re.search(r"the order: (.*?) \|", TEXT)[1]) == list(SORTS)
