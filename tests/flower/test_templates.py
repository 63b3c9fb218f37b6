"""Every template compiles: a misspelt tag is found here and not by the first reader of a rare page."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines

NAMES = sorted(
    str(path.relative_to(folder))
    for folder in map(Path, settings.TEMPLATES[0]["DIRS"])
    for path in folder.rglob("*")
    if path.suffix in {".html", ".txt"}
)


@pytest.mark.parametrize("name", NAMES)
def test_it_compiles(name):
    engines["django"].get_template(name)


def test_there_are_some():
    assert "base.html" in NAMES
