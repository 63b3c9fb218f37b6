"""A broker that hangs, as one behind a dropped network does: whoever writes goes on, and so does the work."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.system.running import Bench, assert_main_is_whole, until

pytestmark = pytest.mark.slow


def test_writers_do_not_wait_for_a_broker_that_hangs(bench: Bench) -> None:
    flower = bench.flower
    bench.begin(bench.project("sample", "--auto-merge", "--gate", "true"))
    brief = bench.brief("sample")
    broker = flower.pid("broker")
    os.kill(broker, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        dispatch = bench.call("brief_dispatch", brief=brief, agent="numbers")["dispatch"]
        for number in range(40):
            bench.call("brief_append", brief=brief, body=f"note {number}")
        # Each of the 41 calls sends several messages. Where each of those waited for its own time-out it took minutes.
        assert time.monotonic() - begun < 20
    finally:
        os.kill(broker, signal.SIGCONT)
    bench.signal(f"work-{dispatch}", f"end-{dispatch}")
    flower.await_state(dispatch, "done")
    assert_main_is_whole(bench.folder / "sample")
    until(flower.is_whole, "everything works again")
    assert flower.pid("broker") == broker
