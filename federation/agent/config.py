"""The agent's configuration: one TOML file in its home, parsed strictly."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import orjson

from federation.agent.errors import HomeInvalid
from federation.protection.registry import PROTECTIONS
from models_ml.validation import TOLERANCE

DEFAULT_MODELS = ("edge-normaliser", "edge-classifier", "tgnn", "rl-policy")
ORG_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}\Z")

ReleasePolicy = Literal["auto", "manual"]
AdmissionPolicy = Literal["auto", "pinned", "manual"]
StatementPolicy = Literal["auto", "manual"]
PrivacyUnit = Literal["none", "organization", "record"]

_PositiveInt = Annotated[int, msgspec.Meta(gt=0)]
_Fraction = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
_Probability = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
_NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
_PositiveFloat = Annotated[float, msgspec.Meta(gt=0.0)]


class CoordinatorSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the coordinator is and how its transport is secured; empty paths mean the system's defaults."""

    url: str
    ca_file: str = ""
    client_certificate: str = ""
    client_key: str = ""


class DataSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Flow records that this organisation trains on, and what it knows beside them."""

    paths: tuple[str, ...] = ()
    format: str = "auto"
    assumed_rate: _NotNegative = 0.0
    threat_intel: tuple[str, ...] = ()
    host_embeddings: str = ""


class PolicySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the agent decides by itself, and for which models it trains."""

    releases: ReleasePolicy = "auto"
    admissions: AdmissionPolicy = "manual"
    statements: StatementPolicy = "auto"
    tolerance: _Fraction = TOLERANCE
    models: tuple[str, ...] = DEFAULT_MODELS
    protections: tuple[str, ...] = tuple(PROTECTIONS)


class LimitsSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local bounds on what a round may ask of this machine."""

    max_epochs: _PositiveInt = 100
    max_batch_size: _PositiveInt = 65536
    max_learning_rate: _PositiveFloat = 1.0
    max_model_bytes: _PositiveInt = 256 * 1024 * 1024


class PrivacySection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this organisation's records may be spent on in all, whatever the coordinator's budget is."""

    epsilon: _PositiveFloat = 10.0
    delta: _Probability = 1e-5
    units: tuple[PrivacyUnit, ...] = ("none", "organization", "record")


class DetectionSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `flxdr-agent detect` knows of this organisation's hosts."""

    crown_jewels: tuple[str, ...] = ()


class ResponseSection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What this organisation shares of the response policy."""

    personal_heads: bool = False


class AgentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that an operator of the agent may set."""

    org_id: str
    name: str
    coordinator: CoordinatorSection
    data: DataSection = DataSection()
    policy: PolicySection = PolicySection()
    limits: LimitsSection = LimitsSection()
    privacy: PrivacySection = PrivacySection()
    detection: DetectionSection = DetectionSection()
    response: ResponseSection = ResponseSection()


def parse(text: bytes, *, where: str = "agent.toml") -> AgentConfig:
    """Read a configuration.

    Raises:
        HomeInvalid: not TOML, an unknown or missing name, a value out of bounds, or an `org_id` or URL of another form.
    """
    try:
        config = msgspec.toml.decode(text, type=AgentConfig)
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise HomeInvalid(
            f"{where}: {error}", action="Correct the file; `flxdr-agent init` writes a valid one."
        ) from error
    check(config, where=where)
    return config


