"""The settings that people set, read from the environment (and ``.env``) in one place.

A bad value stops the start with one sentence that names the variable. Secrets may also come as ``NAME_FILE``, the
path of a file that holds the value (Docker secrets). docs/settings.md describes each; a test holds the two together.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from pathlib import Path
from tempfile import gettempdir
from typing import Final
from urllib.parse import SplitResult, urlsplit

BASE_DIR: Final = Path(__file__).resolve().parent.parent
SOCKET_PATH_LIMIT: Final = 90  # AF_UNIX allows 107 bytes (macOS 103); the rest is for the names below the run folder
SHORTEST_KEY: Final = 16  # characters of a key that people chose; ours have more
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
_ALLOWED_HOST: Final = re.compile(r"\*|\.?[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]")


class BadSetting(Exception):
    """A variable whose value cannot be used; the text names it and says what would do."""


@dataclass(frozen=True)
class Environment:
    """What the environment says, checked. Paths are absolute. What may hold a password is left out of its repr."""

    home: Path
    host: str
    port: int
    public_url: str
    secret_key: str = field(repr=False)
    allowed_hosts: list[str]
    debug: bool
    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    meili_url: str
    meili_key: str = field(repr=False)
    llm_base_url: str
    llm_api_key: str = field(repr=False)
    llm_model: str
    prices: dict[
        str, tuple[float, ...]
    ]  # by model; dollars a million tokens: in, out, written to and read from a cache, written for an hour
    windows: dict[str, int]  # by model: tokens that it can see
    max_concurrent: int
    transcript_roots: list[Path]

    @property
    def run(self) -> Path:
        """A short folder for unix sockets: in the state folder where its path will do, else in the temp folder.

        The broker's socket becomes part of a URL, in which some characters would mean something else.
        """
        inside = self.home / "run"
        if len(os.fsencode(inside)) <= SOCKET_PATH_LIMIT and not set("#?%") & set(str(inside)):
            return inside
        return Path(gettempdir()) / f"flower-{os.getuid()}-{blake2s(os.fsencode(self.home), digest_size=6).hexdigest()}"

    @property
    def broker_socket(self) -> Path:
        return self.run / "q.sock"

    @property
    def celery_broker_url(self) -> str:
        """The broker as Celery spells it: ``redis+socket://`` where redis-py and channels say ``unix://``."""
        url = self.redis_url or f"unix://{self.broker_socket}"
        return f"redis+socket://{url.removeprefix('unix://')}" if url.startswith("unix://") else url

    @property
    def cookie_suffix(self) -> str:
        """What tells this flower's cookies from those of another one on the same host: browsers ignore ports there.

        The port that people type, where `FLOWER_PUBLIC_URL` has one, else the one that is listened on.
        """
        return str(urlsplit(self.public_url).port or self.port)

    @property
    def origin(self) -> str:
        """``http://HOST:PORT`` of the web process itself, as this machine reaches it."""
        return f"http://{_url_host(self.host)}:{self.port}"


def load() -> Environment:
    """What this process runs with. Raises BadSetting."""
    return read(values())


def values() -> dict[str, str]:
    """The environment, and ``.env`` beside manage.py for what that does not set; unchecked. Raises BadSetting."""
    from dotenv import dotenv_values  # here: the sockets' and holders' code imports this module and needs no parser

    try:
        kept = dotenv_values(BASE_DIR / ".env")
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{BASE_DIR / '.env'} cannot be read ({error.__class__.__name__}).") from error
    return {**{name: value for name, value in kept.items() if value}, **os.environ}


def read(values: Mapping[str, str]) -> Environment:
    """Check ``values`` (usually ``os.environ``) and fill in the defaults. Raises BadSetting."""
    home = home_of(values)
    host = _host(values)
    port = _integer(values, "FLOWER_PORT", 8000, 1, 65535)
    public_url = _public_url(values) or f"http://{_url_host(host)}:{port}"
    prices, windows = _models(values)
    return Environment(
        home=home,
        host=host,
        port=port,
        public_url=public_url,
        secret_key=_secret_key(values) or _kept_secret(home / "secret_key"),
        allowed_hosts=_allowed_hosts(values, host, public_url),
        debug=_flag(values, "FLOWER_DEBUG"),
        database_url=_database(values),
        redis_url=_url(values, "REDIS_URL", {"redis", "rediss", "unix"}, secret=True),
        meili_url=_url(values, "MEILI_URL", {"http", "https"}),
        meili_key=_secret(values, "MEILI_KEY"),
        llm_base_url=_url(values, "FLOWER_LLM_BASE_URL", {"http", "https"}),
        llm_api_key=_secret(values, "FLOWER_LLM_API_KEY"),
        llm_model=values.get("FLOWER_LLM_MODEL", "").strip(),
        prices=prices,
        windows=windows,
        max_concurrent=_integer(values, "FLOWER_MAX_CONCURRENT", 4, 1, 64),
        transcript_roots=_roots(values),
    )


