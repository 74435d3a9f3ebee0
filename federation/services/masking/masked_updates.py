"""What can be checked of a masked update: that it is one, for this round's roster, of exactly the right length."""

from __future__ import annotations

from federation.errors import PrivacyMismatch, ProtectionMismatch, StatementMismatch
from federation.masking import ciphertexts, scaling
from federation.models import TrainingRound
from federation.selectors.masking import Collection
from federation.services.received import MaskedValues, ReceivedUpdate
from models_ml.codec import ModelSchema
from privacy.paillier import encryption
from privacy.secagg import ring

KIND = "masked"


def check(training_round: TrainingRound, received: ReceivedUpdate, schema: ModelSchema | None) -> None:
    """Check a masked update before it is stored; what it holds nobody can check.

    Raises:
        ProtectionMismatch: it is not masked.
        StatementMismatch: it was masked for another roster, or with another weight than was advertised.
        PrivacyMismatch: it declares another mechanism than the round's.
        MaskedVectorInvalid, CiphertextInvalid: another number of bytes than the model's values have, or no ciphertexts.
    """
    if received.kind != KIND or not isinstance(received.payload, MaskedValues):
        raise ProtectionMismatch(
            f"an update of kind {received.kind!r} in a {training_round.protection} round",
            expected="a masked update: the round's organizations never send theirs in the clear",
        )
    collection = Collection.of(training_round)
    roster_hash = collection.roster.digest.hex()
    if received.roster_hash != roster_hash:
        raise StatementMismatch("the update was masked for another roster", expected=f"roster_hash = {roster_hash}")
    advertised = collection.roster.advertisements[received.org_id].samples
    if received.samples != advertised:
        raise StatementMismatch(f"the update is of {received.samples} samples", expected=f"samples = {advertised}")
    if received.privacy != dict(collection.config.privacy):
        raise PrivacyMismatch(
            "the masked update declares another privacy mechanism than was advertised", expected="the round's"
        )
    assert schema is not None, "models that organisations mask for have a schema"
    config = collection.config
    if config.modulus_bits:
        arrangement = ciphertexts.layout(config, schema.size)
        encryption.parse(collection.public_key(), received.body, arrangement.ciphertexts)
        return
    ring.from_bytes(received.body, schema.size, ring.word_bits(scaling.bound(config), config.n_max))
