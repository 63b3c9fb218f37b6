"""Running git: the only place where flower starts it.

Why not GitPython's `Git.execute`: it lets the inherited environment through (GIT_DIR of a hook or a shell would aim
us at another repository, and `Repo()` believes GIT_WORK_TREE and GIT_COMMON_DIR over its own argument), has no bound
on captured output, and its time limit kills by scanning `ps`. We need a clean environment, descriptors handed to the
child (`pass_fds`, see locks.py), bounds, and a kill of the whole process group. GitPython gives its value types
instead (`git.Actor`, its error base) and is the independent reader in the tests.

- argv lists only, never a shell string; paths and names come after `--` or `--end-of-options`.
- Hooks and fsmonitor are off: flower's plumbing is not a person's commit. gc is off: it would outlive us.
- Of the filters and merge drivers that configuration names only those run that an operator allowed (programs.py).
- git runs in a session of its own, so that Ctrl-C on the server does not stop it half-way, and so that its filters
  die with it. It is asked to stop (SIGTERM: git removes its lock files) before it is killed.
- git never looks for a repository above the given folder: a worktree whose `.git` is gone must not become MAIN.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.environment import clean_environment

from . import programs
from .errors import FilterNotAllowed, GitError

QUICK = 60.0  # seconds: plumbing
SLOW = 600.0  # seconds: whatever writes a whole tree
OUTPUT_LIMIT = 64 * 1024 * 1024  # bytes of stdout kept in memory
ERROR_LIMIT = 64 * 1024

IDENTITY = {
    "GIT_AUTHOR_NAME": "flower",
    "GIT_AUTHOR_EMAIL": "flower@localhost",
    "GIT_COMMITTER_NAME": "flower",
    "GIT_COMMITTER_EMAIL": "flower@localhost",
}

_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "color.ui=false",
    "core.quotePath=false",
    "core.safecrlf=false",
    "log.showSignature=false",
    "i18n.logOutputEncoding=UTF-8",
    "i18n.commitEncoding=UTF-8",
    "submodule.recurse=false",
    "protocol.ext.allow=never",
)


@dataclass(frozen=True, slots=True)
class Output:
    """What one git command gave. `cut`: stdout ended at the limit and git was stopped there."""

    returncode: int
    stdout: bytes
    stderr: str
    cut: bool = False

    @property
    def text(self) -> str:
        """stdout without its last newline; bytes that are no UTF-8 show as `\\xe9`."""
        return readable(self.stdout).removesuffix("\n")

    @property
    def fields(self) -> list[str]:
        """stdout of a `-z` command as file system strings (they lead back to the file, whatever its bytes)."""
        return [os.fsdecode(field) for field in self.stdout.split(b"\0")[:-1]]


def readable(name: str | bytes) -> str:
    """A name or text that every page and database takes: undecodable bytes become visible `\\xe9`."""
    return (os.fsencode(name) if isinstance(name, str) else name).decode("utf-8", "backslashreplace")


def run(
    arguments: Sequence[str],
    *,
    cwd: Path,
    fds: Collection[int] = (),
    env: Mapping[str, str] | None = None,
    config: Sequence[str] = (),
    stdin: bytes = b"",
    timeout: float = QUICK,
    ok: Collection[int] = (0,),
    limit: int = OUTPUT_LIMIT,
    cut: bool = False,
    look_above: bool = False,
    allowed: Mapping[str, str] | None = None,
) -> Output:
    """Run `git <arguments>` in `cwd` and return what it said.

    `fds` are handed to git (locks); `env` and `config` ("name=value") are added; `timeout` is in seconds; exit
    codes outside `ok` raise GitError. More than `limit` bytes of output is an error, unless `cut`: then git is
    stopped there. `look_above` lets git search the folders above `cwd` for a repository. `allowed` are the commands of
    filters and merge drivers that may run, by configuration key (programs.py).
    """
    argv = ["git", "--literal-pathspecs"]
    for setting in (*_CONFIG, *config):
        argv += ["-c", setting]
    argv += arguments
    if not cwd.is_dir():
        raise GitError(f"{cwd} is not a folder", argv=argv)
    environment = _environment(None if look_above else cwd, env or {})
    if programs.concerns(arguments):
        found = programs.overrides(arguments, cwd, allowed or {}, _asking(cwd, env or {}))
        environment["GIT_CONFIG_PARAMETERS"] = programs.parameters(found)
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=tuple(fds),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise GitError(f"git could not be started: {error}", argv=argv) from error
    with process:
        try:
            stdout, stderr, reached = _pump(process, stdin, limit, time.monotonic() + timeout)
        except TimeoutError:
            _stop(process)
            raise GitError(f"git {arguments[0]} did not end within {timeout:g} seconds", argv=argv) from None
        except BaseException:
            _stop(process)
            raise
        if reached:
            _stop(process)
            if cut:
                return Output(0, stdout, readable(stderr), cut=True)
            raise GitError(f"git {arguments[0]} wrote more than {limit} bytes", argv=argv)
        returncode = process.wait()
    output = Output(returncode, stdout, readable(stderr))
    if returncode not in ok:
        raise failure(arguments[0], argv, output)
    return output


def _asking(cwd: Path, env: Mapping[str, str]) -> programs.Ask:
    """How programs.py looks at configuration: as the call itself, but in a submodule not by the caller's index."""

    def ask(folder: Path, arguments: Sequence[str]) -> bytes:
        return run(arguments, cwd=folder, env=env if folder == cwd else None, ok=(0, 1, 128)).stdout

    return ask


