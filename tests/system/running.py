"""A real flower for tests: ``python -m flower.up`` in a folder of its own, and the doors that people and agents use.

What the tests read of it, they read without it (the database file, the holders' folders, git), so that they can look
while any part of it is dead.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar

from daemons import terminal
from flower import env
from tests.factories import git, make_repository

CHILDREN = ("broker", "worker", "watch", "beat", "web")
START = 120.0  # seconds; it takes 5 on an idle machine
SERVICES = ("DATABASE_URL", "REDIS_URL", "MEILI_URL", "FLOWER_HOST", "FLOWER_PUBLIC_URL", "FLOWER_ALLOWED_HOSTS")
HERE = Path(__file__).parent
TOKEN = re.compile(r"\bflower_(?=[A-Za-z0-9_-]*[A-Z0-9])[A-Za-z0-9_-]{20,}")  # not names such as flower_requests_total

# manage.py, for several commands; a form feed ends what each of them prints
MANAGE = """
import json, os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "flower.settings"
from django.core.management import execute_from_command_line
for words in json.loads(sys.argv[1]):
    execute_from_command_line(["manage.py", *words])
    print(end="\\f", flush=True)
"""

Found = TypeVar("Found")


def until(ask: Callable[[], Found], what: str, seconds: float = 60) -> Found:
    """Ask until the answer is true; fails, saying what was awaited, after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline  # looked at before asking, so that a slow machine gets a last answer
        if found := ask():
            return found
        assert not late, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Refused(Exception):
    """A tool's answer that is an error; the text is its sentence."""


