"""The catalogue: every tool that the rooms declare, with its entry in the list and the way that it is called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache, partial
from typing import Any, Final

from briefs.identity import Identity
from briefs.services import keyed_calls
from core.errors import Invalid, TooLarge
from core.toolbox import Tool, as_text, tools
from flower.mcp.schema import Argument, arguments_of

ANSWER_LIMIT: Final = 400 * 1024  # bytes of one answer as JSON: more is of no use to a model
KEY: Final = "key"
_KEY: Final = Argument(KEY, str, False, "", description="Any text; with the same key, a repeated call is done once.")


class Served:
    """A tool with all that can be worked out once: its arguments, its entry in the list."""

    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        found = arguments_of(tool) + ([_KEY] if tool.keyed else [])
        self.arguments = {argument.name: argument for argument in found}
        self.required = [argument.name for argument in self.arguments.values() if argument.required]
        self.entry: dict[str, Any] = {
            "name": tool.name,
            "description": inspect.getdoc(tool.run) or "",
            "inputSchema": {
                "type": "object",
                "properties": {name: argument.schema for name, argument in self.arguments.items()},
                **({"required": self.required} if self.required else {}),
                "additionalProperties": False,
            },
            "annotations": {
                "readOnlyHint": tool.read_only,
                "destructiveHint": tool.destructive,
                "openWorldHint": False,
            },
        }

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name, right for the function. Raises Invalid."""
        name = self.tool.name
        for key in given:
            if key not in self.arguments:
                takes = ", ".join(self.arguments) or "no arguments"
                raise Invalid(f"{name} has no argument '{key[:60]}'; it takes {takes}.")
        for key in self.required:
            if given.get(key) is None and not (key in given and self.arguments[key].nullable):
                raise Invalid(f"{name} needs the argument '{key}'.")
        return {
            key: None if value is None else self.arguments[key].checked(name, value)
            for key, value in given.items()
            if key in self.required or not self.arguments[key].is_left_out(value)
        }

    def perform(self, caller: Identity, given: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
        """Run the tool; all of it happens on one database thread. Returns the result, and the same as JSON text."""
        arguments = self.checked(given)
        key = arguments.pop(KEY, "") if self.tool.keyed else ""
        call = partial(self.tool.run, caller, **arguments)
        result = keyed_calls.once(self.tool.name, key, arguments, call, actor=caller.actor) if key else call()
        text = as_text(result)
        if (size := len(text.encode())) > ANSWER_LIMIT:
            raise TooLarge(
                f"The answer of {self.tool.name} would be {size:,} bytes, the most is {ANSWER_LIMIT:,}; ask for less."
            )
        return result, text


@cache
def catalogue() -> dict[str, Served]:
    """Every tool by name. Call after django.setup(): each AppConfig has imported its tools by then."""
    return {tool.name: Served(tool) for tool in tools()}


@cache
def listed(scope: str) -> list[dict[str, Any]]:
    return [served.entry for served in catalogue().values() if served.tool.is_offered_to(scope)]
