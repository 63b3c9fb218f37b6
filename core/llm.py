"""The one door to a language model: an OpenAI-compatible address, when FLOWER_LLM_* names one. Knows no models of ours.

``create()`` and our own checks rather than the SDK's parsing: a gateway's error inside HTTP 200, an empty answer, a
refusal and a cut-off answer each become one LlmError with a sentence. Secrets are taken out of what is sent.

Answers are always streamed, also those that are to be JSON: so a caller can stop one that runs on, and nobody waits for
the end of an answer that is too long to be used.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypedDict

from django.conf import settings

from core.logs import redact

TIMEOUT: Final = 120.0  # seconds for the whole answer to begin; a stream may go on longer
RETRIES: Final = 2
PACKAGE: Final = "openai>=3.51,<4"  # as the extra llm of pyproject.toml has it
NOT_INSTALLED: Final = (
    "A model is configured, but the package openai is not installed; run "
    f"{sys.executable} -m pip install '{PACKAGE}' and start flower again."
)
BODY_BYTES: Final = 4_000_000  # of an answer that came whole instead of as a stream


class Why(StrEnum):
    """What kind of failure it was, for callers that do something about it."""

    SETUP = "setup"  # no address, no package, or a key that is not accepted
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    OVERLOADED = "overloaded"  # 429, 503, 529: too many requests, or no quota left
    SERVICE = "service"  # another status, an error of the gateway, an answer that is no answer
    NOT_TAKEN = "not taken"  # the request was refused as malformed: often a field that the server does not know
    TOO_LONG = "too long"  # what was sent does not fit the model's context
    REFUSED = "refused"  # by the model, or by its filter
    CUT_OFF = "cut off"  # at the limit of tokens
    OVER_LONG = "over-long"  # more than the caller would read
    NOTHING = "nothing"  # an empty answer


class Spent(NamedTuple):
    """Tokens of both ways, and dollars where the service told them. Zero where it told nothing."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float | None = None


class LlmError(Exception):
    """The model gave no usable answer; the text is a sentence for people. ``again`` when a later try may help.

    ``retry_after``: seconds that the service asked for. ``spent``: what the useless answer cost, as far as it was told.
    """

    def __init__(
        self,
        sentence: str,
        *,
        again: bool = False,
        why: Why = Why.SERVICE,
        retry_after: float | None = None,
        spent: Spent = Spent(),  # noqa: B008  a tuple does not change
    ) -> None:
        super().__init__(sentence)
        self.again = again
        self.why = why
        self.retry_after = retry_after
        self.spent = spent


class Cancelled(Exception):
    """The caller's ``goes_on`` said no."""


class Message(TypedDict):
    role: str
    content: str


@dataclass(frozen=True)
class Schema:
    """The JSON schema that an answer is to follow. The caller checks the answer itself: not every server obeys."""

    name: str  # letters, digits, _ and -
    body: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Answer:
    """What came back: the text, the model that says it wrote it, and the tokens of both ways (0 when not told)."""

    text: str
    model: str
    tokens: int
    spent: Spent = field(default=Spent(), compare=False)  # the same by direction, and the cost


def is_configured() -> bool:
    return bool(settings.FLOWER.llm_base_url and settings.FLOWER.llm_model)


def ask(
    messages: Sequence[Message],
    *,
    max_tokens: int,
    goes_on: Callable[[int], bool] = lambda _: True,
    schema: Schema | None = None,
    max_characters: int | None = None,
    seconds: float | None = None,
    retries: int | None = None,
) -> Answer:
    """Ask the model and read its answer as it comes.

    ``goes_on`` is called with the number of characters so far, about twice a second at most by the caller's own
    doing; when it says False, the connection is closed and Cancelled raised. It is not called while nothing comes:
    a cancel may take up to TIMEOUT to be seen.

    ``schema``: ask for JSON of that shape; a server that does not know how is asked for any JSON, then for text.
    ``max_characters``: an answer that grows longer is given up. ``seconds``: from the question to the last word.
    ``retries``: by the SDK, which waits in between, up to a minute if the service says so; 0 never waits.

    Raises LlmError.
    """
    if schema is None:
        return _ask(messages, {}, max_tokens, _Limits(goes_on, max_characters, seconds), retries)
    place = (settings.FLOWER.llm_base_url, settings.FLOWER.llm_model)
    forms = _forms(schema)
    for number in range(_form_taken.get(place, 0), len(forms)):
        try:
            limits = _Limits(goes_on, max_characters, seconds)
            answer = _ask(messages, forms[number], max_tokens, limits, retries)
        except LlmError as error:
            if error.why is not Why.NOT_TAKEN or number == len(forms) - 1:
                raise
        else:
            _form_taken[place] = number
            return answer
    raise AssertionError("one of the forms returned or raised")


