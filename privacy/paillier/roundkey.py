"""Handing a round's private key from the organisation that made it to another one, through a coordinator.

The two share a secret by X25519. HKDF-SHA256 (RFC 5869) makes an AES-256 key of it, and AES-GCM binds the wrapped key
to the round and to both organisations in their roles, so that nobody passes it off as another's or in another round.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from flxdr.core import canonical
from privacy.paillier.errors import RoundKeyInvalid

_LABEL = b"flxdr paillier round key v1"
_KEY_BYTES = 32
_NONCE_BYTES = 12


def wrap(private_bytes: bytes, shared: bytes, context: bytes, org_from: str, org_to: str) -> bytes:
    """A nonce and the key's ciphertext and tag: 28 bytes more than the key.

    Args:
        shared: the 32 bytes that X25519 gave the two organisations.
        context: what the round is known by, such as the hash of its roster.
        org_from: who made the key.
        org_to: whom it is for.
    """
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _cipher(shared).encrypt(nonce, private_bytes, _bound(context, org_from, org_to))


def unwrap(wrapped: bytes, shared: bytes, context: bytes, org_from: str, org_to: str) -> bytes:
    """The bytes that `wrap` was given with the same secret, context and organisations.

    Raises:
        RoundKeyInvalid: it was made with others, or changed since.
    """
    nonce, sealed = wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:]
    try:
        return _cipher(shared).decrypt(nonce, sealed, _bound(context, org_from, org_to))
    except (InvalidTag, ValueError) as error:  # ValueError: too short to hold a nonce
        raise RoundKeyInvalid(
            f"the round key from {org_from} does not open",
            expected=f"a key wrapped by {org_from} for {org_to} in this round",
            action="Do not take part in the round with it; ask who makes the key to send it again.",
        ) from error


def _cipher(shared: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt=None, info=_LABEL).derive(shared))


def _bound(context: bytes, org_from: str, org_to: str) -> bytes:
    """The additional data, unambiguous whatever the names hold."""
    return canonical.encode({"context": context.hex(), "from": org_from, "to": org_to})
