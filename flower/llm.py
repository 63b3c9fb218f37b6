"""The one door to a language model: an OpenAI-compatible address, when FLOWER_LLM_* names one. Knows no models of ours.

``create()`` and our own checks rather than the SDK's parsing: a gateway's error inside HTTP 200, an empty answer, a
refusal and a cut-off answer each become one LlmError with a sentence. Secrets are taken out of what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from django.conf import settings

from flower.logs import redact

TIMEOUT: Final = 120.0  # seconds for the whole answer to begin; a stream may go on longer
RETRIES: Final = 2


class LlmError(Exception):
    """The model gave no usable answer; the text is a sentence for people. ``again`` when a later try may help."""

    def __init__(self, sentence: str, *, again: bool = False) -> None:
        super().__init__(sentence)
        self.again = again


class Cancelled(Exception):
    """The caller's ``goes_on`` said no."""


class Message(TypedDict):
    role: str
    content: str


@dataclass(frozen=True)
class Answer:
    """What came back: the text, the model that says it wrote it, and the tokens of both ways (0 when not told)."""

    text: str
    model: str
    tokens: int


def is_configured() -> bool:
    return bool(settings.FLOWER.llm_base_url and settings.FLOWER.llm_model)


def ask(messages: Sequence[Message], *, max_tokens: int, goes_on: Callable[[int], bool] = lambda _: True) -> Answer:
    """Ask the model and read its answer as it comes.

    ``goes_on`` is called with the number of characters so far, about twice a second at most by the caller's own
    doing; when it says False, the connection is closed and Cancelled raised. Raises LlmError.
    """
    with _sentences():
        client = _client()
        stream = client.chat.completions.create(
            model=settings.FLOWER.llm_model,
            messages=[{"role": message["role"], "content": redact(message["content"])} for message in messages],
            max_completion_tokens=max_tokens,
            stream=True,
            stream_options={"include_usage": True},
        )
        try:
            return _read(stream, goes_on)
        finally:
            stream.close()


def _client() -> Any:
    if not is_configured():
        raise LlmError("No model is configured; set FLOWER_LLM_BASE_URL and FLOWER_LLM_MODEL.")
    try:
        import openai
    except ImportError:
        raise LlmError("A model is configured, but the package openai is not installed; install flower[llm].") from None
    return openai.OpenAI(
        base_url=settings.FLOWER.llm_base_url,
        api_key=settings.FLOWER.llm_api_key or "none",
        timeout=TIMEOUT,
        max_retries=RETRIES,
    )


def _read(stream: Any, goes_on: Callable[[int], bool]) -> Answer:
    parts: list[str] = []
    refusal, finish, model, tokens, length = "", "", settings.FLOWER.llm_model, 0, 0
    for chunk in stream:
        model = chunk.model or model
        if chunk.usage:
            tokens = chunk.usage.total_tokens or 0
        for choice in chunk.choices or []:
            text = choice.delta.content or ""
            refusal += getattr(choice.delta, "refusal", None) or ""
            finish = choice.finish_reason or finish
            parts.append(text)
            length += len(text)
        if not goes_on(length):
            raise Cancelled
    text = "".join(parts).strip()
    if refusal or finish == "content_filter":
        raise LlmError(f"The model refused: {_short(refusal) or 'its filter stopped the answer'}.")
    if finish == "length":
        raise LlmError("The model's answer was cut off at its limit; shorten the brief or allow a longer answer.")
    if not text:
        raise LlmError("The model answered nothing.", again=True)
    return Answer(text, model, tokens)


@contextmanager
def _sentences() -> Iterator[None]:
    """Turn what the SDK raises into LlmError; its messages may hold what we sent, so only their kind is told."""
    try:
        import openai
    except ImportError:
        yield
        return
    try:
        yield
    except openai.APITimeoutError as error:
        raise LlmError("The model did not answer in time.", again=True) from error
    except openai.APIConnectionError as error:
        raise LlmError("The model's address cannot be reached.", again=True) from error
    except openai.AuthenticationError as error:
        raise LlmError("The model's key was not accepted; check FLOWER_LLM_API_KEY.") from error
    except openai.RateLimitError as error:
        raise LlmError("The model is overloaded or the quota is used up; try again later.", again=True) from error
    except openai.BadRequestError as error:
        too_long = error.code == "context_length_exceeded"
        raise LlmError(
            "The brief is too long for this model." if too_long else "The model did not take the request."
        ) from error
    except openai.APIStatusError as error:
        raise LlmError(f"The model's service answered with status {error.status_code}.", again=True) from error
    except openai.APIResponseValidationError as error:
        raise LlmError("The model's service answered with something that is no answer.", again=True) from error
    except openai.APIError as error:  # an error that a gateway sent in the middle of HTTP 200
        raise LlmError(f"The model's gateway answered with an error: {_short(error.message)}.", again=True) from error
    except (openai.OpenAIError, TypeError, AttributeError, ValueError) as error:
        # TypeError and the like: a body that is no chat completion although the status said so
        raise LlmError("The model's service answered with something that is no answer.", again=True) from error


def _short(text: str) -> str:
    return redact(text)[:200].rstrip(".")
