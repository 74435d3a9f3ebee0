"""Shared detections: the page, and the same as STIX."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import ledger.selectors
from federation.detections.facts import Facts, Stated
from federation.detections.reports import Report
from federation.models import SharedDetection
from flxdr.core.clock import format_timestamp
from flxdr.core.dsse import encode_base64


def detections_page(*, limit: int, offset: int) -> dict[str, Any]:
    """Shared detections, newest first."""
    rows = SharedDetection.objects.select_related("organization")
    return {
        "detections": [detection_entry(row) for row in rows[offset : offset + limit]],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


def detections_bundle(*, limit: int, offset: int) -> str:
    """The same page as a STIX 2.1 bundle: who saw which technique how often, and what it recommends."""
    return bundle_of(SharedDetection.objects.select_related("organization")[offset : offset + limit])


def bundle_of(rows: Iterable[SharedDetection]) -> str:
    """Detections as a STIX 2.1 bundle; the rows come with their organisations."""
    from federation.detections import stix  # noqa: PLC0415 - its library takes 0.3 s to import

    reports = [_report(row) for row in rows]
    return stix.bundle(reports, scope=ledger.selectors.chain_id(), marking=stix.MEMBERS_ONLY)


def detection_entry(row: SharedDetection) -> dict[str, Any]:
    """One detection, with the statement and the signature by which a reader can check it."""
    facts = _facts(row)
    return {
        "alert_id": row.alert_id,
        "org_id": row.organization.org_id,
        "received_at": format_timestamp(row.received_at),
        "family": facts.family,
        "technique": facts.technique,
        "score": facts.score_ppm / 1_000_000,
        "flows": facts.flows,
        "destinations": facts.destinations,
        "services": list(facts.services),
        "first_seen": facts.first_seen,
        "last_seen": facts.last_seen,
        "action": facts.action,
        "model_name": facts.model_name,
        "model_hash": facts.model_hash,
        "block_height": facts.block_height,
        "note": facts.note,
        "statement": encode_base64(bytes(row.statement)),
        "key_id": row.key_id,
        "signature": encode_base64(bytes(row.signature)),
    }


def _report(row: SharedDetection) -> Report:
    facts = _facts(row)
    return Report(
        alert_id=row.alert_id,
        org_id=row.organization.org_id,
        org_name=row.organization.name,
        family=facts.family,
        score=facts.score_ppm / 1_000_000,
        flows=facts.flows,
        destinations=facts.destinations,
        services=facts.services,
        first_seen=row.first_seen,
        last_seen=row.last_seen,
        reported_at=row.received_at,
        model_name=facts.model_name,
        model_hash=facts.model_hash,
        block_height=facts.block_height,
        recommendation=facts.action,
        reason=facts.note,
    )


def _facts(row: SharedDetection) -> Facts:
    return Stated.parse(bytes(row.statement)).facts
