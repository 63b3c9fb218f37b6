"""@names and #numbers: links with titles, never in code, never more than the reader may see, completed while typing."""

from __future__ import annotations

import html

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from briefs.models import Participant, Project, Token, TraceEntry
from briefs.services import actors, briefs, references, specs
from tests.factories import agent, identity, make_brief, operator

pytestmark = pytest.mark.django_db


def body(response) -> str:
    return html.unescape(response.content.decode())


@pytest.fixture
def limited(project, tmp_path) -> tuple[Client, Project]:
    """Who reads one project only."""
    secret, _ = actors.issue_token(operator("reader"), Token.Scope.READONLY, project=project)
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    return Client(headers={"Authorization": f"Bearer {secret}"}), other


def test_a_number_is_a_link_with_its_title(browser, project):
    other = make_brief('A "quoted" <b>title</b>', project)
    brief = make_brief("Cites", project, spec=f"see #{other.pk}, `#{other.pk}`, [#{other.pk}](https://example.org)")
    briefs.note(brief, f"also (#{other.pk}) and #999 and Scratchpad #{other.pk}", actor=agent())
    raw = browser.get(brief.get_absolute_url()).content.decode()
    link = f'<a class="ref" href="/briefs/{other.pk}/" title="A &quot;quoted&quot; &lt;b&gt;title&lt;/b&gt;">'
    assert raw.count(link) == 2
    assert f"<code>#{other.pk}</code>" in raw and "#999 and Scratchpad" in raw


def test_a_name_is_a_link_to_what_they_did_here(browser, project):
    brief = make_brief("Names", project)
    agent("flower-orchestrator")
    briefs.note(brief, "@flower-orchestrator, ask @mike. Not @nobody, a@mike or `@mike`", actor=agent())
    page = body(browser.get(brief.get_absolute_url()))
    assert f'href="/briefs/{brief.pk}/?actor=flower-orchestrator#trace-panel"' in page
    assert 'title="operator:mike">@mike</a>' in page
    assert page.count('class="mention"') == 2
    assert browser.get(f"/briefs/{brief.pk}/?actor=flower-orchestrator").status_code == 200


def test_a_mention_is_on_the_trace(project):
    brief = make_brief("Names", project)
    agent("flower-orchestrator")
    seq = briefs.note(brief, "@flower-orchestrator and @mike and @nobody", actor=agent())
    assert TraceEntry.objects.get(brief=brief, seq=seq).data == {"mentions": ["flower-orchestrator", "operator:mike"]}
    seq = briefs.note(brief, "`@mike`", actor=agent())
    assert TraceEntry.objects.get(brief=brief, seq=seq).data == {}


def test_a_limited_reader_sees_a_number_and_no_title(limited, project):
    reader, other = limited
    secret = make_brief("A secret title", other)
    brief = make_brief("Mine", project, spec=f"see #{secret.pk}")
    briefs.note(brief, f"and #{secret.pk}", actor=agent())
    page = body(reader.get(brief.get_absolute_url()))
    assert f"see #{secret.pk}" in page and "A secret title" not in page
    assert "A secret" not in body(reader.get(f"/briefs/{brief.pk}/completions/?q=%23secret"))
    assert reader.get(f"/briefs/{secret.pk}/completions/?q=%23").status_code == 404


def test_titles_cost_one_query_a_text_or_list_however_many(browser, project):
    others = [make_brief(f"Other {n}", project) for n in range(12)]
    brief = make_brief("Cites", project)

    def load() -> int:
        browser.get(brief.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            browser.get(brief.get_absolute_url())
        return len(queries)

    briefs.note(brief, f"#{others[0].pk} @mike", actor=agent())
    one = load()
    for other in others:
        briefs.note(brief, f"#{other.pk} @mike @{agent().ref}", actor=agent())
    assert load() == one


# --- completion -------------------------------------------------------------------------------------------------------


def test_a_brief_is_found_by_its_words_or_number(browser, project):
    brief, apple, pear = (make_brief(name, project) for name in ("Here", "Red apple", "Green <b>pear</b>"))

    def offered(query: str) -> str:
        return browser.get(f"/briefs/{brief.pk}/completions/", {"q": query}).content.decode()

    assert f'data-written="#{apple.pk}"' in offered("#APPLE") and "pear" not in offered("#apple")
    assert f'data-written="#{pear.pk}"' in offered(f"#{pear.pk}")
    assert "Green &lt;b&gt;pear" in offered("#pear")
    assert f'"#{brief.pk}"' not in offered("#")
    for nonsense in ("", "x", "#" + "9" * 50, "#%'\"\\", "@\x00", "# "):
        assert browser.get(f"/briefs/{brief.pk}/completions/", {"q": nonsense}).status_code == 200


def test_who_is_at_work_here_comes_first(browser, project):
    brief = make_brief("Here", project)
    for number in range(20):
        agent(f"worker-{number}")
    briefs.note(brief, "hello", actor=agent("worker-at-the-end"))
    page = browser.get(f"/briefs/{brief.pk}/completions/?q=%40worker").content.decode()
    assert page.index("worker-at-the-end") < page.index("worker-19")
    assert page.count('role="option"') == references.OFFERED


def test_a_limited_reader_is_offered_those_it_can_see(project, tmp_path):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    brief, hidden = make_brief("Mine", project), make_brief("Theirs", other)
    briefs.note(brief, "x", actor=agent("seen-worker"))
    briefs.note(hidden, "x", actor=agent("hidden-worker"))
    who = identity(operator("reader"), Token.Scope.READONLY, project=project.pk)
    offered = [offer.written for offer in references.offers(who, brief, "@worker")]
    assert offered == ["@seen-worker"]
    assert Participant.objects.filter(actor__ref="hidden-worker").exists()


def test_a_spec_that_cites_itself_is_saved(browser, project):
    brief = make_brief("Self", project)
    specs.update(brief, f"#{brief.pk} @mike", base_version=0, actor=operator())
    assert f'href="/briefs/{brief.pk}/"' in body(browser.get(brief.get_absolute_url()))
