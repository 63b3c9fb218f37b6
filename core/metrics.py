"""Metrics: counters of this process, and gauges that are read from the database when somebody asks.

This module is floor: it imports no app. An app counts with the names below and offers gauges of its own rows:

    @metrics.gauge_source("flower_dispatch_requests", "Dispatch requests by state.", ["state"])
    def by_state(project: int | None) -> Iterable[tuple[Sequence[str], float]]:
        return [((row["state"],), row["n"]) for row in …]

``project`` is the one that the asker's token is limited to: its rows only are counted. Such an asker gets these gauges
and none of the process's own counters, which know no projects.
Sources run on the thread of the request for ``/metrics``; one that fails is left out and logged, the others stand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

log = structlog.stdlib.get_logger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)

registry = CollectorRegistry()
ProcessCollector(registry=registry)

requests = Counter("flower_http_requests", "HTTP requests.", ["method", "route", "status"], registry=registry)
request_seconds = Histogram(
    "flower_http_request_seconds", "Time to answer a request.", ["route"], buckets=_FAST, registry=registry
)
calls = Counter("flower_mcp_calls", "MCP tool calls by outcome.", ["tool", "outcome"], registry=registry)
call_seconds = Histogram("flower_mcp_call_seconds", "Time of an MCP call.", ["tool"], buckets=_FAST, registry=registry)
refusals = Counter("flower_refusals", "Refusals by door and kind.", ["door", "kind"], registry=registry)
push_seconds = Histogram(
    "flower_push_seconds", "From a live message's sending to its arrival here.", buckets=_FAST, registry=registry
)
websockets = Gauge("flower_websockets", "Open websockets.", registry=registry)

Rows = Iterable[tuple[Sequence[str], float]]
Read = Callable[[int | None], Rows]


@dataclass(frozen=True)
class _Source:
    name: str
    help: str
    labels: Sequence[str]
    read: Read


_sources: dict[str, _Source] = {}


def gauge_source(name: str, help: str, labels: Sequence[str] = ()) -> Callable[[Read], Read]:
    """Register a function that answers ``((label values…), number)`` rows as a gauge."""

    def register(read: Read) -> Read:
        _sources[name] = _Source(name, help, labels, read)
        return read

    return register


@dataclass(frozen=True)
class _Sources(Collector):
    project: int | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for source in list(_sources.values()):
            family = GaugeMetricFamily(source.name, source.help, labels=list(source.labels))
            try:
                for values, number in source.read(self.project):
                    family.add_metric([str(value) for value in values], number)
            except Exception:
                log.exception("a gauge could not be read", gauge=source.name)
                continue
            yield family


registry.register(_Sources())


def exposition(project: int | None = None) -> bytes:
    """Everything in Prometheus's text format; for one project its gauges only."""
    if project is None:
        return generate_latest(registry)
    limited = CollectorRegistry()
    limited.register(_Sources(project))
    return generate_latest(limited)


@contextmanager
def open_websocket() -> Iterator[None]:
    websockets.inc()
    try:
        yield
    finally:
        websockets.dec()


def note_push(message: Mapping[str, Any]) -> None:
    """For a consumer's handler: how long ago the live message was sent (core/live.py puts the time in ``at``)."""
    sent = message.get("at")
    if isinstance(sent, int | float):
        push_seconds.observe(max(0.0, time.time() - sent))


def note_refusal(door: str, refusal: Exception) -> None:
    refusals.labels(door, type(refusal).__name__).inc()
