"""Random governance through the services: after every block the database derives what both verifiers derive."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import PrivateKey
from ledger import selectors
from ledger.chain import export, standalone
from ledger.chain.state import ChainState
from ledger.chain.verify import verify_chain
from ledger.models import Proposal
from ledger.services import proposals
from ledger.services.genesis import ensure_genesis
from tests.ledger.chains import hash_of, key_of, provenance
from tests.ledger.members import Consortium, statement_for

ORGS = ("org-a", "org-b", "org-c", "org-d")
MODELS = ("global", "other")
STEPS = 40


class History:
    """Proposes something at random; most of it holds, and what does not is refused before it is proposed."""

    def __init__(self, seed: int, consortium: Consortium) -> None:
        self.random = random.Random(seed)
        self.consortium = consortium
        self.keys: dict[str, PrivateKey] = {}
        self._names = (f"history {seed}, key {number}" for number in itertools.count())

    def step(self) -> None:
        """Propose, and seal with the votes of all voters; each by any of its keys."""
        propose: Callable[[], Proposal] = self.random.choice(
            [self.admit, self.admit, self.rotate, self.revoke, self.change_policy, self.withdraw] + 3 * [self.release]
        )
        try:
            proposal = propose()
        except (FlxdrError, LookupError):
            return
        if proposal.status != Proposal.Status.OPEN:
            return
        proposal = self.consortium.countersign(proposal)
        for org_id in self.random.sample(list(proposal.voters), len(proposal.voters)):
            if proposal.status == Proposal.Status.OPEN:
                proposal = self.consortium.approve(proposal, org_id, key=self.random.choice(self.held(org_id)))
        assert proposal.status == Proposal.Status.SEALED
        self.consortium.clock.advance(timedelta(seconds=1))

    def held(self, org_id: str) -> list[PrivateKey]:
        return [self.keys[key.key_id] for key in selectors.members().get(org_id, [])]

    def new_key(self) -> PrivateKey:
        key = key_of(next(self._names))
        self.keys[key.public.key_id] = key
        return key

    def admit(self) -> Proposal:
        """A first key, or a further one."""
        org_id, key = self.random.choice(ORGS), self.new_key()
        held = self.held(org_id)
        if not held:
            return self.consortium.propose_admission(org_id, key=key)
        old = self.random.choice(held)
        signed = dsse.sign(old, dsse.REGISTRATION_TYPE, statement_for(org_id, key))
        return self.consortium.propose_admission(org_id, key=key, endorsement=(old.public.key_id, signed))

    def rotate(self) -> Proposal:
        """To a new key, or to one that was used before."""
        org_id = self.random.choice(ORGS)
        new = self.random.choice([self.new_key(), self.random.choice(list(self.keys.values()))])
        return self.consortium.propose_rotation(org_id, new, old=self.random.choice(self.held(org_id)))

    def revoke(self) -> Proposal:
        org_id = self.random.choice(ORGS)
        return self.consortium.propose_revocation(
            org_id,
            key_id=self.random.choice(self.held(org_id)).public.key_id,
            compromised_since=self.random.choice([None, 0, 3, 10**6]),
        )

    def change_policy(self) -> Proposal:
        return self.consortium.propose_policy(
            method=self.random.choice(["multisig", "multisig", "operator"]),
            numerator=self.random.choice([1, 2]),
            denominator=3,
            minimum=self.random.choice([1, 2, 3, 5]),
        )

    def release(self) -> Proposal:
        model = self.random.choice(MODELS)
        lineage = selectors.releases_of(model)
        version = lineage.newest.version + 1 if lineage else 1
        parent = lineage.current.model_hash if lineage and lineage.current else None
        orgs = self.random.sample(ORGS, self.random.randint(1, len(ORGS)))
        fields: dict[str, Any] = {"model_name": model, "round_id": f"{model}-{version}", "parent_model_hash": parent}
        return proposals.propose_release(
            provenance=msgspec.to_builtins(provenance(version, orgs=orgs, **fields)),
            model_hash=hash_of(self.random.choice([f"{model} {version}", "a round that changed nothing"])),
            training_orgs=orgs,
            clock=self.consortium.clock,
        )

    def withdraw(self) -> Proposal:
        model = self.random.choice(MODELS)
        lineage = selectors.releases_of(model)
        if lineage is None:
            raise LookupError(model)
        newest = lineage.newest.version
        return self.consortium.propose_withdrawal(self.random.randint(max(1, newest - 3), newest), model_name=model)


def verified() -> ChainState:
    verification = verify_chain(selectors.chain_records())
    assert verification.report.first_bad is None
    assert verification.state is not None
    return verification.state


@pytest.mark.parametrize("seed", range(8))
def test_database_and_verifiers_agree(seed: int, empty_ledger: None, clock: ManualClock, env: Any) -> None:
    methods = ["multisig", "multisig", "multisig", "operator"]
    env(blockchain_quorum_min=1 + seed % 3, blockchain_verification_method=methods[seed % 4])
    ensure_genesis(clock=clock)
    history = History(seed, Consortium(clock))
    for _ in range(STEPS):
        history.step()
        outside = verified()
        assert selectors.chain_state() == msgspec.structs.replace(outside, releases={})
        for model in MODELS:
            assert selectors.releases_of(model) == outside.releases.get(model)
    exported = io.BytesIO(b"".join(export.lines(selectors.chain_id(), selectors.chain_records())))
    second, bad = standalone.verify(exported, selectors.chain_id(), clock.now())
    assert bad is None
    assert (second.height, second.bootstrapped) == (outside.height, outside.keys.bootstrap_over)
    assert second.height > STEPS // 3
