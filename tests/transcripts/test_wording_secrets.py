"""No secret leaves the machine. All of these are made up; they only have the shape of real ones."""

from __future__ import annotations

import time

import pytest

from transcripts.wording.hiding import hide, looks_random

R = "q7Zt2LmX9vKp4RsW8nYc3Bd6"  # random-looking, in pieces below so that no scanner takes this file for a leak
HEX = "4f1d9c2ab87e6035d4c9f1e2a3b4c5d6"
KEY_LINES = "\n".join(f"MIIEvQ{n}BADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ{R}" for n in range(4))

SECRETS = [
    # (what is in the text, the part of it that must go)
    (f"export OPENAI_API_KEY=sk-proj-{R}{R}", R),
    (f"key sk-ant-api03-{R}-{R}", R),
    (f"token ghp_{R}{R[:12]}", R),
    (f"github_pat_11AB{R}_{R}", R),
    (f"glpat-{R[:20]}", R[:20]),
    (f"xoxb-123456789012-{R}", R),
    ("https://hooks.slack.com/services/" + f"T0AB/B0CD/{R}", R),
    ("AKIA" + "IOSFODNN7EXAMPLE", "IOSFODNN7"),
    (f"aws_secret_access_key = wJalr/{R}/bPxRf", R),
    (f"AWS_SESSION_TOKEN={R}//{R}==", R),
    ("AIza" + f"Sy{R}{R[:9]}", R),
    (f"ya29.{R}_{R}", R),
    (f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={R}+/{R}==;", R),
    ("sk_live_" + R, R),
    ("whsec_" + R, R),
    ("npm_" + R + R[:12], R),
    ("hf_" + R + R[:10], R),
    ("pypi-AgEIcHlwaS5vcmc" + R, R),
    ("SG." + f"{R}.{R}{R}", R),
    ("123456789:AA" + f"{R}{R[:9]}", R),
    (f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{R}", R),
    ("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.", "eyJzdWIiOiJhZG1pbiJ9"),
    (f"Authorization: Bearer {R}", R),
    (f"curl -H 'authorization: token {R}' x", R),
    ("Authorization: Basic dXNlcjpodW50ZXIy", "dXNlcjpodW50ZXIy"),
    (f"Cookie: sessionid=abc; other={HEX}", HEX),
    (f"X-Api-Key: {HEX}", HEX),
    ("postgres://admin:hunter2@db.internal:5432/app", "hunter2"),
    ("redis://:p4ssw0rd@cache:6379/0", "p4ssw0rd"),
    ("mysql://root:pa@ss:w0rd@db/x", "w0rd"),
    (f"https://{HEX}@github.com/o/r.git", HEX),
    (f"https://example.org/cb?code={HEX}&x=1", HEX),
    (f"https://s3.example/x?X-Amz-Signature={HEX}", HEX),
    ("DB_PASSWORD=hunter2", "hunter2"),
    ('DB_PASSWORD="correct horse battery staple"', "battery"),
    ("export STRIPE_WEBHOOK_KEY='abc def'", "def"),
    ("SENTRY_DSN=https://a1b2c3@o1.ingest.example/2", "a1b2c3"),
    ("DJANGO_SECRET_KEY=django-insecure-x(y", "insecure"),
    ('{"password": "hunter2", "user": "mike"}', "hunter2"),
    ('{\\"client_secret\\": \\"hunter2\\"}', "hunter2"),
    ("private_key: hunter2", "hunter2"),
    ("psql --password hunter2 -h db", "hunter2"),
    ("deploy --token=hunter2", "hunter2"),
    ("curl -u mike:hunter2 https://x", "hunter2"),
    ("mysql -u root -phunter2 app", "hunter2"),
    ("machine x login mike password hunter2", "hunter2"),
    ("the password is hunter2, do not tell", "hunter2"),
    (f"-----BEGIN OPENSSH PRIVATE KEY-----\n{KEY_LINES}\n-----END OPENSSH PRIVATE KEY-----", "MIIEvQ"),
    (f"-----BEGIN RSA PRIVATE KEY-----\n{KEY_LINES}", "MIIEvQ"),
    (f"{KEY_LINES}\n-----END PRIVATE KEY-----", "MIIEvQ"),
    ("-----BEGIN PRIVATE KEY-----\\n" + KEY_LINES.replace("\n", "\\n") + "\\n-----END PRIVATE KEY-----\\n", "MIIEvQ"),
    ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQOYBF\n-----END PGP PRIVATE KEY BLOCK-----", "lQOYBF"),
    ("flower_" + "aB3" * 14, "aB3aB3"),
    (f"an unknown service says {R}{R[:8]}", R),
    ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMzEfYyjiWA4R4", "MIIEvQ"),
]


@pytest.mark.parametrize(("text", "secret"), SECRETS, ids=range(len(SECRETS)))
def test_a_secret_is_hidden_wherever_it_stands(text, secret):
    assert secret in text
    for around in (text, f"line before\n{text}\nline after", f"$ {text} | cat"):
        assert secret not in hide(around)
        assert "redacted" in hide(around)


@pytest.mark.parametrize(
    "text",
    [
        "committed 4f1d9c2ab87e6035d4c9f1e2a3b4c5d6a7b8c9d0 to main",
        "session 50d2c4b7-ca91-4e22-8f3b-0c1d2e3f4a5b",
        "/home/mike/Projects/FlowerBackend/src/test/java/SpawnDaemonBridgeFactoryTest.java",
        "test_Session_Store_Refuses_2_Writers_At_Once_And_Says_Why",
        "SpawnDaemonBridgeFactoryConfigurationProviderImplementationTest",
        "npm_lifecycle_event and hf_hub_download_with_retries are names",
        "pytest -q tests/test_tokens.py -k 'password or token' -u",
        "gh api repos/o/r/issues?state=open&code=1",
        "--- PASS: TestResumeSwitchesBranch (0.12s)",
        "1276 tests, 1274 passed, 2 skipped in 12.5 s; max_tokens=8000",
        "see https://example.org/docs/keys#how and http://127.0.0.1:8000/a@b",
    ],
)
def test_what_is_no_secret_stays(text):
    assert hide(text) == text


def test_random_words_differ_from_names():
    assert looks_random(R)
    assert not looks_random("handleUserSessionTimeout2ForLegacyClients")
    assert not looks_random(HEX)


@pytest.mark.parametrize(
    "hostile",
    [
        "a-" * 400_000,
        "a." * 400_000 + "password",
        "A" * 800_000,
        "A_" * 400_000 + "KEY=",
        'password="' * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 20_000,
        "-----END PRIVATE KEY-----" * 20_000,
        "hello world " * 60_000 + "-----END PRIVATE KEY----",
        "mysql " * 100_000,
        "://" * 200_000,
        "a://b:" * 100_000,
        " -u x" * 100_000,
        "eyJ" * 200_000,
    ],
    ids=lambda text: text[:12],
)
def test_no_text_makes_it_slow(hostile):
    began = time.process_time()
    hide(hostile)
    assert time.process_time() - began < 2
