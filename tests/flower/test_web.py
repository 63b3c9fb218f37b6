"""The web process's bounds, over real sockets: a body stops at its limit, a websocket's frames have a rate."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import psutil
import pytest

from tests.flower.test_backpressure import _daphne, _socket
from tests.web import WebProcess

pytestmark = pytest.mark.slow

TINY_FRAME = b"\x81\x82" + b"\0\0\0\0" + b"{}"  # text, masked with zeros
PICTURE = "Content-Type: multipart/form-data; boundary=b\r\n"


def connection(web_process: WebProcess) -> socket.socket:
    where = urlsplit(web_process.url)
    return socket.create_connection((where.hostname or "", where.port or 0), timeout=10)


def head(web_process: WebProcess, path: str, *lines: str) -> bytes:
    host = urlsplit(web_process.url).netloc
    return "".join([f"POST {path} HTTP/1.1\r\nHost: {host}\r\n", *lines, "\r\n"]).encode()


def answer(link: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    found = b""
    while part := link.recv(65536):
        found += part
    return found


def spooled(web: psutil.Process) -> int:
    """Bytes in the temporary files that the process has open; they have no names."""
    sizes = []
    for entry in os.scandir(f"/proc/{web.pid}/fd"):
        try:
            if os.readlink(entry.path).endswith("(deleted)"):
                sizes.append(os.stat(entry.path).st_size)
        except OSError:
            continue
    return sum(sizes)


@pytest.mark.parametrize("path", ["/login/", "/mcp", "/healthz", "/briefs/1/attachments/"])
def test_a_length_beyond_the_limit_is_refused_before_anything_of_it_is_read(web_process, path):
    kind = PICTURE if "attachments" in path else ""  # of a stranger, who may send no picture at all
    with closing(connection(web_process)) as link:
        begun = time.monotonic()
        link.sendall(head(web_process, path, kind, "Content-Length: 5000000000\r\n") + b"x" * 1000)
        found = answer(link)
    assert found.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 1,000,000 bytes" in found
    assert time.monotonic() - begun < 5  # 0.01 s on an idle machine


def test_a_sender_who_goes_on_gets_to_read_the_answer_and_fills_no_disk(web_process):
    web = _daphne(web_process)
    before = spooled(web)
    with closing(connection(web_process)) as link:
        link.sendall(head(web_process, "/login/", "Content-Length: 5000000000\r\n"))
        link.setblocking(False)
        sent, most, found, deadline = 0, 0, b"", time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                sent += link.send(b"x" * 65536)
            except BlockingIOError:
                pass
            except OSError:
                break
            most = max(most, spooled(web) - before)
            try:
                part = link.recv(65536)
            except BlockingIOError:
                continue
            except ConnectionResetError:
                break
            if not part:
                break
            found += part
        assert found.startswith(b"HTTP/1.1 413 ")
        assert most == 0, f"{most} bytes of a temporary file, after {sent} were sent"


def test_a_body_without_a_length_stops_at_the_limit(web_process):
    web = _daphne(web_process)
    before = spooled(web)
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with closing(connection(web_process)) as link:
        link.sendall(head(web_process, "/mcp", "Transfer-Encoding: chunked\r\n"))
        most = 0
        try:
            for _ in range(1600):  # 100 MB: what comes after the answer is let go of
                link.sendall(chunk)
                most = max(most, spooled(web) - before)
        except OSError:
            pass
    assert most <= 1_000_000


def test_a_body_without_a_length_is_answered_413_as_soon_as_it_is_too_long(web_process):
    chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    with closing(connection(web_process)) as link:
        link.sendall(head(web_process, "/mcp", "Transfer-Encoding: chunked\r\n") + chunk * 16)  # no end
        assert answer(link).startswith(b"HTTP/1.1 413 ")


def test_a_body_within_the_limit_arrives_whole_however_it_is_sent(web_process):
    token = f"Authorization: Bearer {web_process.token('agent')}\r\nContent-Type: application/json\r\n"
    message = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}' + b" " * 900_000 + b"}"
    plain = head(web_process, "/mcp", token, f"Content-Length: {len(message)}\r\n")
    parts = [message[at : at + 50_000] for at in range(0, len(message), 50_000)]
    chunked = head(web_process, "/mcp", token, "Transfer-Encoding: chunked\r\n")
    chunked += b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    for request in (plain + message, chunked + b"0\r\n\r\n"):
        with closing(connection(web_process)) as link:
            link.sendall(request)
            assert link.recv(15) == b"HTTP/1.1 200 OK"


def test_a_picture_may_be_longer_for_who_may_send_one(web_process):
    """What comes back is about the picture, not about the length: the body was read."""
    body = b'--b\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n' + b"x" * 3_000_000
    body += b"\r\n--b--\r\n"
    path = f"/briefs/{web_process.scene['mine']}/attachments/"
    for scope, expected in (("operator", b"HTTP/1.1 400"), ("agent", b"HTTP/1.1 413")):
        token = f"Authorization: Bearer {web_process.token(scope)}\r\nAccept: application/json\r\n"
        with closing(connection(web_process)) as link:
            link.sendall(head(web_process, path, token, PICTURE, f"Content-Length: {len(body)}\r\n"))
            try:
                link.sendall(body)
            except OSError:
                assert scope == "agent"
            assert link.recv(12) == expected, scope


def test_a_flood_of_tiny_frames_ends_its_socket_and_delays_nobody(web_process):
    brief = web_process.scene["mine"]
    with closing(_socket(web_process, f"/ws/briefs/{brief}/")) as client:
        client.settimeout(20)
        others = ThreadPoolExecutor(1).submit(slowest_answer, web_process)
        found = b""
        try:
            client.sendall(TINY_FRAME * 30_000)
            while part := client.recv(65536):
                found += part
        except ConnectionResetError:
            pass
        assert (1008).to_bytes(2) + b"too many messages" in found
        assert others.result(30) < 2.5  # it was 5.2 s; 0.02 on an idle machine


def slowest_answer(web_process: WebProcess) -> float:
    """Seconds: of the /healthz in the second that follows."""
    slowest, end = 0.0, time.monotonic() + 1
    while (begun := time.monotonic()) < end:
        assert web_process.request("/healthz")[0] == 200
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


def test_a_page_that_hurries_is_not_taken_for_a_flood(web_process):
    brief = web_process.scene["mine"]
    with closing(_socket(web_process, f"/ws/briefs/{brief}/")) as client:
        client.settimeout(0.5)
        client.sendall(TINY_FRAME * 150)
        with pytest.raises(TimeoutError):
            while client.recv(65536):
                pass
        client.sendall(b"\x89\x80\0\0\0\0")  # a ping
        client.settimeout(20)
        assert client.recv(2) == b"\x8a\x00"
