"""A web process for tests: broker, migrated database, daphne; with people, tokens and briefs in it.

Run as a program (``python -m tests.web``) it makes those and prints them as JSON: it needs Django on another database
than the suite's own, hence its own process.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class WebProcess:
    """``url`` has no slash at its end. ``scene`` holds what make_scene() printed. ``log`` is what it wrote."""

    url: str
    home: Path
    scene: dict[str, Any]
    log: Path

    def token(self, scope: str) -> str:
        return str(self.scene["tokens"][scope])

    def execute(self, sql: str, *values: Any) -> None:
        """Change the web process's database behind its back, as another process would."""
        with closing(sqlite3.connect(self.home / "flower.sqlite3", timeout=10)) as database, database:
            database.execute(sql, values)

    def revoke(self, secret: str) -> None:
        digest = hashlib.sha256(secret.encode()).hexdigest()
        self.execute("UPDATE briefs_token SET revoked_at = '2026-01-01 00:00:00' WHERE digest = ?", digest)

    def request(
        self, path: str, body: bytes | None = None, method: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One plain HTTP request, redirects not followed. Header names are written with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=body, headers=named, method=method)
        opener = urllib.request.build_opener(_Stay)
        try:
            with opener.open(request, timeout=20) as response:
                return response.status, dict(response.headers), response.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    @classmethod
    @contextmanager
    def started(cls) -> Iterator[WebProcess]:
        from flower import env, up

        with tempfile.TemporaryDirectory(prefix="flower-web-", ignore_cleanup_errors=True) as folder:
            home, port = Path(folder), _free_port()
            ours = {"FLOWER_HOME": folder, "FLOWER_PORT": str(port), "DJANGO_SETTINGS_MODULE": "flower.settings"}
            plain = (
                "FLOWER_HOST",
                "FLOWER_PUBLIC_URL",
                "FLOWER_ALLOWED_HOSTS",
                "FLOWER_DEBUG",
                "DATABASE_URL",
                "REDIS_URL",
            )
            environment = {**os.environ, **dict.fromkeys(plain, ""), **ours}
            where = env.read(environment)
            for made in (home / "broker", home / "static", where.run):
                made.mkdir(parents=True, exist_ok=True)
            broker = subprocess.Popen(up.broker(where).argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            web = None
            try:
                _await(where.broker_socket.exists, broker)
                made = subprocess.run(
                    [sys.executable, "-m", "tests.web"], cwd=ROOT, env=environment, check=True, capture_output=True
                )
                log = home / "web.log"
                argv = [sys.executable, "-m", "flower.web", "--port", str(port)]
                with log.open("wb") as output:
                    web = subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=output, stderr=output)
                process = cls(f"http://127.0.0.1:{port}", home, json.loads(made.stdout), log)
                _await(lambda: process.answers(), web)
                yield process
            finally:
                for child in filter(None, (web, broker)):
                    child.terminate()
                    try:
                        child.wait(10)
                    except subprocess.TimeoutExpired:
                        child.kill()
                        child.wait()

    def answers(self) -> bool:
        try:
            return self.request("/healthz")[0] == 200
        except OSError:
            return False


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(answers: Any, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 120
    while not answers():
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        assert time.monotonic() < limit, f"{process.args} is not ready after 120 s"
        time.sleep(0.05)


def make_scene() -> dict[str, Any]:
    from django.conf import settings
    from django.contrib.auth.models import User

    from briefs.models import Token
    from briefs.services import actors, briefs
    from tests import factories

    os.environ.update(factories.GIT_ENV)
    project = factories.make_project(settings.FLOWER.home / "sample")
    mike, agent = factories.operator(), factories.agent()
    mike.user = User.objects.create_user("mike", password="a long password")
    mike.save()
    mine = factories.make_brief("Mine to do", project)
    other = factories.make_brief("Somebody else's", project)
    for number in range(10):
        briefs.note(mine, f"note {number} " + "word " * 30, actor=mike, kind="note")

    def token(actor: Any, scope: str, **limits: Any) -> str:
        return actors.issue_token(actor, scope, **limits)[0]

    scope = Token.Scope
    return {
        "mine": mine.pk,
        "other": other.pk,
        "project": project.slug,
        "codes": [actors.issue_entry_code(mike) for _ in range(3)],
        "tokens": {
            "operator": token(mike, scope.OPERATOR),
            "orchestrator": token(factories.agent("flower-orchestrator"), scope.ORCHESTRATOR),
            "agent": token(agent, scope.AGENT),
            "readonly": token(agent, scope.READONLY),
            "run": token(agent, scope.RUN, brief=mine, run=1),
            "other run": token(agent, scope.RUN, brief=other, run=2),
            "expired": token(agent, scope.AGENT, lifetime=timedelta(seconds=-1)),
            "to be revoked": token(agent, scope.AGENT),
        },
    }


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)  # pages need its manifest
    sys.stdout.write(json.dumps(make_scene()))


if __name__ == "__main__":
    main()
