"""Whether flower works, told to those who ask, and how it does in numbers."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from briefs.models import Token
from briefs.services import actors
from core import logs, metrics
from dispatch import services
from flower import health
from tests.factories import make_brief, make_project, operator
from tests.web import WebProcess


@pytest.fixture(autouse=True)
def _checks_are_made_anew(monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)


def test_readyz_passes_when_every_check_does(client, db, monkeypatch):
    monkeypatch.setitem(health.CHECKS, "broker", lambda: None)
    answer = client.get("/readyz")
    report = answer.json()
    assert (answer.status_code, report["ready"]) == (200, True)
    assert {name: check["ok"] for name, check in report["checks"].items()} == {
        "database": True,
        "migrations": True,
        "broker": True,
    }


def test_readyz_says_what_fails_and_not_why(client, db, monkeypatch, caplog):
    def fail() -> None:
        raise OSError("redis://user:hunter2@10.0.0.7 refuses")

    monkeypatch.setitem(health.CHECKS, "broker", fail)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["broker"]["ok"] is False
    assert b"10.0.0.7" not in answer.content
    assert "a readiness check failed" in caplog.text


def test_a_broker_that_is_not_there_is_told_at_once(settings, tmp_path):
    settings.BROKER_SOCKET = tmp_path / "none.sock"
    settings.FLOWER = __import__("dataclasses").replace(settings.FLOWER, redis_url="")
    with pytest.raises(Exception, match=r"none\.sock"):
        health.check_broker()


def test_missing_migrations_are_noticed(db, monkeypatch):
    monkeypatch.setattr(health.MigrationExecutor, "migration_plan", lambda *_: ["one"])
    with pytest.raises(RuntimeError, match="1 migrations are not applied"):
        health.check_migrations()


def test_healthz_is_open(client, db):
    assert client.get("/healthz").json() == {"ok": True}


# --- metrics ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def sources() -> Iterator[None]:
    before = dict(metrics._sources)
    yield
    metrics._sources.clear()
    metrics._sources.update(before)


def test_metrics_need_a_login_or_a_token(client, browser, operator_token, agent_token):
    from django.test import Client

    assert Client().get("/metrics").status_code == 302
    assert Client().get("/metrics", headers={"Authorization": f"Bearer {agent_token}"}).status_code == 403
    for answer in (
        browser.get("/metrics"),
        Client().get("/metrics", headers={"Authorization": f"Bearer {operator_token}"}),
    ):
        assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/plain")
        assert b"# TYPE flower_http_requests_total counter" in answer.content


def test_a_token_of_one_project_sees_the_numbers_of_that_project(client, db, tmp_path):
    mine, other = (make_project(tmp_path / name, slug=name) for name in ("mine", "other"))
    make_brief("One", mine)
    for title in ("Two", "Three"):
        services.dispatch(make_brief(title, other), actor=operator())
    secret = actors.issue_token(operator(), Token.Scope.READONLY, project=mine)[0]
    limited = client.get("/metrics", headers={"Authorization": f"Bearer {secret}"}).content.decode()
    whole = metrics.exposition().decode()
    values = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in limited.splitlines() if line[0] != "#"
    }
    assert sum(value for name, value in values.items() if name.startswith("flower_briefs{")) == 1
    assert sum(value for name, value in values.items() if name.startswith("flower_dispatch_requests{")) == 0
    assert 'flower_dispatch_requests{state="queued"} 2.0' in whole
    assert "flower_http_requests" in whole and "flower_http_requests" not in limited  # of the process, for all projects


def test_an_app_offers_gauges_and_a_broken_one_spoils_none(sources, caplog):
    @metrics.gauge_source("flower_test_things", "Things by state.", ["state"])
    def things(project: int | None) -> metrics.Rows:
        return [(("queued",), 3), (("running",), 1)]

    @metrics.gauge_source("flower_test_broken", "Broken.")
    def broken(project: int | None) -> metrics.Rows:
        raise RuntimeError("no such table")

    text = metrics.exposition().decode()
    assert 'flower_test_things{state="queued"} 3.0' in text
    assert "flower_test_broken" not in text and "no such table" in caplog.text


def test_a_push_is_timed_from_its_sending():
    before = metrics.push_seconds._sum.get()
    metrics.note_push({"type": "x", "at": __import__("time").time() - 2})
    metrics.note_push({"type": "x"})
    assert 1.5 < metrics.push_seconds._sum.get() - before < 10


@pytest.mark.slow
def test_the_web_process_is_ready_and_counts(web_process: WebProcess):
    assert web_process.request("/readyz")[0] == 200
    operator = {"Authorization": f"Bearer {web_process.token('operator')}"}
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami","arguments":{}}}'
    web_process.request("/mcp", body, Content_Type="application/json", **operator)
    status, _, text = web_process.request("/metrics", **operator)
    assert status == 200
    assert b'flower_mcp_calls_total{outcome="ok",tool="whoami"}' in text
    assert b'flower_http_requests_total{method="POST",route="/mcp whoami",status="200"}' in text
    assert b"flower_websockets " in text


# --- logs -------------------------------------------------------------------------------------------------------------


def test_a_line_is_one_json_object_with_what_was_bound(capsys):
    import json

    configuration = logs.configuration(debug=False)["formatters"]["structured"]
    formatter = configuration["()"](
        foreign_pre_chain=configuration["foreign_pre_chain"], processors=configuration["processors"]
    )
    record = logging.LogRecord("somewhere", logging.INFO, "", 1, "it %s", ("happened",), None)
    with logs.bound(brief=12, dispatch=None):
        line = json.loads(formatter.format(record))
    assert (line["event"], line["brief"], line["level"]) == ("it happened", 12, "info")
    assert "dispatch" not in line and list(line)[:3] == ["timestamp", "level", "event"]
    assert "brief" not in structlog.contextvars.get_contextvars()


def test_the_access_line_hides_the_code_of_a_link(caplog):
    caplog.set_level(logging.INFO)
    scope = {"path": "/enter/ItXp95HPyNVwbaU6opp48aHZI4lKwhcE/", "method": "GET", "flower.actor": None}
    logs.note_request(scope, 302, 0.01)
    message = caplog.records[-1].msg
    assert logs.redact_event(None, "info", dict(message))["path"] == "/enter/[redacted]/"
