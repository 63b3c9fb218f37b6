"""Endless blanks do not reach the rules, whose expressions take the square of their length."""

from __future__ import annotations

import time

from transcripts.blanks import squeeze, squeezed
from transcripts.events import Event, Kind
from transcripts.segmentation import segment


def test_what_people_write_stays_as_it_is():
    text = "def f():\n" + " " * 63 + "return 1\n\n\n"
    event = Event(1, Kind.ANSWER, "k", text)
    assert squeeze(text) is text
    assert squeezed([event])[0] is event


def test_longer_runs_become_a_blank_or_an_end_of_paragraph():
    assert squeeze("a" + " " * 65 + "b") == "a b"
    assert squeeze("a" + " \n" * 65 + "b") == "a\n\nb"


def test_an_outline_of_endless_blanks_is_soon_made():
    events = [Event(1, Kind.PROMPT, "p", "Fix it")]
    for number in range(2, 40):
        text = "Done." + " \n" * 10_000 + "x"
        events.append(Event(number, Kind.ANSWER, f"a{number}", text))
        events.append(
            Event(
                number, Kind.CALL, f"c{number}", "{}", tool="Bash", command="git" + " " * 3_900 + "x", call=f"c{number}"
            )
        )
    begun = time.process_time()
    assert segment(events)
    assert time.process_time() - begun < 2
