"""The endpoint: the tools of flower/mcp/registry.py on ``POST /mcp`` with a bearer token.

Stateless, JSON answers, every protocol era that the SDK speaks. The SDK's kernel (``serve_one``) checks, runs and
shapes each request, and its ladder judges those of the 2026-07-28 era. Its HTTP transports are left out: with nothing
to stream and nothing to remember they would still build streams, a task group and a session manager that needs a
lifespan, which daphne does not offer.

A tool is synchronous and runs with all its queries in one hop to a database thread. A refusal becomes a tool error with
its sentence; anything else is logged and becomes one that says no more than that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import anyio
import pydantic_core
import structlog
from mcp.server.caching import CacheHint
from mcp.server.connection import Connection
from mcp.server.lowlevel import Server
from mcp.server.runner import serve_one
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import (
    ERROR_CODE_HTTP_STATUS,
    MCP_PROTOCOL_VERSION_HEADER,
    InboundLadderRejection,
    classify_inbound_request,
    find_duplicated_routing_header,
    unsupported_protocol_version_rejection,
)
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    PARSE_ERROR,
    CallToolRequestParams,
    ErrorData,
    JSONRPCRequest,
    PaginatedRequestParams,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, KNOWN_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION
from pydantic import ValidationError

from briefs.identity import Identity
from briefs.services import actors
from core import metrics
from core.errors import Refusal, Unauthenticated
from core.threads import Message, Receive, Scope, Send, run_in_database_thread
from core.trouble import Unavailable
from flower import routing
from flower.mcp import registry
from flower.mcp.registry import catalogue, listed
from flower.mcp.schema import storable, texts_by

log = structlog.stdlib.get_logger(__name__)

IDENTITY_SECONDS: Final = 1.0  # on top of the 3 s that actors.authenticate() keeps: a revocation acts within 4 s
BATCHED: Final = ("2024-11-05", "2025-03-26")  # the versions that let a client send several messages in one body
BATCH_LIMIT: Final = 100
FULL: Final = "The answers before this one fill the batch; nothing was done, send it again."
INTERNAL: Final = "flower had an internal error; it was logged."
INSTRUCTIONS: Final = (
    "flower is the board that your work comes from. A brief is one piece of work, named by its number; recall_brief "
    "reads it, whoami says which is yours. Report progress and finish with the dispatch tools. "
    "A refusal says what to do instead."
)


# --- the server -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    caller: Identity
    scope: Scope


_current: ContextVar[_Call] = ContextVar("mcp call")


async def _list_tools(_ctx: Any, _params: PaginatedRequestParams) -> dict[str, Any]:
    return {**_COMPLETE, "tools": listed(_current.get().caller.scope)}


async def _call_tool(_ctx: Any, params: CallToolRequestParams) -> dict[str, Any]:
    return await call(params.name, params.arguments or {})


async def call(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a tool for the current caller. Returns a CallToolResult as a dict; never raises for what a tool does."""
    current = _current.get()
    served = catalogue().get(name)
    if served is None or not served.tool.is_offered_to(current.caller.scope):
        metrics.calls.labels("unknown", "refused").inc()
        return _error(f"There is no tool '{name[:80]}' for you; tools/list shows those that there are.")
    current.scope["flower.route"] = f"/mcp {name}"
    started, outcome = time.perf_counter(), "failed"
    try:
        result, text = await run_in_database_thread(served.perform, current.caller, arguments)
        outcome = "ok"
        return {**_COMPLETE, "content": [{"type": "text", "text": text}], "structuredContent": result}
    except Refusal as refusal:
        outcome = "refused"
        metrics.note_refusal("mcp", refusal)
        return _error(f"{refusal.sentence}\n{refusal.detail}" if refusal.detail else refusal.sentence)
    except Unavailable as unavailable:
        outcome = "unavailable"
        return _unavailable(unavailable)
    except Exception:
        log.exception("a tool failed", tool=name, actor=current.caller.actor.ref)
        return _error(INTERNAL)
    finally:
        metrics.calls.labels(name, outcome).inc()
        metrics.call_seconds.labels(name).observe(time.perf_counter() - started)


def _error(sentence: str) -> dict[str, Any]:
    return {**_COMPLETE, "content": [{"type": "text", "text": sentence}], "isError": True}


def _unavailable(unavailable: Unavailable) -> dict[str, Any]:
    """A tool error that may be repeated as it is: the sentence for a model, the code and the pause for a program."""
    told = {"flower/code": unavailable.code, "flower/retry_after": unavailable.retry_after}
    return {**_error(unavailable.sentence), "_meta": told}


_COMPLETE: Final = {"resultType": "complete"}  # the 2026 era requires it; the SDK takes it out for the earlier ones


def _version() -> str:
    try:
        return version("flower")
    except PackageNotFoundError:  # run from a checkout
        return "0"


