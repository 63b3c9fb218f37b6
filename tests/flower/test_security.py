"""Who gets in, how, and what a browser is told to keep out."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
import threading
from datetime import timedelta
from typing import Any

import kombu.exceptions
import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings as project_settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, path
from django.utils import timezone

from briefs import throttle, trace
from briefs.models import Actor, Token, TraceEntry
from briefs.models.throttle import LoginThrottle
from briefs.services import actors
from core import logs
from core.errors import Conflict, Forbidden
from flower import env, login, routing
from flower.asgi import application
from tests.factories import make_brief, operator

OPEN = ("login/", "logout/", "enter/", "healthz", "readyz")


# --- headers and cookies ----------------------------------------------------------------------------------------------


def test_every_page_carries_the_policy_and_no_inline_code_is_allowed(browser):
    for address in ("/login/", "/briefs/", "/nothing-here/"):
        policy = browser.get(address).headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy


def test_pages_forbid_framing_sniffing_and_features(browser):
    headers = browser.get("/briefs/").headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "camera=()" in headers["Permissions-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"


def test_the_session_cookie_is_for_http_and_this_site_only(client, person):
    client.post("/login/", {"username": "mike", "password": "a long password"})
    cookie = client.cookies[project_settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"] and cookie["samesite"] == "Lax"


def test_forms_need_their_token(person):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(person)
    assert strict.post("/logout/").status_code == 403
    assert strict.post("/briefs/capture/", {"body": "x"}).status_code == 403


# --- what is open -----------------------------------------------------------------------------------------------------


def addresses(patterns: list[Any] | None = None, before: str = "") -> list[str]:
    found: list[str] = []
    for pattern in patterns if patterns is not None else get_resolver().url_patterns:
        route = before + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            found += addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            found.append(route)
    return found


def test_everything_but_the_doors_needs_a_login(client, db):
    for route in addresses():
        if route.startswith((*OPEN, "admin/login/")) or "(?P" in route:
            continue
        address = "/" + route.replace("<int:", "<").replace("<slug:", "<").replace("<path:", "<").replace("$", "")
        while "<" in address:
            start, end = address.index("<"), address.index(">")
            address = f"{address[:start]}1{address[end + 1 :]}"
        for method in (client.get, client.post):
            answer = method(address)
            assert answer.status_code in {302, 404, 401, 403}, f"{address} answers {answer.status_code} to anybody"
            if answer.status_code == 302:
                assert answer.headers["Location"].startswith(("/login/?next=", "/admin/login/?next=")), address


def test_a_fragment_sends_its_page_to_the_login(client, db):
    answer = client.get("/briefs/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/briefs/?q=1"})
    assert answer.headers["HX-Redirect"] == "/login/?next=/briefs/%3Fq%3D1"


def test_a_program_is_told_so_in_json(client, db):
    answer = client.get("/briefs/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert answer.json() == {"error": "This needs a login or a token."}


# --- tokens on pages --------------------------------------------------------------------------------------------------


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_an_operators_token_opens_pages_and_forms_without_csrf(operator_token):
    strict = Client(enforce_csrf_checks=True)
    assert strict.get("/briefs/", headers=bearer(operator_token)).status_code == 200
    made = strict.post("/briefs/capture/", {"body": "From a script"}, headers=bearer(operator_token))
    assert made.status_code in {200, 204, 302}


def test_a_readonly_token_reads_and_an_agents_token_opens_no_page(client, agent):
    readonly = actors.issue_token(agent, Token.Scope.READONLY)[0]
    assert client.get("/briefs/", headers=bearer(readonly)).status_code == 200
    refused = client.post("/briefs/capture/", {"body": "x"}, headers={**bearer(readonly), "Accept": "application/json"})
    assert (refused.status_code, refused.json()) == (403, {"error": "This token may read and not change anything."})
    other = actors.issue_token(agent, Token.Scope.AGENT)[0]
    assert client.get("/briefs/", headers=bearer(other)).status_code == 403


def test_a_wrong_token_is_refused_even_where_the_browser_is_logged_in(browser):
    answer = browser.get("/briefs/", headers=bearer("flower_wrong"))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_no_token_opens_the_admin(operator_token, client):
    answer = client.get("/admin/", headers=bearer(operator_token))
    assert answer.status_code == 302 and "/login/" in answer.headers["Location"]


# --- refusals on pages ------------------------------------------------------------------------------------------------


def refuses(request: Any) -> None:
    assert request.identity.actor.ref == "operator:mike"
    raise Conflict("Somebody was quicker.", detail="one\ntwo")


def forbids(request: Any) -> None:
    raise Forbidden("Not for you.")


@pytest.fixture
def refusing_pages(monkeypatch, settings):
    import types

    from flower import urls

    module = types.ModuleType("refusing_urls")
    module.urlpatterns = [path("refuses/", refuses), path("forbids/", forbids), *urls.urlpatterns]  # type: ignore[attr-defined]
    module.handler404 = urls.handler404  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "refusing_urls", module)
    settings.ROOT_URLCONF = "refusing_urls"


def test_a_refusal_is_shown_as_the_asker_can_take_it(browser, refusing_pages):
    page = browser.get("/refuses/")
    assert page.status_code == 409 and b"Somebody was quicker." in page.content and b"<html" in page.content
    fragment = browser.get("/refuses/", headers={"HX-Request": "true"})
    assert (
        fragment.status_code == 409
        and b"Somebody was quicker." in fragment.content
        and b"<html" not in fragment.content
    )
    assert (fragment.headers["HX-Retarget"], fragment.headers["HX-Reswap"]) == ("this", "afterend")
    program = browser.get("/refuses/", headers={"Accept": "application/json"})
    assert program.json() == {"error": "Somebody was quicker.", "detail": "one\ntwo"}
    assert browser.get("/forbids/").status_code == 403


def test_what_was_sent_is_escaped_in_a_refusal(browser):
    answer = browser.get("/<script>alert(1)</script>")
    assert answer.status_code == 404 and b"<script>alert" not in answer.content


def test_a_form_that_is_too_large_gets_a_sentence(browser):
    answer = browser.post("/briefs/capture/", {"body": "x" * 1_100_000}, headers={"Accept": "application/json"})
    assert (answer.status_code, "1,000,000 bytes" in answer.json()["error"]) == (413, True)


# --- logging in -------------------------------------------------------------------------------------------------------


def test_a_password_logs_in_and_the_session_is_a_new_one(client, person):
    client.get("/login/")
    session = client.session
    session["kept"] = 1
    session.save()
    before = session.session_key
    client.cookies[project_settings.SESSION_COOKIE_NAME] = before
    answer = client.post("/login/", {"username": "mike", "password": "a long password", "next": "/projects/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/projects/")
    assert client.session.session_key != before


def test_nobody_is_sent_to_another_site(client, person):
    form = {"username": "mike", "password": "a long password", "next": "https://evil.example/"}
    assert client.post("/login/", form).headers["Location"] == "/briefs/"


def test_logging_out_is_a_post(browser):
    answer = browser.get("/logout/")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    assert "A form is sent to this address" in answer.content.decode()
    assert browser.post("/logout/").status_code == 302
    assert browser.get("/briefs/").status_code == 302


def attempt(client: Client, name: str = "mike", password: str = "wrong", address: str = "10.0.0.1") -> int:
    return client.post("/login/", {"username": name, "password": password}, REMOTE_ADDR=address).status_code


def test_a_name_that_is_tried_often_waits_longer_and_longer(client, person):
    assert [attempt(client, address=f"10.0.0.{n}") for n in range(7)] == [200] * 5 + [429, 429]
    answer = client.post("/login/", {"username": "MIKE", "password": "a long password"}, REMOTE_ADDR="10.0.1.1")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) >= 1
    assert b"too many attempts" in answer.content
    row = LoginThrottle.objects.get(attempts=5)
    LoginThrottle.objects.update(blocked_until=timezone.now() - timedelta(seconds=1))
    assert attempt(client, address="10.0.2.1") == 200
    longer = LoginThrottle.objects.get(pk=row.pk)
    assert longer.blocked_until - longer.last_at == timedelta(seconds=2)
    LoginThrottle.objects.update(blocked_until=None)
    assert attempt(client, password="a long password") == 302
    assert not LoginThrottle.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("typed", ["mike", "ｍike", "ＭＩＫＥ", " mike ", "Mike", "ᵐⁱke"])
def test_what_the_form_takes_for_one_name_is_counted_as_one(db, typed):
    for number in range(throttle.FREE["user"]):
        throttle.count_attempt(user="mike", address=f"10.0.1.{number}")
    with pytest.raises(throttle.TooManyAttempts):
        throttle.count_attempt(user=typed, address="10.0.0.9")
    throttle.count_attempt(user="mika", address="10.0.0.9")


def test_an_address_that_tries_many_names_is_throttled_too(client, db):
    codes = [attempt(client, name=f"name{n}") for n in range(22)]
    assert codes == [200] * 20 + [429] * 2
    assert attempt(client, name="another", address="10.0.0.2") == 200
    assert LoginThrottle.objects.count() == 20 + 1 + 2  # names, and addresses: a blocked one makes no further rows


def test_the_wait_has_an_end():
    now = timezone.now()
    assert throttle._blocked_until("user", 4, now) is None
    assert throttle._blocked_until("user", 8, now) - now == timedelta(seconds=8)
    assert throttle._blocked_until("user", 10**9, now) - now == throttle.LONGEST_WAIT


def test_what_is_a_day_old_is_forgotten(db):
    throttle.count_attempt(user="ann", address="10.0.0.9")
    LoginThrottle.objects.update(last_at=timezone.now() - timedelta(days=2), attempts=50)
    throttle.count_attempt(user="ann", address="10.0.0.1")
    assert sorted(LoginThrottle.objects.values_list("attempts", flat=True)) == [1, 1]


@pytest.mark.django_db(transaction=True)
def test_many_attempts_at_one_moment_are_many_attempts():
    refused = []

    def try_once() -> None:
        try:
            throttle.count_attempt(user="mike", address="10.0.0.1")
        except throttle.TooManyAttempts:
            refused.append(1)
        finally:
            connection.close()

    tries = [threading.Thread(target=try_once) for _ in range(16)]
    for thread in tries:
        thread.start()
    for thread in tries:
        thread.join()
    assert len(refused) == 11


def test_behind_a_proxy_the_address_is_what_the_proxy_says(rf, settings):
    request = rf.get("/", headers={"X-Forwarded-For": "6.6.6.6, 10.1.1.1"}, REMOTE_ADDR="127.0.0.1")
    assert login.address_of(request) == "127.0.0.1"
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert login.address_of(request) == "10.1.1.1"


# --- one-time links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_link_logs_in_once_by_its_button(client, operator, ending):
    code = actors.issue_entry_code(operator)
    page = client.get(f"/enter/{code}{ending}")
    assert page.status_code == 200 and b"operator:mike" in page.content
    assert client.get("/briefs/").status_code == 302  # not logged in by that
    answer = client.post(f"/enter/{code}{ending}")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/briefs/")
    assert client.get("/briefs/").status_code == 200
    for method in ("get", "post"):
        again = getattr(Client(), method)(f"/enter/{code}{ending}")
        assert again.status_code == 401 and code.encode() not in again.content


def test_looking_at_a_link_does_not_use_it_up(client, operator):
    """As a chat's preview, a mail scanner and a prefetching browser do it, each several times."""
    address = f"/enter/{actors.issue_entry_code(operator)}/"
    for headers in ({}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}, {}):
        page = client.get(address, headers=headers)
        assert page.status_code == 200
        assert "no-store" in page.headers["Cache-Control"] and page.headers["Referrer-Policy"] == "no-referrer"
    assert client.head(address).status_code == 200
    assert client.put(address).status_code == 405
    assert client.post(address).status_code == 302


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 302),  # curl
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 302),
        ({"Origin": "http://testserver"}, 302),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),  # a sandboxed frame, or our own page without the token of its form
    ],
)
def test_a_link_is_not_used_up_by_another_sites_form(client, operator, headers, status):
    code = actors.issue_entry_code(operator)
    assert client.post(f"/enter/{code}/", headers=headers).status_code == status
    assert client.post(f"/enter/{code}/").status_code == (401 if status == 302 else 302)


