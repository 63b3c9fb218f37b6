"""A light HTTP client: raw keepalive connections, requests that were made beforehand, answers that are only measured.

It uses a fraction of what a server uses for the same calls (``Burst.client_cpu`` tells), and needs nothing installed.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

TIMEOUT = 60.0  # seconds without any byte until a benchmark is given up


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """The bytes of one request. Header names are given with underscores."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def tool_call(token: str, tool: str, arguments: dict[str, Any]) -> bytes:
    """A tool call as an agent's program sends it (handshake era; a stateless server needs no handshake before it)."""
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
    return request(
        "POST",
        "/mcp",
        json.dumps(message).encode(),
        Authorization=f"Bearer {token}",
        Content_Type="application/json",
        Accept="application/json, text/event-stream",
        Mcp_Protocol_Version="2025-06-18",
    )


def result_of(body: bytes) -> dict[str, Any]:
    """What a tool answered. Raises RuntimeError for a refusal."""
    result = json.loads(body)["result"]
    if result.get("isError"):
        raise RuntimeError(result["content"][0]["text"])
    return result["structuredContent"]


class Link:
    """One keepalive connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = bytearray()
        self.sent_at = 0.0

    def send(self, data: bytes) -> None:
        self.sent_at = time.perf_counter()
        self.socket.sendall(data)

    def receive(self) -> bytes | None:
        """Read once. Returns the answer's body when it is complete. Raises RuntimeError for another status than 200."""
        data = self.socket.recv(262144)
        if not data:
            raise RuntimeError("the server closed the connection")
        self.received += data
        end = self.received.find(b"\r\n\r\n")
        if end < 0:
            return None
        head = bytes(self.received[:end]).lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(self.received) < end + 4 + length:
            return None
        body = bytes(self.received[end + 4 :])
        self.received.clear()
        if head.split(b" ", 2)[1] != b"200":
            raise RuntimeError(f"the server says {head.splitlines()[0].decode()}: {body[:300]!r}")
        return body

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        while (body := self.receive()) is None:
            pass
        return body

    def call(self, token: str, tool: str, **arguments: Any) -> dict[str, Any]:
        return result_of(self.ask(tool_call(token, tool, arguments)))

    def close(self) -> None:
        self.socket.close()


@dataclass(frozen=True)
class Burst:
    """``calls`` answered in ``seconds``; ``client_cpu`` is this process's share of it."""

    calls: int
    seconds: float
    client_cpu: float
    median_latency: float

    @property
    def rate(self) -> float:
        return self.calls / self.seconds


AGES = 0.01  # of a body


def burst(links: Sequence[Link], data: bytes, calls: int) -> Burst:
    """Send the same request ``calls`` times, one after another on each connection, and take all answers.

    Every answer must be as long as the first, but for the ages on a page (``59m`` becomes ``1h``): an error or a cut
    answer in between would be no measurement.
    """
    to_send, expected, latencies = calls, -1, []
    with selectors.DefaultSelector() as selector:
        for link in links:
            selector.register(link.socket, selectors.EVENT_READ, link)
        cpu, begun = time.process_time(), time.perf_counter()
        for link in links[:calls]:
            link.send(data)
            to_send -= 1
        while len(latencies) < calls:
            ready = selector.select(TIMEOUT)
            if not ready:
                raise RuntimeError("the server does not answer")
            for key, _ in ready:
                link = key.data
                body = link.receive()
                if body is None:
                    continue
                latencies.append(time.perf_counter() - link.sent_at)
                if expected < 0:
                    expected = len(body)
                if abs(len(body) - expected) > expected * AGES:
                    raise RuntimeError(f"an answer has {len(body)} bytes and another {expected}: {body[:300]!r}")
                if to_send:
                    link.send(data)
                    to_send -= 1
        seconds = time.perf_counter() - begun
        return Burst(calls, seconds, time.process_time() - cpu, statistics.median(latencies))


def page_time(link: Link, data: bytes, calls: int) -> tuple[float, int]:
    """The median seconds of so many requests, one after another, and the length of the answer in bytes."""
    times, size = [], 0
    for _ in range(calls):
        began = time.perf_counter()
        size = len(link.ask(data))
        times.append(time.perf_counter() - began)
    return statistics.median(times), size
