"""Everything secret of one party in one round, derived from one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from privacy.errors import PrivacyParameterInvalid
from privacy.secagg.derivation import SECRET_BYTES, derive, public_key
from privacy.secagg.group import Group


@dataclass(frozen=True, repr=False, eq=False)
class Secrets:
    """A party's secrets. Who keeps the seed makes the same bytes again after a crash; a seed serves one round only.

    Attributes:
        mask_private: X25519 private key of the pairwise masks.
        share_private: X25519 private key under which shares for this party are opened.
        self_seed: seed of the party's own mask.
        sharing_seed: seed of what makes its shares random.
    """

    mask_private: bytes
    share_private: bytes
    self_seed: bytes
    sharing_seed: bytes

    @classmethod
    def from_seed(cls, seed: bytes) -> Secrets:
        """The secrets of a seed from the operating system (`os.urandom`), new for every round.

        Raises:
            PrivacyParameterInvalid: not 32 bytes.
        """
        if len(seed) != SECRET_BYTES:
            raise PrivacyParameterInvalid(f"a seed of {len(seed)} bytes", expected=f"{SECRET_BYTES} random bytes")
        return cls(*(derive(seed, label) for label in ("mask key", "share key", "self seed", "sharing")))

    @cached_property
    def mask_key(self) -> bytes:
        """Public key of the pairwise masks."""
        return public_key(self.mask_private)

    @cached_property
    def share_key(self) -> bytes:
        """Public key under which others seal shares for this party."""
        return public_key(self.share_private)

    @property
    def seed_commitment(self) -> bytes:
        """Binds the party to the seed of its own mask."""
        return commitment(self.self_seed)

    def first_shares(self, of: str, group: Group) -> Sequence[int]:
        """The shares of one secret for the first threshold - 1 parties: uniform, and other ones in every group."""
        seed = derive(self.sharing_seed, of, group.digest)
        data = hashlib.shake_256(seed).digest((group.threshold - 1) * SECRET_BYTES)
        return [int.from_bytes(data[at : at + SECRET_BYTES], "big") for at in range(0, len(data), SECRET_BYTES)]


def commitment(self_seed: bytes) -> bytes:
    """SHA-256 commitment to the seed of a party's own mask; hiding because the seed is uniform."""
    return hashlib.sha256(b"flxdr secure aggregation v1 self seed\0" + self_seed).digest()