# Which of the forms an address and model took, so that the ones it refuses are not tried each time. Lives as long as
# the process; several threads may write the same number.
_form_taken: dict[tuple[str, str], int] = {}


def _forms(schema: Schema) -> list[dict[str, Any]]:
    strict = {"name": schema.name, "schema": schema.body, "strict": True}
    return [
        {"response_format": {"type": "json_schema", "json_schema": strict}},
        {"response_format": {"type": "json_object"}},
        {},
    ]


class _Limits:
    """How long the reading of one answer may go on."""

    def __init__(self, goes_on: Callable[[int], bool], characters: int | None, seconds: float | None) -> None:
        self.goes_on = goes_on
        self.characters = characters
        self.seconds = seconds
        self.until = None if seconds is None else time.monotonic() + seconds

    def check(self, length: int) -> None:
        if not self.goes_on(length):
            raise Cancelled
        if self.characters is not None and length > self.characters:
            raise LlmError("The model's answer went on and on; it was stopped.", why=Why.OVER_LONG)
        if self.until is not None and time.monotonic() > self.until:
            raise LlmError("The model did not answer in time.", again=True, why=Why.TIMEOUT)


def _ask(
    messages: Sequence[Message], extra: Mapping[str, Any], max_tokens: int, limits: _Limits, retries: int | None
) -> Answer:
    with _sentences():
        client = _client(limits.seconds, retries)
        stream = client.chat.completions.create(
            model=settings.FLOWER.llm_model,
            messages=[{"role": message["role"], "content": redact(message["content"])} for message in messages],
            max_completion_tokens=max_tokens,
            stream=True,
            stream_options={"include_usage": True},
            **extra,
        )
        try:
            if _is_stream(stream):
                return _read(stream, limits)
            return _whole(_body(stream, limits), limits)
        finally:
            stream.close()


def _client(seconds: float | None, retries: int | None) -> Any:
    if not is_configured():
        raise LlmError("No model is configured; set FLOWER_LLM_BASE_URL and FLOWER_LLM_MODEL.", why=Why.SETUP)
    try:
        import openai
    except ImportError:
        raise LlmError(NOT_INSTALLED, why=Why.SETUP) from None
    return openai.OpenAI(
        base_url=settings.FLOWER.llm_base_url,
        api_key=settings.FLOWER.llm_api_key or "none",
        timeout=TIMEOUT if seconds is None else min(TIMEOUT, seconds),
        max_retries=RETRIES if retries is None else retries,
    )


def _is_stream(stream: Any) -> bool:
    """Some gateways send an error, a page or the whole answer where a stream was asked for."""
    kind = stream.response.headers.get("content-type", "").lower()
    return not ("json" in kind or "html" in kind)


def _body(stream: Any, limits: _Limits) -> bytes:
    parts, length = [], 0
    try:
        for part in stream.response.iter_bytes():
            parts.append(part)
            length += len(part)
            limits.check(0)
            if length > BODY_BYTES:
                raise LlmError("The model's answer went on and on; it was stopped.", why=Why.OVER_LONG)
    except (LlmError, Cancelled):
        raise
    except Exception as error:  # of whatever HTTP library the SDK uses; which one is not our business
        raise LlmError("The model's service broke off its answer.", again=True) from error
    return b"".join(parts)


