"""What the coordinator keeps of a Paillier round holds no private key, and nothing that shows an update to one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gmpy2
import numpy as np
import pytest

from federation.agent import training
from federation.agent.masking.book import MaskingBook
from federation.agent.session import Agent
from federation.masking import scaling
from federation.masking.ciphertexts import layout, makers
from federation.models import TrainingRound
from federation.selectors.masking import Collection
from flxdr.platform.storage.blobs import blobs
from models_ml import codec
from models_ml.codec import Int32
from models_ml.tasks import LocalUpdate
from privacy.paillier import decryption, encryption
from privacy.paillier.errors import PlaintextInvalid
from privacy.paillier.keys import PrivateKey
from tests.agent.masking.traces import everything, forms, found, runs
from tests.agent.real_federation import ORGS, Federation
from tests.agent.test_masked_rounds import masked_round

MODULUS_BITS = 2048


@dataclass
class Captured:
    """What the agents keep to themselves: the keys that they made or were given, and what they trained."""

    keys: list[PrivateKey] = field(default_factory=list)
    updates: dict[str, Int32] = field(default_factory=dict)


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Captured:
    kept = Captured()
    hold_key, train = MaskingBook.hold_key, training.train

    def holding(book: MaskingBook, round_id: str, private_key: bytes) -> None:
        kept.keys.append(PrivateKey.from_bytes(private_key, MODULUS_BITS))
        hold_key(book, round_id, private_key)

    def trained(agent: Agent, *arguments: Any) -> LocalUpdate:
        update = train(agent, *arguments)
        kept.updates[agent.org_id] = codec.flatten(update.delta)
        return update

    monkeypatch.setattr(MaskingBook, "hold_key", holding)
    monkeypatch.setattr(training, "train", trained)
    return kept


def written(number: int | gmpy2.mpz) -> Iterator[bytes]:
    """A number as bytes, of either byte order."""
    length = (int(number).bit_length() + 7) // 8
    yield int(number).to_bytes(length, "big")
    yield int(number).to_bytes(length, "little")


def decimal(number: int | gmpy2.mpz) -> bytes:
    return str(number).encode()


def secrets_of(key: PrivateKey) -> list[int]:
    """The primes, and what decryption makes of them."""
    p, q, n = int(key.p), int(key.q), key.public.n
    return [p, q, int(gmpy2.invert(n, (p - 1) * (q - 1))), int(gmpy2.invert(p, q))]


def test_nothing_that_the_coordinator_keeps_holds_a_key_or_an_update(
    federation: Federation, captured: Captured, env: Any, data_dir: Path, logged: list[logging.LogRecord]
) -> None:
    env(paillier_modulus_bits=str(MODULUS_BITS))
    for org_id in ORGS:
        federation.enrol(org_id, "--algorithm", "Ed25519")
        federation.turn(*ORGS[: ORGS.index(org_id)])
    round_id, _ = masked_round(federation, "edge-normaliser", protection="paillier")
    training_round = TrainingRound.objects.get(round_id=round_id)
    roster = Collection.of(training_round).roster
    kept = everything(data_dir, logged)

    made = {key.public.n: key for key in captured.keys}
    assert len(made) == len(makers(roster))
    for key in made.values():
        sought = runs(form for number in secrets_of(key) for form in written(number))
        assert len(sought) > 100
        assert not found(sought, kept)
        assert not any(decimal(number) in place for number in secrets_of(key) for place in kept)
        modulus = runs([next(written(key.public.n))])
        assert found(modulus, kept) == modulus

    clear = [
        form
        for org_id in ORGS
        for values in (captured.updates[org_id], scaling.weighted(captured.updates[org_id], roster.weights[org_id], 16))
        for form in forms(values.astype(np.int64))
    ]
    assert len(runs(clear)) > 100
    assert not found(runs(clear), kept)

    public = Collection.of(training_round).public_key()
    for row in training_round.submissions.all():
        body = blobs().get(row.wire_digest)
        ciphertexts = encryption.parse(public, body, len(body) // (MODULUS_BITS // 4))
        shown = decryption.open_all(made[public.n], ciphertexts).plaintexts
        with pytest.raises(PlaintextInvalid):
            layout(roster.config, captured.updates["org-a"].size).unpack(shown, 1)
