"""One component a file: no two files give a bare class its looks, or one of them spoils the other's."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

CSS = Path(__file__).resolve().parents[2] / "static" / "css"


def bare_classes(text: str) -> set[str]:
    rules = re.findall(r"([^{}]+)\{", re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL))
    selectors = [one.strip() for rule in rules for one in re.split(r",(?![^(]*\))", rule)]
    return {found[1] for one in selectors if (found := re.fullmatch(r"\.([a-z-]+)(?:::?[a-z-]+)?", one))}


def test_a_bare_class_belongs_to_one_file():
    files = defaultdict(set)
    for path in CSS.glob("*.css"):
        for name in bare_classes(path.read_text()):
            files[name].add(path.name)
    assert len(files) > 100, "the pattern still finds them"
    assert {name: found for name, found in files.items() if len(found) > 1} == {}
