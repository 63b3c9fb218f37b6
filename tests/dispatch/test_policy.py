"""Who may do what with a dispatch: every scope, within its project and outside of it."""

from __future__ import annotations

import pytest

from briefs.models import Project, Token
from core.errors import Forbidden
from dispatch import policy, services
from tests.factories import agent, identity, make_brief, operator

pytestmark = pytest.mark.django_db
ACTS = ("dispatch", "merge", "retry")


@pytest.fixture
def request_(project):
    return services.dispatch(make_brief("Work", project), actor=operator())


@pytest.mark.parametrize("scope", Token.Scope.values)
@pytest.mark.parametrize("limit", ["none", "its project", "another project"])
def test_operators_and_orchestrators_act_within_their_project(request_, tmp_path, scope, limit):
    other = Project.objects.create(slug="other", root=str(tmp_path / "other"), main_branch="main")
    limits = {"none": {}, "its project": {"project": request_.project_id}, "another project": {"project": other.pk}}
    caller = identity(agent(), scope, **limits[limit])
    allowed = scope in {Token.Scope.OPERATOR, Token.Scope.ORCHESTRATOR} and limit != "another project"
    for act in ACTS:
        about = request_.brief if act == "dispatch" else request_
        assert getattr(policy, f"may_{act}")(caller, about) is allowed, act
        if allowed:
            getattr(policy, f"check_{act}")(caller, about)
        else:
            with pytest.raises(Forbidden):
                getattr(policy, f"check_{act}")(caller, about)
    assert policy.may_cancel(caller, request_) is allowed


def test_a_page_and_the_admin_cancel_as_the_tool_does(browser, person, request_):
    other = services.dispatch(make_brief("More work", request_.project), actor=operator())
    browser.post(f"/dispatches/{request_.pk}/cancel/", {"why": "not now"})
    person.is_staff = person.is_superuser = True
    person.save()
    browser.post("/admin/dispatch/dispatchrequest/", {"action": "cancel", "_selected_action": [other.pk]})
    for row in (request_, other):
        row.refresh_from_db()
        assert (row.state, row.ended_by, row.failure_class) == ("cancelled", operator(), "cancelled")