class Flower:
    """One state folder and the ``flower.up`` that runs, or ran, in it. ``database``: a URL, where it is not SQLite."""

    def __init__(self, home: Path, database: str = "") -> None:
        self.home, self.port, self.database = home, free_port(), database
        self.run = env.read({"FLOWER_HOME": str(home), "FLOWER_SECRET_KEY": "x" * 40}).run
        self.process: subprocess.Popen[str] | None = None
        self.code = ""
        self.codes: list[str] = []  # every entry code that was printed, to look for them where they must not be
        self.tokens: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        foreign = ("FLOWER_", "DJANGO_", "GIT_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        own = {"FLOWER_HOME": str(self.home), "FLOWER_PORT": str(self.port), "DATABASE_URL": self.database}
        own["FLOWER_TRANSCRIPT_ROOTS"] = str(self.home / "transcripts")  # not those of whoever runs the suite
        hermetic = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        return {**kept, **dict.fromkeys(SERVICES, ""), **own, **hermetic}  # empty: and not from .env

    # -- its life

    def start(self) -> Flower:
        """Start it and wait for both of its lines. Its complaints go to ``complaints``."""
        self.home.parent.mkdir(parents=True, exist_ok=True)
        with self.complaints.open("a") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "flower.up"],
                cwd=env.BASE_DIR,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout
        ready = self.process.stdout.readline()  # flower.up gives up by itself after some minutes
        assert ready == f"flower ready {self.url}/\n", self.complaints.read_text()
        self.code = self.process.stdout.readline().strip().removeprefix(f"login {self.url}/enter/")
        self.codes.append(self.code)
        return self

    @property
    def complaints(self) -> Path:
        return self.home.with_name(f"{self.home.name}.stderr")

    def complained(self) -> list[str]:
        """What the supervisor had to say, but that a loaded machine is slow."""
        lines = self.complaints.read_text().splitlines()
        return [line for line in lines if not line.startswith("flower: still waiting")]

    def stop(self) -> None:
        """What Ctrl-C does: everything but the agents ends."""
        assert self.process
        self.process.terminate()
        assert self.process.wait(40) == 0
        assert self.process.stdout
        self.process.stdout.close()

    def clear_away(self) -> None:
        """At a test's end, however it ended: flower stops, and so do the agents that it started."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()  # its children end with it
                self.process.wait()
        run_dirs = [path for path in (self.home / "processes").glob("*") if path.is_dir()]
        for run_dir in run_dirs:
            terminal.stop(run_dir, grace=0.5)
        for run_dir in run_dirs:
            until(lambda run_dir=run_dir: terminal.facts(run_dir).phase != "running", f"{run_dir} ends", 20)

    def pid(self, name: str) -> int:
        """The process id of a child, as the supervisor wrote it down; 0 while there is none."""
        try:
            return int((self.run / f"{name}.pid").read_text() or 0)
        except FileNotFoundError:
            return 0

    def pids(self) -> dict[str, int]:
        return {name: self.pid(name) for name in CHILDREN}

    def kill(self, name: str) -> int:
        """kill -9 of a child; returns its process id, which is dead by then."""
        pid = until(lambda: self.pid(name), f"{name} runs")
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid), f"{name} is dead", 10)
        return pid

    def is_whole(self) -> bool:
        """Whether all children are there and work."""
        if not all(pid and is_alive(pid) for pid in self.pids().values()):
            return False
        pulses = [self.run / f"{name}.pulse" for name in ("worker", "watch", "beat")]
        if not all(pulse.exists() and pulse.read_text() == str(self.pid(pulse.stem)) for pulse in pulses):
            return False
        return self.get("/readyz")[0] == 200

    # -- its doors

    def manage(self, *commands: Sequence[str]) -> list[str]:
        """Management commands, one after another in one process (Django takes a second to load); what each printed."""
        done = subprocess.run(
            [sys.executable, "-c", MANAGE, json.dumps(commands)],
            cwd=env.BASE_DIR,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=START,
        )
        assert done.returncode == 0, f"{commands}: {done.stdout}{done.stderr}"
        return [part.strip() for part in done.stdout.split("\f")[:-1]]

    def get(self, path: str, **headers: str) -> tuple[int, Message, str]:
        """A GET that follows no redirect: status, headers, body. Status 0: nobody answers."""
        request = urllib.request.Request(f"{self.url}{path}", headers=headers)
        try:
            with _opener.open(request, timeout=30) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()
        except OSError:
            return 0, Message(), ""

    def post(self, path: str) -> tuple[int, Message]:
        """An empty form, as curl sends it: status and headers."""
        try:
            with _opener.open(urllib.request.Request(f"{self.url}{path}", b""), timeout=30) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers

    def rpc(self, token: str | None, method: str, **params: Any) -> tuple[int, dict[str, Any]]:
        """One JSON-RPC message to /mcp, as a script sends it: HTTP's status and the message that came back."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        request = urllib.request.Request(f"{self.url}/mcp", body, headers)
        try:
            with _opener.open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"{}")

    def call(self, token: str, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool; its structured answer. Raises Refused with the sentence."""
        status, message = self.rpc(token, "tools/call", name=tool, arguments=arguments)
        assert status == 200, f"{tool}: {status} {message}"
        result = message["result"]
        if result.get("isError"):
            raise Refused(result["content"][0]["text"])
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        return dict(result["structuredContent"])

    # -- what it left behind

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the database file itself."""
        with closing(sqlite3.connect(f"file:{self.home / 'flower.sqlite3'}?mode=ro", uri=True, timeout=20)) as database:
            return database.execute(query, values).fetchall()

    def value(self, query: str, *values: Any) -> Any:
        ((value,),) = self.rows(query, *values)
        return value

    def state(self, dispatch: int) -> str:
        return str(self.value("select state from dispatch_dispatchrequest where id = ?", dispatch))

    def await_state(self, dispatch: int, *states: str, seconds: float = 60) -> str:
        """Wait for a request to be in one of the states; fails at once when it has ended in another way."""

        def reached() -> str:
            state = self.state(dispatch)
            if state in {"failed", "cancelled", "conflicted"} and state not in states:
                failure = self.value("select failure from dispatch_dispatchrequest where id = ?", dispatch)
                raise AssertionError(f"dispatch {dispatch} is {state}: {failure}")
            return state if state in states else ""

        return until(reached, f"dispatch {dispatch} is {' or '.join(states)}", seconds)

    def run_dir(self, dispatch: int) -> Path:
        """The holder's folder of a request's agent."""
        number = self.value("select process_id from dispatch_dispatchrequest where id = ?", dispatch)
        return self.home / "processes" / str(number)

    def logs(self) -> dict[str, str]:
        return {path.name: path.read_text(errors="replace") for path in sorted((self.home / "log").iterdir())}

    def troubles(self) -> list[str]:
        """What the logs complain of, an entry each: errors and tracebacks."""
        found = []
        for name, text in self.logs().items():
            for entry in re.split(r"^(?=[{\[])", text, flags=re.MULTILINE):  # JSON lines, and celery's own with many
                if "Traceback" in entry or re.search(r'"level": "(error|critical)"|: (ERROR|CRITICAL)/', entry):
                    found.append(f"{name}: {entry}")
        return found

    def assert_no_secrets_were_logged(self) -> None:
        for name, text in {**self.logs(), "stderr": self.complaints.read_text()}.items():
            assert not TOKEN.search(text), f"a token is in {name}"
            assert not any(secret in text for secret in [*self.codes, *self.tokens]), f"a secret is in {name}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


class Bench:
    """A running flower with an operator, agents and projects, and a folder of signals to them."""

    operator: str  # the operator's token

    def __init__(self, flower: Flower, folder: Path) -> None:
        self.flower, self.folder, self.signals = flower, folder, folder / "signals"
        self.signals.mkdir()

    def begin(self, *commands: Sequence[str]) -> list[str]:
        """Make the operator and the numbering agent, and run a module's own commands; what these printed."""
        first = (["actor_token", "operator:tester"], self.agent("numbers"))
        self.operator, _, *printed = self.flower.manage(*first, *commands)
        self.flower.tokens.append(self.operator)
        return printed

    def agent(self, name: str, *options: str) -> list[str]:
        """The command that registers the numbering agent."""
        argv = [sys.executable, "-I", "-S", str(HERE / "agent.py")]
        return ["agent_add", name, "--env", f"SIGNALS={self.signals}", *options, "--", *argv]

    def project(self, slug: str, *options: str, files: dict[str, str] | None = None) -> list[str]:
        """Make a repository; the command that adds it."""
        make_repository(self.folder / slug, files)
        return ["project_add", str(self.folder / slug), "--slug", slug, *options]

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.flower.call(self.operator, tool, **arguments)

    def brief(self, project: str, title: str = "Number the lines", spec: str = "Do it.\n") -> int:
        return int(self.call("brief_create", body=title, title=title, spec=spec, project=project)["brief"])

    def dispatch(self, project: str, agent: str = "numbers", **brief: str) -> int:
        """The number of a new request on a new brief."""
        return int(self.call("brief_dispatch", brief=self.brief(project, **brief), agent=agent)["dispatch"])

    def signal(self, *names: str) -> None:
        for name in names:
            (self.signals / name).touch()

    def await_signal(self, name: str) -> Path:
        path = self.signals / name
        until(path.exists, f"signal {name}")
        return path

    def size(self, name: str) -> int:
        path = self.signals / name
        return path.stat().st_size if path.exists() else 0

    def lines(self, name: str, word: str) -> int:
        """How often ``word`` is a line of a file that setup commands and gates write to."""
        path = self.signals / name
        return path.read_text().split().count(word) if path.exists() else 0


def assert_main_is_whole(path: Path) -> None:
    """Nothing staged, changed or untracked in MAIN; its index is its commit; no lock is left; git finds no damage."""
    assert git(path, "status", "--porcelain=v1") == ""
    assert git(path, "diff-index", "--cached", "HEAD") == ""
    assert not (path / ".git" / "index.lock").exists()
    subprocess.run(["git", "-C", str(path), "fsck", "--strict", "--no-dangling"], check=True, capture_output=True)


def merges_of(path: Path, dispatch: int) -> list[str]:
    """The commits on MAIN's own line that say they are this request's merge."""
    lines = git(path, "log", "--first-parent", "--format=%H %(trailers:key=Dispatch,valueonly)", "main").splitlines()
    return [words[0] for words in map(str.split, lines) if words[1:] == [str(dispatch)]]
