"""What makes outlines stays small, and reads no language: no list of phrases comes back unseen."""

from __future__ import annotations

import re
import tomllib

from flower.env import BASE_DIR
from tests.flower import patterns
from transcripts import rules

FOLDER = BASE_DIR / "transcripts" / "segmentation"
LINES = 1_900
PATTERNS = 60
WORDS = re.compile(r"(?<![\\\w])[A-Za-z]{3,}")
ALTERNATIVES = 12  # English words in one pattern: what programs print takes some, a list of phrases takes dozens


def test_the_code_has_at_most_so_many_lines():
    assert sum(len(path.read_text().splitlines()) for path in FOLDER.glob("*.py")) <= LINES


def test_there_are_few_patterns_also_of_commands():
    own = [
        one for one in patterns.compiled() if one.name.startswith(("transcripts.segmentation", "transcripts.commands"))
    ]
    data = tomllib.loads((BASE_DIR / "transcripts" / "commands" / "exceptions.toml").read_text())
    assert len(own) + len(data["output"]) <= PATTERNS


def test_no_pattern_of_segmentation_is_a_vocabulary():
    for one in patterns.compiled():
        if one.name.startswith("transcripts.segmentation"):
            assert len(WORDS.findall(one.pattern.pattern)) <= ALTERNATIVES, one.name


def test_the_rules_are_known_by_all_that_makes_them(tmp_path):
    (tmp_path / "titles.py").write_text("TITLE = 80\n")
    before = rules.digest_of([tmp_path])
    assert re.fullmatch("[0-9a-f]{16}", before)
    (tmp_path / "notes.txt").write_text("nothing of theirs")
    assert rules.digest_of([tmp_path]) == before
    (tmp_path / "titles.py").write_text("TITLE = 90\n")
    after = rules.digest_of([tmp_path])
    (tmp_path / "exceptions.toml").write_text("[programs]\n")
    assert len({before, after, rules.digest_of([tmp_path])}) == 3
    assert rules.rules_of_today() == rules.RULES
