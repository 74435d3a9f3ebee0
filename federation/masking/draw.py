"""The draw of a bucketed round: everybody commits to a number, and opens it when all commitments are known.

Buckets are drawn from all numbers at once, so whoever joins last, even with the coordinator's help, cannot choose its
neighbours by trying keys: its own number was fixed before it saw the others'. All that is left to it is to keep its
number back, which costs it its place.
"""

from __future__ import annotations

import hashlib

from privacy.secagg.derivation import derive


def nonce_of(seed: bytes) -> bytes:
    """An organisation's number for a round, 32 bytes, from the seed of its secrets."""
    return derive(seed, "draw")


def commitment(nonce: bytes) -> str:
    """What is advertised of a number, lower-case hex; hiding because numbers are uniform."""
    return hashlib.sha256(b"flxdr masked rounds v1 draw\0" + nonce).hexdigest()
