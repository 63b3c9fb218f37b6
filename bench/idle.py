"""What flower costs while nobody does anything: memory and CPU of all its processes, once they have worked a little."""

from __future__ import annotations

import time

from bench import board
from bench.http import Link, burst, request, tool_call
from bench.pairs import Spread
from bench.report import Row
from bench.system import System, cpu_seconds, family, memory, name_of, running
from bench.websocket import WebSocket

MEMORY_LIMIT = 450.0  # MB
CPU_LIMIT = 2.0  # per cent of one core
SECONDS = 45.0
SETTLING = 15.0
PAGES = ("/briefs/", "/briefs/{number}/", "/dispatches/", "/worktrees/", "/readyz", "/metrics")


def measure(seconds: float = SECONDS, settling: float = SETTLING) -> list[Row]:
    with running() as system:
        warm_up(system)
        time.sleep(settling)
        assert system.process
        pids = family(system.process.pid)
        began, before = time.monotonic(), {pid: cpu_seconds([pid]) for pid in pids}
        time.sleep(seconds)
        window = time.monotonic() - began
        used = {name_of(system, pid): 100 * (cpu_seconds([pid]) - before[pid]) / window for pid in pids}
        held = {name_of(system, pid): memory(pid) / 1e6 for pid in pids}
        if family(system.process.pid) != pids:
            raise RuntimeError("a process was started or ended while all were to be idle")
    return [
        Row(
            "idle-memory",
            f"all {len(pids)} processes idle: sum of their proportional set sizes",
            _told(held, "MB"),
            "",
            Spread.of([sum(held.values())]),
            MEMORY_LIMIT,
            unit="MB",
            details=held,
        ),
        Row(
            "idle-cpu",
            f"CPU of all over {window:.0f} s, of one core",
            _told(used, "%"),
            "",
            Spread.of([sum(used.values())]),
            CPU_LIMIT,
            unit="%",
            details=used,
        ),
    ]


def warm_up(system: System) -> None:
    """A little of everything, so that what is loaded at first use is loaded."""
    token = system.token()
    number = board.brief(system, token, entries=20)
    link, socket = Link(system.address), WebSocket(system.address, f"/ws/briefs/{number}/?after=0", token)
    for path in PAGES * 3:
        link.ask(request("GET", path.format(number=number), Authorization=f"Bearer {token}"))
    burst([link], tool_call(token, "recall_brief", {"brief": number}), 50)
    while "trace-20" not in "".join(socket.frames()):
        pass
    socket.close()
    link.close()


def _told(parts: dict[str, float], unit: str) -> str:
    digits = 0 if unit == "MB" else 2
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in parts.items())
