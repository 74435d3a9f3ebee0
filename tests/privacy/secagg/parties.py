"""A whole secure aggregation in memory: every party's secrets, the messages, and who drops out at which step."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from privacy.secagg import client, masks, ring
from privacy.secagg.group import Group, Party
from privacy.secagg.masks import Words
from privacy.secagg.secrets import Secrets
from privacy.secagg.server import Remaining, remaining_seeds
from privacy.secagg.shares import UnmaskShares

CONTEXT = hashlib.sha256(b"a roster").digest()


def party(org_id: str, secrets: Secrets) -> Party:
    """What an organisation with these secrets advertises."""
    return Party(org_id, secrets.mask_key, secrets.share_key, secrets.seed_commitment)


@dataclass
class Federation:
    """Parties `org-000`, `org-001`, ... of one group, with seeds that are the same in every run."""

    count: int
    context: bytes = CONTEXT
    label: str = ""
    secrets: dict[str, Secrets] = field(init=False)
    group: Group = field(init=False)
    sealed: dict[str, dict[str, bytes]] = field(init=False)

    def __post_init__(self) -> None:
        names = [f"org-{number:03}" for number in range(self.count)]
        self.secrets = {
            name: Secrets.from_seed(hashlib.sha256(f"{self.label}{name}".encode()).digest()) for name in names
        }
        self.group = Group(self.context, tuple(party(name, self.secrets[name]) for name in names))
        self.sealed = {name: client.seal_shares(self.secrets[name], name, self.group) for name in names}

    @property
    def names(self) -> list[str]:
        return list(self.secrets)

    def received(self, org_id: str, sharers: Collection[str]) -> dict[str, bytes]:
        """What the other sharers sealed for one party."""
        return {sender: self.sealed[sender][org_id] for sender in sharers if sender != org_id}

    def masked(self, org_id: str, vector: Words, sharers: Collection[str]) -> Words:
        """The vector as the party sends it."""
        words = vector.copy()
        masks.add(words, client.mask_seeds(self.secrets[org_id], org_id, self.group, sharers))
        return words

    def response(self, org_id: str, sharers: Collection[str], survivors: Collection[str]) -> UnmaskShares:
        received = self.received(org_id, sharers)
        return client.unmask(self.secrets[org_id], org_id, self.group, received, sharers=sharers, survivors=survivors)

    def remaining(self, sharers: Collection[str], survivors: Collection[str], responders: Collection[str]) -> Remaining:
        responses = {name: self.response(name, sharers, survivors) for name in responders}
        return remaining_seeds(self.group, sharers, survivors, responses)

    def sum(
        self,
        values: Mapping[str, NDArray[np.int64]],
        bits: int,
        *,
        sharers: Collection[str],
        survivors: Collection[str],
        responders: Collection[str],
    ) -> NDArray[np.int64]:
        """The sum over the survivors as the coordinator finds it."""
        vectors = [self.masked(name, ring.to_ring(values[name], bits), sharers) for name in survivors]
        total = sum(vectors[1:], start=vectors[0])
        masks.subtract(total, self.remaining(sharers, survivors, responders).seeds)
        return ring.from_ring(total)
