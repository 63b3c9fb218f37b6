"""The spec on the page: saved, previewed, compared, restored; plans that others propose; the refiner."""

from __future__ import annotations

import dataclasses
import html
import re

import pytest
from django.test import Client

from briefs.models import Brief, Project, Proposal, Refinement, Token, TraceEntry
from briefs.services import actors, briefs, proposals, refining, specs
from tests.factories import agent, make_brief, operator

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def body(response) -> str:
    return html.unescape(response.content.decode())


@pytest.fixture
def stranger(tmp_path) -> Client:
    """Somebody with a token that reads another project only."""
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    secret, _ = actors.issue_token(operator("stranger"), Token.Scope.READONLY, project=other)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def page_of(browser: Client, brief: Brief) -> str:
    return body(browser.get(brief.get_absolute_url()))


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_long_spec_has_a_table_of_its_parts(browser, project):
    spec = "".join(f"## Part {n}\n\nwords\n\n" for n in range(5))
    brief = make_brief("Parts", project, spec=spec)
    page = page_of(browser, brief)
    assert 'aria-label="Parts of the spec"' in page
    for number in range(5):
        assert f'href="#h-part-{number}"' in page
        assert page.count(f'id="h-part-{number}"') == 1
    short = make_brief("Short", project, spec="## One\n\n## Two")
    assert "Parts of the spec" not in page_of(browser, short)


def test_the_same_heading_on_the_trace_takes_no_id_from_the_spec(browser, project):
    brief = make_brief("Twice", project, spec="# Goal\n\nwords")
    briefs.note(brief, "# Goal\n\nother words", actor=agent())
    assert page_of(browser, brief).count('id="h-goal"') == 1


def test_tasks_and_code_show_their_state(browser, project):
    spec = "- [x] one\n- [ ] two\n\n```python\nprint(1)\n```\n\n```mermaid\ngraph TD; A-->B\n```"
    page = page_of(browser, make_brief("Tasks", project, spec=spec))
    assert "1/2 done" in page
    assert 'aria-label="done"' in page and 'aria-label="to do"' in page
    assert '<span class="nb">print</span>' in page
    assert "graph TD; A-->B" in page


# --- writing ----------------------------------------------------------------------------------------------------------


def test_the_preview_is_the_pages_own_rendering_and_keeps_nothing(browser, project):
    brief = make_brief("Preview", project)
    other = make_brief("The other one", project)
    text = f"**bold** <script>alert(1)</script> #{other.pk}"
    answer = browser.post(f"/briefs/{brief.pk}/preview/", {"text": text})
    assert "<strong>bold</strong>" in body(answer)
    assert "<script" not in answer.content.decode()
    assert 'title="The other one"' in body(answer)
    assert "Nothing to show" in body(browser.post(f"/briefs/{brief.pk}/preview/", {"text": " "}))
    brief.refresh_from_db()
    assert brief.spec == "" and brief.trace_seq == 2


def test_a_stale_save_shows_what_differs_and_saves_on_top(browser, project):
    brief = make_brief("Plan", project, spec="alpha\nbeta\ngamma")
    specs.update(brief, "alpha\nBETA theirs\ngamma", base_version=1, actor=agent())
    for headers in ({}, HTMX):
        mine = {"spec": "alpha\nbeta mine\ngamma", "base_version": "1", "why": "mine"}
        response = browser.post(f"/briefs/{brief.pk}/spec/", mine, headers=headers)
        assert response.status_code == 409
        page = body(response)
        assert 'class="differs"' in page
        assert re.search(r'<tr class="removed">.*?theirs', page, re.DOTALL)
        assert re.search(r'<tr class="added">.*?mine', page, re.DOTALL)
        assert "beta mine\ngamma</textarea>" in page and 'name="base_version" value="2"' in page
    browser.post(f"/briefs/{brief.pk}/spec/", {**mine, "base_version": "2"})
    brief.refresh_from_db()
    assert (brief.spec_version, "beta mine" in brief.spec) == (3, True)


def test_an_ordinary_refusal_shows_no_difference(browser, project):
    brief = make_brief("Plan", project, spec="one")
    page = body(browser.post(f"/briefs/{brief.pk}/spec/", {"spec": "two", "base_version": "x"}))
    assert 'class="refused"' in page and 'class="differs"' not in page


# --- versions ---------------------------------------------------------------------------------------------------------


