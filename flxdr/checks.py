"""System checks of the configuration: errors stop the boot, warnings name what is only good enough for development.

Single values are read and refused by `flxdr.env` (E001 to E003) before Django starts; here is what needs more than one
value or Django itself.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register, run_checks
from django.core.checks import Warning as CheckWarning

from federation.aggregation import registry
from federation.aggregation.errors import MethodInvalid
from flxdr.core.errors import Misconfigured
from flxdr.core.keys import Algorithm, PrivateKey
from flxdr.env import Env
from flxdr.platform.auth import second_factor
from flxdr.platform.auth.authentication import is_loopback
from flxdr.platform.configuration import variables_of
from flxdr.platform.identity import check_public_half

SHORTEST_SECRET = 32
GUIDE_PLACEHOLDERS = {"your-secure-key-here"}
SHORTEST_PASSWORD = 8
FEWEST_SEED_BYTES = 16
"""Different values among the 32 bytes of a seed; a random one never has fewer (probability 3e-17)."""
COMMON_PASSWORDS = {"password", "postgres", "changeme", "change-me", "insecure", "development", "redis-password"}
_log = structlog.get_logger("flxdr.boot")


@register(Tags.security)
def check_secrets(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Production needs secrets of its own; development says which ones it made up."""
    env: Env = settings.FLXDR
    return list(_production_secrets(env) if env.is_production else _development_notes(env))


def _production_secrets(env: Env) -> Iterator[CheckMessage]:
    for number, name, value in (("E010", "SECRET_KEY", env.secret_key), ("E011", "API_HMAC_KEY", env.api_hmac_key)):
        if value is None:
            yield Error(f"{name} is not set, and FL_ENV=production.", hint=_generate(name), id=f"flxdr.{number}")
        elif _can_be_guessed(value):
            yield Error(
                f"{name} is a placeholder or can be guessed (allowed: at least {SHORTEST_SECRET} random characters).",
                hint=_generate(name),
                id=f"flxdr.{number}",
            )
    if env.secret_key is not None and env.secret_key == env.api_hmac_key:
        yield Error(
            "SECRET_KEY and API_HMAC_KEY are the same: who learns one of them has both.",
            hint=_generate("API_HMAC_KEY"),
            id="flxdr.E016",
        )
    if env.pqc_sk_b64 is not None and len(set(env.pqc_sk_b64)) < FEWEST_SEED_BYTES:
        yield Error(
            "PQC_SK_B64 can be guessed.",
            hint="Run `manage.py generate_keys` (with FL_ENV=development) and set its output.",
            id="flxdr.E012",
        )
    yield from _weak_passwords(env)
    if env.pqc_sk_b64 is None:
        yield Error(
            "PQC_SK_B64 is not set, and FL_ENV=production: the coordinator's key must be kept by the operator.",
            hint="Run `manage.py generate_keys` (with FL_ENV=development) and set its output.",
            id="flxdr.E012",
        )
    if not env.allowed_hosts:
        yield Error(
            "FL_ALLOWED_HOSTS is not set, and FL_ENV=production.",
            hint="Set it to the host names under which the coordinator is reached, such as fl.example.org.",
            id="flxdr.E013",
        )
    if env.metrics_token and _can_be_guessed(env.metrics_token):
        yield Error(
            "FL_METRICS_TOKEN can be guessed: who guesses it reads the federation's figures.",
            hint=_generate("FL_METRICS_TOKEN"),
            id="flxdr.E040",
        )
    if env.operator_2fa != second_factor.REQUIRED:
        yield CheckWarning(
            f"FL_OPERATOR_2FA={env.operator_2fa}, and FL_ENV=production: an operator's password alone is enough.",
            hint="Set FL_OPERATOR_2FA=required.",
            id="flxdr.W013",
        )


def _weak_passwords(env: Env) -> Iterator[CheckMessage]:
    """Of the database and the queue. None at all may be right (a socket, certificates); a trial's never is."""
    for number, name, address in (("E017", "DATABASE_URL", env.database_url), ("E018", "REDIS_URL", env.redis_url)):
        parts = urlsplit(address or "")
        if parts.password is None:
            continue
        password = unquote(parts.password)
        if len(password) < SHORTEST_PASSWORD or password.lower() in {*COMMON_PASSWORDS, unquote(parts.username or "")}:
            yield Error(
                f"{name} has a password that can be guessed (allowed: at least {SHORTEST_PASSWORD} random characters).",
                hint=f"Give the server another password, and put the address in a file that {name}_FILE names.",
                id=f"flxdr.{number}",
            )
    queue = urlsplit(env.redis_url or "")
    if env.redis_url and queue.password is None and not _is_loopback(queue.hostname):
        yield CheckWarning(
            f"REDIS_URL names {queue.hostname} without a password: who reaches it gives the workers tasks.",
            hint="Set `requirepass` there, and REDIS_URL=redis://:PASSWORD@HOST:PORT/0.",
            id="flxdr.W014",
        )