def test_the_form_of_a_link_goes_without_a_referrer_over_plain_http(operator):
    strict = Client(enforce_csrf_checks=True)
    address = f"/enter/{actors.issue_entry_code(operator)}/"
    token = re.search(rb'name="csrfmiddlewaretoken" value="([^"]+)"', strict.get(address).content)[1].decode()
    answer = strict.post(address, {"csrfmiddlewaretoken": token}, headers={"Origin": "null"})
    assert answer.status_code == 302


def test_two_flowers_on_one_host_keep_both_logins():
    """Browsers do not tell ports apart: the cookies' names do, by the port that people type."""
    ports = [
        env.read({"FLOWER_HOME": "/tmp", "FLOWER_SECRET_KEY": "x" * 40, **values}).cookie_suffix
        for values in (
            {},
            {"FLOWER_PORT": "8105"},
            {"FLOWER_PORT": "8105", "FLOWER_PUBLIC_URL": "http://flower.example:8080"},
            {"FLOWER_PORT": "8105", "FLOWER_PUBLIC_URL": "https://flower.example"},
        )
    ]
    assert ports == ["8000", "8105", "8080", "8105"]
    suffix = project_settings.FLOWER.cookie_suffix
    assert f"flower_session_{suffix}" == project_settings.SESSION_COOKIE_NAME
    assert f"flower_csrf_{suffix}" == project_settings.CSRF_COOKIE_NAME


