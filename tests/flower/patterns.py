"""Every compiled pattern of flower, and texts made against each: ``prefix + unit * n + suffix``, of its own alphabet.

What such a text does to a pattern is found by trying. The pieces come from the pattern's own tree: what it repeats,
what stands before that, and an end at which it fails.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import random
import re
import re._constants as codes  # type: ignore[import-not-found]
import re._parser as parser  # type: ignore[import-not-found]
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from flower.env import BASE_DIR

ROOMS: Final = ("core", "flower", "briefs", "daemons", "dispatch", "transcripts", "worktrees")
ENDS: Final = ("", "\x00", "\n\n!", "x", " ", "\n", "\t.", "é")
UNITS: Final = (
    " ",
    "a",
    "\n",
    "a ",
    "\t",
    "1",
    "`",
    "[",
    "(",
    '"',
    "/",
    "-",
    ".",
    " \n",
    "a\n",
    "é",
    "\\",
    "#",
    "a-",
    "a.",
)
NOT_LISTED: Final = "ax 1-\n\"'.,/\\_(){}[]<>#:@`*=\t;é"
OPERATIONS: Final = ("match", "fullmatch", "search")  # else: all of a text (sub, findall, split)


@dataclass(frozen=True)
class Found:
    """``name`` is module and variable. ``operations``: how the rooms use it."""

    name: str
    pattern: re.Pattern[Any]
    operations: tuple[str, ...]

    def apply(self, text: str) -> int:
        """Look at all of a text, as the rooms do. Returns the number of finds."""
        given: Any = text.encode("utf-8", "replace") if isinstance(self.pattern.pattern, bytes) else text
        count = 0
        for operation in self.operations:
            if operation in OPERATIONS:
                count += getattr(self.pattern, operation)(given) is not None
            else:
                count += sum(1 for _ in self.pattern.finditer(given))
        return count


def compiled() -> list[Found]:
    """Every pattern in a variable, a container, a field or a class of a module of flower; each once."""
    modules = [module for room in ROOMS for module in _modules(room)]
    used = _operations()
    seen: dict[tuple[Any, int], Found] = {}
    for module in modules:
        for name, value in list(vars(module).items()):
            for where, pattern in _within(value, f"{module.__name__}.{name}", module.__name__, 0):
                operations = tuple(sorted(_operations_on(name, module.__name__, used)))
                seen.setdefault((pattern.pattern, pattern.flags), Found(where, pattern, operations))
    return sorted(seen.values(), key=lambda found: found.name)


def _modules(room: str) -> Iterator[Any]:
    package = importlib.import_module(room)
    yield package
    for found in pkgutil.walk_packages(package.__path__, f"{room}."):
        if "migrations" not in found.name:
            yield importlib.import_module(found.name)


def _within(value: Any, where: str, module: str, depth: int) -> Iterator[tuple[str, re.Pattern[Any]]]:
    if isinstance(value, re.Pattern):
        yield where, value
    elif depth > 3:
        return
    elif isinstance(value, dict):
        for key, each in list(value.items()):
            yield from _within(key, where, module, depth + 1)
            yield from _within(each, f"{where}[{key!r}]"[:120], module, depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for at, each in enumerate(value):
            yield from _within(each, f"{where}[{at}]", module, depth + 1)
    elif isinstance(value, type) and value.__module__ == module:
        for name, each in list(vars(value).items()):
            yield from _within(each, f"{where}.{name}", module, depth + 1)
    elif hasattr(type(value), "__dataclass_fields__"):
        for name in type(value).__dataclass_fields__:
            yield from _within(getattr(value, name, None), f"{where}.{name}", module, depth + 1)


Used = dict[tuple[str, str], set[str]]


def _operations() -> Used:
    """What is done with each name in each module: ``_LINE.match(…)``."""
    found: Used = {}
    kinds = {*OPERATIONS, "sub", "subn", "finditer", "findall", "split"}
    for path in (path for room in ROOMS for path in Path(BASE_DIR, room).rglob("*.py")):
        module = ".".join(path.relative_to(BASE_DIR).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in kinds:
                value = node.value
                name = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "")
                operation = node.attr if node.attr in OPERATIONS else "finditer"
                found.setdefault((module, name), set()).add(operation)
    return found


def _operations_on(name: str, module: str, used: Used) -> set[str]:
    """A private name is used where it is; another one, anywhere. What is found nowhere stands in a container."""
    if name.startswith("_"):
        return used.get((module, name), {"finditer"})
    return {each for (_, other), all_of_it in used.items() if other == name for each in all_of_it} or {"finditer"}


class Pump:
    """Makes texts against one pattern."""

    def __init__(self, found: Found) -> None:
        source = found.pattern.pattern
        self.tree: list[Any] = list(parser.parse(source, found.pattern.flags & ~re.DEBUG))
        self.repeated: list[Any] = []
        self._look_for_repeats(self.tree)

    def text(self, size: int, chance: random.Random) -> str:
        """A text of about ``size`` characters."""
        cut = chance.randint(0, len(self.tree))
        before = _sample(self.tree[:cut], chance)
        unit = _sample(chance.choice(self.repeated), chance) if self.repeated else _sample(self.tree, chance)
        match chance.randrange(10):
            case 0 | 1 | 2:
                pass
            case 3 | 4 | 5:
                before = ""
            case 6 | 7:
                before, unit = "", _sample(self.tree[:cut] or self.tree, chance)
            case 8:
                unit = chance.choice(UNITS)
            case _:
                repeated = self.repeated or [self.tree]
                before = "".join(_sample(chance.choice(repeated), chance) for _ in range(2))
                unit = chance.choice(UNITS)
        if chance.random() < 0.3:
            unit += chance.choice((" ", "\n", "a", "-", "x ", "."))
        unit = unit[:200] or "a"
        return before[:2_000] + unit * (size // len(unit)) + chance.choice(ENDS)

    def _look_for_repeats(self, tree: Any) -> None:
        for code, value in tree:
            if code in _REPEATS:
                self.repeated.append([(code, (1, max(1, min(int(value[1]), 2)), value[2]))])
                self._look_for_repeats(value[2])
            elif code is codes.SUBPATTERN:
                self._look_for_repeats(value[3])
            elif code is codes.BRANCH:
                for branch in value[1]:
                    self.repeated.append(list(branch))
                    self._look_for_repeats(branch)
            elif code in {codes.ASSERT, codes.ASSERT_NOT}:
                self._look_for_repeats(value[1])


_REPEATS: Final = {codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT}


def _sample(tree: Any, chance: random.Random) -> str:
    """Something that this part of a pattern matches, more or less."""
    out: list[str] = []
    for code, value in tree:
        if code is codes.LITERAL:
            out.append(chr(value))
        elif code is codes.NOT_LITERAL:
            out.append("x" if chr(value) != "x" else "y")
        elif code is codes.ANY:
            out.append(chance.choice("a .x"))
        elif code is codes.IN:
            out.append(_one_of(value, chance))
        elif code in _REPEATS:
            least, most, part = value
            for _ in range(chance.randint(least, min(int(most), least + 3)) if least < 200 else least):
                out.append(_sample(part, chance))
        elif code is codes.SUBPATTERN:
            out.append(_sample(value[3], chance))
        elif code is codes.BRANCH:
            out.append(_sample(chance.choice(value[1]), chance))
        elif code is codes.ATOMIC_GROUP:
            out.append(_sample(value, chance))
    return "".join(out)


def _one_of(members: Any, chance: random.Random) -> str:
    found: list[str] = []
    is_negated = False
    for code, value in members:
        if code is codes.NEGATE:
            is_negated = True
        elif code is codes.LITERAL:
            found.append(chr(value))
        elif code is codes.RANGE:
            found.append(chr(chance.randint(value[0], min(value[1], value[0] + 80))))
        elif code is codes.CATEGORY:
            found.append(_CATEGORIES.get(value, "x"))
    if is_negated:
        return next((char for char in chance.sample(NOT_LISTED, len(NOT_LISTED)) if char not in found), "z")
    return chance.choice(found or ["x"])


_CATEGORIES: Final = {
    codes.CATEGORY_SPACE: " ",
    codes.CATEGORY_WORD: "a",
    codes.CATEGORY_DIGIT: "1",
    codes.CATEGORY_NOT_SPACE: "x",
    codes.CATEGORY_NOT_WORD: "-",
    codes.CATEGORY_NOT_DIGIT: "x",
}
