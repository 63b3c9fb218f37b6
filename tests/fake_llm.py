"""A scripted, OpenAI-compatible model on loopback: it says what the test tells it to, well or badly."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


def chunks(*texts: str, finish: str = "stop", refusal: str = "", model: str = "scripted-1") -> list[dict[str, Any]]:
    """The stream of a chat completion that says ``texts``."""
    base = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": model}
    rows = [{**base, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts]
    if refusal:
        rows.append({**base, "choices": [{"index": 0, "delta": {"refusal": refusal}, "finish_reason": None}]})
    rows.append({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return [*rows, {**base, "choices": [], "usage": usage}]


def whole(text: str, finish: str = "stop", model: str = "scripted-1", **usage: Any) -> dict[str, Any]:
    """A chat completion in one piece, as servers send it that do not stream."""
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, **usage}
    choices = [{"index": 0, "message": message, "finish_reason": finish}]
    return {"id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": choices, "usage": usage}


class FakeLlm:
    """``script`` answers each request: a list of stream chunks, or ``(status, body)``, or with headers as a third.

    ``asked`` keeps the requests.
    """

    def __init__(self) -> None:
        self.script: Callable[[dict[str, Any]], Any] = lambda _: chunks("A plan.")
        self.asked: list[dict[str, Any]] = []
        self.slowly = threading.Event()  # when set, a stream waits for `go` after its first chunk
        self.go = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.asked.append(body)
                answer = fake.script(body)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.answer(answer)

            def answer(self, answer: Any) -> None:
                if isinstance(answer, tuple):
                    status, text, *more = answer
                    headers = {"content-type": "application/json", **(more[0] if more else {})}
                    data = (text if isinstance(text, str) else json.dumps(text)).encode()
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("content-length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.end_headers()
                for number, chunk in enumerate(answer):
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                    self.wfile.flush()
                    if number == 0 and fake.slowly.is_set():
                        fake.go.wait(20)
                self.wfile.write(b"data: [DONE]\n\n")

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self.server.shutdown()
        self.server.server_close()
