"""A tool's arguments: its function's signature is the schema, and each value is checked by its type, in one place.

Models write down what they mean in more ways than one: ``"12"``, ``"#12"`` and ``12.0`` for 12, ``"true"`` for true, a
list as its JSON text or its one element alone. All of that is taken, for every tool; what is left is refused by name.
"""

from __future__ import annotations

import inspect
import json
import math
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from core.errors import Invalid
from core.logs import without_tokens
from core.toolbox import Arg, Tool

LARGEST_INTEGER: Final = 2**63 - 1  # what a database column holds; beyond it SQLite raises OverflowError
SHOWN: Final = 40  # characters of a refused value that its sentence quotes
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

_JSON_TYPES: Final[dict[Any, tuple[dict[str, Any], str]]] = {
    int: ({"type": "integer"}, "a whole number"),
    float: ({"type": "number"}, "a number"),
    str: ({"type": "string"}, "text"),
    bool: ({"type": "boolean"}, "true or false"),
    list[str]: ({"type": "array", "items": {"type": "string"}}, "a list of texts"),
    list[int]: ({"type": "array", "items": {"type": "integer"}}, "a list of whole numbers"),
    list[dict[str, Any]]: ({"type": "array", "items": {"type": "object"}}, "a list of objects"),
    dict[str, Any]: ({"type": "object"}, "an object"),
}


@dataclass(frozen=True)
class Argument:
    """One argument of a tool. Optional ones may be left out or null; the function's default then stands.

    A required one whose type allows None must be said, and may be null. ``choices`` are the texts that it may be; an
    empty text counts as left out then.
    """

    name: str
    kind: Any
    required: bool
    default: Any = None
    nullable: bool = False
    description: str = ""
    choices: tuple[str, ...] = ()
    refused_by_tool: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = dict(_JSON_TYPES[self.kind][0])
        if self.choices and self.kind == list[str]:
            schema["items"] = {"type": "string", "enum": list(self.choices)}
        elif self.choices:
            schema["enum"] = list(self.choices)
        if self.required and self.nullable:
            schema["type"] = [schema["type"], "null"]
        if not self.required and self.default not in (None, ""):
            schema["default"] = self.default
        return schema | ({"description": self.description} if self.description else {})

    def is_left_out(self, value: Any) -> bool:
        """Whether a value says no more than its absence would."""
        return value is None or (not self.required and bool(self.choices) and value == "")

    def checked(self, tool: str, value: Any) -> Any:
        """``value`` as the tool's function takes it. Raises Invalid with a sentence that names the argument."""
        good = _converted(self.kind, value)
        if good is None:
            wanted = _JSON_TYPES[self.kind][1]
            raise Invalid(f"The argument '{self.name}' of {tool} must be {wanted}, not {_shown(value)}.")
        for part in good if isinstance(good, list) else [good]:
            if isinstance(part, int | float) and abs(part) > LARGEST_INTEGER:
                raise Invalid(f"The argument '{self.name}' of {tool} is a number far too large.")
            if self.choices and not self.refused_by_tool and part not in self.choices:
                choices = ", ".join(self.choices)
                raise Invalid(f"The argument '{self.name}' of {tool} must be one of {choices}, not {_shown(part)}.")
        # Agents write down what they see, and what they write stays: their own token, say.
        return texts_by(lambda text: without_tokens(storable(text)), good)


def _converted(kind: Any, value: Any) -> Any:
    """What is meant by ``value``; None where that cannot be told."""
    if kind in _SCALARS:
        return _SCALARS[kind](value)
    if typing.get_origin(kind) is dict:
        value = _parsed(value) if isinstance(value, str) else value
        return value if isinstance(value, dict) else None
    (inner,) = typing.get_args(kind)
    if isinstance(value, str):
        listed = _parsed(value)
        value = listed if isinstance(listed, list) else [value] if value.strip() else []
    elif not isinstance(value, list):
        value = [value]
    items = [_converted(inner, item) for item in value]
    return None if any(item is None for item in items) else items


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _whole_number(value: Any) -> int | None:
    if isinstance(value, str):
        number = value.strip().removeprefix("#")
        whole, _, fraction = number.partition(".")
        digits = whole.removeprefix("-")
        good = len(whole) <= 20 and digits.isascii() and digits.isdigit() and not fraction.strip("0")
        return int(whole) if good else None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, str) and len(value) <= 30:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if isinstance(value, int) or math.isfinite(value) else None


def _truth(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return value if isinstance(value, bool) else None


_SCALARS: Final[dict[Any, Callable[[Any], Any]]] = {int: _whole_number, float: _number, str: _text, bool: _truth}


def _parsed(text: str) -> Any:
    """What a text says as JSON, if it looks like a list or an object; else None."""
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "such a list"
    if isinstance(value, int | float):
        return f"{value:.15g}" if abs(value) < LARGEST_INTEGER else "such a number"
    return repr(value if len(value) <= SHOWN else f"{value[:SHOWN]}…")


def storable(text: str) -> str:
    """A text that both databases store: NUL and halves of surrogate pairs, which JSON can spell, become U+FFFD.

    That is what happens to them in transcripts, too: the rest of what was written is worth keeping.
    """
    if text.isascii():
        return text.replace("\0", REPLACEMENT) if "\0" in text else text
    return text.replace("\0", REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def texts_by(change: Callable[[str], str], value: Any) -> Any:
    """``value``, plain JSON, with every text in it changed, however deep it lies; names of members, too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [texts_by(change, part) for part in value]
    if isinstance(value, dict):
        return {change(name): texts_by(change, part) for name, part in value.items()}
    return value


# --- from the signature -----------------------------------------------------------------------------------------------


def arguments_of(tool: Tool) -> list[Argument]:
    """What a tool takes besides its caller. Raises TypeError at start for a type that has no place in the table."""
    hints = typing.get_type_hints(tool.run, include_extras=True)
    found = []
    for name, parameter in list(inspect.signature(tool.run).parameters.items())[1:]:
        kind, nullable, arg = _taken_apart(hints[name])
        if kind not in _JSON_TYPES:
            raise TypeError(f"{tool.name}: the argument {name} is of a type that flower/mcp/schema.py lacks: {kind}")
        required = parameter.default is inspect.Parameter.empty
        default = None if required else parameter.default
        found.append(
            Argument(name, kind, required, default, nullable, arg.says, tuple(arg.choices), arg.refused_by_tool)
        )
    return found


def _taken_apart(hint: Any) -> tuple[Any, bool, Arg]:
    """The plain type of a hint, whether it allows None, and what ``Arg`` says of it."""
    nullable, arg = False, Arg("")
    while True:
        if typing.get_origin(hint) is typing.Annotated:
            hint, *said = typing.get_args(hint)
            arg = next((one for one in _args(said)), arg)
        elif typing.get_origin(hint) in {typing.Union, types.UnionType}:
            nullable = nullable or type(None) in typing.get_args(hint)
            (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
        else:
            break
    return {list: list[str], dict: dict[str, Any]}.get(hint, hint), nullable, arg


def _args(said: Iterable[Any]) -> Iterable[Arg]:
    return (one for one in said if isinstance(one, Arg))
