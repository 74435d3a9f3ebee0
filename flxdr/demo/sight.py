"""What the demo's coordinator holds of the last round's updates: looked up in its own database and files."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from flxdr.platform.storage.folder import FolderStore

_NEWEST = """
SELECT organization.org_id, submission.update_digest
FROM federation_submission AS submission
JOIN federation_organization AS organization ON organization.id = submission.organization_id
JOIN federation_traininground AS round ON round.id = submission.training_round_id
WHERE round.round_id = ? ORDER BY organization.org_id
"""


@dataclass(frozen=True)
class HeldUpdate:
    """An update as the coordinator stored it, and how much a byte of it tells: 8 bits a byte is noise to its reader."""

    org_id: str
    size: int
    bits_per_byte: float


def held_updates(coordinator: Path, round_id: str) -> Sequence[HeldUpdate]:
    """What the data folder of an embedded coordinator holds of a round's updates."""
    with closing(sqlite3.connect(f"file:{coordinator / 'fl_blockchain.db'}?mode=ro", uri=True)) as database:
        rows = database.execute(_NEWEST, (round_id,)).fetchall()
    found = []
    for org_id, digest in rows:
        data = FolderStore(coordinator / "blobs").path(digest).read_bytes()
        found.append(HeldUpdate(org_id, len(data), entropy(data)))
    return found


def entropy(data: bytes) -> float:
    """The empirical entropy of the bytes, in bits a byte (Shannon): 8 for uniform ones."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    shares = counts[counts > 0] / len(data)
    return float(-(shares * np.log2(shares)).sum())
