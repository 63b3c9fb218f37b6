"""The listening socket is the supervisor's: while web is killed and started again, who comes waits, and is answered."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.system.running import CHILDREN, Flower, is_alive, until

pytestmark = pytest.mark.slow

SECONDS, A_SECOND, KILLS = 10, 20, 2


def outcome(port: int) -> str:
    """What became of one GET: its status, or how it failed."""
    request = f"GET /login/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    try:
        link = socket.create_connection(("127.0.0.1", port), timeout=60)
    except OSError as error:
        return f"refused ({error})"
    with link:
        try:
            link.sendall(request)
            return link.recv(12).decode() or "closed"
        except ConnectionResetError:
            return "reset"


def listening_inode(port: int) -> str:
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = {words[9] for words in lines if words[3] == "0A" and words[1].endswith(f":{port:04X}")}
    return f"socket:[{inode}]"


def has_open(pid: int, link: str) -> bool:
    return any(
        os.readlink(entry.path) == link for entry in os.scandir(f"/proc/{pid}/fd") if os.path.lexists(entry.path)
    )


def test_nobody_is_refused_while_web_is_killed(flower: Flower):
    outcomes: list[str] = []
    asking = []
    begun, killed = time.monotonic(), 0
    for number in range(SECONDS * A_SECOND):
        time.sleep(max(0.0, begun + number / A_SECOND - time.monotonic()))
        asking.append(threading.Thread(target=lambda: outcomes.append(outcome(flower.port))))
        asking[-1].start()
        if number == int((killed + 0.5) * SECONDS * A_SECOND / KILLS):
            flower.kill("web")
            killed += 1
    for one in asking:
        one.join()
    counted = Counter(outcomes)
    resets = counted.pop("reset", 0) + counted.pop("closed", 0)  # had been accepted by a process that was killed
    assert killed == KILLS
    assert counted == {"HTTP/1.1 200": SECONDS * A_SECOND - resets}
    assert resets <= 20 * KILLS  # web.AT_ONCE, and those that it was reading from; 0 to 3 a kill were seen
    until(flower.is_whole, "all processes work again")


def test_only_the_supervisor_and_web_hold_the_socket(flower: Flower):
    until(flower.is_whole, "all processes work")
    assert flower.process
    inode = listening_inode(flower.port)
    holding = {name for name in CHILDREN if has_open(flower.pid(name), inode)}
    assert holding == {"web"}
    assert has_open(flower.process.pid, inode)


def test_it_stops_within_seconds(flower: Flower):
    """Also where the processes are slow: they are told at once, not one after the other."""
    pids = [flower.pid(name) for name in CHILDREN]
    begun = time.monotonic()
    flower.stop()
    assert (
        time.monotonic() - begun < 12
    )  # 2 on an idle machine; 4 for all and 4 for the broker are the most, and a turn
    assert not any(is_alive(pid) for pid in pids)
    assert flower.get("/healthz")[0] == 0
