"""A client that does not read costs the web process nothing, and misses nothing once it reads again."""

from __future__ import annotations

import base64
import os
import socket
import struct
import time
from urllib.parse import urlsplit

import psutil
import pytest

from tests.web import WebProcess

pytestmark = pytest.mark.slow

LOG = 300 * 2**20  # bytes of output; far more than may pile up
MOST = 40 * 2**20  # bytes that the web process may grow by


def test_a_client_that_does_not_read_is_waited_for(web_process: WebProcess) -> None:
    folder = web_process.home / "processes" / "900"
    folder.mkdir(parents=True)
    with (folder / "output.log").open("wb") as log:
        log.truncate(LOG)
        log.write(b"end")
    brief = web_process.scene["mine"]
    web_process.execute(
        "INSERT INTO daemons_process (id, purpose, brief_id, command, cwd, phase, error, reason, stop_why,"
        " output_bytes, created_at, run)"
        " VALUES (900, 'agent', ?, 'x', '/x', 'running', '', '', '', 0, '2026-01-01 00:00:00', 1)",
        brief,
    )
    web = _daphne(web_process)
    before = web.memory_info().rss
    with _socket(web_process, "/ws/processes/900/?offset=0") as client:
        sent = _await_rest(web)
        assert sent < MOST, "it went on reading the log for somebody who does not read"
        assert web.memory_info().rss - before < MOST
        assert web_process.request("/healthz")[0] == 200
        client.settimeout(20)
        assert _count_frames(client, upto=8 * 2**20) >= 8 * 2**20, "it goes on where it stopped"
    deadline = time.monotonic() + 20
    while any(file.path == str(folder / "output.log") for file in web.open_files()):
        assert time.monotonic() < deadline
    assert web_process.request("/healthz")[0] == 200


def _daphne(web_process: WebProcess) -> psutil.Process:
    port = str(urlsplit(web_process.url).port)
    return next(
        child
        for child in psutil.Process().children(recursive=True)
        if "flower.web" in child.cmdline() and port in child.cmdline()
    )


def _socket(web_process: WebProcess, path: str) -> socket.socket:
    """An open websocket with a small receive buffer that nobody reads from."""
    where = urlsplit(web_process.url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((where.hostname, where.port))
    client.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
        f"Authorization: Bearer {web_process.token('run')}\r\n\r\n".encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.recv(1)
    assert b" 101 " in head
    return client


def _await_rest(web: psutil.Process) -> int:
    """Wait until the web process reads nothing more; how much it has read by then."""
    begun = last = web.io_counters().read_chars
    quiet = time.monotonic()
    while time.monotonic() - quiet < 1.5:
        time.sleep(0.1)
        now = web.io_counters().read_chars
        if now - last > 65_536:
            last, quiet = now, time.monotonic()
            if last - begun > 2 * MOST:
                break
    return last - begun


def _count_frames(client: socket.socket, upto: int) -> int:
    """Read whole binary frames; the bytes in them."""
    count = 0
    with client.makefile("rb") as stream:
        while count < upto:
            kind, length = stream.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", stream.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", stream.read(8))
            payload = stream.read(length)
            if kind == 0x82:
                count += len(payload)
    return count
