"""What the board says when there is nothing on it: what to do next, as a list and in columns alike."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("query", ["", "?view=columns"])
def test_before_there_is_a_project(browser, query):
    page = browser.get(f"/briefs/{query}").content.decode()
    assert "Begin with a project." in page
    assert 'class="group"' not in page and 'class="column"' not in page


@pytest.mark.parametrize("query", ["", "?view=columns"])
def test_before_there_is_a_brief(browser, project, query):
    page = browser.get(f"/briefs/{query}").content.decode()
    assert "No briefs yet." in page
    assert 'class="group"' not in page and 'class="column"' not in page
