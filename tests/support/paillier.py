"""Simulated organisations of a Paillier round, at the level of the services; keys and ciphertexts are real."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from federation import statements
from federation.masking import ciphertexts, scaling
from federation.masking.round_key import RoundKey
from federation.masking.steps import Step
from federation.models import TrainingRound
from federation.selectors import masking as selectors
from federation.services import aggregation, rounds
from federation.services.masking import messages
from federation.services.masking.messages import SignedDocument
from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.platform.storage.blobs import blobs
from models_ml import registry
from models_ml.codec import Int32
from privacy.paillier import decryption, encryption, roundkey
from privacy.paillier.decryption import Openings
from privacy.paillier.keys import PrivateKey, PublicKey
from privacy.paillier.layout import Layout
from privacy.secagg import client
from privacy.secagg.derivation import agree
from tests.support.federation import SimulatedFederation
from tests.support.masking import MaskedRound, MaskingOrganization

MODULUS_BITS = 2048


@cache
def own_key(org_id: str) -> PrivateKey:
    """The key that an organisation makes whenever it has to; made once a session."""
    return PrivateKey.generate(MODULUS_BITS)


class PaillierOrganization(MaskingOrganization):
    """One organisation in one Paillier round."""

    @property
    def layout(self) -> Layout:
        return ciphertexts.layout(self.config, registry.MODELS[self.config.model_name].schema.size)

    @property
    def public(self) -> PublicKey:
        """The key that counts."""
        return selectors.Collection.of(self.training_round).public_key()

    def wrapped(self, holder: str) -> str:
        return dsse.encode_base64(
            roundkey.wrap(
                own_key(self.org_id).to_bytes(), self._shared(holder), self.roster.digest, self.org_id, holder
            )
        )

    def round_key(self, **changes: Any) -> SignedDocument:
        """The signed statement by which it hands out its key; `changes` to what it says."""
        others = set(ciphertexts.holders(self.roster)) - {self.org_id}
        said: dict[str, Any] = {
            "round_id": self.round_id,
            "roster_hash": self.roster.digest.hex(),
            "org": self.org_id,
            "public": own_key(self.org_id).public.to_bytes(),
            "wrapped": {holder: dsse.decode_base64(self.wrapped(holder), "wrapped") for holder in sorted(others)},
        }
        return self.signed(statements.round_key(**(said | changes)), dsse.ROUND_KEY_TYPE)

    def share(
        self,
        shares: Mapping[str, str] | None = None,
        *,
        roster_hash: str | None = None,
        round_key: SignedDocument | None = None,
    ) -> bool:
        """With its key, if it is asked for one."""
        if round_key is None and self.org_id in ciphertexts.makers(self.roster):
            round_key = self.round_key()
        return messages.share(
            org_id=self.org_id,
            round_id=self.round_id,
            roster_hash=self.roster.digest.hex() if roster_hash is None else roster_hash,
            shares=self.sealed() if shares is None else shares,
            round_key=round_key,
            clock=self.organization.clock,
        )

    def body(self, update: Int32 | None = None) -> bytes:
        values = scaling.weighted(
            self.update if update is None else update, self.roster.weights[self.org_id], self.config.frac_bits
        )
        seeds = client.mask_seeds(self.secrets, self.org_id, self.group, self.sharers())
        return ciphertexts.encrypted(self.public, self.layout, values, seeds)

    def held_key(self) -> PrivateKey:
        """The private key that counts, unwrapped by whoever did not make it.

        Raises:
            KeyError: this organisation holds none.
        """
        entry = selectors.shares_document(self.round_id, self.org_id)["round_key"]
        maker = entry["org_id"]
        if maker == self.org_id:
            return own_key(maker)
        wrapped = RoundKey.parse(dsse.decode_base64(entry["statement"], "statement")).wrapped[self.org_id]
        private = roundkey.unwrap(
            dsse.decode_base64(wrapped, "wrapped"), self._shared(maker), self.roster.digest, maker, self.org_id
        )
        return PrivateKey.from_bytes(private, self.config.modulus_bits)

    def opened(self) -> Openings:
        """The openings of the round's sums."""
        sums = blobs().get(selectors.opened_file(self.round_id, self.org_id, openings=False))
        count = len(sums) // self.layout.ciphertext_bytes
        return decryption.open_all(self.held_key(), encryption.parse(self.public, sums, count))

    def open(self, openings: bytes | None = None) -> bool:
        return messages.open_sums(
            org_id=self.org_id,
            round_id=self.round_id,
            openings=self.opened().to_bytes(self.public) if openings is None else openings,
            clock=self.organization.clock,
        )

    def _shared(self, peer: str) -> bytes:
        return agree(self.secrets.share_private, self.roster.advertisements[peer].party().share_key)


class PaillierRound(MaskedRound):
    """A Paillier round and its organisations."""

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
    ) -> PaillierRound:
        """As a masked round; `FL_PAILLIER_MODULUS_BITS` is the caller's."""
        started = rounds.start_round(actor="operator", protection="paillier", clock=clock, **parameters)
        members: dict[str, MaskingOrganization] = {
            each.org_id: PaillierOrganization(each, started, updates[each.org_id], *_given(samples, each.org_id))
            for each in federation.organizations
        }
        return cls(started, members, clock, dict(absent or {}))

    def __getitem__(self, org_id: str) -> PaillierOrganization:
        organization = self.organizations[org_id]
        assert isinstance(organization, PaillierOrganization)
        return organization

    @property
    def makers(self) -> list[PaillierOrganization]:
        """Those who make keys, the first choice first."""
        return [self[name] for name in ciphertexts.makers(selectors.Collection.of(self.training_round).roster)]

    @property
    def holders(self) -> list[PaillierOrganization]:
        """Those who hold the keys, in the order in which they are asked to open."""
        return [self[name] for name in ciphertexts.holders(selectors.Collection.of(self.training_round).roster)]

    @property
    def stranger(self) -> PaillierOrganization:
        """One that holds no key."""
        names = set(self.organizations) - {holder.org_id for holder in self.holders}
        return self[min(names)]

    def answer(self, step: Step) -> None:
        """As in every masked round; the sums are opened by the first who holds the key and is there."""
        if step == Step.OPEN:
            awaited = selectors.Collection.of(self.refresh()).awaited()
            next(holder for holder in self.holders if holder.org_id in awaited).open()
            self.refresh()
        else:
            super().answer(step)

    def work(self) -> TrainingRound:
        """A worker's turn."""
        aggregation.aggregate_round(round_id=self.training_round.round_id, clock=self.clock)
        return self.refresh()

    def add(self) -> TrainingRound:
        """Everything up to the encrypted sums."""
        self.collect()
        return self.work()


def _given(samples: Mapping[str, int] | None, org_id: str) -> tuple[int, ...]:
    return () if samples is None else (samples[org_id],)
