"""Whatever a model answers, reading it raises nothing, and what is taken from it holds."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.transcripts.test_wording import Log, answer, said
from transcripts.segmentation import Segment, Status
from transcripts.wording import status_of
from transcripts.wording.grid import Grid
from transcripts.wording.reading import FAULTS, LENGTHS, LISTS, Asked, bare, read

LOG = Log().round("parser", commit="1a2b3c4d5e").round("writer", passes=False).round("reader")
END = len(LOG.events)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=12), inner, max_size=5)
)


def asked(*fixed: tuple[int, int]) -> Asked:
    kept = [Segment(LOG.events[first - 1].key, first, last, first, last) for first, last in fixed]
    return Asked(Grid(LOG.events, kept), 1, END)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200) | ANYTHING.map(json.dumps) | ANYTHING.map(lambda rows: json.dumps({"segments": rows})))
def test_any_answer_is_words_or_faults(text):
    reading = read(text, asked())
    assert bool(reading.words) != bool(reading.grave)
    assert len(reading.faults) <= FAULTS
    assert all(len(fault) < 400 and "\n" not in fault for fault in reading.faults)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_one_wrong_field_anywhere_never_gets_through_as_it_is(data):
    row: dict[str, Any] = said(1, next_steps=[{"text": "Go on.", "event": 3}])
    name = data.draw(st.sampled_from(sorted(row)))
    row[name] = data.draw(ANYTHING)
    reading = read(answer(row, said(13), said(23)), asked())
    for words in reading.words:
        assert isinstance(words.title, str) and 0 < len(words.title) <= LENGTHS.title
        assert isinstance(words.summary, str) and 0 < len(words.summary) <= LENGTHS.summary
        assert isinstance(words.status, Status)
        for line in [words.outcome, *(line for each in LISTS for line in getattr(words, each))]:
            assert line is None or (isinstance(line.text, str) and words.first <= line.event <= words.last)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-3, END + 3), min_size=1, max_size=8),
    st.sampled_from([(), ((1, 12),), ((13, 22),), ((5, 9), (20, 32)), ((1, 3), (4, 12), (30, 32))]),
)
def test_what_is_accepted_tiles_the_session(firsts, fixed):
    question = asked(*fixed)
    reading = read(answer(*[said(n, f"Write part {i}") | {"outcome": None} for i, n in enumerate(firsts)]), question)
    if reading.words:
        segments = question.grid.tiled([words.first for words in reading.words])
        borders = [(one.first, one.last) for one in segments]
        assert borders[0][0] == 1 and borders[-1][1] == END
        assert all(left[1] + 1 == right[0] for left, right in pairwise(borders))
        assert set(fixed) <= set(borders)
        assert [(words.first, words.last) for words in reading.words] == [b for b in borders if b not in set(fixed)]


@pytest.mark.parametrize("facts", list(Status))
@pytest.mark.parametrize("model", list(Status))
def test_a_status_is_never_better_than_the_facts(facts, model):
    kept = status_of(facts, model)
    assert kept == facts or facts is Status.DONE
    assert kept is not Status.IN_PROGRESS or facts is Status.IN_PROGRESS


def test_json_is_found_in_its_wrapping():
    assert bare('```json\n{"a": 1}\n```') == '{"a": 1}'
    assert bare('<think>{"b": 2}</think> {"a": 1} done') == '{"a": 1}'
    assert bare("nothing") == "nothing"
