"""What can be wrong with Paillier keys, ciphertexts, openings and packed values."""

from __future__ import annotations

from flxdr.core.errors import Invalid


class LayoutExceeded(Invalid):
    """More than a packing has room for: a value beyond its bound, too many parties, or lanes wider than a word."""

    code = "paillier_layout_exceeded"
    title = "Packing exceeded"


class KeyInvalid(Invalid):
    """Bytes that are no key of the expected size, or a size that is too small."""

    code = "invalid_paillier_key"
    title = "Invalid Paillier key"


class CiphertextInvalid(Invalid):
    """A body of the wrong length, or a number that no plaintext encrypts to."""

    code = "invalid_ciphertext"
    title = "Invalid ciphertext"


class OpeningInvalid(Invalid):
    """A published plaintext and randomizer that do not make their ciphertext."""

    code = "invalid_opening"
    title = "Invalid opening"


class PlaintextInvalid(Invalid):
    """A number that is no sum of packed values."""

    code = "invalid_packed_sum"
    title = "Invalid packed sum"


class RoundKeyInvalid(Invalid):
    """A wrapped round key that was not made for this organisation, by that one, in this round."""

    code = "invalid_round_key"
    title = "Invalid wrapped round key"