def test_versions_are_listed_compared_and_restored(browser, project):
    brief = make_brief("Versions", project)
    for number, text in enumerate(["one two three", "one 2 three", "one 2 three\nfour"]):
        specs.update(brief, text, base_version=number, actor=agent(), why=f"why {number + 1}")
    listed = body(browser.get(f"/briefs/{brief.pk}/spec/versions/"))
    assert all(f"why {number}" in listed for number in (1, 2, 3))
    assert "v2 → v3" in listed
    first = body(browser.get(f"/briefs/{brief.pk}/spec/versions/?old=1&new=2"))
    assert "<mark>two</mark>" in first and "<mark>2</mark>" in first
    assert "v1 → v3" in body(browser.get(f"/briefs/{brief.pk}/spec/versions/?old=3&new=1"))
    assert "nothing → v1" in body(browser.get(f"/briefs/{brief.pk}/spec/versions/?old=0&new=1"))
    assert browser.get(f"/briefs/{brief.pk}/spec/versions/?old=1&new=99").status_code == 404
    assert browser.get(f"/briefs/{brief.pk}/spec/versions/?old=<b>&new=-1").status_code == 200
    one = body(browser.get(f"/briefs/{brief.pk}/spec/versions/1/"))
    assert "one two three" in one and "Restore" in one
    assert browser.get(f"/briefs/{brief.pk}/spec/versions/9/").status_code == 404
    response = browser.post(f"/briefs/{brief.pk}/spec/restore/", {"version": "1"})
    assert response.headers["Location"] == f"/briefs/{brief.pk}/#spec"
    brief.refresh_from_db()
    assert (brief.spec, brief.spec_version) == ("one two three", 4)
    assert "version 1 restored" in body(browser.get(f"/briefs/{brief.pk}/spec/versions/"))
    assert browser.post(f"/briefs/{brief.pk}/spec/restore/", {"version": "77"}).status_code == 404
    assert browser.post(f"/briefs/{brief.pk}/spec/restore/", {}).status_code == 400


def test_no_versions_is_a_sentence(browser, project):
    assert "No versions yet." in body(browser.get(f"/briefs/{make_brief('New', project).pk}/spec/versions/"))


# --- proposals --------------------------------------------------------------------------------------------------------


def proposed(project: Project, spec: str = "one\ntwo", plan: str = "one\n2") -> tuple[Brief, Proposal]:
    brief = make_brief("Propose", project, spec=spec)
    return brief, proposals.propose(brief, plan, actor=agent("flower-refiner"))


def test_an_open_plan_stands_above_the_spec_with_what_it_changes(browser, project):
    brief, proposal = proposed(project)
    page = page_of(browser, brief)
    assert "Plan of flower-refiner" in page and "what it changes in v1" in page
    assert page.index(f'id="proposal-{proposal.pk}"') < page.index('<div class="prose now">')
    for words in ("Accept", "Edit then accept", "Refuse"):
        assert words in page


def test_a_plan_is_accepted(browser, project):
    brief, proposal = proposed(project)
    address = f"/briefs/{brief.pk}/proposals/{proposal.pk}/acceptance/"
    assert browser.post(address, {"base_version": "1"}).status_code == 302
    brief.refresh_from_db()
    assert brief.spec == "one\n2"
    assert "Plan of" not in page_of(browser, brief)
    again = browser.post(address, {"base_version": "2"})
    assert again.status_code == 409 and "accepted already" in body(again)


def test_a_plan_is_edited_and_accepted(browser, project):
    brief, proposal = proposed(project)
    address = f"/briefs/{brief.pk}/proposals/{proposal.pk}/acceptance/"
    assert browser.post(address, {"base_version": "1", "plan": " "}).status_code == 400
    browser.post(address, {"base_version": "1", "plan": "one\n2 and more"})
    brief.refresh_from_db()
    assert brief.spec == "one\n2 and more"
    assert "accepted, edited" in page_of(browser, brief)


def test_a_late_acceptance_changes_nothing_and_keeps_the_edit(browser, project):
    brief, proposal = proposed(project)
    specs.update(brief, "somebody was first", base_version=1, actor=operator())
    answer = browser.post(
        f"/briefs/{brief.pk}/proposals/{proposal.pk}/acceptance/", {"base_version": "1", "plan": "my edit"}
    )
    assert answer.status_code == 409
    assert "my edit</textarea>" in body(answer) and 'name="base_version" value="2"' in body(answer)
    brief.refresh_from_db()
    proposal.refresh_from_db()
    assert (brief.spec, proposal.state) == ("somebody was first", "open")


def test_a_plan_is_refused_with_a_reason(browser, project):
    brief, proposal = proposed(project)
    browser.post(f"/briefs/{brief.pk}/proposals/{proposal.pk}/refusal/", {"why": "too large"})
    proposal.refresh_from_db()
    assert proposal.state == "refused"
    page = page_of(browser, brief)
    assert "too large" in page and "the plan of flower-refiner" in page
    other = make_brief("Other", project)
    assert browser.post(f"/briefs/{other.pk}/proposals/{proposal.pk}/refusal/").status_code == 404