def _whole(body: bytes, limits: _Limits) -> Answer:
    """An answer that came in one piece; the ValueErrors and the like of a body that is none are told by _sentences."""
    said = json.loads(body)
    if error := said.get("error"):
        message = error.get("message") if isinstance(error, dict) else error
        raise LlmError(f"The model's gateway answered with an error: {_short(str(message))}.", again=True)
    choice = said["choices"][0] if said.get("choices") else {}
    message = choice.get("message") or {}
    usage = said.get("usage") or {}
    spent = Spent(
        usage.get("prompt_tokens") or 0,
        usage.get("completion_tokens") or 0,
        _dollars(usage.get("cost")),
    )
    text = (message.get("content") or "").strip()
    limits.check(len(text))
    return _judged(
        Answer(text, said.get("model") or settings.FLOWER.llm_model, usage.get("total_tokens") or 0, spent),
        refusal=message.get("refusal") or "",
        finish=choice.get("finish_reason") or "",
    )


def _read(stream: Any, limits: _Limits) -> Answer:
    parts: list[str] = []
    refusal, finish, model, tokens, length, spent = "", "", settings.FLOWER.llm_model, 0, 0, Spent()
    for chunk in stream:
        model = chunk.model or model
        if usage := chunk.usage:
            tokens = usage.total_tokens or 0
            spent = Spent(
                usage.prompt_tokens or 0, usage.completion_tokens or 0, _dollars(getattr(usage, "cost", None))
            )
        for choice in chunk.choices or []:
            text = choice.delta.content or ""
            refusal += getattr(choice.delta, "refusal", None) or ""
            finish = choice.finish_reason or finish
            parts.append(text)
            length += len(text)
        limits.check(length)
    return _judged(Answer("".join(parts).strip(), model, tokens, spent), refusal=refusal, finish=finish)


def _judged(answer: Answer, *, refusal: str, finish: str) -> Answer:
    """The answer, if it is one: not refused, not cut off, not empty."""
    if refusal or finish == "content_filter":
        reason = _short(refusal) or "its filter stopped the answer"
        raise LlmError(f"The model refused: {reason}.", why=Why.REFUSED, spent=answer.spent)
    if finish == "length":
        raise LlmError(
            "The model's answer was cut off at its limit; shorten the brief or allow a longer answer.",
            why=Why.CUT_OFF,
            spent=answer.spent,
        )
    if not answer.text:
        raise LlmError("The model answered nothing.", again=True, why=Why.NOTHING, spent=answer.spent)
    return answer


def _dollars(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


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
        raise LlmError("The model did not answer in time.", again=True, why=Why.TIMEOUT) from error
    except openai.APIConnectionError as error:
        raise LlmError("The model's address cannot be reached.", again=True, why=Why.UNREACHABLE) from error
    except openai.AuthenticationError as error:
        raise LlmError("The model's key was not accepted; check FLOWER_LLM_API_KEY.", why=Why.SETUP) from error
    except openai.RateLimitError as error:
        raise LlmError(
            "The model is overloaded or the quota is used up; try again later.",
            again=True,
            why=Why.OVERLOADED,
            retry_after=_retry_after(error),
        ) from error
    except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
        if error.code == "context_length_exceeded":
            raise LlmError("The brief is too long for this model.", why=Why.TOO_LONG) from error
        raise LlmError("The model did not take the request.", why=Why.NOT_TAKEN) from error
    except openai.APIStatusError as error:
        raise LlmError(
            f"The model's service answered with status {error.status_code}.",
            again=True,
            why=Why.OVERLOADED if error.status_code in (503, 529) else Why.SERVICE,
            retry_after=_retry_after(error),
        ) from error
    except openai.APIResponseValidationError as error:
        raise LlmError("The model's service answered with something that is no answer.", again=True) from error
    except openai.APIError as error:  # an error that a gateway sent in the middle of HTTP 200
        raise LlmError(f"The model's gateway answered with an error: {_short(error.message)}.", again=True) from error
    except (openai.OpenAIError, TypeError, AttributeError, ValueError, LookupError, RecursionError) as error:
        # TypeError and the like: a body that is no chat completion although the status said so
        raise LlmError("The model's service answered with something that is no answer.", again=True) from error


def _retry_after(error: Any) -> float | None:
    """The seconds of the header; a date, or nonsense, counts as not told."""
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 86_400 else None


def _short(text: str) -> str:
    return redact(text)[:200].rstrip(".")
