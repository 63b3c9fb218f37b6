"""Times and texts in few words, as lists and panels tell them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.format import day, plain


def test_what_goes_on_since_today_has_an_hour_and_since_earlier_a_date():
    now = timezone.localtime().replace(hour=12, minute=5)
    assert ">12:05</time>" in day(now)
    assert "data-day" in day(now) and f'datetime="{now.isoformat(timespec="seconds")}"' in day(now)
    before = now - timedelta(days=400)
    assert f">{before.day} {before:%b} {before.year}</time>" in day(before)
    assert day(None) == ""


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("# A plan\n\n- first\n- **second**\n> said", "A plan first second said"),
        ("#12 stays, and so does a-b", "#12 stays, and so does a-b"),
        ("  * * nested", "nested"),
        ("####### seven", "####### seven"),
        ("-" * 5000 + " " * 5000, "-" * 5000),
    ],
)
def test_markdown_is_told_in_one_plain_line(markdown, words):
    assert plain(markdown) == words
