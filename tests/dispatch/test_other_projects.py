"""A token that is limited to one project changes nothing in another, although it sees a brief that concerns both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from briefs.identity import Identity
from briefs.models import Token
from briefs.services import actors, briefs
from core.errors import Forbidden
from dispatch import claims, machine, services, tools
from dispatch.models import DispatchRequest
from tests.factories import agent, git, identity, make_brief, make_project, operator

pytestmark = pytest.mark.django_db(transaction=True)

REFUSED = "limited to one project"


@pytest.fixture
def mine(db, home, kicks, tmp_path: Path):
    return make_project(tmp_path / "mine", slug="mine")


@pytest.fixture
def other(mine, tmp_path: Path):
    return make_project(tmp_path / "other", slug="other")


@pytest.fixture
def shared(mine, other):
    """A brief of the other project that also concerns mine."""
    brief = make_brief("Shared", other)
    briefs.set_other_project(brief, mine, True, actor=operator())
    return brief


@pytest.fixture
def limited(mine) -> Identity:
    return identity(agent("orchestrator"), Token.Scope.ORCHESTRATOR, project=mine.pk)


def test_nothing_is_dispatched_in_another_project(shared, limited, client):
    with pytest.raises(Forbidden, match=REFUSED):
        tools.brief_dispatch(limited, shared.pk)
    token = actors.issue_token(operator(), Token.Scope.OPERATOR, project=shared.other_projects.get())[0]
    answer = client.post(f"/briefs/{shared.pk}/dispatch/", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 403
    client.post(
        "/briefs/bulk/", {"brief": [shared.pk], "do": "dispatch:"}, headers={"authorization": f"Bearer {token}"}
    )
    assert not DispatchRequest.objects.exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda caller, number: tools.brief_claim(caller, dispatch=number),
        lambda caller, number: tools.brief_claim(caller, brief=DispatchRequest.objects.get(pk=number).brief_id),
        lambda caller, number: tools.brief_dispatch_cancel(caller, number, "no"),
    ],
)
def test_what_waits_in_another_project_is_left_alone(shared, limited, call: Callable[[Identity, int], object]):
    request = services.dispatch(shared, actor=operator())
    with pytest.raises(Forbidden, match=REFUSED):
        call(limited, request.pk)
    request.refresh_from_db()
    assert (request.state, request.fence) == ("queued", 0)


def test_what_is_out_in_another_project_is_neither_completed_nor_merged(shared, other, limited, client):
    request = services.dispatch(shared, actor=operator())
    claims.claim(request, actor=limited.actor)
    machine.advance(request.pk)
    request.refresh_from_db()
    checkout = request.worktree.checkout
    (checkout / "new.txt").write_text("new\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "Work")
    for call in (tools.brief_dispatch_complete, lambda who, number: tools.brief_dispatch_progress(who, "more", number)):
        with pytest.raises(Forbidden, match=REFUSED):
            call(limited, request.pk)
    services.complete(request, identity=identity(limited.actor))
    with pytest.raises(Forbidden, match=REFUSED):
        tools.dispatch_merge(limited, request.pk)
    token = actors.issue_token(operator(), Token.Scope.OPERATOR, project=shared.other_projects.get())[0]
    for act in ("merge", "cancel", "retry"):
        answer = client.post(f"/dispatches/{request.pk}/{act}/", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 403, act
    request.refresh_from_db()
    assert request.state == "finished"
    assert DispatchRequest.objects.count() == 1