def test_nobody_without_access_reads_or_decides(stranger, project):
    brief, proposal = proposed(project)
    for path in ("", "spec/versions/", "spec/versions/1/", "completions/?q=%23", "trace/1/"):
        assert stranger.get(f"/briefs/{brief.pk}/{path}").status_code == 404, path
    for path in (f"proposals/{proposal.pk}/acceptance/", "spec/restore/", "preview/", "refinement/", "approval/"):
        assert stranger.post(f"/briefs/{brief.pk}/{path}").status_code == 403, path
        assert Client().post(f"/briefs/{brief.pk}/{path}").status_code == 302, path
    brief.refresh_from_db()
    assert brief.spec_version == 1


# --- approval, the refiner --------------------------------------------------------------------------------------------


def test_an_agents_own_brief_waits_for_approval(browser, project):
    brief = briefs.capture("Idea of an agent", actor=agent(), project=project, needs_approval=True)
    page = page_of(browser, brief)
    assert ">Approve</button>" in page and "an operator's approval" in page
    browser.post(f"/briefs/{brief.pk}/approval/")
    page = page_of(browser, brief)
    assert ">Approve</button>" not in page and "approved" in page


def test_without_a_model_the_page_says_so_quietly(browser, project):
    brief = make_brief("No model", project)
    page = page_of(browser, brief)
    assert "No model is configured" in page and "/refinement/" not in page
    refused = browser.post(f"/briefs/{brief.pk}/refinement/")
    assert refused.status_code == 409 and "No model is configured" in body(refused)


@pytest.fixture
def model(settings, monkeypatch):
    settings.FLOWER = dataclasses.replace(
        settings.FLOWER, llm_base_url="http://127.0.0.1:9/v1", llm_model="scripted", llm_api_key="x"
    )
    monkeypatch.setattr(refining.live, "kick", lambda *_: None)


def test_the_refiner_is_asked_watched_and_called_off(browser, project, model):
    brief = make_brief("Refine me", project)
    assert "Draft a plan" in page_of(browser, brief)
    browser.post(f"/briefs/{brief.pk}/refinement/")
    Refinement.objects.update(state="running", step="writing the plan", characters=1234)
    page = page_of(browser, brief)
    assert "writing the plan" in page and "1.2 KB" in page and "Draft a plan" not in page
    again = browser.post(f"/briefs/{brief.pk}/refinement/")
    assert again.status_code == 409 and "works on it already" in body(again)
    browser.post(f"/briefs/{brief.pk}/refinement/cancel/")
    assert Refinement.objects.get().state == "cancelled"
    assert browser.post(f"/briefs/{brief.pk}/refinement/cancel/").status_code == 404


def test_a_failed_run_tells_why(browser, project, model):
    brief = make_brief("Refine me", project)
    run = refining.start(brief, actor=operator())
    Refinement.objects.filter(pk=run.pk).update(state="failed", only_active=None, failure="The model is away.")
    page = page_of(browser, brief)
    assert "The refiner gave no plan: The model is away." in page and "Refine again" in page


# --- the header -------------------------------------------------------------------------------------------------------


def test_the_title_is_changed_where_it_stands(browser, project):
    brief = make_brief("Old title", project)
    assert 'id="title-edit"' in page_of(browser, brief)
    refused = body(browser.post(f"/briefs/{brief.pk}/title/", {"title": "x" * 201}))
    assert re.search(r'id="title-edit" open', refused) and "x" * 201 in refused
    browser.post(f"/briefs/{brief.pk}/title/", {"title": "New title"})
    page = page_of(browser, brief)
    assert "<h1" in page and "New title</h1>" in page and "title was “Old title”" in page


def test_the_head_says_what_is_waited_for_and_what_goes_on(browser, project):
    first, second = make_brief("First", project), make_brief("Second", project)
    from briefs.services import relations

    relations.add_dependency(second, first, actor=operator())
    page = page_of(browser, second)
    assert f'<li><a href="/briefs/{first.pk}/">#{first.pk} First</a></li>' in page
    Brief.objects.filter(pk=first.pk).update(status="in_progress")
    briefs.note(first, "running the **gates**", actor=agent(), kind="progress")
    page = page_of(browser, first)
    assert 'class="doing"' in page and "running the gates" in page
    assert 'class="doing"' not in page_of(browser, second)


def test_who_edited_last_is_found_once_and_stays_right(browser, project):
    from briefs.views.spec import spec_entry

    brief = make_brief("Edited", project, spec="one")
    assert spec_entry(brief).kind == TraceEntry.Kind.CAPTURED
    specs.update(brief, "two", base_version=1, actor=agent())
    for _ in range(2):
        entry = spec_entry(brief)
        assert (entry.kind, entry.data["version"], entry.actor_ref) == ("refinement", 2, "flower-agent")