def failure(command: str, argv: Sequence[str], output: Output) -> GitError:
    """The GitError for a command that ended with an unexpected status."""
    if name := programs.refused_filter(output.stderr):
        return FilterNotAllowed(name, argv=argv, returncode=output.returncode, stderr=output.stderr)
    lines = [line.strip() for line in output.stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    loud = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-3:]
    said = "; ".join(line.removeprefix("fatal:").removeprefix("error:").strip() for line in loud[:5])
    said = said or f"it ended with status {output.returncode} and said nothing"
    return GitError(f"git {command}: {said}", argv=argv, returncode=output.returncode, stderr=output.stderr)


def _environment(lowest: Path | None, extra: Mapping[str, str]) -> dict[str, str]:
    """A child's, with no variable that could redirect git, plus what makes its answers predictable."""
    kept = clean_environment()
    for name in ("LANGUAGE", "LANG"):
        kept.pop(name, None)
    kept |= IDENTITY | {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    if lowest is not None:
        kept["GIT_CEILING_DIRECTORIES"] = str(lowest.resolve().parent)
    return kept | dict(extra)


def _pump(process: subprocess.Popen[bytes], stdin: bytes, limit: int, deadline: float) -> tuple[bytes, bytes, bool]:
    """Feed stdin, gather both outputs. The last value tells that `limit` was passed; TimeoutError at `deadline`."""
    gathered: dict[str, bytearray] = {"stdout": bytearray(), "stderr": bytearray()}
    left = memoryview(stdin)
    ended_at: float | None = None
    with selectors.DefaultSelector() as selector:
        _watch(selector, process.stdout, selectors.EVENT_READ, "stdout")
        _watch(selector, process.stderr, selectors.EVENT_READ, "stderr")
        if stdin:
            _watch(selector, process.stdin, selectors.EVENT_WRITE, "stdin")
        while selector.get_map():
            now = time.monotonic()
            if now >= deadline:
                raise TimeoutError
            # A grandchild may keep the pipes open after git itself ended: it is not waited for.
            if process.poll() is not None:
                ended_at = ended_at or now
                if now - ended_at > 1:
                    break
            for key, _ in selector.select(min(0.2, deadline - now)):
                if key.data == "stdin":
                    try:
                        left = left[os.write(key.fd, left[:65536]) :]
                    except BrokenPipeError:
                        left = left[:0]
                    if not left:
                        selector.unregister(key.fd)
                        assert process.stdin is not None
                        process.stdin.close()
                    continue
                chunk = os.read(key.fd, 1 << 18)
                if not chunk:
                    selector.unregister(key.fd)
                    continue
                buffer = gathered[key.data]
                if key.data == "stdout" and len(buffer) + len(chunk) > limit:
                    buffer += chunk[: limit - len(buffer)]
                    return bytes(buffer), bytes(gathered["stderr"]), True
                if key.data == "stdout" or len(buffer) < ERROR_LIMIT:
                    buffer += chunk
    if process.poll() is None:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
    return bytes(gathered["stdout"]), bytes(gathered["stderr"]), False


def _watch(selector: selectors.BaseSelector, pipe: IO[bytes] | None, event: int, name: str) -> None:
    assert pipe is not None
    os.set_blocking(pipe.fileno(), False)
    selector.register(pipe.fileno(), event, name)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End git and everything it started."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 60.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
            break
    with suppress(ProcessLookupError):  # a filter that ignored SIGTERM
        os.killpg(process.pid, signal.SIGKILL)
