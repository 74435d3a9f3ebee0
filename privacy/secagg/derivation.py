"""Every secret of a secure aggregation from another one: HKDF-SHA256 (RFC 5869), with a label that says what for."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES = 32
_PROTOCOL = b"flxdr secure aggregation v1"


def derive(secret: bytes, label: str, *context: bytes) -> bytes:
    """32 bytes for one purpose; another label or context gives independent ones."""
    parts = (_PROTOCOL, label.encode(), *context)
    info = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=info).derive(secret)


def agree(private: bytes, public: bytes) -> bytes:
    """X25519 (RFC 7748): the 32 bytes that both owners of two key pairs find.

    Raises:
        ValueError: a public key of small order, with which everybody would find zero.
    """
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def public_key(private: bytes) -> bytes:
    """The X25519 public key of a private one."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()
