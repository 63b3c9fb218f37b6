"""The settings: each wrong value, and names that look like a setting and are none."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote, urlsplit

from flower import env
from flower.doctor.findings import Finding, fine, warning, wrong

KEYS: Final = ("FLOWER_SECRET_KEY", "FLOWER_SECRET_KEY_FILE")
# Only so that a doctor who comes before the first start makes no key: nothing is signed with it.
STAND_IN: Final = "the doctor signs nothing with this"
_PREFIXES: Final = ("FLOWER_", "DATABASE_", "REDIS_", "MEILI_")


class _Asked(dict[str, str]):
    """Remembers which names were asked for: those are the settings that there are."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def get(self, name: str, default: object = None) -> str:
        self.names.add(name)
        return super().get(name, default)  # type: ignore[arg-type]


def values() -> dict[str, str]:
    """What flower reads its settings from, so changed that reading them makes no file. Raises BadSetting."""
    found = env.values()
    if not any(found.get(name) for name in KEYS) and not _is_key_kept(found):
        found["FLOWER_SECRET_KEY"] = STAND_IN
    return found


def _is_key_kept(found: Mapping[str, str]) -> bool:
    try:
        return (env.home_of(found) / "secret_key").exists()
    except (env.BadSetting, OSError):
        return False


def stand_in(found: Mapping[str, str]) -> None:
    """Have Django's settings, which this process is about to read, find the same."""
    for name in KEYS:
        if found.get(name):
            os.environ[name] = found[name]


def settings(found: Mapping[str, str]) -> Iterator[Finding]:
    """Every bad value, each read alone beside the state folder, so that one does not hide the next."""
    names = sorted({name.removesuffix("_FILE") for name, value in found.items() if value and _is_ours(name)})
    bad = 0
    for name in ["FLOWER_HOME", *(name for name in names if name != "FLOWER_HOME")]:
        if sentence := _why_bad(name, found):
            bad += 1
            yield wrong("settings.bad", sentence, f"correct {name} in the environment or in {env.BASE_DIR / '.env'}")
    known = _known()
    for name in sorted(name for name in found if _is_ours(name) and name not in known):
        if near := difflib.get_close_matches(name, known, 1, 0.85):
            yield warning(
                "settings.unknown", f"there is no setting {name}; is {near[0]} meant?", f"rename it to {near[0]}"
            )
    if not bad:
        yield fine("settings", f"{len(set(names) & known)} set, the others have their defaults")


def _is_ours(name: str) -> bool:
    return name.startswith(_PREFIXES)


def _why_bad(name: str, found: Mapping[str, str]) -> str:
    harmless = {"FLOWER_HOME": "/", "FLOWER_SECRET_KEY": STAND_IN}  # with them reading makes no file
    if name == "FLOWER_SECRET_KEY":
        del harmless[name]
    try:
        env.read(harmless | {key: found[key] for key in (name, f"{name}_FILE") if found.get(key)})
    except env.BadSetting as error:
        return str(error)
    return ""


def _known() -> set[str]:
    asked = _Asked({"FLOWER_SECRET_KEY": STAND_IN})
    env.read(asked)
    return asked.names


def hidden(flower: env.Environment) -> list[str]:
    """What may stand in no output, whatever a server or driver writes into its complaint."""
    words = [flower.secret_key, flower.llm_api_key, flower.meili_key]
    for url in (flower.database_url, flower.redis_url):
        password = urlsplit(url).password or ""
        words += [password, unquote(password)]
    return sorted({word for word in words if len(word) > 3 and word != STAND_IN}, key=len, reverse=True)
