"""Keys and secrets."""

from __future__ import annotations

from dataclasses import dataclass

from flxdr.core.keys import SEED_BYTES
from flxdr.platform.configuration import base64_bytes, matching, text, variable

GROUP = "Keys and secrets"


@dataclass(frozen=True)
class Secrets:
    """The group *Keys and secrets*."""

    secret_key: str | None = variable(
        "SECRET_KEY",
        text(),
        "",
        "Django's secret for sessions; required in production. In development one is made in `FL_DATA_DIR/keys`",
        group=GROUP,
        secret=True,
    )
    api_hmac_key: str | None = variable(
        "API_HMAC_KEY",
        text(),
        "",
        "shared secret of HS256 tokens; required in production. Unset: such tokens are refused",
        group=GROUP,
        secret=True,
    )
    pqc_sk_b64: bytes | None = variable(
        "PQC_SK_B64",
        base64_bytes(SEED_BYTES),
        "",
        "the coordinator's ML-DSA-65 key: base64 of its 32-byte seed. Unset: made once in `FL_DATA_DIR/keys`",
        group=GROUP,
        secret=True,
    )
    pqc_next_sk_b64: bytes | None = variable(
        "PQC_NEXT_SK_B64",
        base64_bytes(SEED_BYTES),
        "",
        "the key that `rotate_coordinator_key` puts in the place of `PQC_SK_B64`, used once the chain records it. "
        "Unset: the command makes one in `FL_DATA_DIR/keys`",
        group=GROUP,
        secret=True,
    )
    metrics_token: str | None = variable(
        "FL_METRICS_TOKEN",
        matching(r"[A-Za-z0-9._~+/-]+=*", "a bearer token: letters, digits and -._~+/"),
        "",
        "bearer token of whoever scrapes `/metrics`. Unset: in development programs on this machine read it, in "
        "production nobody does",
        group=GROUP,
        secret=True,
    )
    pqc_pk_b64: bytes | None = variable(
        "PQC_PK_B64",
        base64_bytes(),
        "",
        "the public half: base64 of the DER SubjectPublicKeyInfo; must belong to `PQC_SK_B64`",
        group=GROUP,
        secret=True,
    )