def check(config: AgentConfig, *, where: str = "agent.toml") -> None:
    """Refuse values whose form the types do not express.

    Raises:
        HomeInvalid: with what was expected.
    """
    if not ORG_ID.match(config.org_id):
        raise HomeInvalid(
            f"{where}: org_id {config.org_id!r} has another form",
            expected="1 to 64 of a-z 0-9 _ -, the first a letter or digit",
        )
    name = unicodedata.normalize("NFC", config.name).strip()
    if not name or name != config.name or not name.isprintable():
        raise HomeInvalid(f"{where}: name {config.name!r} has another form", expected="printable text in NFC")
    if not re.match(r"https?://[^/\s]+", config.coordinator.url):
        raise HomeInvalid(
            f"{where}: coordinator url {config.coordinator.url!r} has another form",
            expected="http://HOST or https://HOST",
        )
    unknown = sorted(set(config.policy.protections) - PROTECTIONS.keys())
    if unknown or not config.policy.protections:
        raise HomeInvalid(
            f"{where}: protections names {', '.join(unknown) or 'nothing'}",
            expected=f"some of {', '.join(PROTECTIONS)}",
        )
    if bool(config.coordinator.client_certificate) != bool(config.coordinator.client_key):
        raise HomeInvalid(f"{where}: client_certificate and client_key go together", expected="both, or neither")


def load(path: Path) -> AgentConfig:
    """Read the configuration file at `path`.

    Raises:
        HomeInvalid: it is missing, unreadable or invalid.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise HomeInvalid(
            f"{path} cannot be read: {error.strerror}", action="Run `flxdr-agent init` first, or name its --home."
        ) from error
    return parse(text, where=str(path))


def render(config: AgentConfig) -> str:
    """The configuration as commented TOML (JSON strings and lists of strings are TOML)."""

    def text(value: object) -> str:
        return orjson.dumps(value).decode()

    coordinator, data, policy, limits = config.coordinator, config.data, config.policy, config.limits
    privacy = config.privacy
    return f"""\
org_id = {text(config.org_id)}
name = {text(config.name)}

[coordinator]
url = {text(coordinator.url)}
# PEM files; empty: the system's certificate store, no client certificate.
ca_file = {text(coordinator.ca_file)}
client_certificate = {text(coordinator.client_certificate)}
client_key = {text(coordinator.client_key)}

[data]
# Flow records that stay here. format: auto, or what `models_ml.adapters` names.
paths = {text(list(data.paths))}
format = {text(data.format)}
# Records a second, in the order of the file, for NetFlow files that carry no times; 0: such files are refused.
assumed_rate = {data.assumed_rate!r}
# STIX 2.1 bundles: flows to or from the addresses that their indicators name are reported as such. No model sees it.
threat_intel = {text(list(data.threat_intel))}
# .npz or .safetensors with 128 numbers a host: alerts name the hosts that behave most like theirs. No model sees it.
host_embeddings = {text(data.host_embeddings)}

[policy]
# auto: vote after the checks; manual: only `flxdr-agent approve` and `reject` vote.
releases = {text(policy.releases)}
# pinned: approve the key ids listed in the file `peers` of this folder, one a line.
admissions = {text(policy.admissions)}
# auto: attest each new release (own update, scores on own records); manual: only `flxdr-agent attest` does.
statements = {text(policy.statements)}
# How far a release may score below its parent on local validation (scores run from 0 to 1).
tolerance = {policy.tolerance!r}
models = {text(list(policy.models))}
# Take part in rounds with these protections only; without "plain" no update leaves here in the clear.
protections = {text(list(policy.protections))}

[limits]
# Bounds on what a round may ask of this machine.
max_epochs = {limits.max_epochs}
max_batch_size = {limits.max_batch_size}
max_learning_rate = {limits.max_learning_rate!r}
max_model_bytes = {limits.max_model_bytes}

[privacy]
# What the noise of all rounds may cost these records, by the agent's own account (`flxdr-agent privacy budget`).
epsilon = {privacy.epsilon!r}
delta = {privacy.delta!r}
# What a round's noise has to protect for this agent to take part; strike "none" to refuse rounds without noise.
units = {text(list(privacy.units))}

[detection]
# Addresses, as the flow records write them, of hosts from which nothing is taken before somebody was asked.
crown_jewels = {text(list(config.detection.crown_jewels))}

[response]
# true: share the trunk of the response policy alone; both heads, and the habits in them, are trained and kept here.
personal_heads = {text(config.response.personal_heads)}
"""
