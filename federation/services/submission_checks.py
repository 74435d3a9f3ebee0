"""What is checked of a submission beside its values: counts, metrics, privacy, statement and signature."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from federation import statements
from federation.aggregation.fixed_point import MAX_TOTAL_WEIGHT
from federation.errors import (
    MetricsInvalid,
    PrivacyMismatch,
    PrivacyRequired,
    SamplesInvalid,
    SignatureRequired,
    StatementMismatch,
    UnknownKey,
)
from federation.round_config import RoundConfig
from federation.services.received import ReceivedUpdate
from flxdr.core import canonical, dsse
from flxdr.core.keys import PublicKey
from privacy.sanitize.metadata import identifiers_in_name

MAX_SAMPLES = 2**31
MAX_METRICS = 32
RATIOS = frozenset(
    {"accuracy", "precision", "recall", "f1", "macro_binary_f1", "average_precision", "auc", "sanitization_rate"}
)
UNPROTECTED: Mapping[str, Any] = {"mechanism": "none"}
_METRIC = re.compile(r"[a-z][a-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True)
class Signed:
    """The statement that goes on record with a submission; empty where there was none."""

    statement: bytes = b""
    signature: bytes = b""
    key_id: str = ""


def check_samples(samples: int, config: RoundConfig) -> int:
    """A sample count with which no weighted sum of the round can overflow.

    Raises:
        SamplesInvalid
    """
    limit = MAX_SAMPLES if config.weighting == "equal" else min(MAX_SAMPLES, MAX_TOTAL_WEIGHT // config.n_max)
    if isinstance(samples, bool) or not isinstance(samples, int) or not 1 <= samples <= limit:
        raise SamplesInvalid(f"samples_seen is {samples!r}", expected=f"an integer from 1 to {limit}", limit=limit)
    return samples


def check_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Reported metrics with bounded names, number and values.

    Raises:
        MetricsInvalid
    """
    if len(metrics) > MAX_METRICS:
        raise MetricsInvalid(f"{len(metrics)} metrics", expected=f"at most {MAX_METRICS}")
    for name, value in metrics.items():
        if not _METRIC.match(name):
            raise MetricsInvalid(
                f"{name[:80]!r} cannot name a metric", expected="1 to 64 of a-z 0-9 _ . -, the first a letter"
            )
        if kinds := identifiers_in_name(name):
            raise MetricsInvalid(
                f"the name of a metric holds an identifier ({', '.join(sorted(kinds))})",
                expected="names that say what is measured, and nothing about people, hosts or files",
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise MetricsInvalid(f"metric {name!r} is no number", expected="a finite number")
        if name in RATIOS and not 0 <= value <= 1:
            raise MetricsInvalid(f"metric {name!r} is {value}", expected="a ratio from 0 to 1", metric=name)
    return {name: scaled / statements.PPM for name, scaled in statements.metrics_ppm(metrics).items()}


def check_privacy(declared: Mapping[str, Any], config: RoundConfig) -> dict[str, Any]:
    """The declared mechanism: the round's, or none where that is allowed (and then shown as unprotected).

    Raises:
        PrivacyRequired: none is declared and the coordinator requires one.
        PrivacyMismatch: another one is declared.
    """
    mechanism = dict(declared or UNPROTECTED)
    if mechanism == UNPROTECTED:
        if settings.FLXDR.privacy_required:
            raise PrivacyRequired(
                "the submission declares no privacy mechanism",
                expected="the round's mechanism, because FL_PRIVACY_REQUIRED is set",
                round_privacy=dict(config.privacy),
            )
    elif mechanism != dict(config.privacy):
        raise PrivacyMismatch(
            "the declared privacy parameters are not the round's",
            expected="the parameters of the round's configuration",
            round_privacy=dict(config.privacy),
        )
    return mechanism


def check_statement(
    received: ReceivedUpdate, config: RoundConfig, config_hash: str, keys: Sequence[PublicKey]
) -> Signed:
    """The statement is about exactly this submission and this round, and signed by the organisation's proven key.

    No statement at all is recorded as unsigned (JSON only: the API asks for one beside tensor files). A statement
    without a signature is accepted only from organisations without a proven key.

    Args:
        keys: those that the organisation proved.

    Raises:
        StatementMalformed, StatementMismatch, SignatureRequired, UnknownKey, SignatureInvalid
    """
    if received.statement is None:
        return Signed()
    _compare(received, config, config_hash)
    if received.signature is None or received.key_id is None:
        if keys:
            raise SignatureRequired(
                f"the statement of {received.org_id} is not signed",
                expected="a signature by the organization's registered key",
            )
        return Signed(received.statement)
    for key in keys:
        if key.key_id == received.key_id:
            dsse.verify(key, received.signature, dsse.SUBMISSION_TYPE, received.statement)
            return Signed(received.statement, received.signature, received.key_id)
    raise UnknownKey(
        f"{received.key_id[:80]!r} is no proven key of {received.org_id}",
        expected="the key id (SHA-256 of the SubjectPublicKeyInfo) of the registered key",
    )


def _compare(received: ReceivedUpdate, config: RoundConfig, config_hash: str) -> None:
    assert received.statement is not None
    expected = canonical.decode(
        statements.submission(
            chain_id=config.chain_id,
            round_id=config.round_id,
            config_hash=config_hash,
            org=received.org_id,
            parent_hash=config.parent_hash,
            kind=received.kind,
            samples=received.samples,
            privacy=received.privacy,
            wire_digest=received.wire_digest,
            metrics=received.metrics,
            roster_hash=received.roster_hash,
        )
    )
    stated = statements.Envelope(received.statement).fields()
    for name in sorted(expected.keys() | stated.keys()):
        if name not in stated or name not in expected or stated[name] != expected[name]:
            raise StatementMismatch(
                f"the statement's {name} is not that of the submission",
                expected=f"{name} = {expected.get(name)!r}",
                field=name,
                stated=stated.get(name),
            )