def home_of(values: Mapping[str, str]) -> Path:
    """The state folder; nothing is made or read. Raises BadSetting."""
    return _folder(values, "FLOWER_HOME", BASE_DIR / "var")


def _secret(values: Mapping[str, str], name: str) -> str:
    path = values.get(f"{name}_FILE", "").strip()
    if path and values.get(name):
        raise BadSetting(f"{name} and {name}_FILE are both set; set one of them.")
    if not path:
        return values.get(name, "").strip()
    try:
        secret = Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{name}_FILE names {path}, which cannot be read ({error.__class__.__name__}).") from error
    if not secret:
        raise BadSetting(f"{name}_FILE names {path}, which is empty.")
    return secret


def _secret_key(values: Mapping[str, str]) -> str:
    key = _secret(values, "FLOWER_SECRET_KEY")
    if key and len(key) < SHORTEST_KEY:
        raise BadSetting(
            f"FLOWER_SECRET_KEY has {len(key)} characters and needs {SHORTEST_KEY}: agents' tokens are made from it. "
            "Leave it out, and a good one is made and kept in FLOWER_HOME."
        )
    return key


def _kept_secret(path: Path) -> str:
    """The key made at the first start: it appears whole or not at all, so processes that start together agree on it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            made = path.with_name(f".{path.name}.{os.getpid()}")
            made.touch(mode=0o600)
            made.write_text(secrets.token_urlsafe(50))
            try:
                os.link(made, path)  # fails when another process was first; its key is then as good
            except FileExistsError:
                pass
            finally:
                made.unlink()
        kept = path.read_text().strip()
    except OSError as error:
        raise BadSetting(f"FLOWER_HOME is {path.parent}, where no file can be written ({error.strerror}).") from error
    if len(kept) < 32:
        raise BadSetting(f"FLOWER_HOME holds a damaged {path}; delete that file, and everybody logs in again.")
    return kept


def _folder(values: Mapping[str, str], name: str, default: Path) -> Path:
    path = _expand(name, values.get(name, "").strip() or str(default))
    path = path if path.is_absolute() else BASE_DIR / path
    try:
        usable = path.is_dir() or not path.exists()
    except OSError as error:  # a folder on the way that may not be entered
        raise BadSetting(f"{name} is {path}, which cannot be reached ({error.strerror}).") from error
    if not usable:
        raise BadSetting(f"{name} is {path}, which is not a folder.")
    return path


def _expand(name: str, text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise BadSetting(f"{name} names '{text}', and this machine has no such user.") from error


def _host(values: Mapping[str, str]) -> str:
    host = values.get("FLOWER_HOST", "").strip() or "127.0.0.1"
    if not _HOST.fullmatch(host):
        raise BadSetting(f"FLOWER_HOST is '{host}'; it must be one address or host name, such as 127.0.0.1 or 0.0.0.0.")
    return host


def _integer(values: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = values.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise BadSetting(f"{name} is '{text}'; it must be a whole number from {low} to {high}.")
    return int(text)


def _flag(values: Mapping[str, str], name: str) -> bool:
    text = values.get(name, "").strip().lower()
    if text not in {"", "0", "1", "false", "true", "no", "yes"}:
        raise BadSetting(f"{name} is '{text}'; it must be 1 or 0.")
    return text in {"1", "true", "yes"}


def _models(values: Mapping[str, str]) -> tuple[dict[str, tuple[float, ...]], dict[str, int]]:
    """``MODEL=IN/OUT[/WRITTEN/READ[/HOUR]][@WINDOW]`` or ``MODEL=@WINDOW``, with commas between them."""
    prices: dict[str, tuple[float, ...]] = {}
    windows: dict[str, int] = {}
    for part in filter(None, map(str.strip, values.get("FLOWER_PRICES", "").split(","))):
        model, _, told = part.rpartition("=")
        listed, at, size = told.partition("@")
        figures = _figures(listed)
        is_window = bool(re.fullmatch(r"[1-9][0-9]{2,8}", size))
        is_priced = len(figures) in (2, 4, 5) and all(0 <= figure < 1e6 for figure in figures)
        if not (model.strip() and (is_window if at else is_priced) and (is_priced or not listed.strip())):
            raise BadSetting(
                f"FLOWER_PRICES holds '{part}'; write MODEL=IN/OUT or MODEL=IN/OUT/WRITTEN/READ, in dollars a million"
                " tokens, and behind it @WINDOW, in tokens, where that is to be told; with commas between models."
            )
        if figures:
            prices[model.strip()] = figures
        if is_window:
            windows[model.strip()] = int(size)
    return prices, windows


def _figures(listed: str) -> tuple[float, ...]:
    try:
        return tuple(float(figure) for figure in listed.split("/"))
    except ValueError:
        return ()


def _url(values: Mapping[str, str], name: str, schemes: set[str], *, secret: bool = False) -> str:
    text = _secret(values, name) if secret else values.get(name, "").strip()
    if not text:
        return ""
    parts = _split(text)
    if parts is None or parts.scheme not in schemes or not (parts.path if parts.scheme == "unix" else parts.hostname):
        # the value may hold a password: it is not repeated
        raise BadSetting(f"{name} is not a usable address; it must begin with {_either(schemes)}.")
    return text


def _split(text: str) -> SplitResult | None:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return None
    return parts


def _either(schemes: set[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in sorted(schemes))


def _public_url(values: Mapping[str, str]) -> str:
    text = _url(values, "FLOWER_PUBLIC_URL", {"http", "https"}).rstrip("/")
    if "@" in text or (text and text != "{0.scheme}://{0.netloc}".format(urlsplit(text))):
        raise BadSetting("FLOWER_PUBLIC_URL must be http:// or https://, a host and a port, without a path or a user.")
    return text


def _database(values: Mapping[str, str]) -> str:
    text = _secret(values, "DATABASE_URL")
    if not text:
        return ""
    parts = _split(text)
    if parts is None or parts.scheme not in {"sqlite", "mysql"}:
        raise BadSetting("DATABASE_URL must begin with mysql:// or sqlite:///; leave it out for the embedded SQLite.")
    if parts.scheme == "mysql" and not (parts.hostname and parts.path.strip("/")):
        raise BadSetting("DATABASE_URL must name a host and a database: mysql://USER:PASSWORD@HOST:3306/NAME.")
    if parts.scheme == "sqlite" and (parts.netloc or not parts.path.strip("/")):
        raise BadSetting("DATABASE_URL must name a file after sqlite:///, as sqlite:////srv/flower/flower.sqlite3.")
    return text


def _allowed_hosts(values: Mapping[str, str], host: str, public_url: str) -> list[str]:
    named = [name.strip() for name in values.get("FLOWER_ALLOWED_HOSTS", "").split(",") if name.strip()]
    if not all(_ALLOWED_HOST.fullmatch(name) for name in named):
        raise BadSetting(
            "FLOWER_ALLOWED_HOSTS must be host names with commas between them, without http://, ports or paths."
        )
    always = ["127.0.0.1", "localhost", "[::1]", _url_host(urlsplit(public_url).hostname or "")]
    return sorted({*named, *always, _url_host(host)})


def _url_host(host: str) -> str:
    if host in {"0.0.0.0", "::"}:  # noqa: S104
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _roots(values: Mapping[str, str]) -> list[Path]:
    text = values.get("FLOWER_TRANSCRIPT_ROOTS", "").strip() or "~/.claude/projects:~/.codex/sessions"
    roots = [_expand("FLOWER_TRANSCRIPT_ROOTS", part) for part in text.split(":") if part]
    for root in roots:
        if not root.is_absolute():
            raise BadSetting(f"FLOWER_TRANSCRIPT_ROOTS names '{root}', which is not an absolute path.")
    return roots