def _is_loopback(host: str | None) -> bool:
    try:
        return host in (None, "localhost") or ip_address(str(host)).is_loopback
    except ValueError:
        return False


def _can_be_guessed(secret: str) -> bool:
    return secret in GUIDE_PLACEHOLDERS or len(secret) < SHORTEST_SECRET or len(set(secret)) < 10


def _generate(name: str) -> str:
    command = "python3 -c 'import secrets; print(secrets.token_hex(32))'"
    return f"export {name}=$({command}), or put it in a file and set {name}_FILE."


def _development_notes(env: Env) -> Iterator[CheckMessage]:
    yield CheckWarning(
        "FL_ENV=development: every program on this machine may operate the federation without a token, and anyone who "
        "reaches the port may register.",
        hint="Set FL_ENV=production for anything but a trial.",
        id="flxdr.W010",
    )
    made = [name for name, value in (("SECRET_KEY", env.secret_key), ("PQC_SK_B64", env.pqc_sk_b64)) if not value]
    if made:
        yield CheckWarning(
            f"{' and '.join(made)}: not set, so development secrets in {env.data_dir / 'keys'} are used.",
            hint="Production refuses to start without secrets of its own.",
            id="flxdr.W011",
        )
    if env.api_hmac_key is not None and _can_be_guessed(env.api_hmac_key):
        yield CheckWarning(
            "API_HMAC_KEY is a placeholder or can be guessed: who guesses it signs tokens of an operator.",
            hint=_generate("API_HMAC_KEY"),
            id="flxdr.W012",
        )


