"""Who may come in: tokens, their limits and their end; one-time links; the commands that make them."""

from __future__ import annotations

import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client

from briefs.models import Actor, Token
from briefs.services import actors
from core.errors import Invalid, Unauthenticated
from tests.factories import agent, make_brief, make_project, operator


@pytest.fixture(autouse=True)
def _no_cache():
    actors.forget_cached_tokens()
    yield
    actors.forget_cached_tokens()


@pytest.mark.django_db
def test_a_token_is_kept_as_a_hash_only_and_says_who_calls():
    secret, token = actors.issue_token(agent("flower-orchestrator"), "orchestrator")
    assert secret not in str(Token.objects.values().get(pk=token.pk))
    caller = actors.authenticate(secret)
    assert (caller.actor.ref, caller.scope, caller.may_orchestrate) == ("flower-orchestrator", "orchestrator", True)
    assert Token.objects.get(pk=token.pk).last_used_at is not None


@pytest.mark.django_db
def test_unknown_revoked_and_expired_tokens_get_nothing():
    with pytest.raises(Unauthenticated, match="not known"):
        actors.authenticate("flower_wrong")
    secret, token = actors.issue_token(agent(), "agent")
    actors.authenticate(secret)
    actors.revoke(Token.objects.filter(pk=token.pk))
    with pytest.raises(Unauthenticated, match="revoked"):
        actors.authenticate(secret)
    secret, _ = actors.issue_token(agent(), "agent", lifetime=timedelta(seconds=-1))
    with pytest.raises(Unauthenticated, match="expired"):
        actors.authenticate(secret)


@pytest.mark.django_db
def test_a_revocation_made_elsewhere_takes_effect_within_the_caches_time(monkeypatch):
    secret, token = actors.issue_token(agent(), "agent")
    now = 1000.0
    monkeypatch.setattr(actors.time, "monotonic", lambda: now)
    actors.authenticate(secret)
    Token.objects.filter(pk=token.pk).revoke()  # another process: our cache knows nothing of it
    actors.authenticate(secret)
    now += actors.CACHE_SECONDS + 0.1
    assert actors.CACHE_SECONDS < 5
    with pytest.raises(Unauthenticated, match="revoked"):
        actors.authenticate(secret)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "scope"), [("agent", "operator"), ("operator", "agent"), ("agent", "run"), ("agent", "x")]
)
def test_scopes_that_do_not_fit_are_refused(kind, scope):
    with pytest.raises(Invalid):
        actors.issue_token(actors.named(f"some-{kind}", kind), scope)


@pytest.mark.django_db
def test_names_are_checked_and_belong_to_one_kind():
    for bad in ("", "a b", "<script>", "x" * 121, "-x", "a\n"):
        with pytest.raises(Invalid, match="no actor name"):
            actors.named(bad, Actor.Kind.AGENT)
    operator("mike")
    with pytest.raises(Invalid, match="an operator already"):
        actors.named("operator:mike", Actor.Kind.AGENT)


@pytest.mark.django_db(transaction=True)
def test_an_entry_code_lets_exactly_one_of_many_in():
    code = actors.issue_entry_code(operator())
    outcomes: list[str] = []
    start = threading.Barrier(8)

    def enter():
        try:
            start.wait()
            outcomes.append(actors.redeem_entry_code(code).ref)
        except Unauthenticated:
            outcomes.append("refused")
        finally:
            connections.close_all()

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["operator:mike"] + ["refused"] * 7


@pytest.mark.django_db
def test_actor_token_prints_the_token_alone(tmp_path):
    make_project(tmp_path / "sample", slug="sample")
    out = StringIO()
    call_command("actor_token", "operator:mike", "--project", "sample", stdout=out)
    caller = actors.authenticate(out.getvalue().strip())
    assert (caller.actor.ref, caller.scope) == ("operator:mike", "operator")
    assert caller.project is not None
    with pytest.raises(CommandError, match="no project 'nowhere'"):
        call_command("actor_token", "operator:mike", "--project", "nowhere")
    with pytest.raises(CommandError, match="cannot have a token"):
        call_command("actor_token", "operator:mike", "--scope", "agent")


@pytest.mark.django_db
def test_a_run_token_sees_its_own_brief_only():
    mine, other = make_brief("Mine"), make_brief("Other")
    secret, _ = actors.issue_token(agent(), "run", brief=mine, run=7)
    caller = actors.authenticate(secret)
    assert (caller.brief, caller.run) == (mine.pk, 7)
    assert not caller.may_see(other)


@pytest.mark.django_db
def test_login_link_prints_a_link_that_works_once(client, operator, person, settings):
    out = StringIO()
    call_command("login_link", stdout=out)
    address = out.getvalue().strip().removeprefix(settings.FLOWER.public_url)
    assert client.post(address).status_code == 302
    assert client.get("/briefs/").status_code == 200
    assert Client().get(address).status_code == 401
    with pytest.raises(CommandError, match="no operator 'operator:nobody'"):
        call_command("login_link", "operator:nobody")
