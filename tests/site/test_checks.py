"""Production refuses development's conveniences; development names them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import ERROR, WARNING, run_checks

from flxdr.checks import refuse_to_boot_misconfigured
from flxdr.core.errors import Misconfigured
from flxdr.core.keys import PrivateKey
from flxdr.env import BASE_DIR

KEY = PrivateKey.generate()
SECRET = "kJ3-8sLq_02nVbX7yTgHw5RzPmEcUdAf"
COMPLETE: dict[str, Any] = {
    "env": "production",
    "secret_key": SECRET,
    "api_hmac_key": SECRET[::-1],
    "pqc_sk_b64": KEY.seed,
    "pqc_pk_b64": KEY.public.spki,
    "allowed_hosts": ("fl.example.org",),
    "operator_2fa": "required",
}
EMAIL = {
    "notify_email": ("kim@example.org",),
    "notify_from": "fl@example.org",
    "notify_smtp_url": "submission://kim:secret@mail.example.org",
}
BUCKET = {
    "blobs_s3_bucket": "flxdr",
    "blobs_s3_endpoint": "https://s3.example.org",
    "blobs_s3_access_key_id": "id",
    "blobs_s3_secret_access_key": "secret",
}
SINGLE_SIGN_ON = {
    "oidc_issuer": "https://idp.example.org",
    "oidc_client_id": "flxdr",
    "oidc_client_secret": "secret",
    "oidc_roles": ("soc:operator",),
}
WEBHOOK = {"notify_webhook_url": "https://hooks.example.org/x", "notify_webhook_secret": SECRET}


def identifiers(level: int) -> list[str]:
    return sorted(str(message.id) for message in run_checks() if message.level == level)


def test_complete_production_is_accepted(env: Any) -> None:
    env(**COMPLETE)
    assert identifiers(ERROR) == identifiers(WARNING) == []
    refuse_to_boot_misconfigured()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"secret_key": None}, ["flxdr.E010"]),
        ({"secret_key": "short"}, ["flxdr.E010"]),
        ({"secret_key": "a" * 64}, ["flxdr.E010"]),
        ({"api_hmac_key": None}, ["flxdr.E011"]),
        ({"api_hmac_key": "your-secure-key-here"}, ["flxdr.E011"]),
        ({"pqc_sk_b64": None, "pqc_pk_b64": None}, ["flxdr.E012"]),
        ({"allowed_hosts": None}, ["flxdr.E013"]),
        ({"metrics_token": "short"}, ["flxdr.E040"]),
        ({"metrics_token": SECRET}, []),
        ({"pqc_sk_b64": bytes(32), "pqc_pk_b64": None}, ["flxdr.E012"]),
        ({"api_hmac_key": SECRET}, ["flxdr.E016"]),
        ({"database_url": "postgresql://flxdr:flxdr@db:5432/flxdr"}, ["flxdr.E017"]),
        ({"database_url": "postgresql://flxdr:Password@db:5432/flxdr"}, ["flxdr.E017"]),
        ({"database_url": "postgresql://flxdr:p%40ss@db:5432/flxdr"}, ["flxdr.E017"]),
        ({"database_url": "postgresql://flxdr@db:5432/flxdr"}, []),
        ({"database_url": f"postgresql://flxdr:{SECRET}@db:5432/flxdr"}, []),
        ({"redis_url": "redis://:changeme@redis:6379/0"}, ["flxdr.E018"]),
        ({"redis_url": f"redis://:{SECRET}@redis:6379/0"}, []),
        ({"pqc_pk_b64": PrivateKey.generate().public.spki}, ["flxdr.E014"]),
        ({"pqc_pk_b64": b"no key"}, ["flxdr.E014"]),
        ({"aggregation_params": {"lambda_ppm": 20_000}}, []),
        ({"aggregation_params": {"lambda_ppm": -1}}, ["flxdr.E015"]),
        ({"aggregation_params": {"byzantine": 1}}, ["flxdr.E015"]),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"trim_ppm": 100_000}}, []),
        ({"aggregation_method": "RobustAggregator", "aggregation_params": {"keep": 3}}, ["flxdr.E015"]),
        (
            {
                "aggregation_method": "RobustAggregator",
                "aggregation_robust_method": "multi_krum",
                "aggregation_params": {"keep": 3},
            },
            [],
        ),
        ({"telemetry_backend": "roma"}, ["flxdr.E020"]),
        ({"telemetry_backend": "roma", "roma_mq_url": "https://mq.example.org"}, ["flxdr.E020"]),
        ({"telemetry_backend": "roma", "roma_mq_url": "https://mq.example.org", "roma_mq_token": "t"}, []),
        ({"telemetry_backend": "roma", "roma_mq_url": "http://mq.example.org", "roma_mq_token": "t"}, ["flxdr.E028"]),
        ({"telemetry_backend": "kafka"}, []),
        ({"telemetry_backend": "kafka", "telemetry_kafka_properties": {"ssl.nonsense": "1"}}, ["flxdr.E027"]),
        (SINGLE_SIGN_ON, []),
        (SINGLE_SIGN_ON | {"oidc_roles": None}, ["flxdr.E040"]),
        (SINGLE_SIGN_ON | {"oidc_issuer": None, "oidc_client_secret": None}, ["flxdr.E040"]),
        (SINGLE_SIGN_ON | {"oidc_issuer": "http://idp.example.org"}, ["flxdr.E041"]),
        (EMAIL, []),
        (EMAIL | {"notify_smtp_url": None}, ["flxdr.E022"]),
        (EMAIL | {"notify_email": None, "notify_from": None}, ["flxdr.E022"]),
        (EMAIL | {"notify_smtp_url": "smtp://mail.example.org"}, []),
        (EMAIL | {"notify_smtp_url": "smtp://kim:secret@mail.example.org"}, ["flxdr.E026"]),
        (BUCKET, []),
        (BUCKET | {"blobs_s3_access_key_id": None, "blobs_s3_secret_access_key": None}, []),
        (BUCKET | {"blobs_s3_bucket": None}, ["flxdr.E050"]),
        ({"blobs_s3_region": "eu-central-1"}, ["flxdr.E050"]),
        (BUCKET | {"blobs_s3_secret_access_key": None}, ["flxdr.E051"]),
        (BUCKET | {"blobs_s3_endpoint": "http://s3.example.org:9000"}, ["flxdr.E052"]),
        (BUCKET | {"blobs_s3_endpoint": "http://[::1]:9000"}, []),
        (WEBHOOK, []),
        (WEBHOOK | {"notify_webhook_secret": None}, ["flxdr.E023"]),
        (WEBHOOK | {"notify_webhook_url": None}, ["flxdr.E023"]),
        (WEBHOOK | {"notify_webhook_url": "http://hooks.example.org/x"}, ["flxdr.E024"]),
        (WEBHOOK | {"notify_webhook_secret": "short"}, ["flxdr.E025"]),
        (
            {"secret_key": None, "api_hmac_key": None, "pqc_sk_b64": None, "pqc_pk_b64": None, "allowed_hosts": None},
            ["flxdr.E010", "flxdr.E011", "flxdr.E012", "flxdr.E013"],
        ),
    ],
)
def test_incomplete_production_is_refused(env: Any, changes: dict[str, Any], expected: list[str]) -> None:
    env(**COMPLETE | changes)
    assert identifiers(ERROR) == expected
    if expected:
        with pytest.raises(Misconfigured, match=expected[0]):
            refuse_to_boot_misconfigured()


@pytest.mark.parametrize("mode", ["off", "optional"])
def test_production_that_leaves_passwords_alone_is_warned(env: Any, mode: str) -> None:
    env(**COMPLETE | {"operator_2fa": mode})
    assert (identifiers(ERROR), identifiers(WARNING)) == ([], ["flxdr.W013"])


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("redis://redis:6379/0", True),
        ("redis://127.0.0.1:6379/0", False),
        ("redis://[::1]:6379/0", False),
        ("redis://localhost:6379/0", False),
        (f"rediss://:{SECRET}@redis:6379/0", False),
    ],
)
def test_a_queue_that_is_open_to_the_network_is_warned_of(env: Any, url: str, warned: bool) -> None:
    env(**COMPLETE | {"redis_url": url})
    assert (identifiers(ERROR), identifiers(WARNING)) == ([], ["flxdr.W014"] if warned else [])


def test_development_says_loudly_what_it_leaves_open(caplog: pytest.LogCaptureFixture) -> None:
    assert identifiers(ERROR) == []
    assert identifiers(WARNING) == ["flxdr.W010", "flxdr.W011"]
    refuse_to_boot_misconfigured()
    assert "may operate the federation without a token" in caplog.text
    assert "development secrets" in caplog.text


@pytest.mark.parametrize(("secret", "warned"), [("your-secure-key-here", True), ("short", True), (SECRET, False)])
def test_a_guessable_token_key_is_warned_of(env: Any, secret: str, warned: bool) -> None:
    env(api_hmac_key=secret)
    assert ("flxdr.W012" in identifiers(WARNING)) is warned
    assert identifiers(ERROR) == []


def test_a_trial_may_use_servers_without_tls(env: Any) -> None:
    env(**WEBHOOK | {"notify_webhook_url": "http://localhost:9000/", "notify_webhook_secret": "s"})
    env(**BUCKET | {"blobs_s3_endpoint": "http://s3.example.org:9000"})
    assert identifiers(ERROR) == []


def test_public_key_alone_is_refused(env: Any) -> None:
    env(pqc_pk_b64=KEY.public.spki)
    assert identifiers(ERROR) == ["flxdr.E014"]


def test_kafka_needs_its_package(env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flxdr.checks.find_spec", lambda name: None)
    env(telemetry_backend="kafka")
    assert identifiers(ERROR) == ["flxdr.E021"]


def test_misspelt_variables_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FL_PRIVACY_EPSILN", "2")
    (warning,) = [message for message in run_checks() if message.id == "flxdr.W001"]
    assert "FL_PRIVACY_EPSILN" in warning.msg
    assert warning.hint == "Did you mean FL_PRIVACY_EPSILON?"


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "migrate"],
        ["-c", "import flxdr.wsgi"],
        ["-m", "celery", "-A", "flxdr", "worker", "--pool=solo"],
        ["-m", "celery", "-A", "flxdr", "beat"],
    ],
    ids=["check", "migrate", "web", "worker", "beat"],
)
def test_no_process_serves_production_with_development_secrets(command: list[str], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    environment |= {
        "FL_DATA_DIR": str(tmp_path),
        "FL_ENV": "production",
        "DJANGO_SETTINGS_MODULE": "flxdr.settings",
    }
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode != 0
    for identifier in ("flxdr.E010", "flxdr.E011", "flxdr.E012", "flxdr.E013"):
        assert identifier in ended.stdout + ended.stderr
