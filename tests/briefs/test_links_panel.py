"""Links, participants and projects on the brief page, and the pages that they lead to."""

from __future__ import annotations

import pytest
from django.test import Client

from briefs.models import Link, Project, Token
from briefs.services import actors, links
from daemons.services import scratchpads
from tests.factories import agent, git, make_brief, make_repository, operator
from worktrees.models import Worktree

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def body(response) -> str:
    return response.content.decode()


def test_a_link_is_added_and_removed_and_the_trace_keeps_both(browser, project):
    brief = make_brief("Links", project)
    data = {"kind": "url", "target": "https://example.org/<x>", "relation": "reference", "label": "The <b>page</b>"}
    browser.post(f"/briefs/{brief.pk}/links/", data)
    link = Link.objects.get()
    page = body(browser.get(brief.get_absolute_url()))
    assert "The &lt;b&gt;page&lt;/b&gt;" in page and 'href="https://example.org/&lt;x&gt;"' in page
    response = browser.post(f"/briefs/{brief.pk}/links/{link.pk}/remove/", headers=HTMX)
    assert response.status_code == 200 and not Link.objects.exists()
    kinds = list(brief.trace.filter(kind__startswith="link").order_by("seq").values_list("kind", flat=True))
    assert kinds == ["link_added", "link_removed"]
    assert browser.post(f"/briefs/{brief.pk}/links/{link.pk}/remove/").status_code == 404
    assert "link removed" in body(browser.get(brief.get_absolute_url()))


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_a_bad_link_is_refused_and_keeps_what_was_typed(browser, project, headers):
    brief = make_brief("Links", project)
    data = {"kind": "url", "target": "javascript:alert(1)", "relation": "result", "label": "kept"}
    refused = browser.post(f"/briefs/{brief.pk}/links/", data, headers=headers)
    assert refused.status_code == 400
    assert "must begin with http" in body(refused) and 'value="kept"' in body(refused)
    assert not Link.objects.exists()


def test_links_are_grouped_and_the_many_fold_away(browser, project):
    brief = make_brief("Links", project)
    for number in range(12):
        links.add(brief, "file", f"src/{number}.py", actor=agent(), relation="execution")
    links.add(brief, "branch", "flower/x", actor=agent(), relation="result")
    page = body(browser.get(brief.get_absolute_url()))
    assert "5 more" in page
    assert page.index('aria-label="execution"') < page.index('aria-label="result"')


