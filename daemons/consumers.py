"""A process's output as it comes: binary frames of raw bytes, from an offset on, following the log."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any, Final

from briefs.consumers import NOT_YOURS, Consumer
from core import live, metrics
from core.errors import Refusal
from core.threads import run_in_database_thread
from daemons import terminal
from daemons.models import Process
from daemons.views import find

LOOK_SECONDS: Final = 0.15  # the holder writes a file and sends no hint: its size is looked at this often
FRAME_BYTES: Final = 65_536


class ProcessConsumer(Consumer):
    """Output from ``?offset=B`` (default: from now on); ``process.changed`` as text when its state did."""

    process: Process
    offset: int
    follower: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        number = self.scope["url_route"]["kwargs"]["number"]
        try:
            self.process = await run_in_database_thread(find, self.identity, number)
        except Refusal:
            await self.close(NOT_YOURS)
            return
        await self.join(live.process_group(number))
        await self.accept()
        offset = self.number_in_query("offset")
        self.offset = await asyncio.to_thread(self.end_of_output) if offset is None else offset
        self.follower = asyncio.create_task(self.follow())

    async def disconnect(self, code: int) -> None:
        if self.follower is not None:
            self.follower.cancel()
            with suppress(asyncio.CancelledError):
                await self.follower
        await super().disconnect(code)

    async def follow(self) -> None:
        """Send what is new, look again; once the process has ended and all is sent, nothing comes any more."""
        while True:
            data, following = await asyncio.to_thread(terminal.output, self.process.run_dir, self.offset, FRAME_BYTES)
            if data:
                self.offset = following
                await self.send(bytes_data=data)
            elif self.process.has_ended:
                return
            else:
                await asyncio.sleep(LOOK_SECONDS)

    async def process_changed(self, message: dict[str, Any]) -> None:
        self.process = await run_in_database_thread(find, self.identity, self.process.pk)
        await self.send(json.dumps({"type": "process.changed", "process": self.process.pk}))
        metrics.note_push(message)

    def end_of_output(self) -> int:
        return terminal.facts(self.process.run_dir).output_bytes
