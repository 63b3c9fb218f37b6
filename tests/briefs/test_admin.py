"""What the admin lets one change: nothing that a page would refuse, and nothing without the permission for it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User

from briefs.models import Project, Token
from briefs.services import actors
from tests.factories import agent

pytestmark = pytest.mark.django_db


@pytest.fixture
def superuser(client) -> None:
    client.force_login(User.objects.create_superuser("root", password="a long password"))


@pytest.mark.parametrize("gates", ["[1, 2]", '"make test"', '{"a": 1}', "null", '[""]', '["a", null]', "["])
def test_gates_are_a_list_of_commands(client, superuser, project, gates):
    address = f"/admin/briefs/project/{project.pk}/change/"
    before = Project.objects.values().get()
    answer = client.post(address, {"setup_command": "", "gates": gates, "gate_seconds": 60})
    assert answer.status_code == 200, "the form again, with its errors"
    assert Project.objects.values().get() == before
    assert client.post(address, {"setup_command": "", "gates": '[" a "]', "gate_seconds": 0}).status_code == 200
    assert client.post(address, {"setup_command": "", "gates": '[" a "]', "gate_seconds": 9}).status_code == 302
    assert Project.objects.get().gates == ["a"]


def test_who_may_only_look_at_tokens_revokes_none(client):
    _, token = actors.issue_token(agent(), Token.Scope.AGENT)
    staff = User.objects.create_user("staff", password="a long password", is_staff=True)
    client.force_login(staff)
    form = {"action": "revoke", "_selected_action": [token.pk]}
    for name, revoked in (("view_token", False), ("change_token", True)):
        staff.user_permissions.add(Permission.objects.get(codename=name))
        client.post("/admin/briefs/token/", form)
        token.refresh_from_db()
        assert (token.revoked_at is not None) == revoked, name
