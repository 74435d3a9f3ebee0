"""Detections to share: facts as an agent makes them, signed."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import connection

import ledger.selectors
from federation import statements
from federation.detections.techniques import TECHNIQUES
from federation.services.masking.messages import SignedDocument
from flxdr.core import dsse
from flxdr.core.keys import PrivateKey


def facts(**changes: Any) -> dict[str, Any]:
    """A scan, seen by a model that no block vouches for."""
    family = changes.get("family", "Scan")
    return {
        "family": family,
        "technique": TECHNIQUES.get(family, "T1046"),
        "score_ppm": 994_000,
        "flows": 1312,
        "destinations": 256,
        "services": ["tcp/23", "tcp/2323"],
        "first_seen": "2026-01-15T10:12:00.000000Z",
        "last_seen": "2026-01-15T10:21:00.000000Z",
        "action": "block_ip",
        "model_name": "edge-classifier",
        "model_hash": "9f" * 32,
        "block_height": None,
        "note": "",
    } | changes


def alert_id(name: object) -> str:
    """An alert's id, by any name."""
    return hashlib.sha256(str(name).encode()).hexdigest()[:32]


def detection(org_id: str, name: object = 1, chain_id: str | None = None, **changes: Any) -> bytes:
    """The canonical statement."""
    chain = ledger.selectors.chain_id() if chain_id is None else chain_id
    return statements.detection(chain_id=chain, org=org_id, alert_id=alert_id(name), facts=facts(**changes))


def signed_detection(key: PrivateKey, statement: bytes) -> SignedDocument:
    """The statement under the key."""
    return SignedDocument(statement, key.public.key_id, dsse.sign(key, dsse.DETECTION_TYPE, statement))


def tamper(assignment: str, *values: Any) -> None:
    """Change every shared detection as somebody with the database's password would."""
    table = "federation_shareddetection"
    on_table = f" ON {table}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only{on_table}")
        cursor.execute(f"UPDATE {table} SET {assignment}", values)
