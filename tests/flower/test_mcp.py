"""The endpoint without a server: arguments, the catalogue, and what a call answers."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from asgiref.sync import async_to_sync

from briefs.models import Brief, Token, TraceEntry
from briefs.models.status import Status
from briefs.services import actors
from briefs.services.recall import SECTIONS
from core.errors import Conflict, Invalid
from core.toolbox import Arg, Tool
from flower.asgi import application
from flower.mcp import endpoint, registry


def sample(
    caller: Any,
    brief: Annotated[int, Arg("Which one.")],
    body: str = "",
    tags: Annotated[list[str] | None, Arg("Some words.")] = None,
    deep: bool = False,
    kind: Annotated[str, Arg("What sort.", ("bug", "work"))] = "",
    parts: Annotated[list[str] | None, Arg("Which parts.", ("spec", "trace"))] = None,
    numbers: list[int] | None = None,
    more: dict[str, Any] | None = None,
    share: float | None = None,
) -> dict[str, Any]:
    """Does nothing, and says so."""
    return {"brief": brief, "body": body, "tags": tags, "deep": deep}


@pytest.fixture
def served() -> registry.Served:
    return registry.Served(Tool("sample", sample, "rao", read_only=True, destructive=False))


def test_the_schema_comes_from_the_signature(served):
    assert served.entry == {
        "name": "sample",
        "description": "Does nothing, and says so.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "brief": {"type": "integer", "description": "Which one."},
                "body": {"type": "string"},
                "tags": {"type": "array", "items": {"type": "string"}, "description": "Some words."},
                "deep": {"type": "boolean", "default": False},
                "kind": {"type": "string", "enum": ["bug", "work"], "description": "What sort."},
                "parts": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["spec", "trace"]},
                    "description": "Which parts.",
                },
                "numbers": {"type": "array", "items": {"type": "integer"}},
                "more": {"type": "object"},
                "share": {"type": "number"},
            },
            "required": ["brief"],
            "additionalProperties": False,
        },
        "annotations": {"readOnlyHint": True, "destructiveHint": False, "openWorldHint": False},
    }


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({}, "sample needs the argument 'brief'."),
        ({"brief": None}, "sample needs the argument 'brief'."),
        (
            {"brief": 1, "colour": "red"},
            "sample has no argument 'colour'; it takes brief, body, tags, deep, kind, parts, numbers, more, share.",
        ),
        ({"brief": "one"}, "The argument 'brief' of sample must be a whole number, not 'one'."),
        ({"brief": True}, "The argument 'brief' of sample must be a whole number, not true."),
        ({"brief": 1.5}, "The argument 'brief' of sample must be a whole number, not 1.5."),
        ({"brief": "34.5"}, "The argument 'brief' of sample must be a whole number, not '34.5'."),
        ({"brief": "#"}, "The argument 'brief' of sample must be a whole number, not '#'."),
        ({"brief": float("inf")}, "The argument 'brief' of sample must be a whole number, not such a number."),
        ({"brief": 2**63}, "The argument 'brief' of sample is a number far too large."),
        ({"brief": -(10**18) * 100}, "The argument 'brief' of sample is a number far too large."),
        ({"brief": "9" * 5000}, None),
        ({"brief": 1, "body": 7}, "The argument 'body' of sample must be text, not 7."),
        ({"brief": 1, "tags": ["a", 1]}, "The argument 'tags' of sample must be a list of texts, not such a list."),
        ({"brief": 1, "deep": "yes"}, "The argument 'deep' of sample must be true or false, not 'yes'."),
        (
            {"brief": 1, "numbers": "[1, 2.5]"},
            "The argument 'numbers' of sample must be a list of whole numbers, not '[1, 2.5]'.",
        ),
        ({"brief": 1, "more": "[1]"}, "The argument 'more' of sample must be an object, not '[1]'."),
        ({"brief": 1, "more": "{1"}, "The argument 'more' of sample must be an object, not '{1'."),
        ({"brief": 1, "share": "nan"}, "The argument 'share' of sample must be a number, not 'nan'."),
        ({"brief": 1, "share": 1e30}, "The argument 'share' of sample is a number far too large."),
        ({"brief": 1, "kind": "idea"}, "The argument 'kind' of sample must be one of bug, work, not 'idea'."),
        ({"brief": 1, "parts": ["spec", "x"]}, "The argument 'parts' of sample must be one of spec, trace, not 'x'."),
        ({"brief": 1, "parts": "[" * 5000}, None),
    ],
)
def test_a_bad_argument_gets_one_sentence(served, given, sentence):
    with pytest.raises(Invalid) as refused:
        served.checked(given)
    assert sentence is None or refused.value.sentence == sentence
    assert "\n" not in refused.value.sentence and len(refused.value.sentence) < 200


def test_what_models_write_for_a_number_is_taken(served):
    assert served.checked({"brief": "12"}) == served.checked({"brief": 12.0}) == {"brief": 12}
    assert served.checked({"brief": "-3", "tags": None}) == {"brief": -3}
    for written in ("#12", " 12 ", "12.0", "# 12".replace(" ", "")):
        assert served.checked({"brief": written}) == {"brief": 12}


@pytest.mark.parametrize(
    ("name", "written", "meant"),
    [
        ("tags", '["a", "b"]', ["a", "b"]),
        ("tags", "a", ["a"]),
        ("tags", "[draft] a", ["[draft] a"]),
        ("tags", "", []),
        ("parts", '["spec"]', ["spec"]),
        ("parts", "spec", ["spec"]),
        ("numbers", "[1, 2]", [1, 2]),
        ("numbers", ["#1", "2", 3.0], [1, 2, 3]),
        ("numbers", 4, [4]),
        ("numbers", "#4", [4]),
        ("deep", "true", True),
        ("deep", "False", False),
        ("more", '{"a": 1}', {"a": 1}),
        ("share", "0.5", 0.5),
        ("share", 2, 2.0),
        ("body", "a\0b", "a\ufffdb"),
        ("body", "cut \ud83d", "cut \ufffd"),
        ("body", "\ud83d\ude00 é", "😀 é"),
        ("tags", ["\ud800"], ["\ufffd"]),
    ],
)
def test_what_models_write_for_lists_truths_and_numbers_is_taken(served, name, written, meant):
    assert served.checked({"brief": 1, name: written}) == {"brief": 1, name: meant}


def test_an_empty_choice_is_one_that_is_left_out(served):
    assert served.checked({"brief": 1, "kind": ""}) == {"brief": 1}


def test_an_argument_that_must_be_said_may_be_null_where_its_type_says_so():
    def move(caller: Any, brief: int, parent: int | None) -> dict[str, Any]:
        """Moves."""
        return {}

    moving = registry.Served(Tool("move", move, "o", read_only=False, destructive=False))
    assert moving.entry["inputSchema"]["properties"]["parent"] == {"type": ["integer", "null"]}
    assert moving.checked({"brief": 1, "parent": None}) == {"brief": 1, "parent": None}
    with pytest.raises(Invalid, match="needs the argument 'parent'"):
        moving.checked({"brief": 1})
    with pytest.raises(Invalid, match="needs the argument 'brief'"):
        moving.checked({"brief": None, "parent": 2})


def test_a_token_in_what_an_agent_writes_is_hidden(served):
    secret = "flower_y1qBE5p_sn7L5O5PMMp_16dvMq-xXSWVBN8kGHqlP9s"
    given = served.checked({"brief": 1, "body": f"mine is {secret}, the password: hunter2", "tags": ["a", secret]})
    assert given["body"] == "mine is flower_[redacted], the password: hunter2"
    assert given["tags"] == ["a", "flower_[redacted]"]


def test_a_tool_of_an_unknown_type_is_refused_at_the_start():
    def strange(caller: Any, when: complex) -> dict[str, Any]:
        """Strange."""
        return {}

    with pytest.raises(TypeError, match="when"):
        registry.Served(Tool("strange", strange, "o", read_only=False, destructive=False))


def test_every_tool_can_be_served_and_says_what_it_does():
    for served in registry.catalogue().values():
        assert len(served.entry["description"]) > 20, served.tool.name


def test_every_argument_says_what_it_means_and_choices_are_enumerations():
    unsaid = [
        f"{name} {argument}"
        for name, served in registry.catalogue().items()
        for argument, schema in served.entry["inputSchema"]["properties"].items()
        if len(schema.get("description", "")) < 5
    ]
    assert unsaid == [], "Annotated[…, Arg('what it means')]"

    def schema(tool: str, argument: str) -> dict[str, Any]:
        return registry.catalogue()[tool].entry["inputSchema"]["properties"][argument]

    assert schema("recall_brief", "include")["items"]["enum"] == list(SECTIONS)
    assert schema("brief_create", "kind")["enum"] == ["work", "bug", "research", "epic"]
    assert schema("brief_append", "kind")["enum"] == ["note", "comment", "progress"]
    assert schema("brief_link", "relation")["enum"] == ["execution", "result", "reference"]
    assert schema("recall_briefs", "status")["enum"] == Status.values
    by_hand = schema("brief_update_status", "status")["enum"]
    assert "planned" in by_hand and not {"dispatched", "in_progress"} & set(by_hand), "what would be refused next"


@pytest.mark.parametrize(("scope", "limit"), [("run", 10_000), ("agent", 40_000), ("orchestrator", 40_000)])
def test_the_list_of_tools_leaves_room_for_work(scope, limit):
    """It is in the context of every request that an agent makes. Measured: 8.1 KB for a worker, 19 for others."""
    size = len(json.dumps(registry.listed(scope), separators=(",", ":")).encode())
    assert size < limit, f"{size:,} bytes"


# --- calls, through the ASGI application ------------------------------------------------------------------------------


def post(token: str, message: Any, **headers: str) -> tuple[int, dict[str, str], Any]:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return ask("POST", "/mcp", body, authorization=f"Bearer {token}", content_type="application/json", **headers)


@async_to_sync
async def ask(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], Any]:
    lines = {"host": "localhost", **{name.replace("_", "-"): value for name, value in headers.items()}}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in lines.items()],
        "client": ["127.0.0.1", 1],
        "server": ["127.0.0.1", 80],
        "http_version": "1.1",
        "scheme": "http",
    }
    messages = [
        {"type": "http.request", "body": body[:10], "more_body": True},
        {"type": "http.request", "body": body[10:]},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await application(scope, receive, send)
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    named = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], named, json.loads(answer) if answer else None


def call(token: str, name: str, **arguments: Any) -> dict[str, Any]:
    status, _, answer = post(
        token, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    )
    assert status == 200, answer
    return answer["result"]


committed = pytest.mark.django_db(transaction=True)  # tools run on threads of their own


@committed
def test_a_result_comes_as_structure_and_as_the_same_text(agent_token):
    result = call(agent_token, "whoami")
    assert result["structuredContent"]["actor"] == "flower-agent"
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert "isError" not in result or result["isError"] is False


@committed
def test_a_refusal_is_a_tool_error_with_its_sentence(agent_token):
    result = call(agent_token, "recall_brief", brief=999)
    assert result == {"content": [{"type": "text", "text": "There is no brief #999 for you."}], "isError": True}


@committed
def test_a_refusals_detail_follows_its_sentence(agent_token, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise Conflict("It cannot be.", detail="first line\nsecond line")

    monkeypatch.setattr(registry.Served, "perform", refuse)
    assert call(agent_token, "whoami")["content"][0]["text"] == "It cannot be.\nfirst line\nsecond line"


@committed
def test_an_unexpected_exception_is_hidden_and_logged(agent_token, monkeypatch, caplog):
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("the inner workings")

    monkeypatch.setattr(registry.Served, "perform", fail)
    result = call(agent_token, "whoami")
    assert result["content"][0]["text"] == "flower had an internal error; it was logged." and result["isError"]
    assert "the inner workings" in caplog.text


@committed
def test_an_answer_that_no_model_could_read_is_refused(agent_token, monkeypatch):
    monkeypatch.setattr(registry, "ANSWER_LIMIT", 10)
    assert call(agent_token, "whoami")["content"][0]["text"].startswith("The answer of whoami would be ")


@committed
def test_a_tool_that_is_not_offered_is_as_unknown_as_one_that_does_not_exist(agent_token):
    hidden = next(name for name, served in registry.catalogue().items() if "a" not in served.tool.scopes)
    answers = [call(agent_token, name)["content"][0]["text"].replace(name, "X") for name in (hidden, "no_such_tool")]
    assert answers[0] == answers[1] == "There is no tool 'X' for you; tools/list shows those that there are."


@committed
def test_the_list_depends_on_the_scope(agent, operator, project):
    def names(token: str) -> set[str]:
        _, _, answer = post(token, {"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
        return {tool["name"] for tool in answer["result"]["tools"]}

    tokens = {
        scope: actors.issue_token(operator if scope == Token.Scope.OPERATOR else agent, scope)[0]
        for scope in (Token.Scope.OPERATOR, Token.Scope.ORCHESTRATOR, Token.Scope.AGENT, Token.Scope.READONLY)
    }
    listed = {scope: names(token) for scope, token in tokens.items()}
    for scope, found in listed.items():
        assert found == {name for name, served in registry.catalogue().items() if served.tool.is_offered_to(scope)}
    assert listed["operator"] == set(registry.catalogue()) > listed["agent"] > listed["readonly"]
    assert "brief_create" in listed["agent"] - listed["readonly"]


@committed
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{nope", 400, -32700),
        (b"[]", 400, -32600),
        (b"[" + b"1," * 100 + b"1]", 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"' + b',"a":[' * 5000, 400, -32700),
        (b'{"id":1,"method":"ping"}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"no/such"}', 200, -32601),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', 200, -32602),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":7}', 400, -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", 400, -32700),
    ],
)
def test_what_is_no_request_gets_its_error(agent_token, body, status, code):
    found, _, answer = post(agent_token, body)
    assert (found, answer["error"]["code"]) == (status, code)
    assert "Traceback" not in json.dumps(answer)


@committed
def test_a_notification_is_taken_and_not_answered(agent_token):
    status, _, answer = post(agent_token, {"jsonrpc": "2.0", "method": "notifications/initialized"})
    assert (status, answer) == (202, None)


@committed
def test_an_era_that_nobody_knows_is_told_which_there_are(agent_token):
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": {}}}
    status, _, answer = post(agent_token, message, mcp_protocol_version="2031-01-01")
    assert (status, answer["id"]) == (400, 1)
    assert answer["error"]["message"].startswith("flower does not speak the protocol version '2031-01-01'")
    assert "2025-03-26" in answer["error"]["message"]
    status, _, answer = post(
        agent_token, {"jsonrpc": "2.0", "method": "notifications/x"}, mcp_protocol_version="2031-01-01"
    )
    assert status == 400 and answer["error"]["data"]["supported"] == ["2026-07-28"]


@committed
def test_a_batch_is_answered_by_a_batch_where_its_version_has_them(agent_token):
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "method": "notifications/x"},
        {"jsonrpc": "2.0", "id": "two", "method": "tools/call", "params": {"name": "whoami"}},
        {"jsonrpc": "2.0", "id": 3, "method": "no/such"},
        {"jsonrpc": "2.0", "id": 4, "method": "initialize", "params": {}},
        7,
    ]
    for headers in ({}, {"mcp_protocol_version": "2025-03-26"}, {"mcp_protocol_version": "2024-11-05"}):
        status, _, answers = post(agent_token, batch, **headers)
        assert (status, [one["id"] for one in answers]) == (200, [1, "two", 3, 4, None])
        assert answers[0]["result"] == {}
        assert answers[1]["result"]["structuredContent"]["actor"] == "flower-agent"
        assert [one["error"]["code"] for one in answers[2:]] == [-32601, -32600, -32600]
    assert post(agent_token, [{"jsonrpc": "2.0", "method": "notifications/x"}])[::2] == (202, None)
    for version in ("2025-06-18", "2025-11-25", "2026-07-28"):
        status, _, answer = post(agent_token, batch, mcp_protocol_version=version)
        assert (status, answer["error"]["code"]) == (400, -32600)
        assert "2025-03-26" in answer["error"]["message"]


@committed
def test_a_batch_whose_answers_grow_too_large_does_no_more(agent_token, monkeypatch):
    monkeypatch.setattr(registry, "ANSWER_LIMIT", 300)
    create = {"name": "brief_create", "arguments": {"body": "x"}}
    batch = [{"jsonrpc": "2.0", "id": n, "method": "tools/call", "params": create} for n in range(4)]
    _, _, answers = post(agent_token, batch)
    made = Brief.objects.count()
    assert 0 < made < 4 and ["result" in one for one in answers] == [n < made for n in range(4)]
    assert [one["id"] for one in answers] == [0, 1, 2, 3]


@committed
@pytest.mark.parametrize("half", [b"\\ud83d", b"\\udc00", b"\\u0000", b"\xed\xa0\xbd", b"\xff"])
def test_half_characters_do_not_lose_what_was_written(agent_token, half):
    number = call(agent_token, "brief_create", body="Cut")["structuredContent"]["brief"]
    body = b'{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"brief_append",'
    body += b'"arguments":{"brief":%d,"body":"cut %s here \xc3\xa9"}}}' % (number, half)
    status, _, answer = post(agent_token, body)
    assert (status, answer["id"]) == (200, 7)
    note = TraceEntry.objects.get(brief=number, kind="note").body
    assert note.startswith("cut \ufffd") and note.endswith(" here é")


CASES: list[tuple[str, dict[str, Any], Any]] = [
    ("recall_brief", {"brief": "{n}"}, ("title", "Find me")),
    ("recall_brief", {"brief": "#{n}"}, ("title", "Find me")),
    ("recall_brief", {"brief": "#{n}", "include": '["spec"]'}, ("spec", "")),
    ("recall_brief", {"brief": "#{n}", "include": "spec"}, ("spec", "")),
    ("recall_briefs", {"dispatchable": "true"}, ("cursor", None)),
]


@committed
@pytest.mark.parametrize(("tool", "arguments", "answered"), CASES)
def test_arguments_as_clients_stringify_them(agent_token, tool, arguments, answered):
    number = call(agent_token, "brief_create", body="Find me")["structuredContent"]["brief"]
    said = {name: value.replace("{n}", str(number)) for name, value in arguments.items()}
    result = call(agent_token, tool, **said)
    assert "isError" not in result, result
    name, value = answered
    assert result["structuredContent"][name] == value


@committed
@pytest.mark.parametrize("token", ["", "wrong", "flower_wrong"])
def test_nobody_without_a_token_gets_in(token):
    for message in ({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, b"", b"x" * 100):
        status, headers, answer = post(token, message)
        assert (status, headers["www-authenticate"]) == (401, "Bearer")
        assert set(answer) == {"error"}


@committed
def test_get_is_answered_at_once_and_never_streams(agent_token):
    for method in ("GET", "DELETE", "PUT"):
        status, headers, _ = ask(method, "/mcp", authorization=f"Bearer {agent_token}", accept="text/event-stream")
        assert (status, headers["allow"]) == (405, "POST")


@committed
def test_another_hosts_name_and_another_sites_page_are_refused(agent_token):
    message = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    assert post(agent_token, message, host="evil.example")[0] == 421
    assert post(agent_token, message, host="")[0] == 421
    assert post(agent_token, message, origin="https://evil.example")[0] == 403
    assert post(agent_token, message, origin="http://localhost:3000")[0] == 403
    assert post(agent_token, message, origin="http://localhost")[0] == 200
    assert post(agent_token, message, host="localhost:8000", origin="http://localhost:8000")[0] == 200


@committed
def test_a_body_that_is_not_json_by_its_own_word_is_refused(agent_token):
    headers = {"authorization": f"Bearer {agent_token}", "content_type": "text/plain"}
    assert ask("POST", "/mcp", b"{}", **headers)[0] == 415


@committed
def test_a_revoked_token_is_of_no_use_in_the_process_that_revoked_it(agent, agent_token, monkeypatch):
    call(agent_token, "whoami")
    actors.revoke(Token.objects.filter(actor=agent))
    later = endpoint.time.monotonic() + endpoint.IDENTITY_SECONDS
    monkeypatch.setattr(endpoint.time, "monotonic", lambda: later)
    assert post(agent_token, {"jsonrpc": "2.0", "id": 1, "method": "ping"})[0] == 401
