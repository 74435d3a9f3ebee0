"""Simulated organisations and the worker's part, at the level of the services.

Nothing is mocked: keys sign, submissions are checked, aggregates are computed, blocks are sealed; only HTTP and the
task queue are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import ledger.selectors
from federation import statements
from federation.models import Organization, Submission, TrainingRound
from federation.round_config import RoundConfig
from federation.services import aggregation, campaigns, enrolment, reconcile, submissions
from federation.services.queue import ADVANCE_CAMPAIGN, AGGREGATE_ROUND, AGGREGATE_SHARD
from federation.services.received import ReceivedUpdate
from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain.approvals import rejection_statement
from ledger.models import Proposal
from ledger.services import approvals
from models_ml import registry
from models_ml.codec import Int32
from tests.support.factories import tensor_update

ROUND_LIMIT = 200


def config_of(training_round: TrainingRound) -> RoundConfig:
    """What the round was started with."""
    return RoundConfig.decode(bytes(training_round.config))


@dataclass
class SimulatedOrganization:
    """An organisation with or without a signing key."""

    org_id: str
    clock: Clock
    key: PrivateKey | None = None

    @property
    def name(self) -> str:
        return self.org_id.replace("-", " ").title()

    @property
    def row(self) -> Organization:
        return Organization.objects.get(org_id=self.org_id)

    def register(self, **fields: Any) -> Organization:
        """Register with the key, if there is one, and its proof of possession."""
        declared: dict[str, Any] = {"org_id": self.org_id, "name": self.name, "clock": self.clock}
        if self.key is not None:
            declared |= {"public_key_text": self.key.public.to_pem(), "key_proof": self.proof()}
        return enrolment.register(**(declared | fields))

    def proof(self) -> bytes:
        """Signature of possession over this organisation's registration."""
        assert self.key is not None
        statement = statements.registration(
            org_id=self.org_id,
            org_name=self.name,
            key_id=self.key.public.key_id,
            chain_id=ledger.selectors.chain_id(),
        )
        return dsse.sign(self.key, dsse.REGISTRATION_TYPE, statement)

    def signed(self, received: ReceivedUpdate, **overrides: Any) -> ReceivedUpdate:
        """The update with its statement; signed where there is a key. `overrides` change what is stated."""
        training_round = TrainingRound.objects.get(round_id=received.round_id)
        config = config_of(training_round)
        facts: dict[str, Any] = {
            "chain_id": config.chain_id,
            "round_id": config.round_id,
            "config_hash": training_round.config_hash,
            "org": self.org_id,
            "parent_hash": config.parent_hash,
            "kind": received.kind,
            "samples": received.samples,
            "privacy": received.privacy,
            "wire_digest": received.wire_digest,
            "metrics": received.metrics,
        }
        statement = statements.submission(**(facts | overrides))
        if self.key is None:
            return replace(received, statement=statement)
        return replace(
            received,
            statement=statement,
            signature=dsse.sign(self.key, dsse.SUBMISSION_TYPE, statement),
            key_id=self.key.public.key_id,
        )

    def submit(self, received: ReceivedUpdate) -> Submission:
        """Submit as this organisation."""
        submission, _ = submissions.submit(principal_org=self.org_id, received=received, clock=self.clock)
        return submission

    def submit_delta(self, training_round: TrainingRound, delta: Mapping[str, Int32], **fields: Any) -> Submission:
        """Submit a delta as an agent does: as a tensor file, with a statement."""
        return self.submit(self.signed(tensor_update(training_round.round_id, self.org_id, delta, **fields)))

    def approve(self, proposal: Proposal) -> Proposal:
        """Approve an open proposal."""
        assert self.key is not None
        assert proposal.header is not None
        return approvals.approve(
            proposal_id=proposal.pk,
            org_id=self.org_id,
            key_id=self.key.public.key_id,
            signature=dsse.sign(self.key, dsse.BLOCK_TYPE, bytes(proposal.header)),
            clock=self.clock,
        )

    def reject(self, proposal: Proposal, reason: str = "worse than its parent") -> Proposal:
        """Reject an open proposal."""
        assert self.key is not None
        assert proposal.block_hash is not None
        statement = rejection_statement(block_hash=proposal.block_hash, org_id=self.org_id, reason=reason)
        return approvals.reject(
            proposal_id=proposal.pk,
            org_id=self.org_id,
            key_id=self.key.public.key_id,
            signature=dsse.sign(self.key, dsse.REJECTION_TYPE, statement),
            reason=reason,
            clock=self.clock,
        )


