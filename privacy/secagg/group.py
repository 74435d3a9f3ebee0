"""Who masks for each other: the parties of one round, or of one bucket of it, and what they advertised."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from flxdr.core import canonical
from privacy.errors import GroupInvalid
from privacy.secagg.derivation import SECRET_BYTES, agree

FEWEST, MOST = 3, 200
"""Parties: with two, the sum gives each the other's vector; with more than 200, the complete graph gets expensive."""

_FIELD_PRIME = 2**255 - 19
_ANY_PRIVATE_KEY = b"\1" * SECRET_BYTES
"""Times a point of small order it is zero, times any other it never is: so it is with every X25519 private key."""


@dataclass(frozen=True)
class Party:
    """What an organisation advertises for one round. Its identity key signs it: that is not checked here.

    Attributes:
        mask_key: X25519 public key of the pairwise masks, 32 bytes.
        share_key: X25519 public key under which others seal their shares for it, 32 bytes.
        seed_commitment: SHA-256 commitment to the seed of its own mask, 32 bytes (`Secrets.seed_commitment`).

    Raises:
        GroupInvalid: another length, or a key that is not the only encoding of a point of large order.
    """

    org_id: str
    mask_key: bytes
    share_key: bytes
    seed_commitment: bytes

    def __post_init__(self) -> None:
        for name in ("mask_key", "share_key", "seed_commitment"):
            if len(getattr(self, name)) != SECRET_BYTES:
                raise GroupInvalid(f"{name} of {self.org_id!r}", expected=f"{SECRET_BYTES} bytes", org_id=self.org_id)
        for name in ("mask_key", "share_key"):
            if not _is_usable(getattr(self, name)):
                raise GroupInvalid(
                    f"{name} of {self.org_id!r} is no X25519 public key",
                    expected="a point of large order, its coordinate below 2^255 - 19",
                    org_id=self.org_id,
                )


@dataclass(frozen=True)
class Group:
    """Parties that mask for each other.

    Attributes:
        context: 32 bytes that no other round shares: the hash of the roster that all of them verified.
        parties: sorted by organisation; 3 to 200, no organisation and no key twice.

    Raises:
        GroupInvalid: otherwise.
    """

    context: bytes
    parties: tuple[Party, ...]

    def __post_init__(self) -> None:
        if len(self.context) != SECRET_BYTES:
            raise GroupInvalid(f"a context of {len(self.context)} bytes", expected=f"{SECRET_BYTES} bytes")
        if not FEWEST <= len(self.parties) <= MOST:
            raise GroupInvalid(f"{len(self.parties)} parties", expected=f"{FEWEST} to {MOST} organisations")
        if any(one.org_id >= other.org_id for one, other in pairwise(self.parties)):
            raise GroupInvalid("the parties are out of order", expected="sorted by organisation, nobody twice")
        if len({key for party in self.parties for key in (party.mask_key, party.share_key)}) != 2 * len(self.parties):
            raise GroupInvalid("a key is advertised twice", expected="two keys for each party that nobody else has")

    @property
    def threshold(self) -> int:
        """How many parties it takes to remove the masks: more than two thirds, so that two such sets share an honest
        party as long as fewer than a third collude.
        """
        return 2 * len(self.parties) // 3 + 1

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 over context and parties. It enters every derivation, so that nothing made for one group, however
        the roster was cut into groups, means anything in another.
        """
        parties = [
            [party.org_id, party.mask_key.hex(), party.share_key.hex(), party.seed_commitment.hex()]
            for party in self.parties
        ]
        return hashlib.sha256(canonical.encode({"context": self.context.hex(), "parties": parties})).digest()

    def index_of(self, org_id: str) -> int:
        """The point at which the party's shares are evaluated: 1 to n, in the order of the parties.

        Raises:
            GroupInvalid: it is not of the group.
        """
        try:
            return self._indices[org_id]
        except KeyError:
            raise GroupInvalid(f"{org_id!r} is not of the group", expected="one of its parties") from None

    def party(self, org_id: str) -> Party:
        """What the organisation advertised.

        Raises:
            GroupInvalid: it is not of the group.
        """
        return self.parties[self.index_of(org_id) - 1]

    def subset(self, members: Collection[str], *, within: Collection[str] | None = None) -> frozenset[str]:
        """The members as a set, checked to be enough and to be parties (or among those of `within`).

        Raises:
            GroupInvalid: fewer than `threshold`, or somebody else.
        """
        chosen = frozenset(members)
        strangers = chosen - frozenset(self._indices if within is None else within)
        if strangers:
            raise GroupInvalid(
                f"{', '.join(sorted(strangers))} cannot be among them", expected="parties of the step before"
            )
        if len(chosen) < self.threshold:
            raise GroupInvalid(
                f"{len(chosen)} of {len(self.parties)} parties are left",
                expected=f"{self.threshold} or more",
                action="The round cannot be completed without giving single updates away; start another one.",
            )
        return chosen

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {party.org_id: index for index, party in enumerate(self.parties, start=1)}


def _is_usable(key: bytes) -> bool:
    """Whether the key is canonical and not of small order."""
    if int.from_bytes(key, "little") >= _FIELD_PRIME:
        return False
    try:
        agree(_ANY_PRIVATE_KEY, key)
    except ValueError:
        return False
    return True
