"""Simulated organisations of a masked round, at the level of the services; their masks and shares are real."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from federation import statements
from federation.masking import scaling
from federation.masking.draw import commitment, nonce_of
from federation.masking.roster import Roster
from federation.masking.steps import Step, steps_of
from federation.models import Submission, TrainingRound
from federation.round_config import RoundConfig
from federation.selectors import masking as selectors
from federation.services import rounds
from federation.services.masking import messages
from federation.services.masking.messages import SignedDocument
from federation.services.received import MaskedValues, ReceivedUpdate
from flxdr.core import dsse
from flxdr.core.canonical import digest
from flxdr.core.clock import ManualClock
from models_ml.codec import Int32
from privacy.secagg import client, masks, ring
from privacy.secagg.group import Group
from privacy.secagg.secrets import Secrets
from privacy.secagg.shares import UnmaskShares
from tests.support.federation import SimulatedFederation, SimulatedOrganization

SAMPLES = 1024

STEPS: list[Step] = [step for step in Step if step not in (Step.REVEAL, Step.OPEN)]
"""Of a secure aggregation in one group: no buckets are drawn, and nothing is encrypted that were to be opened."""


@dataclass
class MaskingOrganization:
    """One organisation in one masked round; its seed is the same in every run.

    Every message comes in two parts, what it says and sending it, so that a test can change the one before the other.
    """

    organization: SimulatedOrganization
    training_round: TrainingRound
    update: Int32
    samples: int = SAMPLES

    @property
    def org_id(self) -> str:
        return self.organization.org_id

    @property
    def round_id(self) -> str:
        return self.training_round.round_id

    @cached_property
    def config(self) -> RoundConfig:
        return RoundConfig.decode(bytes(self.training_round.config))

    @property
    def seed(self) -> bytes:
        return hashlib.sha256(self.org_id.encode()).digest()

    @cached_property
    def secrets(self) -> Secrets:
        return Secrets.from_seed(self.seed)

    @cached_property
    def roster(self) -> Roster:
        document = selectors.roster_document(self.round_id, self.org_id)
        statements = [dsse.decode_base64(entry["statement"], "statement") for entry in document["advertisements"]]
        nonces = {org_id: bytes.fromhex(nonce) for org_id, nonce in document["nonces"].items()}
        return Roster.of(self.config, statements, nonces)

    @property
    def group(self) -> Group:
        return self.roster.group_of(self.org_id)

    def signed(self, statement: bytes, kind: str) -> SignedDocument:
        key = self.organization.key
        assert key is not None
        return SignedDocument(statement, key.public.key_id, dsse.sign(key, kind, statement))

    def advertisement(self, **changes: Any) -> SignedDocument:
        said: dict[str, Any] = {
            "config": self.config,
            "org": self.org_id,
            "samples": self.samples,
            "mask_key": self.secrets.mask_key,
            "share_key": self.secrets.share_key,
            "seed_commitment": self.secrets.seed_commitment,
            "draw_commitment": commitment(nonce_of(self.seed)),
        }
        return self.signed(statements.advertisement(**(said | changes)), dsse.ADVERTISEMENT_TYPE)

    def advertise(self, signed: SignedDocument | None = None) -> bool:
        return messages.advertise(
            org_id=self.org_id,
            round_id=self.round_id,
            signed=signed or self.advertisement(),
            clock=self.organization.clock,
        )

    def reveal(self, nonce: bytes | None = None) -> bool:
        return messages.reveal(
            org_id=self.org_id,
            round_id=self.round_id,
            nonce=nonce_of(self.seed) if nonce is None else nonce,
            clock=self.organization.clock,
        )

    def sealed(self) -> dict[str, str]:
        shares = client.seal_shares(self.secrets, self.org_id, self.group)
        return {receiver: dsse.encode_base64(share) for receiver, share in shares.items()}

    def share(self, shares: Mapping[str, str] | None = None, *, roster_hash: str | None = None) -> bool:
        return messages.share(
            org_id=self.org_id,
            round_id=self.round_id,
            roster_hash=self.roster.digest.hex() if roster_hash is None else roster_hash,
            shares=self.sealed() if shares is None else shares,
            clock=self.organization.clock,
        )

    def sharers(self) -> frozenset[str]:
        """Those of its group that shared."""
        listed = selectors.shares_document(self.round_id, self.org_id)["sharers"]
        return frozenset(listed) & {party.org_id for party in self.group.parties}

    def body(self, update: Int32 | None = None) -> bytes:
        values = scaling.weighted(
            self.update if update is None else update, self.roster.weights[self.org_id], self.config.frac_bits
        )
        vector = ring.to_ring(values, ring.word_bits(scaling.bound(self.config), self.config.n_max))
        masks.add(vector, client.mask_seeds(self.secrets, self.org_id, self.group, self.sharers()))
        return ring.to_bytes(vector)

    def received(self, body: bytes | None = None, **changes: Any) -> ReceivedUpdate:
        """The masked update with its signed statement, as the API would hand it over; `changes` to its fields."""
        body = self.body() if body is None else body
        update = ReceivedUpdate(
            round_id=self.round_id,
            org_id=self.org_id,
            kind="masked",
            payload=MaskedValues(),
            samples=self.samples,
            metrics={},
            wire_digest=digest(body),
            body=body,
            roster_hash=self.roster.digest.hex(),
        )
        return self.signed_update(replace(update, **changes))

    def signed_update(self, update: ReceivedUpdate) -> ReceivedUpdate:
        """An update with its statement."""
        return self.organization.signed(update, roster_hash=update.roster_hash)

    def submit(self, received: ReceivedUpdate | None = None) -> Submission:
        return self.organization.submit(received or self.received())

    def confirmation(self, **changes: Collection[str] | str) -> SignedDocument:
        said: dict[str, Any] = {
            "round_id": self.round_id,
            "roster_hash": self.roster.digest.hex(),
            "sharers": selectors.shares_document(self.round_id, self.org_id)["sharers"],
            "survivors": selectors.survivors_document(self.round_id, self.org_id)["survivors"],
        }
        return self.signed(statements.survivors(**(said | changes)), dsse.SURVIVORS_TYPE)

    def confirm(self, signed: SignedDocument | None = None) -> bool:
        return messages.confirm(
            org_id=self.org_id,
            round_id=self.round_id,
            signed=signed or self.confirmation(),
            clock=self.organization.clock,
        )

    def unmasking(self) -> UnmaskShares:
        shares = selectors.shares_document(self.round_id, self.org_id)["shares"]
        sharers = self.sharers()
        survivors = sharers & set(selectors.survivors_document(self.round_id, self.org_id)["survivors"])
        return client.unmask(
            self.secrets,
            self.org_id,
            self.group,
            {sender: dsse.decode_base64(share, sender) for sender, share in shares.items() if sender in sharers},
            sharers=sharers,
            survivors=survivors,
        )

    def unmask(self, shares: UnmaskShares | None = None) -> bool:
        return messages.unmask(
            org_id=self.org_id,
            round_id=self.round_id,
            shares=shares or self.unmasking(),
            clock=self.organization.clock,
        )

    def answer(self, step: Step) -> None:
        """Do honestly what the step asks for."""
        answers: dict[Step, Callable[[], object]] = {
            Step.ADVERTISE: self.advertise,
            Step.REVEAL: self.reveal,
            Step.SHARES: self.share,
            Step.MASKED_INPUT: self.submit,
            Step.CONSISTENCY: self.confirm,
            Step.UNMASK: self.unmask,
        }
        answers[step]()


@dataclass
class MaskedRound:
    """A masked round and its organisations; `absent` names who is missing from which step on."""

    training_round: TrainingRound
    organizations: dict[str, MaskingOrganization]
    clock: ManualClock
    absent: dict[str, Step] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        federation: SimulatedFederation,
        clock: ManualClock,
        updates: Mapping[str, Int32],
        *,
        samples: Mapping[str, int] | None = None,
        absent: Mapping[str, Step] | None = None,
        **parameters: Any,
    ) -> MaskedRound:
        """Start a round of the federation's organisations, each with its update (units of 2^-24)."""
        started = rounds.start_round(actor="operator", protection="secagg", clock=clock, **parameters)
        members = {
            each.org_id: MaskingOrganization(
                each, started, updates[each.org_id], (samples or {}).get(each.org_id, SAMPLES)
            )
            for each in federation.organizations
        }
        return cls(started, members, clock, dict(absent or {}))

    def __getitem__(self, org_id: str) -> MaskingOrganization:
        return self.organizations[org_id]

    def plain_round(self) -> TrainingRound:
        """Another round, of another model, in the clear."""
        return rounds.start_round(actor="operator", model_name="edge-classifier", clock=self.clock)

    def refresh(self) -> TrainingRound:
        self.training_round.refresh_from_db()
        return self.training_round

    def answer(self, step: Step) -> None:
        """Everybody who is asked and not absent answers; a step that lacks somebody ends at its deadline."""
        for org_id in sorted(selectors.Collection.of(self.refresh()).awaited()):
            if org_id not in self.absent or list(Step).index(step) < list(Step).index(self.absent[org_id]):
                self[org_id].answer(step)
        if self.refresh().status == "in_progress" and self.training_round.step == step:
            self.pass_deadline()

    def pass_deadline(self) -> None:
        """Wait until the present step's time is over, and let the coordinator notice."""
        self.clock.advance(self.training_round.deadline - self.clock.now())
        rounds.close_collection(round_id=self.training_round.round_id, clock=self.clock)
        self.refresh()

    def collect(self, until: Step | None = None) -> TrainingRound:
        """Answer every step before `until`, or all of them; stops where the round fails."""
        for step in steps_of(RoundConfig.decode(bytes(self.training_round.config))):
            if step == until or self.refresh().status != "in_progress":
                break
            self.answer(step)
        return self.training_round


def random_updates(names: Sequence[str], size: int, bound: int = 1 << 24) -> dict[str, Int32]:
    """Updates within +-bound (units of 2^-24), the same in every run."""
    rng = np.random.default_rng(20240)
    return {name: rng.integers(-bound, bound, size, dtype=np.int32, endpoint=True) for name in names}
