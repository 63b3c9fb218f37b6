"""What runs: the broker, the supervisor and its processes, the addresses that people and agents use."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import socket
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.logs import redact
from flower import up
from flower.doctor.findings import Finding, fine, warning, wrong
from flower.env import Environment

STALE: Final = 30.0  # seconds without a pulse, which is renewed every five; docker-compose.yml has the same
STARTING: Final = 5.0  # seconds that a part which died may take to come back
ANSWER_SECONDS: Final = 5.0
OLDEST_REDIS: Final = (5, 0)
LONG_QUEUE: Final = 1_000  # kicks that nobody took; the sweep makes one every few seconds
PARTS: Final = ("worker", "watch", "beat")
START: Final = "make up"


@dataclass(frozen=True)
class Running:
    """``up``: the process id of the supervisor of this state folder, 0 when there is none. ``fresh``: parts whose
    pulse is fresh; in containers these run without a supervisor. ``path``: where the worker looks for programs, which
    may be another PATH than ours; None where that cannot be seen."""

    up: int
    fresh: frozenset[str]
    path: str | None = None

    @property
    def is_any(self) -> bool:
        return bool(self.up or self.fresh)


def look(flower: Environment) -> Running:
    fresh = (name for name in PARTS if (age := _pulse_age(flower, name)) is not None and age < STALE)
    fresh = (name for name in fresh if not _is_dead(_pid(flower, name)))
    return Running(_supervisor(flower.home), frozenset(fresh), _path_of(_pid(flower, "worker")))


def _is_dead(pid: int) -> bool:
    """Of a process that a supervisor wrote down. In containers there is none, and ids mean nothing elsewhere."""
    return bool(pid) and not Path(f"/proc/{pid}").exists()


def _path_of(pid: int) -> str | None:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if pid else []
    except OSError:
        return None
    return next((os.fsdecode(line[5:]) for line in variables if line.startswith(b"PATH=")), None)


def _supervisor(home: Path) -> int:
    """Who holds the lock of ``make up``. Only a moment's shared lock can tell, and nothing else."""
    try:
        with (home / "up.lock").open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                said = file.read(20).strip()
                return int(said) if said.isdigit() else 1
    except OSError:
        pass
    return 0


def _pulse_age(flower: Environment, name: str) -> float | None:
    try:
        return time.time() - (flower.run / f"{name}.pulse").stat().st_mtime
    except OSError:
        return None


def supervisor(running: Running) -> Iterator[Finding]:
    if running.up:
        yield fine("up", f"make up runs (process {running.up})")
    elif running.fresh:
        yield fine("up", f"without make up, {', '.join(sorted(running.fresh))} run")
    else:
        yield warning("up.stopped", "flower does not run", START)


def parts(flower: Environment, running: Running) -> Iterator[Finding]:
    """Worker, watch and beat say every few seconds that they work, and do not merely exist."""
    if not running.is_any:
        return
    for name in PARTS:
        age = _pulse_age(flower, name)
        if age is None and running.up:
            time.sleep(STARTING)  # it may have died a moment ago, and be back
            age = _pulse_age(flower, name)
        log = flower.home / "log" / f"{name}.log"
        if age is None:
            last = up._last_line(log)[:200]
            words = f"{name} does not run" + (f"; it last said: {redact(last)}" if last else "")
            yield wrong("part.gone", words, f"read {log}" if running.up else f"start it, or all with {START}")
        elif age > STALE:
            words = f"{name} has given no sign of life for {age:.0f} s"
            pid = _pid(flower, name)
            remedy = (
                f"kill -9 {pid}; make up starts it again within seconds"
                if running.up and pid
                else f"start {name} again"
            )
            yield wrong("part.stuck", words, remedy)
        else:
            yield fine(f"part.{name}", f"{name} works")


def _pid(flower: Environment, name: str) -> int:
    try:
        return int((flower.run / f"{name}.pid").read_text() or 0)
    except (OSError, ValueError):
        return 0


# --- the broker -------------------------------------------------------------------------------------------------------


