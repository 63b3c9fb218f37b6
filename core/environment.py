"""The environment of every child that is not a process of flower itself: agents, setup commands, gates, git.

One function, so that what may not reach a child is named in one place. It takes away

- flower's own settings, database and broker addresses, secret keys, and how our own processes run;
- what `make up` leaves behind: a gate `make test` must not run with the flags and variables of our make;
- what aims git at another repository than the one that it stands in (a hook's GIT_DIR, say).

This module is floor: it imports no app and no Django.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Final

_OWN: Final = (
    *("FLOWER_", "DATABASE_URL", "REDIS_URL", "MEILI_", "DJANGO_", "CELERY_", "BROKER_URL", "SECRET_KEY"),
    *("MYSQL_PWD", "MYSQL_ROOT_PASSWORD", "MYSQL_PASSWORD", "REDISCLI_AUTH"),
    *("PYTHONPATH", "VIRTUAL_ENV", "PYTHONUNBUFFERED", "MALLOC_ARENA_MAX", "_MP_FORK"),
)
_MAKE: Final = ("MAKE", "MFLAGS", "GNUMAKEFLAGS")
# Where git and its configuration are, and who commits; not which repository it works on, nor what it runs.
_GIT_KEPT: Final = {
    *("GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"),
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
}
_MODEL_KEY: Final = re.compile(r"[A-Z0-9_]*(_API_KEY|_AUTH_TOKEN|_OAUTH_TOKEN)|AWS_BEARER_TOKEN_[A-Z0-9_]+")
_MAKE_VARIABLE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_.]*)(?:::?:?|\?|\+|!)?=")


def clean_environment(*, model_keys: bool = False, source: Mapping[str, str] | None = None) -> dict[str, str]:
    """What a child finds, made from ``source`` (default: this process's environment).

    ``model_keys``: keep the keys of model providers (``ANTHROPIC_API_KEY`` and the like). Agent programs log in with
    them; git, gates and setup commands run what a repository says and have no use for them.
    """
    found = os.environ if source is None else source
    dropped = _of_make(found)
    return {
        name: value
        for name, value in found.items()
        if name not in dropped
        and not name.startswith((*_OWN, *_MAKE))
        and (not name.startswith("GIT_") or name in _GIT_KEPT)
        and (model_keys or not _MODEL_KEY.fullmatch(name))
    }


def _of_make(found: Mapping[str, str]) -> set[str]:
    """The variables of make's command line (`make up PYTHON=…`): make exports each, besides naming it in MAKEFLAGS."""
    flags = found.get("MAKEFLAGS", "")
    try:
        words = shlex.split(flags)
    except ValueError:  # an odd quote in a value
        words = flags.split()
    return {match[1] for word in words if (match := _MAKE_VARIABLE.match(word))}
