"""What must hold at the end of a demo, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flxdr.demo.coordinator import SealedBlock
from flxdr.demo.detections import Detections

REAL_MARGIN = 0.15


@dataclass(frozen=True)
class Check:
    """Something that must hold, whether it does, and what was seen."""

    name: str
    holds: bool
    evidence: str


def gain(federated: float, local_mean: float, *, real: bool) -> Check:
    """The federation beats the mean organisation: by 0.15 macro-binary F1 on real records, at all on generated ones."""
    difference = federated - local_mean
    return Check(
        f"the federation gains {'at least 0.15' if real else 'something'} over working alone",
        difference >= REAL_MARGIN if real else difference > 0,
        f"macro-binary F1 {federated:.3f} against {local_mean:.3f} on average ({difference:+.3f})",
    )


def chain(answer: Mapping[str, Any]) -> Check:
    """`verify_chain` passed over the whole chain."""
    bad = answer.get("first_bad")
    return Check(
        "the chain verifies",
        bool(answer["chain_valid"]),
        f"{answer['blocks_verified']} blocks, head {str(answer['last_block_hash'])[:16]}" if not bad else str(bad),
    )


def quorum(blocks: Sequence[SealedBlock], round_ids: Sequence[str]) -> Check:
    """Every round has one release, approved by more than two thirds of the organisations that trained it."""
    releases = [
        (block.header.provenance, block.approved_by)
        for block in blocks
        if block.header.provenance is not None and block.header.provenance.round_id in round_ids
    ]
    counts = [
        (len(approved_by & set(provenance.training_orgs)), len(provenance.training_orgs))
        for provenance, approved_by in releases
    ]
    return Check(
        "every release is approved by more than two thirds of its organisations",
        sorted(provenance.round_id for provenance, _ in releases) == sorted(round_ids)
        and all(3 * approved > 2 * voters for approved, voters in counts),
        f"{len(counts)} releases for {len(round_ids)} rounds; approvals "
        + " ".join(f"{approved}/{voters}" for approved, voters in counts),
    )


def vouched(detections: Sequence[Detections], released: Mapping[str, Any]) -> Check:
    """There are alerts, and every one names the newest released model, its block, and an advised response."""
    alerts = [alert for each in detections for alert in each.alerts]
    named = [
        alert
        for alert in alerts
        if alert["model"]["hash"] == released["model_hash"]
        and alert["model"]["block_height"] == released["block_height"]
        and alert["recommendation"]["action"]
    ]
    return Check(
        "every alert names the released model, the block that vouches for it, and an advised response",
        bool(alerts) and len(named) == len(alerts),
        f"{len(named)} of {len(alerts)} alerts, model {str(released['model_hash'])[:16]}, "
        f"block {released['block_height']}",
    )