def test_another_flowers_cookie_is_left_alone(client, person):
    client.cookies["flower_session_1"] = "another's"
    answer = client.get("/login/")
    assert "flower_session_1" not in answer.cookies


def test_a_link_replaces_whoever_was_logged_in(browser, operator):
    browser.get("/briefs/")
    before = browser.session.session_key
    browser.post(f"/enter/{actors.issue_entry_code(actors.named('operator:ann', 'operator'))}/")
    assert browser.session.session_key != before
    assert User.objects.get(pk=browser.session["_auth_user_id"]).username == "ann"


def test_the_first_operator_may_use_the_admin_and_the_next_may_not(db):
    first = login.user_of(actors.named("operator:mike", "operator"))
    second = login.user_of(actors.named("operator:ann", "operator"))
    assert (first.username, first.is_superuser, first.has_usable_password()) == ("mike", True, False)
    assert (second.is_staff, second.is_superuser) == (False, False)
    assert login.user_of(Actor.objects.get(ref="operator:mike")) == first
    client = Client()
    client.force_login(first)
    assert client.get("/admin/").status_code == 200
    client.force_login(second)
    assert client.get("/admin/", follow=True).status_code == 403


def test_a_user_that_is_somebody_elses_is_not_taken_over(db, person):
    other = Actor.objects.create(ref="mike", kind=Actor.Kind.OPERATOR)
    assert login.user_of(other).username == f"mike-{other.pk}"


