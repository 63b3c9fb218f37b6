"""The baseline of the live pages: a consumer that passes a number on, with no check, no row and no rendering."""

from __future__ import annotations

from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer

GROUP = "bench.bare"
READY = "<li>a ready text, about as long as an entry of the trace</li>" * 13


class BareConsumer(AsyncWebsocketConsumer):
    async def connect(self) -> None:
        await self.channel_layer.group_add(GROUP, self.channel_name)
        await self.accept()

    async def disconnect(self, code: int) -> None:
        await self.channel_layer.group_discard(GROUP, self.channel_name)

    async def bare_hint(self, message: dict[str, Any]) -> None:
        await self.send(str(message["number"]))

    async def bare_ready(self, message: dict[str, Any]) -> None:
        await self.send(READY)