def broker(flower: Environment, running: Running) -> Iterator[Finding]:
    """It answers, is new enough, keeps what it is given, and somebody takes it."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    if not flower.redis_url and not running.up:
        try:
            yield fine("broker.bundled", f"make up starts {up._broker_binary()}")
        except up.CannotStart as error:
            yield wrong("broker.missing", str(error), "apt-get install valkey-server, or set REDIS_URL")
        return
    url = flower.redis_url or f"unix://{flower.broker_socket}"
    once = Retry(NoBackoff(), 0)
    limits = {"socket_timeout": ANSWER_SECONDS, "socket_connect_timeout": ANSWER_SECONDS}
    try:
        with redis.Redis.from_url(url, retry=once, **limits) as client:
            told: dict[str, Any] = client.info()
            waiting = int(client.llen("flower:flower"))
    except redis.AuthenticationError:
        yield wrong("broker.denied", "Redis refuses the password of REDIS_URL", "correct REDIS_URL")
        return
    except redis.ResponseError as error:
        yield wrong(
            "broker.denied", f"Redis does not let flower ask: {error}", "allow its user INFO, LLEN and the rest"
        )
        return
    except (redis.RedisError, OSError, ValueError) as error:
        where = _place(flower.redis_url) if flower.redis_url else str(flower.broker_socket)
        words = f"no broker answers at {where} ({type(error).__name__})"
        remedy = (
            "start Redis (systemctl start redis), or take REDIS_URL out"
            if flower.redis_url
            else f"read {flower.home / 'log' / 'broker.log'}; stop make up and start it again"
        )
        yield wrong("broker.unreachable", words, remedy)
        return
    yield from _judge_broker(told, waiting)


def _judge_broker(told: dict[str, Any], waiting: int) -> Iterator[Finding]:
    version = str(told.get("redis_version", "0"))
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < OLDEST_REDIS:
        yield wrong("broker.old", f"Redis is {version}, and 5.0 is needed", "upgrade it, or take REDIS_URL out")
        return
    policy = str(told.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction" and int(told.get("maxmemory", 0)):
        words = f"Redis throws wake-ups away when it is full (maxmemory-policy {policy}): work is late"
        yield warning("broker.evicts", words, "redis-cli CONFIG SET maxmemory-policy noeviction")
    if "err" in {told.get("aof_last_write_status"), told.get("rdb_last_bgsave_status")}:
        yield warning("broker.disk", "the broker could not write its files", "make room on its disk")
    if waiting > LONG_QUEUE:
        words = f"{waiting:,} wake-ups wait, and no worker takes them"
        yield warning("broker.backlog", words, "look whether the worker works: FLOWER_HOME/log/worker.log")
    yield fine("broker", f"{'Valkey' if 'valkey_version' in told else 'Redis'} {told.get('valkey_version', version)}")


def _place(url: str) -> str:
    """An address without user and password."""
    parts = urllib.parse.urlsplit(url)
    return parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"


# --- addresses --------------------------------------------------------------------------------------------------------


def port(flower: Environment, running: Running) -> Iterator[Finding]:
    """Web answers on its port; where flower does not run, nobody else has it."""
    where = flower.origin.removeprefix("http://")
    if running.fresh and not running.up:
        return  # in a container the port is that of another one, or the very process that is asked for
    if not running.up:
        if taken := _why_taken(flower):
            words = f"{flower.host}:{flower.port} cannot be used ({taken})"
            yield wrong(
                "port.taken",
                words,
                f"ss -ltnp 'sport = :{flower.port}' says who has it; or set FLOWER_PORT to a free one",
            )
        else:
            yield fine("port", f"{where} is free")
        return
    status, body = _get(f"{flower.origin}/readyz")
    if status == 200:
        if (flower.home / "static").is_dir() and not (flower.home / "static" / "staticfiles.json").exists():
            words = f"{flower.home / 'static'} has lost its list of files: pages are errors"
            yield wrong("web.static", words, "manage.py collectstatic --noinput, then start make up again")
        yield fine("web", f"it answers at {where}")
    elif status == 503:
        lacks = ", ".join(name for name, one in _json(body).get("checks", {}).items() if not one.get("ok"))
        words = f"web is not ready: {lacks or 'it says 503'}"
        yield wrong("web.unready", words, f"see the lines on that above, and {flower.home / 'log' / 'web.log'}")
    else:
        words = f"web does not answer at {where} ({body if not status else f'status {status}'})"
        remedy = (
            f"read {flower.home / 'log' / 'web.log'}; run the doctor with the FLOWER_PORT and FLOWER_HOST of make up"
        )
        yield wrong("web.silent", words, remedy)


def _why_taken(flower: Environment) -> str:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(flower.host, flower.port, type=socket.SOCK_STREAM)[0]
    except OSError:
        return "this machine does not know the address FLOWER_HOST"
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            return error.strerror or str(error)
    return ""


def addresses(flower: Environment, running: Running) -> Iterator[Finding]:
    """What agents find as FLOWER_URL and FLOWER_MCP_URL leads here, from this machine."""
    if not running.is_any:
        return
    url = flower.public_url
    host = urllib.parse.urlsplit(url).hostname or ""
    if _proxied(host):
        words = f"programs of this environment ask a proxy for {host}, and so will agents"
        yield warning("url.proxy", words, f"export NO_PROXY={host},$NO_PROXY before make up")
    status, body = _get(f"{url}/healthz")
    if not status and url == flower.origin and running.up:
        return  # that web is silent is told already
    if not status:
        words = f"nobody answers at {url}, which is what agents are told ({body})"
        yield wrong("url.silent", words, _set_public_url(flower))
    elif status != 200 or _json(body).get("ok") is not True:
        words = f"{url}, which is what agents are told, is somebody else (status {status})"
        yield wrong("url.other", words, _set_public_url(flower))
    else:
        status, _ = _get(f"{url}/mcp", b"{}")
        if status != 401:  # what it says to whoever brings no token
            words = f"{url}/mcp gives status {status} where flower gives 401: agents' calls do not arrive"
            yield wrong("url.mcp", words, "have the proxy hand on POST /mcp as it is (deploy/nginx.conf)")
        else:
            yield fine("url", f"{url} leads here, for agents too")


def _set_public_url(flower: Environment) -> str:
    return f"start what stands in front of {flower.origin}, or set FLOWER_PUBLIC_URL to an address that leads there"


def _proxied(host: str) -> bool:
    proxies = urllib.request.getproxies_environment()
    return "http" in proxies and not urllib.request.proxy_bypass(host)


def _get(url: str, body: bytes | None = None) -> tuple[int, str]:
    """Status and body, without a proxy and without following; 0 and the reason when nobody answers."""
    headers = {"Content-Type": "application/json"} if body else {}
    try:
        with _opener.open(urllib.request.Request(url, body, headers), timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return answer.status, answer.read(10_000).decode(errors="replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(10_000).decode(errors="replace")
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return 0, str(getattr(reason, "strerror", None) or reason)[:100]


class _Stays(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_opener: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stays)


def _json(body: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