def test_an_agent_cannot_log_in(client, agent):
    code = actors.issue_entry_code(agent)
    assert client.get(f"/enter/{code}/").status_code == client.post(f"/enter/{code}/").status_code == 403


def test_the_admin_has_no_login_of_its_own(client, db):
    answer = client.get("/admin/login/?next=/admin/auth/")
    assert answer.headers["Location"] == "/login/?next=/admin/auth/"
    smuggled = client.get("/admin/login/?next=/admin/%3Fa%26next%3D//evil.example")
    assert smuggled.headers["Location"] == "/login/?next=/admin/%3Fa%26next%3D//evil.example"
    assert client.get("/admin/login/?next=//evil.example/").headers["Location"] == "/login/?next=/admin/"
    assert client.post("/admin/login/", {"username": "mike"}).status_code == 405


# --- websockets -------------------------------------------------------------------------------------------------------


@async_to_sync
async def knock(path: str = "/ws/board/", **headers: str) -> dict[str, Any]:
    lines = {"host": "localhost:8000", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "websocket",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "subprotocols": [],
    }
    said = iter([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(said)

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    return {**sent[0], "identity": scope.get("identity")}


committed = pytest.mark.django_db(transaction=True)


@committed
def test_a_socket_needs_a_login_or_a_token(operator_token):
    assert knock()["code"] == routing.NOT_LOGGED_IN
    assert knock(authorization="Bearer flower_wrong")["code"] == routing.NOT_LOGGED_IN
    assert knock(cookie=f"{project_settings.SESSION_COOKIE_NAME}=nonsense")["code"] == routing.NOT_LOGGED_IN
    opened = knock(authorization=f"Bearer {operator_token}")
    assert opened["type"] == "websocket.accept"
    assert opened["identity"].actor.ref == "operator:mike"


@committed
def test_a_logged_in_browser_opens_a_socket_as_its_operator(browser):
    key = browser.cookies[project_settings.SESSION_COOKIE_NAME].value
    opened = knock(cookie=f"{project_settings.SESSION_COOKIE_NAME}={key}", origin="http://localhost:8000")
    assert (opened["type"], opened["identity"].scope) == ("websocket.accept", "operator")


@committed
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://localhost:3000"},
        {"origin": "null"},
        {"origin": "http://evil.example", "host": "evil.example"},
        {"host": "evil.example"},
    ],
)
def test_another_sites_page_opens_no_socket(browser, headers):
    key = browser.cookies[project_settings.SESSION_COOKIE_NAME].value
    refused = knock(cookie=f"{project_settings.SESSION_COOKIE_NAME}={key}", **headers)
    assert (refused["type"], refused["code"]) == ("websocket.close", routing.NOT_LOGGED_IN)


