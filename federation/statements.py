"""What organisations sign besides blocks: registrations, submissions, what masked rounds ask for, and detections.

Both sides build the same canonical bytes from the same facts; nobody parses a statement to learn something that it did
not already know. They are signed as DSSE (`flxdr.core.dsse`). Pure: the agent builds, the coordinator compares.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from federation.errors import MetricsInvalid, StatementMalformed
from federation.round_config import RoundConfig
from flxdr.core import canonical

VERSION = 1
PPM = 1_000_000
MAX_METRIC = 1e9


def registration(*, org_id: str, org_name: str, key_id: str, chain_id: str) -> bytes:
    """Canonical bytes by which an organisation proves that it holds the key it registers."""
    return canonical.encode(
        {"v": VERSION, "org_id": org_id, "org_name": org_name, "key_id": key_id, "chain_id": chain_id}
    )


def submission(
    *,
    chain_id: str,
    round_id: str,
    config_hash: str,
    org: str,
    parent_hash: str | None,
    kind: str,
    samples: int,
    privacy: Mapping[str, Any],
    wire_digest: str,
    metrics: Mapping[str, float],
    roster_hash: str | None = None,
) -> bytes:
    """Canonical bytes that bind an update's body (by its SHA-256, `wire_digest`) to one round of one chain.

    Metrics are rounded to millionths (`metrics_ppm`), because canonical bytes hold no floats. `roster_hash` names the
    roster for which a masked update was masked; other updates have none.
    """
    roster = {} if roster_hash is None else {"roster_hash": roster_hash}
    return canonical.encode(
        roster
        | {
            "v": VERSION,
            "chain_id": chain_id,
            "round_id": round_id,
            "config_hash": config_hash,
            "org": org,
            "parent_hash": parent_hash,
            "kind": kind,
            "samples": samples,
            "privacy": dict(privacy),
            "wire_digest": wire_digest,
            "metrics": metrics_ppm(metrics),
        }
    )


def advertisement(
    *,
    config: RoundConfig,
    org: str,
    samples: int,
    mask_key: bytes,
    share_key: bytes,
    seed_commitment: bytes,
    draw_commitment: str,
) -> bytes:
    """Canonical bytes by which an organisation joins a masked round: its keys for the round, bound to it."""
    return canonical.encode(
        {
            "v": VERSION,
            "chain_id": config.chain_id,
            "round_id": config.round_id,
            "config_hash": config.config_hash,
            "org": org,
            "parent_hash": config.parent_hash,
            "samples": samples,
            "privacy": dict(config.privacy),
            "mask_key": mask_key.hex(),
            "share_key": share_key.hex(),
            "seed_commitment": seed_commitment.hex(),
            "draw_commitment": draw_commitment,
        }
    )


def round_key(*, round_id: str, roster_hash: str, org: str, public: bytes, wrapped: Mapping[str, bytes]) -> bytes:
    """Canonical bytes by which an organisation hands out the Paillier key that it made for a round."""
    return canonical.encode(
        {
            "v": VERSION,
            "round_id": round_id,
            "roster_hash": roster_hash,
            "org": org,
            "public": base64.b64encode(public).decode(),
            "wrapped": {holder: base64.b64encode(key).decode() for holder, key in wrapped.items()},
        }
    )


def survivors(*, round_id: str, roster_hash: str, sharers: Iterable[str], survivors: Iterable[str]) -> bytes:
    """Canonical bytes by which an organisation confirms for whom it masked, and whose masked updates arrived."""
    return canonical.encode(
        {
            "v": VERSION,
            "round_id": round_id,
            "roster_hash": roster_hash,
            "sharers": sorted(sharers),
            "survivors": sorted(survivors),
        }
    )


def detection(*, chain_id: str, org: str, alert_id: str, facts: Mapping[str, Any]) -> bytes:
    """Canonical bytes by which an organisation tells the federation of a detection (`federation.detections.facts`)."""
    return canonical.encode({"v": VERSION, "chain_id": chain_id, "org": org, "alert_id": alert_id, **facts})


def metrics_ppm(metrics: Mapping[str, float]) -> dict[str, int]:
    """Metrics in millionths, rounded to the nearest (ties to even).

    Raises:
        MetricsInvalid: a value that is not finite or beyond +-1e9.
    """
    scaled: dict[str, int] = {}
    for name, value in metrics.items():
        if not math.isfinite(value) or abs(value) > MAX_METRIC:
            raise MetricsInvalid(f"metric {name!r} is {value}", expected="a finite number within +-1e9")
        scaled[name] = round(value * PPM)
    return scaled


@dataclass(frozen=True)
class Envelope:
    """A submission statement with the signature that came with it; no signature from organisations without a key."""

    statement: bytes
    key_id: str | None = None
    signature: bytes | None = None

    def compact(self) -> str:
        """The value of the `Submission-Statement` header: `statement[.key_id.signature]`, base64url without padding."""
        if self.key_id is None or self.signature is None:
            return _to_base64url(self.statement)
        return f"{_to_base64url(self.statement)}.{self.key_id}.{_to_base64url(self.signature)}"

    @classmethod
    def from_compact(cls, text: str) -> Envelope:
        """Read a `Submission-Statement` header.

        Raises:
            StatementMalformed: not one or three parts, or not base64url.
        """
        parts = text.strip().split(".")
        if len(parts) == 1:
            return cls(_from_base64url(parts[0]))
        if len(parts) != 3:
            raise StatementMalformed(
                f"the header has {len(parts)} parts",
                expected="base64url(statement), or base64url(statement).key_id.base64url(signature)",
            )
        return cls(_from_base64url(parts[0]), parts[1], _from_base64url(parts[2]))

    def fields(self) -> dict[str, Any]:
        """The statement as an object.

        Raises:
            StatementMalformed: not a canonical object.
        """
        try:
            fields = canonical.decode(self.statement)
        except canonical.NotCanonical as error:
            raise StatementMalformed(f"the statement is not canonical: {error.detail}") from error
        if not isinstance(fields, dict):
            raise StatementMalformed("the statement is no object")
        return fields


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64url(text: str) -> bytes:
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise StatementMalformed("a part of the header is not base64url") from error
    if _to_base64url(data) != text:
        raise StatementMalformed("a part of the header is base64url in another spelling", expected="no padding")
    return data