def test_numbers_have_their_names(browser, project):
    brief, other = make_brief("Links", project), make_brief("Another thing", project)
    pad = scratchpads.create("What was found", "text", actor=agent())
    head = git(project.path, "rev-parse", "main")
    for kind, target in (("scratchpad", f"#{pad.pk}"), ("brief", f"#{other.pk}"), ("commit", head)):
        links.add(brief, kind, target, actor=agent())
    links.add(brief, "scratchpad", "9999", actor=agent())
    links.add(brief, "commit", "f" * 40, actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    panel = page[page.index('id="links"') :]
    assert f'href="/scratchpads/{pad.pk}/"' in panel and "What was found" in panel
    assert "Another thing" in panel
    assert f'href="/projects/{project.slug}/commits/{head}/"' in panel and "Begin" in panel
    assert panel.count('<small class="gone">not found</small>') == 2, "a scratchpad and a commit that are not there"


def test_what_a_link_leads_to_is_looked_for_and_said_when_it_is_not_there(browser, project):
    brief = make_brief("Links", project)
    git(project.path, "branch", "side")
    url = "https://example.org/" + "long/" * 40
    there = [("branch", "side"), ("file", "src/app.py"), ("file", "src/app.py:12"), ("file", "src"), ("url", url)]
    there += [("file", f"{project.root}/README.md")]
    lost = [("branch", "nowhere"), ("file", "src/lost.py"), ("file", "../secret"), ("file", "/etc/passwd")]
    lost += [("session", "999"), ("worktree", "nowhere"), ("brief", "999"), ("file", "a\\nb"), ("branch", "no/where")]
    for kind, target in (*there, *lost):
        links.add(brief, kind, target, actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    rows = page[page.index('id="links"') :].split("</section>")[0].split("<li>")[1:]
    assert [row for row in rows if 'class="gone"' in row and any(f">{target}<" in row for _, target in there)] == []
    assert sum('class="gone"' in row for row in rows) == len(lost)
    assert f'title="{url}"' in page
    assert f"<code>side</code> <small>{project.slug}</small>" in page


def test_a_repository_that_cannot_be_asked_says_nothing_is_missing(browser, project, tmp_path):
    brief = make_brief("Links", project)
    Project.objects.filter(pk=project.pk).update(root=str(tmp_path / "moved"))
    for kind, target in (("branch", "main"), ("file", "a.py"), ("commit", "f" * 40)):
        links.add(brief, kind, target, actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    assert "<code>main</code>" in page and 'class="gone"' not in page


def test_a_branch_leads_to_its_worktree(browser, project):
    brief = make_brief("Links", project)
    row = Worktree.objects.create(
        project=project, brief=brief, name="w", path="/w", branch="flower/w", base_sha="f" * 40, created_by=operator()
    )
    links.add(brief, "branch", "flower/w", actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    assert f'<a href="/worktrees/?removed=1#worktree-{row.pk}"><code>flower/w</code></a>' in page


def test_a_commit_has_a_page_with_its_diff(browser, project):
    (project.path / "x.html").write_text("<script>alert(1)</script>\n")
    git(project.path, "add", ".")
    git(project.path, "commit", "-qm", "Add <b>x</b>\n\nBecause.")
    head, first = git(project.path, "rev-parse", "main"), git(project.path, "rev-parse", "main~1")
    page = body(browser.get(f"/projects/{project.slug}/commits/{head}/"))
    assert "Add &lt;b&gt;x" in page and "Because." in page and "x.html" in page and "<script>alert" not in page
    assert "README.md" in body(browser.get(f"/projects/{project.slug}/commits/{first}/")), "the first commit of all"
    assert browser.get(f"/projects/{project.slug}/commits/{head[:8]}/").status_code == 200
    for sha in ("f" * 40, "main", "--help", "HEAD", head.upper()):
        assert browser.get(f"/projects/{project.slug}/commits/{sha}/").status_code == 404, sha
    assert browser.get(f"/projects/nowhere/commits/{head}/").status_code == 404


def test_commits_of_a_project_that_one_may_not_see_are_not_there(project, tmp_path, client):
    other = Project.objects.create(
        slug="other", root=str(make_repository(tmp_path / "other", {"a": "b"})), main_branch="main"
    )
    head = git(project.path, "rev-parse", "main")
    secret, _ = actors.issue_token(agent(), Token.Scope.READONLY, project=other)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert reader.get(f"/projects/{project.slug}/commits/{head}/").status_code == 404
    assert client.get(f"/projects/{project.slug}/commits/{head}/").status_code == 302


def test_projects_are_changed_from_the_page(browser, project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    brief = make_brief("Scope", project)
    path = f"/briefs/{brief.pk}/projects/"
    browser.post(path, {"project": "other", "change": "other"})
    assert list(brief.other_projects.all()) == [other]
    assert "concerned" in body(browser.get(brief.get_absolute_url()))
    browser.post(path, {"project": "other", "change": "gone"})
    assert not brief.other_projects.exists()
    browser.post(path, {"project": "other", "change": "primary"})
    brief.refresh_from_db()
    assert brief.project == other
    for data in ({}, {"project": "nowhere", "change": "primary"}, {"project": "other", "change": "other"}):
        refused = browser.post(path, data)
        assert refused.status_code in {400, 404} and 'class="refused"' in body(refused)
    secret, _ = actors.issue_token(operator(), Token.Scope.READONLY)
    reader = Client(headers={"Authorization": f"Bearer {secret}"})
    assert reader.post(path, {"project": "other", "change": "primary"}).status_code == 403


def test_participants_tell_role_state_and_wave(browser, project):
    from briefs import trace

    brief = make_brief("Who", project)
    trace.append(brief, "note", actor=agent(), body="here")
    page = " ".join(body(browser.get(brief.get_absolute_url())).split())
    assert "operator:mike" in page and "flower-agent" in page and "participant · active" in page and "since" in page


def test_every_form_on_the_page_carries_its_token(browser, project, tmp_path):
    import re

    from briefs.services import questions, relations

    brief, other = make_brief("Full", project), make_brief("Other", project)
    third = Project.objects.create(slug="third", root=str(tmp_path / "third"), main_branch="main")
    brief.other_projects.add(third)
    links.add(brief, "file", "a.py", actor=agent())
    relations.add_dependency(brief, other, actor=operator())
    relations.set_parent(brief, other, actor=operator())
    questions.ask(brief, "Which?", actor=agent(), options=["a"])
    for headers in ({}, HTMX):
        page = body(browser.get(f"/briefs/{brief.pk}/", headers=headers))
        forms = re.findall(r'<form[^>]*method="post".*?</form>', page, re.DOTALL)
        assert len(forms) > 10
        assert [form[:120] for form in forms if "csrfmiddlewaretoken" not in form] == []
