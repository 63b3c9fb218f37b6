"""Times as pages tell them: both ends of a run, said once where they are said alike."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from core.format import until
from tests.factories import make_brief


@pytest.mark.parametrize(("newest", "oldest", "ends"), [(0, 5, "same"), (540, 541, "same"), (60, 7200, "two")])
def test_the_ends_of_a_run_are_collapsed_where_they_are_said_alike(newest, oldest, ends):
    now = timezone.now()
    said = until(now - timedelta(seconds=newest), now - timedelta(seconds=oldest))
    assert f'data-ends="{ends}"' in said and said.count("<time") == 2


@pytest.mark.django_db
def test_an_entrys_page_tells_its_time_without_microseconds(browser, project):
    brief = make_brief("Timed", project)
    page = browser.get(f"/briefs/{brief.pk}/trace/1/").content.decode()
    at = brief.trace.get(seq=1).at
    assert f">{at:%Y-%m-%d %H:%M:%S} UTC</time></dd>" in page