@committed
def test_a_socket_does_not_outlive_its_token_for_long(agent, monkeypatch):
    monkeypatch.setattr(routing, "RECHECK_SECONDS", 0.05)
    monkeypatch.setattr(actors, "CACHE_SECONDS", 0.0)
    secret, token = actors.issue_token(agent, Token.Scope.AGENT)
    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {secret}".encode())]
    said = []

    @async_to_sync
    async def stay() -> None:
        async def consumer(scope: Any, receive: Any, send: Any) -> None:
            await routing.run_in_database_thread(actors.revoke, Token.objects.filter(pk=token.pk))
            said.append(await receive())

        async def receive() -> None:
            await asyncio.Event().wait()  # the client says nothing

        async def send(message: Any) -> None:
            said.append(message)

        async with asyncio.timeout(5):
            await routing.Sockets(consumer)({"type": "websocket", "headers": headers}, receive, send)

    stay()
    assert [message["type"] for message in said] == ["websocket.close", "websocket.disconnect"]
    assert {message["code"] for message in said} == {routing.NOT_LOGGED_IN}


@committed
def test_the_public_address_is_an_origin_too(operator_token):
    opened = knock(authorization=f"Bearer {operator_token}", origin=project_settings.FLOWER.public_url)
    assert opened["type"] == "websocket.accept"


@committed
def test_a_socket_that_leads_nowhere_is_closed(operator_token):
    assert knock("/ws/nothing/", authorization=f"Bearer {operator_token}")["type"] == "websocket.close"


# --- secrets ----------------------------------------------------------------------------------------------------------