def make_server() -> Server[Any]:
    server: Server[Any] = Server(
        "flower",
        version=_version(),
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=60_000, scope="private")},  # private: the list depends on the token
    )
    server.add_request_handler("tools/list", PaginatedRequestParams, _list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, _call_tool)
    server.middleware.clear()  # OpenTelemetry spans that nobody exports
    return server


class Endpoint:
    """The ASGI app at /mcp: Host and Origin, method, token; then the kernel of the request's era."""

    def __init__(self) -> None:
        self.server = make_server()
        self._known: dict[str, tuple[float, Identity]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        if not routing.host_is_ours(headers):
            await answer(send, 421, {"error": "This name is not one of FLOWER_ALLOWED_HOSTS."})
        elif not routing.origin_is_ours(headers):
            await answer(send, 403, {"error": "Tools are not for other sites' pages."})
        elif scope["method"] != "POST":
            # In stateless mode nothing would ever come on a GET stream; the SDK would leave it hanging.
            await answer(send, 405, {"error": "MCP is spoken by POST here."}, [(b"allow", b"POST")])
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            caller = await self._identify(routing.bearer(scope["headers"]))
        except Unauthenticated as refusal:
            metrics.note_refusal("mcp", refusal)
            await answer(send, 401, {"error": refusal.sentence}, [(b"www-authenticate", b"Bearer")])
            return
        scope["flower.actor"] = caller.actor.ref
        _current.set(_Call(caller, scope))
        status, content = await self._answer(scope["headers"], await body_of(receive))
        await answer(send, status, content)

    async def _identify(self, secret: str) -> Identity:
        """Who a token stands for. One hop a second for each busy token, none for what cannot be a token."""
        if not secret.startswith(actors.PREFIX):
            raise Unauthenticated("Send a token as 'Authorization: Bearer flower_…'; manage.py actor_token makes one.")
        known, now = self._known.get(secret), time.monotonic()
        if known and known[0] > now:
            return known[1]
        self._known.pop(secret, None)
        caller = await run_in_database_thread(actors.authenticate, secret)
        if len(self._known) > 2000:
            self._known.clear()
        self._known[secret] = (now + IDENTITY_SECONDS, caller)
        return caller

    async def _answer(self, headers: routing.Headers, body: bytes) -> tuple[int, Any]:
        """One body in, the status and the answer out (None: no body). Nothing is remembered of either."""
        if not routing.header(headers, b"content-type").lower().startswith("application/json"):
            return 415, {"error": "Send JSON, with 'Content-Type: application/json'."}
        try:
            message = read_json(body)
        except ValueError:
            return 400, _failure(None, PARSE_ERROR, "This is not JSON.")
        named = routing.header(headers, _VERSION_HEADER)
        if named and named not in KNOWN_PROTOCOL_VERSIONS:
            return _rejected(_id_of(message), _unknown(named))
        if isinstance(message, list):
            return await self._answer_batch(named, headers, message)
        # Without the header it is the handshake era's (initialize has none yet), or a script that wants one answer.
        return await self._answer_one(named or LATEST_HANDSHAKE_VERSION, headers, message)

    async def _answer_one(self, era: str, headers: routing.Headers, message: Any) -> tuple[int, dict[str, Any] | None]:
        """One JSON-RPC message in, the status and the message out."""
        if isinstance(message, dict) and "jsonrpc" in message and ("id" not in message or "method" not in message):
            # A notification, or the answer to a question that a stateless server never asks: taken and dropped.
            return 202, None
        try:
            request = JSONRPCRequest.model_validate(message, by_name=False)
        except ValidationError:
            sentence = "The body must be one JSON-RPC 2.0 request: an object with jsonrpc, id, method and params."
            return 400, _failure(_id_of(message), INVALID_REQUEST, sentence)
        if era not in HANDSHAKE_PROTOCOL_VERSIONS and (rejection := _rejection(message, headers)) is not None:
            return _rejected(request.id, rejection)
        return await self._result(era, request)

    async def _answer_batch(self, named: str, headers: routing.Headers, batch: list[Any]) -> tuple[int, Any]:
        """Several messages in one body, one after another: the answers of those that have one, in their order."""
        if named and named not in BATCHED:
            sentence = f"Version {named} has no batches, they ended with {BATCHED[-1]}; send one request at a time."
            return 400, _failure(None, INVALID_REQUEST, sentence)
        if not 0 < len(batch) <= BATCH_LIMIT:
            sentence = f"A batch holds from 1 to {BATCH_LIMIT} messages, this one has {len(batch):,}."
            return 400, _failure(None, INVALID_REQUEST, sentence)
        answers, size = [], 0
        for message in batch:
            if size > registry.ANSWER_LIMIT:  # and not a call that was made and whose answer is dropped
                given = _failure(_id_of(message), INVALID_REQUEST, FULL) if _id_of(message) is not None else None
            elif isinstance(message, dict) and message.get("method") == "initialize":
                sentence = "Initialize comes in a request of its own, not in a batch."
                given = _failure(_id_of(message), INVALID_REQUEST, sentence)
            else:
                # Without the header these are of the last version that has batches, which had no such header.
                _, given = await self._answer_one(named or BATCHED[-1], headers, message)
            if given is not None:
                answers.append(given)
                size += len(pydantic_core.to_json(given))
        return (200, answers) if answers else (202, None)

    async def _result(self, era: str, request: JSONRPCRequest) -> tuple[int, dict[str, Any]]:
        try:
            result = await serve_one(
                self.server,
                _OneAnswer(request.id),
                request.method,
                request.params,
                # None, None: who the client is and what it could be asked matters to no tool
                connection=Connection.from_envelope(era, None, None),
                lifespan_state={},
            )
        except Exception as error:
            if (data := handler_exception_to_error_data(error)) is None:
                log.exception("an MCP request failed", method=request.method[:60])
                data = ErrorData(code=INTERNAL_ERROR, message=INTERNAL)
            # The eras differ in whether HTTP's status tells of JSON-RPC's errors.
            status = 200 if era in HANDSHAKE_PROTOCOL_VERSIONS else ERROR_CODE_HTTP_STATUS.get(data.code, 200)
            return status, _failure(request.id, data.code, data.message, data.data)
        return 200, {"jsonrpc": "2.0", "id": request.id, "result": result}


def read_json(body: bytes) -> Any:
    """What a body says. Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD, as in transcripts.

    Raises ValueError for what is no JSON, or is nested too deeply.
    """
    try:
        return pydantic_core.from_json(body)
    except ValueError:
        pass  # it is stricter than what programs send that cut a text at so many UTF-16 units
    try:
        return texts_by(storable, json.loads(body.decode("utf-8", "replace")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _id_of(message: Any) -> int | str | None:
    """The id of what may be no well-formed request, so that its sender can tell what is refused."""
    found = message.get("id") if isinstance(message, dict) else None
    return found if isinstance(found, int | str) and not isinstance(found, bool) else None


_VERSION_HEADER: Final = MCP_PROTOCOL_VERSION_HEADER.encode()


def _rejection(message: dict[str, Any], headers: routing.Headers) -> InboundLadderRejection | None:
    """What is wrong with a 2026-07-28 request, whose body and headers say some things twice; None if nothing is."""
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    if twice := find_duplicated_routing_header(lines):
        return InboundLadderRejection(HEADER_MISMATCH, f"The header {twice} is there more than once.")
    verdict = classify_inbound_request(message, headers=dict(lines))
    return verdict if isinstance(verdict, InboundLadderRejection) else None


def _unknown(era: str) -> InboundLadderRejection:
    spoken, name = ", ".join(KNOWN_PROTOCOL_VERSIONS), MCP_PROTOCOL_VERSION_HEADER
    sentence = f"flower does not speak the protocol version {era[:40]!r}; send one of {spoken} as {name}."
    known = unsupported_protocol_version_rejection(era)
    return InboundLadderRejection(known.code if known else INVALID_REQUEST, sentence, known.data if known else None)


def _rejected(request_id: int | str | None, why: InboundLadderRejection) -> tuple[int, dict[str, Any]]:
    return ERROR_CODE_HTTP_STATUS.get(why.code, 400), _failure(request_id, why.code, why.message, why.data)


class _OneAnswer:
    """The SDK's DispatchContext for a request whose only way back is its answer."""

    transport = TransportContext(kind="streamable-http", can_send_request=False)
    can_send_request = False
    message_metadata = None

    def __init__(self, request_id: int | str) -> None:
        self.request_id = request_id

    @property
    def cancel_requested(self) -> anyio.Event:
        return anyio.Event()

    async def send_raw_request(self, method: str, params: Any, opts: Any = None) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Any, opts: Any = None) -> None:
        """Dropped: there is no stream that it could go out on."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Dropped, as notify()."""


def _failure(request_id: int | str | None, code: int, message: str, data: Any = None) -> dict[str, Any]:
    error = {"code": code, "message": message} | ({"data": data} if data else {})
    return {"jsonrpc": "2.0", "id": request_id, "error": error}


async def body_of(receive: Receive) -> bytes:
    """The whole body; flower/asgi.py has bounded it."""
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def answer(send: Send, status: int, content: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    """Send one JSON response; no body where ``content`` is None."""
    body = b"" if content is None else pydantic_core.to_json(content)
    head: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            (b"x-content-type-options", b"nosniff"),
            *(headers or []),
        ],
    }
    await send(head)
    await send({"type": "http.response.body", "body": body})
