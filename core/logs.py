"""Structured logs: one event a line, with who and which brief, and without secrets.

Everything (ours, Django's, the SDK's) goes through the standard library's root logger and structlog's formatter:
JSON lines in a file or a pipe, readable lines on a terminal. Redaction is the last step before rendering, so that a
secret in an exception's text is caught too. ``bind(brief=12)`` adds a field to every later line of a request or task.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import kombu.exceptions
import redis
import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, merge_contextvars
from structlog.typing import EventDict, Processor

HIDDEN: Final = "[redacted]"

# What a secret looks like. Each pattern keeps what tells a reader which secret it was, and hides the rest.
# Anybody may send the text: a pattern that begins with a run of characters begins only where the run does (a
# look-behind, not \b), or a text such as "-a-a-a" would be read once for each of its letters.
_BY_NAME: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (
        re.compile(r"(?i)\b(authorization[\"']?\s{0,99}[:=]\s{0,99}[\"']?(?:bearer|basic|token)?\s{0,99})[^\s\"',;]+"),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]{8,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(/enter/)[A-Za-z0-9_-]+"), rf"\1{HIDDEN}"),
    (
        re.compile(
            r"(?i)((?<![\w-])[\w-]*(?:password|passwd|secret|api[_-]?key|access[_-]?token|csrfmiddlewaretoken|"
            r"flower_session(?:_\d+)?|flower_csrf(?:_\d+)?|sessionid)[\"']?\s*[:=]\s*[\"']?)(?!\[redacted\])[^\s\"'&;,}]+"
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"((?<![a-z0-9+.-])[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(@)"), rf"\1{HIDDEN}\2"),
)
_BY_SHAPE: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    # our own tokens; the look-ahead spares long names such as flower_dispatch_requests_oldest_seconds
    (re.compile(r"\bflower_(?=[A-Za-z0-9_-]{0,64}[A-Z0-9])[A-Za-z0-9_-]{20,}"), f"flower_{HIDDEN}"),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"), f"sk-{HIDDEN}"),
    (re.compile(r"\b(gh[pousr]_|github_pat_|glpat-)[A-Za-z0-9_-]{16,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(xox[abeprs]-)[A-Za-z0-9-]{10,}"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), rf"\1{HIDDEN}"),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{30,}"), f"AIza{HIDDEN}"),
    (re.compile(r"(?<![\w-])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+"), HIDDEN),
    (
        re.compile(r"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        rf"-----BEGIN \1PRIVATE KEY----- {HIDDEN}",
    ),
)
# One cheap search that almost every line fails: only lines with one of these words are looked at closely.
_SUSPECT: Final = re.compile(
    r"(?i)flower_|authorization|bearer|/enter/|passw|secret|api[_-]?key|access[_-]?token|csrf|sessionid|://[^\s/]*@|"
    r"sk-|gh[pousr]_|github_pat|glpat|xox|AKIA|ASIA|AIza|eyJ|PRIVATE KEY"
)
_SHAPED: Final = re.compile(r"flower_|sk-|gh[pousr]_|github_pat|glpat|xox|AKIA|ASIA|AIza|eyJ|PRIVATE KEY")
_SECRET_FIELDS: Final = frozenset({"authorization", "cookie", "password", "token", "secret", "api_key", "code"})


def redact(text: str) -> str:
    """``text`` with every secret of a known shape replaced by ``[redacted]``."""
    if not _SUSPECT.search(text):
        return text
    for pattern, replacement in (*_BY_SHAPE[:1], *_BY_NAME, *_BY_SHAPE[1:]):
        text = pattern.sub(replacement, text)
    return text


def without_tokens(text: str) -> str:
    """``text`` without what is a token by its own shape. For what people and agents write and is kept: there the word
    "password" and what follows it may be what a brief is about."""
    if not _SHAPED.search(text):
        return text
    for pattern, replacement in _BY_SHAPE:
        text = pattern.sub(replacement, text)
    return text


def bind(**fields: Any) -> None:
    """Add fields (``brief=…, dispatch=…, process=…``) to every later line of this request, task or thread."""
    bind_contextvars(**{name: value for name, value in fields.items() if value is not None})


@contextmanager
def bound(**fields: Any) -> Iterator[None]:
    """The same for the length of a ``with`` block; what was bound before is bound again after it."""
    with bound_contextvars(**{name: value for name, value in fields.items() if value is not None}):
        yield


def redact_event(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The processor: hides secrets in every text of an event, however deep, and in fields that are named for one."""
    for name, value in event.items():
        event[name] = HIDDEN if name in _SECRET_FIELDS and value else _redact_value(value)
    return event