SECRETS = [
    "flower_y1qBE5p_sn7L5O5PMMp_16dvMq-xXSWVBN8kGHqlP9s",
    "sk-ant-api03-abcdefghijklmnopqrst",
    "sk-proj-abcdefghijklmnop1234",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl",
    "glpat-abcdefghijklmnopqrst",
    "xoxb-123456789012-abcdefghijkl",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
]


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "token {} here", "--key={}", '{{"a": "{}"}}', "x\n{}\ny"])
def test_a_secret_is_hidden_wherever_it_stands(secret, around):
    assert secret not in logs.redact(around.format(secret))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("Authorization: Bearer abc.def", "abc.def"),
        ("{'authorization': 'Basic dXNlcjpwdw=='}", "dXNlcjpwdw"),
        ("authorization=Token 12345678", "12345678"),
        ("GET /enter/ItXp95HPyNVwbaU6/ HTTP/1.1", "ItXp95HPyNVwbaU6"),
        ("password=hunter2&next=/", "hunter2"),
        ('{"password": "hunter2"}', "hunter2"),
        ("OPENAI_API_KEY=abcdef", "abcdef"),
        ("mysql://flower:hunter2@db/flower", "hunter2"),
        ("redis://:hunter2@127.0.0.1:6379", "hunter2"),
        ("Cookie: flower_session=0123456789abcdef; x=1", "0123456789abcdef"),
        ("Cookie: flower_session_8000=0123456789abcdef; x=1", "0123456789abcdef"),
        ("Cookie: flower_csrf_8000=0123456789abcdef; x=1", "0123456789abcdef"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", "MIIEow"),
    ],
)
def test_what_is_named_a_secret_is_hidden(text, hidden):
    redacted = logs.redact(text)
    assert hidden not in redacted and logs.HIDDEN in redacted


@pytest.mark.parametrize(
    "text",
    [
        "flower_dispatch_requests_oldest_age_seconds",
        "brief #12 moved to in_progress",
        "https://example.org/a?b=c#d",
        "http://127.0.0.1:8000/briefs/12/",
        "The password is too short.",
        "the bearer of bad news",
    ],
)
def test_what_is_no_secret_stands(text):
    assert logs.redact(text) == text


@pytest.mark.django_db
@pytest.mark.parametrize("secret", SECRETS)
def test_a_token_never_gets_on_the_trace(secret):
    """Whoever pastes it, by whichever door: what is on the trace stays there."""
    brief = make_brief(f"A title with {secret}", spec=f"A spec with {secret}")
    entry = trace.append(brief, "note", actor=operator(), body=f"A note with {secret}; the password: is explained")
    assert "the password: is explained" in entry.body
    assert not TraceEntry.objects.filter(body__contains=secret).exists()
    brief.refresh_from_db()
    assert secret not in brief.title + brief.spec


@pytest.mark.parametrize(
    "piece", ["-a", "a.", "eyJ-", "flower_-", "a://", "password", "bearer ", "secret-", "://a", "sk-a", "-----BEGIN A"]
)
def test_a_text_that_is_made_to_be_slow_is_read_once(piece):
    """Anybody's address is logged, and an agent's output is shown. Where each letter began anew this took hours."""
    text = "sk- secret " + piece * (1_000_000 // len(piece))
    assert len(logs.redact(text)) > 10


def test_the_processor_reaches_into_values_and_knows_names():
    secret = SECRETS[0]
    event = logs.redact_event(
        None, "info", {"event": f"x {secret}", "token": "short", "deep": {"a": [secret], "Password": "p"}, "n": 3}
    )
    assert secret not in json.dumps(event) and event["token"] == logs.HIDDEN
    assert event["deep"]["Password"] == logs.HIDDEN and event["n"] == 3


@pytest.mark.parametrize("lost", [redis.exceptions.ConnectionError, kombu.exceptions.OperationalError])
def test_a_lost_broker_costs_one_line_of_log(lost):
    try:
        raise lost("gone")
    except lost:
        record = logging.LogRecord("django.db", logging.ERROR, "", 1, "a hook failed", None, sys.exc_info())
    assert logs._brief_on_lost_connections(record) and record.exc_info is None and record.levelname == "WARNING"
