"""The model's door when JSON is asked for, limits are set, or the service does not stream."""

from __future__ import annotations

import dataclasses
import time

import pytest

from core import llm
from core.llm import Schema, Spent, Why
from tests.fake_llm import FakeLlm, chunks, whole

SCHEMA = Schema("thing", {"type": "object", "properties": {}, "required": [], "additionalProperties": False})


@pytest.fixture
def fake(settings, monkeypatch):
    monkeypatch.setattr(llm, "_form_taken", {})
    fake = FakeLlm()
    settings.FLOWER = dataclasses.replace(
        settings.FLOWER, llm_base_url=fake.url, llm_api_key="sk-test", llm_model="scripted"
    )
    yield fake
    fake.close()


def ask(**options):
    options = {"schema": SCHEMA, "max_tokens": 100, "retries": 0, **options}
    return llm.ask([{"role": "user", "content": "hello"}], **options)


def failure(**options) -> llm.LlmError:
    with pytest.raises(llm.LlmError) as caught:
        ask(**options)
    return caught.value


def test_the_schema_goes_along_and_the_tokens_come_back(fake):
    fake.script = lambda _: chunks("{", "}")
    answer = ask()
    assert (answer.text, answer.spent) == ("{}", Spent(10, 5, None))
    form = fake.asked[0]["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "thing", "schema": SCHEMA.body, "strict": True}}
    assert "response_format" not in (ask(schema=None) and fake.asked[1])


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("taken", "tries"), [("json_schema", 1), ("json_object", 2), (None, 3)])
def test_a_server_is_asked_in_the_form_that_it_takes(fake, taken, tries, status):
    def script(body):
        kind = body.get("response_format", {}).get("type")
        return chunks("{}") if kind == taken else (status, {"error": {"message": "unknown field"}})

    fake.script = script
    assert ask().text == "{}"
    assert len(fake.asked) == tries
    assert ask().text == "{}"
    assert len(fake.asked) == tries + 1  # remembered


def test_a_request_that_is_refused_in_every_form_teaches_nothing(fake):
    fake.script = lambda _: (400, {"error": {"message": "what?"}})
    assert failure().why == Why.NOT_TAKEN
    assert len(fake.asked) == 3
    fake.script = lambda _: chunks("{}")
    ask()
    assert fake.asked[3]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    ("given", "why", "again"),
    [
        (chunks(refusal="no"), Why.REFUSED, False),
        (chunks("x", finish="length"), Why.CUT_OFF, False),
        (chunks(""), Why.NOTHING, True),
        ((401, "{}"), Why.SETUP, False),
        ((429, "{}"), Why.OVERLOADED, True),
        ((503, "{}"), Why.OVERLOADED, True),
        ((529, "{}"), Why.OVERLOADED, True),
        ((500, "{}"), Why.SERVICE, True),
        ((400, {"error": {"message": "x", "code": "context_length_exceeded"}}), Why.TOO_LONG, False),
        ((200, {"error": {"message": "x"}}), Why.SERVICE, True),
        ((200, "<html>", {"content-type": "text/html"}), Why.SERVICE, True),
    ],
)
def test_a_failure_says_of_which_kind_it_is(fake, given, why, again):
    fake.script = lambda _: given
    error = failure()
    assert (error.why, error.again) == (why, again)


def test_what_was_spent_on_a_useless_answer_is_told(fake):
    fake.script = lambda _: chunks("x", finish="length")
    assert failure().spent == Spent(10, 5, None)


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("0.5", 0.5), ("-1", None), ("nan", None), ("soon", None), ("99999999", None)]
)
def test_the_seconds_that_the_service_asks_for_are_told_not_waited(fake, header, seconds):
    fake.script = lambda _: (429, "{}", {"retry-after": header})
    began = time.monotonic()
    assert failure().retry_after == seconds
    assert time.monotonic() - began < 5
    assert len(fake.asked) == 1


def test_an_answer_in_one_piece_is_an_answer(fake):
    fake.script = lambda _: (200, whole(" {} ", cost=0.25))
    answer = ask()
    assert (answer.text, answer.model, answer.tokens, answer.spent) == ("{}", "scripted-1", 15, Spent(10, 5, 0.25))
    fake.script = lambda _: (200, whole("{", finish="length"))
    assert failure().why == Why.CUT_OFF


def test_limits_of_length_and_time(fake):
    fake.script = lambda _: chunks(*["x" * 100] * 50)
    assert failure(max_characters=1000).why == Why.OVER_LONG

    def dripping(_body):
        for row in chunks(*"slowly but steadily"):
            time.sleep(0.05)
            yield row

    fake.script = dripping
    assert failure(seconds=0.3).why == Why.TIMEOUT
