"""A light websocket client: what a browser's socket receives, at the price of a few microseconds a frame."""

from __future__ import annotations

import base64
import os
import socket
import struct

TIMEOUT = 30.0
_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10


class Closed(Exception):
    pass


class WebSocket:
    """A connection that is read: ``frames()`` blocks for at least one text frame, ``fileno()`` serves selectors."""

    def __init__(self, address: tuple[str, int], path: str, token: str) -> None:
        self.received = bytearray()
        self.socket = socket.create_connection(address, timeout=TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._shake_hands(address, path, token)

    def _shake_hands(self, address: tuple[str, int], path: str, token: str) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {address[0]}:{address[1]}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Authorization: Bearer {token}",
        ]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            self._read()
        status = bytes(self.received[: self.received.find(b"\r\n")])
        if b" 101 " not in status:
            raise Closed(f"{path}: {status.decode()}")
        del self.received[: end + 4]

    def fileno(self) -> int:
        return self.socket.fileno()

    def _read(self) -> None:
        data = self.socket.recv(262144)
        if not data:
            raise Closed("the server closed the socket")
        self.received += data

    def frames(self) -> list[str]:
        """Read once, and answer the text frames that are complete now; pings are answered."""
        self._read()
        return self.complete_frames()

    def complete_frames(self) -> list[str]:
        """The text frames that have come already. The server sends none in parts, and masks none."""
        found = []
        while len(self.received) >= 2:
            kind, length, start = self.received[0] & 15, self.received[1] & 127, 2
            if length == 126 and len(self.received) >= 4:
                (length,), start = struct.unpack_from("!H", self.received, 2), 4
            elif length == 127 and len(self.received) >= 10:
                (length,), start = struct.unpack_from("!Q", self.received, 2), 10
            elif length > 125:
                break
            if len(self.received) < start + length:
                break
            payload = bytes(self.received[start : start + length])
            del self.received[: start + length]
            if kind == _TEXT:
                found.append(payload.decode())
            elif kind == _PING:
                self._pong(payload)
            elif kind == _CLOSE:
                raise Closed(f"the server closed the socket ({payload[:2].hex()})")
        return found

    def _pong(self, payload: bytes) -> None:
        self.socket.sendall(bytes([0x80 | _PONG, 0x80 | len(payload), 0, 0, 0, 0]) + payload)  # a mask of zeros

    def cut(self) -> None:
        """Go away without a word, as a laptop's lid does: reset, not even a FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()