def _redact_value(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, int | float | None):
        return value
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if isinstance(key, str) and key.lower() in _SECRET_FIELDS else _redact_value(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_redact_value(item) for item in value]
    return redact(str(value))


_SHARED: Final[list[Processor]] = [
    merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configuration(*, debug: bool) -> dict[str, Any]:
    """Django's LOGGING: everything to standard error, as JSON lines unless that is a terminal."""
    readable = sys.stderr.isatty()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    redact_event,
                    *_renderers(readable),
                ],
            }
        },
        "filters": {"lost": {"()": lambda: _brief_on_lost_connections}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured", "filters": ["lost"]}},
        "root": {"handlers": ["stderr"], "level": "DEBUG" if debug else "INFO"},
        "loggers": {
            # Our access line says what these say; below ERROR they only repeat it.
            "django": {"level": "INFO", "propagate": True, "handlers": []},
            "django.request": {"level": "ERROR"},
            "django.server": {"level": "ERROR", "propagate": True, "handlers": []},
            "django.db.backends": {"level": "INFO"},
            "django.template": {"level": "INFO"},
            "daphne": {"level": "WARNING"},
            "twisted": {"level": "WARNING"},
            "asyncio": {"level": "WARNING"},
            "mcp": {"level": "WARNING"},
            "httpx2": {"level": "WARNING"},
            "markdown_it": {"level": "WARNING"},
            "git": {"level": "WARNING"},
        },
    }


def _renderers(readable: bool) -> list[Processor]:
    if readable:
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [_ordered, structlog.processors.JSONRenderer(default=str)]


_FIRST: Final = ("timestamp", "level", "event")


def _ordered(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """What a person looks for first, first."""
    return {**{name: event.pop(name) for name in _FIRST if name in event}, **event}


def _brief_on_lost_connections(record: logging.LogRecord) -> bool:
    """A filter that drops the traceback (60 frames) of a hint that did not go out because the broker is down.

    Django logs it for every robust on_commit hook that fails; live messages and wake-ups of workers are such hooks, and
    one line says it all.
    """
    lost = (redis.exceptions.ConnectionError, kombu.exceptions.OperationalError)
    if record.exc_info and isinstance(record.exc_info[1], lost):
        record.exc_info = None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True


def configure() -> None:
    """Make structlog's loggers speak through the standard library, where configuration() renders them."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


# --- the access log ---------------------------------------------------------------------------------------------------

_access = structlog.stdlib.get_logger("flower.access")
# Asked every few seconds; of interest only when they fail.
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})
LONGEST_PATH: Final = 300  # characters; none of our addresses is longer


def note_request(scope: MutableMapping[str, Any], status: int, seconds: float) -> None:
    """Write the one line of a finished request. ``scope["flower.actor"]`` is filled in by whoever learnt the caller."""
    path = scope["path"]
    if status < 500 and (path in _QUIET or path.startswith("/static/")):
        return
    write: Callable[..., Any] = _access.error if status >= 500 else _access.info
    write(
        "request",
        method=scope.get("method", "WS"),
        path=path[:LONGEST_PATH],
        status=status,
        ms=round(seconds * 1000, 1),
        actor=scope.get("flower.actor"),
    )
