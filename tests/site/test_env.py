"""Every variable of the guide works under its name; every bad value stops the boot."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from federation.aggregation.registry import METHODS, ROBUST_METHODS
from flxdr.core.keys import PrivateKey
from flxdr.env import BASE_DIR, Env, ensure_state_folders, load
from flxdr.management.commands.settings_doc import TARGET, settings_document
from flxdr.platform.configuration import InvalidEnvironment, variables_of

GUIDE = {
    "FL_PRIVACY_EPSILON": ("1.0", "privacy_epsilon", 1.0),
    "FL_PRIVACY_DELTA": ("1e-5", "privacy_delta", 1e-5),
    "FL_PRIVACY_CLIPPING_NORM": ("1.0", "privacy_clipping_norm", 1.0),
    "FL_AGGREGATION_METHOD": ("FedProx", "aggregation_method", "FedProx"),
    "FL_AGGREGATION_ROBUST_METHOD": ("trimmed_mean", "aggregation_robust_method", "trimmed_mean"),
    "FL_PROXIMAL_PARAMETER": ("0.01", "proximal_parameter", 0.01),
    "FL_TRAINING_ROUNDS": ("10", "training_rounds", 10),
    "FL_BATCH_SIZE": ("32", "batch_size", 32),
    "FL_LEARNING_RATE": ("0.01", "learning_rate", 0.01),
    "FL_BLOCKCHAIN_DB_PATH": (
        "/var/lib/jarvis/fl_blockchain.db",
        "blockchain_db_path",
        Path("/var/lib/jarvis/fl_blockchain.db"),
    ),
    "FL_BLOCKCHAIN_VERIFICATION_METHOD": ("multisig", "blockchain_verification_method", "multisig"),
    "FL_FEDERATION_TIMEOUT": ("600", "federation_timeout", 600),
    "FL_MAX_ORG_FAILURE_RATE": ("0.3", "max_org_failure_rate", 0.3),
    "BACKEND_PORT": ("8000", "backend_port", 8000),
    "API_HMAC_KEY": ("your-secure-key-here", "api_hmac_key", "your-secure-key-here"),
    "TELEMETRY_BACKEND": ("kafka", "telemetry_backend", "kafka"),
    "TELEMETRY_KAFKA_BROKERS": ("localhost:9092", "telemetry_kafka_brokers", ("localhost:9092",)),
    "DEV_ALLOWED_ORIGINS": ("['http://localhost:5173']", "dev_allowed_origins", ("http://localhost:5173",)),
    "JARVIS_MTLS_REQUIRED": ("false", "mtls_required", False),
}
DIFFERENT_DEFAULTS = {"FL_BLOCKCHAIN_DB_PATH", "API_HMAC_KEY", "TELEMETRY_BACKEND"}


@pytest.mark.parametrize("name", GUIDE)
def test_guides_variables_are_read_as_printed(name: str) -> None:
    text, attribute, value = GUIDE[name]
    assert getattr(load({name: text}), attribute) == value


@pytest.mark.parametrize("name", sorted(set(GUIDE) - DIFFERENT_DEFAULTS))
def test_guides_values_are_the_defaults(name: str) -> None:
    _, attribute, value = GUIDE[name]
    assert getattr(load({}), attribute) == value


def test_every_aggregation_can_be_the_default() -> None:
    for method in METHODS:
        assert load({"FL_AGGREGATION_METHOD": method}).aggregation_method == method
    for name in ROBUST_METHODS:
        assert load({"FL_AGGREGATION_ROBUST_METHOD": name}).aggregation_robust_method == name


def test_aggregation_parameters_are_named_integers() -> None:
    assert load({"FL_AGGREGATION_PARAMS": "byzantine=2, keep=+3"}).aggregation_params == {"byzantine": 2, "keep": 3}
    assert load({}).aggregation_params is None


@pytest.mark.parametrize(
    "value",
    [
        "byzantine",
        "byzantine=",
        "=2",
        "byzantine=2.0",
        "byzantine=1e3",
        "byzantine=two",
        "byzantine=\u0662",
        "byzantine=" + "9" * 19,
        "byzantine 2",
        "byzantine=2,",
        "byzantine=2,byzantine=2",
        "Byzantine=2",
    ],
)
def test_other_spellings_of_aggregation_parameters_are_refused(value: str) -> None:
    with pytest.raises(InvalidEnvironment, match="`name=integer`, separated by commas"):
        load({"FL_AGGREGATION_PARAMS": value})


def test_every_variable_is_read_by_one_attribute() -> None:
    names = [declared.name for declared in variables_of(Env).values()]
    assert len(names) == len(set(names))
    for attribute, declared in variables_of(Env).items():
        assert attribute in (declared.name.lower(), declared.name.lower().removeprefix("fl_").removeprefix("jarvis_"))


@pytest.mark.parametrize(
    ("mode", "changes"),
    [
        ("development", {"privacy_mode": "none", "privacy_required": False}),
        ("production", {"privacy_mode": "record", "privacy_required": True, "dev_allowed_origins": None}),
    ],
)
def test_defaults_of_the_modes(mode: str, changes: dict[str, Any]) -> None:
    env = load({"FL_ENV": mode})
    assert {name: getattr(env, name) for name in changes} == changes
    assert env.is_production is (mode == "production")


def test_paths_lie_in_the_data_folder() -> None:
    assert load({}).data_dir == BASE_DIR / "var"
    assert load({"FL_DATA_DIR": "/srv/fl"}).database_path == Path("/srv/fl/fl_blockchain.db")
    assert load({"FL_DATA_DIR": "/srv/fl", "FL_BLOCKCHAIN_DB_PATH": "/db/x.db"}).database_path == Path("/db/x.db")


def test_keys_are_standard_base64() -> None:
    key = PrivateKey.generate()
    env = load({"PQC_SK_B64": base64.b64encode(key.seed).decode(), "PQC_PK_B64": key.public.to_base64()})
    assert (env.pqc_sk_b64, env.pqc_pk_b64) == (key.seed, key.public.spki)


def test_quorum_is_a_fraction() -> None:
    assert load({}).blockchain_quorum == Fraction(2, 3)


@pytest.mark.parametrize(
    "origins", ["['http://a.example','https://b.example:8443']", "http://a.example, https://b.example:8443"]
)
def test_both_spellings_of_the_origins(origins: str) -> None:
    assert load({"DEV_ALLOWED_ORIGINS": origins}).dev_allowed_origins == (
        "http://a.example",
        "https://b.example:8443",
    )


BAD = {
    "FL_ENV": "staging",
    "FL_PRIVACY_EPSILON": "-1",
    "FL_PRIVACY_DELTA": "1",
    "FL_PRIVACY_CLIPPING_NORM": "0",
    "FL_PRIVACY_SAMPLING_RATE": "0",
    "FL_PRIVACY_MODE": "both",
    "FL_PRIVACY_CALIBRATION": "Analytic",
    "FL_PRIVACY_REQUIRED": "perhaps",
    "FL_PROTECTION": "secagg2",
    "FL_AGGREGATION_METHOD": "fedavg",
    "FL_AGGREGATION_SHARD_VALUES": "1023",
    "FL_AGGREGATION_ROBUST_METHOD": "mean",
    "FL_PROXIMAL_PARAMETER": "2",
    "FL_AGGREGATION_PARAMS": "byzantine",
    "FL_TRAINING_ROUNDS": "0",
    "FL_BATCH_SIZE": "3.5",
    "FL_LEARNING_RATE": "fast",
    "FL_DEFAULT_MODEL": "../x",
    "FL_BLOCKCHAIN_VERIFICATION_METHOD": "none",
    "FL_BLOCKCHAIN_QUORUM": "1/3",
    "FL_BLOCKCHAIN_QUORUM_MIN": "0",
    "FL_APPROVAL_TIMEOUT": "0",
    "FL_VERIFY_INTERVAL": "59",
    "FL_FEDERATION_TIMEOUT": "10m",
    "FL_MASKING_STEP_TIMEOUT": "0",
    "FL_PAILLIER_MODULUS_BITS": "1024",
    "FL_MAX_ORG_FAILURE_RATE": "30%",
    "FL_UPDATE_RETENTION_DAYS": "-1",
    "FL_DETECTIONS_PER_HOUR": "0",
    "FL_MAX_SUBMISSION_BYTES": "1GB",
    "FL_BLOBS_S3_BUCKET": "My_Bucket",
    "FL_BLOBS_S3_ENDPOINT": "s3.example.org",
    "FL_BLOBS_S3_REGION": "eu central",
    "FL_BLOBS_S3_PREFIX": "a/../b",
    "FL_BLOBS_CACHE_BYTES": "10GB",
    "FL_DATABASE_POOL": "0",
    "FL_ALLOWED_HOSTS": "http://fl.example.org",
    "FL_LOG_LEVEL": "verbose",
    "FL_THROTTLE_ORGANIZATION": "-1",
    "FL_THROTTLE_ADDRESS": "many",
    "FL_HSTS": "yes",
    "FL_BEHIND_PROXY": "2",
    "FL_TWO_PERSON": "mostly",
    "FL_OPERATOR_2FA": "true",
    "BACKEND_PORT": "80000",
    "BACKEND_HOST": "local host",
    "TELEMETRY_BACKEND": "rabbit",
    "TELEMETRY_KAFKA_BROKERS": "localhost",
    "FL_OIDC_ISSUER": "idp.example.org",
    "FL_OIDC_SCOPES": "profile",
    "FL_OIDC_ROLES": "admins:root",
    "FL_OIDC_SECOND_FACTOR": "yes",
    "FL_OIDC_SESSION_MINUTES": "0",
    "TELEMETRY_KAFKA_PROPERTIES": "acks=0",
    "TELEMETRY_TOPIC": "events of rounds",
    "ROMA_MQ_URL": "mq.example.org",
    "DEV_ALLOWED_ORIGINS": "*",
    "JARVIS_MTLS_REQUIRED": "yes please",
    "JARVIS_MTLS_ALLOWED_FINGERPRINTS": "ab:cd",
    "DATABASE_URL": "mysql://x/y",
    "REDIS_URL": "localhost:6379",
    "PQC_SK_B64": "short",
    "FL_METRICS_TOKEN": "two words",
    "PQC_PK_B64": "*",
    "PQC_NEXT_SK_B64": "short",
    "FL_BLOCKCHAIN_PREDECESSOR": "AB",
    "FL_PUBLIC_URL": "https://fl.example.org/path",
    "FL_NOTIFY_LEVEL": "debug",
    "FL_NOTIFY_ROUNDS_LEFT": "-1",
    "FL_NOTIFY_SILENT_AFTER": "119",
    "FL_NOTIFY_EMAIL": "Kim <kim@example.org>",
    "FL_NOTIFY_SMTP_URL": "mail.example.org:587",
    "FL_NOTIFY_FROM": "kim@example.org\nBcc: lee@example.org",
    "FL_NOTIFY_WEBHOOK_URL": "ftp://hooks.example.org",
}
FREE = {
    "FL_METRICS_TOKEN",
    "FL_BLOCKCHAIN_DB_PATH",
    "FL_DATA_DIR",
    "FL_HEARTBEAT_FILE",
    "SECRET_KEY",
    "API_HMAC_KEY",
    "ROMA_MQ_TOKEN",
    "FL_OIDC_CLIENT_ID",
    "FL_OIDC_CLIENT_SECRET",
    "FL_OIDC_ROLE_CLAIM",
    "FL_NOTIFY_WEBHOOK_SECRET",
    "FL_BLOBS_S3_ACCESS_KEY_ID",
    "FL_BLOBS_S3_SECRET_ACCESS_KEY",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_value_is_named_with_what_is_allowed(name: str) -> None:
    with pytest.raises(InvalidEnvironment) as refusal:
        load({name: BAD[name]})
    (problem,) = refusal.value.problems
    assert (problem.id, problem.variable) == ("flxdr.E001", name)
    assert "Allowed: " in problem.message
    is_secret = next(declared.secret for declared in variables_of(Env).values() if declared.name == name)
    assert (repr(BAD[name]) in problem.message) is not is_secret


@pytest.mark.parametrize(
    "server",
    [
        "smtps://kim%40example.org:a%2Fb@mail.example.org:465",
        "submission://mail.example.org",
        "smtp://127.0.0.1:25/",
        "smtp://[::1]:25",
    ],
)
def test_spellings_of_a_mail_server(server: str) -> None:
    assert load({"FL_NOTIFY_SMTP_URL": server}).notify_smtp_url == server


@pytest.mark.parametrize(
    "server", ["smtp://", "smtp://kim@mail.example.org", "smtp://a:b/c@mail", "smtp://m:0", "smtp://m:65536"]
)
def test_other_spellings_of_a_mail_server_are_refused_and_not_shown(server: str) -> None:
    with pytest.raises(InvalidEnvironment, match=r"FL_NOTIFY_SMTP_URL: the value .hidden"):
        load({"FL_NOTIFY_SMTP_URL": server})


def test_every_variable_with_a_rule_has_a_bad_value() -> None:
    assert {declared.name for declared in variables_of(Env).values()} == set(BAD) | FREE


@pytest.mark.parametrize(
    "command",
    [
        ["manage.py", "check"],
        ["manage.py", "migrate"],
        ["-c", "import flxdr.wsgi"],
        ["-c", "import flxdr.celery as c; c.app.conf.broker_url"],
    ],
)
def test_bad_value_stops_every_process(command: list[str], tmp_path: Path) -> None:
    environment = os.environ | {
        "FL_DATA_DIR": str(tmp_path / "state"),
        "FL_FEDERATION_TIMEOUT": "10m",
        "DJANGO_SETTINGS_MODULE": "flxdr.settings",
    }
    ended = subprocess.run(
        [sys.executable, *command], cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode != 0
    assert "FL_FEDERATION_TIMEOUT: '10m' is not allowed. Allowed: a whole number of at least 1" in ended.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("name", ["FL_DATA_DIR", "FL_BLOCKCHAIN_DB_PATH"])
def test_folder_that_cannot_be_made_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environ = {"FL_DATA_DIR": str(tmp_path / "state"), name: str(tmp_path / "file" / "below" / "x")}
    with pytest.raises(InvalidEnvironment) as refusal:
        ensure_state_folders(load(environ))
    assert {(problem.id, problem.variable) for problem in refusal.value.problems} >= {("flxdr.E003", name)}
    assert str(tmp_path / "file") in str(refusal.value)


def test_settings_document_is_true() -> None:
    assert TARGET.read_text(encoding="utf-8") == settings_document(), "run `manage.py settings_doc`"


def test_settings_document_tells_of_every_variable() -> None:
    document = settings_document()
    for declared in variables_of(Env).values():
        assert f"| `{declared.name}`" in document
    assert str(BASE_DIR) not in document
