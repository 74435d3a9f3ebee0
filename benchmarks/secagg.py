"""Secure aggregation: a party's steps against those of Flower's SecAgg+ client, and what the coordinator computes.

Everybody is in this process and messages pass by reference. Everybody is everybody's neighbour, also at Flower's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, against_peer, alone, versions
from models_ml.fixed_point import SCALE, quantise
from privacy.secagg import client, masks, ring, shamir
from privacy.secagg.group import Group, Party
from privacy.secagg.masks import Words
from privacy.secagg.secrets import Secrets
from privacy.secagg.server import remaining_seeds
from privacy.secagg.shares import UnmaskShares

PARTIES = 50
DROPPED = 10
SIZE = 1_000_000
BOUND = 2
"""Of a value, in model units: the sum of 50 then fits 32-bit words at 2^-24."""
SHARINGS = 100
"""Timed together: a single one is too short."""
SERVER_LIMIT_MS = 600
ME = "org-00"


@dataclass(frozen=True)
class Round:
    """A group whose parties have shared their secrets, and the values that each of them holds."""

    secrets: Mapping[str, Secrets]
    group: Group
    sealed: Mapping[str, Mapping[str, bytes]]
    values: NDArray[np.float32]

    @classmethod
    def begun(cls) -> Round:
        secrets = {f"org-{number:02}": Secrets.from_seed(os.urandom(32)) for number in range(PARTIES)}
        parties = [Party(name, own.mask_key, own.share_key, own.seed_commitment) for name, own in secrets.items()]
        group = Group(os.urandom(32), tuple(parties))
        sealed = {name: client.seal_shares(own, name, group) for name, own in secrets.items()}
        return cls(secrets, group, sealed, uniform())

    @property
    def bits(self) -> int:
        return ring.word_bits(BOUND * SCALE, PARTIES)

    @property
    def survivors(self) -> list[str]:
        return list(self.secrets)[DROPPED:]

    def share(self) -> None:
        """Make a party's shares of both its secrets."""
        own = self.secrets[ME]
        for of, secret in (("self seed", own.self_seed), ("mask key", own.mask_private)):
            shamir.split(int.from_bytes(secret, "big"), own.first_shares(of, self.group), PARTIES)

    def masked(self, org_id: str) -> bytes:
        """Open the others' shares, quantise and mask: what a party sends."""
        own = self.secrets[org_id]
        client.open_shares(own, org_id, self.group, self.received(org_id))
        words = ring.to_ring(quantise(self.values).astype(np.int64), self.bits)
        masks.add(words, client.mask_seeds(own, org_id, self.group, self.secrets))
        return ring.to_bytes(words)

    def response(self, org_id: str) -> UnmaskShares:
        received = self.received(org_id)
        own = self.secrets[org_id]
        return client.unmask(own, org_id, self.group, received, sharers=self.secrets, survivors=self.survivors)

    def received(self, org_id: str) -> dict[str, bytes]:
        return {sender: messages[org_id] for sender, messages in self.sealed.items() if sender != org_id}


def uniform() -> NDArray[np.float32]:
    """Values within the bound."""
    return np.random.default_rng(0).uniform(-BOUND, BOUND, SIZE).astype(np.float32)


def rows() -> list[Row]:
    """`secagg.client`, `secagg.shamir_split` and `secagg.server`."""
    begun = Round.begun()
    return [_client(begun), _sharing(begun), _server(begun)]


def _client(begun: Round) -> Row:
    from benchmarks.secagg_flower import masking  # noqa: PLC0415 (its packages are only in the benchmarks' environment)

    threads = len(os.sched_getaffinity(0))
    peer = masking(begun.values, PARTIES, begun.group.threshold)
    return against_peer(
        f"secagg.client.{PARTIES}x1e6",
        ours=lambda: lambda: begun.masked(ME),
        peer=lambda: peer,
        limit_ratio=4,
        note=f"open {PARTIES - 1} sealed shares, quantise {SIZE} float32 and add {PARTIES} masks; ours AES-256-CTR "
        f"into {begun.bits}-bit words on {threads} threads, Flower a Mersenne Twister seeded with 32 bits into int64; "
        + versions("flwr", "numpy", "cryptography"),
        repeats=5,
    )


def _sharing(begun: Round) -> Row:
    from flwr.common.secure_aggregation.crypto.shamir import create_shares  # noqa: PLC0415 (as above)

    secret, threshold = os.urandom(32), begun.group.threshold

    def ours() -> None:
        for _ in range(SHARINGS):
            begun.share()

    def peer() -> None:
        for _ in range(2):
            create_shares(secret, threshold, PARTIES)

    note = (
        f"two secrets of 32 bytes for {PARTIES} parties, threshold {threshold}, randomness included; ours (the mean of "
        f"{SHARINGS} in a row) one element modulo 2^256 + 297 a secret, Flower three of GF(2^128); "
        + versions("flwr", "pycryptodome", "cryptography")
    )
    measured = against_peer(f"secagg.shamir_split.{PARTIES}", ours=lambda: ours, peer=lambda: peer, note=note)
    assert measured.peer is not None
    each = round(measured.ours / SHARINGS, 4)
    return replace(measured, ours=each, ratio=round(measured.peer / each, 1), limit_ratio=500)


def _server(begun: Round) -> Row:
    total = masked_sum(begun)
    responses = {name: begun.response(name) for name in begun.survivors}
    found: list[Words] = []

    def unmask() -> Callable[[], object]:
        vector = total.copy()
        found[:] = [vector]
        return lambda: masks.subtract(
            vector, remaining_seeds(begun.group, begun.secrets, begun.survivors, responses).seeds
        )

    note = (
        f"from the sum of {PARTIES - DROPPED} masked vectors of {SIZE} {begun.bits}-bit words and as many responses to "
        f"the exact sum: {PARTIES - DROPPED} own masks and {DROPPED * (PARTIES - DROPPED)} pairwise ones, on "
        f"{len(os.sched_getaffinity(0))} threads; " + versions("numpy", "cryptography")
    )
    measured = alone(f"secagg.server.{PARTIES}x1e6.{DROPPED}drop", ours=unmask, note=note)
    assert np.array_equal(ring.from_ring(found[0]), quantise(begun.values).astype(np.int64) * len(begun.survivors))
    return replace(measured, limit=SERVER_LIMIT_MS)


def masked_sum(begun: Round) -> Words:
    """The sum of what the survivors send."""
    total = ring.from_bytes(bytes(SIZE * begun.bits // 8), SIZE, begun.bits)
    for name in begun.survivors:
        total += ring.from_bytes(begun.masked(name), SIZE, begun.bits)
    return total