@register(Tags.security)
def check_coordinator_key(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """`PQC_PK_B64` must be the public half of `PQC_SK_B64`."""
    env: Env = settings.FLXDR
    if env.pqc_pk_b64 is None:
        return []
    if env.pqc_sk_b64 is None:
        return [Error("PQC_PK_B64 is set without PQC_SK_B64.", hint="Set both, or neither.", id="flxdr.E014")]
    try:
        check_public_half(PrivateKey(Algorithm.ML_DSA_65, env.pqc_sk_b64), env.pqc_pk_b64)
    except Misconfigured as error:
        return [Error(error.detail, hint=f"Expected: {error.expected}. {error.action or ''}".strip(), id="flxdr.E014")]
    return []


@register()
def check_aggregation(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """`FL_AGGREGATION_PARAMS` must fit the method that is set."""
    env: Env = settings.FLXDR
    params: dict[str, int | str] = dict(env.aggregation_params or {})
    if env.aggregation_method == registry.ROBUST:
        params[registry.ROBUST_METHOD] = env.aggregation_robust_method
    try:
        registry.build(env.aggregation_method, params)
    except MethodInvalid as error:
        return [Error(f"FL_AGGREGATION_PARAMS: {error.detail}.", hint=f"Expected: {error.expected}.", id="flxdr.E015")]
    return []


@register()
def check_telemetry(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A telemetry sink needs its address and its client."""
    env: Env = settings.FLXDR
    if env.telemetry_backend == "roma" and not (env.roma_mq_url and env.roma_mq_token):
        return [Error("TELEMETRY_BACKEND=roma needs ROMA_MQ_URL and ROMA_MQ_TOKEN.", id="flxdr.E020")]
    if env.telemetry_backend == "kafka" and find_spec("confluent_kafka") is None:
        return [
            Error(
                "TELEMETRY_BACKEND=kafka needs the package confluent-kafka, which is not installed.",
                hint="Install confluent-kafka, or set TELEMETRY_BACKEND=local.",
                id="flxdr.E021",
            )
        ]
    if env.telemetry_backend == "kafka":
        from flxdr.platform.telemetry.sinks.kafka import check_properties  # noqa: PLC0415 - needs the package

        try:
            check_properties(env.telemetry_kafka_properties or {})
        except Misconfigured as error:
            return [Error(error.detail, id="flxdr.E027")]
    if env.telemetry_backend == "roma" and env.is_production and not (env.roma_mq_url or "").startswith("https://"):
        return [
            Error(
                "ROMA_MQ_URL is no https:// address, and FL_ENV=production: it would show the token.", id="flxdr.E028"
            )
        ]
    return []


@register()
def check_notifications(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A channel to operators needs all of its parts; half a channel would tell nobody and say so nowhere."""
    env: Env = settings.FLXDR
    return list(_channel_problems(env))


def _channel_problems(env: Env) -> Iterator[CheckMessage]:
    email = {
        "FL_NOTIFY_EMAIL": env.notify_email,
        "FL_NOTIFY_SMTP_URL": env.notify_smtp_url,
        "FL_NOTIFY_FROM": env.notify_from,
    }
    webhook = {
        "FL_NOTIFY_WEBHOOK_URL": env.notify_webhook_url,
        "FL_NOTIFY_WEBHOOK_SECRET": env.notify_webhook_secret,
    }
    for number, parts in (("E022", email), ("E023", webhook)):
        missing = [name for name, value in parts.items() if not value]
        if 0 < len(missing) < len(parts):
            yield Error(
                f"{' and '.join(missing)} not set, where {' and '.join(sorted(parts.keys() - missing))} is.",
                hint="Set all of them, or none.",
                id=f"flxdr.{number}",
            )
    if not env.is_production:
        return
    if env.notify_webhook_url and not env.notify_webhook_url.startswith("https://"):
        yield Error("FL_NOTIFY_WEBHOOK_URL is no https:// address, and FL_ENV=production.", id="flxdr.E024")
    if env.notify_webhook_secret and _can_be_guessed(env.notify_webhook_secret):
        yield Error(
            "FL_NOTIFY_WEBHOOK_SECRET can be guessed: who guesses it signs notifications.",
            hint=_generate("FL_NOTIFY_WEBHOOK_SECRET"),
            id="flxdr.E025",
        )
    if env.notify_smtp_url and env.notify_smtp_url.startswith("smtp://") and "@" in env.notify_smtp_url:
        yield Error(
            "FL_NOTIFY_SMTP_URL would send its password in the clear, and FL_ENV=production.",
            hint="Use smtps:// (TLS from the start) or submission:// (STARTTLS).",
            id="flxdr.E026",
        )


@register(Tags.security)
def check_single_sign_on(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Single sign-on needs all of its parts; half of it would let nobody in and say so to operators alone."""
    env: Env = settings.FLXDR
    parts = {
        "FL_OIDC_ISSUER": env.oidc_issuer,
        "FL_OIDC_CLIENT_ID": env.oidc_client_id,
        "FL_OIDC_CLIENT_SECRET": env.oidc_client_secret,
        "FL_OIDC_ROLES": env.oidc_roles,
    }
    missing = [name for name, value in parts.items() if not value]
    if 0 < len(missing) < len(parts):
        return [
            Error(
                f"{' and '.join(missing)} not set, where {' and '.join(sorted(parts.keys() - missing))} is.",
                hint="Set all of them, or none.",
                id="flxdr.E040",
            )
        ]
    if env.is_production and env.oidc_issuer and not env.oidc_issuer.startswith("https://"):
        return [Error("FL_OIDC_ISSUER is no https:// address, and FL_ENV=production.", id="flxdr.E041")]
    return []


@register()
def check_object_store(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A bucket is named before anything else about it, and its key has two halves."""
    env: Env = settings.FLXDR
    return list(_bucket_problems(env))


def _bucket_problems(env: Env) -> Iterator[CheckMessage]:
    key = {
        "FL_BLOBS_S3_ACCESS_KEY_ID": env.blobs_s3_access_key_id,
        "FL_BLOBS_S3_SECRET_ACCESS_KEY": env.blobs_s3_secret_access_key,
    }
    others = {
        "FL_BLOBS_S3_ENDPOINT": env.blobs_s3_endpoint,
        "FL_BLOBS_S3_REGION": env.blobs_s3_region,
        "FL_BLOBS_S3_PREFIX": env.blobs_s3_prefix,
        **key,
    }
    if env.blobs_s3_bucket is None and any(others.values()):
        yield Error(
            f"{', '.join(name for name, value in others.items() if value)} set without FL_BLOBS_S3_BUCKET.",
            hint="Name the bucket, or remove the others: files would stay in FL_DATA_DIR.",
            id="flxdr.E050",
        )
    if len([value for value in key.values() if value]) == 1:
        yield Error(f"One of {' and '.join(key)} is set alone.", hint="Set both, or neither.", id="flxdr.E051")
    endpoint = urlsplit(env.blobs_s3_endpoint or "")
    if env.is_production and endpoint.scheme == "http" and not is_loopback(endpoint.hostname or ""):
        yield Error("FL_BLOBS_S3_ENDPOINT is no https:// address, and FL_ENV=production.", id="flxdr.E052")


@register()
def check_unknown_variables(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A misspelt variable would silently leave its default in force."""
    known = {declared.name for declared in variables_of(Env).values()}
    known |= {f"{declared.name}_FILE" for declared in variables_of(Env).values() if declared.secret}
    return [
        CheckWarning(
            f"{name} is set and unknown.",
            hint="".join(f"Did you mean {match}?" for match in difflib.get_close_matches(name, known, n=1)) or None,
            id="flxdr.W001",
        )
        for name in sorted(os.environ)
        if name.startswith(("FL_", "JARVIS_", "PQC_", "TELEMETRY_", "ROMA_")) and name not in known
    ]


def refuse_to_boot_misconfigured() -> None:
    """Run the checks where Django's commands do not: in the web process and in the workers.

    Raises:
        Misconfigured: naming every error.
    """
    errors = []
    for message in run_checks():
        if message.is_serious():
            errors.append(str(message))
        else:
            _log.warning(message.msg, check=message.id, hint=message.hint)
    if errors:
        raise Misconfigured("the configuration is refused:\n" + "\n".join(errors))
