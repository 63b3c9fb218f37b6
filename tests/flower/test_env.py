"""Settings: each good value arrives, each bad one stops the start with a sentence that names the variable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flower import env

SECRET = "correct-horse-battery-staple-0123456789"


@pytest.fixture
def read(tmp_path):
    return lambda **values: env.read({"FLOWER_HOME": str(tmp_path / "home"), **values})


def test_everything_has_a_default(read, tmp_path):
    flower = read()
    assert flower.home == tmp_path / "home"
    assert (flower.host, flower.port, flower.public_url) == ("127.0.0.1", 8000, "http://127.0.0.1:8000")
    assert flower.max_concurrent == 4
    assert flower.debug is False
    assert flower.redis_url == flower.database_url == flower.meili_url == flower.llm_base_url == ""
    assert [root.name for root in flower.transcript_roots] == ["projects", "sessions"]
    assert flower.broker_socket == tmp_path / "home" / "run" / "q.sock"


def test_an_empty_variable_is_an_unset_one(read):
    names = ["FLOWER_HOST", "FLOWER_PORT", "FLOWER_PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "FLOWER_MAX_CONCURRENT"]
    assert read(**dict.fromkeys(names, "")) == read(FLOWER_SECRET_KEY="")


@pytest.mark.parametrize(
    ("name", "value", "attribute", "expected"),
    [
        ("FLOWER_HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("FLOWER_HOST", "::1", "origin", "http://[::1]:8000"),
        ("FLOWER_HOST", "0.0.0.0", "origin", "http://127.0.0.1:8000"),
        ("FLOWER_HOST", "::1", "allowed_hosts", ["127.0.0.1", "[::1]", "localhost"]),
        ("FLOWER_PORT", "9000", "port", 9000),
        ("FLOWER_PUBLIC_URL", "https://flower.example/", "public_url", "https://flower.example"),
        ("FLOWER_SECRET_KEY", SECRET, "secret_key", SECRET),
        ("FLOWER_ALLOWED_HOSTS", "a.example, .b.example", "allowed_hosts",
         [".b.example", "127.0.0.1", "[::1]", "a.example", "localhost"]),
        ("FLOWER_DEBUG", "yes", "debug", True),
        ("DATABASE_URL", "mysql://me:pw@db:3306/flower", "database_url", "mysql://me:pw@db:3306/flower"),
        ("DATABASE_URL", "sqlite:////srv/f.sqlite3", "database_url", "sqlite:////srv/f.sqlite3"),
        ("REDIS_URL", "redis://:pw@redis:6379/1", "celery_broker_url", "redis://:pw@redis:6379/1"),
        ("REDIS_URL", "unix:///run/redis.sock", "celery_broker_url", "redis+socket:///run/redis.sock"),
        ("MEILI_URL", "http://meili:7700", "meili_url", "http://meili:7700"),
        ("MEILI_KEY", "k", "meili_key", "k"),
        ("FLOWER_LLM_BASE_URL", "http://127.0.0.1:1/v1", "llm_base_url", "http://127.0.0.1:1/v1"),
        ("FLOWER_LLM_API_KEY", "k", "llm_api_key", "k"),
        ("FLOWER_LLM_MODEL", " small ", "llm_model", "small"),
        ("FLOWER_PRICES", " a-1=3/15/3.75/.3 ,b=1/2", "prices", {"a-1": (3, 15, 3.75, 0.3), "b": (1, 2)}),
        ("FLOWER_PRICES", "a=3/15@400000,b=@1000000,c=1/2/3/4/5", "prices", {"a": (3, 15), "c": (1, 2, 3, 4, 5)}),
        ("FLOWER_PRICES", "a=3/15@400000,b=@1000000,v@20260101=1/2", "windows", {"a": 400_000, "b": 1_000_000}),
        ("FLOWER_MAX_CONCURRENT", "16", "max_concurrent", 16),
        ("FLOWER_TRANSCRIPT_ROOTS", "/a:/b", "transcript_roots", [Path("/a"), Path("/b")]),
    ],
)  # fmt: skip
def test_a_good_value_arrives(read, name, value, attribute, expected):
    assert getattr(read(**{name: value}), attribute) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FLOWER_HOME", "~nobody-of-that-name/flower"),
        ("FLOWER_HOME", __file__),
        ("FLOWER_HOME", f"{__file__}/below"),
        ("FLOWER_HOME", "/proc/flower"),
        ("FLOWER_HOST", "http://127.0.0.1"),
        ("FLOWER_HOST", "a b"),
        ("FLOWER_PORT", "0"),
        ("FLOWER_PORT", "65536"),
        ("FLOWER_PORT", "eighty"),
        ("FLOWER_PORT", "-1"),
        ("FLOWER_PORT", "٨٠"),
        ("FLOWER_PORT", "9" * 5000),
        ("FLOWER_SECRET_KEY", "too-short"),
        ("FLOWER_PUBLIC_URL", "flower.example"),
        ("FLOWER_PUBLIC_URL", "ftp://flower.example"),
        ("FLOWER_PUBLIC_URL", "https://flower.example/below"),
        ("FLOWER_PUBLIC_URL", "https://me:pw@flower.example"),
        ("FLOWER_PUBLIC_URL", "https://flower.example:port"),
        ("FLOWER_ALLOWED_HOSTS", "https://flower.example"),
        ("FLOWER_ALLOWED_HOSTS", "flower.example:8000"),
        ("FLOWER_DEBUG", "maybe"),
        ("DATABASE_URL", "postgres://db/flower"),
        ("DATABASE_URL", "mysql://db"),
        ("DATABASE_URL", "mysql://db:port/flower"),
        ("DATABASE_URL", "mysql://[db/flower"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("REDIS_URL", "redis"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "unix://"),
        ("REDIS_URL", "http://redis:6379"),
        ("REDIS_URL", "redis://redis:99999"),
        ("MEILI_URL", "meili:7700"),
        ("FLOWER_LLM_BASE_URL", "model"),
        ("FLOWER_PRICES", "a"),
        ("FLOWER_PRICES", "a=1"),
        ("FLOWER_PRICES", "a=1/2/3"),
        ("FLOWER_PRICES", "=1/2"),
        ("FLOWER_PRICES", "a=1/-2"),
        ("FLOWER_PRICES", "a=1/nan"),
        ("FLOWER_PRICES", "a=@"),
        ("FLOWER_PRICES", "a=1/2@"),
        ("FLOWER_PRICES", "a=1/2@-5"),
        ("FLOWER_PRICES", "a=1@100000"),
        ("FLOWER_PRICES", "=@100000"),
        ("FLOWER_MAX_CONCURRENT", "0"),
        ("FLOWER_MAX_CONCURRENT", "65"),
        ("FLOWER_MAX_CONCURRENT", "1.5"),
        ("FLOWER_TRANSCRIPT_ROOTS", "relative/folder"),
        ("FLOWER_TRANSCRIPT_ROOTS", "~nobody-of-that-name"),
    ],
)
def test_a_bad_value_is_told_in_one_sentence_that_names_the_variable(read, name, value):
    with pytest.raises(env.BadSetting) as caught:
        read(**{name: value})
    sentence = str(caught.value)
    assert name in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["FLOWER_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "MEILI_KEY", "FLOWER_LLM_API_KEY"])
class TestSecretsByFile:
    VALUES = {"DATABASE_URL": "mysql://me:pw@db/flower", "REDIS_URL": "redis://:pw@redis:6379/0"}

    def test_the_file_is_read(self, read, tmp_path, name):
        value = self.VALUES.get(name, SECRET)
        (tmp_path / "secret").write_text(f"{value}\n")
        flower = read(**{f"{name}_FILE": str(tmp_path / "secret")})
        assert getattr(flower, name.removeprefix("FLOWER_").lower()) == value

    def test_a_missing_an_empty_or_a_binary_file_is_told(self, read, tmp_path, name):
        (tmp_path / "empty").write_text("\n")
        (tmp_path / "binary").write_bytes(b"\xff\xfe\xfa")
        for file in ("missing", "empty", "binary"):
            with pytest.raises(env.BadSetting, match=f"{name}_FILE"):
                read(**{f"{name}_FILE": str(tmp_path / file)})

    def test_both_at_once_is_told(self, read, tmp_path, name):
        with pytest.raises(env.BadSetting, match=f"{name} and {name}_FILE"):
            read(**{name: "x", f"{name}_FILE": str(tmp_path / "secret")})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgres://me:hunter2@db/flower"),
        ("DATABASE_URL", "mysql://me:hunter2@db:port/flower"),
        ("REDIS_URL", "http://:hunter2@redis"),
        ("FLOWER_PUBLIC_URL", "https://me:hunter2@flower.example"),
        ("MEILI_URL", "meili:hunter2@here"),
        ("FLOWER_LLM_BASE_URL", "ftp://me:hunter2@model"),
    ],
)
def test_a_refusal_repeats_no_password(read, name, value):
    with pytest.raises(env.BadSetting) as caught:
        read(**{name: value})
    assert "hunter2" not in str(caught.value)


def test_what_is_printed_of_the_settings_holds_no_secret(read):
    flower = read(
        FLOWER_SECRET_KEY="hunter2-hunter2-hunter2",
        DATABASE_URL="mysql://me:hunter2@db/flower",
        REDIS_URL="redis://:hunter2@redis",
        MEILI_KEY="hunter2",
        FLOWER_LLM_API_KEY="hunter2",
    )
    assert "hunter2" not in repr(flower)


class TestTheKeptSecretKey:
    def test_it_is_made_once_and_only_the_owner_may_read_it(self, read, tmp_path):
        first = read().secret_key
        file = tmp_path / "home" / "secret_key"
        assert len(first) > 50
        assert read().secret_key == first == file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        assert file.parent.stat().st_mode & 0o077 == 0
        assert os.listdir(file.parent) == ["secret_key"]

    def test_whoever_was_first_is_right(self, read, tmp_path, monkeypatch):
        """Another process makes the key between our look and our link."""
        (tmp_path / "home").mkdir()
        link = os.link

        def late(made, path):
            path.write_text(SECRET)
            link(made, path)

        monkeypatch.setattr(os, "link", late)
        assert read().secret_key == SECRET

    def test_a_damaged_one_is_told(self, read, tmp_path):
        (tmp_path / "home").mkdir()
        (tmp_path / "home" / "secret_key").write_text("")
        with pytest.raises(env.BadSetting, match="FLOWER_HOME"):
            read()


def test_a_relative_home_is_below_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "BASE_DIR", tmp_path)
    assert env.read({"FLOWER_HOME": "state"}).home == tmp_path / "state"


def test_sockets_go_to_the_temp_folder_when_the_home_is_deep(tmp_path):
    deep = tmp_path / ("d" * 100)
    run = env.read({"FLOWER_HOME": str(deep)}).run
    assert len(os.fsencode(run)) <= env.SOCKET_PATH_LIMIT
    assert run != env.read({"FLOWER_HOME": str(deep) + "e"}).run


class TestTheEnvFile:
    def test_the_environment_wins_over_it(self, tmp_path, monkeypatch):
        monkeypatch.setattr(env, "BASE_DIR", tmp_path)
        (tmp_path / ".env").write_text("FLOWER_PORT=9001\nFLOWER_MAX_CONCURRENT=7\nFLOWER_HOST=\n")
        monkeypatch.setenv("FLOWER_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("FLOWER_PORT", "9002")
        monkeypatch.delenv("FLOWER_HOST", raising=False)
        flower = env.load()
        assert (flower.port, flower.max_concurrent, flower.host) == (9002, 7, "127.0.0.1")

    def test_one_that_is_no_text_is_told(self, tmp_path, monkeypatch):
        monkeypatch.setattr(env, "BASE_DIR", tmp_path)
        (tmp_path / ".env").write_bytes(b"\xff\xfe\xfa")
        with pytest.raises(env.BadSetting, match=r"\.env"):
            env.load()
