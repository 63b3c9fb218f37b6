"""The picture of a session: where things stand in it, and that it stays small."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from transcripts.blocks import Index
from transcripts.views import timeline
from transcripts.views.timeline import draw, lasted, thousands

MINUTE = 60_000


@dataclass
class One:
    position: int
    first: int
    last: int
    phase: str = "edit"
    title: str = "Do it"
    status: str = "done"
    says: str = "1/1 Do it"


def index(kinds: str, *, at=None, context=None, errors=(), commits=(), agents=()) -> Index:
    times = at or [1000 * place for place in range(len(kinds))]
    return Index(kinds, times, context or [0] * len(kinds), list(errors), list(commits), list(agents))


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


def test_bands_tile_the_width_by_their_events():
    made = draw([One(1, 1, 2), One(2, 3, 10)], [(1, index("pacrcrcrca"))])
    assert [(percent(band.x), percent(band.width)) for band in made.bands] == [(0, 20), (20, 80)]
    assert percent(made.bands[1].middle) == 60


def test_marks_stand_at_their_events_and_name_them():
    blocks = [(1, index("pacr", commits=[3])), (5, index("xacrpi", errors=[3]))]
    made = draw([One(1, 1, 10)], blocks, commits={4: ["1a2b3c4 Add the picture", "5d6e7f8 And another"]})
    assert {(mark.kind, mark.event) for mark in made.marks} == {
        ("prompt", 1), ("commit", 4), ("compaction", 5), ("error", 8), ("prompt", 9), ("interruption", 10),
    }  # fmt: skip
    (commit,) = [mark for mark in made.marks if mark.kind == "commit"]
    assert commit.says == "e4 1a2b3c4 Add the picture, 5d6e7f8 And another"
    assert percent(commit.x) == 35
    assert ("commit", "2 commits") in made.kinds
    assert made.label == "1 segment; 2 prompts, 2 commits, 1 error, 1 interruption, 1 compaction"


def test_commits_are_those_of_the_outline_where_there_is_one():
    blocks = [(1, index("pacrcr", commits=[3]))]
    assert [mark.event for mark in draw([One(1, 1, 6)], blocks).marks if mark.kind == "commit"] == [4]
    amended = draw([One(1, 1, 6)], blocks, commits={6: ["5d6e7f8 Add the picture"], 99: ["beyond the end"]})
    assert [(mark.kind, mark.event, mark.says) for mark in amended.marks if mark.kind == "commit"] == [
        ("commit", 6, "e6 5d6e7f8 Add the picture")
    ]
    assert not [mark for mark in draw([One(1, 1, 6)], blocks, commits={}).marks if mark.kind == "commit"]


def test_the_context_is_told_in_percent_of_the_window():
    blocks = [(1, index("paaxa", context=[0, 50_000, 100_000, 0, 20_000]))]
    made = draw([One(1, 1, 5)], blocks, window=200_000)
    assert made.told == "context 10 %, at most 50 %"
    assert made.edge.startswith("M300.0,73.0 L500.0,50.0 L900.0,")
    assert made.area.endswith("Z")


@pytest.mark.parametrize(
    ("model", "highest", "told"),
    [
        ("claude-opus-4-6", 82_000, "context 41 %"),
        ("claude-opus-4-6", 410_000, "context 41 %"),
        ("claude-opus-5-5", 82_000, "context 8 %"),
        ("claude-haiku-4-5-20251001", 82_000, "context 41 %"),
        ("claude-opus-9", 82_000, "context 82 k tokens"),
        ("gpt-5.5", 82_000, "context 82 k tokens"),
    ],
)
def test_a_window_that_the_log_does_not_tell_is_the_models(model, highest, told):
    assert draw([One(1, 1, 2)], [(1, index("pa", context=[0, highest]))], model=model).told == told


def test_what_sub_agents_say_in_the_main_log_is_not_its_context_nor_a_prompt():
    made = draw([One(1, 1, 4)], [(1, index("ppaa", context=[0, 0, 500, 900], agents=[1, 3]))])
    assert [mark.event for mark in made.marks] == [1]
    assert made.told == "context 500 tokens"


def test_a_pause_is_shown_and_takes_no_room():
    made = draw([One(1, 1, 3)], [(1, index("par", at=[0, 1000, 1000 + 95 * MINUTE]))])
    (pause,) = [mark for mark in made.marks if mark.kind == "pause"]
    assert (pause.event, pause.says) == (3, "1 h 35 min without an event")
    assert percent(made.bands[0].width) == 100


def test_times_that_run_backwards_or_miss_do_no_harm():
    made = draw([One(1, 1, 4)], [(1, index("pacr", at=[90 * MINUTE, None, 0, 91 * MINUTE]))])
    assert [mark.kind for mark in made.marks] == ["prompt"]


def test_a_huge_session_stays_a_small_picture():
    count = 60_000
    blocks = [
        (1 + 400 * number, index("pc" * 200, context=[number * 400 + i for i in range(400)], errors=list(range(400))))
        for number in range(count // 400)
    ]
    made = draw([One(1, 1, count)], blocks)
    assert made.edge.count("L") <= timeline.POINTS + 2
    assert len(made.marks) <= 2 * timeline.SLOTS
    assert sum(mark.count for mark in made.marks if mark.kind == "error") == count
    assert "e1 on" in next(mark.says for mark in made.marks if mark.kind == "error")


def test_peaks_survive_the_thinning():
    context = [1000] * 5000
    context[2345] = 90_000
    made = draw([One(1, 1, 5000)], [(1, index("a" * 5000, context=context))], window=100_000)
    assert ",13.2" in made.edge, "96 - 92 * 0.9"


def test_very_many_segments_share_bands():
    many = [One(n, 2 * n - 1, 2 * n, says=f"{n}/1000 Part") for n in range(1, 1001)]
    many[1].status = "partial"
    bands = draw(many, []).bands
    assert len(bands) <= timeline.BANDS
    assert sum(percent(band.width) for band in bands) == pytest.approx(100, abs=0.5)
    assert (bands[0].position, bands[0].status) == (1, "partial"), "what is not done is not hidden"
    assert bands[0].says == "1 to 3, the first: 1/1000 Part"
    assert len(draw(many[: timeline.BANDS], []).bands) == timeline.BANDS


def test_narrow_bands_have_no_number():
    segments = [One(n, n, n) for n in range(1, 101)]
    made = draw(segments, [(1, index("a" * 100))])
    assert {band.room for band in made.bands} == {""}
    assert [band.room for band in draw([One(1, 1, 4), One(2, 5, 100)], [(1, index("a" * 100))]).bands] == [
        "wide",
        "narrow",
    ]


def test_a_session_without_events_has_no_picture():
    assert draw([], []) == timeline.Picture()


def test_a_log_without_an_outline_still_has_its_marks():
    made = draw([], [(1, index("pa", context=[0, 10]))])
    assert made.bands == []
    assert made.marks and made.area


def test_an_unknown_phase_is_other():
    assert draw([One(1, 1, 1, phase="dream")], [(1, index("p"))]).phases == [("other", "other")]


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0"), (999, "999"), (1234, "1.2 k"), (72_189, "72 k"), (1_340_000, "1.3 M")]
)
def test_tokens_are_said_shortly(count, said):
    assert thousands(count) == said


@pytest.mark.parametrize(("minutes", "said"), [(41, "41 min"), (161, "2 h 41 min"), (72 * 60, "3 days")])
def test_pauses_are_said_shortly(minutes, said):
    assert lasted(minutes * MINUTE) == said
