"""A tool's arguments: its function's signature is the schema, and each value is checked by its type, in one place."""

from __future__ import annotations

import inspect
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Final

from flower.errors import Invalid
from flower.logs import without_tokens
from flower.toolbox import Tool

LARGEST_INTEGER: Final = 2**63 - 1  # what a database column holds; beyond it SQLite raises OverflowError

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

    A required one whose type allows None must be said, and may be null.
    """

    name: str
    kind: Any
    required: bool
    default: Any = None
    nullable: bool = False

    @property
    def schema(self) -> dict[str, Any]:
        schema = dict(_JSON_TYPES[self.kind][0])
        if self.required and self.nullable:
            schema["type"] = [schema["type"], "null"]
        if not self.required and self.default is not None:
            schema["default"] = self.default
        return schema

    def checked(self, tool: str, value: Any) -> Any:
        """``value`` as the tool's function takes it. Raises Invalid with a sentence that names the argument."""
        good = _converted(self.kind, value)
        if good is None:
            wanted = _JSON_TYPES[self.kind][1]
            raise Invalid(f"The argument '{self.name}' of {tool} must be {wanted}, not {_shown(value)}.")
        for part in good if isinstance(good, list) else [good]:
            if isinstance(part, int) and abs(part) > LARGEST_INTEGER:
                raise Invalid(f"The argument '{self.name}' of {tool} is a number far too large.")
            if isinstance(part, str) and not _is_storable(part):
                raise Invalid(f"The argument '{self.name}' of {tool} holds NUL or half characters, which are no text.")
        # Agents write down what they see, and what they write stays: their own token, say.
        if self.kind is str:
            return without_tokens(good)
        return [without_tokens(part) for part in good] if self.kind == list[str] else good


def _converted(kind: Any, value: Any) -> Any:
    """None where it cannot be. Models write "12" and 12.0 for 12, so these are taken for what is meant."""
    if kind is str:
        return value if isinstance(value, str) else None
    if kind is bool:
        return value if isinstance(value, bool) else None
    if kind is int:
        if isinstance(value, str) and len(value) <= 20 and value.removeprefix("-").isascii():
            return int(value) if value.removeprefix("-").isdigit() else None
        if isinstance(value, float):
            return int(value) if value.is_integer() else None
        return value if isinstance(value, int) and not isinstance(value, bool) else None
    if kind is float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    if typing.get_origin(kind) is dict:
        return value if isinstance(value, dict) else None
    if not isinstance(value, list):
        return None
    (inner,) = typing.get_args(kind)
    items = [_converted(inner, item) for item in value]
    return None if any(item is None for item in items) else items


def _shown(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "such a list"
    if isinstance(value, int | float):
        return "a number"
    return repr(value if len(value) <= 40 else f"{value[:40]}…")


def _is_storable(text: str) -> bool:
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell and no database stores
        return False
    return "\0" not in text


def arguments_of(tool: Tool) -> list[Argument]:
    """What a tool takes besides its caller. Raises TypeError at start for a type that has no place in the table."""
    hints = typing.get_type_hints(tool.run)
    found = []
    for name, parameter in list(inspect.signature(tool.run).parameters.items())[1:]:
        kind, nullable = hints[name], False
        if typing.get_origin(kind) in {typing.Union, types.UnionType}:
            nullable = type(None) in typing.get_args(kind)
            (kind,) = (part for part in typing.get_args(kind) if part is not type(None))
        kind = {list: list[str], dict: dict[str, Any]}.get(kind, kind)
        if kind not in _JSON_TYPES:
            raise TypeError(
                f"{tool.name}: the argument {name} is of a type that flower/mcp/schema.py does not know: {kind}"
            )
        required = parameter.default is inspect.Parameter.empty
        found.append(Argument(name, kind, required, None if required else parameter.default, nullable))
    return found