@dataclass
class SimulatedFederation:
    """Organisations and a coordinator's worker on one clock."""

    clock: Clock
    organizations: list[SimulatedOrganization] = field(default_factory=list)

    def enrol(self, *org_ids: str, algorithm: Algorithm | None = Algorithm.ED25519) -> list[SimulatedOrganization]:
        """Register organisations (`algorithm` None: without keys) and see their admissions through."""
        enrolled = []
        for org_id in org_ids:
            key = PrivateKey(algorithm, hashlib.sha256(org_id.encode()).digest()) if algorithm else None
            organization = SimulatedOrganization(org_id, self.clock, key)
            organization.register()
            self.organizations.append(organization)
            self.settle()
            enrolled.append(organization)
        return enrolled

    def work(self) -> list[str]:
        """Do what the worker would do by now, aggregation and coordinator's signatures; returns what it did."""
        done = [str(task) for task in self._run(reconcile.due(clock=self.clock))]
        for proposal_id in list(ledger.selectors.unsigned_by_coordinator().values_list("pk", flat=True)):
            approvals.countersign(proposal_id=proposal_id, clock=self.clock)
            done.append(f"countersign({proposal_id})")
        return done

    def settle(self) -> None:
        """Work and let every organisation approve, until nothing waits any more."""
        for _ in range(ROUND_LIMIT):
            if not self.work() and not self._vote():
                return
        raise AssertionError("the federation does not come to rest")

    def submit_all(
        self,
        training_round: TrainingRound,
        delta: Mapping[str, Int32] | Callable[[str], Mapping[str, Int32]],
        organizations: Sequence[SimulatedOrganization] | None = None,
    ) -> None:
        """Submit a delta for every participant (or for those given)."""
        names = set(training_round.participants.values_list("organization__org_id", flat=True))
        for organization in self.organizations if organizations is None else organizations:
            if organization.org_id in names:
                own = delta(organization.org_id) if callable(delta) else delta
                organization.submit_delta(training_round, own)

    def _vote(self) -> int:
        votes = 0
        for organization in self.organizations:
            if organization.key is not None:
                for proposal in ledger.selectors.proposals_for(organization.org_id):
                    organization.approve(proposal)
                    votes += 1
        return votes

    def _run(self, tasks: Iterable[reconcile.Due]) -> list[reconcile.Due]:
        services: dict[str, Callable[..., object]] = {
            AGGREGATE_ROUND: aggregation.aggregate_round,
            AGGREGATE_SHARD: aggregation.aggregate_shard,
            ADVANCE_CAMPAIGN: campaigns.advance_campaign,
        }
        due = list(tasks)
        for task in due:
            services[task.task](clock=self.clock, **task.kwargs)
        return due


def constant_delta(shapes: Mapping[str, Sequence[int]], value: int) -> dict[str, Int32]:
    """Tensors of the given shapes, every entry `value` (units of 2^-24)."""
    return {name: np.full(tuple(shape), value, dtype=np.int32) for name, shape in shapes.items()}


def shapes_of(model_name: str) -> dict[str, tuple[int, ...]]:
    """Tensor names and shapes of a registry model."""
    return {tensor.name: tensor.shape for tensor in registry.MODELS[model_name].schema.tensors}
