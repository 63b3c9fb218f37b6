"""Twenty seconds of the search for texts that hold a thread or swell; `python -m bench texts` searches for minutes."""

from __future__ import annotations

import random

import pytest

from tests.flower import bad_texts, patterns


@pytest.mark.django_db
def test_no_text_holds_a_thread_or_swells():
    # The same texts each time: what nobody has seen yet is looked for by the benchmark, and no gate depends on chance.
    found = bad_texts.run(20, seed=1)
    assert found.runs > 100
    assert not found.bad, "\n".join(found.bad)


def test_every_pattern_is_found():
    names = {found.name for found in patterns.compiled()}
    assert len(names) > 150
    assert {"core.logs._SUSPECT", "transcripts.segmentation.steps._VCS"} <= names


@pytest.mark.parametrize("text", ["(a" * 40, "aaaa" * 10, "#1 @a"])
def test_the_search_finds_what_is_slow(monkeypatch, text):
    import re

    bad = patterns.Found("bad", re.compile("(a+)+$"), ("search",))
    pumped = patterns.Pump(bad).text(2_000, random.Random(1))
    report = bad_texts.Report()
    bad_texts._try(report, "bad", pumped, lambda: bad.apply("a" * 60 + "b"))
    assert len(report.bad) == 1
