"""The model's door: each way in which a model's service fails becomes one sentence."""

from __future__ import annotations

import dataclasses
import tomllib
from types import SimpleNamespace

import pytest

from core import llm
from flower import up
from flower.env import BASE_DIR
from tests.fake_llm import FakeLlm, chunks


@pytest.fixture
def fake(settings, monkeypatch):
    monkeypatch.setattr(llm, "RETRIES", 0)
    fake = FakeLlm()
    settings.FLOWER = dataclasses.replace(
        settings.FLOWER, llm_base_url=fake.url, llm_api_key="sk-test", llm_model="scripted"
    )
    yield fake
    fake.close()


def ask(text: str = "hello"):
    return llm.ask([{"role": "user", "content": text}], max_tokens=100)


def test_an_answer_comes_with_its_model_and_tokens(fake):
    fake.script = lambda _: chunks("A ", "plan.")
    assert ask() == llm.Answer("A plan.", "scripted-1", 15)
    assert fake.asked[0]["model"] == "scripted"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (chunks(refusal="I will not"), "refused: I will not"),
        (chunks("x", finish="content_filter"), "filter"),
        (chunks("half", finish="length"), "cut off"),
        (chunks(""), "answered nothing"),
        ([{"error": {"message": "upstream is down"}}], "gateway answered with an error"),
        ((200, {"error": {"message": "upstream is down"}}), "answer"),
        ((200, "not json at all"), "answer"),
        ((401, {"error": {"message": "bad key sk-test"}}), "key was not accepted"),
        ((429, {"error": {"message": "slow down"}}), "overloaded"),
        ((500, {"error": {"message": "oops"}}), "status 500"),
        ((503, "busy"), "status 503"),
        ((400, {"error": {"message": "too long", "code": "context_length_exceeded"}}), "too long for this model"),
        ((400, {"error": {"message": "what?"}}), "did not take"),
    ],
)
def test_failures_become_sentences(fake, answer, words):
    fake.script = lambda _: answer
    with pytest.raises(llm.LlmError, match=words) as error:
        ask()
    assert "sk-test" not in str(error.value)


def test_nobody_at_the_address(settings, monkeypatch):
    monkeypatch.setattr(llm, "RETRIES", 0)
    settings.FLOWER = dataclasses.replace(settings.FLOWER, llm_base_url="http://127.0.0.1:9/v1", llm_model="x")
    with pytest.raises(llm.LlmError, match="cannot be reached"):
        ask()
    settings.FLOWER = dataclasses.replace(settings.FLOWER, llm_model="")
    assert not llm.is_configured()
    with pytest.raises(llm.LlmError, match="No model is configured"):
        ask()


def test_secrets_are_taken_out_of_what_is_sent(fake):
    ask("my token is flower_" + "aB3" * 14)
    assert "aB3" * 14 not in str(fake.asked)


def test_a_caller_can_stop_it(fake):
    fake.script = lambda _: chunks("a", "b", "c")
    seen: list[int] = []

    def once(characters: int) -> bool:
        seen.append(characters)
        return False

    with pytest.raises(llm.Cancelled):
        llm.ask([{"role": "user", "content": "x"}], max_tokens=10, goes_on=once)
    assert len(seen) == 1


# --- its package ------------------------------------------------------------------------------------------------------


def test_the_package_is_named_as_the_extra_has_it():
    extras = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert extras["llm"] == [llm.PACKAGE]


@pytest.mark.parametrize(("model", "installed", "told"), [("m", False, 1), ("m", True, 0), ("", False, 0)])
def test_make_up_says_how_a_missing_package_is_installed(tmp_path, monkeypatch, capsys, model, installed, told):
    monkeypatch.setattr(up, "_check_git", lambda: None)
    monkeypatch.setattr(up, "_broker_binary", lambda: tmp_path)
    monkeypatch.setattr(up.importlib.util, "find_spec", lambda name: object() if installed else None)
    made = {"redis_url": "", "database_url": "", "llm_base_url": "http://127.0.0.1:1/v1", "llm_model": model}
    up.check(SimpleNamespace(home=tmp_path, run=tmp_path / "run", **made))
    said = capsys.readouterr().err
    assert said.count(f"-m pip install '{llm.PACKAGE}'") == told
    assert ("works without a model" in said) is bool(told)
