"""Signature keys: ML-DSA-65 (FIPS 204) and Ed25519 (RFC 8032) behind one pair of classes.

A key's algorithm belongs to the key, never to a signature or a header that a sender chose. A key id is the whole
SHA-256 of the DER-encoded SubjectPublicKeyInfo.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from flxdr.core.errors import Invalid

SEED_BYTES = 32
_ED25519_PRIME = 2**255 - 19
_ED25519_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _ED25519_PRIME - 1,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    }
)
"""y coordinates of the points whose order divides 8 (Bernstein et al., "Ed25519", and libsodium's list)."""


class Algorithm(StrEnum):
    """The signature algorithms that flxdr accepts."""

    ML_DSA_65 = "ML-DSA-65"
    ED25519 = "Ed25519"


class KeyInvalid(Invalid):
    """Bytes that are no key of an accepted algorithm."""

    code = "invalid_key"
    title = "Invalid key"


class SignatureInvalid(Invalid):
    """A signature that does not verify under the key it names."""

    code = "invalid_signature"
    title = "Invalid signature"


@dataclass(frozen=True)
class PublicKey:
    """A verification key: its algorithm and DER SubjectPublicKeyInfo."""

    algorithm: Algorithm
    spki: bytes

    @classmethod
    def from_spki(cls, spki: bytes) -> PublicKey:
        """Read a DER SubjectPublicKeyInfo.

        Raises:
            KeyInvalid: not DER, another algorithm, or another encoding of the same key.
        """
        try:
            loaded = load_der_public_key(spki)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyInvalid(
                "the bytes are no SubjectPublicKeyInfo",
                expected="DER or PEM of an ML-DSA-65 or Ed25519 public key",
            ) from error
        return cls._from_loaded(loaded)

    @classmethod
    def from_text(cls, text: str) -> PublicKey:
        """Read PEM, or base64 of the DER SubjectPublicKeyInfo.

        Raises:
            KeyInvalid: neither of them.
        """
        text = text.strip()
        expected = "PEM, or base64 of the DER SubjectPublicKeyInfo, of an ML-DSA-65 or Ed25519 key"
        if text.startswith("-----BEGIN"):
            try:
                loaded = load_pem_public_key(text.encode())
            except (ValueError, UnsupportedAlgorithm) as error:
                raise KeyInvalid("the PEM holds no public key", expected=expected) from error
            return cls._from_loaded(loaded)
        try:
            der = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise KeyInvalid("the key is neither PEM nor base64", expected=expected) from error
        return cls.from_spki(der)

    @classmethod
    def _from_loaded(cls, loaded: object) -> PublicKey:
        if isinstance(loaded, MLDSA65PublicKey):
            algorithm = Algorithm.ML_DSA_65
        elif isinstance(loaded, Ed25519PublicKey):
            algorithm = Algorithm.ED25519
            _refuse_weak_point(loaded.public_bytes_raw())
        else:
            raise KeyInvalid(f"a {type(loaded).__name__} cannot sign here", expected="ML-DSA-65 or Ed25519")
        return cls(algorithm, loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    @cached_property
    def key_id(self) -> str:
        return hashlib.sha256(self.spki).hexdigest()

    @cached_property
    def _loaded(self) -> MLDSA65PublicKey | Ed25519PublicKey:
        loaded = load_der_public_key(self.spki)
        assert isinstance(loaded, MLDSA65PublicKey | Ed25519PublicKey)
        return loaded

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature over `message`.

        Raises:
            SignatureInvalid: it does not verify.
        """
        try:
            self._loaded.verify(signature, message)
        except (InvalidSignature, ValueError) as error:
            raise SignatureInvalid(
                f"the signature does not verify under key {self.key_id[:16]}", key_id=self.key_id
            ) from error

    def to_base64(self) -> str:
        return base64.b64encode(self.spki).decode()

    def to_pem(self) -> str:
        return self._loaded.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _refuse_weak_point(point: bytes) -> None:
    """Refuse Ed25519 keys for which everybody can sign, and second spellings of a key: OpenSSL takes both.

    Raises:
        KeyInvalid
    """
    y = int.from_bytes(point, "little") & (2**255 - 1)
    if y >= _ED25519_PRIME or y in _ED25519_SMALL_ORDER:
        raise KeyInvalid(
            "the Ed25519 key is a point of small order or not in its canonical encoding",
            expected="a key made by a key generator",
        )


class PrivateKey:
    """A signing key, kept as its 32-byte seed."""

    def __init__(self, algorithm: Algorithm, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise KeyInvalid(f"a seed of {len(seed)} bytes", expected=f"{SEED_BYTES} bytes")
        self.algorithm = algorithm
        self.seed = seed
        self._key: MLDSA65PrivateKey | Ed25519PrivateKey
        if algorithm is Algorithm.ML_DSA_65:
            self._key = MLDSA65PrivateKey.from_seed_bytes(seed)
        else:
            self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = PublicKey(
            algorithm, self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )

    @classmethod
    def generate(cls, algorithm: Algorithm = Algorithm.ML_DSA_65) -> PrivateKey:
        """A new key; its seed comes from the operating system's generator."""
        return cls(algorithm, secrets.token_bytes(SEED_BYTES))

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"PrivateKey({self.algorithm}, id={self.public.key_id[:16]}, seed hidden)"
